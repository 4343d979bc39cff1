package validator

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/fault"
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

// check adds the faults of r.
func (r *TenantRule) check(f fault.List) {
	switch {
	case r.Fixed != "" && (r.Claim != "" || len(r.Owned) > 0):
		f.Add("has Fixed beside Claim or Owned", "give one or the other")
	case r.Claim != "" && len(r.Owned) == 0:
		f.At("Owned").Addf("list the tenants that the issuer may name there", "is empty, and the claim %q names a tenant", r.Claim)
	case r.Claim == "" && len(r.Owned) > 0:
		f.At("Claim").Add("is empty, and Owned is not", "name the claim that has one of Owned")
	}
	if r.Claim != "" && !canHaveType(r.Claim, ClaimString) {
		f.At("Claim").Addf("name a claim that is a string", "%q is %s in every token", r.Claim, jsonTypesOf[r.Claim])
	}
	if jwtclaims.HasControl(r.Fixed) {
		f.At("Fixed").Addf("correct it", "%q has control characters", r.Fixed)
	}
	checkNames(r.Owned, f.At("Owned"))
}

// refuse returns the refusal of a token that names no tenant of the issuer.
func (r *TenantRule) refuse(members []strictjson.Member) *Error {
	v, claim, owned := jwtclaims.Lookup(members, r.Claim), r.Claim, r.Owned
	return errTenantClaim.because(func() cause.Details {
		return cause.Details{
			Found: jwtclaims.DescribeText(claim, v), Wanted: cause.OneOf(owned),
			Mend: "if the issuer owns that tenant, add it to Issuer.Tenant.Owned",
		}
	})
}

var errTenantClaim = refusal(BadClaims, "the claim of the tenant is missing, no string, or names a tenant that the issuer does not own")

// tenantOf returns the tenant that the token speaks for.
func (r *TenantRule) tenantOf(members []strictjson.Member) (string, *Error) {
	if r.Claim == "" {
		return r.Fixed, nil
	}
	text, _ := jwtclaims.Lookup(members, r.Claim).Text()
	if i := slices.Index(r.Owned, text); i >= 0 { // "" is not among them
		return r.Owned[i], nil
	}
	return "", r.refuse(members)
}
