package scopes_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// never returns a policy that refuses every token for this reason.
func never(reason validator.Reason) scopes.Policy {
	switch reason {
	case validator.BadClaims:
		return scopes.Claim(validator.ClaimRule{Name: "absent"})
	case validator.BindingMismatch:
		return scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"t": tier(scopes.Tier{SenderConstrained: true})}, Default: "t"})
	case validator.Unavailable:
		return hooked("broken", errors.New("broken"))
	case validator.Forbidden:
		return scopes.Roles("absent")
	case validator.StepUpRequired:
		return scopes.ACR("absent")
	default:
		return scopes.All("absent")
	}
}

// hooked returns a policy whose hook returns err.
func hooked(name string, err error) scopes.Policy {
	return scopes.Check(name, 0, func(context.Context, *validator.Token, scopes.Operation) error { return err })
}

// TestMixedRefusals tries every pair of reasons in both orders: the refusal of And is
// the one that comes first in precedence. A hook is not called if another part
// refuses.
func TestMixedRefusals(t *testing.T) {
	token := minted(t, "a")
	reasons := []validator.Reason{
		validator.BadClaims, validator.BindingMismatch, validator.Forbidden, validator.StepUpRequired, validator.InsufficientScope,
		validator.Unavailable, // a hook is called last
	}
	for i, first := range reasons {
		for _, second := range reasons[i:] {
			for _, policy := range []scopes.Policy{
				scopes.And(never(first), never(second)),
				scopes.And(never(second), never(first)),
				scopes.And(scopes.And(never(second)), scopes.Authenticated(), scopes.And(never(first), scopes.All("a"))),
				scopes.And(scopes.Or(never(second)), scopes.Or(never(first))),
			} {
				if err := policy.Err(); err != nil { // Tiers inside Or
					continue
				}
				if refusal := decide(policy, token); refusal == nil || refusal.Reason != first {
					t.Errorf("%v: %v, want %s", policy, refusal, first)
				}
			}
		}
	}
}

// TestMergedStepUp covers R-SU-04, R-SC-03 and R-CH-07: And makes one refusal of all
// step-up refusals of its parts. It names what is missing and nothing else, and all
// scopes that the operation needs if one of them is missing.
func TestMergedStepUp(t *testing.T) {
	policy := scopes.And(
		scopes.All("a", "b"), scopes.ACR("gold", "silver"), scopes.Any("c", "d"),
		scopes.And(scopes.MaxAuthAge(10*time.Minute), scopes.MFA("silver", "bronze")),
	)
	stepUp := func(age time.Duration, acr []string, needed ...string) scopes.Refusal {
		return scopes.Refusal{Reason: validator.StepUpRequired, MaxAuthAge: age, ACRValues: acr, Scopes: needed}
	}
	silver := []string{"silver"} // in both lists
	fresh, old := testNow-60, testNow-601
	check(t, []row{
		{policy: policy, claims: claims{"scope": "a b c", "acr": "silver", "auth_time": fresh, "amr": []string{"mfa"}}},
		{policy: policy, claims: claims{"scope": "a b d", "acr": "gold", "auth_time": fresh, "amr": []string{"pwd", "mfa"}}},
		{policy: policy, claims: claims{"scope": "a b c"}, want: stepUp(10*time.Minute, silver)},
		{policy: policy, claims: claims{"scope": "a c"}, want: stepUp(10*time.Minute, silver, "a", "b", "c")},
		{policy: policy, claims: claims{"scope": "a b"}, want: stepUp(10*time.Minute, silver, "a", "b", "c")},
		{policy: policy, claims: claims{"scope": "a b c", "acr": "gold", "auth_time": old, "amr": []string{"mfa"}}, want: stepUp(10*time.Minute, nil)},
		{policy: policy, claims: claims{"scope": "a b c", "acr": "gold", "auth_time": fresh}, want: stepUp(0, silver)},
		{policy: policy, claims: claims{"scope": "a b c", "acr": "bronze", "auth_time": fresh, "amr": []string{"mfa"}}, want: stepUp(0, silver)},
		{
			policy: policy, claims: claims{"scope": "b c", "acr": "gold", "auth_time": fresh, "amr": []string{"mfa"}},
			want: scopes.Refusal{Reason: validator.InsufficientScope, Scopes: []string{"a", "b", "c"}},
		},
		// The refusal names the shortest age, in whichever part it is.
		{
			policy: scopes.And(scopes.MaxAuthAge(time.Hour), scopes.MaxAuthAge(time.Minute), scopes.MaxAuthAge(time.Second)),
			claims: claims{"auth_time": testNow - 7200}, want: stepUp(time.Second, nil),
		},
		// The values are in the order of the first part.
		{
			policy: scopes.And(scopes.ACR("a", "b", "c", "d"), scopes.ACR("d", "x", "b")),
			claims: claims{"acr": "a"}, want: stepUp(0, []string{"b", "d"}),
		},
		// The refusal names only values that all parts accept, also those of an inner And.
		{
			policy: scopes.And(scopes.And(scopes.ACR("a", "b")), scopes.And(scopes.ACR("b", "c"), scopes.All("s"))),
			claims: claims{"acr": "a"}, want: stepUp(0, []string{"b"}, "s"),
		},
		// An alternative that cannot be met does not change the values.
		{
			policy: scopes.And(scopes.ACR("a"), scopes.Or(scopes.ACR("z"), scopes.All("s"))),
			claims: claims{}, want: stepUp(0, []string{"a"}),
		},
		// The refusal of an old consent names the scopes of the policy.
		{
			policy: scopes.And(scopes.All("a"), scopes.ConsentWithin("consent_at", time.Hour), scopes.MaxAuthAge(time.Minute)),
			claims: claims{"scope": "a"}, want: stepUp(time.Minute, nil, "a"),
		},
	})
}

// TestOr shows that one part that permits is enough, and that the refusal is that of
// the first part.
func TestOr(t *testing.T) {
	policy := scopes.Or(scopes.And(scopes.All("a", "b"), scopes.NotDelegated()), scopes.Roles("auditor"), scopes.ACR("gold"))
	lacking := scopes.Refusal{Reason: validator.InsufficientScope, Scopes: []string{"a", "b"}}
	acted := map[string]any{"sub": "robot"}
	check(t, []row{
		{policy: policy, claims: claims{"scope": "a b"}},
		{policy: policy, claims: claims{"roles": []string{"auditor"}}},
		{policy: policy, claims: claims{"scope": "a", "acr": "gold", "act": acted}},
		{policy: policy, claims: claims{"scope": "a", "roles": "audit"}, want: lacking},
		{policy: policy, claims: claims{"scope": "a b", "act": acted}, want: refused(validator.Forbidden)},
		{policy: scopes.Or(scopes.Roles("x"), scopes.All("a")), claims: claims{}, want: refused(validator.Forbidden)},
		{
			policy: scopes.And(scopes.All("x"), scopes.Or(scopes.All("a", "b"), scopes.All("c"))), claims: claims{"scope": "c"},
			want: scopes.Refusal{Reason: validator.InsufficientScope, Scopes: []string{"x", "a", "b"}},
		},
	})
	const text = `Or(And(All("a", "b"), NotDelegated()), Roles("auditor"), ACR("gold"))`
	if policy.String() != text {
		t.Errorf("%v, want %s", policy, text)
	}
}

// TestNoLimitHasAnAlternative covers invariant 10 of DESIGN: a limit inside Or is a
// fault, however deep it is nested.
func TestNoLimitHasAnAlternative(t *testing.T) {
	for _, limit := range []scopes.Policy{
		scopes.Audience("https://api.example"), scopes.MaxLifetime(time.Hour), scopes.MaxTokenAge(time.Hour), scopes.SenderConstrained(),
		scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"t": tier(scopes.Tier{})}, Default: "t"}),
	} {
		if err := limit.Err(); err != nil {
			t.Error(err)
		}
		faults(t, map[string]scopes.Policy{"a limit that has an alternative limits nothing": scopes.Or(limit)})
		faults(t, map[string]scopes.Policy{"a limit that has an alternative limits nothing": scopes.Or(scopes.All("a"), limit)})
		faults(t, map[string]scopes.Policy{"a limit that has an alternative limits nothing": scopes.And(scopes.Or(scopes.All("a"), scopes.And(scopes.And(limit), scopes.All("b"))))})
	}
}

func TestFaultsOfCombinations(t *testing.T) {
	faults(t, map[string]scopes.Policy{
		"Or has no parts":             scopes.Or(),
		"Or[0] is Public inside Or":   scopes.Or(scopes.Public()),
		"And[1] is Public inside And": scopes.And(scopes.Or(scopes.All("a")), scopes.Public()),
		"Or[0] is the zero Policy & Or[1].And[0].All has no scopes & Or[1].And[1].ACR has no acr values": scopes.Or(scopes.Policy{}, scopes.And(scopes.All(), scopes.ACR())),
		"no acr value in common": scopes.And(scopes.ACR("a"), scopes.ACR("b")),
		"acr value in common":    scopes.And(scopes.And(scopes.ACR("a"), scopes.All("s")), scopes.And(scopes.MFA("b"))),
	})
	three := scopes.And(scopes.ACR("a", "b"), scopes.ACR("b", "c"), scopes.ACR("c", "a"))
	faults(t, map[string]scopes.Policy{"acr value in common": three})
}
