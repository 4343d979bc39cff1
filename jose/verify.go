package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
)

// hashes are those of RFC 7518 §3.1; EdDSA hashes inside.
var hashes = [algorithms]crypto.Hash{
	RS256: crypto.SHA256, RS384: crypto.SHA384, RS512: crypto.SHA512,
	PS256: crypto.SHA256, PS384: crypto.SHA384, PS512: crypto.SHA512,
	ES256: crypto.SHA256, ES384: crypto.SHA384, ES512: crypto.SHA512,
}

// inputSize is how much of a signing input fits on the stack: all of a usual
// token, whose copy then costs no allocation.
const inputSize = 2 << 10

// digest hashes input into buffer.
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

// pkcs1Verifier is RSASSA-PKCS1-v1_5 (RFC 7518 §3.3).
type pkcs1Verifier struct {
	key  *rsa.PublicKey
	hash crypto.Hash
}

func (v *pkcs1Verifier) verify(signingInput string, signature []byte) bool {
	var buffer [sha512.Size]byte
	return rsa.VerifyPKCS1v15(v.key, v.hash, digest(v.hash, signingInput, &buffer), signature) == nil
}

// pssVerifier is RSASSA-PSS with MGF1 over the same hash and a salt as long as
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

// ecdsaVerifier is ECDSA with R‖S of the curve's fixed length (RFC 7518 §3.4).
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

// maxDER holds the longest ECDSA signature, of P-521: a sequence of two
// integers of 66 bytes.
const maxDER = 3 + 2*(2+66)

// appendDER appends the ASN.1 form of R‖S, which the standard library asks
// for. R and S out of range stay so and are refused there.
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

// trimInteger drops leading zero bytes but the last byte.
func trimInteger(b []byte) []byte {
	for len(b) > 1 && b[0] == 0 {
		b = b[1:]
	}
	return b
}

// integerLength is the length of the encoding of a trimmed integer.
func integerLength(b []byte) int { return 2 + len(b) + int(b[0]>>7) }

func appendInteger(dst, b []byte) []byte {
	const integer = 0x02
	dst = append(dst, integer, byte(integerLength(b)-2)) //nolint:gosec // at most 67
	if b[0]>>7 == 1 {
		dst = append(dst, 0) // keeps the number positive
	}
	return append(dst, b...)
}

// ed25519Verifier is EdDSA over Ed25519 (RFC 8037 §3.1).
type ed25519Verifier struct {
	key ed25519.PublicKey
}

func (v *ed25519Verifier) verify(signingInput string, signature []byte) bool {
	var stack [inputSize]byte
	return ed25519.Verify(v.key, append(stack[:0], signingInput...), signature)
}
