package validator

import (
	"errors"
	"sync/atomic"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/introspection"
)

// leastJWTAnswers is how many answers about JWTs are needed to say that none is active.
const leastJWTAnswers = 10

// jwtAnswers counts what an issuer said about JWTs that were validated locally, to tell
// an issuer that does not introspect its JWTs from one of which a JWT was revoked.
type jwtAnswers struct {
	active  atomic.Bool  // one was active
	without atomic.Int64 // answers without a JWT that is active
}

// record counts the result of one request.
func (a *jwtAnswers) record(active bool, err error) {
	switch {
	case active:
		a.active.Store(true)
	case err == nil, errors.Is(err, introspection.ErrUnsupported):
		a.without.Add(1)
	}
}

// neverActive returns the number of answers if there were some and none of the JWTs was
// active, and 0 otherwise.
func (a *jwtAnswers) neverActive() int64 {
	if n := a.without.Load(); n >= leastJWTAnswers && !a.active.Load() {
		return n
	}
	return 0
}

// lightweight is what an operator has to know if claims are missing in a JWT of an issuer
// that can be asked.
const lightweight = "if the issuer leaves claims out of its JWTs and gives them in the answer about a token, " +
	"set no Issuer.Keys: all its tokens are then asked about as opaque ones"

// hinted returns refused, the refusal of a JWT without a claim, and names the setting for
// opaque tokens in its cause if the issuer can be asked.
func (is *checkedIssuer) hinted(refused *Error) *Error {
	if refused == nil || is.Opaque == nil {
		return refused
	}
	return &Error{refused.reason, cause.Amend(refused.cause, lightweight)}
}
