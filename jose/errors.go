package jose

// Error is a constant error of this package. An error that carries more detail
// wraps one of these constants, so that callers compare with [errors.Is]. The
// detail never holds bytes of a token.
type Error string

// Error returns the text of e, which starts with "jose: ".
func (e Error) Error() string { return string(e) }

// The errors of this package.
const (
	// ErrMalformed means that a token is not a compact JWS, or that its
	// header is not one strict JSON object.
	ErrMalformed Error = "jose: malformed token"
	// ErrAlgorithm means that the header's alg is absent, unknown, or not
	// the algorithm of the key.
	ErrAlgorithm Error = "jose: algorithm not allowed"
	// ErrUnknownKey means that the set has no single key for the token.
	ErrUnknownKey Error = "jose: unknown key"
	// ErrSignature means that the signature does not verify.
	ErrSignature Error = "jose: bad signature"
	// ErrUnusableKey means that a JWK can never verify a token here.
	ErrUnusableKey Error = "jose: unusable key"
	// ErrNotJWKS means that a document is no JWK Set at all.
	ErrNotJWKS Error = `jose: not a JWK Set, which is {"keys":[…]}`
)

// detailedError is one of the constants with a constant detail. It is built at
// start-up, so that refusing a token allocates nothing.
type detailedError struct {
	kind   error // an Error; of type error, because converting a string allocates
	detail string
}

func (e *detailedError) Error() string { return e.kind.Error() + ": " + e.detail }
func (e *detailedError) Unwrap() error { return e.kind }

// malformed returns an ErrMalformed with a detail.
func malformed(detail string) error { return &detailedError{ErrMalformed, detail} }

// unusable returns an ErrUnusableKey with a detail.
func unusable(detail string) error { return &detailedError{ErrUnusableKey, detail} }
