package jose

import (
	"cmp"
	"math/bits"
	"slices"
)

// Costs of one signature check, in hundredths of a check under ES256. They were
// measured on amd64 and hold within a third on other machines.
const (
	costES256 = 100
	costES384 = 900
	costES512 = 3500
	costEdDSA = 100

	// maxCost bounds the signature checks for one token together: four under
	// ES256, which is also one under an RSA key of 4096 bits.
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
	errExcess      = unusable("more keys of its algorithm have the kid than may be tried for one token; give each key a kid of its own")
)

// Limits bound what a signature check may cost. A zero field has the default.
type Limits struct {
	RSABits     int // most bits of an RSA modulus: 4096; more than 8192 is 8192
	RSAExponent int // largest RSA exponent: 65537; more than 2^31-1 is 2^31-1
}

// withDefaults returns l with its zero fields filled in.
func (l Limits) withDefaults() Limits {
	return Limits{
		RSABits:     cmp.Or(l.RSABits, defaultRSABits),
		RSAExponent: cmp.Or(l.RSAExponent, defaultRSAExponent),
	}
}

// checkRSA reports whether an RSA key is within l, which has its defaults. An
// exponent below the limit with many one bits costs more than 65537, so the cost
// is bounded beside the value.
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

// multiplications is how many a modular exponentiation takes: one square for
// each bit of the exponent, and one product for each that is set, but the first.
func multiplications(exponent int) int {
	e := uint(exponent)
	return bits.Len(e) + bits.OnesCount(e) - 2
}

// costRSA grows with the square of the modulus, and with the multiplications and
// what is done once for each check. It is maxCost for 4096 bits and 65537. For
// 2048 bits, which have faster code in the standard library, it is twice too much.
func costRSA(modulusBits, multiplications int) int {
	const once = 10 // in multiplications
	relative := maxCost * (once + multiplications) / (once + 17)
	return relative * modulusBits / defaultRSABits * modulusBits / defaultRSABits
}

// limitCost keeps the keys that are tried for one token, cheapest first. The
// cheapest key is kept whatever it costs.
func (g *group) limitCost() {
	slices.SortStableFunc(g.keys, func(a, b *Key) int { return cmp.Compare(a.cost, b.cost) })
	total := 0
	for i, key := range g.keys {
		total += key.cost
		if i > 0 && (i == maxCandidates || total > maxCost) {
			g.keys = g.keys[:i:i]
			return
		}
	}
}
