package validator

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// TenantRule says for which tenant the tokens of an issuer speak: always for
// Fixed, or for the one that Claim names, which must be one of Owned. A tenant
// comes from nowhere else: neither from the request nor from a claim that no
// rule names (RFC 8725 §3.8). The zero rule means that there are no tenants.
type TenantRule struct {
	// Fixed is the one tenant of the issuer.
	Fixed string
	// Claim is a claim at the top level of the token, a string. A token
	// without it, or in which it names a tenant that is not in Owned, is
	// refused ([BadClaims]).
	Claim string
	// Owned are the tenants that the issuer may name. Required with Claim.
	Owned []string
}

func (r *TenantRule) clone() TenantRule {
	clone := *r
	clone.Owned = slices.Clone(r.Owned)
	return clone
}

func (r *TenantRule) isZero() bool { return r.Fixed == "" && r.Claim == "" }

func (r *TenantRule) check(field string, f *faults) {
	switch {
	case r.Fixed != "" && (r.Claim != "" || len(r.Owned) > 0):
		f.addf("%s: Tenant has Fixed beside Claim or Owned; give one or the other", field)
	case r.Claim != "" && len(r.Owned) == 0:
		f.addf("%s: Tenant.Owned is empty; list the tenants that this issuer may name in %q", field, r.Claim)
	case r.Claim == "" && len(r.Owned) > 0:
		f.addf("%s: Tenant.Claim is empty; name the claim that has one of Owned", field)
	}
	if hasControl(r.Fixed) {
		f.addf("%s: Tenant.Fixed has control characters", field)
	}
	for i, tenant := range r.Owned {
		if tenant == "" || hasControl(tenant) {
			f.addf("%s: Tenant.Owned[%d] is empty or has control characters", field, i)
		}
		if slices.Contains(r.Owned[:i], tenant) {
			f.addf("%s: Tenant.Owned[%d] %q is listed twice", field, i, tenant)
		}
	}
}

var errTenantClaim = refusal(BadClaims, "the claim of the tenant is missing, no string, or names a tenant that the issuer does not own")

// judge answers for which tenant the token speaks.
func (r *TenantRule) judge(members []strictjson.Member) (string, *Error) {
	if r.Claim == "" {
		return r.Fixed, nil
	}
	text, _ := lookup(members, r.Claim).Text()
	if i := slices.Index(r.Owned, text); i >= 0 { // "" is not among them
		return r.Owned[i], nil
	}
	return "", errTenantClaim
}

// Tenant is the tenant that the token speaks for, by Issuer.Tenant, or empty if
// the issuer has none.
func (t *Token) Tenant() string { return t.read().tenant }
