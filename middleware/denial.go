package middleware

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Denial is the answer to a request that may not pass. It holds constants of its
// Class and what the policy asks for, so a client learns nothing else of the
// token. A nil Denial, and one whose Status is not between 400 and 599, such as
// the zero one, are answered with 503.
//
// [errors.As] finds the *[validator.Error], and the *[scopes.Refusal] if the
// policy refused the token.
type Denial struct {
	// Reason is for logs and metrics, not for the client. It is of the closed set of
	// package validator, or empty if ParseErrorInfo made the Denial.
	Reason validator.Reason
	// Class decides what the client gets.
	Class Class
	// Status is the HTTP status.
	Status int
	// Challenges are the values of the WWW-Authenticate fields, one field
	// line each (RFC 9110 §11.6.1). May be empty. Not to be modified.
	Challenges []string
	// RetryAfter is the value of the Retry-After field, or 0 for none. For
	// ClassUnavailable, it is what an error of the cause returns from its method
	// RetryAfter() time.Duration, such as an [introspect.Error]: in whole seconds,
	// rounded up, and no more than 5 minutes. It is 1 second if no error says so.
	RetryAfter time.Duration

	allow  string           // value of the Allow field; empty: none
	params *challengeParams // of the challenge; nil: there is none
	cause  error
	style  responseStyle
}

// responseStyle is the part of a Guard's configuration by which its answers are
// written.
type responseStyle struct {
	noBody bool
	expose bool
	render func(http.ResponseWriter, *http.Request, *Denial)
}

// newDenial returns the Denial for reason in its class, without challenges.
func newDenial(reason validator.Reason, cause error, style responseStyle) *Denial {
	class := classFor(reason)
	row := class.row()
	d := &Denial{Reason: reason, Class: class, Status: row.status, RetryAfter: row.retryAfter, cause: cause, style: style}
	if after := retryAfter(cause); class == ClassUnavailable && after > 0 {
		d.RetryAfter = inSeconds(after)
	}
	return d
}

// challenge gives d the challenge c, which may be nil.
func (d *Denial) challenge(c *challenge) {
	if c != nil {
		d.Challenges, d.params = c.fields, &c.params
	}
}

// clone returns a copy of d that its receiver may change.
func (d *Denial) clone() *Denial {
	copied := *d
	copied.Challenges = slices.Clone(d.Challenges)
	return &copied
}

// Error returns a constant text for the Reason, or for the Class if there is no
// Reason.
func (d *Denial) Error() string {
	if d != nil && d.Reason == "" && classes[d.Class] != nil {
		return "sallyport: denied: " + string(d.Class)
	}
	return "sallyport: denied: " + string(d.reason())
}

// reason returns Unavailable for a Denial that has no Reason.
func (d *Denial) reason() validator.Reason {
	if d == nil || d.Reason == "" {
		return validator.Unavailable
	}
	return d.Reason
}

// Unwrap returns the refusal of the validator or the policy, or the Reason if
// there is none.
func (d *Denial) Unwrap() error {
	if d == nil || d.cause == nil {
		return d.reason()
	}
	return d.cause
}

// Cause returns what was wrong, for logs: the error of a hook, the clause of the
// policy or the check of the validator. It returns the Reason if nothing more is
// known. It is not for the client.
func (d *Denial) Cause() error {
	err := d.Unwrap()
	if refusal, ok := errors.AsType[*validator.Error](err); ok && refusal.Unwrap() != nil {
		err = refusal.Unwrap()
	}
	if refusal, ok := errors.AsType[*scopes.Refusal](err); ok && refusal.Unwrap() != nil {
		err = refusal.Unwrap()
	}
	return err
}

// answerable returns d if its Status refuses, and a Denial of ClassUnavailable
// otherwise.
func (d *Denial) answerable() *Denial {
	if d != nil && d.Status >= 400 && d.Status <= 599 {
		return d
	}
	if d == nil {
		return newDenial(validator.Unavailable, nil, responseStyle{})
	}
	return newDenial(validator.Unavailable, d.cause, d.style)
}
