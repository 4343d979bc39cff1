package claims

// Error is a constant error of this package.
type Error string

// Error returns the text of e, which starts with "claims: ".
func (e Error) Error() string { return string(e) }

// Errors of the readers.
const (
	// ErrType means that a claim does not have its JSON type, or is an empty
	// string where an identifier is asked for.
	ErrType Error = "claims: a claim has the wrong JSON type, or is an empty string"
	// ErrControl means that an identifier has a control character.
	ErrControl Error = "claims: a claim has control characters"
	// ErrDate means that a claim is not a NumericDate.
	ErrDate Error = "claims: a NumericDate is not a number from 0 to 2^53 (RFC 7519 §2)"
	// ErrScope means that a claim is not a list of scope tokens.
	ErrScope Error = "claims: scope is not a list of scope tokens separated by single spaces (RFC 6749 §3.3)"
	// ErrAudienceType means that aud is of no allowed JSON type.
	ErrAudienceType Error = "claims: aud is neither a string nor an array of strings (RFC 7519 §4.1.3)"
	// ErrObject means that a claim is not an object.
	ErrObject Error = "claims: a claim is not an object"
)

// Errors of the checks. Errors of package jose stand beside them.
const (
	// ErrPayload means that the payload is not one strict JSON object, or exceeds its limits.
	ErrPayload Error = "claims: the payload is not one JSON object with unique member names"
	// ErrTokenType means that typ is not the expected media type.
	ErrTokenType Error = "claims: typ is not the expected type of token (RFC 8725 §3.11)" //nolint:gosec // no credential
	// ErrIssuer means that iss is missing or is not the expected issuer.
	ErrIssuer Error = "claims: iss is missing or is not the expected issuer"
	// ErrAudience means that aud is missing or names none of the expected
	// audiences.
	ErrAudience Error = "claims: aud is missing or names none of the expected audiences"
	// ErrNoIssuedAt means that iat is missing.
	ErrNoIssuedAt Error = "claims: iat is missing"
	// ErrNoExpiry means that exp is missing.
	ErrNoExpiry Error = "claims: exp is missing"
	// ErrExpired means that the time is at or after exp and the leeway.
	ErrExpired Error = "claims: now is at or after exp and the leeway"
	// ErrNotYetValid means that iat or nbf is in the future by more than the leeway.
	ErrNotYetValid Error = "claims: iat or nbf lies ahead by more than the leeway"
	// ErrTooOld means that iat is longer ago than the allowed age.
	ErrTooOld Error = "claims: iat is longer ago than the allowed age"
	// ErrReplicated means that the header has iss, sub or aud with another value.
	ErrReplicated Error = "claims: the header replicates iss, sub or aud with another value (RFC 7519 §5.3)"
)
