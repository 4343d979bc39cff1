package middleware

import (
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// Verdict is the answer of [Route.Check]. The zero Verdict refuses.
type Verdict struct {
	passes bool
	token  *validator.Token // of a request that passes
	denial *Denial          // of a request that does not
	within time.Duration    // the ActiveWithin that the token was validated under
}

// Denial returns nil if the request may pass, and otherwise the answer to it. It
// is never nil for the zero Verdict.
func (v Verdict) Denial() *Denial {
	if v.passes {
		return nil
	}
	return v.denial.answerable()
}

// Token returns the validated token of a request that may pass. It is nil on
// public routes, for anonymous callers of optional ones, and if there is a Denial.
func (v Verdict) Token() *validator.Token {
	if !v.passes {
		return nil
	}
	return v.token
}
