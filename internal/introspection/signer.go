package introspection

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // for the hashes of signatures
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"

	"github.com/sallyport-auth/sallyport/jose"
)

// minRSABits is the smallest RSA key that may sign (RFC 7518 §3.3).
const minRSABits = 2048

var (
	errNoKey     = errors.New("it has no private key in PEM: PKCS#8, PKCS#1 or SEC 1, not encrypted")
	errKeyType   = errors.New("the key is not RSA of at least 2048 bits, ECDSA with P-256, P-384 or P-521, or Ed25519")
	errSignature = errors.New("the signer returned no signature of the algorithm")
)

// signer is a private key with the algorithm that it signs with.
type signer struct {
	key       crypto.Signer
	algorithm jose.Algorithm
}

// newSigner returns the signer of key. wanted is its algorithm, or 0 for the one that
// follows from the key.
func newSigner(key crypto.Signer, wanted jose.Algorithm) (signer, error) {
	natural, err := algorithmOf(key.Public())
	if err != nil {
		return signer{}, err
	}
	if wanted == 0 || wanted == natural {
		return signer{key, natural}, nil
	}
	if natural != jose.RS256 || wanted > jose.PS512 {
		return signer{}, fmt.Errorf("the key does not sign with %s; leave Algorithm out for %s", wanted, natural)
	}
	return signer{key, wanted}, nil
}

// algorithmOf returns the algorithm of a key, RS256 for RSA.
func algorithmOf(public crypto.PublicKey) (jose.Algorithm, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public.N != nil && public.N.BitLen() >= minRSABits {
			return jose.RS256, nil
		}
	case *ecdsa.PublicKey:
		switch public.Params().BitSize {
		case 256:
			return jose.ES256, nil
		case 384:
			return jose.ES384, nil
		case 521:
			return jose.ES512, nil
		}
	case ed25519.PublicKey:
		return jose.EdDSA, nil
	}
	return 0, errKeyType
}

// parseKey returns the first private key in a PEM text. Errors quote nothing of it.
func parseKey(text string) (crypto.Signer, error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errNoKey
		}
		var key crypto.PrivateKey
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		default:
			continue
		}
		if signing, ok := key.(crypto.Signer); ok && err == nil {
			return signing, nil
		}
		return nil, errNoKey
	}
}

// sign returns the signature of input (RFC 7518 §3, RFC 8037 §3.1).
func (s signer) sign(input string) ([]byte, error) {
	hash := hashOf(s.algorithm)
	digest := []byte(input)
	if hash != 0 {
		h := hash.New()
		h.Write(digest)
		digest = h.Sum(nil)
	}
	options := crypto.SignerOpts(hash)
	if s.algorithm >= jose.PS256 && s.algorithm <= jose.PS512 {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	signature, err := s.key.Sign(rand.Reader, digest, options)
	if err != nil {
		return nil, fmt.Errorf("the assertion cannot be signed: %w", err)
	}
	if public, ok := s.key.Public().(*ecdsa.PublicKey); ok {
		return fixedLength(signature, (public.Params().BitSize+7)/8)
	}
	return signature, nil
}

// hashOf returns the hash of an algorithm, or 0 for EdDSA, which needs none.
func hashOf(a jose.Algorithm) crypto.Hash {
	switch a {
	case jose.RS256, jose.PS256, jose.ES256:
		return crypto.SHA256
	case jose.RS384, jose.PS384, jose.ES384:
		return crypto.SHA384
	case jose.RS512, jose.PS512, jose.ES512:
		return crypto.SHA512
	default:
		return 0
	}
}

// fixedLength returns an ECDSA signature in the form of RFC 7518 §3.4: two integers of
// size bytes each.
func fixedLength(signature []byte, size int) ([]byte, error) {
	var pair struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(signature, &pair)
	if err != nil || len(rest) > 0 || pair.R.Sign() <= 0 || pair.S.Sign() <= 0 || pair.R.BitLen() > 8*size || pair.S.BitLen() > 8*size {
		return nil, errSignature
	}
	out := make([]byte, 2*size)
	pair.R.FillBytes(out[:size])
	pair.S.FillBytes(out[size:])
	return out, nil
}
