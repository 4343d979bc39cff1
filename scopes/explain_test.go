package scopes_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestExplanation shows that an explanation has each clause with its decision, and no
// value from the token.
func TestExplanation(t *testing.T) {
	table := scopes.TierTable{
		Tiers:   map[string]scopes.Tier{"others": {MaxAuthAge: time.Minute, MaxLifetime: 2 * time.Hour}},
		Default: "others",
	}
	policy := scopes.And(
		scopes.Audience("https://api.example"),
		scopes.All("orders:read", "orders:list"),
		scopes.Or(scopes.Roles("clerk"), scopes.ACR("gold", "silver")),
		scopes.Tiers(table),
		scopes.Check("owner", 0, asked(new(int), nil)),
	).Under(orders)
	token := mint(t, claims{"scope": "orders:write secret-scope", "sub": "secret-subject", "roles": "secret-role", "acr": "silver"})
	const want = `And: step_up_required, needs scope "orders:read orders:list", authentication within 1m0s
  Audience("https://api.example"): permits
  All("orders:read", "orders:list").Under(Hierarchy{"orders:admin": {"orders:read"}, "orders:write": {"orders:read"}, "root": {"orders:read"}}): ` +
		`insufficient_scope, needs scope "orders:read orders:list"
  Or: permits
    Roles("clerk"): forbidden
    ACR("gold", "silver"): permits
  Tiers: step_up_required, authentication within 1m0s
    tier "others": step_up_required, authentication within 1m0s
      Authenticated(): permits
      MaxLifetime(2h0m0s): permits
      MaxAuthAge(1m0s): step_up_required, authentication within 1m0s
  Check("owner", 1s): not asked
`
	if got := policy.Explain(at(0), token, scopes.Operation{}).String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	stronger := mint(t, claims{"scope": "orders:read orders:list", "acr": "gold", "auth_time": testNow})
	got := policy.Explain(at(0), stronger, scopes.Operation{}).String()
	if strings.Count(got, ": permits\n") != 11 || strings.Count(got, "\n") != 12 || !strings.Contains(got, `Roles("clerk"): forbidden`) {
		t.Errorf("of a token that is permitted:\n%s", got)
	}
	weak := scopes.And(scopes.ACR("gold")).Explain(at(0), token, scopes.Operation{}).String()
	if !strings.HasPrefix(weak, "And: step_up_required, acr \"gold\"\n") {
		t.Errorf("%s", weak)
	}
}

// TestExplanationOfNothing explains decisions that are made before any clause is asked.
func TestExplanationOfNothing(t *testing.T) {
	for want, e := range map[string]scopes.Explanation{
		"Policy{}: forbidden\n":                               scopes.Policy{}.Explain(at(0), minted(t, ""), scopes.Operation{}),
		"Public(): permits\n":                                 scopes.Public().Explain(at(0), nil, scopes.Operation{}),
		"And: forbidden\n  Authenticated(): not asked\n":      scopes.And(scopes.Authenticated()).Explain(at(0), nil, scopes.Operation{}),
		"All(\"a\"): insufficient_scope, needs scope \"a\"\n": scopes.All("a").Explain(at(0), new(validator.Token), scopes.Operation{}),
		"Tiers: forbidden\n":                                  scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"t": tier(scopes.Tier{})}, Default: "t"}).Explain(at(0), nil, scopes.Operation{}),
		"Policy{}: forbidden":                                 scopes.All().Explain(at(0), minted(t, ""), scopes.Operation{}),
	} {
		if got := e.String(); strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%q, want %q", got, want)
		}
		if e.Permits != strings.Contains(want, "permits") {
			t.Errorf("%q and Permits %v", want, e.Permits)
		}
	}
}
