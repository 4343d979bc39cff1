package scopes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// Roles permits a token that has every one of these roles. Roles are what the
// issuer's configuration maps to roles ([validator.Issuer.Mappings]) and lets the
// issuer give ([validator.Issuer.Roles]); scopes are never roles. They match whole
// and case-sensitive.
func Roles(required ...string) Policy {
	if err := checkTexts("Roles", "roles", required); err != nil {
		return faulty(err)
	}
	required = slices.Clone(required)
	return forbidding(call("Roles", required...), func(_ context.Context, q question) bool {
		for _, role := range required {
			if !q.token.HasRole(role) {
				return false
			}
		}
		return true
	})
}

// AnyRole permits a token that has at least one of these roles; see [Roles].
func AnyRole(alternatives ...string) Policy {
	if err := checkTexts("AnyRole", "roles", alternatives); err != nil {
		return faulty(err)
	}
	alternatives = slices.Clone(alternatives)
	return forbidding(call("AnyRole", alternatives...), func(_ context.Context, q question) bool {
		return slices.ContainsFunc(alternatives, q.token.HasRole)
	})
}

// Claim permits a token that has a claim as rule says. The refusal of another token
// is BadClaims, as if the issuer's configuration had declared the claim. Claim asks
// the tokens of every issuer; join it with [Issuers] to name those whose claim
// counts.
func Claim(rule validator.ClaimRule) Policy {
	faults := faultsOf("Claim")
	faults.Merge(rule.Err())
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	rule.AnyOf = slices.Clone(rule.AnyOf) // an alternative has none of its own
	return conditional("Claim(validator.ClaimRule"+claimText(rule)+")", validator.BadClaims, func(_ context.Context, q question) bool {
		return q.token.Satisfies(rule)
	})
}

var claimTypes = map[validator.ClaimType]string{
	validator.ClaimString: "ClaimString", validator.ClaimStrings: "ClaimStrings", validator.ClaimBoolean: "ClaimBoolean", validator.ClaimObject: "ClaimObject",
}

// claimText returns what a rule asks for, as a composite literal without its type.
func claimText(rule validator.ClaimRule) string {
	if rule.AnyOf == nil {
		return fmt.Sprintf("{%q, validator.%s, %q}", rule.Name, claimTypes[rule.Type], rule.Equals)
	}
	all := make([]string, len(rule.AnyOf))
	for i := range rule.AnyOf {
		all[i] = claimText(rule.AnyOf[i])
	}
	return "{AnyOf: {" + strings.Join(all, ", ") + "}}"
}

// Tenants permits a token of one of these tenants, by the configuration of its
// issuer ([validator.Issuer.Tenant]).
func Tenants(ids ...string) Policy {
	if err := checkTexts("Tenants", "tenants", ids); err != nil {
		return faulty(err)
	}
	ids = slices.Clone(ids)
	return ofTenant(call("Tenants", ids...), func(_ context.Context, q question) bool {
		return slices.Contains(ids, q.token.Tenant())
	})
}

// TenantFrom permits a token of the tenant whose resource is asked for. The value
// of that name in the operation, such as a wildcard of the path, names the tenant.
// An operation without values permits no token, and a token without a tenant is not
// permitted.
func TenantFrom(wildcard string) Policy {
	if wildcard == "" {
		return misused("TenantFrom", "name a wildcard of the path", "has an empty name")
	}
	made := ofTenant(call("TenantFrom", wildcard), func(_ context.Context, q question) bool {
		tenant := q.token.Tenant()
		return tenant != "" && q.operation.Value != nil && q.operation.Value(wildcard) == tenant
	})
	made.rule.asks, made.rule.values = true, []string{wildcard}
	return made
}
