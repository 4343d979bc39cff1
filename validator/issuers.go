package validator

import "slices"

// Issuers returns the identifiers of the configured issuers, in the order of the
// configuration. Those that Config.ResolveIssuer finds are not among them.
func (v *Validator) Issuers() []string {
	if v == nil {
		return nil
	}
	all := make([]string, len(v.issuers))
	for i, is := range v.issuers {
		all[i] = is.URL
	}
	return all
}

// Audiences returns Issuer.Audiences of a configured issuer, or nil if no issuer of
// that URL is configured.
func (v *Validator) Audiences(issuer string) []string {
	if v == nil || v.byURL[issuer] == nil {
		return nil
	}
	return slices.Clone(v.byURL[issuer].Audiences)
}

// ResolvesIssuers reports whether Config.ResolveIssuer may find issuers beside those
// of [Validator.Issuers].
func (v *Validator) ResolvesIssuers() bool { return v != nil && v.resolved != nil }
