package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// onlyKey returns the key of a set with one key, bound to a.
func onlyKey(tb testing.TB, a jose.Algorithm, key crypto.Signer) *jose.Key {
	tb.Helper()
	set := parseSet(tb, []jose.Algorithm{a}, public(key).String())
	if len(set.Keys()) != 1 || set.Keys()[0].Algorithm() != a {
		tb.Fatalf("no key for %v: %+v", a, set.Ignored())
	}
	return set.Keys()[0]
}

func header(a jose.Algorithm) string { return `{"alg":"` + a.String() + `"}` }

// input returns the signing input of a token under a.
func input(a jose.Algorithm, payload string) string {
	return b64([]byte(header(a))) + "." + b64([]byte(payload))
}

// TestVerify covers R-JS-18: each algorithm verifies signatures of the standard
// library, and none that differs in one bit.
func TestVerify(t *testing.T) {
	others := map[jose.Algorithm]crypto.Signer{
		jose.ES256: testkey.NewPrivate(jose.ES256), jose.ES384: testkey.NewPrivate(jose.ES384), jose.ES512: testkey.NewPrivate(jose.ES512), jose.EdDSA: testkey.NewPrivate(jose.EdDSA),
	}
	for _, a := range all {
		t.Run(a.String(), func(t *testing.T) {
			key := onlyKey(t, a, keyFor(a))
			for _, payload := range []string{"{}", "not JSON", strings.Repeat("x", 10_000)} {
				expect(t, key.Verify(parse(t, token(t, a, keyFor(a), header(a), payload))), nil, "")
			}
			other := others[a]
			if other == nil {
				other = otherRSAKey()
			}
			expect(t, key.Verify(parse(t, token(t, a, other, header(a), "{}"))), jose.ErrSignature, "")

			signed := strings.Split(token(t, a, keyFor(a), header(a), `{"sub":"alice"}`), ".")
			otherPayload := signed[0] + "." + b64([]byte(`{"sub":"mallo"}`)) + "." + signed[2]
			expect(t, key.Verify(parse(t, otherPayload)), jose.ErrSignature, "")
			otherHeader := b64([]byte(`{"alg":"`+a.String()+`","x":1}`)) + "." + signed[1] + "." + signed[2]
			expect(t, key.Verify(parse(t, otherHeader)), jose.ErrSignature, "")

			sig, err := base64.RawURLEncoding.DecodeString(signed[2])
			if err != nil {
				t.Fatal(err)
			}
			for i := range sig {
				changed := slices.Clone(sig)
				changed[i] ^= 1 << (i % 8)
				expect(t, key.Verify(parse(t, signed[0]+"."+signed[1]+"."+b64(changed))), jose.ErrSignature, "")
			}
		})
	}
}

// TestKeyDecidesAlgorithm covers R-JS-03, R-JS-06, R-JS-07 and R-JS-11: each key is
// tried with each algorithm, under a signature that the key itself made in any way
// it can.
func TestKeyDecidesAlgorithm(t *testing.T) {
	for _, bound := range all {
		key := onlyKey(t, bound, keyFor(bound))
		for _, named := range append(slices.Clone(all), 0) {
			name := named.String() // "invalid" for 0
			in := b64([]byte(`{"alg":"`+name+`"}`)) + "." + b64([]byte("{}"))
			// The signature is right for the key's algorithm, so only the
			// comparison with the header refuses.
			err := key.Verify(parse(t, in+"."+b64(signature(t, bound, keyFor(bound), in))))
			if named == bound {
				expect(t, err, nil, "")
			} else {
				expect(t, err, jose.ErrAlgorithm, "")
			}
			// And right for the header, from the same RSA key.
			if named.Valid() && named != bound && keyFor(named) == keyFor(bound) {
				err := key.Verify(parse(t, in+"."+b64(signature(t, named, keyFor(named), in))))
				expect(t, err, jose.ErrAlgorithm, "")
			}
		}
		// Another algorithm's signature under the name of the key's own.
		for _, signing := range all {
			if signing == bound || keyFor(signing) != keyFor(bound) {
				continue
			}
			in := input(bound, "{}")
			err := key.Verify(parse(t, in+"."+b64(signature(t, signing, keyFor(signing), in))))
			expect(t, err, jose.ErrSignature, "")
		}
	}
}

// TestEd25519Names covers R-JS-12: both names of Ed25519 are one algorithm, in the
// key and in the token.
func TestEd25519Names(t *testing.T) {
	for _, inKey := range []string{"EdDSA", "Ed25519"} {
		set := parseSet(t, all, public(edKey()).with("alg", inKey).String())
		for _, inToken := range []string{"EdDSA", "Ed25519"} {
			if _, err := verifyToken(set, token(t, jose.EdDSA, edKey(), `{"alg":"`+inToken+`"}`, "{}")); err != nil {
				t.Errorf("key with %s, token with %s: %v", inKey, inToken, err)
			}
		}
	}
}

// TestECDSASignatures covers R-JS-08: a signature is R‖S of the curve's fixed
// length, with both in range.
func TestECDSASignatures(t *testing.T) {
	for _, a := range []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512} {
		t.Run(a.String(), func(t *testing.T) {
			private := keyFor(a).(*ecdsa.PrivateKey)
			key := onlyKey(t, a, private)
			curve, n := private.Curve, private.Params().N
			in := input(a, "{}")
			good := signature(t, a, private, in)
			size := len(good) / 2
			r, s := new(big.Int).SetBytes(good[:size]), new(big.Int).SetBytes(good[size:])
			der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
			if err != nil {
				t.Fatal(err)
			}
			zero, one := new(big.Int), big.NewInt(1)
			limit := new(big.Int).Lsh(one, uint(8*size))
			rows := map[string][]byte{
				"DER":                        der,
				"DER, padded to the length":  append(slices.Clone(der), make([]byte, max(0, 2*size-len(der)))...),
				"one byte short":             good[:len(good)-1],
				"one byte short in front":    good[1:],
				"two bytes short":            append(slices.Clone(good[1:size]), good[size+1:]...),
				"one byte long":              append(slices.Clone(good), 0),
				"a zero in front of each":    slices.Concat([]byte{0}, good[:size], []byte{0}, good[size:]),
				"R alone":                    good[:size],
				"twice":                      append(slices.Clone(good), good...),
				"one byte":                   {1},
				"R and S exchanged":          raw(curve, s, r),
				"R zero":                     raw(curve, zero, s),
				"S zero":                     raw(curve, r, zero),
				"both zero":                  raw(curve, zero, zero),
				"both one":                   raw(curve, one, one),
				"R = n":                      raw(curve, n, s),
				"S = n":                      raw(curve, r, n),
				"both n":                     raw(curve, n, n),
				"both as large as can be":    slices.Repeat([]byte{0xff}, 2*size),
				"R as large as can be":       append(slices.Repeat([]byte{0xff}, size), good[size:]...),
				"n - R":                      raw(curve, new(big.Int).Sub(n, r), s),
				"length of a smaller curve":  good[:len(good)-32],
				"length of a larger curve":   append(make([]byte, 36), good...),
				"hash of another algorithm":  signatureWith(t, private, crypto.SHA224, in),
				"signature of another input": signature(t, a, private, in+"A"),
			}
			// The same residues beyond n, where the length leaves room (P-521).
			if more := new(big.Int).Add(s, n); more.Cmp(limit) < 0 {
				rows["S + n"] = raw(curve, r, more)
				rows["R + n"] = raw(curve, new(big.Int).Add(r, n), s)
			} else if a == jose.ES512 {
				t.Error("P-521 leaves no room")
			}
			for name, sig := range rows {
				if err := key.Verify(parse(t, in+"."+b64(sig))); err == nil {
					t.Errorf("%s: verifies", name)
				} else {
					expect(t, err, jose.ErrSignature, "")
				}
			}
			// JOSE asks for no low S: both values verify.
			for _, either := range []*big.Int{s, new(big.Int).Sub(n, s)} {
				expect(t, key.Verify(parse(t, in+"."+b64(raw(curve, r, either)))), nil, "")
			}
		})
	}
}

func signatureWith(t *testing.T, key *ecdsa.PrivateKey, hash crypto.Hash, in string) []byte {
	t.Helper()
	der, err := key.Sign(rand.Reader, sum(hash, in), hash)
	if err != nil {
		t.Fatal(err)
	}
	r, s := integers(t, der)
	return raw(key.Curve, r, s)
}

// TestECDSAForms covers R-JS-08: a valid signature verifies, whatever bytes R and S
// begin with. It signs until each form of both has occurred.
func TestECDSAForms(t *testing.T) {
	for _, a := range []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512} {
		t.Run(a.String(), func(t *testing.T) {
			private := keyFor(a).(*ecdsa.PrivateKey)
			key := onlyKey(t, a, private)
			in := input(a, "{}")
			seen := map[string]int{}
			wanted := []string{"R short", "R high", "R low", "S short", "S high", "S low"}
			for range 20_000 {
				sig := signature(t, a, private, in)
				size := len(sig) / 2
				fresh := false
				for name, integer := range map[string][]byte{"R ": sig[:size], "S ": sig[size:]} {
					form := "low"
					trimmed := new(big.Int).SetBytes(integer).Bytes()
					if a != jose.ES512 && len(trimmed) < size || a == jose.ES512 && len(trimmed) < size-1 {
						form = "short"
					} else if trimmed[0]&0x80 != 0 {
						form = "high"
					}
					seen[name+form]++
					fresh = fresh || seen[name+form] < 4
				}
				if fresh {
					expect(t, key.Verify(parse(t, in+"."+b64(sig))), nil, "")
				}
				if !slices.ContainsFunc(wanted, func(form string) bool { return seen[form] == 0 }) {
					return
				}
			}
			t.Errorf("saw only %v", seen)
		})
	}
}

// TestRSASignatures covers R-JS-09 and R-JS-10: RSA signatures are as long as the
// modulus and use the algorithm's own hash and padding.
func TestRSASignatures(t *testing.T) {
	for _, a := range all[:6] {
		key := onlyKey(t, a, rsaKey())
		in := input(a, "{}")
		good := signature(t, a, rsaKey(), in)
		n := rsaKey().N
		rows := map[string][]byte{
			"one byte short":  good[:len(good)-1],
			"one byte long":   append(slices.Clone(good), 0),
			"zero in front":   append([]byte{0}, good...),
			"one byte":        {1},
			"all zero":        make([]byte, len(good)),
			"one":             append(make([]byte, len(good)-1), 1),
			"n":               n.Bytes(),
			"n - 1":           new(big.Int).Sub(n, big.NewInt(1)).Bytes(),
			"signature + n":   new(big.Int).Add(n, new(big.Int).SetBytes(good)).Bytes(),
			"all ones":        slices.Repeat([]byte{0xff}, len(good)),
			"the digest bare": sum(testkey.HashOf(a), in),
		}
		for name, sig := range rows {
			if err := key.Verify(parse(t, in+"."+b64(sig))); err == nil {
				t.Errorf("%v, %s: verifies", a, name)
			} else {
				expect(t, err, jose.ErrSignature, "")
			}
		}
	}
	// A right signature that begins with a zero byte, with and without it.
	key := onlyKey(t, jose.RS256, rsaKey())
	for i := range 20_000 {
		in := input(jose.RS256, strings.Repeat("x", i+1))
		sig := signature(t, jose.RS256, rsaKey(), in)
		if sig[0] != 0 {
			continue
		}
		expect(t, key.Verify(parse(t, in+"."+b64(sig))), nil, "")
		expect(t, key.Verify(parse(t, in+"."+b64(sig[1:]))), jose.ErrSignature, "")
		return
	}
	t.Error("no signature began with a zero byte")
}

// TestEd25519Signatures covers R-JS-11: Ed25519 signatures have 64 bytes, with S
// below the group order.
func TestEd25519Signatures(t *testing.T) {
	key := onlyKey(t, jose.EdDSA, edKey())
	in := input(jose.EdDSA, "{}")
	good := signature(t, jose.EdDSA, edKey(), in)
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	littleEndian := func(b []byte) []byte { b = slices.Clone(b); slices.Reverse(b); return b }
	s := new(big.Int).SetBytes(littleEndian(good[32:]))
	malleated := littleEndian(new(big.Int).Add(s, order).FillBytes(make([]byte, 32)))
	for name, sig := range map[string][]byte{
		"S + L":          append(slices.Clone(good[:32]), malleated...),
		"one byte short": good[:63],
		"one byte long":  append(slices.Clone(good), 0),
		"R alone":        good[:32],
		"one byte":       {0},
		"all zero":       make([]byte, 64),
		"exchanged":      append(slices.Clone(good[32:]), good[:32]...),
	} {
		if err := key.Verify(parse(t, in+"."+b64(sig))); err == nil {
			t.Errorf("%s: verifies", name)
		} else {
			expect(t, err, jose.ErrSignature, "")
		}
	}
	expect(t, key.Verify(parse(t, in+"."+b64(good))), nil, "")
}

// TestHMACOverPublicKeys covers R-JS-05: public keys are not secrets. HS256 over any
// form of a public key is refused before any key is tried.
func TestHMACOverPublicKeys(t *testing.T) {
	for _, signer := range []crypto.Signer{rsaKey(), p256Key(), edKey()} {
		der, err := x509.MarshalPKIXPublicKey(signer.Public())
		if err != nil {
			t.Fatal(err)
		}
		key := public(signer).with("kid", "k")
		set := parseSet(t, all, key.String())
		block := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
		secrets := [][]byte{der, block, []byte(strings.TrimSpace(string(block))), []byte(key.String()), nil}
		for _, name := range []string{"n", "x"} {
			if text, ok := key[name].(string); ok {
				decoded, err := base64.RawURLEncoding.DecodeString(text)
				if err != nil {
					t.Fatal(err)
				}
				secrets = append(secrets, []byte(text), decoded)
			}
		}
		for _, secret := range secrets {
			in := b64([]byte(`{"alg":"HS256","kid":"k"}`)) + "." + b64([]byte("{}"))
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(in))
			u := parse(t, in+"."+b64(mac.Sum(nil)))
			_, err := set.Find(u.UnverifiedHeader())
			expect(t, err, jose.ErrAlgorithm, "")
			expect(t, set.Keys()[0].Verify(u), jose.ErrAlgorithm, "")
		}
	}
}

// TestHeaderKeysAreNoKeys covers R-JS-14: keys in the header are not used.
func TestHeaderKeysAreNoKeys(t *testing.T) {
	set := parseSet(t, all, public(p256Key()).with("kid", "k").String())
	attacker := testkey.NewPrivate(jose.ES256)
	x5c := selfSigned(t, attacker)
	for _, member := range []string{
		`"jwk":` + public(attacker).String(),
		`"jwk":` + public(attacker).with("kid", "k").String(),
		`"jku":"https://attacker.example/jwks"`,
		`"x5u":"https://attacker.example/chain.pem"`,
		`"x5c":["` + x5c + `"]`,
		`"x5t":"AAAA"`,
		`"x5t#S256":"AAAA"`,
		`"jwk":1,"jku":2,"x5u":3,"x5c":4`,
	} {
		for _, kid := range []string{"", `,"kid":"k"`} {
			text := `{"alg":"ES256"` + kid + `,` + member + `}`
			_, err := verifyToken(set, token(t, jose.ES256, attacker, text, "{}"))
			expect(t, err, jose.ErrSignature, "")
			// They do not spoil a token of the issuer either.
			_, err = verifyToken(set, token(t, jose.ES256, p256Key(), text, "{}"))
			expect(t, err, nil, "")
		}
	}
}

// TestZeroVerifiesNothing checks that zero values verify nothing.
func TestZeroVerifiesNothing(t *testing.T) {
	good := parse(t, token(t, jose.ES256, p256Key(), header(jose.ES256), "{}"))
	var none *jose.Key
	expect(t, none.Verify(good), jose.ErrUnknownKey, "")
	expect(t, new(jose.Key).Verify(good), jose.ErrUnknownKey, "")
	expect(t, new(jose.Key).Verify(new(jose.Unverified)), jose.ErrUnknownKey, "")
	for _, a := range all {
		expect(t, onlyKey(t, a, keyFor(a)).Verify(new(jose.Unverified)), jose.ErrAlgorithm, "")
	}
	_, err := new(jose.Set).Find(good.UnverifiedHeader())
	expect(t, err, jose.ErrUnknownKey, "")
	_, err = parseSet(t, all, public(p256Key()).String()).Find(jose.Header{})
	expect(t, err, jose.ErrAlgorithm, "")
}
