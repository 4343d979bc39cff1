package scopes_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestOptional shows that Optional changes what a policy says of itself, and no
// decision: only a route permits a request without credentials (R-SC-11).
func TestOptional(t *testing.T) {
	inner := scopes.And(scopes.All("a", "b"), scopes.Audience("https://api.example"), scopes.TenantFrom("tenant"))
	policy := scopes.Optional(inner)
	if err := policy.Err(); err != nil {
		t.Fatal(err)
	}
	want := "Optional(" + inner.String() + ")"
	if policy.String() != want || policy.Equal(inner) || !policy.Equal(scopes.Optional(inner)) {
		t.Errorf("prints as %s, want %s", policy, want)
	}
	if !policy.IsOptional() || inner.IsOptional() || policy.IsPublic() || (scopes.Policy{}).IsOptional() || scopes.Public().IsOptional() {
		t.Error("IsOptional is wrong")
	}
	if !slices.Equal(policy.Needs(), inner.Needs()) || !slices.Equal(policy.Scopes(), inner.Scopes()) ||
		!slices.Equal(policy.Values(), inner.Values()) || !policy.NeedsOperation() ||
		!slices.Equal(policy.Demands().Audiences, inner.Demands().Audiences) {
		t.Error("Needs, Scopes, Values, NeedsOperation or Demands are not those of the inner policy")
	}
	under := policy.Under(scopes.Hierarchy{"root": {"a"}})
	if !under.IsOptional() || !under.Equal(scopes.Optional(inner.Under(scopes.Hierarchy{"root": {"a"}}))) {
		t.Errorf("under a hierarchy it is %s: %v", under, under.Err())
	}
}

// TestOptionalDecide shows that a nil or zero Token, and a Token that the inner
// policy refuses, are refused under Optional (R-SC-11).
func TestOptionalDecide(t *testing.T) {
	lacking := scopes.Refusal{Reason: validator.InsufficientScope, Scopes: []string{"a"}}
	for name, token := range map[string]*validator.Token{"nil": nil, "zero": new(validator.Token)} {
		same(t, "Optional(All(a))", name, decide(scopes.Optional(scopes.All("a")), token), lacking)
		same(t, "Optional(Authenticated())", name, decide(scopes.Optional(scopes.Authenticated()), token), refused(validator.Forbidden))
		if scopes.Optional(scopes.Authenticated()).Explain(at(0), token, scopes.Operation{}).Permits {
			t.Errorf("Explain permits a %s Token", name)
		}
	}
	check(t, []row{
		{policy: scopes.Optional(scopes.All("a")), claims: claims{"scope": "a"}},
		{policy: scopes.Optional(scopes.All("a")), claims: claims{"scope": "b"}, want: lacking},
		{policy: scopes.Optional(scopes.SenderConstrained()), want: refused(validator.BindingMismatch)},
		{policy: scopes.Optional(scopes.ACR("gold")), want: scopes.Refusal{Reason: validator.StepUpRequired, ACRValues: []string{"gold"}}},
	})
	if scopes.Optional(scopes.Authenticated()).Decide(at(2*time.Hour), minted(t, ""), scopes.Operation{}) == nil {
		t.Error("an expired Token is permitted")
	}
}

// TestOptionalOfRandomPolicies shows that Optional changes no decision about a
// Token.
func TestOptionalOfRandomPolicies(t *testing.T) {
	eachLaw(t, func(_ *rand.Rand, p, _ sample, s *scene) {
		if optional := scopes.Optional(p.policy); !tells(s.decide(optional), s.decide(p.policy)) {
			t.Errorf("%v of %+v: %+v, and without Optional %+v", optional, *s, s.decide(optional), s.decide(p.policy))
		}
	})
}

// TestOptionalFaults lists the policies that Optional must not be around, and the
// policies that must not be around Optional.
func TestOptionalFaults(t *testing.T) {
	a, gold, fresh := scopes.All("a"), scopes.ACR("gold"), scopes.MaxAuthAge(time.Minute)
	optional := scopes.Optional(a)
	faults(t, map[string]scopes.Policy{
		"Optional is of Public": scopes.Optional(scopes.Public()),
		"use Optional once":     scopes.Optional(optional),
		`Optional is of Privileged(ACR("gold")), and a request without credentials would pass`: scopes.Optional(scopes.Privileged(gold)),
		"Optional is of Sensitive(MaxAuthAge(1m0s))":                                           scopes.Optional(scopes.Sensitive(fresh)),
		"Optional is the zero Policy":                                                          scopes.Optional(scopes.Policy{}),
		"Optional.All has no scopes":                                                           scopes.Optional(scopes.All()),
		"And[1] is Optional inside And":                                                        scopes.And(gold, optional),
		"Or[0] is Optional inside Or":                                                          scopes.Or(optional, gold),
		`Privileged is of Optional(ACR("gold")), and a request without credentials`:            scopes.Privileged(scopes.Optional(gold)),
		"Sensitive is of Optional(MaxAuthAge(1m0s)), and":                                      scopes.Sensitive(scopes.Optional(fresh)),
		`Under["a"] is in a cycle`:                                                             optional.Under(scopes.Hierarchy{"a": {"a"}}),
	})
}

// TestOptionalExplained shows the inner policy as the part of Optional.
func TestOptionalExplained(t *testing.T) {
	policy := scopes.Optional(scopes.And(scopes.All("a"), scopes.SenderConstrained()))
	const want = `Optional: binding_mismatch
  And: binding_mismatch
    All("a"): not asked
    SenderConstrained(): binding_mismatch
`
	if got := policy.Explain(at(0), minted(t, "a"), scopes.Operation{}).String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	permitted := scopes.Optional(scopes.All("a")).Explain(at(0), minted(t, "a"), scopes.Operation{}).String()
	if permitted != "Optional: permits\n  All(\"a\"): permits\n" {
		t.Error(permitted)
	}
}

// TestOptionalContract shows that a contract has "optional" and the requirement
// of the inner policy, and that Optional is a drift (R-SC-10).
func TestOptionalContract(t *testing.T) {
	contract := scopes.NewContract(route("GET /", scopes.Optional(scopes.All("a"))))
	want := scopes.RouteContract{
		Route: "GET /", Method: "GET", Optional: true, Policy: `Optional(All("a"))`, Requires: scopes.Requirement{Scopes: []string{"a"}},
	}
	if got := contract.Routes[0]; !sameJSON(t, got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	document, err := contract.JSON()
	if err != nil || !strings.Contains(string(document), `"optional": true`) || contract.Drift(document) != nil {
		t.Errorf("%s: %v", document, err)
	}
	if scopes.NewContract(route("GET /", scopes.All("a"))).Drift(document) == nil {
		t.Error("that Optional is gone is no drift")
	}
}
