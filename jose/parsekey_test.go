package jose_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestParseKey checks that a single JWK becomes the key that a set with it has.
func TestParseKey(t *testing.T) {
	for _, a := range all {
		text := public(keyFor(a)).with("alg", a.String()).with("kid", "a").String()
		key, err := jose.ParseKey([]byte(text), nil)
		if err != nil {
			t.Fatalf("%v: %v", a, err)
		}
		want := parseSet(t, all, text).Keys()[0]
		if id, ok := key.ID(); id != "a" || !ok || key.Algorithm() != a || key.Thumbprint() != want.Thumbprint() {
			t.Errorf("%v: %+v, want %+v", a, key, want)
		}
		if err := key.Verify(parse(t, token(t, a, keyFor(a), `{"alg":"`+a.String()+`"}`, "{}"))); err != nil {
			t.Errorf("%v: %v", a, err)
		}
	}
	key, err := jose.ParseKey([]byte(public(rsaKey()).String()), []jose.Algorithm{jose.ES256, jose.PS384})
	if err != nil || key.Algorithm() != jose.PS384 {
		t.Errorf("an RSA key without alg: %v, %v", key.Algorithm(), err)
	}
}

// TestParseKeyRefused covers R-JK-05, R-JK-07 and R-JK-17 for single keys: a
// private key is refused as such, and so is all that a set would ignore.
func TestParseKeyRefused(t *testing.T) {
	const single = "give the public key alone"
	ec := public(p256Key())
	for _, row := range []struct{ name, text, reason string }{
		{"private EC", ec.with("d", "AAAA").String(), single},
		{"private RSA", public(rsaKey()).with("d", "AAAA").String(), single},
		{"private RSA, in part", public(rsaKey()).with("dp", "AAAA").with("alg", "RS256").String(), single},
		{"private, of a wrong type", ec.with("d", 1).String(), single},
		{"private, and kid a number", ec.with("d", "AAAA").with("kid", 1).String(), single},
		{"symmetric", `{"kty":"oct","k":"AAAA"}`, single},
		{"symmetric, empty", `{"kty":"oct"}`, single},
		{"empty", ``, notObject},
		{"a JWK Set", string(document(ec.String())), keyType},
		{"trailing bytes", ec.String() + "{}", notObject},
		{"a member twice", strings.Replace(ec.String(), `"kty"`, `"kty":"EC","kty"`, 1), notObject},
		{"kid a number", ec.with("kid", 1).String(), memberType},
		{"for encryption", ec.with("use", "enc").String(), use},
		{"RSA without alg", public(rsaKey()).String(), unpinned},
		{"off the curve", ec.with("y", changedBytes(ec["y"], flipped)).String(), point},
		{"8192 bits", rsaOf(8192, 65537, 0).String(), rsaBits},
	} {
		key, err := jose.ParseKey([]byte(row.text), nil)
		expect(t, err, jose.ErrUnusableKey, row.reason)
		if key != nil || err == nil || strings.Contains(err.Error(), "AAAA") {
			t.Errorf("%s: %v, %v", row.name, key, err)
		}
	}
	if _, err := (jose.Limits{RSABits: 8192}).ParseKey([]byte(rsaOf(8192, 65537, 0).String()), nil); err != nil {
		t.Errorf("8192 bits, within the limits: %v", err)
	}
	_, err := jose.ParseKey([]byte(public(p384Key()).String()), []jose.Algorithm{jose.ES256})
	expect(t, err, jose.ErrUnusableKey, curveCost)
}

// embedded returns the header of a token whose jwk is the JSON text key.
func embedded(t *testing.T, alg, key string) jose.Header {
	t.Helper()
	return parse(t, unsigned(`{"typ":"dpop+jwt","alg":"`+alg+`","jwk":`+key+`}`)).UnverifiedHeader()
}

// TestEmbeddedKey checks that a proof is verified by the key in its header,
// under the header's algorithm.
func TestEmbeddedKey(t *testing.T) {
	for _, a := range all {
		proof := parse(t, token(t, a, keyFor(a), `{"alg":"`+a.String()+`","jwk":`+public(keyFor(a)).String()+`}`, "{}"))
		key, err := proof.UnverifiedHeader().EmbeddedKey([]jose.Algorithm{jose.ES256, a})
		if err != nil || key.Algorithm() != a {
			t.Fatalf("%v: %v, %v", a, key.Algorithm(), err)
		}
		if err := key.Verify(proof); err != nil {
			t.Errorf("%v: %v", a, err)
		}
	}
	key, err := embedded(t, "ES256", public(p256Key()).String()).EmbeddedKey(all)
	expect(t, err, nil, "")
	if err := key.Verify(parse(t, token(t, jose.ES256, testkey.NewPrivate(jose.ES256), `{"alg":"ES256"}`, "{}"))); !errors.Is(err, jose.ErrSignature) {
		t.Errorf("a signature by another key: %v", err)
	}
}

// TestEmbeddedKeyRefused covers R-JK-17: no key, a private key, a key
// of another algorithm, and a key that is too long are refused.
func TestEmbeddedKeyRefused(t *testing.T) {
	ec, r := public(p256Key()), public(rsaKey())
	long := func(bytes int) string {
		text := ec.with("x5u", "").String()
		return ec.with("x5u", strings.Repeat("u", bytes-len(text))).String()
	}
	for _, row := range []struct {
		name   string
		header jose.Header
		allow  []jose.Algorithm
		want   error
		reason string
	}{
		{"a key", embedded(t, "ES256", ec.String()), all, nil, ""},
		{"4096 bytes", embedded(t, "ES256", long(4096)), all, nil, ""},
		{"4097 bytes", embedded(t, "ES256", long(4097)), all, jose.ErrMalformed, "longer than 4096 bytes"},
		{"no jwk", parse(t, unsigned(`{"alg":"ES256"}`)).UnverifiedHeader(), all, jose.ErrMalformed, "has no jwk"},
		{"the zero header", jose.Header{}, all, jose.ErrAlgorithm, ""},
		{"null", embedded(t, "ES256", "null"), all, jose.ErrUnusableKey, notObject},
		{"text", embedded(t, "ES256", `"a"`), all, jose.ErrUnusableKey, notObject},
		{"a private key", embedded(t, "ES256", ec.with("d", "AAAA").String()), all, jose.ErrUnusableKey, "private"},
		{"a symmetric key", embedded(t, "ES256", `{"kty":"oct","k":"AAAA"}`), all, jose.ErrUnusableKey, "private"},
		{"a leading zero in n", embedded(t, "RS256", r.with("n", changedBytes(r["n"], zeroInFront)).String()), all, jose.ErrUnusableKey, leadingZero},
		{"a leading zero in e", embedded(t, "RS256", r.with("e", "AAEAAQ").String()), all, jose.ErrUnusableKey, leadingZero},
		{"padding", embedded(t, "ES256", ec.with("x", ec["x"].(string)+"=").String()), all, jose.ErrUnusableKey, encoding},
		{"base64", embedded(t, "RS256", r.with("n", standard(r["n"])).String()), all, jose.ErrUnusableKey, encoding},
		{"key_ops empty", embedded(t, "ES256", ec.with("key_ops", []string{}).String()), all, jose.ErrUnusableKey, keyOps},
		{"oth empty", embedded(t, "RS256", r.with("oth", []string{}).String()), all, jose.ErrUnusableKey, "private"},
		{"d null", embedded(t, "ES256", ec.with("d", nil).String()), all, jose.ErrUnusableKey, "private"},
		{"kid null", embedded(t, "ES256", ec.with("kid", nil).String()), all, jose.ErrUnusableKey, memberType},
		{"alg empty", embedded(t, "ES256", ec.with("alg", "").String()), all, jose.ErrUnusableKey, algMisfit},
		{"use empty", embedded(t, "ES256", ec.with("use", "").String()), all, jose.ErrUnusableKey, use},
		{"algorithm not in the list", embedded(t, "ES256", ec.String()), []jose.Algorithm{jose.PS256}, jose.ErrAlgorithm, ""},
		{"no list", embedded(t, "ES256", ec.String()), nil, jose.ErrAlgorithm, ""},
		{"none", embedded(t, "none", ec.String()), all, jose.ErrAlgorithm, ""},
		{"none, in the list", embedded(t, "none", ec.String()), []jose.Algorithm{0}, jose.ErrAlgorithm, ""},
		{"HMAC", embedded(t, "HS256", ec.String()), all, jose.ErrAlgorithm, ""},
		{"another curve", embedded(t, "ES256", public(p384Key()).String()), []jose.Algorithm{jose.ES256, jose.ES384}, jose.ErrUnusableKey, curveCost},
		{"a key of another type", embedded(t, "ES256", public(edKey()).String()), all, jose.ErrAlgorithm, ""},
		{"alg of the key differs", embedded(t, "PS256", r.with("alg", "RS256").String()), all, jose.ErrAlgorithm, ""},
		{"alg of the key fits", embedded(t, "PS256", r.with("alg", "PS256").String()), all, nil, ""},
		{"8192 bits", embedded(t, "RS256", rsaOf(8192, 65537, 0).String()), all, jose.ErrUnusableKey, rsaBits},
	} {
		t.Run(row.name, func(t *testing.T) {
			key, err := row.header.EmbeddedKey(row.allow)
			expect(t, err, row.want, row.reason)
			if (key == nil) != (row.want != nil) {
				t.Errorf("key %v", key)
			}
		})
	}
}

// TestEmbeddedKeyQuotesNothing covers R-OB-02: an error about the key in a header has no
// text that the sender of the token chose.
func TestEmbeddedKeyQuotesNothing(t *testing.T) {
	const canary = "CANARY"
	ec := public(p256Key())
	for _, key := range []jwk{ec.with("kty", canary), ec.with("crv", canary), ec.with("use", canary), ec.with("alg", canary)} {
		_, err := embedded(t, "ES256", key.String()).EmbeddedKey(all)
		expect(t, err, jose.ErrUnusableKey, "")
		if strings.Contains(err.Error(), canary) {
			t.Error(err)
		}
		if ignored := parseSet(t, all, key.String()).Ignored(); len(ignored) != 1 || !strings.Contains(ignored[0].Reason.Error(), canary) {
			t.Errorf("in a set: %+v", ignored)
		}
	}
	for _, text := range []string{"1", `"CANARY"`, `["CANARY"]`} {
		_, err := embedded(t, "ES256", text).EmbeddedKey(all)
		expect(t, err, jose.ErrUnusableKey, "")
		if strings.Contains(err.Error(), "it is") {
			t.Errorf("%s: %v describes it", text, err)
		}
	}
}

// TestEmbeddedKeyIsNoKeySource covers R-JS-14: a token whose header has a jwk is
// parsed and looked up as it is without, whatever the jwk is.
func TestEmbeddedKeyIsNoKeySource(t *testing.T) {
	attacker := testkey.NewPrivate(jose.ES256)
	set := parseSet(t, all, public(p256Key()).with("kid", "a").String())
	for _, text := range []string{public(attacker).String(), public(attacker).with("d", "AAAA").String(), `null`, `1`, `"` + strings.Repeat("x", 5000) + `"`} {
		for _, kid := range []string{`"kid":"a",`, ``} {
			_, err := verifyToken(set, token(t, jose.ES256, attacker, `{"alg":"ES256",`+kid+`"jwk":`+text+`}`, "{}"))
			expect(t, err, jose.ErrSignature, "")
			_, err = verifyToken(set, token(t, jose.ES256, p256Key(), `{"alg":"ES256",`+kid+`"jwk":`+text+`}`, "{}"))
			expect(t, err, nil, "")
		}
	}
}
