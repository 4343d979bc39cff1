package validator_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// Who may be behind a token.
const (
	isUser    = "user"
	isClient  = "client"
	isUnknown = "unknown"
)

// callerOf is who is known to be behind token.
func callerOf(t *testing.T, token *validator.Token) string {
	t.Helper()
	switch {
	case token.HasUser() && token.ClientOnly():
		t.Error("a user is behind the token of a client alone")
		return ""
	case token.HasUser():
		return isUser
	case token.ClientOnly():
		return isClient
	default:
		return isUnknown
	}
}

// callerRow is a token, and the client and the caller that it is of.
type callerRow struct {
	name   string
	claims object
	client string
	caller string
}

// checkCallers compares the rows under the configuration of an issuer.
func checkCallers(t *testing.T, config validator.Config, claim string, rule validator.ClaimRule, rows []callerRow) {
	t.Helper()
	config.Issuers[0].ClientClaim, config.Issuers[0].ClientOnly = claim, rule
	v := issuertest.Validator(t, config)
	for _, row := range rows {
		token := cached(at(0), t, v, bearer(testKey.token(row.claims)))
		if got := callerOf(t, token); got != row.caller || token.ClientID() != row.client {
			t.Errorf("ClientClaim %q, ClientOnly %v, %s: %s of client %q, want %s of %q",
				claim, rule, row.name, got, token.ClientID(), row.caller, row.client)
		}
	}
}

var (
	noRule    = validator.ClaimRule{}
	neverHeld = validator.ClaimRule{Name: "no_such_claim", Equals: "x"}
	gtyRule   = validator.ClaimRule{Name: "gty", Equals: "client-credentials"} // Auth0
	idtypRule = validator.ClaimRule{Name: "idtyp", Equals: "app"}              // Entra ID
)

// The tokens of providers, as they publish them: of a user, and of a client alone.
var (
	oktaUser    = legacyClaims.with("sub", `"joe@corp.example"`).with("cid", `"0oa1"`).with("uid", `"00u1"`).with("scp", `["orders:read"]`)
	oktaMachine = legacyClaims.with("sub", `"0oa1"`).with("cid", `"0oa1"`).with("scp", `["orders:read"]`)

	auth0User    = legacyClaims.with("sub", `"auth0|5f7c"`).with("azp", `"spa"`)
	auth0Machine = legacyClaims.with("sub", `"m2m@clients"`).with("azp", `"m2m"`).with("gty", `"client-credentials"`)

	entraUser    = legacyClaims.with("sub", `"pairwise"`).with("azp", `"spa"`).with("azpacr", `"0"`).with("scp", `"Orders.Read"`)
	entraMachine = legacyClaims.with("sub", `"object-id"`).with("azp", `"daemon"`).with("azpacr", `"1"`).with("roles", `["Orders.Read"]`)

	keycloakUser    = legacyClaims.with("sub", `"f1b0"`).with("azp", `"spa"`).with("preferred_username", `"joe"`)
	keycloakMachine = legacyClaims.with("sub", `"a9c2"`).with("azp", `"Batch"`).with("client_id", `"Batch"`).
			with("preferred_username", `"service-account-batch"`)
	// Without the scope profile, and its claims.
	keycloakBare = legacyClaims.with("sub", `"a9c2"`).with("azp", `"batch"`).with("client_id", `"batch"`)
)

// renamed is claims with other names for some.
func renamed(claims object, names map[string]string) object {
	var made object
	for _, m := range claims {
		if name, found := names[m.name]; found {
			m.name = name
		}
		made = append(made, m)
	}
	return made
}

// version1 is a token of Entra ID as version 1 has it.
func version1(claims object) object {
	return renamed(claims, map[string]string{"azp": "appid", "azpacr": "appidacr"})
}

// TestCallerByRFC9068 (R-CL-13, DESIGN D7): client_id names the client. By default
// a subject that is not the client's is a user's; with a rule, that and the marker.
func TestCallerByRFC9068(t *testing.T) {
	service := validator.ClaimRule{Name: "service", Type: validator.ClaimBoolean, Equals: "true"}
	client := baseClaims.with("sub", `"client-1"`)
	for _, claim := range []string{"", "client_id"} {
		checkCallers(t, baseConfig(), claim, noRule, []callerRow{
			{"user", baseClaims, "client-1", isUser},
			{"client", client, "client-1", isClient},
			{"sub is like client_id", baseClaims.with("sub", `"Client-1"`), "client-1", isUser},
			{"other claims", baseClaims.with("azp", `"user-1"`).with("cid", `"user-1"`).with("appid", `7`), "client-1", isUser},
			{"a marker without a rule", baseClaims.with("gty", `"client-credentials"`), "client-1", isUser},
			{"Auth0's client", baseClaims.with("sub", `"client-1@clients"`), "client-1", isClient},
			{"Auth0's other client", baseClaims.with("sub", `"client-2@clients"`), "client-1", isUser},
			{"Keycloak's client, or a user of that name", baseClaims.with("preferred_username", `"service-account-client-1"`), "client-1", isUnknown},
			{"a user who is called as the client", baseClaims.with("preferred_username", `"client-1"`), "client-1", isUser},
			{"Keycloak's user", baseClaims.with("preferred_username", `"service-account-client-2"`), "client-1", isUser},
		})
		checkCallers(t, baseConfig(), claim, gtyRule, []callerRow{
			{"user", baseClaims, "client-1", isUser},
			{"marker", baseClaims.with("gty", `"client-credentials"`), "client-1", isClient},
			{"another value", baseClaims.with("gty", `"password"`), "client-1", isUser},
			{"another type", baseClaims.with("gty", `["client-credentials"]`), "client-1", isUser},
			{"a user of that name", baseClaims.with("preferred_username", `"service-account-client-1"`), "client-1", isUnknown},
			{"sub is client_id", client, "client-1", isClient},
			{"sub is client_id, and a claim without a name", client.with("", `"x"`), "client-1", isClient},
		})
		checkCallers(t, baseConfig(), claim, idtypRule, []callerRow{
			{"sub is client_id and another value", client.with("idtyp", `"user"`), "client-1", isClient},
		})
		checkCallers(t, baseConfig(), claim, service, []callerRow{
			{"true", baseClaims.with("service", `true`), "client-1", isClient},
			{"false", baseClaims.with("service", `false`), "client-1", isUser},
		})
	}
}

// TestCallerOfLegacyTokens (R-CL-13): without ClientClaim and ClientOnly, a token is
// a user's only if that follows from the token.
func TestCallerOfLegacyTokens(t *testing.T) {
	both := legacyClaims.with("cid", `"a"`).with("azp", `"a"`)
	checkCallers(t, legacyConfig(), "", noRule, []callerRow{
		{"no client", legacyClaims, "", isUnknown},
		{"client_id, user", legacyClaims.with("client_id", `"client-1"`), "client-1", isUser},
		{"client_id, client", legacyClaims.with("client_id", `"user-1"`), "user-1", isClient},
		{"client_id beside azp", legacyClaims.with("client_id", `"client-1"`).with("azp", `"client-1"`), "client-1", isUnknown},
		{"client_id beside appid", legacyClaims.with("client_id", `"client-1"`).with("appid", `"client-1"`), "client-1", isUnknown},
		{"client_id before cid", oktaUser.with("client_id", `"client-1"`), "client-1", isUser},

		{"Okta, user", oktaUser, "0oa1", isUser},
		{"Okta, machine", oktaMachine, "0oa1", isClient},
		{"Okta, no uid", oktaUser.without("uid"), "0oa1", isUnknown},
		{"Okta, uid of another type", oktaUser.with("uid", `7`), "0oa1", isUnknown},
		{"Auth0, user", auth0User, "spa", isUnknown},
		{"Auth0, machine", auth0Machine, "m2m", isClient},
		{"Auth0, machine by sub", auth0Machine.without("gty"), "m2m", isClient},
		{"Auth0, machine by gty", auth0Machine.with("sub", `"agent"`), "m2m", isClient},
		{"Entra ID, user", entraUser, "spa", isUnknown},
		{"Entra ID, machine", entraMachine, "daemon", isClient},
		{"Entra ID, machine by idtyp", entraUser.with("idtyp", `"app"`), "spa", isClient},
		{"Entra ID version 1, user", version1(entraUser), "spa", isUnknown},
		{"Entra ID version 1, machine", version1(entraMachine), "daemon", isClient},
		{"Keycloak, user", keycloakUser, "spa", isUnknown},
		{"Keycloak, machine", keycloakMachine, "Batch", isUnknown},
		{"Keycloak, machine without profile", keycloakBare, "batch", isUnknown},

		{"sub is azp", legacyClaims.with("azp", `"user-1"`), "user-1", isClient},
		{"sub is appid", legacyClaims.with("appid", `"user-1"`), "user-1", isClient},
		{"two agree", both, "a", isUnknown},
		{"two differ", both.with("azp", `"b"`), "", isUnknown},
		{"two differ, and one is sub", both.with("azp", `"user-1"`), "", isUnknown},
		{"a third differs", both.with("appid", `"b"`).with("uid", `"u"`), "", isUnknown},
		{"cid of another type", oktaUser.with("cid", `7`), "", isUnknown},
		{"cid empty", oktaUser.with("cid", `""`), "", isUnknown},
		{"cid with a control character", oktaUser.with("cid", `"a\u0000"`), "", isUnknown},
	})
}

// TestCallerByRule (R-CL-13): with ClientOnly, a token without the marker is a
// user's, if its client can be told. A rule that never holds lets no client
// through that is known to be one.
func TestCallerByRule(t *testing.T) {
	checkCallers(t, legacyConfig(), "", neverHeld, []callerRow{
		{"no client", legacyClaims, "", isUnknown},
		{"Okta, user", oktaUser.without("uid"), "0oa1", isUser},
		{"Okta, machine", oktaMachine, "0oa1", isClient},
		{"Auth0, user", auth0User, "spa", isUser},
		{"Auth0, machine", auth0Machine, "m2m", isClient},
		{"Auth0, machine by sub", auth0Machine.without("gty"), "m2m", isClient},
		{"Entra ID, user", entraUser, "spa", isUser},
		{"Entra ID, machine", entraMachine, "daemon", isClient},
		{"Keycloak, user", keycloakUser, "spa", isUser},
		{"Keycloak, machine", keycloakMachine, "Batch", isUnknown},
		{"clients that differ", legacyClaims.with("cid", `"a"`).with("azp", `"b"`), "", isUnknown},
	})
	checkCallers(t, legacyConfig(), "", idtypRule, []callerRow{
		{"no client, another value", legacyClaims.with("idtyp", `"user"`), "", isUnknown},
		{"no client, absent", legacyClaims, "", isUnknown},
		{"no client, marker", legacyClaims.with("idtyp", `"app"`), "", isClient},
	})
	checkCallers(t, legacyConfig(), "azp", validator.ClaimRule{Name: "client_id"}, []callerRow{
		{"Keycloak, user", keycloakUser, "spa", isUser},
		{"Keycloak, machine", keycloakMachine, "Batch", isClient},
		{"Keycloak, machine without profile", keycloakBare, "batch", isClient},
	})
}

// TestCallerByUser (R-CL-13): with User, the tokens that match are users', and no others
// are.
func TestCallerByUser(t *testing.T) {
	for _, config := range []validator.Config{baseConfig(), legacyConfig()} {
		config.Issuers[0].User = validator.ClaimRule{AnyOf: rules{{Name: "uid"}, {Name: "session_id"}}}
		plain := baseClaims.with("token_use", `"access"`)
		user := plain.with("uid", `"u"`)
		for _, claim := range []string{"", "client_id"} {
			checkCallers(t, config, claim, gtyRule, []callerRow{
				{"user", user, "client-1", isUser},
				{"user by the other mark", plain.with("session_id", `"s"`), "client-1", isUser},
				{"no mark", plain, "client-1", isUnknown},
				{"a mark of another type", plain.with("uid", `7`), "client-1", isUnknown},
				{"sub is client_id", user.with("sub", `"client-1"`), "client-1", isUnknown},
				{"sub is client_id with the suffix of Auth0", user.with("sub", `"client-1@clients"`), "client-1", isUnknown},
				{"sub is client_id, no mark", plain.with("sub", `"client-1"`), "client-1", isClient},
				{"sub is client_id, ClientOnly matches", user.with("sub", `"client-1"`).with("gty", `"client-credentials"`), "client-1", isClient},
				{"ClientOnly matches", user.with("gty", `"client-credentials"`), "client-1", isClient},
				{"service account", user.with("preferred_username", `"service-account-client-1"`), "client-1", isUnknown},
				{"an agent by sub_profile, and the mark", user.with("sub_profile", `"ai_agent"`), "client-1", isUser},
			})
			checkCallers(t, config, claim, noRule, []callerRow{
				{"user, no ClientOnly", user, "client-1", isUser},
				{"no mark, no ClientOnly", plain, "client-1", isUnknown},
			})
		}
	}
	config := legacyConfig()
	config.Issuers[0].User = validator.ClaimRule{Name: "session_id"}
	for _, claim := range []string{"", "azp", "client_id"} {
		checkCallers(t, config, claim, noRule, []callerRow{
			{"no client", legacyClaims.with("session_id", `"s"`), "", isUser},
			{"no client, no mark", legacyClaims, "", isUnknown},
			{"no client, machine by a known mark", legacyClaims.with("session_id", `"s"`).with("gty", `"client-credentials"`), "", isClient},
		})
	}
	checkCallers(t, config, "azp", noRule, []callerRow{
		{"a client in ClientClaim, no mark", auth0User, "spa", isUnknown},
		{"a client in ClientClaim", auth0User.with("session_id", `"s"`), "spa", isUser},
	})
}

// TestCallerBySubjectProfile (R-CL-13): a subject that is no user, such as an agent.
func TestCallerBySubjectProfile(t *testing.T) {
	for name, config := range map[string]validator.Config{"strict": baseConfig(), "legacy": legacyConfig()} {
		of := func(profile string) object {
			return baseClaims.with("token_use", `"access"`).with("sub_profile", profile)
		}
		const acting = `{"sub":"agent-1"}`
		for _, rule := range []validator.ClaimRule{noRule, gtyRule} {
			checkCallers(t, config, "", rule, []callerRow{
				{name + ", user", of(`"user"`), "client-1", isUser},
				{name + ", agent", of(`"ai_agent"`), "client-1", isClient},
				{name + ", service and agent", of(`"service ai_agent"`), "client-1", isClient},
				{name + ", User", of(`"User"`), "client-1", isClient},
				{name + ", user and another", of(`"user ai_agent"`), "client-1", isClient},
				{name + ", empty", of(`""`), "client-1", isUnknown},
				{name + ", another type", of(`["user"]`), "client-1", isUnknown},
				{name + ", null", of(`null`), "client-1", isUnknown},
				{name + ", user, and an agent acts", of(`"user"`).with("act", acting), "client-1", isUser},
				{name + ", agent, and another one acts", of(`"ai_agent"`).with("act", acting), "client-1", isUnknown},
				{name + ", the client itself", of(`"user"`).with("sub", `"client-1"`), "client-1", isClient},
			})
		}
	}
	checkCallers(t, legacyConfig(), "", noRule, []callerRow{
		{"no client", legacyClaims.with("sub_profile", `"ai_agent"`), "", isClient},
		{"no client, user", legacyClaims.with("sub_profile", `"user"`), "", isUnknown},
		{"Auth0, agent", auth0User.with("sub_profile", `"ai_agent"`), "spa", isClient},
	})
}

// TestClientClaim (R-CL-13): the claim that the configuration names has the client,
// and no other claim has.
func TestClientClaim(t *testing.T) {
	checkCallers(t, legacyConfig(), "client_id", noRule, []callerRow{
		{"user", legacyClaims.with("client_id", `"c"`), "c", isUser},
		{"client", legacyClaims.with("client_id", `"user-1"`), "user-1", isClient},
		{"absent", oktaUser, "", isUnknown},
		{"Keycloak, user", keycloakUser, "", isUnknown},
		{"Keycloak, machine", keycloakMachine, "Batch", isUnknown},
		{"Keycloak, machine without profile", keycloakBare, "batch", isUnknown},
	})
	checkCallers(t, legacyConfig(), "cid", noRule, []callerRow{
		{"user", oktaUser, "0oa1", isUser},
		{"user without uid", oktaUser.without("uid"), "0oa1", isUser},
		{"client", oktaMachine, "0oa1", isClient},
		{"absent", legacyClaims.with("client_id", `"client-1"`).with("azp", `"spa"`), "", isUnknown},
	})
	checkCallers(t, legacyConfig(), "azp", noRule, []callerRow{
		{"Keycloak, user", keycloakUser, "spa", isUser},
		{"Keycloak, machine", keycloakMachine, "Batch", isUnknown},
		{"Keycloak, machine without profile", keycloakBare, "batch", isUnknown},
		{"Auth0, user", auth0User, "spa", isUser},
		{"Auth0, machine", auth0Machine, "m2m", isClient},
		{"Entra ID, user", entraUser, "spa", isUser},
		{"Entra ID, machine", entraMachine, "daemon", isClient},
		{"absent", oktaUser, "", isUnknown},
		{"absent, and a machine", auth0Machine.without("azp"), "", isClient},
	})
	checkCallers(t, legacyConfig(), "appid", noRule, []callerRow{
		{"Entra ID, user", version1(entraUser), "spa", isUser},
		{"Entra ID, machine", version1(entraMachine), "daemon", isClient},
	})
	checkCallers(t, legacyConfig(), "https://issuer.example/client", noRule, []callerRow{
		{"user", oktaUser.with("https://issuer.example/client", `"c"`), "c", isUser},
		{"absent", oktaUser, "", isUnknown},
	})
}

// TestClientClaimFaults (R-CL-12): what should name the client and cannot is no
// access token.
func TestClientClaimFaults(t *testing.T) {
	for _, claim := range []string{"client_id", "cid", "azp", "appid", "app"} {
		config := legacyConfig()
		config.Issuers[0].ClientClaim = claim
		v := issuertest.Validator(t, config)
		for _, value := range []string{`7`, `""`, `null`, `["a"]`, `{}`, `true`} {
			expect(t, v, bearer(testKey.token(legacyClaims.with(claim, value))), 0, validator.BadClaims, "wrong JSON type, or is an empty string")
		}
		expect(t, v, bearer(testKey.token(legacyClaims.with(claim, `"a\u0085"`))), 0, validator.BadClaims, "control characters")
		// An ID token stays one, whatever names the client.
		for _, own := range []string{"client_id", "azp", claim} {
			idToken := legacyClaims.with("aud", `"`+testAudience+`"`).with(own, `"`+testAudience+`"`)
			expect(t, v, bearer(testKey.untyped(idToken.without("token_use"))), 0, validator.WrongType, "found aud names only the client itself, \""+testAudience+"\"; wanted an access token; let the client send its access token")
		}
	}
	strict := baseConfig()
	strict.Issuers[0].ClientClaim = "client_id"
	expect(t, issuertest.Validator(t, strict), bearer(testKey.token(baseClaims.without("client_id"))), 0, validator.BadClaims, "client_id is missing")
}

// TestClientClaimWarnings names what a configuration leaves to the subject.
func TestClientClaimWarnings(t *testing.T) {
	for _, row := range []struct {
		claim string
		rule  validator.ClaimRule
		want  bool
	}{
		{"", noRule, false}, {"client_id", noRule, false}, {"cid", noRule, false}, {"azp", noRule, true}, {"appid", noRule, true}, {"azp", gtyRule, false},
	} {
		config := legacyConfig()
		config.Issuers[0].ClientClaim, config.Issuers[0].ClientOnly = row.claim, row.rule
		if all := strings.Join(issuertest.Validator(t, config).Warnings(), " "); strings.Contains(all, "there is no ClientOnly and no User") != row.want {
			t.Errorf("%q, %v: %s", row.claim, row.rule, all)
		}
		config.Issuers[0].User = validator.ClaimRule{Name: "scp"}
		if all := strings.Join(issuertest.Validator(t, config).Warnings(), " "); strings.Contains(all, "there is no ClientOnly") {
			t.Errorf("%q, %v, with User: %s", row.claim, row.rule, all)
		}
	}
}

// TestOktaConfiguration is the configuration of docs/policy.md, with the keys of
// the test: it tells a user from a client, and refuses what is forged or an ID
// token.
func TestOktaConfiguration(t *testing.T) {
	issuer := validator.Issuer{
		URL:         "https://example.okta.com/oauth2/default",
		Audiences:   []string{"api://default"},
		Profile:     validator.ProfileLegacy,
		Marker:      []validator.ClaimRule{{Name: "cid"}},
		ClientClaim: "cid",
		Mappings:    []validator.Mapping{{Claim: []string{"scp"}, To: validator.ToScope}},
	}
	issuer.Keys = keysOf(testKey)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer}})
	of := func(claims object) object {
		return claims.with("iss", `"`+issuer.URL+`"`).with("aud", `"api://default"`)
	}
	for want, claims := range map[string]object{isUser: oktaUser, isClient: oktaMachine} {
		token := expect(t, v, bearer(testKey.token(of(claims))), 0, "", "")
		if callerOf(t, token) != want || token.ClientID() != "0oa1" || !token.HasScope("orders:read") {
			t.Errorf("%v is of a %s, with scopes %q, want a %s", token, callerOf(t, token), token.Scopes(), want)
		}
	}
	expect(t, v, bearer(foreignKey.token(of(oktaUser))), 0, validator.BadSignature, "")
	idToken := of(oktaUser.without("cid", "scp")).with("aud", `"0oa1"`)
	expect(t, v, bearer(testKey.untyped(idToken)), 0, validator.WrongType, "marker does not match")
}
