package validator

import "slices"

// Issuers are the identifiers of the configured issuers, in that order and as
// they were given. Those that Config.Tenants finds are not among them.
func (v *Validator) Issuers() []string {
	if v == nil {
		return nil
	}
	all := make([]string, len(v.issuers))
	for i, is := range v.issuers {
		all[i] = is.url
	}
	return all
}

// Audiences are the identifiers of this API that tokens of a configured issuer
// may be meant for; nil if it is none.
func (v *Validator) Audiences(issuer string) []string {
	if v == nil || v.byURL[issuer] == nil {
		return nil
	}
	return slices.Clone(v.byURL[issuer].audiences)
}

// ResolvesIssuers reports whether Config.Tenants may find issuers beside those
// of [Validator.Issuers].
func (v *Validator) ResolvesIssuers() bool { return v != nil && v.tenants != nil }
