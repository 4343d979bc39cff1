package scopes

import (
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/misuse"
	"github.com/sallyport-auth/sallyport/validator"
)

// Refusal says why a policy does not permit an operation. Its fields, except for
// ActiveWithin, are what a challenge tells the client. They must not be modified. A nil
// Refusal that is used as an error reads as Unavailable.
type Refusal struct {
	// Reason is one of:
	//   - InsufficientScope: a scope is missing, or the consent is too old
	//   - StepUpRequired: the user must authenticate more strongly or again
	//   - Forbidden: nothing that the client could ask for would help
	//   - BadClaims, BindingMismatch, WrongAudience: the token is not meant for
	//     this route
	//   - Expired, NotYetValid: the token is not valid at this time
	//   - Unavailable: a hook could not decide, or the issuer would have to be asked
	//     again (ActiveWithin)
	Reason validator.Reason
	// Scopes are all scopes that the operation needs (RFC 6750 §3.1), if one of
	// them is missing.
	Scopes []string
	// ACRValues are the acr values of which the token must have one, in order of
	// preference (RFC 9470 §3). It is empty if acr is not the reason.
	ACRValues []string
	// MaxAuthAge is how long ago the user may have authenticated, in whole seconds
	// (RFC 9470 §3). It is 0 if auth_time is not the reason.
	MaxAuthAge time.Duration
	// ActiveWithin is set if the issuer's last answer is too old: the policy demands one
	// within that time ([validator.Demands]), or decides nothing. It is 0 otherwise.
	ActiveWithin time.Duration

	cause error
}

// Error returns a text that depends on the Reason only.
func (r *Refusal) Error() string {
	return "scopes: " + string(r.reason()) + ": " + r.reason().Description()
}

// reason returns the Reason, or Unavailable for a nil or zero Refusal.
func (r *Refusal) reason() validator.Reason {
	if r == nil || r.Reason == "" {
		return validator.Unavailable
	}
	return r.Reason
}

// Unwrap returns an error that names the part of the policy that was not met, or
// the error of a hook. It is for logs, not for the client.
func (r *Refusal) Unwrap() error {
	if r == nil {
		return nil
	}
	return r.cause
}

// Is reports whether target is the Reason.
func (r *Refusal) Is(target error) bool { return target == error(r.reason()) }

var (
	// denied is the answer of a policy that can permit nothing.
	denied = &Refusal{Reason: validator.Forbidden}
	// undecided is the answer of a clause that depends on a hook while hooks are
	// not called. It is never returned to callers of the package.
	undecided = &Refusal{Reason: validator.Unavailable}
)

// ofOtherTenant returns the Refusal of a clause about tenants.
func ofOtherTenant(text string) *Refusal {
	return &Refusal{Reason: validator.Forbidden, cause: misuse.New(misuse.OtherTenant, "scopes: "+text+" is not met")}
}

// unmet returns the Refusal of the clause that prints as text.
func unmet(reason validator.Reason, text string) *Refusal {
	return &Refusal{Reason: reason, cause: fmt.Errorf("scopes: %s is not met", text)}
}
