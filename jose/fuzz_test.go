package jose_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// FuzzParseCompact covers R-JS-01 and R-JS-02: an accepted token has one encoding.
// Its three parts, encoded again, are the token.
func FuzzParseCompact(f *testing.F) {
	h, p := b64([]byte(`{"alg":"ES256","kid":"k","typ":"at+jwt"}`)), b64([]byte(`{"sub":"a"}`))
	for _, seed := range []string{
		"", ".", "..", "...", "....", "a.b.c", "e30.e30.e30", h + "." + p + ".AA", h + "." + p + ".AB", h + "." + p + ".AA==",
		h + "." + p + ".", h + ".." + "AA", h + "\n." + p + ".AA", h + "." + p + "\r\n.AA", h + "." + p + ".AA.AA.AA",
		`{"payload":"e30","protected":"` + h + `","signature":"AA"}`, unsigned(`{"alg":"ES256","crit":["b64"],"b64":false}`),
		unsigned(`{"alg":"ES256","alg":"none"}`), unsigned("\ufeff{}"), unsigned(` { } `), unsigned(`{"kid":"\u00e9\ud83d\ude00"}`),
		"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
		"eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ.",
	} {
		f.Add(seed)
	}
	set := parseSet(f, all, public(p256Key()).with("kid", "k").String(), public(edKey()).String())

	f.Fuzz(func(t *testing.T, token string) {
		u, err := jose.ParseCompact(token)
		if err != nil {
			if !errors.Is(err, jose.ErrMalformed) {
				t.Errorf("error %v", err)
			}
			return
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			t.Fatalf("%d segments accepted", len(parts))
		}
		for i, part := range parts {
			decoded, ok := lenient(part)
			if !ok || b64(decoded) != part || part == "" {
				t.Errorf("segment %d is %q, which decodes to %q", i, part, decoded)
			}
		}
		if b64([]byte(u.UnverifiedPayload())) != parts[1] {
			t.Errorf("payload %q", u.UnverifiedPayload())
		}
		var members map[string]json.RawMessage
		header, _ := lenient(parts[0])
		if err := json.Unmarshal(header, &members); err != nil {
			t.Fatalf("encoding/json reads no object in the header %q: %v", header, err)
		}
		for _, name := range []string{"crit", "b64"} {
			if _, there := members[name]; there {
				t.Errorf("the header has %s", name)
			}
		}
		checkText(t, members["kid"], u.UnverifiedHeader().KeyID)
		checkText(t, members["typ"], u.UnverifiedHeader().Type)
		keys, err := set.Find(u.UnverifiedHeader())
		if (err == nil) != (len(keys) > 0) || len(keys) > 4 {
			t.Errorf("found %d keys and %v", len(keys), err)
		}
		for _, key := range keys {
			if err := key.Verify(&u); err == nil {
				t.Error("a signature out of nothing")
			}
		}
	})
}

// lenient decodes base64url without the code under test. It ignores characters
// outside the alphabet and unused bits.
func lenient(segment string) ([]byte, bool) {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	var out []byte
	bits, n := 0, 0
	for _, c := range []byte(segment) {
		value := strings.IndexByte(alphabet, c)
		if value < 0 {
			return nil, false
		}
		if bits, n = bits<<6|value, n+6; n >= 8 {
			n -= 8
			out = append(out, byte(bits>>n))
			bits &= 1<<n - 1
		}
	}
	return out, true
}

// checkText compares a member with the one that encoding/json reads.
func checkText(t *testing.T, member json.RawMessage, got func() (string, bool)) {
	t.Helper()
	var want *string
	if member == nil || json.Unmarshal(member, &want) != nil {
		want = nil // absent, or not a string
	}
	text, ok := got()
	if ok != (want != nil) || want != nil && text != *want {
		t.Errorf("%s reads as %q, %v", member, text, ok)
	}
}

// FuzzParseSet covers R-JK-05, R-JK-16, R-JK-17 and R-JS-10: every element is usable
// or ignored, and a usable key has the values and the thumbprint that encoding/json
// reads.
func FuzzParseSet(f *testing.F) {
	// The keys of RFC 7638 §3.1, RFC 7515 A.3 and RFC 8037 A.2: seeds stay the same.
	r := jwk{"kty": "RSA", "e": "AQAB", "n": rfc7638Modulus}
	ec := jwk{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
	ed := jwk{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
	for _, keys := range [][]string{
		{},
		{r.String(), ec.String(), ed.String()},
		{r.with("alg", "PS256").with("use", "sig").with("kid", "a").String(), r.with("alg", "RS256").String()},
		{ec.with("key_ops", []string{"verify"}).with("x5c", []string{"AAAA"}).String(), `null`, `[[],{"a":["]"]}]`, `"\"],"`},
		{ed.with("d", "AA").String(), ed.with("kid", 1).String(), ec.with("crv", "P-384").String()},
		{r.with("e", "AQ").String(), r.with("n", oddModulus(1024)).String(), `{"kty":"oct","k":"AA"}`, `{"kty":"OKP","crv":"Ed448","x":"AA"}`},
		{`{"kty":"O\u004bP","crv":"Ed25519","x":"\u0031AAA"}`},
		{r.with("e", "AAEAAQ==").with("alg", "").with("d", nil).with("oth", []string{}).String(), r.with("alg", "RS512").String(), r.with("alg", "RS384").String()},
	} {
		f.Add(document(keys...))
	}
	f.Add([]byte(`{"keys":[],"keys":[]}`))
	f.Add([]byte(`{"KEYS":[]}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		set, err := jose.ParseSet(doc, all)
		if err != nil {
			if !errors.Is(err, jose.ErrNotJWKS) || set != nil {
				t.Errorf("%v, %v", set, err)
			}
			return
		}
		var top map[string]json.RawMessage // not a struct, whose fields would match KEYS
		var elements []json.RawMessage
		if err := json.Unmarshal(bytes.TrimPrefix(doc, []byte("\ufeff")), &top); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		if err := json.Unmarshal(top["keys"], &elements); err != nil || len(elements) > 1000 {
			t.Fatalf("%d elements, encoding/json: %v", len(elements), err)
		}
		keys, ignored := set.Keys(), set.Ignored()
		if len(keys)+len(ignored) != len(elements) {
			t.Fatalf("%d keys and %d ignored of %d", len(keys), len(ignored), len(elements))
		}
		for i, element := range elements {
			if len(ignored) > 0 && ignored[0].Index == i {
				if !errors.Is(ignored[0].Reason, jose.ErrUnusableKey) {
					t.Errorf("reason %v", ignored[0].Reason)
				}
				ignored = ignored[1:]
				continue
			}
			checkUsable(t, keys[0], element)
			keys = keys[1:]
		}
	})
}

// checkUsable compares a usable key with the JWK that encoding/json reads.
func checkUsable(t *testing.T, key *jose.Key, element json.RawMessage) {
	t.Helper()
	if !key.Algorithm().Valid() {
		t.Errorf("algorithm %d", key.Algorithm())
	}
	var members map[string]any
	if err := json.Unmarshal(element, &members); err != nil {
		t.Fatalf("encoding/json: %v", err)
	}
	maps.DeleteFunc(members, func(_ string, value any) bool { return value == nil })
	required := map[string]string{"RSA": "e kty n", "EC": "crv kty x y", "OKP": "crv kty x"}[members["kty"].(string)]
	if required == "" {
		t.Fatalf("kty %v is usable", members["kty"])
	}
	pairs := make([]string, 0, 4)
	for name := range strings.FieldsSeq(required) {
		pairs = append(pairs, fmt.Sprintf("%q:%q", name, canonical(name, members[name].(string))))
	}
	hash := sha256.Sum256([]byte("{" + strings.Join(pairs, ",") + "}"))
	if key.Thumbprint() != b64(hash[:]) {
		t.Errorf("thumbprint %s of %s", key.Thumbprint(), element)
	}
	id, has := key.ID()
	if kid, there := members["kid"]; has != there || there && id != kid {
		t.Errorf("kid %q, %v of %s", id, has, element)
	}
	if alg, there := members["alg"]; there && alg != "" && alg != key.Algorithm().String() && alg != "Ed25519" {
		t.Errorf("%v of %s", key.Algorithm(), element)
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if value, there := members[name]; there && fmt.Sprint(value) != "" && fmt.Sprint(value) != "[]" {
			t.Errorf("a key with %s is usable", name)
		}
	}
}

// canonical returns a member of a JWK as RFC 7518 writes it.
func canonical(name, text string) string {
	if name == "kty" || name == "crv" {
		return text
	}
	text = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(text)
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return err.Error()
	}
	if name == "n" || name == "e" {
		b = bytes.TrimLeft(b, "\x00")
	}
	return b64(b)
}
