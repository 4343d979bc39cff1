package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

var all = []jose.Algorithm{
	jose.RS256, jose.RS384, jose.RS512,
	jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512,
	jose.EdDSA,
}

// keyFor returns a private key that a can sign with.
func keyFor(a jose.Algorithm) crypto.Signer { return testkey.Of(a, "first").Private }

func rsaKey() *rsa.PrivateKey { return keyFor(jose.RS256).(*rsa.PrivateKey) }

func otherRSAKey() *rsa.PrivateKey {
	return testkey.Of(jose.RS256, "second").Private.(*rsa.PrivateKey)
}

func p256Key() *ecdsa.PrivateKey { return keyFor(jose.ES256).(*ecdsa.PrivateKey) }

func p384Key() *ecdsa.PrivateKey { return keyFor(jose.ES384).(*ecdsa.PrivateKey) }

func p521Key() *ecdsa.PrivateKey { return keyFor(jose.ES512).(*ecdsa.PrivateKey) }

func edKey() ed25519.PrivateKey { return keyFor(jose.EdDSA).(ed25519.PrivateKey) }

func sum(h crypto.Hash, input string) []byte {
	if h == 0 {
		return []byte(input)
	}
	hash := h.New()
	hash.Write([]byte(input))
	return hash.Sum(nil)
}

// signature signs input under a with the standard library.
func signature(tb testing.TB, a jose.Algorithm, key crypto.Signer, input string) []byte {
	tb.Helper()
	return testkey.Key{Algorithm: a, Private: key}.Signature(input)
}

// integers reads the ASN.1 form of an ECDSA signature.
func integers(tb testing.TB, der []byte) (r, s *big.Int) {
	tb.Helper()
	var pair struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &pair); err != nil {
		tb.Fatal(err)
	}
	return pair.R, pair.S
}

// raw returns R‖S, each of the curve's fixed length.
func raw(curve elliptic.Curve, r, s *big.Int) []byte {
	size := coordinateSize(curve)
	sig := make([]byte, 2*size)
	r.FillBytes(sig[:size])
	s.FillBytes(sig[size:])
	return sig
}

func coordinateSize(curve elliptic.Curve) int { return (curve.Params().BitSize + 7) / 8 }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// token signs payload under a header that is given as JSON text.
func token(tb testing.TB, a jose.Algorithm, key crypto.Signer, header, payload string) string {
	tb.Helper()
	input := b64([]byte(header)) + "." + b64([]byte(payload))
	return input + "." + b64(signature(tb, a, key, input))
}

// unsigned returns a token with that header and a signature that does not verify.
func unsigned(header string) string {
	return b64([]byte(header)) + "." + b64([]byte("{}")) + "." + b64([]byte("signature"))
}

// jwk holds the members of one JSON Web Key.
type jwk map[string]any

// public returns the JWK of key's public part.
func public(key crypto.Signer) jwk {
	members := jwk{}
	for name, value := range testkey.PublicJWK(key.Public()) {
		members[name] = value
	}
	return members
}

// with returns k with one member set.
func (k jwk) with(name string, value any) jwk {
	changed := maps.Clone(k)
	changed[name] = value
	return changed
}

// without returns k without one member.
func (k jwk) without(name string) jwk {
	changed := maps.Clone(k)
	delete(changed, name)
	return changed
}

func (k jwk) String() string {
	text, err := json.Marshal(map[string]any(k))
	if err != nil {
		panic(err)
	}
	return string(text)
}

// document returns a JWK Set of keys, which are given as JSON text.
func document(keys ...string) []byte {
	return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// parseSet parses a JWK Set that must be valid.
func parseSet(tb testing.TB, algorithms []jose.Algorithm, keys ...string) *jose.Set {
	tb.Helper()
	set, err := jose.ParseSet(document(keys...), algorithms)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// parse parses a token that must be valid.
func parse(tb testing.TB, token string) *jose.Unverified {
	tb.Helper()
	u, err := jose.ParseCompact(token)
	if err != nil {
		tb.Fatalf("ParseCompact(%q): %v", token, err)
	}
	return &u
}

// verifyToken does with a token and a set what a validator does: it parses the token,
// finds keys, and tries them. It returns the number of keys too.
func verifyToken(set *jose.Set, token string) (candidates int, err error) {
	u, err := jose.ParseCompact(token)
	if err != nil {
		return 0, err
	}
	keys, err := set.Find(u.UnverifiedHeader())
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if err = key.Verify(&u); err == nil {
			return len(keys), nil
		}
	}
	return len(keys), err
}

// expect fails the test unless err is want and its text contains detail.
func expect(t *testing.T, err, want error, detail string) {
	t.Helper()
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Errorf("error %v, want %v", err, want)
	}
	if err != nil && !strings.Contains(err.Error(), detail) {
		t.Errorf("error %q does not hold %q", err, detail)
	}
}
