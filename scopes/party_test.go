package scopes_test

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

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
		{policy: clients, claims: legacy("client"), want: forbidden}, // another's client of that name
		{policy: both, claims: claims{"client_id": "a"}},
		{policy: both, claims: legacy("b")},
		{policy: both, claims: claims{"client_id": "b"}, want: forbidden},
		{policy: both, claims: legacy("a"), want: forbidden},
		{policy: both, claims: legacy(nil), want: forbidden},
	})
	faults(t, map[string]scopes.Policy{
		"Issuers without a URL":      scopes.Issuers(),
		"argument 1 is empty":        scopes.Issuers(""),
		`"a" is listed twice`:        scopes.Issuers("a", "b", "a"),
		"without an issuer":          scopes.Clients("", "a"),
		"Clients without a client":   scopes.Clients("a"),
		"Clients: argument 2 is emp": scopes.Clients("a", "b", ""),
	})
}

// TestUserOnly covers R-CL-13: only a token that is known to have a user behind
// it is permitted, and the cause says which of the two is missing.
func TestUserOnly(t *testing.T) {
	const alone, unknown = "the client got the token for itself", "cannot be told whether a user is behind the token; set Issuer.ClientOnly"
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

// TestUnknownClients: a token whose client cannot be told is none of a listed
// client's, and of the tier of all others.
func TestUnknownClients(t *testing.T) {
	named := claims{"iss": legacyIssuer, "client_id": nil, "azp": "web"}
	unknown := claims{"iss": legacyIssuer, "client_id": nil, "azp": "web", "cid": "app"}
	tiers := scopes.Tiers(scopes.TierTable{
		Tiers: map[string]scopes.Tier{"own": {MaxLifetime: 24 * time.Hour}, "others": {MaxLifetime: time.Minute}},
		Clients: map[scopes.ClientName]string{
			{Issuer: legacyIssuer, ID: "web"}: "own", {Issuer: legacyIssuer, ID: "app"}: "own",
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

// TestActors covers R-SC-16 and R-SC-17: the outermost actor decides, by issuer
// and subject; who may act is listed; may_act grants nothing.
func TestActors(t *testing.T) {
	robot := scopes.ActorName{Issuer: mainIssuer, Subject: "robot"}
	guest := scopes.ActorName{Issuer: "https://partner.example", Subject: "robot"}
	act := func(members map[string]any) claims { return claims{"act": members} }
	forbidden := refused(validator.Forbidden)
	robots, direct := scopes.Actors(robot), scopes.NotDelegated()
	check(t, []row{
		{policy: direct, claims: claims{}},
		{policy: direct, claims: claims{"may_act": map[string]any{"sub": "robot"}}},
		{policy: direct, claims: act(map[string]any{"sub": "robot"}), want: forbidden},
		{policy: direct, claims: act(map[string]any{}), want: forbidden},
		{policy: robots, claims: act(map[string]any{"iss": mainIssuer, "sub": "robot"})},
		{policy: robots, claims: act(map[string]any{"sub": "robot"})}, // of the token's issuer
		{policy: robots, claims: act(map[string]any{"sub": "robot", "act": map[string]any{"sub": "thief"}, "exp": 1, "scope": 3})},
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
		"Actors without an actor": scopes.Actors(),
		"actor 1 has no & actor 2 has no & listed twice": scopes.Actors(
			scopes.ActorName{Issuer: "a"}, scopes.ActorName{Subject: "b"}, robot, robot),
	})
	names := []scopes.ActorName{robot}
	policy := scopes.Actors(names...)
	names[0] = guest
	if decide(policy, mint(t, act(map[string]any{"sub": "robot"}))) != nil {
		t.Error("a change of the caller's slice changed the policy")
	}
}

// TestTenants covers R-CL-17 and R-CH-08: a tenant comes from the token alone,
// and another's resource is forbidden.
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
		{policy: scopes.Tenants("acme"), claims: claims{"iss": legacyIssuer}, want: forbidden}, // its tenant claim means nothing
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
		"Tenants without a tenant": scopes.Tenants(),
		"argument 2 is empty":      scopes.Tenants("a", ""),
		"without the name":         scopes.TenantFrom(""),
	})
}
