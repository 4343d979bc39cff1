package jose

import "errors"

// Errors of this package. Each may be wrapped with a detail that never holds
// bytes of a token.
var (
	// ErrMalformed means that a token is not a compact JWS, or that its
	// header is not one strict JSON object.
	ErrMalformed = errors.New("jose: malformed token")
	// ErrAlgorithm means that the header's alg is absent, unknown, or not
	// the algorithm of the key.
	ErrAlgorithm = errors.New("jose: algorithm not allowed")
	// ErrUnknownKey means that the set has no single key for the token.
	ErrUnknownKey = errors.New("jose: unknown key")
	// ErrSignature means that the signature does not verify.
	ErrSignature = errors.New("jose: bad signature")
	// ErrUnusableKey means that a JWK can never verify a token here.
	ErrUnusableKey = errors.New("jose: unusable key")
	// ErrNotJWKS means that a document is no JWK Set at all.
	ErrNotJWKS = errors.New(`jose: not a JWK Set, which is {"keys":[…]}`)
)

// detailed is a sentinel with a constant detail. It is made at start-up, so
// that refusing a token allocates nothing.
type detailed struct {
	kind   error
	detail string
}

func (e *detailed) Error() string { return e.kind.Error() + ": " + e.detail }
func (e *detailed) Unwrap() error { return e.kind }

func malformed(detail string) error { return &detailed{ErrMalformed, detail} }
func unusable(detail string) error  { return &detailed{ErrUnusableKey, detail} }
