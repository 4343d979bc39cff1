package scopes_test

import (
	"math"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// tier has what every tier must have.
func tier(with scopes.Tier) scopes.Tier {
	if with.MaxLifetime == 0 {
		with.MaxLifetime = 1000 * time.Hour
	}
	return with
}

// TestTiers covers R-SC-12: the tier comes from iss and client_id of the token,
// and whoever is not in the registry gets the strictest.
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
		Clients: map[scopes.ClientName]string{
			{Issuer: mainIssuer, ID: "app"}:     "own",
			{Issuer: mainIssuer, ID: "partner"}: "partner",
			{Issuer: mainIssuer, ID: "bank"}:    "bank",
			{Issuer: mainIssuer, ID: "rsa"}:     "rsa",
			{Issuer: mainIssuer, ID: "curve"}:   "curve",
			{Issuer: legacyIssuer, ID: "old"}:   "partner",
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
		{policy: policy, claims: claims{"iss": legacyIssuer, "client_id": "app"}, want: bad}, // another's app
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
		{policy: auth, claims: claims{"auth_time": testNow - 61}, want: scopes.Refusal{Reason: validator.StepUpRequired, MaxAge: time.Minute}},
	})
}

// TestTierFaults covers R-SC-12: whoever is unknown may have no weaker limit than
// anybody else.
func TestTierFaults(t *testing.T) {
	other := func(name string, strong scopes.Tier, others scopes.Tier) scopes.Policy {
		return scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{name: tier(strong), "others": tier(others)}, Default: "others"})
	}
	alone := func(limits scopes.Tier) scopes.Policy {
		return scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"t": limits}, Default: "t"})
	}
	rsa, both := []jose.Algorithm{jose.RS256}, []jose.Algorithm{jose.PS256, jose.RS256}
	faults(t, map[string]scopes.Policy{
		`Default "" is not in Tiers`:                       scopes.Tiers(scopes.TierTable{}),
		`Default "x" is not in Tiers`:                      scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"y": tier(scopes.Tier{MaxAuthAge: time.Hour})}, Default: "x"}),
		`tier "t": Revocation(1) does not exist`:           alone(scopes.Tier{Revocation: scopes.ByExpiry + 1, MaxLifetime: time.Hour}),
		`tier "t": MaxLifetime is not set, and tokens are`: alone(scopes.Tier{}),
		`Algorithms is empty; leave it nil`:                other("o", scopes.Tier{}, scopes.Tier{Algorithms: []jose.Algorithm{}}),
		`Algorithms has RS256 twice`:                       other("p", scopes.Tier{}, scopes.Tier{Algorithms: append(rsa, rsa...)}),
		`Algorithms[1] does not exist`:                     other("q", scopes.Tier{}, scopes.Tier{Algorithms: []jose.Algorithm{jose.RS256, 0}}),
		`weaker in Algorithms than tier "r"`:               other("r", scopes.Tier{Algorithms: rsa}, scopes.Tier{}),
		`weaker in Algorithms than tier "s"`:               other("s", scopes.Tier{Algorithms: rsa}, scopes.Tier{Algorithms: both}),
		`weaker in MaxLifetime than tier "a"`:              other("a", scopes.Tier{MaxLifetime: time.Hour}, scopes.Tier{}),
		`weaker in MaxLifetime than tier "b"`:              other("b", scopes.Tier{MaxLifetime: time.Hour}, scopes.Tier{MaxLifetime: time.Hour + 1}),
		`weaker in MaxTokenAge than tier "c"`:              other("c", scopes.Tier{MaxTokenAge: time.Hour}, scopes.Tier{}),
		`weaker in MaxAuthAge than tier "d"`:               other("d", scopes.Tier{MaxAuthAge: time.Hour}, scopes.Tier{}),
		`weaker in SenderConstrained than tier "e"`:        other("e", scopes.Tier{SenderConstrained: true}, scopes.Tier{}),
		`weaker in ACR than tier "f"`:                      other("f", scopes.Tier{ACR: []string{"a"}}, scopes.Tier{}),
		`weaker in ACR than tier "g"`:                      other("g", scopes.Tier{ACR: []string{"a"}}, scopes.Tier{ACR: []string{"a", "b"}}),
		`weaker in MaxLifetime & weaker in ACR`:            other("h", scopes.Tier{MaxLifetime: time.Hour, ACR: []string{"a"}}, scopes.Tier{}),
		`tier "i": a limit is negative`:                    other("i", scopes.Tier{MaxLifetime: -1}, scopes.Tier{}),
		`tier "m": a limit is negative`:                    other("m", scopes.Tier{MaxTokenAge: -1}, scopes.Tier{}),
		`tier "n": & whole seconds`:                        other("n", scopes.Tier{MaxAuthAge: -time.Second}, scopes.Tier{}),
		`tier "j": & whole seconds`:                        other("j", scopes.Tier{MaxAuthAge: time.Millisecond}, scopes.Tier{MaxAuthAge: time.Millisecond}),
		`tier "k": & "a b" cannot stand`:                   other("k", scopes.Tier{ACR: []string{"a b"}}, scopes.Tier{ACR: []string{"a b"}}),
		`tier "l": & ACR without`:                          other("l", scopes.Tier{ACR: []string{}}, scopes.Tier{}),
		`a client without Issuer or ID & tier "x" is not in Tiers`: scopes.Tiers(scopes.TierTable{
			Tiers: map[string]scopes.Tier{"a": tier(scopes.Tier{})}, Default: "a",
			Clients: map[scopes.ClientName]string{{Issuer: "i"}: "a", {ID: "c"}: "a", {Issuer: "i", ID: "c"}: "x"},
		}),
	})
	strict := scopes.Tier{Algorithms: rsa, MaxLifetime: time.Minute, MaxTokenAge: time.Minute, MaxAuthAge: time.Minute, SenderConstrained: true, ACR: []string{"b"}}
	if err := other("a", scopes.Tier{Algorithms: both, MaxLifetime: time.Hour, ACR: []string{"a", "b"}}, strict).Err(); err != nil {
		t.Error(err)
	}
}

// TestTiersInPrint shows that the whole table tells policies apart.
func TestTiersInPrint(t *testing.T) {
	table := scopes.TierTable{
		Tiers:   map[string]scopes.Tier{"a": tier(scopes.Tier{}), "b": tier(scopes.Tier{Algorithms: []jose.Algorithm{jose.ES256}, MaxLifetime: time.Hour, ACR: []string{"x"}})},
		Clients: map[scopes.ClientName]string{{Issuer: "i", ID: "1"}: "a", {Issuer: "i", ID: "2"}: "b"}, Default: "b",
	}
	const want = `Tiers(TierTable{Tiers: {"a": {Algorithms: [], Revocation: ByExpiry, MaxLifetime: 1000h0m0s, MaxTokenAge: 0s, SenderConstrained: false, ACR(), MaxAuthAge: 0s}, ` +
		`"b": {Algorithms: [ES256], Revocation: ByExpiry, MaxLifetime: 1h0m0s, MaxTokenAge: 0s, SenderConstrained: false, ACR("x"), MaxAuthAge: 0s}}, ` +
		`Clients: {{"i", "1"}: "a", {"i", "2"}: "b"}, Default: "b"})`
	policy := scopes.Tiers(table)
	if policy.String() != want {
		t.Errorf("%v, want %s", policy, want)
	}
	table.Clients[scopes.ClientName{Issuer: "i", ID: "1"}] = "b"
	if changed := scopes.Tiers(table); policy.Equal(changed) || policy.String() != want {
		t.Errorf("%v equals %v", policy, changed)
	}
}
