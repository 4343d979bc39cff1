package introspect

import (
	"fmt"
	"time"
)

// Kind says why an issuer gave no verdict on a token. The set is closed, so a Kind is
// safe as a metric label. A Kind is also an error, for use with errors.Is:
// errors.Is(err, introspect.Throttled).
type Kind string

// The kinds.
const (
	NoEndpoint         Kind = "no_endpoint"         // the metadata cannot be fetched, or names no introspection endpoint
	NoCredentials      Kind = "no_credentials"      // this API's own secret, key or token cannot be had
	Unreachable        Kind = "unreachable"         // no connection, or it broke before an answer
	TimedOut           Kind = "timed_out"           // no complete answer in time
	TLSFailed          Kind = "tls_failed"          // the certificate or the handshake
	CredentialsRefused Kind = "credentials_refused" // the endpoint answered 401 or 403, now or at the last attempt
	Throttled          Kind = "throttled"           // the endpoint answered 429, or any status with Retry-After, and the time to wait is not over
	ServerError        Kind = "server_error"        // the endpoint answered 5xx
	RequestRefused     Kind = "request_refused"     // the endpoint answered another status, such as 400, 404, 405 or a redirect
	NotAnAnswer        Kind = "not_an_answer"       // status 200, and no introspection response
	UntrustedAnswer    Kind = "untrusted_answer"    // a signed answer that does not verify, or one that is not signed
	AnswerKeysMissing  Kind = "answer_keys_missing" // the keys of signed answers cannot be fetched
	Overloaded         Kind = "overloaded"          // too many requests are under way or wait here
	BreakerOpen        Kind = "breaker_open"        // not asked, because the requests before failed
	AnswerOutdated     Kind = "answer_outdated"     // the last answer about a Token that is held is too old, and nobody asked again
)

// Error returns the value itself, so that a printed Kind reads like its metric label.
func (k Kind) Error() string { return string(k) }

// Error is a request without a verdict. Its text may be shown to operators: it names the
// host and the status, and has no byte of a token, of a secret and of an answer.
type Error struct {
	kind  Kind
	cause error
	after time.Duration
}

// NewError returns an Error. retryAfter is how long callers should wait, or 0 if that
// is not known.
func NewError(kind Kind, cause error, retryAfter time.Duration) *Error {
	return &Error{kind, cause, retryAfter}
}

// Kind returns the kind of e.
func (e *Error) Kind() Kind { return e.kind }

// RetryAfter returns how long callers should wait before they try again, or 0 if that
// is not known.
func (e *Error) RetryAfter() time.Duration { return e.after }

// Error returns the kind and the cause.
func (e *Error) Error() string { return fmt.Sprintf("introspect: %s: %v", e.kind, e.cause) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is the Kind of e.
func (e *Error) Is(target error) bool { return target == error(e.kind) }
