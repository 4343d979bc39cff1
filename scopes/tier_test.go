package scopes_test

import (
	"math"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// tier returns a Tier with the field that every Tier must have.
func tier(with scopes.Tier) scopes.Tier {
	if with.MaxLifetime == 0 {
		with.MaxLifetime = 1000 * time.Hour
	}
	return with
}

// TestTiers covers R-SC-12: iss and client_id of the token select the tier, and all
// other clients get the Default tier.
func TestTiers(t *testing.T) {
	policy := scopes.Tiers(scopes.TierTable{
		Tiers: map[string]scopes.Tier{
			"own":     tier(scopes.Tier{}),
			"partner": {MaxLifetime: 2 * time.Hour, MaxTokenAge: 10 * time.Minute, ACR: []string{"gold", "silver"}},
			"bank":    tier(scopes.Tier{SenderConstrained: true}),
			"rsa":     tier(scopes.Tier{Algorithms: []jose.Algorithm{jose.RS256, jose.PS256}}),
			"curve":   tier(scopes.Tier{Algorithms: []jose.Algorithm{jose.RS256, jose.PS256, jose.EdDSA}}),
			"strict": {
				Algorithms: []jose.Algorithm{jose.PS256}, MaxLifetime: time.Hour, MaxTokenAge: time.Minute, ACR: []string{"gold"}, MaxAuthAge: time.Minute,
				SenderConstrained: true,
			},
		},
		Clients: map[validator.Party]string{
			{Issuer: mainIssuer, ClientID: "app"}:     "own",
			{Issuer: mainIssuer, ClientID: "partner"}: "partner",
			{Issuer: mainIssuer, ClientID: "bank"}:    "bank",
			{Issuer: mainIssuer, ClientID: "rsa"}:     "rsa",
			{Issuer: mainIssuer, ClientID: "curve"}:   "curve",
			{Issuer: legacyIssuer, ClientID: "old"}:   "partner",
		},
		Default: "strict",
	})
	partner := func(with claims) claims {
		with["client_id"] = "partner"
		return with
	}
	bad, unbound := refused(validator.BadClaims), refused(validator.BindingMismatch)
	weak := scopes.Refusal{Reason: validator.StepUpRequired, ACRValues: []string{"gold", "silver"}}
	check(t, []row{
		{policy: policy, claims: claims{"client_id": "app", "exp": testNow + 86400}},
		{policy: policy, claims: partner(claims{"acr": "silver"})},
		{policy: policy, claims: partner(claims{"acr": "silver", "iat": testNow - 600})},
		{policy: policy, claims: partner(claims{"acr": "silver", "iat": testNow - 601}), want: bad},
		{policy: policy, claims: partner(claims{"acr": "silver", "exp": testNow + 7140})},
		{policy: policy, claims: partner(claims{"acr": "silver", "exp": testNow + 7141}), want: bad},
		{policy: policy, claims: partner(claims{"acr": "bronze"}), want: weak},
		{policy: policy, claims: partner(claims{}), want: weak},
		{policy: policy, claims: claims{"client_id": "bank"}, want: unbound},
		{policy: policy, claims: claims{"client_id": "rsa"}, want: refused(validator.Forbidden)}, // tests sign with EdDSA
		{policy: policy, claims: claims{"client_id": "curve"}},
		{policy: policy, claims: claims{"client_id": "App", "exp": testNow + 10}, want: unbound},
		{policy: policy, claims: claims{"client_id": "App", "exp": testNow + 86400}, want: bad},
		{policy: policy, claims: claims{"iss": legacyIssuer, "client_id": "app"}, want: bad}, // the app of another issuer
		{policy: policy, claims: claims{"iss": legacyIssuer, "client_id": "old", "acr": "gold"}},
		{policy: policy, claims: claims{"iss": legacyIssuer, "client_id": "old", "acr": "gold", "iat": nil}, want: bad},
		{policy: policy, claims: claims{"iss": legacyIssuer, "client_id": nil, "iat": testNow, "exp": testNow + 9}, want: unbound},
		{
			policy: scopes.And(policy, scopes.All("a"), scopes.ACR("silver")), claims: partner(claims{}),
			want: scopes.Refusal{Reason: validator.StepUpRequired, ACRValues: []string{"silver"}, Scopes: []string{"a"}},
		},
	})
	only := func(limits scopes.Tier) scopes.Policy {
		return scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"t": tier(limits)}, Default: "t"})
	}
	age, long := only(scopes.Tier{MaxTokenAge: time.Minute}), only(scopes.Tier{MaxLifetime: math.MaxInt64})
	ages, auth := only(scopes.Tier{MaxTokenAge: math.MaxInt64}), only(scopes.Tier{MaxAuthAge: time.Minute})
	check(t, []row{
		{policy: age, claims: claims{"iss": legacyIssuer}},
		{policy: age, claims: claims{"iss": legacyIssuer, "iat": nil}, want: bad},
		{policy: long, claims: claims{"iss": legacyIssuer, "iat": nil}, want: bad},
		{policy: ages, claims: claims{"iss": legacyIssuer, "iat": nil}, want: bad},
		{policy: auth, claims: claims{"auth_time": testNow - 60}},
		{policy: auth, claims: claims{"auth_time": testNow - 61}, want: scopes.Refusal{Reason: validator.StepUpRequired, MaxAuthAge: time.Minute}},
	})
}

// TestTierFaults covers R-SC-12: among other faults, no limit of the Default tier may
// be weaker than that of another tier.
func TestTierFaults(t *testing.T) {
	other := func(name string, strong scopes.Tier, others scopes.Tier) scopes.Policy {
		return scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{name: tier(strong), "others": tier(others)}, Default: "others"})
	}
	alone := func(limits scopes.Tier) scopes.Policy {
		return scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"t": limits}, Default: "t"})
	}
	rsa, both := []jose.Algorithm{jose.RS256}, []jose.Algorithm{jose.PS256, jose.RS256}
	faults(t, map[string]scopes.Policy{
		`Default is "", which is not in Tiers`:                                                                    scopes.Tiers(scopes.TierTable{}),
		`Default is "x", which is not in Tiers`:                                                                   scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"y": tier(scopes.Tier{MaxAuthAge: time.Hour})}, Default: "x"}),
		`Tiers["t"].MaxLifetime is not set, and neither is ActiveWithin`:                                          alone(scopes.Tier{}),
		`Tiers["t"].ActiveWithin is -2ns; use a positive age, or validator.EachRequest`:                           alone(scopes.Tier{ActiveWithin: -2}),
		`Tiers["others"].ActiveWithin is weaker than in tier "t"`:                                                 other("t", scopes.Tier{ActiveWithin: time.Hour}, scopes.Tier{}),
		`Tiers["others"].ActiveWithin is weaker than in tier "u"`:                                                 other("u", scopes.Tier{ActiveWithin: time.Hour}, scopes.Tier{ActiveWithin: time.Hour + 1}),
		`Tiers["others"].ActiveWithin is weaker than in tier "v"`:                                                 other("v", scopes.Tier{ActiveWithin: validator.EachRequest}, scopes.Tier{ActiveWithin: 1}),
		`Tiers["others"].Algorithms is empty; leave it nil`:                                                       other("o", scopes.Tier{}, scopes.Tier{Algorithms: []jose.Algorithm{}}),
		`Tiers["others"].Algorithms[1] RS256 is listed twice`:                                                     other("p", scopes.Tier{}, scopes.Tier{Algorithms: append(rsa, rsa...)}),
		`Tiers["others"].Algorithms[1] does not exist`:                                                            other("q", scopes.Tier{}, scopes.Tier{Algorithms: []jose.Algorithm{jose.RS256, 0}}),
		`Tiers["others"].Algorithms is weaker than in tier "r"`:                                                   other("r", scopes.Tier{Algorithms: rsa}, scopes.Tier{}),
		`Tiers["others"].Algorithms is weaker than in tier "s"`:                                                   other("s", scopes.Tier{Algorithms: rsa}, scopes.Tier{Algorithms: both}),
		`Tiers["others"].MaxLifetime is weaker than in tier "a"`:                                                  other("a", scopes.Tier{MaxLifetime: time.Hour}, scopes.Tier{}),
		`Tiers["others"].MaxLifetime is weaker than in tier "b"`:                                                  other("b", scopes.Tier{MaxLifetime: time.Hour}, scopes.Tier{MaxLifetime: time.Hour + 1}),
		`Tiers["others"].MaxTokenAge is weaker than in tier "c"`:                                                  other("c", scopes.Tier{MaxTokenAge: time.Hour}, scopes.Tier{}),
		`Tiers["others"].MaxAuthAge is weaker than in tier "d"`:                                                   other("d", scopes.Tier{MaxAuthAge: time.Hour}, scopes.Tier{}),
		`Tiers["others"].SenderConstrained is weaker than in tier "e"`:                                            other("e", scopes.Tier{SenderConstrained: true}, scopes.Tier{}),
		`Tiers["others"].ACR is weaker than in tier "f"`:                                                          other("f", scopes.Tier{ACR: []string{"a"}}, scopes.Tier{}),
		`Tiers["others"].ACR is weaker than in tier "g"`:                                                          other("g", scopes.Tier{ACR: []string{"a"}}, scopes.Tier{ACR: []string{"a", "b"}}),
		`Tiers["others"].MaxLifetime is weaker than in tier "h" & Tiers["others"].ACR is weaker than in tier "h"`: other("h", scopes.Tier{MaxLifetime: time.Hour, ACR: []string{"a"}}, scopes.Tier{}),
		`Tiers["i"].MaxLifetime is -1ns`:                                                                          other("i", scopes.Tier{MaxLifetime: -1}, scopes.Tier{}),
		`Tiers["m"].MaxTokenAge is -1ns`:                                                                          other("m", scopes.Tier{MaxTokenAge: -1}, scopes.Tier{}),
		`Tiers["n"].MaxAuthAge is -1s, not & whole seconds`:                                                       other("n", scopes.Tier{MaxAuthAge: -time.Second}, scopes.Tier{}),
		`Tiers["j"].MaxAuthAge is 1ms, not & whole seconds`:                                                       other("j", scopes.Tier{MaxAuthAge: time.Millisecond}, scopes.Tier{MaxAuthAge: time.Millisecond}),
		`Tiers["k"].ACR[0] "a b" cannot be listed`:                                                                other("k", scopes.Tier{ACR: []string{"a b"}}, scopes.Tier{ACR: []string{"a b"}}),
		`Tiers["l"].ACR has no acr values`:                                                                        other("l", scopes.Tier{ACR: []string{}}, scopes.Tier{}),
		`Clients[{Issuer: "i", ClientID: ""}] is not the name of a client & Clients[{Issuer: "", ClientID: "c"}] is not & Clients[{Issuer: "i", ClientID: "c"}] is "x", which is not in Tiers & Clients[{Issuer: "j", ClientID: "c"}] is not the name`: scopes.Tiers(scopes.TierTable{
			Tiers: map[string]scopes.Tier{"a": tier(scopes.Tier{})}, Default: "a",
			Clients: map[validator.Party]string{{Issuer: "i"}: "a", {ClientID: "c"}: "a", {Issuer: "i", ClientID: "c"}: "x", {Issuer: "j", ClientID: "c", Subject: "s"}: "a"},
		}),
	})
	strict := scopes.Tier{Algorithms: rsa, MaxLifetime: time.Minute, MaxTokenAge: time.Minute, MaxAuthAge: time.Minute, SenderConstrained: true, ACR: []string{"b"}, ActiveWithin: validator.EachRequest}
	if err := other("a", scopes.Tier{Algorithms: both, MaxLifetime: time.Hour, ACR: []string{"a", "b"}, ActiveWithin: time.Second}, strict).Err(); err != nil {
		t.Error(err)
	}
	for _, within := range []time.Duration{time.Minute, validator.EachRequest} { // in place of a longest lifetime
		if err := alone(scopes.Tier{ActiveWithin: within}).Err(); err != nil {
			t.Error(err)
		}
	}
}

// TestTiersString shows that policies of different tables print differently.
func TestTiersString(t *testing.T) {
	table := scopes.TierTable{
		Tiers:   map[string]scopes.Tier{"a": tier(scopes.Tier{}), "b": tier(scopes.Tier{Algorithms: []jose.Algorithm{jose.ES256}, MaxLifetime: time.Hour, ActiveWithin: validator.EachRequest, ACR: []string{"x"}})},
		Clients: map[validator.Party]string{{Issuer: "i", ClientID: "1"}: "a", {Issuer: "i", ClientID: "2"}: "b"}, Default: "b",
	}
	const want = `Tiers(TierTable{Tiers: {"a": {Algorithms: [], MaxLifetime: 1000h0m0s, MaxTokenAge: 0s, SenderConstrained: false, ActiveWithin: 0s, ACR(), MaxAuthAge: 0s}, ` +
		`"b": {Algorithms: [ES256], MaxLifetime: 1h0m0s, MaxTokenAge: 0s, SenderConstrained: false, ActiveWithin: validator.EachRequest, ACR("x"), MaxAuthAge: 0s}}, ` +
		`Clients: {{Issuer: "i", ClientID: "1"}: "a", {Issuer: "i", ClientID: "2"}: "b"}, Default: "b"})`
	policy := scopes.Tiers(table)
	if policy.String() != want {
		t.Errorf("%v, want %s", policy, want)
	}
	table.Clients[validator.Party{Issuer: "i", ClientID: "1"}] = "b"
	if changed := scopes.Tiers(table); policy.Equal(changed) || policy.String() != want {
		t.Errorf("%v equals %v", policy, changed)
	}
}
