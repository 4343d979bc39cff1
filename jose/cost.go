package jose

import (
	"cmp"
	"math/bits"
)

// Costs of one signature check, in hundredths of a check under ES256. They were
// measured on amd64; on other machines they are off by a third at most.
const (
	costES256 = 100
	costES384 = 900
	costES512 = 3500
	costEdDSA = 100

	// maxCost bounds the total cost of the signature checks for one token. It is
	// the cost of four checks under ES256, or of one under an RSA key of 4096 bits.
	maxCost = 4 * costES256
)

// Defaults of [Limits].
const (
	defaultRSABits     = 4096
	defaultRSAExponent = 65537
)

var (
	errRSABits     = unusable("the RSA modulus has more bits than the issuer's limit RSABits, which is 4096 by default and 8192 at most; raise it, or publish a smaller key")
	errRSAExponent = unusable("the RSA exponent costs more than the issuer's limit RSAExponent allows, which is 65537 by default; raise it, or publish a key with the exponent 65537")
	errCurveCost   = unusable("a signature check under ES384 or ES512 costs more than four under ES256; add the algorithm to the issuer's list to use the key")
)

// Limits bounds the cost of a signature check. A zero field means the default.
type Limits struct {
	RSABits     int // most bits of an RSA modulus; the default is 4096, and more than 8192 means 8192
	RSAExponent int // largest RSA exponent; the default is 65537, and more than 2^31-1 means 2^31-1
}

// withDefaults returns l with the defaults in place of zero fields.
func (l Limits) withDefaults() Limits {
	return Limits{
		RSABits:     cmp.Or(l.RSABits, defaultRSABits),
		RSAExponent: cmp.Or(l.RSAExponent, defaultRSAExponent),
	}
}

// checkRSA checks an RSA key against l, which must have its defaults. An exponent
// below the limit can cost more than the limit itself, if many of its bits are
// set, so the cost is bounded too.
func (l Limits) checkRSA(modulusBits, exponent int) error {
	if modulusBits > l.RSABits {
		return errRSABits
	}
	allowed := multiplications(defaultRSAExponent)
	if l.RSAExponent > defaultRSAExponent {
		allowed = 2 * bits.Len(uint(l.RSAExponent))
	}
	if exponent > l.RSAExponent || costRSA(modulusBits, multiplications(exponent)) > costRSA(l.RSABits, allowed) {
		return errRSAExponent
	}
	return nil
}

// multiplications returns the number of multiplications in a modular
// exponentiation: one square for each bit of the exponent after the first, and one
// product for each of those that is set.
func multiplications(exponent int) int {
	e := uint(exponent)
	return bits.Len(e) + bits.OnesCount(e) - 2
}

// costRSA returns the cost of a signature check under an RSA key. It grows with
// the square of the modulus, and with the multiplications and a constant part. It
// is maxCost for 4096 bits and 65537. For 2048 bits it is twice the real cost,
// because the standard library has faster code for that size.
func costRSA(modulusBits, multiplications int) int {
	const once = 10 // the constant part, in multiplications
	relative := maxCost * (once + multiplications) / (once + 17)
	return relative * modulusBits / defaultRSABits * modulusBits / defaultRSABits
}
