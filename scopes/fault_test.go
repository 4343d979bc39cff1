package scopes_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestFaultPaths shows that a fault has its place in the calls that made the policy,
// and says what to do.
func TestFaultPaths(t *testing.T) {
	gold, a := scopes.ACR("gold"), scopes.All("a")
	robot := validator.Party{Issuer: mainIssuer, Subject: "robot"}
	table := func(limits scopes.Tier) scopes.Policy {
		return scopes.Tiers(scopes.TierTable{
			Tiers: map[string]scopes.Tier{"gold": limits, "others": {MaxLifetime: time.Second}}, Default: "others",
			Clients: map[validator.Party]string{{Issuer: "i", ClientID: "c"}: "gold"},
		})
	}
	for _, row := range []struct {
		policy scopes.Policy
		paths  []string
	}{
		{scopes.Policy{}, []string{""}},
		{scopes.All(), []string{"All"}},
		{scopes.Any("a", "b c", "a"), []string{"Any[1]", "Any[2]"}},
		{scopes.And(), []string{"And"}},
		{scopes.And(a, scopes.Any("")), []string{"And[1].Any[0]"}},
		{scopes.And(scopes.Public(), scopes.Optional(a)), []string{"And[0]", "And[1]"}},
		{scopes.And(scopes.ACR("x"), gold), []string{"And"}},
		{scopes.Or(a, scopes.And(scopes.Policy{}, scopes.Or())), []string{"Or[1].And[0]", "Or[1].And[1].Or"}},
		{scopes.Or(a, scopes.SenderConstrained()), []string{"Or[1]"}},
		{scopes.Optional(scopes.And(scopes.All())), []string{"Optional.And[0].All"}},
		{scopes.Optional(scopes.Public()), []string{"Optional"}},
		{scopes.Privileged(scopes.And(a)), []string{"Privileged"}},
		{scopes.Sensitive(scopes.And(gold, scopes.MaxAuthAge(0))), []string{"Sensitive.And[1].MaxAuthAge"}},
		{scopes.All("").Under(scopes.Hierarchy{"x": {"y", ""}}), []string{"All[0]", `Under["x"][1]`}},
		{a.Under(scopes.Hierarchy{"b": {"a"}}).Under(scopes.Hierarchy{"a": {"b"}}), []string{`Under["a"]`}},
		{scopes.Audience("", "b"), []string{"Audience[0]"}},
		{scopes.MaxLifetime(-1), []string{"MaxLifetime"}},
		{scopes.MaxTokenAge(0), []string{"MaxTokenAge"}},
		{scopes.FreshlyActive(-1), []string{"FreshlyActive"}},
		{scopes.OpaqueIssuer(""), []string{"OpaqueIssuer"}},
		{scopes.And(scopes.OpaqueIssuer("a"), scopes.OpaqueIssuer("b")), []string{"And"}},
		{scopes.Or(scopes.All("a"), scopes.FreshlyActive(0), scopes.OpaqueIssuer("b")), []string{"Or[1]", "Or[2]"}},
		{table(scopes.Tier{ActiveWithin: -2}), []string{`Tiers["gold"].ActiveWithin`, `Tiers["others"].ActiveWithin`}},
		{scopes.ConsentWithin("", 0), []string{"ConsentWithin", "ConsentWithin"}},
		{scopes.ACR("a", "b c"), []string{"ACR[1]"}},
		{scopes.MFA(), []string{"MFA"}},
		{scopes.Roles("r", "r"), []string{"Roles[1]"}},
		{scopes.AnyRole(""), []string{"AnyRole[0]"}},
		{scopes.Tenants(""), []string{"Tenants[0]"}},
		{scopes.TenantFrom(""), []string{"TenantFrom"}},
		{scopes.Issuers("i", ""), []string{"Issuers[1]"}},
		{scopes.Clients("", "c", ""), []string{"Clients", "Clients[1]"}},
		{scopes.Actors(robot, validator.Party{ClientID: "c"}), []string{"Actors[1].Issuer", "Actors[1].Subject", "Actors[1].ClientID"}},
		{scopes.Actors(robot, robot), []string{"Actors[1]"}},
		{scopes.Check("", -1, nil), []string{`Check("")`, `Check("")`, `Check("")`}},
		{scopes.And(scopes.Check("owner", 0, nil)), []string{`And[0].Check("owner")`}},
		{table(scopes.Tier{}), []string{`Tiers["gold"].MaxLifetime`}},
		{
			table(scopes.Tier{MaxLifetime: -1, MaxTokenAge: -1, MaxAuthAge: 1, ACR: []string{""}, Algorithms: []jose.Algorithm{0}}), []string{
				`Tiers["gold"].MaxLifetime`, `Tiers["gold"].MaxTokenAge`, `Tiers["gold"].MaxAuthAge`, `Tiers["gold"].ACR[0]`,
				`Tiers["gold"].Algorithms[0]`, `Tiers["others"].MaxAuthAge`, `Tiers["others"].Algorithms`, `Tiers["others"].ACR`,
			},
		},
		{scopes.And(a, table(scopes.Tier{MaxLifetime: time.Hour, SenderConstrained: true})), []string{`And[1].Tiers["others"].SenderConstrained`}},
		{
			scopes.Tiers(scopes.TierTable{Clients: map[validator.Party]string{{Issuer: "i", ClientID: "c"}: "x"}}),
			[]string{"Default", `Clients[{Issuer: "i", ClientID: "c"}]`},
		},
	} {
		var paths []string
		for _, f := range validator.Faults(row.policy.Err()) {
			paths = append(paths, f.Path)
			if f.Problem == "" || f.Mend == "" || !strings.HasPrefix(f.Error(), "scopes: ") {
				t.Errorf("%+v does not say what is wrong and what to do: %v", f, f)
			}
		}
		if !slices.Equal(paths, row.paths) {
			t.Errorf("the paths are %q, want %q: %v", paths, row.paths, row.policy.Err())
		}
	}
}

// TestHierarchyFaultPaths shows the paths of the faults of a Hierarchy.
func TestHierarchyFaultPaths(t *testing.T) {
	var paths []string
	for _, f := range validator.Faults(scopes.Hierarchy{"a b": {"c", "c"}, "d": {"d"}}.Err()) {
		paths = append(paths, f.Path)
	}
	if want := []string{`["a b"]`, `["a b"][1]`, `["d"]`}; !slices.Equal(paths, want) {
		t.Errorf("the paths are %q, want %q", paths, want)
	}
}
