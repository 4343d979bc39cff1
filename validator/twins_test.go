package validator_test

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// twin is a JWT and an opaque token with the same claims, which the same rule or demand
// judges.
type twin struct {
	name    string
	field   string // of Issuer or Demands that judges them, or "" for a rule that is always there
	change  func(*validator.Issuer)
	demands validator.Demands
	claims  issuertest.Claims
	revoked bool
	want    validator.Reason
	has     string // what the accepted Tokens have, as fmt prints it; "" for anything
	of      func(*validator.Token) any
}

// fieldsWithoutTwin are the fields that say nothing about what a token must be, or that
// only one kind of token has.
var fieldsWithoutTwin = map[string]string{
	"Issuer.Algorithms":        "of the signature",
	"Issuer.Keys":              "of the signature",
	"Issuer.KeyLimits":         "of the signature",
	"Issuer.MetadataURL":       "how the issuer is reached",
	"Issuer.ForbiddenKeys":     "of the signature",
	"Issuer.KeyIssuers":        "of the signature",
	"Issuer.HTTPClient":        "how the issuer is reached",
	"Issuer.InsecureAllowHTTP": "how the issuer is reached",
	"Issuer.Profile":           "tells access tokens from other JWTs; Answers does it for opaque tokens",
	"Issuer.Marker":            "tells access tokens from other JWTs; Answers.Marker does it for opaque tokens",
	"Issuer.Opaque":            "how the issuer is asked",
	"Issuer.Err":               "of the configuration",
	"Issuer.Answers":           "tells access tokens from others; Profile does it for JWTs",
	"Demands.OpaqueIssuer":     "selects the issuer that is asked",
}

func twinRules() []twin {
	region := func(c *validator.Issuer) { c.Claims = rules{{Name: "region", Equals: "eu"}} }
	grants := func(c *validator.Issuer) { c.Grants = []string{"read"} }
	mapped := func(c *validator.Issuer) {
		c.Mappings = []validator.Mapping{{Claim: []string{"scp"}, To: validator.ToScope}}
	}
	roles := func(c *validator.Issuer) {
		c.Mappings = []validator.Mapping{{Claim: []string{"groups"}, To: validator.ToRole}}
		c.Roles = []string{"editor"}
	}
	acrs := func(c *validator.Issuer) { c.ACRs = []string{"gold"} }
	tenants := func(c *validator.Issuer) {
		c.Tenant = validator.TenantRule{Claim: "org", Owned: []string{"a"}}
	}
	clients := func(c *validator.Issuer) {
		c.Profile, c.Marker, c.ClientClaim = validator.ProfileLegacy, rules{{Name: "client_id"}}, "app"
	}
	listed := func(c *validator.Issuer) {
		c.Profile, c.Marker, c.ClientIDs = validator.ProfileLegacy, rules{{Name: "client_id"}}, []string{"app"}
	}
	lists := func(c *validator.Issuer) { c.ScopeLists = true }
	nobody := func(c *validator.Issuer) { c.SubjectOptional = true }
	whose := func(t *validator.Token) any {
		return fmt.Sprintf("%q %q %t %t", t.Subject(), t.ClientID(), t.ClientOnly(), t.HasUser())
	}
	machines := func(c *validator.Issuer) {
		c.ClientOnly = validator.ClaimRule{Name: "gty", Equals: "client-credentials"}
	}
	others := func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "device", Equals: "tv"}, {Name: "lab"}} }
	users := func(c *validator.Issuer) { c.User = validator.ClaimRule{Name: "uid"} }
	caller := func(t *validator.Token) any { return fmt.Sprintf("%t, %t", t.ClientOnly(), t.HasUser()) }
	factors := func(c *validator.Issuer) { c.MultiFactor = []string{"mfa"} }
	always := func(c *validator.Issuer) { c.ActiveWithin = validator.EachRequest }
	scopes := func(t *validator.Token) any { return t.Scopes() }
	return []twin{
		{name: "iss of another issuer", field: "Issuer.URL", claims: issuertest.Claims{"iss": "https://other.test"}, want: validator.UnknownIssuer},
		{name: "iss with a slash", field: "Issuer.URL", claims: issuertest.Claims{"iss": "https://issuer.test/"}, want: validator.UnknownIssuer},
		{name: "aud of another API", field: "Issuer.Audiences", claims: issuertest.Claims{"aud": "https://other.test"}, want: validator.WrongAudience},
		{name: "aud of several", field: "Issuer.Audiences", claims: issuertest.Claims{"aud": []string{"https://other.test", issuertest.Audience}}},
		{name: "no aud, and a listed client", field: "Issuer.ClientIDs", change: listed, claims: issuertest.Claims{"aud": nil, "client_id": "app"}},
		{name: "no aud, and another client", field: "Issuer.ClientIDs", change: listed, claims: issuertest.Claims{"aud": nil}, want: validator.WrongAudience},
		{name: "no aud", claims: issuertest.Claims{"aud": nil}, want: validator.WrongAudience},
		{name: "scopes in an array", field: "Issuer.ScopeLists", change: lists, claims: issuertest.Claims{"scope": []string{"a", "b", "a"}}, has: "[a b]", of: scopes},
		{name: "scopes in an array and mapped ones", field: "Issuer.ScopeLists", change: func(c *validator.Issuer) { lists(c); mapped(c) }, claims: issuertest.Claims{"scope": []string{"a"}, "scp": "b"}, has: "[a b]", of: scopes},
		{name: "scopes in a string where arrays are allowed", field: "Issuer.ScopeLists", change: lists, claims: issuertest.Claims{"scope": "a b"}, has: "[a b]", of: scopes},
		{name: "an array with something else than scopes", field: "Issuer.ScopeLists", change: lists, claims: issuertest.Claims{"scope": []any{"a", 1}}, want: validator.BadClaims},
		{name: "scopes in an array that is not allowed", claims: issuertest.Claims{"scope": []string{"a"}}, want: validator.BadClaims},
		{name: "no sub", field: "Issuer.SubjectOptional", change: nobody, claims: issuertest.Claims{"sub": nil, "client_id": "app"}, has: `"" "app" true false`, of: whose},
		{name: "an empty sub where it is optional", field: "Issuer.SubjectOptional", change: nobody, claims: issuertest.Claims{"sub": "", "client_id": "app"}, has: `"" "app" true false`, of: whose},
		{name: "a sub of another type where it is optional", field: "Issuer.SubjectOptional", change: nobody, claims: issuertest.Claims{"sub": 1}, want: validator.BadClaims},
		{name: "a user where sub is optional", field: "Issuer.SubjectOptional", change: nobody, claims: issuertest.Claims{"sub": "user-1", "client_id": "app"}, has: `"user-1" "app" false true`, of: whose},
		{name: "a declared claim", field: "Issuer.Claims", change: region, claims: issuertest.Claims{"region": "eu"}},
		{name: "no declared claim", field: "Issuer.Claims", change: region, want: validator.BadClaims},
		{name: "a declared claim of another value", field: "Issuer.Claims", change: region, claims: issuertest.Claims{"region": "us"}, want: validator.BadClaims},
		{name: "scopes of another issuer", field: "Issuer.Grants", change: grants, claims: issuertest.Claims{"scope": "admin read"}, has: "[read]", of: scopes},
		{name: "mapped scopes", field: "Issuer.Mappings", change: mapped, claims: issuertest.Claims{"scp": []string{"a", "b"}}, has: "[a b]", of: scopes},
		{name: "mapped scopes of the wrong type", field: "Issuer.Mappings", change: mapped, claims: issuertest.Claims{"scp": 1}, want: validator.BadClaims},
		{name: "scopes that are not mapped", claims: issuertest.Claims{"scp": []string{"a"}}, has: "[]", of: scopes},
		{
			name: "roles", field: "Issuer.Roles", change: roles, claims: issuertest.Claims{"groups": []string{"admin", "editor"}},
			has: "[editor]", of: func(t *validator.Token) any { return t.Roles() },
		},
		{name: "an acr that counts", field: "Issuer.ACRs", change: acrs, claims: issuertest.Claims{"acr": "gold"}, has: "gold", of: func(t *validator.Token) any { return t.ACR() }},
		{name: "an acr that does not count", field: "Issuer.ACRs", change: acrs, claims: issuertest.Claims{"acr": "silver"}, has: "-", of: func(t *validator.Token) any { return t.ACR() + "-" }},
		{name: "a tenant", field: "Issuer.Tenant", change: tenants, claims: issuertest.Claims{"org": "a"}, has: "a", of: func(t *validator.Token) any { return t.Tenant() }},
		{name: "another tenant", field: "Issuer.Tenant", change: tenants, claims: issuertest.Claims{"org": "b"}, want: validator.BadClaims},
		{name: "no tenant", field: "Issuer.Tenant", change: tenants, want: validator.BadClaims},
		{name: "a client by its claim", field: "Issuer.ClientClaim", change: clients, claims: issuertest.Claims{"app": "a"}, has: "a", of: func(t *validator.Token) any { return t.ClientID() }},
		{name: "a client by a claim of the wrong type", field: "Issuer.ClientClaim", change: clients, claims: issuertest.Claims{"app": 1}, want: validator.BadClaims},
		{
			name: "a token without a user", field: "Issuer.ClientOnly", change: machines, claims: issuertest.Claims{"gty": "client-credentials"},
			has: "true, false", of: caller,
		},
		{name: "the mark of another token", field: "Issuer.OtherTokens", change: others, claims: issuertest.Claims{"device": "tv"}, want: validator.WrongType},
		{name: "a claim of another token", field: "Issuer.OtherTokens", change: others, claims: issuertest.Claims{"lab": 1}, want: validator.WrongType},
		{name: "not the mark of another token", field: "Issuer.OtherTokens", change: others, claims: issuertest.Claims{"device": "radio"}},
		{name: "a user's mark", field: "Issuer.User", change: users, claims: issuertest.Claims{"uid": "u"}, has: "false, true", of: caller},
		{name: "no user's mark", field: "Issuer.User", change: users, has: "false, false", of: caller},
		{name: "an agent", claims: issuertest.Claims{"sub_profile": "ai_agent"}, has: "true, false", of: caller},
		{name: "several factors", field: "Issuer.MultiFactor", change: factors, claims: issuertest.Claims{"amr": []string{"pwd", "mfa"}}, has: "true", of: func(t *validator.Token) any { return t.MultiFactor() }},
		{name: "the issuer is always asked", field: "Issuer.ActiveWithin", change: always},
		{name: "revoked, and the issuer is always asked", field: "Issuer.ActiveWithin", change: always, revoked: true, want: validator.Inactive},
	}
}

func twinDemands() []twin {
	both := func(c *validator.Issuer) { c.Audiences = append(c.Audiences, "https://second.test") }
	now := time.Now().Unix()
	return []twin{
		{name: "a demanded audience", field: "Demands.Audiences", change: both, demands: validator.Demands{Audiences: []string{issuertest.Audience}}},
		{name: "another demanded audience", field: "Demands.Audiences", change: both, demands: validator.Demands{Audiences: []string{"https://second.test"}}, want: validator.WrongAudience},
		{
			name: "a foreign audience beside", field: "Demands.SoleAudience", demands: validator.Demands{SoleAudience: true},
			claims: issuertest.Claims{"aud": []string{issuertest.Audience, "https://other.test"}}, want: validator.WrongAudience,
		},
		{name: "no foreign audience", field: "Demands.SoleAudience", demands: validator.Demands{SoleAudience: true}},
		{name: "a long life", field: "Demands.MaxLifetime", demands: validator.Demands{MaxLifetime: time.Minute}, want: validator.BadClaims},
		{name: "a short life", field: "Demands.MaxLifetime", demands: validator.Demands{MaxLifetime: 5 * time.Minute}},
		{name: "an old token", field: "Demands.MaxTokenAge", demands: validator.Demands{MaxTokenAge: time.Minute}, claims: issuertest.Claims{"iat": now - 61}, want: validator.BadClaims},
		{name: "a young token", field: "Demands.MaxTokenAge", demands: validator.Demands{MaxTokenAge: time.Minute}, claims: issuertest.Claims{"iat": now - 60}},
		{name: "no binding", field: "Demands.SenderConstrained", demands: validator.Demands{SenderConstrained: true}, want: validator.BindingMismatch},
		{name: "an answer is demanded", field: "Demands.ActiveWithin", demands: validator.Demands{ActiveWithin: time.Minute}},
		{name: "revoked, and an answer is demanded", field: "Demands.ActiveWithin", demands: validator.Demands{ActiveWithin: time.Minute}, revoked: true, want: validator.Inactive},

		{name: "bound to a key", claims: issuertest.Claims{"cnf": map[string]any{"jkt": "a"}, "token_type": "DPoP"}, want: validator.BindingMismatch},
		{name: "bound to a certificate", claims: issuertest.Claims{"cnf": map[string]any{"x5t#S256": "a"}}, want: validator.BindingMismatch},
		{name: "bound in an unknown way", claims: issuertest.Claims{"cnf": 1}, want: validator.BindingMismatch},
		{name: "past exp within the leeway", claims: issuertest.Claims{"exp": now - 29}},
		{name: "past exp and the leeway", claims: issuertest.Claims{"exp": now - 30}, want: validator.Expired},
		{name: "nbf ahead", claims: issuertest.Claims{"nbf": now + 60}, want: validator.NotYetValid},
		{name: "iat ahead", claims: issuertest.Claims{"iat": now + 60}, want: validator.NotYetValid},
		{name: "auth_time ahead", claims: issuertest.Claims{"auth_time": now + 60}, want: validator.NotYetValid},
		{name: "an empty sub", claims: issuertest.Claims{"sub": ""}, want: validator.BadClaims},
		{name: "sub of the wrong type", claims: issuertest.Claims{"sub": 1}, want: validator.BadClaims},
		{name: "exp of the wrong type", claims: issuertest.Claims{"exp": "4102444800"}, want: validator.BadClaims},
		{name: "scope that is no list", claims: issuertest.Claims{"scope": "a  b"}, want: validator.BadClaims},
		{name: "aud of the wrong type", claims: issuertest.Claims{"aud": 1}, want: validator.BadClaims},
		{name: "amr that is a string", claims: issuertest.Claims{"amr": "mfa"}, has: "[]", of: func(t *validator.Token) any { return t.AMR() }},
		{name: "amr with objects", claims: issuertest.Claims{"amr": []any{map[string]any{"method": "mfa"}}}, has: "[]", of: func(t *validator.Token) any { return t.AMR() }},
		{name: "acr that is a number", claims: issuertest.Claims{"acr": 1}, has: "-", of: func(t *validator.Token) any { return t.ACR() + "-" }},
		{name: "auth_time that is text", claims: issuertest.Claims{"auth_time": "2026-01-01T00:00:00Z"}, has: "true", of: func(t *validator.Token) any { return t.AuthTime().IsZero() }},
		{name: "auth_time that is too large", claims: issuertest.Claims{"auth_time": 1e300}, want: validator.BadClaims},
		{name: "act of the wrong type", claims: issuertest.Claims{"act": "a"}, want: validator.BadClaims},
		{name: "control characters", claims: issuertest.Claims{"sub": "a\n"}, want: validator.BadClaims},
	}
}

// TestTwins (R-IN-06, R-IN-09) presents a JWT and an opaque token with the same claims to the same Validator. Every rule of the
// issuer and every demand of a route judges both alike: a rule that holds for JWTs is not forgotten for answers.
func TestTwins(t *testing.T) {
	covered := map[string]bool{}
	synctest.Test(t, func(t *testing.T) {
		for _, row := range slices.Concat(twinRules(), twinDemands()) {
			covered[row.field] = true
			row.check(t)
		}
	})
	for _, of := range []reflect.Type{reflect.TypeFor[validator.Issuer](), reflect.TypeFor[validator.Demands]()} {
		for field := range of.Fields() {
			name := of.Name() + "." + field.Name
			if _, without := fieldsWithoutTwin[name]; without == covered[name] {
				t.Errorf("%s: a twin %t, said to need none %t", name, covered[name], without)
			}
			delete(covered, name)
		}
	}
	if delete(covered, ""); len(covered) > 0 {
		t.Errorf("twins of fields that do not exist: %v", covered)
	}
}

// check presents the twins, each twice, so that what is cached is judged, too.
func (row *twin) check(t *testing.T) {
	is := issuertest.New(t)
	config := is.HybridConfig()
	config.Opaque.Prefix = "opaque_" // so that the JWT is never asked about as an opaque token
	if row.change != nil {
		row.change(&config)
	}
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
	claims := issuertest.Claims{"jti": "one", "iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix()}
	maps.Copy(claims, row.claims)
	jwt := is.Sign(testissuer.Token{Claims: claims})
	opaque := is.Opaque(testissuer.Token{Claims: claims, Prefix: "opaque_", Fault: testissuer.ExpiredActive})
	if row.revoked {
		is.Revoke(jwt)
		is.Answer(opaque, 0)
		is.Revoke(opaque)
	}
	var seen [2]*validator.Token
	for range 2 {
		for i, token := range []string{jwt, opaque} {
			p := issuertest.Bearer(token)
			p.Demands = row.demands
			got, err := v.Validate(t.Context(), p)
			if validator.ReasonOf(err) != row.want {
				t.Errorf("%s, opaque %t: %q (%v), want %q", row.name, i == 1, validator.ReasonOf(err), causeOf(err), row.want)
			}
			if got != nil && row.of != nil && fmt.Sprint(row.of(got)) != row.has {
				t.Errorf("%s, opaque %t: the Token has %v, want %s", row.name, i == 1, row.of(got), row.has)
			}
			seen[i] = got
		}
		if seen[0] != nil && seen[1] != nil {
			equalTokens(t, row.name, seen[0], seen[1])
		}
	}
}

// equalTokens compares what two Tokens say, but for what only a JWT has.
func equalTokens(t *testing.T, name string, jwt, opaque *validator.Token) {
	t.Helper()
	a, b := reflect.ValueOf(jwt), reflect.ValueOf(opaque)
	compared := 0
	for method := range a.Type().Methods() {
		if method.Type.NumIn() != 1 || slices.Contains([]string{"Algorithm", "Key", "Introspected"}, method.Name) {
			continue
		}
		one, two := results(a.MethodByName(method.Name)), results(b.MethodByName(method.Name))
		if !reflect.DeepEqual(one, two) {
			t.Errorf("%s: %s is %v for the JWT and %v for the opaque token", name, method.Name, one, two)
		}
		compared++
	}
	if compared < 20 {
		t.Errorf("%s: only %d methods were compared", name, compared)
	}
}

func results(method reflect.Value) (all []any) {
	for _, v := range method.Call(nil) {
		all = append(all, v.Interface())
	}
	return all
}
