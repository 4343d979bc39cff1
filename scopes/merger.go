package scopes

import (
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// precedence lists the reasons from the one that And returns last to the one that
// it returns first. What is wrong with the token as a whole comes before what the
// client could mend, so that the client does not mend it for nothing.
var precedence = []validator.Reason{
	validator.InsufficientScope,
	validator.StepUpRequired,
	validator.Forbidden,
	validator.Unavailable,
	validator.BindingMismatch,
	validator.BadClaims,
}

// merger makes one Refusal of those of the parts of And.
type merger struct {
	first *Refusal // the first of those with the highest precedence
	acr   []string
	age   time.Duration
	lacks bool          // a scope
	fresh time.Duration // the ActiveWithin that serves all parts
}

func (m *merger) add(r *Refusal) {
	if m.first == nil || slices.Index(precedence, r.Reason) > slices.Index(precedence, m.first.Reason) {
		m.first = r
	}
	m.lacks = m.lacks || r.Reason == validator.InsufficientScope || len(r.Scopes) > 0
	m.acr = inCommon(m.acr, r.ACRValues)
	if m.age == 0 || r.MaxAuthAge != 0 && r.MaxAuthAge < m.age {
		m.age = r.MaxAuthAge
	}
	m.fresh = fresher(m.fresh, r.ActiveWithin)
}

// refusal returns the Refusal of an And whose parts ask for these acr values. lacking
// is its Refusal of a token that lacks scopes.
func (m *merger) refusal(acr []string, lacking *Refusal) *Refusal {
	switch m.first.Reason {
	case validator.InsufficientScope:
		return lacking
	case validator.StepUpRequired:
		r := &Refusal{Reason: validator.StepUpRequired, MaxAuthAge: m.age, cause: m.first.cause}
		if len(m.acr) > 0 {
			r.ACRValues = inCommon(acr, m.acr)
		}
		if m.lacks {
			r.Scopes = lacking.Scopes
		}
		return r
	default:
		return m.first.within(m.fresh)
	}
}

// within returns r with this ActiveWithin, if it has one.
func (r *Refusal) within(fresh time.Duration) *Refusal {
	if r.ActiveWithin == 0 || r.ActiveWithin == fresh {
		return r
	}
	other := *r
	other.ActiveWithin = fresh
	return &other
}
