package validator_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	stringsType = validator.ClaimStrings
	booleanType = validator.ClaimBoolean
	objectType  = validator.ClaimObject
)

// TestRulesThatNeverHold: a rule, or an alternative, that no token matches is a fault
// wherever it stands.
func TestRulesThatNeverHold(t *testing.T) {
	for _, row := range []struct {
		name string
		rule validator.ClaimRule
		path string // below the rule
		want string
	}{
		{"an object as a string", validator.ClaimRule{Name: "realm_access"}, ".Type", `is a string, and the claim "realm_access" is an object in every token`},
		{"an object as an array", validator.ClaimRule{Name: "resource_access", Type: stringsType, Equals: "api"}, ".Type", "is an array of strings"},
		{"a string as an object", validator.ClaimRule{Name: "typ", Type: objectType}, ".Type", `is an object, and the claim "typ" is a string`},
		{"a number as a string", validator.ClaimRule{Name: "exp"}, ".Type", `"exp" is a number`},
		{"objects as strings", validator.ClaimRule{Name: "authorization_details", Type: stringsType}, ".Type", "is an array of objects"},
		{"a list as a boolean", validator.ClaimRule{Name: "permissions", Type: booleanType, Equals: "true"}, ".Type", "is a string or an array of strings"},
		{"a client as a list", validator.ClaimRule{Name: "cid", Type: stringsType}, ".Type", `"cid" is a string`},
		{"scope as an array", validator.ClaimRule{Name: "scope", Type: stringsType}, ".Type", "a scope that is an array is refused"},
		{"another issuer", validator.ClaimRule{Name: "iss", Equals: "https://other.example"}, ".Equals", `iss is "https://as.example.com" in every token`},
		{"another audience", validator.ClaimRule{Name: "aud", Equals: "https://other.example"}, ".Equals", "is refused"},
		{"events", validator.ClaimRule{Name: "events", Type: objectType, Equals: "x"}, "", "is refused as a logout token"},
		{"the kind of an ID token", validator.ClaimRule{Name: "typ", Equals: "ID"}, ".Equals", `typ "ID" is of another token`},
		{"the kind of a refresh token", validator.ClaimRule{Name: "token_use", Equals: "refresh"}, ".Equals", "of another token"},
		{"what OtherTokens refuses", validator.ClaimRule{Name: "kind", Equals: "other"}, "", "asks for what a rule of OtherTokens refuses"},
		{"what another rule of OtherTokens refuses", validator.ClaimRule{Name: "device"}, "", "asks for what a rule of OtherTokens refuses"},
		{"a value of what OtherTokens refuses", validator.ClaimRule{Name: "device", Equals: "tv"}, "", "asks for what a rule of OtherTokens refuses"},
	} {
		for place, set := range map[string]func(*validator.Issuer, validator.ClaimRule){
			"Marker[1]":         func(c *validator.Issuer, r validator.ClaimRule) { c.Marker = append(c.Marker, r) },
			"Claims[0]":         func(c *validator.Issuer, r validator.ClaimRule) { c.Claims = rules{r} },
			"ClientOnly":        func(c *validator.Issuer, r validator.ClaimRule) { c.ClientOnly = r },
			"User":              func(c *validator.Issuer, r validator.ClaimRule) { c.User = r },
			"Answers.Marker[0]": func(c *validator.Issuer, r validator.ClaimRule) { c.Answers.Marker = rules{r} },
		} {
			for nested, rule := range map[string]validator.ClaimRule{"": row.rule, ".AnyOf[1]": {AnyOf: rules{{Name: "good"}, row.rule}}} {
				config := legacyConfig()
				issuer := &config.Issuers[0]
				issuer.Marker = rules{{Name: "marker", Equals: "x"}}
				askAbout(issuer)
				issuer.OtherTokens = rules{{Name: "kind", Equals: "other"}, {AnyOf: rules{{Name: "tv"}, {Name: "device"}}}}
				set(issuer, rule)
				wantFault(t, row.name, config, "Issuers[0]."+place+nested+row.path, row.want)
			}
		}
	}
}

// askAbout lets the issuer be asked about tokens.
func askAbout(c *validator.Issuer) {
	c.Opaque = &introspect.Client{ID: "api", Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText("secret")}, Endpoint: "https://as.example.com/introspect"}
}

// wantFault checks that New finds that fault.
func wantFault(t *testing.T, name string, config validator.Config, path, problem string) {
	t.Helper()
	_, err := validator.New(config)
	faults := validator.Faults(err)
	if !slices.ContainsFunc(faults, func(f validator.Fault) bool {
		return f.Path == path && strings.Contains(f.Problem, problem) && f.Mend != ""
	}) {
		t.Errorf("%s: no fault %q at %s, but %v", name, problem, path, err)
	}
}

// TestFaultsOfEmptyRules: a rule that is empty has the fault of that, beside whatever rule
// it stands.
func TestFaultsOfEmptyRules(t *testing.T) {
	for _, empty := range []validator.ClaimRule{{Equals: "a"}, {AnyOf: rules{}}} {
		config := legacyConfig()
		config.Issuers[0].Claims = rules{{Name: "x", Equals: "b"}, empty}
		path := "Issuers[0].Claims[1].Name"
		if empty.AnyOf != nil {
			path = "Issuers[0].Claims[1].AnyOf"
		}
		wantFault(t, path, config, path, "empty")
	}
}

// TestRulesBesideEachOther: rules that contradict each other or the rest of the
// configuration are faults.
func TestRulesBesideEachOther(t *testing.T) {
	const together, every = "cannot hold together with another rule", "refuses every token"
	for _, row := range []struct {
		name    string
		strict  bool
		change  func(*validator.Issuer)
		path    string
		problem string
	}{
		{"two values", false, func(c *validator.Issuer) {
			c.Marker = rules{{Name: "typ", Equals: "Bearer"}, {Name: "typ", Equals: "DPoP"}}
		}, "Marker[1]", together},
		{"two types", false, func(c *validator.Issuer) { c.Marker = rules{{Name: "x"}, {Name: "y"}, {Name: "x", Type: stringsType}} }, "Marker[2]", together},
		{"true and false", true, func(c *validator.Issuer) {
			c.Claims = rules{{Name: "x", Type: booleanType, Equals: "true"}, {Name: "x", Type: booleanType, Equals: "false"}}
		}, "Claims[1]", together},
		{"values of Claims and Marker", false, func(c *validator.Issuer) {
			c.Claims, c.Marker = rules{{Name: "x", Equals: "a"}}, rules{{Name: "x", Equals: "b"}}
		}, "Marker[0]", together},
		{"values of Claims and Answers.Marker", true, func(c *validator.Issuer) {
			askAbout(c)
			c.Claims, c.Answers.Marker = rules{{Name: "x", Equals: "a"}}, rules{{Name: "x", Equals: "b"}}
		}, "Answers.Marker[0]", together},
		{"each alternative", false, func(c *validator.Issuer) {
			c.Marker = rules{{Name: "x", Equals: "c"}, {AnyOf: rules{{Name: "x", Equals: "a"}, {Name: "x", Equals: "b"}}}}
		}, "Marker[1]", together},
		{"each alternative of the first", false, func(c *validator.Issuer) {
			c.Marker = rules{{AnyOf: rules{{Name: "x", Equals: "a"}, {Name: "x", Equals: "b"}}}, {Name: "x", Equals: "c"}}
		}, "Marker[1]", together},

		{"iss is of no other token", true, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "iss"}} }, "OtherTokens[0]", every},
		{"this iss is of no other token", true, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "iss", Equals: testIssuer}} }, "OtherTokens[0]", every},
		{"exp", false, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "exp"}} }, "OtherTokens[0]", every},
		{"aud as an alternative", false, func(c *validator.Issuer) { c.OtherTokens = rules{{AnyOf: rules{{Name: "x"}, {Name: "aud"}}}} }, "OtherTokens[0].AnyOf[1]", every},
		{"sub", false, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "x"}, {Name: "sub"}} }, "OtherTokens[1]", every},
		{"client_id", true, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "client_id"}} }, "OtherTokens[0]", every},
		{"iat", true, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "iat"}} }, "OtherTokens[0]", every},
		{"jti", true, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "jti"}} }, "OtherTokens[0]", every},
		{"active", true, func(c *validator.Issuer) { askAbout(c); c.OtherTokens = rules{{Name: "active"}} }, "OtherTokens[0]", every},
		{"a value of a number", true, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "iat", Equals: "1"}} }, "OtherTokens[0].Equals", `"iat" is a number in every token`},
		{"no value of a boolean", true, func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "is_anonymous", Equals: "x"}} }, "OtherTokens[0].Equals", "a boolean in every token"},
		{"a rule without name", true, func(c *validator.Issuer) { c.OtherTokens = rules{{}} }, "OtherTokens[0].Name", "is empty"},

		{"users who are clients", false, func(c *validator.Issuer) {
			c.User, c.ClientOnly = validator.ClaimRule{Name: "x", Equals: "a"}, validator.ClaimRule{Name: "x"}
		}, "User", "matches only tokens that ClientOnly matches"},
		{"users who are clients by an alternative", false, func(c *validator.Issuer) {
			c.User, c.ClientOnly = validator.ClaimRule{AnyOf: rules{{Name: "x"}, {Name: "y"}}}, validator.ClaimRule{AnyOf: rules{{Name: "y"}, {Name: "x"}, {Name: "z"}}}
		}, "User", "matches only tokens that ClientOnly matches"},

		{"a list of scopes in answers only", false, func(c *validator.Issuer) {
			askAbout(c)
			c.Marker, c.Answers.ScopeLists = rules{{Name: "scope", Type: stringsType}}, true
		}, "Marker[0].Type", "a scope that is an array is refused"},
		{"active marks nothing", true, func(c *validator.Issuer) {
			askAbout(c)
			c.Answers.Marker = rules{{Name: "active", Type: booleanType, Equals: "true"}}
		}, "Answers.Marker[0]", "is in every answer"},
		{"a token_type that is refused", true, func(c *validator.Issuer) { askAbout(c); c.Answers.Marker = rules{{Name: "token_type", Equals: "mac"}} }, "Answers.Marker[0].Equals", `token_type "mac" is refused`},
		{"a tenant in an object", true, func(c *validator.Issuer) {
			c.Tenant = validator.TenantRule{Claim: "realm_access", Owned: []string{"a"}}
		}, "Tenant.Claim", `"realm_access" is an object in every token`},
	} {
		config := legacyConfig()
		if row.strict {
			config = baseConfig()
		}
		row.change(&config.Issuers[0])
		wantFault(t, row.name, config, "Issuers[0]."+row.path, row.problem)
		if _, err := validator.New(config); len(validator.Faults(err)) != 1 {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// TestRulesAccepted: what servers are known to send, and rules that may hold together.
func TestRulesAccepted(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*validator.Issuer)
	}{
		{"permissions of Auth0", func(c *validator.Issuer) { c.Claims = rules{{Name: "permissions", Type: stringsType, Equals: "a"}} }},
		{"one permission of a server in .NET", func(c *validator.Issuer) { c.Claims = rules{{Name: "permissions", Equals: "a"}} }},
		{"scp of Okta", func(c *validator.Issuer) { c.Marker = rules{{Name: "scp", Type: stringsType}} }},
		{"scp of Entra ID", func(c *validator.Issuer) { c.Marker = rules{{Name: "scp"}} }},
		{"ver of Entra ID", func(c *validator.Issuer) { c.Claims = rules{{Name: "ver", Equals: "2.0"}} }},
		{"auth_time of AD FS", func(c *validator.Issuer) { c.User = validator.ClaimRule{Name: "auth_time"} }},
		{"email_verified of Google and of Cognito", func(c *validator.Issuer) {
			c.Claims = rules{{AnyOf: rules{{Name: "email_verified", Type: booleanType, Equals: "true"}, {Name: "email_verified", Equals: "true"}}}}
		}},
		{"realm_access of Keycloak", func(c *validator.Issuer) { c.Claims = rules{{Name: "realm_access", Type: objectType, Equals: "roles"}} }},
		{"scope of Duende IdentityServer", func(c *validator.Issuer) { c.ScopeLists, c.Marker = true, rules{{Name: "scope", Type: stringsType}} }},
		{"scope of answers", func(c *validator.Issuer) {
			askAbout(c)
			c.Answers.ScopeLists, c.Answers.Marker, c.Claims = true, rules{{Name: "scope", Type: stringsType}}, rules{{Name: "scope", Type: stringsType, Equals: "a"}}
		}},
		{"scope of answers, as of JWTs", func(c *validator.Issuer) {
			askAbout(c)
			c.ScopeLists, c.Answers.Marker = true, rules{{Name: "scope", Type: stringsType}}
		}},
		{"iss in answers only", func(c *validator.Issuer) { // RFC 7662 does not require it
			askAbout(c)
			c.Keys, c.OtherTokens = nil, rules{{Name: "iss"}, {Name: "exp"}, {Name: "aud"}, {Name: "sub"}}
		}},
		{"aud of other tokens, where clients tell", func(c *validator.Issuer) { c.ClientIDs, c.OtherTokens = []string{"web"}, rules{{Name: "aud"}} }},
		{"sub of other tokens, where it is optional", func(c *validator.Issuer) { c.SubjectOptional, c.OtherTokens = true, rules{{Name: "sub"}} }},
		{"iss of AD FS", func(c *validator.Issuer) { c.Marker = rules{{Name: "iss", Equals: testIssuer}} }},
		{"an audience of several", func(c *validator.Issuer) {
			c.Claims = rules{{Name: "aud", Type: stringsType, Equals: "https://other.example"}}
		}},
		{"a claim of no provider", func(c *validator.Issuer) { c.Claims = rules{{Name: "https://api.example/claims", Type: objectType}} }},
		{"presence and a value", func(c *validator.Issuer) { c.Claims = rules{{Name: "x"}, {Name: "x", Equals: "a"}} }},
		{"two elements", func(c *validator.Issuer) {
			c.Claims = rules{{Name: "x", Type: stringsType, Equals: "a"}, {Name: "x", Type: stringsType, Equals: "b"}}
		}},
		{"two members", func(c *validator.Issuer) {
			c.Claims = rules{{Name: "x", Type: objectType, Equals: "a"}, {Name: "x", Type: objectType, Equals: "b"}}
		}},
		{"alternatives, of which one is left", func(c *validator.Issuer) {
			c.Claims = rules{{Name: "x", Equals: "a"}, {AnyOf: rules{{Name: "x", Equals: "b"}, {Name: "x", Equals: "a"}}}}
		}},
		{"users of a preset among the claims", func(c *validator.Issuer) {
			c.Claims, c.ClientOnly = rules{{Name: "idtyp", Equals: "user"}}, validator.ClaimRule{Name: "idtyp", Equals: "app"}
		}},
		{"another value of OtherTokens", func(c *validator.Issuer) {
			c.Claims, c.OtherTokens = rules{{Name: "x", Equals: "a"}}, rules{{Name: "x", Equals: "b"}}
		}},
		{"presence beside a value of OtherTokens", func(c *validator.Issuer) {
			c.Claims, c.OtherTokens = rules{{Name: "x"}}, rules{{Name: "x", Equals: "b"}}
		}},
		{"times of ID tokens", func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "auth_time"}, {Name: "rat"}, {Name: "nonce"}} }},
		{"iat under the legacy profile", func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "iat"}, {Name: "jti"}, {Name: "client_id"}} }},
		{"the type of OtherTokens does not count", func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "typ", Type: stringsType, Equals: "ID"}} }},
		{"some users who are clients", func(c *validator.Issuer) {
			c.User, c.ClientOnly = validator.ClaimRule{AnyOf: rules{{Name: "x"}, {Name: "y"}}}, validator.ClaimRule{Name: "y"}
		}},
		{"clients among users", func(c *validator.Issuer) {
			c.User, c.ClientOnly = validator.ClaimRule{Name: "x"}, validator.ClaimRule{Name: "x", Equals: "a"}
		}},
	} {
		config := legacyConfig()
		row.change(&config.Issuers[0])
		if _, err := validator.New(config); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
	config := baseConfig()
	config.Issuers[0].Claims = rules{{Name: "events", Type: objectType}, {Name: "typ", Equals: "ID"}}
	issuertest.Validator(t, config) // the header tells such tokens
}
