package jose_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// Parts of the reasons for which a key is ignored.
const (
	notObject   = "not one JSON object"
	memberType  = "and must be "
	private     = "private or symmetric key material"
	keyIDLength = "kid is longer than 256 bytes"
	use         = "use is not sig"
	keyOps      = "key_ops lacks verify"
	algMisfit   = "does not fit the key type"
	unpinned    = "no RSA algorithm to bind it to"
	keyType     = "kty or crv is not supported"
	encoding    = "is missing or not base64url"
	length      = "full length of its curve"
	leadingZero = "leading zero bytes (RFC"
	modulus     = "RSA modulus"
	exponent    = "RSA exponent is even, below 3 or above 2^31-1"
	point       = "not on its curve"
	smallOrder  = "small order"
)

// oddModulus returns an odd number of that many bits. Its factors are not needed,
// because importing a key checks only the size and the parity.
func oddModulus(bits int) string {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return b64(n.SetBit(n, 0, 1).Bytes())
}

// changedBytes returns a base64url parameter with its bytes changed.
func changedBytes(parameter any, change func(b []byte) []byte) string {
	b, err := base64.RawURLEncoding.DecodeString(parameter.(string))
	if err != nil {
		panic(err)
	}
	return b64(change(b))
}

func zeroInFront(b []byte) []byte { return append([]byte{0}, b...) }
func shortened(b []byte) []byte   { return b[:len(b)-1] }
func lengthened(b []byte) []byte  { return append(b, 0) }
func flipped(b []byte) []byte     { b[len(b)-1] ^= 1; return b }

// TestKeyIgnored covers R-JK-05, R-JK-06, R-JK-07, R-JK-17, R-JS-06, R-JS-10,
// R-JS-11, R-JS-12 and R-JS-17: a key that cannot be used is ignored with its
// reason, and the other keys are used.
func TestKeyIgnored(t *testing.T) {
	r, ec, ed := public(rsaKey()), public(p256Key()), public(edKey())
	p384, p521 := public(p384Key()), public(p521Key())
	tests := []struct {
		name, key, reason string
	}{
		// The element itself.
		{"a string", `"key"`, notObject},
		{"null", `null`, notObject},
		{"an array", `[` + ec.String() + `]`, notObject},
		{"a number", `7`, notObject},
		{"duplicate member", strings.Replace(ec.String(), `"kty"`, `"kty":"EC","kty"`, 1), notObject},
		{"duplicate member, escaped", strings.Replace(ec.String(), `"kty"`, `"k\u0074y":"RSA","kty"`, 1), notObject},
		{"duplicate kid", strings.Replace(ec.String(), `{`, `{"kid":"a","kid":"b",`, 1), notObject},
		{"invalid UTF-8", strings.Replace(ec.String(), `{`, "{\"x5u\":\"\xff\",", 1), notObject},
		{"17 deep", strings.Replace(ec.String(), `{`, `{"a":`+strings.Repeat("[", 16)+strings.Repeat("]", 16)+`,`, 1), notObject},

		// Types of members.
		{"kid a number", ec.with("kid", 1).String(), memberType},
		{"kty a number", ec.with("kty", 1).String(), memberType},
		{"kty an array", ec.with("kty", []string{"EC"}).String(), memberType},
		{"crv a number", ec.with("crv", 256).String(), memberType},
		{"alg an array", ec.with("alg", []string{"ES256"}).String(), memberType},
		{"use an array", ec.with("use", []string{"sig"}).String(), memberType},
		{"key_ops a string", ec.with("key_ops", "verify").String(), memberType},
		{"key_ops of numbers", ec.with("key_ops", []any{"verify", 1}).String(), memberType},
		{"kid a number before a list", `{"kid":1,"key_ops":["verify"],` + ec.String()[1:], memberType},
		{"n a number", r.with("n", 65537).String(), memberType},
		{"e a number", r.with("e", 65537).String(), memberType},
		{"x a number", ec.with("x", 1).String(), memberType},
		{"y null", ec.with("y", nil).String(), encoding},
		{"y an object, in a key that has no use for it", ed.with("y", jwk{}).String(), memberType},

		// Key types.
		{"no kty", ec.without("kty").String(), keyType},
		{"empty object", `{}`, keyType},
		{"unknown kty", ec.with("kty", "ML-KEM").String(), keyType},
		{"AKP", jwk{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AAAA"}.String(), keyType},
		{"kty in lower case", ec.with("kty", "ec").String(), keyType},
		{"RSA in lower case", r.with("kty", "rsa").String(), keyType},
		{"no crv", ec.without("crv").String(), keyType},
		{"crv in another spelling", ec.with("crv", "p-256").String(), keyType},
		{"secp256k1", ec.with("crv", "secp256k1").with("alg", "ES256K").String(), keyType},
		{"P-224", ec.with("crv", "P-224").String(), keyType},
		{"P-256 as OKP", ec.with("kty", "OKP").String(), keyType},
		{"Ed25519 as EC", ed.with("kty", "EC").String(), keyType},
		{"Ed448", jwk{"kty": "OKP", "crv": "Ed448", "x": b64(make([]byte, 57))}.String(), keyType},
		{"Ed448 with alg EdDSA", jwk{"kty": "OKP", "crv": "Ed448", "alg": "EdDSA", "x": b64(make([]byte, 57))}.String(), keyType},
		{"X25519", ed.with("crv", "X25519").String(), keyType},

		// RSA parameters.
		{"no n", r.without("n").String(), encoding},
		{"no e", r.without("e").String(), encoding},
		{"empty n", r.with("n", "").String(), encoding},
		{"empty e", r.with("e", "").String(), encoding},
		{"padded e", r.with("e", "AQAB=").String(), encoding},
		{"e with LF", r.with("e", "AQAB\n").String(), encoding},
		{"n with LF", r.with("n", r["n"].(string)+"\n").String(), encoding},
		{"n in two alphabets, with a line break", r.with("n", "+/\n"+r["n"].(string)).String(), encoding},
		{"padding before the end", r.with("e", "AQ==AQAB").String(), encoding},
		{"padding alone", r.with("e", "====").String(), encoding},
		{"too much padding", r.with("n", "AQA=====").String(), encoding},
		{"e with trailing bits", r.with("e", "AB").String(), encoding},
		{"n zero", r.with("n", "AA").String(), modulus},
		{"e zero", r.with("e", "AAAA").String(), exponent},
		{"2047 bits behind a zero", r.with("n", changedBytes(oddModulus(2047), zeroInFront)).String(), modulus},
		{"1024 bits", r.with("n", oddModulus(1024)).String(), modulus},
		{"2047 bits", r.with("n", oddModulus(2047)).String(), modulus},
		{"8193 bits", r.with("n", oddModulus(8193)).String(), modulus},
		{"16384 bits", r.with("n", oddModulus(16384)).String(), modulus},
		{"even modulus", r.with("n", changedBytes(r["n"], flipped)).String(), modulus},
		{"exponent 1", r.with("e", "AQ").String(), exponent},
		{"exponent 2", r.with("e", "Ag").String(), exponent},
		{"even exponent", r.with("e", "AQAA").String(), exponent},
		{"exponent 2^31+1", r.with("e", b64([]byte{0x80, 0, 0, 1})).String(), exponent},
		{"exponent 2^63+1", r.with("e", b64([]byte{0x80, 0, 0, 0, 0, 0, 0, 1})).String(), exponent},
		{"exponent 2^64+3", r.with("e", b64([]byte{1, 0, 0, 0, 0, 0, 0, 0, 3})).String(), exponent},
		{"exponent as long as the modulus", r.with("e", oddModulus(2048)).String(), exponent},

		// Coordinates.
		{"no x", ec.without("x").String(), encoding},
		{"no y", ec.without("y").String(), encoding},
		{"x with half of its padding", p384.with("x", p384["x"].(string)+"=").String(), encoding},
		{"y with CR", ec.with("y", ec["y"].(string)+"\r").String(), encoding},
		{"short x", ec.with("x", changedBytes(ec["x"], shortened)).String(), length},
		{"short y", ec.with("y", changedBytes(ec["y"], shortened)).String(), length},
		{"x with a zero in front", ec.with("x", changedBytes(ec["x"], zeroInFront)).String(), length},
		{"y with a zero in front", ec.with("y", changedBytes(ec["y"], zeroInFront)).String(), length},
		{"long x", p521.with("x", changedBytes(p521["x"], lengthened)).String(), length},
		{"P-384 point as P-256", p384.with("crv", "P-256").String(), length},
		{"P-256 point as P-384", ec.with("crv", "P-384").String(), length},
		{"P-521 coordinate of 65 bytes", p521.with("y", changedBytes(p521["y"], shortened)).String(), length},
		{"off the curve", ec.with("y", changedBytes(ec["y"], flipped)).String(), point},
		{"P-521 off the curve", p521.with("y", changedBytes(p521["y"], flipped)).String(), point},
		{"x and y exchanged", ec.with("x", ec["y"]).with("y", ec["x"]).String(), point},
		{"point of zeros", ec.with("x", b64(make([]byte, 32))).with("y", b64(make([]byte, 32))).String(), point},
		{"coordinates beyond the field", ec.with("x", b64([]byte(strings.Repeat("\xff", 32)))).String(), point},
		{"Ed25519 without x", ed.without("x").String(), encoding},
		{"Ed25519 with too much padding", ed.with("x", ed["x"].(string)+"==").String(), encoding},
		{"short Ed25519", ed.with("x", changedBytes(ed["x"], shortened)).String(), length},
		{"long Ed25519", ed.with("x", changedBytes(ed["x"], lengthened)).String(), length},
		{"empty Ed25519", ed.with("x", "").String(), encoding},

		// Purpose.
		{"use enc", ec.with("use", "enc").String(), use},
		{"use in upper case", ec.with("use", "SIG").String(), use},
		{"use unknown", ec.with("use", "sign").String(), use},
		{"use enc beside key_ops verify", ec.with("use", "enc").with("key_ops", []string{"verify"}).String(), use},
		{"key_ops sign", ec.with("key_ops", []string{"sign"}).String(), keyOps},
		{"key_ops in upper case", ec.with("key_ops", []string{"VERIFY"}).String(), keyOps},
		{"key_ops repeats verify", ec.with("key_ops", []string{"verify", "verify"}).String(), keyOps},
		{"key_ops repeats another", ec.with("key_ops", []string{"verify", "x", "x"}).String(), keyOps},
		{"key_ops encrypt", r.with("key_ops", []string{"encrypt"}).String(), keyOps},
		{"key_ops contradicts use", r.with("use", "sig").with("key_ops", []string{"verify", "encrypt"}).String(), keyOps},
		{"key_ops unknown contradicts use", r.with("use", "sig").with("key_ops", []string{"x", "verify"}).String(), keyOps},

		// Algorithm.
		{"alg of another curve", ec.with("alg", "ES384").String(), algMisfit},
		{"alg of another type", ec.with("alg", "RS256").String(), algMisfit},
		{"RSA with an EC alg", r.with("alg", "ES256").String(), algMisfit},
		{"RSA with EdDSA", r.with("alg", "EdDSA").String(), algMisfit},
		{"RSA key for encryption", r.with("alg", "RSA-OAEP").String(), algMisfit},
		{"RSA key for HMAC", r.with("alg", "HS256").String(), algMisfit},
		{"alg none", ec.with("alg", "none").String(), algMisfit},
		{"alg of white space", ec.with("alg", " ").String(), algMisfit},
		{"alg in lower case", ec.with("alg", "es256").String(), algMisfit},
		{"Ed25519 with Ed448", ed.with("alg", "Ed448").String(), algMisfit},
		{"Ed25519 with ES256", ed.with("alg", "ES256").String(), algMisfit},
		{"EC with EdDSA", ec.with("alg", "EdDSA").String(), algMisfit},

		// Key ids.
		{"kid of 257 bytes", ec.with("kid", strings.Repeat("k", 257)).String(), keyIDLength},
		{"kid of 129 letters of two bytes", ec.with("kid", strings.Repeat("é", 129)).String(), keyIDLength},

		// Points under which anyone can sign.
		{"point of order 1", ed.with("x", b64(append([]byte{1}, make([]byte, 31)...))).String(), smallOrder},
		{"point of order 4", ed.with("x", b64(make([]byte, 32))).String(), smallOrder},
		{"point of order 4, with the other sign", ed.with("x", b64(append(make([]byte, 31), 0x80))).String(), smallOrder},
	}
	good := testkey.NewPrivate(jose.EdDSA)
	signed := token(t, jose.EdDSA, good, `{"alg":"EdDSA","kid":"good"}`, "{}")
	seen := map[string]bool{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			seen[tt.reason] = true
			set := parseSet(t, all, public(good).with("kid", "good").String(), tt.key)
			if _, err := verifyToken(set, signed); err != nil {
				t.Errorf("the good key beside it: %v", err)
			}
			if n := len(set.Keys()); n != 1 {
				t.Fatalf("%d usable keys, want the good one: %s", n, tt.key)
			}
			ignored := set.Ignored()
			if len(ignored) != 1 || ignored[0].Index != 1 || ignored[0].Private {
				t.Fatalf("ignored %+v", ignored)
			}
			expect(t, ignored[0].Reason, jose.ErrUnusableKey, tt.reason)
		})
	}
	for _, reason := range []string{notObject, memberType, keyIDLength, use, keyOps, algMisfit, keyType, encoding, length, modulus, exponent, point, smallOrder} {
		if !seen[reason] {
			t.Errorf("no row for %q", reason)
		}
	}
}

// TestKeyPrivate covers R-JK-07: published private key material is reported,
// whatever else is wrong with the key.
func TestKeyPrivate(t *testing.T) {
	r, ec := public(rsaKey()).with("kid", "leaked"), public(p256Key()).with("kid", "leaked")
	keys := map[string]string{
		"oct":                 jwk{"kty": "oct", "kid": "leaked", "k": "c2VjcmV0"}.String(),
		"oct without k":       jwk{"kty": "oct", "kid": "leaked"}.String(),
		"oct and a number":    jwk{"kty": "oct", "kid": "leaked", "x": 1}.String(),
		"wrong type of d":     ec.with("d", 1).String(),
		"d a list":            ec.with("d", []string{""}).String(),
		"d an object":         ec.with("d", jwk{}).String(),
		"d false":             ec.with("d", false).String(),
		"oth of one":          r.with("oth", []jwk{{}}).String(),
		"d, and oth empty":    r.with("d", "AA").with("oth", []string{}).String(),
		"d escaped":           strings.Replace(ec.with("d", "AA").String(), `"d"`, `"\u0064"`, 1),
		"and a wrong type":    ec.with("d", "AA").with("alg", 1).String(),
		"and use enc":         ec.with("d", "AA").with("use", "enc").String(),
		"and an unknown type": ec.with("d", "AA").with("kty", "X").String(),
		"AKP":                 jwk{"kty": "AKP", "kid": "leaked", "alg": "ML-DSA-44", "priv": "AA"}.String(),
	}
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		keys["RSA with "+name] = r.with(name, "AA").String()
	}
	signed := token(t, jose.EdDSA, edKey(), `{"alg":"EdDSA"}`, "{}")
	for name, key := range keys {
		t.Run(name, func(t *testing.T) {
			set := parseSet(t, all, key, public(edKey()).String())
			if _, err := verifyToken(set, signed); err != nil {
				t.Errorf("the good key beside it: %v", err)
			}
			ignored := set.Ignored()
			if len(set.Keys()) != 1 || len(ignored) != 1 || ignored[0].Index != 0 || ignored[0].KeyID != "leaked" || !ignored[0].Private {
				t.Fatalf("ignored %+v", ignored)
			}
			expect(t, ignored[0].Reason, jose.ErrUnusableKey, private)
		})
	}
}

// TestIgnoredKeys checks that an ignored key has its position, and its kid if that
// could be read.
func TestIgnoredKeys(t *testing.T) {
	ec := public(p256Key())
	set := parseSet(
		t, all,
		`"x"`,
		ec.with("kid", "a").with("use", "enc").String(),
		public(edKey()).String(),
		ec.with("kid", "b").with("d", "c2VjcmV0").String(),
		ec.with("kid", 5).String(),
		ec.with("kid", "c").String(),
		ec.with("kid", "d").with("key_ops", []string{"encrypt"}).String(),
	)
	want := []struct {
		index    int
		keyID    string
		private  bool
		otherUse bool
		reason   string
	}{
		{0, "", false, false, notObject},
		{1, "a", false, true, use},
		{3, "b", true, false, private},
		{4, "", false, false, memberType},
		{6, "d", false, true, keyOps},
	}
	ignored := set.Ignored()
	if len(ignored) != len(want) || len(set.Keys()) != 2 {
		t.Fatalf("%d keys, ignored %+v", len(set.Keys()), ignored)
	}
	for i, got := range ignored {
		if got.Index != want[i].index || got.KeyID != want[i].keyID || got.Private != want[i].private || got.OtherUse != want[i].otherUse {
			t.Errorf("ignored %+v, want %+v", got, want[i])
		}
		expect(t, got.Reason, jose.ErrUnusableKey, want[i].reason)
		if strings.Contains(fmt.Sprintf("%+v", got), "c2VjcmV0") {
			t.Errorf("ignored %+v holds key material", got)
		}
	}
	ignored[0].Index, set.Keys()[0] = 99, nil
	if set.Ignored()[0].Index != 0 || set.Keys()[0] == nil {
		t.Error("the set can be changed from outside")
	}
}

// TestKeyUsable covers R-JK-06, R-JK-17, R-JS-10, R-JS-12 and R-JS-17: members that
// a usable key may have.
func TestKeyUsable(t *testing.T) {
	r, ec, ed := public(rsaKey()), public(p256Key()), public(edKey())
	tests := []struct {
		name, key string
		want      jose.Algorithm
	}{
		{"RSA", r.String(), jose.RS256},
		{"RSA with alg", r.with("alg", "PS384").String(), jose.PS384},
		{"2048 bits", r.with("n", oddModulus(2048)).String(), jose.RS256},
		{"4096 bits", r.with("n", oddModulus(4096)).String(), jose.RS256},
		{"exponent 3", r.with("e", "Aw").String(), jose.RS256},
		{"exponent 17", r.with("e", "EQ").String(), jose.RS256},
		{"P-256", ec.String(), jose.ES256},
		{"P-384", public(p384Key()).String(), jose.ES384},
		{"P-521", public(p521Key()).with("alg", "ES512").String(), jose.ES512},
		{"Ed25519", ed.String(), jose.EdDSA},
		{"Ed25519 by its new name", ed.with("alg", "Ed25519").String(), jose.EdDSA},
		{"Ed25519 by its old name", ed.with("alg", "EdDSA").String(), jose.EdDSA},
		{"use sig", ec.with("use", "sig").String(), jose.ES256},
		{"key_ops verify", ec.with("key_ops", []string{"verify"}).String(), jose.ES256},
		{"key_ops sign and verify", ec.with("key_ops", []string{"sign", "verify"}).with("use", "sig").String(), jose.ES256},
		{"key_ops unknown, without use", ec.with("key_ops", []string{"x", "verify"}).String(), jose.ES256},
		{"unknown members", ec.with("x5t", 1).with("iat", 5).with("exp", nil).with("D", "x").String(), jose.ES256},
		{"coordinate of another type", ed.with("y", "AAAA").String(), jose.EdDSA},
		{"kid of 256 bytes", ec.with("kid", strings.Repeat("k", 256)).String(), jose.ES256},

		// What a member that is null says is what an absent one says.
		{"kid null", ec.with("kid", nil).String(), jose.ES256},
		{"alg null", r.with("alg", nil).String(), jose.RS256},
		{"use null", ec.with("use", nil).String(), jose.ES256},
		{"key_ops null", ec.with("key_ops", nil).String(), jose.ES256},
		{"x5c null", ec.with("x5c", nil).with("x5t", nil).with("x5u", nil).String(), jose.ES256},
		{"crv, x and y null in an RSA key", r.with("crv", nil).with("x", nil).with("y", nil).String(), jose.RS256},
		{"private members null", r.with("d", nil).with("p", nil).with("q", nil).with("oth", nil).with("k", nil).String(), jose.RS256},
		{"alg empty", r.with("alg", "").String(), jose.RS256},
		{"alg empty, of a curve", ec.with("alg", "").String(), jose.ES256},
		{"use empty", ec.with("use", "").String(), jose.ES256},
		{"key_ops empty", ec.with("key_ops", []string{}).String(), jose.ES256},
		{"lists that are empty", r.with("key_ops", []string{}).with("oth", []string{}).with("x5c", []string{}).String(), jose.RS256},
		{"private members empty", r.with("d", "").with("p", "").with("k", "").String(), jose.RS256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := parseSet(t, all, tt.key)
			if len(set.Ignored()) != 0 || len(set.Keys()) != 1 {
				t.Fatalf("ignored %+v", set.Ignored())
			}
			if got := set.Keys()[0].Algorithm(); got != tt.want {
				t.Errorf("algorithm %v, want %v", got, tt.want)
			}
		})
	}
}

// TestParseSet covers R-JK-04: a document that is not a JWK Set is an error, and an
// empty set is not.
func TestParseSet(t *testing.T) {
	ed := public(edKey()).String()
	repeated := func(n int) string { return strings.TrimSuffix(strings.Repeat(ed+",", n), ",") }
	tests := []struct {
		name, document, detail string
		keys, ignored          int // if detail is empty
	}{
		{name: "nothing", document: "", detail: "found an empty document (0 bytes)"},
		{name: "HTML", document: "<html>", detail: "found HTML or XML (6 bytes)"},
		{name: "array", document: "[" + ed + "]", detail: "not an object"},
		{name: "null", document: "null", detail: "not an object"},
		{name: "string", document: `"keys"`, detail: "not an object"},
		{name: "one key", document: ed, detail: "a single key"},
		{name: "empty object", document: "{}", detail: "no member keys"},
		{name: "metadata", document: `{"issuer":"https://as.example","jwks_uri":"https://as.example/keys"}`, detail: "the metadata of an issuer"},
		{name: "KEYS", document: `{"KEYS":[` + ed + `]}`, detail: "no member keys"},
		{name: "keys null", document: `{"keys":null}`, detail: "keys, which is null"},
		{name: "keys an object", document: `{"keys":{"0":` + ed + `}}`, detail: "keys, which is an object"},
		{name: "keys a string", document: `{"keys":"[]"}`, detail: "keys, which is a string"},
		{name: "keys twice", document: `{"keys":[` + ed + `],"keys":[]}`, detail: "a member name that occurs twice"},
		{name: "keys twice, escaped", document: `{"keys":[],"k\u0065ys":[` + ed + `]}`, detail: "a member name that occurs twice"},
		{name: "another member twice", document: `{"a":1,"keys":[` + ed + `],"a":1}`, detail: "a member name that occurs twice"},
		{name: "cut off", document: `{"keys":[` + ed + `]`, detail: "an end in the middle"},
		{name: "cut off in a key", document: `{"keys":[{"kty":`, detail: "an end in the middle, after 16 bytes"},
		{name: "trailing bytes", document: `{"keys":[` + ed + `]}x`, detail: "text after the end of the value"},
		{name: "trailing document", document: `{"keys":[` + ed + `]} {}`, detail: "text after the end of the value"},
		{name: "two BOMs", document: "\ufeff\ufeff" + `{"keys":[]}`, detail: "a byte order mark"},
		{name: "a BOM after white space", document: " \ufeff" + `{"keys":[]}`, detail: "not UTF-8, or a character outside of a string"},
		{name: "UTF-16", document: "{\x00\"\x00k\x00e\x00y\x00s\x00\"\x00:\x00[\x00]\x00}\x00", detail: "write it in UTF-8"},
		{name: "UTF-16 with a BOM", document: "\xff\xfe{\x00\"\x00", detail: "write it in UTF-8"},
		{name: "UTF-16, big-endian", document: "\xfe\xff\x00{\x00}", detail: "write it in UTF-8"},
		{name: "UTF-16, big-endian, without a BOM", document: "\x00{\x00}", detail: "write it in UTF-8"},
		{name: "PEM", document: "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n", detail: "convert the key to a JWK Set"},
		{name: "certificates by kid", document: `{"a1":"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"}`, detail: "name the JWK Set of the issuer"},
		{name: "an array of keys", document: " [" + ed + "]", detail: `put {"keys": before them and } behind`},
		{name: "1001 keys", document: `{"keys":[` + repeated(1001) + `]}`, detail: "more than 1000 keys"},
		{name: "1001 elements that are no keys", document: `{"keys":[` + strings.Repeat("1,", 1000) + `1]}`, detail: "more than 1000 keys"},
		{name: "empty set", document: `{"keys":[]}`},
		{name: "no usable key", document: `{"keys":[1,2]}`, ignored: 2},
		{name: "1000 keys", document: `{"keys":[` + repeated(1000) + `]}`, keys: 1000},
		{name: "BOM", document: "\ufeff" + `{"keys":[` + ed + `]}`, keys: 1},
		{name: "certificates beside the keys", document: `{"a1":"-----BEGIN CERTIFICATE-----","kty":"RSA","jwks_uri":"x","keys":[` + ed + `]}`, keys: 1},
		{name: "other members", document: ` { "iss":"x", "a":{"b":1,"b":2}, "keys" : [ ` + ed + ` , 1 ] } ` + "\n", keys: 1, ignored: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set, err := jose.ParseSet([]byte(tt.document), all)
			if tt.detail != "" {
				expect(t, err, jose.ErrNotJWKS, tt.detail)
				if set != nil {
					t.Error("a set beside the error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if k, i := len(set.Keys()), len(set.Ignored()); k != tt.keys || i != tt.ignored {
				t.Errorf("%d keys and %d ignored, want %d and %d", k, i, tt.keys, tt.ignored)
			}
		})
	}
	if _, err := jose.ParseSet([]byte("{"), all); !errors.Is(err, jose.ErrNotJWKS) {
		t.Error(err)
	}
}

// standard returns a base64url parameter in base64 with its padding.
func standard(parameter any) string {
	b, err := base64.RawURLEncoding.DecodeString(parameter.(string))
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// TestOtherSpellings covers R-JK-16 and R-JK-17: a key of a set whose parameters are
// written in another way is the same key, with the same thumbprint, and verifies the same
// tokens.
func TestOtherSpellings(t *testing.T) {
	r, ec, ed := public(rsaKey()), public(p256Key()), public(edKey())
	padded := func(parameter any) string {
		return strings.NewReplacer("+", "-", "/", "_").Replace(standard(parameter))
	}
	for _, tt := range []struct {
		name      string
		key       jwk
		as        jwk
		algorithm jose.Algorithm
	}{
		{"a zero before n", r.with("n", changedBytes(r["n"], zeroInFront)), r, jose.RS256},
		{"zeros before n", r.with("n", changedBytes(r["n"], func(b []byte) []byte { return append(make([]byte, 5), b...) })), r, jose.RS256},
		{"a zero before e", r.with("e", "AAEAAQ"), r, jose.RS256},
		{"e of eight bytes", r.with("e", b64([]byte{0, 0, 0, 0, 0, 1, 0, 1})), r, jose.RS256},
		{"n and e padded", r.with("n", padded(r["n"])).with("e", padded(b64([]byte{0, 1, 0, 1}))), r, jose.RS256},
		{"n in base64", r.with("n", standard(r["n"])), r, jose.RS256},
		{"n in base64 without padding", r.with("n", strings.TrimRight(standard(r["n"]), "=")), r, jose.RS256},
		{"n in base64, with a zero", r.with("n", standard(changedBytes(r["n"], zeroInFront))), r, jose.RS256},
		{"P-256 in base64", ec.with("x", standard(ec["x"])).with("y", standard(ec["y"])), ec, jose.ES256},
		{"P-256 padded", ec.with("x", padded(ec["x"])).with("y", padded(ec["y"])), ec, jose.ES256},
		{"Ed25519 in base64", ed.with("x", standard(ed["x"])), ed, jose.EdDSA},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want, err := jose.ParseKey([]byte(tt.as.String()), all)
			if err != nil {
				t.Fatal(err)
			}
			signed := token(t, tt.algorithm, keyFor(tt.algorithm), `{"alg":"`+tt.algorithm.String()+`"}`, "{}")
			set := parseSet(t, all, tt.key.String(), tt.as.String())
			if n, err := verifyToken(set, signed); err != nil || n != 1 {
				t.Errorf("%d keys to try, %v; ignored %+v", n, err, set.Ignored())
			}
			for _, key := range set.Keys() {
				if key.Thumbprint() != want.Thumbprint() {
					t.Errorf("thumbprint %s, want %s", key.Thumbprint(), want.Thumbprint())
				}
			}
		})
	}
}
