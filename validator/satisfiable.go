package validator

import (
	"errors"
	"fmt"
	"slices"
)

var errNoBinding = errors.New("validator: the route demands a token that is bound to its sender, and no binding can be checked yet: every token is refused")

// CanMeet returns nil if tokens of some issuer can meet d, and otherwise an error
// that says what is missing. It looks at the configuration only. It does not know
// which tokens the issuers give out, nor which issuers Config.ResolveIssuer finds:
// with ResolveIssuer, every audience can be met.
func (v *Validator) CanMeet(d Demands) error {
	if d.SenderConstrained {
		return errNoBinding
	}
	if err := v.canAsk(d); err != nil {
		return err
	}
	if v == nil || len(v.issuers) == 0 || v.resolved != nil {
		return nil
	}
	if d.SoleAudience && !slices.ContainsFunc(v.issuers, func(is *checkedIssuer) bool { return len(is.Audiences) > 0 }) {
		return errors.New("validator: the route demands a sole audience, and no configured issuer has Audiences: every token is refused")
	}
	if len(d.Audiences) == 0 {
		return nil
	}
	isDemanded := func(audience string) bool { return slices.Contains(d.Audiences, audience) }
	for _, is := range v.issuers {
		if slices.ContainsFunc(is.Audiences, isDemanded) {
			return nil
		}
	}
	return fmt.Errorf("validator: the route demands one of the audiences %q, and no configured issuer has one of them in its Audiences: "+
		"every token is refused; add it to the Audiences of the issuer that the route is for", d.Audiences)
}

// CanMeetACR returns nil if tokens of some issuer can have one of these acr
// values, or if values is empty, and otherwise an error that says what is missing.
// It looks at the configuration only, as CanMeet does.
func (v *Validator) CanMeetACR(values []string) error {
	if len(values) == 0 || len(v.issuers) == 0 || v.resolved != nil {
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

// canAsk returns an error if d demands an answer of an issuer, and no issuer can be asked.
func (v *Validator) canAsk(d Demands) error {
	if !v.initialized() || v.resolved != nil {
		return nil
	}
	if is := v.byURL[d.OpaqueIssuer]; d.OpaqueIssuer != "" && (is == nil || is.opaque == nil) {
		return fmt.Errorf("validator: the route takes the opaque tokens of %q, and no issuer with that URL has Opaque: every opaque token is refused", d.OpaqueIssuer)
	}
	if d.ActiveWithin != 0 && !slices.ContainsFunc(v.issuers, func(is *checkedIssuer) bool { return is.opaque != nil }) {
		return errors.New("validator: the route demands that the issuer was asked whether the token is active, and no issuer has Opaque: every token is refused")
	}
	return nil
}
