package validator_test

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// fuzzLeeway is what accepted fuzz tokens may be over their exp.
const fuzzLeeway = 60 * time.Second

// FuzzValidate: whatever is presented and demanded, nothing panics, and what
// is accepted is what the configuration says. Tokens of the corpus are signed
// by keys that the validator knows, so that mutations start from good ones.
func FuzzValidate(f *testing.F) {
	const third = "https://third.example.com"
	corpus := readCorpus(f)
	var of *corpusCase
	for i := range corpus.Cases {
		c := &corpus.Cases[i]
		if c.Recipe == nil && len(c.Token) < 4096 {
			f.Add(c.Token, uint8(validator.Bearer), "", false, int64(0))
		}
		if c.Config == "two-issuers" {
			of = c
		}
	}
	good := testKey.token(fullClaims.with("iss", `"`+third+`"`))
	f.Add(good, uint8(validator.Bearer), testAudience, true, int64(time.Hour))
	f.Add(good, uint8(validator.Bearer), testAudience, true, int64(1))
	f.Add(good, uint8(validator.Bearer), "x", false, int64(0))
	f.Add(good, uint8(validator.DPoP), "", false, int64(0))
	f.Add(good, uint8(0), "", false, int64(0))
	f.Add("", uint8(validator.Bearer), "", false, int64(0))
	f.Add("a b", uint8(validator.Bearer), "", false, int64(-1))
	f.Add(good, uint8(9), "", false, int64(0))

	config := corpus.config(f, of)
	config.Issuers = append(config.Issuers, validator.Issuer{
		URL: third, Audiences: []string{testAudience}, Keys: keysOf(testKey),
		Profile: validator.ProfileLegacy, Marker: rules{{Name: "client_id"}, {Name: "scope"}}, Grants: allScopes,
	})
	v := issuertest.Validator(f, config)
	expect(f, v, bearer(good), 0, "", "") // a seed that is accepted
	f.Fuzz(func(t *testing.T, token string, scheme uint8, audience string, sole bool, lifetime int64) {
		p := validator.Presentation{Scheme: validator.Scheme(scheme), Token: token}
		p.Demands = validator.Demands{SoleAudience: sole, MaxLifetime: time.Duration(lifetime)}
		if audience != "" {
			p.Demands.Audiences = []string{audience}
		}
		checkFuzzed(t, v, config, p)
	})
}

// FuzzClaims: any header and any claims, signed by the issuer.
func FuzzClaims(f *testing.F) {
	for _, claims := range []object{
		baseClaims, fullClaims, legacyClaims, baseClaims.without("aud"), baseClaims.with("exp", "1.7e9"), baseClaims.with("cnf", "{}"),
		baseClaims.with("aud", `["x","`+testAudience+`"]`), baseClaims.with("scope", `"a  b"`), baseClaims.with("sub", `"\u0000"`),
	} {
		f.Add(testKey.header().text(), claims.text())
		f.Add(testKey.header().with("typ", `"JWT"`).with("aud", `"x"`).text(), claims.text())
	}
	config := baseConfig()
	config.Leeway = validator.Leeway{Expiry: fuzzLeeway, Future: fuzzLeeway}
	strict := issuertest.Validator(f, config)
	legacyConfig := legacyConfig()
	legacyConfig.Leeway = config.Leeway
	legacy := issuertest.Validator(f, legacyConfig)
	for _, claims := range []object{entra, okta, auth0, keycloak, baseClaims.with("o", `{"roles":"a b"}`).with("groups", `["admin","x"]`).with("org_id", `"one"`)} {
		f.Add(testKey.header().text(), claims.text())
		f.Add(testKey.header().text(), claims.with("org_id", `"two"`).with("roles", `["a"]`).text())
	}
	mappedConfig := granting("a", "read", "Orders.Read", "orders:read")
	mappedConfig.Leeway = config.Leeway
	mappedConfig.Issuers[0].Mappings = someMappings
	mappedConfig.Issuers[0].Tenant = validator.TenantRule{Claim: "org_id", Owned: []string{"one", "two"}}
	mapped := issuertest.Validator(f, mappedConfig)
	f.Fuzz(func(t *testing.T, header, claims string) {
		p := bearer(testKey.Sign(header, claims))
		checkFuzzed(t, strict, config, p)
		checkFuzzed(t, legacy, legacyConfig, p)
		checkFuzzed(t, mapped, mappedConfig, p)
	})
}

// checkFuzzed validates p and holds an accepted token against the
// configuration.
func checkFuzzed(t *testing.T, v *validator.Validator, config validator.Config, p validator.Presentation) {
	t.Helper()
	token, err := v.Validate(at(0), p)
	if (token == nil) != (err != nil) {
		t.Fatalf("token is nil: %t, error: %v", token == nil, err)
	}
	if err != nil {
		if reason := validator.ReasonOf(err); reason.Description() == "" || reason == validator.Unavailable {
			t.Fatalf("reason %q", string(reason))
		}
		return
	}
	var issuer *validator.Issuer
	for i := range config.Issuers {
		if config.Issuers[i].URL == token.Issuer() {
			issuer = &config.Issuers[i]
		}
	}
	ours := func(list []string) bool {
		return slices.ContainsFunc(token.Audience(), func(a string) bool { return slices.Contains(list, a) })
	}
	now := time.Unix(testNow, 0)
	identifiers := []string{token.Subject()}
	if issuer != nil && issuer.Profile != validator.ProfileLegacy {
		identifiers = append(identifiers, token.ClientID(), token.ID())
	}
	demands := p.Demands
	switch {
	case p.Scheme != validator.Bearer:
		t.Fatalf("accepted under scheme %d", p.Scheme)
	case issuer == nil:
		t.Fatalf("accepted issuer %q", token.Issuer())
	case !ours(issuer.Audiences), len(demands.Audiences) > 0 && !ours(demands.Audiences):
		t.Fatalf("accepted audience %q", token.Audience())
	case !token.Expiry().Add(fuzzLeeway).After(now):
		t.Fatalf("accepted expiry %v", token.Expiry())
	case demands.MaxLifetime != 0 && token.Expiry().Sub(token.IssuedAt()) > demands.MaxLifetime:
		t.Fatalf("accepted lifetime %v", token.Expiry().Sub(token.IssuedAt()))
	case token.IssuedAt().After(now.Add(fuzzLeeway)), token.NotBefore().After(now.Add(fuzzLeeway)), token.AuthTime().After(now.Add(fuzzLeeway)):
		t.Fatal("accepted a token of the future")
	case slices.Contains(identifiers, ""), strings.ContainsFunc(strings.Join(identifiers, ""), unicode.IsControl):
		t.Fatalf("accepted identifiers %q", identifiers)
	}
	for _, scope := range token.Scopes() {
		if !token.HasScope(scope) || strings.ContainsAny(scope, "\"\\ \t\r\n") {
			t.Fatalf("scope %q", scope)
		}
	}
	var all map[string]any
	if err := token.Claims(&all); err != nil || all["cnf"] != nil || all["sub"] != token.Subject() {
		t.Fatalf("claims %v, %v", all, err)
	}
	if scopes, roles := expected(issuer, all); !slices.Equal(token.Scopes(), scopes) || !slices.Equal(token.Roles(), roles) {
		t.Fatalf("scopes %q, roles %q, want %q, %q: %v", token.Scopes(), token.Roles(), scopes, roles, all)
	}
	if tenant := token.Tenant(); issuer.Tenant.Claim == "" && tenant != "" || issuer.Tenant.Claim != "" && !slices.Contains(issuer.Tenant.Owned, tenant) {
		t.Fatalf("tenant %q", tenant)
	}
}
