package validator

import (
	"errors"
	"fmt"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/misuse"
	"github.com/sallyport-auth/sallyport/jose"
)

// Error is a refusal. Its text is a constant for its [Reason] and may be shown to
// anyone. Its cause, which Unwrap returns, is for operators. Neither has bytes of
// the token. The Reason of a nil or zero Error is [Unavailable].
type Error struct {
	reason Reason
	cause  error
}

// Reason returns the reason of the refusal.
func (e *Error) Reason() Reason {
	if e == nil || e.reason == "" {
		return Unavailable
	}
	return e.reason
}

// Error returns a constant text for the reason.
func (e *Error) Error() string {
	return "sallyport: " + string(e.Reason()) + ": " + e.Reason().Description()
}

// Unwrap returns the cause, or nil if there is none.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// Is reports whether target is e's Reason.
func (e *Error) Is(target error) bool { return target == error(e.Reason()) }

// Refuse returns the refusal of a request for reason. The cause may be nil and
// must not have bytes of a token. Adapters use it for requests that they refuse
// before Validate.
func Refuse(reason Reason, cause error) *Error { return &Error{reason, cause} }

// Error returns the value itself, such as "expired". A printed Reason reads like
// its metric label.
func (r Reason) Error() string { return string(r) }

// ReasonOf returns the Reason of the first [*Error] that err wraps, or of the
// first Reason if it wraps no *Error. It returns "" for nil, and [Unavailable] for
// an error with neither.
func ReasonOf(err error) Reason {
	if err == nil {
		return ""
	}
	var reason Reason
	if refusal, ok := errors.AsType[*Error](err); ok {
		reason = refusal.Reason()
	} else {
		errors.As(err, &reason)
	}
	if reason == "" {
		return Unavailable
	}
	return reason
}

// refusal returns an Error with a constant cause. It is for package variables, so
// that refusing a token allocates nothing.
func refusal(reason Reason, cause string) *Error {
	return &Error{reason, errors.New("validator: " + cause)}
}

// misusing is refusal for a cause that is also a misuse.
func misusing(reason Reason, kind misuse.Kind, cause string) *Error {
	return &Error{reason, misuse.New(kind, "validator: "+cause)}
}

// reasonTable maps the errors of the packages below to Reasons. An error that is not
// listed says nothing about the token, and means [Unavailable].
var reasonTable = []struct {
	err    error
	reason Reason
}{
	{jose.ErrMalformed, MalformedToken},
	{jose.ErrAlgorithm, AlgorithmNotAllowed},
	{jose.ErrUnknownKey, UnknownKey},
	{jose.ErrSignature, BadSignature},
}

// refusalFor returns the refusal for an error of a package below.
func refusalFor(err error) *Error {
	for _, row := range reasonTable {
		if errors.Is(err, row.err) {
			return &Error{row.reason, err}
		}
	}
	return &Error{Unavailable, err}
}

// keyRefusal returns the refusal for an error of the issuer's keys. If they are
// unavailable, the cause names the issuer.
func keyRefusal(issuer string, err error) *Error {
	refused := refusalFor(err)
	if refused.reason == Unavailable {
		refused.cause = fmt.Errorf("validator: issuer %q: %w", issuer, err)
	}
	return refused
}

// errContext is the refusal of a call whose context is nil or panics.
var errContext = &Error{Unavailable, fmt.Errorf("validator: %w", hook.ErrContext)}
