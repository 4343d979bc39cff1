package scopes

import (
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// Refusal is why a policy says no. Its fields are what a challenge tells the
// client; they are not to be modified. A nil Refusal that is used as an error
// reads as Unavailable.
type Refusal struct {
	// Reason is one of:
	//   - InsufficientScope: a scope is missing, or the consent is too old
	//   - StepUpRequired: the user must authenticate more strongly or again
	//   - Forbidden: nothing that the client could ask for would help
	//   - BadClaims, BindingMismatch, WrongAudience: the token is not one for
	//     this route
	//   - Expired, NotYetValid: the token is not valid at this time
	//   - Unavailable: a hook could not tell
	Reason validator.Reason
	// Scopes are all that the operation needs (RFC 6750 §3.1), if one of them
	// is missing.
	Scopes []string
	// ACRValues are the acr values that would do, in order of preference
	// (RFC 9470 §3). Empty: that is not what is missing.
	ACRValues []string
	// MaxAge is how long ago the user may have authenticated, in whole
	// seconds (RFC 9470 §3). 0: that is not what is missing.
	MaxAge time.Duration

	cause error
}

// Error is constant for the Reason.
func (r *Refusal) Error() string {
	return "scopes: " + string(r.reason()) + ": " + r.reason().Description()
}

// reason returns Unavailable for a nil or the zero Refusal, which determine
// nothing.
func (r *Refusal) reason() validator.Reason {
	if r == nil || r.Reason == "" {
		return validator.Unavailable
	}
	return r.Reason
}

// Unwrap gives the clause that was not met, or the error of a hook: for logs,
// not for the client.
func (r *Refusal) Unwrap() error {
	if r == nil {
		return nil
	}
	return r.cause
}

// Is reports whether target is r's Reason.
func (r *Refusal) Is(target error) bool { return target == error(r.reason()) }

var (
	// denied is the answer of a policy that can permit nothing.
	denied = &Refusal{Reason: validator.Forbidden}
	// unasked is the answer of a clause that hangs on a hook, as long as hooks
	// may not be asked. It never leaves the package.
	unasked = &Refusal{Reason: validator.Unavailable}
)

// unmet is the refusal of the clause that prints as text.
func unmet(reason validator.Reason, text string) *Refusal {
	return &Refusal{Reason: reason, cause: fmt.Errorf("scopes: %s is not met", text)}
}

// precedence has the reasons from the one that And answers last to the one that
// it answers first. A refusal that follows from the token as a whole comes
// before one that the client could mend, so that nobody mends in vain.
var precedence = []validator.Reason{
	validator.InsufficientScope,
	validator.StepUpRequired,
	validator.Forbidden,
	validator.Unavailable,
	validator.BindingMismatch,
	validator.BadClaims,
}

// merger makes one refusal of those of And's parts.
type merger struct {
	first *Refusal // of those with the highest precedence
	acr   []string
	age   time.Duration
	lacks bool // a scope
}

func (m *merger) add(r *Refusal) {
	if m.first == nil || slices.Index(precedence, r.Reason) > slices.Index(precedence, m.first.Reason) {
		m.first = r
	}
	m.lacks = m.lacks || r.Reason == validator.InsufficientScope || len(r.Scopes) > 0
	m.acr = inCommon(m.acr, r.ACRValues)
	if m.age == 0 || r.MaxAge != 0 && r.MaxAge < m.age {
		m.age = r.MaxAge
	}
}

// refusal is what And answers, whose parts ask for these acr values and need
// the scopes of lacking.
func (m *merger) refusal(acr []string, lacking *Refusal) *Refusal {
	switch m.first.Reason {
	case validator.InsufficientScope:
		return lacking
	case validator.StepUpRequired:
		r := &Refusal{Reason: validator.StepUpRequired, MaxAge: m.age, cause: m.first.cause}
		if len(m.acr) > 0 {
			r.ACRValues = inCommon(acr, m.acr)
		}
		if m.lacks {
			r.Scopes = lacking.Scopes
		}
		return r
	default:
		return m.first
	}
}

// inCommon is what both lists of acr values have, in the order of the first; an
// empty list stands for all values. If they have nothing in common it is the
// first.
func inCommon(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	if both := intersection(a, b); len(both) > 0 {
		return both
	}
	return a
}

func intersection(a, b []string) []string {
	var both []string
	for _, value := range a {
		if slices.Contains(b, value) {
			both = append(both, value)
		}
	}
	return both
}
