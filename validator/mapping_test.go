package validator_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// mappedConfig is baseConfig with these mappings.
func mappedConfig(mappings ...validator.Mapping) validator.Config {
	config := baseConfig()
	config.Issuers[0].Mappings = mappings
	return config
}

// compareGrants holds what a token may do against what it should.
func compareGrants(t *testing.T, token *validator.Token, scopes, roles []string) {
	t.Helper()
	if got := token.Scopes(); !slices.Equal(got, scopes) {
		t.Errorf("scopes are %q, want %q", got, scopes)
	}
	if got := token.Roles(); !slices.Equal(got, roles) {
		t.Errorf("roles are %q, want %q", got, roles)
	}
	for _, name := range slices.Concat(scopes, roles) {
		if token.HasScope(name) != slices.Contains(scopes, name) || token.HasRole(name) != slices.Contains(roles, name) {
			t.Errorf("HasScope(%q) is %t, HasRole is %t", name, token.HasScope(name), token.HasRole(name))
		}
	}
}

// entra is an access token of a user in Entra ID, as Microsoft describes it; the
// others are by their makers, too.
var (
	entra    = baseClaims.without("scope").with("scp", `"Orders.Read Orders.Write"`).with("roles", `["Clerk","Order Approver"]`).with("groups", `["0a1b"]`)
	okta     = baseClaims.without("scope").with("scp", `["orders:read","offline_access"]`).with("groups", `["Everyone","Sales EMEA"]`)
	auth0    = baseClaims.with("scope", `"openid read:orders"`).with("permissions", `["read:orders","update:orders"]`)
	keycloak = baseClaims.with("scope", `"openid email"`).with("realm_access", `{"roles":["offline_access","staff"]}`).
			with("resource_access", `{"orders-api":{"roles":["approve","staff"]},"account":{"roles":["manage-account"]}}`)
)

// The mappings of claims of the same issuers.
var (
	entraMappings = []validator.Mapping{{Claim: []string{"scp"}, To: validator.ToScope}, {Claim: []string{"roles"}, To: validator.ToRole}}
	oktaMappings  = []validator.Mapping{{Claim: []string{"scp"}, To: validator.ToScope}, {Claim: []string{"groups"}, To: validator.ToRole}}
	auth0Mappings = []validator.Mapping{{Claim: []string{"permissions"}, To: validator.ToScope}}
)

// keycloakMappings are the mappings of the roles of a realm and of a client.
func keycloakMappings(clientID string) []validator.Mapping {
	return []validator.Mapping{
		{Claim: []string{"realm_access", "roles"}, To: validator.ToRole},
		{Claim: []string{"resource_access", clientID, "roles"}, To: validator.ToRole},
	}
}

// TestMappings (R-SC-07): the shapes of large issuers, with their mappings, and as
// they are without: then nothing but scope counts.
func TestMappings(t *testing.T) {
	for _, row := range []struct {
		name          string
		claims        object
		mappings      []validator.Mapping
		scopes, roles []string
		without       []string
	}{
		{"Entra", entra, entraMappings, []string{"Orders.Read", "Orders.Write"}, []string{"Clerk", "Order Approver"}, nil},
		{"Entra, a client alone", entra.without("scp"), entraMappings, nil, []string{"Clerk", "Order Approver"}, nil},
		{"Okta", okta, oktaMappings, []string{"orders:read", "offline_access"}, []string{"Everyone", "Sales EMEA"}, nil},
		{"Auth0", auth0, auth0Mappings, []string{"openid", "read:orders", "update:orders"}, nil, []string{"openid", "read:orders"}},
		{
			"Keycloak", keycloak, keycloakMappings("orders-api"),
			[]string{"openid", "email"},
			[]string{"offline_access", "staff", "approve"},
			[]string{"openid", "email"},
		},
		{
			"Keycloak, another client", keycloak, keycloakMappings("billing-api"),
			[]string{"openid", "email"},
			[]string{"offline_access", "staff"},
			[]string{"openid", "email"},
		},
		{
			"Keycloak, a client without roles", keycloak.with("resource_access", `{"orders-api":{}}`).without("realm_access"),
			keycloakMappings("orders-api"),
			[]string{"openid", "email"},
			nil,
			[]string{"openid", "email"},
		},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := bearer(testKey.token(row.claims))
			compareGrants(t, cached(at(0), t, issuertest.Validator(t, mappedConfig(row.mappings...)), p), row.scopes, row.roles)
			compareGrants(t, cached(at(0), t, issuertest.Validator(t, baseConfig()), p), row.without, nil)
		})
	}
}

// TestMappedValues (R-SC-07, R-CL-14, R-SC-01): each JSON type and each list, with no
// conversion.
func TestMappedValues(t *testing.T) {
	const wrongType, wrongValue = "neither a string nor an array of strings", "no scope token"
	scope := validator.Mapping{Claim: []string{"m"}, To: validator.ToScope}
	role := validator.Mapping{Claim: []string{"m"}, To: validator.ToRole}
	listed := validator.Mapping{Claim: []string{"m"}, To: validator.ToScope, Values: map[string][]string{
		"Order Admins": {"orders:read", "orders:write"}, "clerks": {"orders:read"}, "x": {"x"},
	}}
	for _, row := range []struct {
		name    string
		mapping validator.Mapping
		raw     string // "" for an absent claim
		want    []string
		reason  validator.Reason
		cause   string
	}{
		{"absent", scope, "", nil, "", ""},
		{"absent role", role, "", nil, "", ""},
		{"empty string", scope, `""`, nil, "", ""},
		{"empty string, role", role, `""`, nil, "", ""},
		{"empty array", scope, `[]`, nil, "", ""},
		{"string", scope, `"a b:c"`, []string{"a", "b:c"}, "", ""},
		{"string, roles", role, `"a b:c"`, []string{"a", "b:c"}, "", ""},
		{"array", scope, `["a","b:c"]`, []string{"a", "b:c"}, "", ""},
		{"array, roles", role, `["a b","b\"\\","ä"]`, []string{"a b", `b"\`, "ä"}, "", ""},
		{"escapes", scope, `["\u0061"]`, []string{"a"}, "", ""},
		{"repetitions", scope, `"a b a b"`, []string{"a", "b"}, "", ""},
		{"repeated roles", role, `["a","b","a"]`, []string{"a", "b"}, "", ""},
		{"of scope, too", scope, `["write","new","read"]`, []string{"write", "new", "read"}, "", ""},

		{"null", scope, `null`, nil, validator.BadClaims, wrongType},
		{"number", scope, `1`, nil, validator.BadClaims, wrongType},
		{"true", scope, `true`, nil, validator.BadClaims, wrongType},
		{"object", scope, `{"a":true}`, nil, validator.BadClaims, wrongType},
		{"array of a number", scope, `["a",1]`, nil, validator.BadClaims, wrongType},
		{"array of null", role, `[null]`, nil, validator.BadClaims, wrongType},
		{"array of arrays", role, `[["a"]]`, nil, validator.BadClaims, wrongType},
		{"array of an object", listed, `[{"name":"clerks"}]`, nil, validator.BadClaims, wrongType},
		{"array of true", listed, `["clerks",true]`, nil, validator.BadClaims, wrongType},

		{"two spaces", scope, `"a  b"`, nil, validator.BadClaims, wrongValue},
		{"space first", scope, `" a"`, nil, validator.BadClaims, wrongValue},
		{"space last", role, `"a "`, nil, validator.BadClaims, wrongValue},
		{"tab", scope, `"a\tb"`, nil, validator.BadClaims, wrongValue},
		{"space in an element", scope, `["a b"]`, nil, validator.BadClaims, wrongValue},
		{"quote", scope, `["a\"b"]`, nil, validator.BadClaims, wrongValue},
		{"backslash", scope, `"a\\b"`, nil, validator.BadClaims, wrongValue},
		{"beyond ASCII", scope, `["ä"]`, nil, validator.BadClaims, wrongValue},
		{"empty element", scope, `["a",""]`, nil, validator.BadClaims, wrongValue},
		{"empty role", role, `[""]`, nil, validator.BadClaims, wrongValue},
		{"line break in a role", role, `["a\nb"]`, nil, validator.BadClaims, wrongValue},
		{"NUL in a role", role, `["a\u0000"]`, nil, validator.BadClaims, wrongValue},
		{"C1 control in a role", role, `["a\u0085"]`, nil, validator.BadClaims, wrongValue},

		{"listed", listed, `["Order Admins"]`, []string{"orders:read", "orders:write"}, "", ""},
		{"listed, twice the same", listed, `["clerks","Order Admins","clerks"]`, []string{"orders:read", "orders:write"}, "", ""},
		{"listed, a string", listed, `"clerks x"`, []string{"orders:read", "x"}, "", ""},
		{"not listed", listed, `["orders:write","Clerks","clerks ","","\n","Order  Admins"]`, nil, "", ""},
		{"some listed", listed, `["root","clerks"]`, []string{"orders:read"}, "", ""},
		{"not listed, words of a listed one", listed, `"Order Admins"`, nil, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			claims := baseClaims.without("scope").with("other", `["x","clerks"]`).with("M", `["x","clerks"]`).with("o", `{"m":["x","clerks"]}`)
			if row.raw != "" {
				claims = claims.with("m", row.raw)
			}
			v := issuertest.Validator(t, mappedConfig(row.mapping))
			token := expect(t, v, bearer(testKey.token(claims)), 0, row.reason, row.cause)
			if token == nil {
				return
			}
			if row.mapping.To == validator.ToScope {
				compareGrants(t, token, row.want, nil)
			} else {
				compareGrants(t, token, nil, row.want)
			}
		})
	}
}

// TestMappedPaths (R-SC-07): what leads to a claim is an object, if it is there.
func TestMappedPaths(t *testing.T) {
	v := issuertest.Validator(t, mappedConfig(validator.Mapping{Claim: []string{"a", "b", "c"}, To: validator.ToRole}))
	for _, row := range []struct {
		raw    string
		want   []string
		reason validator.Reason
	}{
		{`{"b":{"c":["x"]}}`, []string{"x"}, ""},
		{` { "z" : {"c":["n"]}, "b":{"c" : "x y" } } `, []string{"x", "y"}, ""},
		{`{"\u0062":{"c":["x"]}}`, []string{"x"}, ""},
		{`{}`, nil, ""},
		{`{"b":{}}`, nil, ""},
		{`{"B":{"c":["x"]},"c":["x"]}`, nil, ""},
		{`{"b":{"c":1}}`, nil, validator.BadClaims},
		{`{"b":["c"]}`, nil, validator.BadClaims},
		{`{"b":null}`, nil, validator.BadClaims},
		{`{"b":"c"}`, nil, validator.BadClaims},
		{`["x"]`, nil, validator.BadClaims},
		{`"x"`, nil, validator.BadClaims},
		{`null`, nil, validator.BadClaims},
		{`1`, nil, validator.BadClaims},
	} {
		t.Run(row.raw, func(t *testing.T) {
			token := expect(t, v, bearer(testKey.token(baseClaims.with("a", row.raw).with("a.b.c", `["n"]`).with("c", `["n"]`))), 0, row.reason, "leads to it")
			if token != nil {
				compareGrants(t, token, []string{"read", "write"}, row.want)
			}
		})
	}
	compareGrants(t, expect(t, v, bearer(testKey.token(baseClaims)), 0, "", ""), []string{"read", "write"}, nil)
}

// TestMappedAndGranted (R-SC-07): grants bound what is mapped, and roles are not
// scopes.
func TestMappedAndGranted(t *testing.T) {
	config := granting("read", "update:orders", "x")
	config.Issuers[0].Mappings = []validator.Mapping{
		{Claim: []string{"permissions"}, To: validator.ToScope},
		{Claim: []string{"scope"}, To: validator.ToRole},
		{Claim: []string{"groups"}, To: validator.ToScope, Values: map[string][]string{"g": {"x", "y"}}},
	}
	claims := baseClaims.with("permissions", `["update:orders","delete:orders"]`).with("groups", `["g"]`)
	token := expect(t, issuertest.Validator(t, config), bearer(testKey.token(claims)), 0, "", "")
	compareGrants(t, token, []string{"read", "update:orders", "x"}, []string{"read", "write"})
	if token.HasScope("delete:orders") || token.HasScope("y") || token.HasRole("x") {
		t.Error("more than is granted")
	}
}

// TestHasRole: whole roles only, wherever they stand.
func TestHasRole(t *testing.T) {
	v := issuertest.Validator(t, mappedConfig(entraMappings...))
	token := expect(t, v, bearer(testKey.token(entra.with("roles", `["Clerk","Order Approver","x"]`))), 0, "", "")
	for _, role := range []string{"", "\n", "Order", "Approver", "clerk", "Clerk ", "Clerk\n", "Clerk\nOrder Approver", "Order Approver\nx", "Orders.Read", "X"} {
		if token.HasRole(role) {
			t.Errorf("HasRole(%q) is true", role)
		}
	}
	list := token.Roles()
	list[0] = "root"
	if token.HasRole("root") || token.Roles()[0] != "Clerk" {
		t.Error("the list is the token's own")
	}
}

// TestMappedTokensInMemory: what values take is counted, and taken once for each
// value, however often a token has it.
func TestMappedTokensInMemory(t *testing.T) {
	long := map[string][]string{"a": {strings.Repeat("r", 5000)}}
	p := bearer(testKey.token(baseClaims.with("roles", `["a","a","a"]`)))
	plain := issuertest.Validator(t, baseConfig())
	accepts(at(0), t, plain, p)
	_, bytes := validator.CacheSize(plain)
	for _, to := range []validator.Attribute{validator.ToScope, validator.ToRole} {
		v := issuertest.Validator(t, mappedConfig(validator.Mapping{Claim: []string{"roles"}, To: to, Values: long}))
		accepts(at(0), t, v, p)
		if _, more := validator.CacheSize(v); more < bytes+5000 || more > bytes+5100 {
			t.Errorf("%d bytes, %d without the mapping", more, bytes)
		}
	}
}
