package scopes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-auth/sallyport/validator"
)

// Roles permits a token that has every one of these roles. Roles are what the
// issuer's configuration maps to them ([validator.Issuer.Mappings]) and lets the
// issuer give ([validator.Issuer.Roles]), and never scopes. They match whole and
// case-sensitive.
func Roles(required ...string) Policy {
	if err := checkTexts("Roles", "a role", required); err != nil {
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
	if err := checkTexts("AnyRole", "a role", alternatives); err != nil {
		return faulty(err)
	}
	alternatives = slices.Clone(alternatives)
	return forbidding(call("AnyRole", alternatives...), func(_ context.Context, q question) bool {
		return slices.ContainsFunc(alternatives, q.token.HasRole)
	})
}

// Claim permits a token that has a claim as rule says. Another token is not one
// for this route: a refusal is BadClaims, as if the issuer's configuration had
// declared the claim. It is asked of the tokens of every issuer: join it with
// [Issuers] where only one issuer's word counts.
func Claim(rule validator.ClaimRule) Policy {
	if err := rule.Err(); err != nil {
		return faulty(fmt.Errorf("scopes: Claim: %w", err))
	}
	return onToken(claimText(rule), validator.BadClaims, func(_ context.Context, q question) bool {
		return q.token.Satisfies(rule)
	})
}

func claimText(rule validator.ClaimRule) string {
	types := map[validator.ClaimType]string{
		validator.ClaimString: "ClaimString", validator.ClaimStrings: "ClaimStrings", validator.ClaimBoolean: "ClaimBoolean",
	}
	return fmt.Sprintf("Claim(validator.ClaimRule{%q, validator.%s, %q})", rule.Name, types[rule.Type], rule.Equals)
}

// Tenants permits a token that speaks for one of these tenants, by the
// configuration of its issuer ([validator.Issuer.Tenant]).
func Tenants(ids ...string) Policy {
	if err := checkTexts("Tenants", "a tenant", ids); err != nil {
		return faulty(err)
	}
	ids = slices.Clone(ids)
	return forbidding(call("Tenants", ids...), func(_ context.Context, q question) bool {
		return slices.Contains(ids, q.token.Tenant())
	})
}

// TenantFrom permits a token that speaks for the tenant whose resource is asked
// for: the one that the operation has under this name, such as a wildcard of
// the path. An operation without values permits no token, nor does a token
// without a tenant.
func TenantFrom(wildcard string) Policy {
	if wildcard == "" {
		return faulty(errors.New("scopes: TenantFrom without the name of a wildcard"))
	}
	made := forbidding(call("TenantFrom", wildcard), func(_ context.Context, q question) bool {
		tenant := q.token.Tenant()
		return tenant != "" && q.operation.Value != nil && q.operation.Value(wildcard) == tenant
	})
	made.rule.asks, made.rule.values = true, []string{wildcard}
	return made
}
