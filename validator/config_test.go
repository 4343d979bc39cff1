package validator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// rules is short for the tables.
type rules = []validator.ClaimRule

// configFaults are configurations with one fault each.
var configFaults = []struct {
	name    string
	change  func(*validator.Config)
	path    string // of the fault
	problem string // how it begins
}{
	{"no issuers", func(c *validator.Config) { c.Issuers = nil }, "Issuers", "is empty"},
	{"empty issuers", func(c *validator.Config) { c.Issuers = []validator.Issuer{} }, "Issuers", "is empty"},

	{"leeway for expiry too long", leeway(60*time.Second+1, 0), "Leeway.Expiry", "is 1m0.000000001s"},
	{"leeway for expiry negative", leeway(-2, 0), "Leeway.Expiry", "is -2ns"},
	{"leeway for expiry minus a second", leeway(-time.Second, 0), "Leeway.Expiry", "is -1s"},
	{"leeway for the future too long", leeway(0, 60*time.Second+1), "Leeway.Future", "is 1m0.000000001s"},
	{"leeway for the future too short", leeway(0, 10*time.Second-1), "Leeway.Future", "is 9.999999999s"},
	{"no leeway for the future", leeway(0, validator.NoLeeway), "Leeway.Future", "is -1ns"},

	{"token bytes too few", tokenBytes(1023), "MaxTokenBytes", "is 1023"},
	{"token bytes too many", tokenBytes(1<<20 + 1), "MaxTokenBytes", "is 1048577"},
	{"token members too few", func(c *validator.Config) { c.MaxTokenMembers = 63 }, "MaxTokenMembers", "is 63"},
	{"token members too many", func(c *validator.Config) { c.MaxTokenMembers = 65_537 }, "MaxTokenMembers", "is 65537"},
	{"token members negative", func(c *validator.Config) { c.MaxTokenMembers = -1 }, "MaxTokenMembers", "is -1"},
	{"token depth too small", func(c *validator.Config) { c.MaxTokenDepth = 7 }, "MaxTokenDepth", "is 7"},
	{"token depth too large", func(c *validator.Config) { c.MaxTokenDepth = 1025 }, "MaxTokenDepth", "is 1025"},
	{"token depth negative", func(c *validator.Config) { c.MaxTokenDepth = -1 }, "MaxTokenDepth", "is -1"},
	{"token bytes negative", tokenBytes(-1), "MaxTokenBytes", "is -1"},

	{"no URL", issuerURL(""), "Issuers[0].URL", "is empty"},
	{"URL without scheme", issuerURL("as.example.com"), "Issuers[0].URL", `"as.example.com" is not an https URL with a host and without user, query and fragment`},
	{"URL without host", issuerURL("https:///path"), "Issuers[0].URL", `"https:///path" is not an https URL with a host and without user, query and fragment`},
	{"URL with a port and no host", issuerURL("https://:443"), "Issuers[0].URL", `"https://:443" is not an https URL with a host and without user, query and fragment`},
	{"opaque URL", issuerURL("https:as.example.com"), "Issuers[0].URL", `"https:as.example.com" is not an https URL with a host and without user, query and fragment`},
	{"URL with user", issuerURL("https://u@as.example.com"), "Issuers[0].URL", `"https://u@as.example.com" is not an https URL with a host and without user, query and fragment`},
	{"URL with query", issuerURL("https://as.example.com/?a=b"), "Issuers[0].URL", `"https://as.example.com/?a=b" is not an https URL with a host and without user, query and fragment`},
	{"URL with empty query", issuerURL("https://as.example.com/?"), "Issuers[0].URL", `"https://as.example.com/?" is not an https URL with a host and without user, query and fragment`},
	{"URL with fragment", issuerURL("https://as.example.com/#a"), "Issuers[0].URL", `"https://as.example.com/#a" is not an https URL with a host and without user, query and fragment`},
	{"URL with empty fragment", issuerURL("https://as.example.com/#"), "Issuers[0].URL", `"https://as.example.com/#" is not an https URL with a host and without user, query and fragment`},
	{"URL with a line break", issuerURL("https://as.example.com/\n"), "Issuers[0].URL", `"https://as.example.com/\n" is not an https URL with a host and without user, query and fragment`},
	{"URL with a C1 control", issuerURL("https://as.example.com/\u0085"), "Issuers[0].URL", `"https://as.example.com/\u0085" is not an https URL with a host and without user, query and fragment`},
	{"URL that does not parse", issuerURL("https://[::1"), "Issuers[0].URL", `"https://[::1" is not an https URL with a host and without user, query and fragment`},
	{"http", issuerURL("http://as.example.com"), "Issuers[0].URL", `"http://as.example.com" is not an https URL with a host and without user, query and fragment`},
	{"http to a private address", issuerURL("http://10.0.0.1"), "Issuers[0].URL", `"http://10.0.0.1" is not an https URL with a host and without user, query and fragment`},
	{"http to a name that only looks local", issuerURL("http://localhost.example.com"), "Issuers[0].URL", `"http://localhost.example.com" is not an https URL with a host and without user, query and fragment`},
	{"ftp to loopback", issuerURL("ftp://127.0.0.1"), "Issuers[0].URL", `"ftp://127.0.0.1" is not an https URL with a host and without user, query and fragment`},
	{"http with a fallback", func(c *validator.Config) {
		c.Issuers[0].URL, c.Issuers[0].Keys = "http://as.example.com", jwkscache.WithFallback(jwkscache.Discovered(), jwksOf(testKey))
	}, "Issuers[0].URL", `"http://as.example.com" is not an https URL`},
	{"a name with a line break", issuerName("accounts.google.com\n"), "Issuers[0].URL", `"accounts.google.com\n" has control characters`},
	{"a name with a C1 control", issuerName("urn:a\u0085"), "Issuers[0].URL", `"urn:a\u0085" has control characters`},
	{"a name that is not UTF-8", issuerName("urn:\xff"), "Issuers[0].URL", `"urn:\xff" has control characters, is not UTF-8`},
	{"a name that is too long", issuerName(strings.Repeat("a", 513)), "Issuers[0].URL", `"` + strings.Repeat("a", 512) + `" has control characters, is not UTF-8 or has more than 512 bytes`},
	{"a URL that is too long", issuerURL("https://" + strings.Repeat("a", 505)), "Issuers[0].URL", `"https://`},
	{"the name of resolved issuers in metrics", issuerName("resolved"), "Issuers[0].URL", `"resolved" is a label of metrics`},
	{"the name of no issuer in metrics", issuerName("none"), "Issuers[0].URL", `"none" is a label of metrics`},
	{"the name of other issuers in metrics", issuerName("other"), "Issuers[0].URL", `"other" is a label of metrics`},
	{"no name, and MetadataURL", func(c *validator.Config) {
		c.Issuers[0].URL, c.Issuers[0].Keys, c.Issuers[0].MetadataURL = "", nil, "https://as.example.com/metadata"
	}, "Issuers[0].URL", "is empty"},
	{"MetadataURL beside a key URL", metadataURL("https://as.example.com/a", jwkscache.URL("https://as.example.com/b")), "Issuers[0].MetadataURL", "is set, and nothing is looked for"},
	{"MetadataURL beside a key file", metadataURL("https://as.example.com/a", jwkscache.File("jwks.json")), "Issuers[0].MetadataURL", "is set, and nothing is looked for"},
	{"MetadataURL beside static keys", metadataURL("https://as.example.com/a", keysOf(testKey)), "Issuers[0].MetadataURL", "is set, and nothing is looked for"},
	{"MetadataURL over http", metadataURL("http://as.example.com/a", nil), "Issuers[0].MetadataURL", `"http://as.example.com/a" is not an https URL with a host`},
	{"MetadataURL without scheme", metadataURL("as.example.com/a", nil), "Issuers[0].MetadataURL", `"as.example.com/a" is not an https URL with a host`},
	{"MetadataURL with a user", metadataURL("https://a:b@as.example.com/a", nil), "Issuers[0].MetadataURL", "has user information"},
	{"MetadataURL with a fragment", metadataURL("https://as.example.com/a#b", nil), "Issuers[0].MetadataURL", `"https://as.example.com/a#b" is not an https URL with a host`},
	{"MetadataURL with a C1 control", metadataURL("https://as.example.com/\u0085", nil), "Issuers[0].MetadataURL", `"https://as.example.com/\u0085" is not an https URL with a host`},
	{"MetadataURL with a line break", metadataURL("https://as.example.com/\n", nil), "Issuers[0].MetadataURL", `"https://as.example.com/\n" is not an https URL with a host`},
	{
		"URL twice", func(c *validator.Config) {
			c.Issuers[0].Grants = allScopes
			c.Issuers = append(c.Issuers, c.Issuers[0])
		},
		"Issuers[1].URL", `"https://as.example.com" is the URL of an earlier issuer too`,
	},

	{"no audiences", audiences(), "Issuers[0].Audiences", "is empty"},
	{"an empty audience", audiences("a", ""), "Issuers[0].Audiences[1]", `"" is empty or has control characters`},
	{"an audience with a control character", audiences("a\x00"), "Issuers[0].Audiences[0]", `"a\x00" is empty or has control characters`},
	{"an audience twice", audiences("a", "b", "a"), "Issuers[0].Audiences[2]", `"a" is listed twice`},

	{"no clients", issuerWith(func(c *validator.Issuer) { *c = cognito().Issuers[0]; withAudience(c); c.ClientIDs = []string{} }), "Issuers[0].ClientIDs", "is empty"},
	{"no clients and no audiences", issuerWith(func(c *validator.Issuer) { *c = cognito().Issuers[0]; c.ClientIDs = nil }), "Issuers[0].Audiences", "is empty"},
	{"clients of RFC 9068", issuerWith(func(c *validator.Issuer) { c.ClientIDs = []string{"app"} }), "Issuers[0].ClientIDs", "is for ProfileLegacy only"},
	{"an empty client", issuerWith(func(c *validator.Issuer) { *c = cognito().Issuers[0]; c.ClientIDs = []string{"app", ""} }), "Issuers[0].ClientIDs[1]", `"" is empty or has control characters`},
	{"a client with a control character", issuerWith(func(c *validator.Issuer) { *c = cognito().Issuers[0]; c.ClientIDs = []string{"a\x00"} }), "Issuers[0].ClientIDs[0]", `"a\x00" is empty or has control characters`},
	{"a client twice", issuerWith(func(c *validator.Issuer) { *c = cognito().Issuers[0]; c.ClientIDs = []string{"a", "a"} }), "Issuers[0].ClientIDs[1]", `"a" is listed twice`},
	{"a client that is an audience", issuerWith(func(c *validator.Issuer) { *c = cognito().Issuers[0]; c.Audiences = []string{"api", "app"} }), "Issuers[0].ClientIDs[0]", `"app" is in Audiences, too`},

	{"empty algorithms", algorithms(), "Issuers[0].Algorithms", "is empty, which allows none"},
	{"algorithm zero", algorithms(jose.ES256, 0), "Issuers[0].Algorithms[1]", "0 is not an algorithm"},
	{"algorithm out of range", algorithms(jose.EdDSA + 1), "Issuers[0].Algorithms[0]", "11 is not an algorithm"},
	{"algorithm 255", algorithms(255), "Issuers[0].Algorithms[0]", "255 is not an algorithm"},
	{"algorithm twice", algorithms(jose.ES256, jose.RS256, jose.ES256), "Issuers[0].Algorithms[2]", "ES256 is listed twice"},

	{"no issuers of keys", issuerWith(func(c *validator.Issuer) { c.KeyIssuers = []string{} }), "Issuers[0].KeyIssuers", "is empty, which allows no key that has an issuer"},
	{"an empty issuer of keys", issuerWith(func(c *validator.Issuer) { c.KeyIssuers = []string{"a", ""} }), "Issuers[0].KeyIssuers[1]", `"" is empty or has control characters`},
	{"an issuer of keys twice", issuerWith(func(c *validator.Issuer) { c.KeyIssuers = []string{"a", "a"} }), "Issuers[0].KeyIssuers[1]", `"a" is listed twice`},

	{
		"keys that are no JWKS", func(c *validator.Config) { c.Issuers[0].Keys = jwkscache.Static([]byte("<html>")) },
		"Issuers[0].Keys", "has a document that cannot be used: jose: not a JWK Set",
	},
	{"keys from nothing", func(c *validator.Config) { c.Issuers[0].Keys = jwkscache.Static(nil) }, "Issuers[0].Keys", "has a document that cannot be used: jose: not a JWK Set"},

	{"unknown profile", func(c *validator.Config) { c.Issuers[0].Profile = 2 }, "Issuers[0].Profile", "2 does not exist"},
	{
		"marker with the strict profile", func(c *validator.Config) { c.Issuers[0].Marker = rules{{Name: "token_use"}} },
		"Issuers[0].Marker", "is for the legacy profile only",
	},
	{"legacy without marker", marker(), "Issuers[0].Marker", "is empty, and the legacy profile needs one"},
	{
		"marker that ID tokens have", marker(validator.ClaimRule{Name: "scope"}, validator.ClaimRule{Name: "email"}),
		"Issuers[0].Marker[1]", `is satisfied by the presence of "email", which ID tokens have too`,
	},
	{"marker with a faulty rule", marker(validator.ClaimRule{}), "Issuers[0].Marker[0].Name", "is empty"},

	{"rule without name", claimRules(validator.ClaimRule{Name: "a"}, validator.ClaimRule{Equals: "x"}), "Issuers[0].Claims[1].Name", "is empty"},
	{"rule of an unknown type", claimRules(validator.ClaimRule{Name: "a", Type: 4}), "Issuers[0].Claims[0].Type", "4 does not exist"},
	{
		"boolean rule without value", claimRules(validator.ClaimRule{Name: "a", Type: validator.ClaimBoolean}),
		"Issuers[0].Claims[0].Equals", `"" is not a value of the boolean claim "a"`,
	},
	{
		"boolean rule with another value", claimRules(validator.ClaimRule{Name: "a", Type: validator.ClaimBoolean, Equals: "True"}),
		"Issuers[0].Claims[0].Equals", `"True" is not a value of the boolean claim "a"`,
	},

	{"a grant that is no scope", issuerWith(func(c *validator.Issuer) { c.Grants = []string{"a", "b c"} }), "Issuers[0].Grants[1]", `"b c" is not a scope token (RFC 6749 §3.3)`},
	{"an empty grant", issuerWith(func(c *validator.Issuer) { c.Grants = []string{""} }), "Issuers[0].Grants[0]", `"" is not a scope token (RFC 6749 §3.3)`},
	{"a grant twice", issuerWith(func(c *validator.Issuer) { c.Grants = []string{"a", "b", "a"} }), "Issuers[0].Grants[2]", `"a" is listed twice`},
	{
		"all scopes and another", issuerWith(func(c *validator.Issuer) { c.Grants = []string{"a", validator.AllScopes} }),
		"Issuers[0].Grants[1]", `"all scopes" is listed beside others`,
	},
	{"an empty role", issuerWith(func(c *validator.Issuer) { c.Roles = []string{"a", ""} }), "Issuers[0].Roles[1]", `"" is not a role (not empty, without control characters)`},
	{"a role with a control character", issuerWith(func(c *validator.Issuer) { c.Roles = []string{"a\n"} }), "Issuers[0].Roles[0]", `"a\n" is not a role (not empty, without control characters)`},
	{"a role twice", issuerWith(func(c *validator.Issuer) { c.Roles = []string{"a b", "a b"} }), "Issuers[0].Roles[1]", `"a b" is listed twice`},
	{
		"all roles and another", issuerWith(func(c *validator.Issuer) { c.Roles = []string{validator.AllRoles, "a"} }),
		"Issuers[0].Roles[0]", `"all roles" is listed beside others`,
	},
	{"an empty acr value", issuerWith(func(c *validator.Issuer) { c.ACRs = []string{""} }), "Issuers[0].ACRs[0]", `"" is not an acr value (not empty, without control characters)`},
	{"an acr value with a control character", issuerWith(func(c *validator.Issuer) { c.ACRs = []string{"a", "b\x00"} }), "Issuers[0].ACRs[1]", `"b\x00" is not an acr value (not empty, without control characters)`},
	{"an acr value twice", issuerWith(func(c *validator.Issuer) { c.ACRs = []string{"a", "a"} }), "Issuers[0].ACRs[1]", `"a" is listed twice`},

	{"mapping without claim", mapping(validator.Mapping{To: validator.ToRole}), "Issuers[0].Mappings[1].Claim", "is empty or has an empty name"},
	{"mapping with an empty name", mapping(keycloakMappings("")[1]), "Issuers[0].Mappings[1].Claim", "is empty or has an empty name"},
	{"mapping to nothing", mapping(validator.Mapping{Claim: []string{"a"}}), "Issuers[0].Mappings[1].To", "0 is neither ToScope nor ToRole"},
	{"mapping to something else", mapping(validator.Mapping{Claim: []string{"a"}, To: 3}), "Issuers[0].Mappings[1].To", "3 is neither ToScope nor ToRole"},
	{"mapping of no values", mapping(mappedTo(validator.ToRole, map[string][]string{})), "Issuers[0].Mappings[1].Values", "is empty, which maps nothing"},
	{"mapping of an empty value", mapping(mappedTo(validator.ToRole, map[string][]string{"": {"a"}})), `Issuers[0].Mappings[1].Values[""]`, "maps an empty value, or maps to nothing"},
	{"mapping of a value to nothing", mapping(mappedTo(validator.ToRole, map[string][]string{"a": nil})), `Issuers[0].Mappings[1].Values["a"]`, "maps an empty value, or maps to nothing"},
	{"mapping to no scope", mapping(mappedTo(validator.ToScope, map[string][]string{"a": {"b", "c d"}})), `Issuers[0].Mappings[1].Values["a"][1]`, `"c d" is not a scope token (RFC 6749 §3.3)`},
	{"mapping to no role", mapping(mappedTo(validator.ToRole, map[string][]string{"a": {"b", "c\n"}})), `Issuers[0].Mappings[1].Values["a"][1]`, `"c\n" is not a role (not empty, without control characters)`},
	{"mapping to an empty role", mapping(mappedTo(validator.ToRole, map[string][]string{"a": {""}})), `Issuers[0].Mappings[1].Values["a"][0]`, `"" is not a role (not empty, without control characters)`},

	{"tenant fixed and by claim", tenant(validator.TenantRule{Fixed: "a", Claim: "t", Owned: []string{"a"}}), "Issuers[0].Tenant", "has Fixed beside Claim or Owned"},
	{"tenant fixed and owned", tenant(validator.TenantRule{Fixed: "a", Owned: []string{"a"}}), "Issuers[0].Tenant", "has Fixed beside Claim or Owned"},
	{"tenant by claim, none owned", tenant(validator.TenantRule{Claim: "t"}), "Issuers[0].Tenant.Owned", `is empty, and the claim "t" names a tenant`},
	{"tenant owned, no claim", tenant(validator.TenantRule{Owned: []string{"a"}}), "Issuers[0].Tenant.Claim", "is empty, and Owned is not"},
	{"tenant fixed with a control character", tenant(validator.TenantRule{Fixed: "a\n"}), "Issuers[0].Tenant.Fixed", `"a\n" has control characters`},
	{"tenant owned and empty", tenant(validator.TenantRule{Claim: "t", Owned: []string{"a", ""}}), "Issuers[0].Tenant.Owned[1]", `"" is empty or has control characters`},
	{"tenant owned with a control character", tenant(validator.TenantRule{Claim: "t", Owned: []string{"a\x00"}}), "Issuers[0].Tenant.Owned[0]", `"a\x00" is empty or has control characters`},
	{"tenant owned twice", tenant(validator.TenantRule{Claim: "t", Owned: []string{"a", "b", "a"}}), "Issuers[0].Tenant.Owned[2]", `"a" is listed twice`},

	{"client-only rule without name", clientOnly(validator.ClaimRule{Equals: "a"}), "Issuers[0].ClientOnly.Name", "is empty"},
	{"user rule without name", issuerWith(func(c *validator.Issuer) { c.User = validator.ClaimRule{Equals: "a"} }), "Issuers[0].User.Name", "is empty"},
	{"other tokens of an unknown type", issuerWith(func(c *validator.Issuer) { c.OtherTokens = rules{{Name: "a"}, {Name: "a", Type: 4}} }), "Issuers[0].OtherTokens[1].Type", "4 does not exist"},
	{"alternatives with a fault", clientOnly(validator.ClaimRule{AnyOf: rules{{Name: "a"}, {}}}), "Issuers[0].ClientOnly.AnyOf[1].Name", "is empty"},
	{
		"marker with an alternative that ID tokens have", marker(validator.ClaimRule{AnyOf: rules{{Name: "scope"}, {Name: "email"}}}),
		"Issuers[0].Marker[0].AnyOf[1]", `is satisfied by the presence of "email", which ID tokens have too`,
	},
	{
		"marker with a member of a claim of ID tokens", marker(validator.ClaimRule{Name: "cnf", Type: validator.ClaimObject, Equals: "jwk"}),
		"Issuers[0].Marker[0]", `is satisfied by the presence of "cnf", which ID tokens have too`,
	},
	{"client-only rule of an unknown type", clientOnly(validator.ClaimRule{Name: "a", Type: 4}), "Issuers[0].ClientOnly.Type", "4 does not exist"},
	{"a client claim with the strict profile", issuerWith(func(c *validator.Issuer) { c.ClientClaim = "azp" }), "Issuers[0].ClientClaim", `"azp" is for ProfileLegacy only`},
	{"a client claim with a control character", issuerWith(func(c *validator.Issuer) { c.ClientClaim = "a\n" }), "Issuers[0].ClientClaim", `"a\n" is a claim with another meaning, or has control characters`},
	{"sub as client claim", legacyWith(func(c *validator.Issuer) { c.ClientClaim = "sub" }), "Issuers[0].ClientClaim", `"sub" is a claim with another meaning, or has control characters`},
	{"aud as client claim", legacyWith(func(c *validator.Issuer) { c.ClientClaim = "aud" }), "Issuers[0].ClientClaim", `"aud" is a claim with another meaning, or has control characters`},
	{"empty multi-factor", issuerWith(func(c *validator.Issuer) { c.MultiFactor = []string{} }), "Issuers[0].MultiFactor", "is empty"},
	{"an empty multi-factor value", issuerWith(func(c *validator.Issuer) { c.MultiFactor = []string{"mfa", ""} }), "Issuers[0].MultiFactor[1]", `"" is empty or has control characters`},
	{"a multi-factor value with a control character", issuerWith(func(c *validator.Issuer) { c.MultiFactor = []string{"m\n"} }), "Issuers[0].MultiFactor[0]", `"m\n" is empty or has control characters`},
	{"a multi-factor value twice", issuerWith(func(c *validator.Issuer) { c.MultiFactor = []string{"mfa", "mfa"} }), "Issuers[0].MultiFactor[1]", `"mfa" is listed twice`},
}

func issuerWith(change func(*validator.Issuer)) func(*validator.Config) {
	return func(c *validator.Config) { change(&c.Issuers[0]) }
}

func legacyWith(change func(*validator.Issuer)) func(*validator.Config) {
	return func(c *validator.Config) {
		*c = legacyConfig()
		change(&c.Issuers[0])
	}
}

// mapping adds a Mapping to one without fault.
func mapping(m validator.Mapping) func(*validator.Config) {
	return issuerWith(func(c *validator.Issuer) {
		c.Mappings = []validator.Mapping{{Claim: []string{"roles"}, To: validator.ToRole}, m}
	})
}

func mappedTo(to validator.Attribute, values map[string][]string) validator.Mapping {
	return validator.Mapping{Claim: []string{"a"}, To: to, Values: values}
}

func tenant(rule validator.TenantRule) func(*validator.Config) {
	return issuerWith(func(c *validator.Issuer) { c.Tenant = rule })
}

func clientOnly(rule validator.ClaimRule) func(*validator.Config) {
	return issuerWith(func(c *validator.Issuer) { c.ClientOnly = rule })
}

func leeway(expiry, future time.Duration) func(*validator.Config) {
	return func(c *validator.Config) { c.Leeway = validator.Leeway{Expiry: expiry, Future: future} }
}

func tokenBytes(n int) func(*validator.Config) {
	return func(c *validator.Config) { c.MaxTokenBytes = n }
}

func issuerURL(text string) func(*validator.Config) {
	return func(c *validator.Config) { c.Issuers[0].URL, c.Issuers[0].Keys = text, nil }
}

// issuerName sets a name for an issuer whose keys are configured.
func issuerName(text string) func(*validator.Config) {
	return func(c *validator.Config) { c.Issuers[0].URL = text }
}

func metadataURL(text string, keys jwkscache.Source) func(*validator.Config) {
	return func(c *validator.Config) { c.Issuers[0].MetadataURL, c.Issuers[0].Keys = text, keys }
}

func audiences(list ...string) func(*validator.Config) {
	return func(c *validator.Config) { c.Issuers[0].Audiences = list }
}

func algorithms(list ...jose.Algorithm) func(*validator.Config) {
	return func(c *validator.Config) { c.Issuers[0].Algorithms = append([]jose.Algorithm{}, list...) }
}

func marker(list ...validator.ClaimRule) func(*validator.Config) {
	return func(c *validator.Config) {
		c.Issuers[0].Profile = validator.ProfileLegacy
		c.Issuers[0].Marker = list
	}
}

func claimRules(list ...validator.ClaimRule) func(*validator.Config) {
	return func(c *validator.Config) { c.Issuers[0].Claims = list }
}

// TestConfigFaults makes each fault alone (R-OP-01, R-CL-04, R-CL-09, R-CL-13,
// R-CL-17, R-JS-03, R-AT-04, R-SC-07).
func TestConfigFaults(t *testing.T) {
	for _, row := range configFaults {
		t.Run(row.name, func(t *testing.T) {
			config := baseConfig()
			row.change(&config)
			v, err := validator.New(config)
			if v != nil || err == nil {
				t.Fatalf("accepted: %v", err)
			}
			faults := validator.Faults(err)
			if len(faults) != 1 {
				t.Fatalf("%d faults, want 1: %v", len(faults), err)
			}
			if f := faults[0]; f.Path != row.path || !strings.HasPrefix(f.Problem, row.problem) || f.Mend == "" {
				t.Errorf("fault %q: %q; %q\nwant  %q: %q and a mend", f.Path, f.Problem, f.Mend, row.path, row.problem)
			}
			if !strings.HasPrefix(err.Error(), "validator: "+row.path+" ") {
				t.Errorf("the error is %q", err)
			}
		})
	}
}

// TestConfigAllFaults makes many faults at once and wants each of them told
// (R-OP-01).
func TestConfigAllFaults(t *testing.T) {
	config := validator.Config{
		Leeway:        validator.Leeway{Expiry: time.Hour, Future: time.Hour},
		MaxTokenBytes: 1,
		Issuers: []validator.Issuer{
			{Profile: validator.ProfileLegacy, Algorithms: []jose.Algorithm{}, Keys: keysOf(testKey)},
			{
				URL: "http://as.example.com\n", Audiences: []string{"", "a", "a"}, Algorithms: []jose.Algorithm{0, jose.ES256, jose.ES256},
				Keys: jwkscache.Static([]byte("{}")), Profile: 9, Claims: rules{{}, {Name: "a", Type: 9}},
			},
			{
				URL: "http://as.example.com\n", Audiences: []string{"a"}, Keys: keysOf(testKey), Marker: rules{{}},
			},
		},
	}
	_, err := validator.New(config)
	if err == nil {
		t.Fatal("accepted")
	}
	var got []string
	for _, f := range validator.Faults(err) {
		got = append(got, f.Path)
	}
	slices.Sort(got)
	want := []string{
		"Issuers[0].Algorithms", "Issuers[0].Audiences", "Issuers[0].Grants", "Issuers[0].Marker", "Issuers[0].URL",
		"Issuers[1].Algorithms[0]", "Issuers[1].Algorithms[2]", "Issuers[1].Audiences[0]", "Issuers[1].Audiences[2]",
		"Issuers[1].Claims[0].Name", "Issuers[1].Claims[1].Type", "Issuers[1].Grants", "Issuers[1].Keys", "Issuers[1].Profile", "Issuers[1].URL",
		"Issuers[2].Grants", "Issuers[2].Marker", "Issuers[2].URL", "Issuers[2].URL",
		"Leeway.Expiry", "Leeway.Future", "MaxTokenBytes",
	}
	if !slices.Equal(got, want) {
		t.Errorf("faults of %q\nwant      %q", got, want)
	}
	if !errors.Is(err, jose.ErrNotJWKS) {
		t.Error("the cause of a fault cannot be asked for")
	}
}

// TestConfigAccepted makes what looks unusual and is right.
func TestConfigAccepted(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*validator.Config)
	}{
		{"zero leeway", func(*validator.Config) {}},
		{"shortest leeways", leeway(validator.NoLeeway, 10*time.Second)},
		{"shortest positive leeway", leeway(1, 10*time.Second)},
		{"longest leeways", leeway(60*time.Second, 60*time.Second)},
		{"fewest token bytes", tokenBytes(1024)},
		{"most token bytes", tokenBytes(1 << 20)},
		{"URL with path and slash", issuerURL("https://as.example.com/tenant/")},
		{"URL with port", issuerURL("https://as.example.com:8443")},
		{"http to localhost", issuerURL("http://localhost:8080")},
		{"http to 127.0.0.1", issuerURL("http://127.0.0.1/realm")},
		{"http to 127.255.0.1", issuerURL("http://127.255.0.1")},
		{"http to ::1", issuerURL("http://[::1]:8080")},
		{"an audience that is no URL", audiences("api")},
		{"all algorithms", algorithms(jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
			jose.ES256, jose.ES384, jose.ES512, jose.EdDSA)},
		{"keys by discovery", func(c *validator.Config) { c.Issuers[0].Keys = nil }},
		{"no usable keys", func(c *validator.Config) { c.Issuers[0].Keys = jwkscache.Static([]byte(`{"keys":[]}`)) }},
		{"marker with a value of an ID token's claim", marker(validator.ClaimRule{Name: "azp", Equals: "backend"})},
		{"rules of all types", claimRules(validator.ClaimRule{Name: "a"}, validator.ClaimRule{Name: "b", Type: validator.ClaimStrings},
			validator.ClaimRule{Name: "c", Type: validator.ClaimBoolean, Equals: "true"},
			validator.ClaimRule{Name: "d", Type: validator.ClaimBoolean, Equals: "false"})},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := baseConfig()
			row.change(&config)
			if _, err := validator.New(config); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestMarkerOfIDToken refuses the mere presence of each claim that OpenID
// Connect Core §2 and §5.1 give to ID tokens (R-AT-04).
func TestMarkerOfIDToken(t *testing.T) {
	for name := range strings.FieldsSeq(`iss sub aud exp iat nbf jti auth_time nonce acr amr azp sid at_hash c_hash s_hash
		name given_name family_name middle_name nickname preferred_username profile picture website email email_verified
		gender birthdate zoneinfo locale phone_number phone_number_verified address updated_at`) {
		config := baseConfig()
		marker(validator.ClaimRule{Name: name})(&config)
		if _, err := validator.New(config); err == nil || !strings.Contains(err.Error(), `"`+name+`"`) {
			t.Errorf("Marker %s: %v", name, err)
		}
	}
}

// TestAlgorithmNames: Ed25519 and EdDSA are one algorithm (D4, R-JS-12).
func TestAlgorithmNames(t *testing.T) {
	var list []jose.Algorithm
	for _, name := range []string{"EdDSA", "Ed25519"} {
		a, err := jose.ParseAlgorithm(name)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
		config := baseConfig()
		config.Issuers[0].Algorithms = []jose.Algorithm{a}
		v := issuertest.Validator(t, config)
		for _, alg := range []string{`"EdDSA"`, `"Ed25519"`} {
			expect(t, v, bearer(testKey.Sign(testKey.header().with("alg", alg).text(), baseClaims.text())), 0, "", "")
		}
	}
	config := baseConfig()
	config.Issuers[0].Algorithms = list
	if _, err := validator.New(config); err == nil || !strings.Contains(err.Error(), "Ed25519 and EdDSA are one algorithm") {
		t.Errorf("both names: %v", err)
	}
}

// TestNothingSkippable: the zero value of each field is refused or strict
// (R-OP-02). What each field's zero refuses is in configFaults.
func TestNothingSkippable(t *testing.T) {
	if _, err := validator.New(validator.Config{}); err == nil {
		t.Error("the zero Config was accepted")
	}
	for _, v := range []*validator.Validator{{}, new(validator.Validator)} {
		for _, token := range []string{"", testKey.token(baseClaims)} {
			if got, err := v.Validate(at(0), bearer(token)); got != nil || err == nil {
				t.Error("the zero Validator accepted")
			}
		}
	}
	v := issuertest.Validator(t, baseConfig())
	expect(t, v, bearer(testKey.token(baseClaims.with("exp", "1699999970"))), 0, validator.Expired, "")
	expect(t, v, bearer(testKey.token(baseClaims.with("exp", "1699999971"))), 0, "", "")
	expect(t, v, bearer(testKey.token(baseClaims.with("iat", "1700000031"))), 0, validator.NotYetValid, "")
	expect(t, v, bearer(testKey.token(baseClaims.with("iat", "1700000030"))), 0, "", "")
	expect(t, v, bearer(testKey.Sign(testKey.header().without("typ").text(), baseClaims.text())), 0, validator.WrongType, "")
	expect(t, v, bearer(strings.Repeat("a", 16<<10+1)), 0, validator.TooLarge, "")
	expect(t, v, bearer(strings.Repeat("a", 16<<10)), 0, validator.MalformedToken, "")
}

// TestTokenBytes: the configured limit is the longest token looked at
// (R-OP-07).
func TestTokenBytes(t *testing.T) {
	for _, limit := range []int{1024, 1 << 20} {
		config := baseConfig()
		config.MaxTokenBytes = limit
		v := issuertest.Validator(t, config)
		expect(t, v, bearer(strings.Repeat("a", limit)), 0, validator.MalformedToken, "three segments")
		expect(t, v, bearer(strings.Repeat("a", limit+1)), 0, validator.TooLarge, "MaxTokenBytes")
	}
}

// TestDefaultAlgorithms: RS256, PS256, ES256 and EdDSA, and no others
// (R-AT-11, R-JS-03).
func TestDefaultAlgorithms(t *testing.T) {
	signers := []*signer{
		rsaSigner(jose.RS256, "rs256"), ec256Key(), testKey, ec384Key(),
		keyOf(jose.ES512, "ec521", "ec"),
	}
	for _, alg := range []jose.Algorithm{jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512} {
		signers = append(signers, rsaSigner(alg, strings.ToLower(alg.String())))
	}
	defaults := []jose.Algorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA}
	for _, s := range signers {
		t.Run(s.Algorithm.String(), func(t *testing.T) {
			config := baseConfig()
			config.Issuers[0].Keys = keysOf(s)
			want := validator.AlgorithmNotAllowed
			if slices.Contains(defaults, s.Algorithm) {
				want = ""
			}
			expect(t, issuertest.Validator(t, config), bearer(s.token(baseClaims)), 0, want, "issuer's list")
			config.Issuers[0].Algorithms = []jose.Algorithm{s.Algorithm}
			expect(t, issuertest.Validator(t, config), bearer(s.token(baseClaims)), 0, "", "")
			config.Issuers[0].Algorithms = slices.DeleteFunc([]jose.Algorithm{jose.RS256, jose.ES256}, func(a jose.Algorithm) bool { return a == s.Algorithm })
			expect(t, issuertest.Validator(t, config), bearer(s.token(baseClaims)), 0, validator.AlgorithmNotAllowed, "issuer's list")
		})
	}
}

// TestConfigIsCopied changes everything that was passed in after New.
func TestConfigIsCopied(t *testing.T) {
	document := jwks(testKey.jwk())
	trace := &validator.Trace{}
	config := legacyConfig()
	issuer := &config.Issuers[0]
	issuer.Algorithms = []jose.Algorithm{jose.EdDSA}
	issuer.Claims = rules{{Name: "tenant", Equals: "one"}}
	issuer.Keys = jwkscache.Static(document)
	issuer.Grants = []string{"read", "full"}
	issuer.Mappings = []validator.Mapping{{Claim: []string{"groups"}, To: validator.ToScope, Values: map[string][]string{"admins": {"full"}}}}
	issuer.Tenant = validator.TenantRule{Claim: "tenant", Owned: []string{"one"}}
	issuer.MultiFactor = []string{"mfa"}
	config.Trace = trace
	v := issuertest.Validator(t, config)

	issuer.Audiences[0] = "https://other.example.com"
	issuer.Algorithms[0] = jose.ES256
	issuer.Marker[0] = validator.ClaimRule{Name: "other"}
	issuer.Claims[0] = validator.ClaimRule{Name: "other"}
	issuer.Grants[0] = "other"
	issuer.Mappings[0].Claim[0] = "other"
	issuer.Mappings[0].Values["admins"][0] = "other"
	issuer.Mappings[0].Values["users"] = []string{"full"}
	issuer.Tenant.Owned[0] = "other"
	issuer.MultiFactor[0] = "pwd"
	for i := range document {
		document[i] = ' '
	}
	trace.ValidateDone = nil
	issuer.URL = "https://other.example.com"
	config.Leeway = validator.Leeway{Expiry: time.Hour}

	good := baseClaims.with("token_use", `"access"`).with("tenant", `"one"`)
	expect(t, v, bearer(testKey.token(good)), 0, "", "")
	expect(t, v, bearer(testKey.token(good.with("aud", `"https://other.example.com"`))), 0, validator.WrongAudience, "")
	expect(t, v, bearer(testKey.untyped(good.without("token_use").with("other", `"x"`))), 0, validator.WrongType, "marker")
	expect(t, v, bearer(testKey.token(good.without("tenant").with("other", `"x"`))), 0, validator.BadClaims, "declares")

	derived := good.with("scope", `"read other"`).with("amr", `["pwd"]`)
	token := expect(t, v, bearer(testKey.token(derived.with("groups", `["admins"]`))), 0, "", "")
	if !slices.Equal(token.Scopes(), []string{"read", "full"}) || token.Tenant() != "one" || token.MultiFactor() {
		t.Errorf("scopes %q, tenant %q, multi-factor %t", token.Scopes(), token.Tenant(), token.MultiFactor())
	}
	token = expect(t, v, bearer(testKey.token(derived.with("groups", `["users"]`).with("other", `["admins"]`).with("amr", `["mfa"]`))), 0, "", "")
	if !slices.Equal(token.Scopes(), []string{"read"}) || !token.MultiFactor() {
		t.Errorf("scopes %q, multi-factor %t", token.Scopes(), token.MultiFactor())
	}

	// Hooks that are set later are not called either.
	trace.ValidateDone = func(_ context.Context, _ validator.ValidateDone) { t.Error("a hook set after New was called") }
	expect(t, v, bearer(testKey.token(good)), 0, "", "")
}
