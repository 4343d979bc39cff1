package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
)

// verifier checks a signature under one key and one algorithm.
type verifier interface {
	verify(signingInput string, signature []byte) bool
}

// publicKey is the interface of all public keys of the standard library.
type publicKey interface {
	Equal(x crypto.PublicKey) bool
}

// newVerifier returns a verifier for signatures of public under a, which must be
// an algorithm of that kind of key.
func newVerifier(a Algorithm, public publicKey) verifier {
	hash := hashes[a]
	switch public := public.(type) {
	case *rsa.PublicKey:
		if a >= PS256 {
			return &pssVerifier{public, hash, rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}}
		}
		return &pkcs1Verifier{public, hash}
	case *ecdsa.PublicKey:
		return &ecdsaVerifier{public, hash, (public.Curve.Params().BitSize + 7) / 8}
	case ed25519.PublicKey:
		return &ed25519Verifier{public}
	default:
		return nil
	}
}

// hashes holds the hash of each algorithm (RFC 7518 §3.1). EdDSA has none here,
// because Ed25519 hashes its input itself.
var hashes = [algorithms]crypto.Hash{
	RS256: crypto.SHA256, RS384: crypto.SHA384, RS512: crypto.SHA512,
	PS256: crypto.SHA256, PS384: crypto.SHA384, PS512: crypto.SHA512,
	ES256: crypto.SHA256, ES384: crypto.SHA384, ES512: crypto.SHA512,
}

// inputSize is the size of the buffer on the stack for a copy of the signing
// input. Most tokens fit in it, so that the copy costs no allocation.
const inputSize = 2 << 10

// digest returns the hash of input, in buffer.
func digest(hash crypto.Hash, input string, buffer *[sha512.Size]byte) []byte {
	var stack [inputSize]byte
	bytes := append(stack[:0], input...)
	switch hash {
	case crypto.SHA256:
		sum := sha256.Sum256(bytes)
		return buffer[:copy(buffer[:], sum[:])]
	case crypto.SHA384:
		sum := sha512.Sum384(bytes)
		return buffer[:copy(buffer[:], sum[:])]
	default:
		sum := sha512.Sum512(bytes)
		return buffer[:copy(buffer[:], sum[:])]
	}
}

// pkcs1Verifier verifies RSASSA-PKCS1-v1_5 (RFC 7518 §3.3).
type pkcs1Verifier struct {
	key  *rsa.PublicKey
	hash crypto.Hash
}

func (v *pkcs1Verifier) verify(signingInput string, signature []byte) bool {
	var buffer [sha512.Size]byte
	return rsa.VerifyPKCS1v15(v.key, v.hash, digest(v.hash, signingInput, &buffer), signature) == nil
}

// pssVerifier verifies RSASSA-PSS with MGF1 over the same hash and a salt as long as
// the hash (RFC 7518 §3.5).
type pssVerifier struct {
	key     *rsa.PublicKey
	hash    crypto.Hash
	options rsa.PSSOptions
}

func (v *pssVerifier) verify(signingInput string, signature []byte) bool {
	var buffer [sha512.Size]byte
	return rsa.VerifyPSS(v.key, v.hash, digest(v.hash, signingInput, &buffer), signature, &v.options) == nil
}

// ecdsaVerifier verifies ECDSA signatures in the form R‖S, each of the curve's
// fixed length (RFC 7518 §3.4).
type ecdsaVerifier struct {
	key  *ecdsa.PublicKey
	hash crypto.Hash
	size int // of R and of S, in bytes
}

func (v *ecdsaVerifier) verify(signingInput string, signature []byte) bool {
	if len(signature) != 2*v.size {
		return false
	}
	var buffer [sha512.Size]byte
	var der [maxDER]byte
	return ecdsa.VerifyASN1(v.key, digest(v.hash, signingInput, &buffer), appendDER(der[:0], signature))
}

// maxDER is the length of the longest ECDSA signature in ASN.1, which is that of
// P-521: a sequence of two integers of 66 bytes.
const maxDER = 3 + 2*(2+66)

// appendDER appends the ASN.1 form of R‖S, which the standard library needs. It
// does not check the range of R and S; the standard library does.
func appendDER(dst, signature []byte) []byte {
	const sequence, longForm = 0x30, 0x81
	r, s := trimInteger(signature[:len(signature)/2]), trimInteger(signature[len(signature)/2:])
	length := integerLength(r) + integerLength(s)
	dst = append(dst, sequence)
	if length >= 0x80 {
		dst = append(dst, longForm)
	}
	dst = append(dst, byte(length)) //nolint:gosec // at most maxDER
	return appendInteger(appendInteger(dst, r), s)
}

// trimInteger removes leading zero bytes, and keeps at least one byte.
func trimInteger(b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	return b
}

// integerLength returns the length of the ASN.1 form of a trimmed integer.
func integerLength(b []byte) int { return 2 + len(b) + int(b[0]>>7) }

// appendInteger appends the ASN.1 form of a trimmed integer.
func appendInteger(dst, b []byte) []byte {
	const integer = 0x02
	dst = append(dst, integer, byte(integerLength(b)-2)) //nolint:gosec // at most 67
	if b[0]>>7 == 1 {
		dst = append(dst, 0) // keeps the number positive
	}
	return append(dst, b...)
}

// ed25519Verifier verifies EdDSA over Ed25519 (RFC 8037 §3.1).
type ed25519Verifier struct {
	key ed25519.PublicKey
}

func (v *ed25519Verifier) verify(signingInput string, signature []byte) bool {
	var stack [inputSize]byte
	return ed25519.Verify(v.key, append(stack[:0], signingInput...), signature)
}
