package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math/big"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

var all = []jose.Algorithm{
	jose.RS256, jose.RS384, jose.RS512,
	jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512,
	jose.EdDSA,
}

// Keys are made once per run; nothing secret is in the repository.
var (
	rsaKey      = sync.OnceValue(newRSA)
	otherRSAKey = sync.OnceValue(newRSA)
	p256Key     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P256()) })
	p384Key     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P384()) })
	p521Key     = sync.OnceValue(func() *ecdsa.PrivateKey { return newEC(elliptic.P521()) })
	edKey       = sync.OnceValue(newEd25519)
)

func newRSA() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func newEd25519() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// keyFor is a private key that a can sign with.
func keyFor(a jose.Algorithm) crypto.Signer {
	switch a {
	case jose.ES256:
		return p256Key()
	case jose.ES384:
		return p384Key()
	case jose.ES512:
		return p521Key()
	case jose.EdDSA:
		return edKey()
	default:
		return rsaKey()
	}
}

func hashOf(a jose.Algorithm) crypto.Hash {
	switch a.String()[2:] {
	case "256":
		return crypto.SHA256
	case "384":
		return crypto.SHA384
	case "512":
		return crypto.SHA512
	default:
		return 0
	}
}

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
	hash := hashOf(a)
	var opts crypto.SignerOpts = hash
	if a >= jose.PS256 && a <= jose.PS512 {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	sig, err := key.Sign(rand.Reader, sum(hash, input), opts)
	if err != nil {
		tb.Fatal(err)
	}
	if ec, ok := key.(*ecdsa.PrivateKey); ok {
		r, s := integers(tb, sig)
		return raw(ec.Curve, r, s)
	}
	return sig
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

// raw is R‖S of the curve's fixed length.
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

// unsigned is a token with that header and a signature that means nothing.
func unsigned(header string) string {
	return b64([]byte(header)) + "." + b64([]byte("{}")) + "." + b64([]byte("signature"))
}

// jwk is the members of one JSON Web Key.
type jwk map[string]any

// public is the JWK of key's public part.
func public(key crypto.Signer) jwk {
	switch key := key.Public().(type) {
	case *rsa.PublicKey:
		return jwk{"kty": "RSA", "n": b64(key.N.Bytes()), "e": b64(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 0x04, X, Y
		if err != nil {
			panic(err)
		}
		size := coordinateSize(key.Curve)
		return jwk{"kty": "EC", "crv": key.Curve.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}
	case ed25519.PublicKey:
		return jwk{"kty": "OKP", "crv": "Ed25519", "x": b64(key)}
	default:
		panic("no such key")
	}
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

// document is a JWK Set of keys given as JSON text.
func document(keys ...string) []byte {
	return []byte(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// parseSet parses a set that must be one.
func parseSet(tb testing.TB, algorithms []jose.Algorithm, keys ...string) *jose.Set {
	tb.Helper()
	set, err := jose.ParseSet(document(keys...), algorithms)
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

// parse parses a token that must parse.
func parse(tb testing.TB, token string) *jose.Unverified {
	tb.Helper()
	u, err := jose.ParseCompact(token)
	if err != nil {
		tb.Fatalf("ParseCompact(%q): %v", token, err)
	}
	return &u
}

// judge is what a validator does with a token and a set: parse, find, and try
// the candidates. It tells how many candidates there were.
func judge(set *jose.Set, token string) (candidates int, err error) {
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

// expect fails unless err is want and its text holds detail.
func expect(t *testing.T, err, want error, detail string) {
	t.Helper()
	if !errors.Is(err, want) || (want == nil) != (err == nil) {
		t.Errorf("error %v, want %v", err, want)
	}
	if err != nil && !strings.Contains(err.Error(), detail) {
		t.Errorf("error %q does not hold %q", err, detail)
	}
}
