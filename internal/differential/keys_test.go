package differential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/golang-jwt/jwt/v5"

	"github.com/sallyport-auth/sallyport/jose"
)

// The keys are constants, because fuzz workers are other processes and a corpus is
// kept longer than any of them runs. The keys are public and protect nothing.
//
//go:embed testdata/rsa.pem
var rsaPEM []byte

var (
	rsaKey, otherRSAKey = rsaKeys(rsaPEM)

	p256Key      = ecKey(elliptic.P256(), 1)
	otherP256Key = ecKey(elliptic.P256(), 2)
	p384Key      = ecKey(elliptic.P384(), 3)
	p521Key      = ecKey(elliptic.P521(), 4)

	ed25519Key      = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, ed25519.SeedSize))
	otherEd25519Key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{6}, ed25519.SeedSize))
)

func rsaKeys(text []byte) (first, second *rsa.PrivateKey) {
	var keys []*rsa.PrivateKey
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			panic(err)
		}
		keys = append(keys, key.(*rsa.PrivateKey))
	}
	return keys[0], keys[1]
}

func ecKey(curve elliptic.Curve, seed byte) *ecdsa.PrivateKey {
	scalar := make([]byte, (curve.Params().BitSize+7)/8)
	for i := range scalar[2:] { // below the order of every curve
		scalar[2+i] = seed
	}
	key, err := ecdsa.ParseRawPrivateKey(curve, scalar)
	if err != nil {
		panic(err)
	}
	return key
}

// signer signs with one algorithm. golang-jwt makes the signatures.
type signer struct {
	algorithm jose.Algorithm
	private   crypto.Signer
}

var signers = []signer{
	{jose.RS256, rsaKey},
	{jose.RS384, rsaKey},
	{jose.RS512, rsaKey},
	{jose.PS256, rsaKey},
	{jose.PS384, rsaKey},
	{jose.PS512, rsaKey},
	{jose.ES256, p256Key},
	{jose.ES384, p384Key},
	{jose.ES512, p521Key},
	{jose.EdDSA, ed25519Key},
}

func signerOf(a jose.Algorithm) signer { return signers[a-jose.RS256] }

func (s signer) method() jwt.SigningMethod { return jwt.GetSigningMethod(s.algorithm.String()) }

func (s signer) sign(tb testing.TB, header, payload string) string {
	tb.Helper()
	input := encoded(header) + "." + encoded(payload)
	signature, err := s.method().Sign(input, s.private)
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + encoded(string(signature))
}

// token returns a good token with a small payload.
func (s signer) token(tb testing.TB) string {
	tb.Helper()
	return s.sign(tb, header(s.algorithm.String()), `{"sub":"alice"}`)
}

const keyID = "k"

func header(algorithm string) string {
	return fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, algorithm, keyID)
}

func encoded(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// keySet is a JWK Set as Sallyport reads it, with the same keys for go-jose and for
// crypto/*.
type keySet struct {
	document []byte
	set      *jose.Set
	public   map[string]crypto.PublicKey // by RFC 7638 thumbprint
}

func newKeySet(keys ...gojose.JSONWebKey) *keySet {
	document, err := json.Marshal(gojose.JSONWebKeySet{Keys: keys})
	if err != nil {
		panic(err)
	}
	set, err := jose.ParseSet(document, nil)
	if err != nil {
		panic(err)
	}
	if len(set.Keys()) != len(keys) {
		panic(fmt.Sprint(set.Ignored()))
	}
	s := &keySet{document, set, make(map[string]crypto.PublicKey)}
	for _, key := range keys {
		s.public[thumbprint(&key)] = key.Key
	}
	return s
}

func webKey(a jose.Algorithm, private crypto.Signer) gojose.JSONWebKey {
	return gojose.JSONWebKey{Key: private.Public(), KeyID: keyID, Algorithm: a.String(), Use: "sig"}
}

// thumbprint returns the thumbprint that go-jose computes.
func thumbprint(key *gojose.JSONWebKey) string {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// sets holds a set for each signer, at its index, with its key alone. The last set
// has all keys, under the same kid.
var sets = keySets()

func keySets() []*keySet {
	var all []*keySet
	for _, s := range signers {
		all = append(all, newKeySet(webKey(s.algorithm, s.private)))
	}
	return append(all, newKeySet(
		webKey(jose.RS256, rsaKey),
		webKey(jose.PS256, otherRSAKey),
		webKey(jose.ES256, p256Key),
		webKey(jose.ES384, p384Key),
		webKey(jose.ES512, p521Key),
		webKey(jose.EdDSA, ed25519Key),
	))
}

func TestMain(m *testing.M) {
	gojose.MaxRSAModulusBits = 8192 // as in package jose; the default is 4096
	m.Run()
}
