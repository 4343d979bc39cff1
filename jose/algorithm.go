package jose

import (
	"fmt"
	"strings"
)

// Algorithm is a JWS signature algorithm of RFC 7518 §3.1 or RFC 8037. The zero
// Algorithm is invalid and verifies nothing.
type Algorithm uint8

// The supported algorithms. EdDSA always means Ed25519, which has the names
// "EdDSA" (RFC 8037) and "Ed25519" (RFC 9864). Ed448 is not supported.
const (
	RS256 Algorithm = iota + 1
	RS384
	RS512
	PS256
	PS384
	PS512
	ES256
	ES384
	ES512
	EdDSA
)

const algorithms = EdDSA + 1

var algorithmNames = [algorithms]string{
	RS256: "RS256", RS384: "RS384", RS512: "RS512",
	PS256: "PS256", PS384: "PS384", PS512: "PS512",
	ES256: "ES256", ES384: "ES384", ES512: "ES512",
	EdDSA: "EdDSA",
}

// ParseAlgorithm returns the algorithm with the given alg value. The comparison is
// case-sensitive. "Ed25519" (RFC 9864) is [EdDSA]. For every other value, such as
// "none" or "HS256", the error is [ErrAlgorithm] and lists what is supported.
func ParseAlgorithm(name string) (Algorithm, error) {
	if a := algorithmNamed(name); a != 0 {
		return a, nil
	}
	return 0, fmt.Errorf("%w: %q is not one of %s Ed25519", ErrAlgorithm, name, strings.Join(algorithmNames[1:], " "))
}

// algorithmNamed returns the algorithm called name, or 0. It is a switch because
// it is called for every token.
func algorithmNamed(name string) Algorithm {
	switch name {
	case "RS256":
		return RS256
	case "RS384":
		return RS384
	case "RS512":
		return RS512
	case "PS256":
		return PS256
	case "PS384":
		return PS384
	case "PS512":
		return PS512
	case "ES256":
		return ES256
	case "ES384":
		return ES384
	case "ES512":
		return ES512
	case "EdDSA", "Ed25519":
		return EdDSA
	default:
		return 0
	}
}

// String returns the name of a in RFC 7518 §3.1 or RFC 8037, or "invalid".
func (a Algorithm) String() string {
	if !a.Valid() {
		return "invalid"
	}
	return algorithmNames[a]
}

// Valid reports whether a is one of the constants.
func (a Algorithm) Valid() bool { return a > 0 && a < algorithms }

// MarshalText returns the name of a. An invalid a is an error.
func (a Algorithm) MarshalText() ([]byte, error) {
	if !a.Valid() {
		return nil, ErrAlgorithm
	}
	return []byte(algorithmNames[a]), nil
}

// UnmarshalText sets a to the algorithm that [ParseAlgorithm] reads from text.
func (a *Algorithm) UnmarshalText(text []byte) error {
	named, err := ParseAlgorithm(string(text))
	if err != nil {
		return err
	}
	*a = named
	return nil
}

// rsa reports whether a uses RSA keys.
func (a Algorithm) rsa() bool { return a >= RS256 && a <= PS512 }
