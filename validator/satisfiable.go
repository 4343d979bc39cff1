package validator

import (
	"errors"
	"fmt"
	"slices"
)

var errNoBinding = errors.New("validator: the route demands a token that is bound to its sender, and no binding can be checked yet: every token is refused")

// CanMeet returns nil if some issuer's tokens can meet d, and otherwise an error
// that says what is missing. It looks at the configuration only: which tokens
// the issuers give out is not known, nor is what Config.Tenants finds, so that
// with Tenants every audience can be met.
func (v *Validator) CanMeet(d Demands) error {
	if d.SenderConstrained {
		return errNoBinding
	}
	if len(d.Audiences) == 0 || len(v.issuers) == 0 || v.tenants != nil {
		return nil
	}
	isDemanded := func(audience string) bool { return slices.Contains(d.Audiences, audience) }
	for _, is := range v.issuers {
		if slices.ContainsFunc(is.audiences, isDemanded) {
			return nil
		}
	}
	return fmt.Errorf("validator: the route demands one of the audiences %q, and no configured issuer has one of them in its Audiences: "+
		"every token is refused; add it to the Audiences of the issuer that the route is for", d.Audiences)
}

// CanMeetACR returns nil if some issuer's tokens can have one of these acr values,
// or if there are none, and otherwise an error that says what is missing. It looks
// at the configuration only, as CanMeet does.
func (v *Validator) CanMeetACR(values []string) error {
	if len(values) == 0 || len(v.issuers) == 0 || v.tenants != nil {
		return nil
	}
	for _, is := range v.issuers {
		if slices.ContainsFunc(values, is.acrs.has) {
			return nil
		}
	}
	return fmt.Errorf("validator: the route demands one of the acr values %q, and none of them counts for a configured issuer: "+
		"every token is refused; list it in the ACRs of the issuers that give it", values)
}
