package testkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"sync"

	"github.com/sallyport-auth/sallyport/jose"
)

// NewPrivate returns a new private key that can sign with a. An RSA key takes long to
// make.
func NewPrivate(a jose.Algorithm) crypto.Signer {
	switch a {
	case jose.ES256:
		return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	case jose.ES384:
		return must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	case jose.ES512:
		return must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	case jose.EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return must(private, err)
	default:
		return must(rsa.GenerateKey(rand.Reader, 2048))
	}
}

// made holds the private keys that [Of] has made.
var made struct {
	sync.Mutex

	keys map[name]crypto.Signer
}

// name is what a private key was made for.
type name struct {
	algorithm jose.Algorithm // RS256 for every RSA key
	label     string
}

// labelled returns the private key of a label, and makes it if need be.
func labelled(a jose.Algorithm, label string) crypto.Signer {
	if a == jose.EdDSA {
		seed := sha256.Sum256([]byte(label))
		return ed25519.NewKeyFromSeed(seed[:])
	}
	if IsRSA(a) {
		a = jose.RS256
	}
	made.Lock()
	defer made.Unlock()
	of := name{a, label}
	if made.keys == nil {
		made.keys = map[name]crypto.Signer{}
	}
	if made.keys[of] == nil {
		made.keys[of] = NewPrivate(a)
	}
	return made.keys[of]
}

// IsRSA reports whether RSA keys sign with a.
func IsRSA(a jose.Algorithm) bool { return a >= jose.RS256 && a <= jose.PS512 }

// PublicJWK returns the JWK of a public key. It has only the members of RFC 7518 §6
// and RFC 8037 §2.
func PublicJWK(public crypto.PublicKey) map[string]string {
	switch public := public.(type) {
	case *rsa.PublicKey:
		e := big.NewInt(int64(public.E)).Bytes()
		return map[string]string{"kty": "RSA", "n": Encode(public.N.Bytes()), "e": Encode(e)}
	case *ecdsa.PublicKey:
		point := must(public.Bytes()) // the byte 4, then x and y
		x, y := point[1:1+len(point)/2], point[1+len(point)/2:]
		return map[string]string{"kty": "EC", "crv": public.Params().Name, "x": Encode(x), "y": Encode(y)}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": Encode(public)}
	default:
		panic(fmt.Sprintf("testkey: no JWK of a %T", public))
	}
}

// must returns v and panics on an error. It is for calls of the standard library
// that cannot fail with what they are given here.
func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("testkey: %v", err))
	}
	return v
}
