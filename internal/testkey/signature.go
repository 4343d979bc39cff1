package testkey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha512" // for the hashes of 384 and 512 bits

	"github.com/sallyport-auth/sallyport/jose"
)

// Signature returns the signature of input (RFC 7518 §3, RFC 8037 §3.1).
func (k Key) Signature(input string) []byte {
	private, ok := k.Private.(*ecdsa.PrivateKey)
	if !ok {
		return k.SignatureASN1(input)
	}
	first, second, err := ecdsa.Sign(rand.Reader, private, digest(HashOf(k.Algorithm), input))
	if err != nil {
		panic("testkey: " + err.Error())
	}
	size := (private.Params().BitSize + 7) / 8
	signature := make([]byte, 2*size)
	first.FillBytes(signature[:size])
	second.FillBytes(signature[size:])
	return signature
}

// SignatureASN1 is like [Key.Signature], but ECDSA signatures are in ASN.1.
func (k Key) SignatureASN1(input string) []byte {
	hash := HashOf(k.Algorithm)
	var options crypto.SignerOpts = hash
	if k.Algorithm >= jose.PS256 && k.Algorithm <= jose.PS512 {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
	}
	if _, ok := k.Private.(ed25519.PrivateKey); ok {
		return must(k.Private.Sign(nil, []byte(input), options))
	}
	return must(k.Private.Sign(rand.Reader, digest(hash, input), options))
}

// digest returns the hash of input.
func digest(hash crypto.Hash, input string) []byte {
	h := hash.New()
	h.Write([]byte(input))
	return h.Sum(nil)
}

// HashOf returns the hash of a, or 0 for EdDSA, which signs the input itself.
func HashOf(a jose.Algorithm) crypto.Hash {
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
