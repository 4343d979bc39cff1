package validator_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// toRoles makes a role of every value of roles.
var toRoles = []validator.Mapping{{Claim: []string{"roles"}, To: validator.ToRole}}

// valuedRoles makes the role clerk of the value c.
var valuedRoles = []validator.Mapping{{Claim: []string{"roles"}, To: validator.ToRole, Values: map[string][]string{"c": {"clerk"}}}}

// partnered are validators of the test issuer beside a partner: a configured one
// and a resolved one. change configures the partner, whose tokens foreignKey signs.
func partnered(t *testing.T, change func(*validator.Issuer)) map[string]*validator.Validator {
	t.Helper()
	partner := validator.Issuer{URL: resolvedB, Audiences: []string{testAudience}, Keys: keysOf(foreignKey), Grants: allScopes}
	change(&partner)
	configured, resolved := granting(allScopes...), granting(allScopes...)
	configured.Issuers = append(configured.Issuers, partner)
	d := newDirectory()
	d.set(resolvedB, answering(partner))
	resolved.ResolveIssuer = d.find
	return map[string]*validator.Validator{"configured": issuertest.Validator(t, configured), "resolved": issuertest.Validator(t, resolved)}
}

// ofPartner is a token of the partner.
func ofPartner(claims object) validator.Presentation {
	return bearer(foreignKey.token(claims.with("iss", `"`+resolvedB+`"`)))
}

// TestRolesOfAnotherIssuer (R-SC-07): an issuer gives the roles that its
// configuration lists and no others, whatever its tokens say.
func TestRolesOfAnotherIssuer(t *testing.T) {
	claims := baseClaims.with("roles", `["admin","clerk","c"]`)
	for _, row := range []struct {
		name     string
		roles    []string
		mappings []validator.Mapping
		want     []string
	}{
		{"one", []string{"clerk"}, toRoles, []string{"clerk"}},
		{"none", []string{}, toRoles, nil},
		{"another case", []string{"Admin", "Clerk"}, toRoles, nil},
		{"all", []string{validator.AllRoles}, toRoles, []string{"admin", "clerk", "c"}},
		{"by its values", nil, valuedRoles, []string{"clerk"}},
		{"by its values, and none", []string{}, valuedRoles, nil},
		{"by both", []string{"clerk"}, slices.Concat(toRoles, valuedRoles), []string{"clerk"}},
		{"no mapping", []string{"admin"}, nil, nil},
	} {
		for kind, v := range partnered(t, func(c *validator.Issuer) { c.Roles, c.Mappings = row.roles, row.mappings }) {
			token := cached(at(0), t, v, ofPartner(claims))
			if got := token.Roles(); !slices.Equal(got, row.want) || token.HasRole("admin") != slices.Contains(row.want, "admin") {
				t.Errorf("%s, %s: %q, want %q", kind, row.name, got, row.want)
			}
		}
	}
	sole := mappedConfig(toRoles...)
	token := expect(t, issuertest.Validator(t, sole), bearer(testKey.token(claims)), 0, "", "")
	if got := token.Roles(); !slices.Equal(got, []string{"admin", "clerk", "c"}) {
		t.Errorf("the only issuer gives %q", got)
	}
	sole.Issuers[0].Roles = []string{"clerk"}
	token = expect(t, issuertest.Validator(t, sole), bearer(testKey.token(claims)), 0, "", "")
	if got := token.Roles(); !slices.Equal(got, []string{"clerk"}) {
		t.Errorf("the only issuer, bounded, gives %q", got)
	}
}

// TestRolesRequired (R-SC-07, R-OP-01): who shares an API with other issuers and
// maps whatever its tokens say to roles has to list them.
func TestRolesRequired(t *testing.T) {
	const fault = "makes a role of every value"
	second := validator.Issuer{URL: resolvedB, Audiences: []string{testAudience}, Keys: keysOf(foreignKey), Grants: allScopes}
	for _, row := range []struct {
		name   string
		roles  []string
		of     []validator.Mapping
		change func(*validator.Config)
		want   int
	}{
		{"the only one", nil, toRoles, func(*validator.Config) {}, 0},
		{"beside another", nil, toRoles, func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, 1},
		{"beside another, first", nil, toRoles, func(c *validator.Config) { c.Issuers = append([]validator.Issuer{second}, c.Issuers...) }, 1},
		{"beside ResolveIssuer", nil, toRoles, func(c *validator.Config) { c.ResolveIssuer = newDirectory().find }, 1},
		{"two mappings", nil, slices.Concat(toRoles, toRoles), func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, 2},
		{"one of two mappings", nil, slices.Concat(valuedRoles, toRoles), func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, 1},
		{"with values", nil, valuedRoles, func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, 0},
		{"to scopes", nil, auth0Mappings, func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, 0},
		{"listed", []string{"a"}, toRoles, func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, 0},
		{"none", []string{}, toRoles, func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, 0},
		{"all", []string{validator.AllRoles}, toRoles, func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, 0},
	} {
		config := granting(allScopes...)
		config.Issuers[0].Mappings, config.Issuers[0].Roles = row.of, row.roles
		row.change(&config)
		_, err := validator.New(config)
		if got := strings.Count(fmt.Sprint(err), fault); got != row.want || (err == nil) != (row.want == 0) {
			t.Errorf("%s: %v, want %d faults", row.name, err, row.want)
		}
	}

	v, d := resolvingTwo(t, 0)
	unbounded := validator.Issuer{URL: resolvedA, Audiences: []string{testAudience}, Keys: resolvedKeys, Grants: allScopes, Mappings: toRoles}
	d.set(resolvedA, answering(unbounded))
	_, err := v.Validate(at(0), ofResolved(resolvedA))
	if !errors.Is(err, validator.Unavailable) || !strings.Contains(fmt.Sprint(causeOf(err)), fault) {
		t.Errorf("an unbounded answer of ResolveIssuer: %v, %v", err, causeOf(err))
	}
}

// TestACRsOfAnotherIssuer (R-SU-05): beside other issuers an acr value counts
// only if the issuer's configuration lists it; the claim itself stays readable.
func TestACRsOfAnotherIssuer(t *testing.T) {
	claims := baseClaims.with("acr", `"gold"`)
	read := func(token *validator.Token) string {
		var all struct {
			ACR string `json:"acr"`
		}
		if err := token.Claims(&all); err != nil {
			t.Error(err)
		}
		return all.ACR
	}
	for _, row := range []struct {
		name string
		acrs []string
		want string
	}{
		{"not listed", nil, ""},
		{"none", []string{}, ""},
		{"another", []string{"silver", "Gold", "gold "}, ""},
		{"listed", []string{"silver", "gold"}, "gold"},
	} {
		for kind, v := range partnered(t, func(c *validator.Issuer) { c.ACRs = row.acrs }) {
			token := cached(at(0), t, v, ofPartner(claims))
			if token.ACR() != row.want || read(token) != "gold" {
				t.Errorf("%s, %s: %q, want %q, and the claim is %q", kind, row.name, token.ACR(), row.want, read(token))
			}
			if ours := cached(at(0), t, v, bearer(testKey.token(claims))); ours.ACR() != "" {
				t.Errorf("%s, %s: the other issuer's is %q", kind, row.name, ours.ACR())
			}
			if without := cached(at(0), t, v, ofPartner(baseClaims)); without.ACR() != "" {
				t.Errorf("%s, %s: without the claim it is %q", kind, row.name, without.ACR())
			}
		}
	}
	for want, acrs := range map[string][]string{"gold": nil, "": {}} {
		config := baseConfig()
		config.Issuers[0].ACRs = acrs
		if token := expect(t, issuertest.Validator(t, config), bearer(testKey.token(claims)), 0, "", ""); token.ACR() != want {
			t.Errorf("the only issuer, with ACRs %q: %q, want %q", acrs, token.ACR(), want)
		}
	}
}

// TestTenantsOfAnotherIssuer (R-CL-17): an issuer speaks only for tenants that its
// own configuration gives it, and for none without one.
func TestTenantsOfAnotherIssuer(t *testing.T) {
	for want, rule := range map[string]validator.TenantRule{
		"":        {},
		"partner": {Fixed: "partner"},
		"acme":    {Claim: "tenant", Owned: []string{"acme"}},
	} {
		for kind, v := range partnered(t, func(c *validator.Issuer) { c.Tenant = rule }) {
			token := cached(at(0), t, v, ofPartner(baseClaims.with("tenant", `"acme"`)))
			if token.Tenant() != want {
				t.Errorf("%s, %+v: %q", kind, rule, token.Tenant())
			}
			if rule.Claim != "" {
				refuses(at(0), t, v, ofPartner(baseClaims.with("tenant", `"globex"`)), validator.BadClaims)
			}
		}
	}
}

// TestIs (R-CL-12): a principal is an issuer and a subject.
func TestIs(t *testing.T) {
	v := partnered(t, func(*validator.Issuer) {})["configured"]
	ours, theirs := expect(t, v, bearer(testKey.token(baseClaims)), 0, "", ""), expect(t, v, ofPartner(baseClaims), 0, "", "")
	for _, row := range []struct {
		token           *validator.Token
		issuer, subject string
		want            bool
	}{
		{ours, testIssuer, "user-1", true},
		{ours, testIssuer, "user-2", false},
		{ours, testIssuer, "User-1", false},
		{ours, testIssuer + "/", "user-1", false},
		{ours, resolvedB, "user-1", false},
		{theirs, testIssuer, "user-1", false},
		{theirs, resolvedB, "user-1", true},
		{ours, testIssuer, "", false},
		{ours, "", "user-1", false},
		{ours, "", "", false},
		{nil, testIssuer, "user-1", false},
		{nil, "", "", false},
		{nil, testIssuer, "", false},
		{nil, "", "user-1", false},
		{new(validator.Token), "", "", false},
	} {
		if got := row.token.Is(row.issuer, row.subject); got != row.want {
			t.Errorf("%v is (%q, %q): %t", row.token, row.issuer, row.subject, got)
		}
	}
}
