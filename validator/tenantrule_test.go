package validator_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestTenantRule (R-CL-17): the tenant is the issuer's, or the one that its claim
// names among those that it owns.
func TestTenantRule(t *testing.T) {
	fixed := validator.TenantRule{Fixed: "one"}
	owned := validator.TenantRule{Claim: "org_id", Owned: []string{"one", "two", "three 3"}}
	for _, row := range []struct {
		name   string
		rule   validator.TenantRule
		org    string // "" for an absent claim
		want   string
		reason validator.Reason
	}{
		{"none", validator.TenantRule{}, `"one"`, "", ""},
		{"none, absent", validator.TenantRule{}, "", "", ""},
		{"fixed", fixed, "", "one", ""},
		{"fixed, and a claim that no rule names", fixed, `"two"`, "one", ""},
		{"fixed, and a claim of another type", fixed, `7`, "one", ""},
		{"owned", owned, `"one"`, "one", ""},
		{"another owned", owned, `"three 3"`, "three 3", ""},
		{"owned, with an escape", owned, `"\u006fne"`, "one", ""},
		{"not owned", owned, `"four"`, "", validator.BadClaims},
		{"owned in another case", owned, `"One"`, "", validator.BadClaims},
		{"owned and more", owned, `"one "`, "", validator.BadClaims},
		{"a prefix", owned, `"on"`, "", validator.BadClaims},
		{"empty", owned, `""`, "", validator.BadClaims},
		{"absent", owned, "", "", validator.BadClaims},
		{"null", owned, `null`, "", validator.BadClaims},
		{"a list", owned, `["one"]`, "", validator.BadClaims},
		{"a number", owned, `1`, "", validator.BadClaims},
		{"an object", owned, `{"one":true}`, "", validator.BadClaims},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := baseConfig()
			config.Issuers[0].Tenant = row.rule
			claims := baseClaims.with("tenant", `"two"`).with("ORG_ID", `"one"`).with("act", `{"sub":"a","org_id":"two"}`)
			if row.org != "" {
				claims = claims.with("org_id", row.org)
			}
			token := expect(t, issuertest.Validator(t, config), bearer(testKey.token(claims)), 0, row.reason, "a tenant that the issuer does not own")
			if token != nil && token.Tenant() != row.want {
				t.Errorf("tenant is %q, want %q", token.Tenant(), row.want)
			}
		})
	}
}

// TestTenantOfAnotherIssuer (R-CL-17, R-CL-18): an issuer that names the tenant
// of another is refused, whether or not that tenant's tokens are kept.
func TestTenantOfAnotherIssuer(t *testing.T) {
	const other = "https://other-as.example.net"
	config := granting(validator.AllScopes)
	config.Issuers[0].Tenant = validator.TenantRule{Claim: "org_id", Owned: []string{"one"}}
	config.Issuers = append(config.Issuers, validator.Issuer{
		URL: other, Audiences: []string{testAudience}, Keys: keysOf(foreignKey), Grants: allScopes,
		Tenant: validator.TenantRule{Claim: "org_id", Owned: []string{"two"}},
	})
	v := issuertest.Validator(t, config)
	evil := foreignKey.token(baseClaims.with("iss", `"`+other+`"`).with("org_id", `"one"`))
	refuses(at(0), t, v, bearer(evil), validator.BadClaims)
	if token := cached(at(0), t, v, bearer(testKey.token(baseClaims.with("org_id", `"one"`)))); token.Tenant() != "one" {
		t.Errorf("tenant is %q", token.Tenant())
	}
	refuses(at(0), t, v, bearer(evil), validator.BadClaims)
	if token := cached(at(0), t, v, bearer(foreignKey.token(baseClaims.with("iss", `"`+other+`"`).with("org_id", `"two"`)))); token.Tenant() != "two" {
		t.Errorf("tenant is %q", token.Tenant())
	}
}
