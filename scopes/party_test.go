package scopes_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func TestIssuersAndClients(t *testing.T) {
	issuers := scopes.Issuers("https://other.example", mainIssuer)
	clients := scopes.Clients(mainIssuer, "x", "client")
	both := scopes.Or(scopes.Clients(mainIssuer, "a"), scopes.Clients(legacyIssuer, "b"))
	forbidden := refused(validator.Forbidden)
	legacy := func(id any) claims { return claims{"iss": legacyIssuer, "client_id": id} }
	check(t, []row{
		{policy: issuers, claims: claims{}},
		{policy: issuers, claims: legacy("client"), want: forbidden},
		{policy: scopes.Issuers(mainIssuer + "/"), claims: claims{}, want: forbidden},
		{policy: clients, claims: claims{}},
		{policy: clients, claims: claims{"client_id": "Client"}, want: forbidden},
		{policy: clients, claims: claims{"client_id": "other", "azp": "client"}, want: forbidden},
		{policy: clients, claims: legacy("client"), want: forbidden}, // a client of another issuer
		{policy: both, claims: claims{"client_id": "a"}},
		{policy: both, claims: legacy("b")},
		{policy: both, claims: claims{"client_id": "b"}, want: forbidden},
		{policy: both, claims: legacy("a"), want: forbidden},
		{policy: both, claims: legacy(nil), want: forbidden},
	})
	faults(t, map[string]scopes.Policy{
		"Issuers has no URLs":            scopes.Issuers(),
		"Issuers[0] is empty":            scopes.Issuers(""),
		`Issuers[2] "a" is listed twice`: scopes.Issuers("a", "b", "a"),
		"Clients has no issuer":          scopes.Clients("", "a"),
		"Clients has no client_ids":      scopes.Clients("a"),
		"Clients[1] is empty":            scopes.Clients("a", "b", ""),
	})
}

// TestUserOnly covers R-CL-13: UserOnly permits only a token that is known to have a
// user behind it. The cause says whether there is no user or none is known.
func TestUserOnly(t *testing.T) {
	const alone, unknown = "the client got the token for itself", "it is not known whether a user is behind the token; set Issuer.ClientOnly"
	legacy := func(with claims) claims {
		maps.Copy(with, claims{"iss": legacyIssuer, "client_id": nil})
		return with
	}
	for _, row := range []struct {
		claims claims
		cause  string // "": permitted
	}{
		{claims{}, ""},
		{claims{"sub": "client"}, alone},
		{legacy(claims{"cid": "client", "uid": "u"}), ""},
		{legacy(claims{"cid": "user", "uid": "u"}), alone},
		{legacy(claims{}), unknown},
		{legacy(claims{"azp": "client"}), unknown},
		{legacy(claims{"azp": "client", "cid": "other"}), unknown},
	} {
		token := mint(t, row.claims)
		for _, policy := range []scopes.Policy{scopes.UserOnly(), scopes.And(scopes.Authenticated(), scopes.UserOnly())} {
			refusal := decide(policy, token)
			if row.cause == "" {
				same(t, policy.String(), row.claims, refusal, scopes.Refusal{})
				continue
			}
			same(t, policy.String(), row.claims, refusal, refused(validator.Forbidden))
			if !strings.Contains(fmt.Sprint(errors.Unwrap(refusal)), row.cause) {
				t.Errorf("%v of %v: the cause is %v", policy, row.claims, errors.Unwrap(refusal))
			}
		}
	}
}

// TestUserOnlyByMark covers R-CL-13: with Issuer.User, UserOnly permits the tokens that
// have the mark, also if their client is not known, and no others.
func TestUserOnlyByMark(t *testing.T) {
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: legacyIssuer, Audiences: []string{"https://api.example"}, Keys: jwkscache.Static(testkey.Set(testKey)), Profile: validator.ProfileLegacy,
		Marker: []validator.ClaimRule{{Name: "marker", Type: validator.ClaimBoolean, Equals: "true"}}, User: validator.ClaimRule{Name: "session_id"},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		claims claims
		want   validator.Reason
	}{
		{claims{"session_id": "s"}, permitted},
		{claims{"session_id": "s", "client_id": nil}, permitted},
		{claims{"session_id": "s", "sub": "client"}, validator.Forbidden},
		{claims{"session_id": 1}, validator.Forbidden},
		{claims{}, validator.Forbidden},
		{claims{"sub_profile": "ai_agent"}, validator.Forbidden},
	} {
		maps.Copy(row.claims, claims{"iss": legacyIssuer})
		token, err := v.Validate(at(0), issuertest.Bearer(signed(t, row.claims)))
		if err != nil {
			t.Fatal(err)
		}
		if refusal := decide(scopes.UserOnly(), token); (refusal == nil) != (row.want == permitted) || refusal != nil && refusal.Reason != row.want {
			t.Errorf("%v: %v, want %q", row.claims, refusal, row.want)
		}
	}
}

// TestUnknownClients shows that a token whose client is not known does not pass
// Clients, and is in the Default tier.
func TestUnknownClients(t *testing.T) {
	named := claims{"iss": legacyIssuer, "client_id": nil, "azp": "web"}
	unknown := claims{"iss": legacyIssuer, "client_id": nil, "azp": "web", "cid": "app"}
	tiers := scopes.Tiers(scopes.TierTable{
		Tiers: map[string]scopes.Tier{"own": {MaxLifetime: 24 * time.Hour}, "others": {MaxLifetime: time.Minute}},
		Clients: map[validator.Party]string{
			{Issuer: legacyIssuer, ClientID: "web"}: "own", {Issuer: legacyIssuer, ClientID: "app"}: "own",
		},
		Default: "others",
	})
	check(t, []row{
		{policy: scopes.Clients(legacyIssuer, "web", "app"), claims: named},
		{policy: scopes.Clients(legacyIssuer, "web", "app"), claims: unknown, want: refused(validator.Forbidden)},
		{policy: tiers, claims: named},
		{policy: tiers, claims: unknown, want: refused(validator.BadClaims)},
	})
}

// TestActors covers R-SC-16 and R-SC-17: Actors compares the issuer and subject of the
// outermost actor with its list, and may_act grants nothing.
func TestActors(t *testing.T) {
	robot := validator.Party{Issuer: mainIssuer, Subject: "robot"}
	guest := validator.Party{Issuer: "https://partner.example", Subject: "robot"}
	act := func(members map[string]any) claims { return claims{"act": members} }
	forbidden := refused(validator.Forbidden)
	robots, direct := scopes.Actors(robot), scopes.NotDelegated()
	check(t, []row{
		{policy: direct, claims: claims{}},
		{policy: direct, claims: claims{"may_act": map[string]any{"sub": "robot"}}},
		{policy: direct, claims: act(map[string]any{"sub": "robot"}), want: forbidden},
		{policy: direct, claims: act(map[string]any{}), want: forbidden},
		{policy: robots, claims: act(map[string]any{"iss": mainIssuer, "sub": "robot"})},
		{policy: robots, claims: act(map[string]any{"sub": "robot"})}, // without iss: the token's issuer
		{policy: robots, claims: act(map[string]any{"sub": "robot", "act": map[string]any{"sub": "thief"}, "exp": 1, "scope": 3})},
		{policy: robots, claims: act(map[string]any{"sub": "robot", "client_id": "app"})},
		{policy: robots, claims: claims{}, want: forbidden},
		{policy: robots, claims: claims{"may_act": map[string]any{"sub": "robot"}}, want: forbidden},
		{policy: robots, claims: claims{"sub": "robot"}, want: forbidden},
		{policy: robots, claims: act(map[string]any{"iss": "https://partner.example", "sub": "robot"}), want: forbidden},
		{policy: robots, claims: act(map[string]any{"sub": "Robot"}), want: forbidden},
		{policy: robots, claims: act(map[string]any{"client_id": "robot"}), want: forbidden},
		{policy: robots, claims: act(map[string]any{"sub": "thief", "act": map[string]any{"sub": "robot"}}), want: forbidden},
		{policy: robots, claims: claims{"iss": legacyIssuer, "act": map[string]any{"sub": "robot"}}, want: forbidden},
		{policy: scopes.Actors(guest, robot), claims: act(map[string]any{"iss": guest.Issuer, "sub": "robot"})},
		{policy: scopes.Or(direct, robots), claims: claims{}},
		{policy: scopes.Or(direct, robots), claims: act(map[string]any{"sub": "robot"})},
		{policy: scopes.Or(direct, robots), claims: act(map[string]any{"sub": "thief"}), want: forbidden},
	})
	faults(t, map[string]scopes.Policy{
		"Actors has no actors": scopes.Actors(),
		"Actors[0].Subject is empty & Actors[1].Issuer is empty & Actors[3] & is listed twice & Actors[4].ClientID is set": scopes.Actors(
			validator.Party{Issuer: "a"}, validator.Party{Subject: "b"}, robot, robot, validator.Party{Issuer: "a", Subject: "b", ClientID: "c"}),
	})
	names := []validator.Party{robot}
	policy := scopes.Actors(names...)
	names[0] = guest
	if decide(policy, mint(t, act(map[string]any{"sub": "robot"}))) != nil {
		t.Error("a change of the caller's slice changed the policy")
	}
}

// TestTenants covers R-CL-17 and R-CH-08: the tenant of a token comes from the token
// alone, and the resources of another tenant are forbidden.
func TestTenants(t *testing.T) {
	forbidden := refused(validator.Forbidden)
	path := func(tenant string) scopes.Operation {
		return scopes.Operation{Value: func(name string) string {
			if name == "tenant" {
				return tenant
			}
			return ""
		}}
	}
	from := scopes.TenantFrom("tenant")
	check(t, []row{
		{policy: scopes.Tenants("globex", "acme"), claims: claims{}},
		{policy: scopes.Tenants("globex"), claims: claims{}, want: forbidden},
		{policy: scopes.Tenants("acme"), claims: claims{"iss": legacyIssuer}, want: forbidden}, // this issuer has no TenantRule
		{policy: from, claims: claims{}, operation: path("acme")},
		{policy: from, claims: claims{"tenant": "globex"}, operation: path("globex")},
		{policy: from, claims: claims{"tenant": "globex"}, operation: path("acme"), want: forbidden},
		{policy: from, claims: claims{}, operation: path("Acme"), want: forbidden},
		{policy: from, claims: claims{}, operation: path(""), want: forbidden},
		{policy: from, claims: claims{}, want: forbidden},
		{policy: from, claims: claims{"iss": legacyIssuer}, operation: path(""), want: forbidden},
		{policy: from, claims: claims{"iss": legacyIssuer}, operation: path("acme"), want: forbidden},
		{policy: scopes.TenantFrom("other"), claims: claims{}, operation: path("acme"), want: forbidden},
	})
	faults(t, map[string]scopes.Policy{
		"Tenants has no tenants":       scopes.Tenants(),
		"Tenants[1] is empty":          scopes.Tenants("a", ""),
		"TenantFrom has an empty name": scopes.TenantFrom(""),
	})
}
