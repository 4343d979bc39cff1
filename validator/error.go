package validator

import (
	"errors"

	"github.com/sallyport-auth/sallyport/jose"
)

// Error is a refusal. Its text is a constant for the [Reason] and may be shown
// to anyone; the cause, through Unwrap, is for the operator's eyes. Neither
// holds bytes of the token. A nil and the zero Error are [Unavailable].
type Error struct {
	reason Reason
	cause  error
}

// Reason is the one reason of the refusal.
func (e *Error) Reason() Reason {
	if e == nil || e.reason == "" {
		return Unavailable
	}
	return e.reason
}

func (e *Error) Error() string {
	return "sallyport: " + string(e.Reason()) + ": " + e.Reason().Description()
}

// Unwrap gives the cause, if there is more to say than the reason.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// Is reports whether target is e's Reason.
func (e *Error) Is(target error) bool { return target == error(e.Reason()) }

// Refuse makes the refusal of a request for reason; the cause may be nil and
// must not hold bytes of a token. It is for adapters, which refuse requests
// that never come to Validate.
func Refuse(reason Reason, cause error) *Error { return &Error{reason, cause} }

// ReasonOf is the Reason in err's chain: "" for nil, [Unavailable] for an error
// that holds none, because then nothing was determined.
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

// refusal makes an Error with a constant cause at start-up, so that refusing a
// token allocates nothing.
func refusal(reason Reason, cause string) *Error {
	return &Error{reason, errors.New("validator: " + cause)}
}

// reasons maps the errors of the rooms below to Reasons. What is not here was
// not determined.
var reasons = []struct {
	err    error
	reason Reason
}{
	{jose.ErrMalformed, MalformedToken},
	{jose.ErrAlgorithm, AlgorithmNotAllowed},
	{jose.ErrUnknownKey, UnknownKey},
	{jose.ErrSignature, BadSignature},
}

// translated is an error of a room below as a refusal.
func translated(err error) *Error {
	for _, row := range reasons {
		if errors.Is(err, row.err) {
			return &Error{row.reason, err}
		}
	}
	return &Error{Unavailable, err}
}
