package scopes_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestTags covers R-SU-08: it is a fault to mark a policy that a token can pass
// without a strong, or a recent, authentication.
func TestTags(t *testing.T) {
	a, gold, mfa, fresh := scopes.All("a"), scopes.ACR("gold"), scopes.MFA("gold"), scopes.MaxAuthAge(time.Minute)
	tiers := func(own scopes.Tier) scopes.Policy {
		strict := tier(scopes.Tier{ACR: []string{"gold"}, MaxAuthAge: time.Minute})
		return scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"own": tier(own), "strict": strict}, Default: "strict"})
	}
	for _, row := range []struct {
		policy         scopes.Policy
		strong, recent bool
	}{
		{policy: a},
		{policy: scopes.Public()},
		{policy: scopes.Authenticated()},
		{policy: gold, strong: true},
		{policy: mfa, strong: true},
		{policy: fresh, recent: true},
		{policy: scopes.And(a, gold), strong: true},
		{policy: scopes.And(fresh, a), recent: true},
		{policy: scopes.And(mfa, fresh, a), strong: true, recent: true},
		{policy: scopes.Or(a, gold)},
		{policy: scopes.Or(fresh, gold)},
		{policy: scopes.Or(scopes.And(a, gold), mfa), strong: true},
		{policy: scopes.Or(scopes.And(a, fresh), fresh), recent: true},
		{policy: scopes.And(scopes.Or(fresh, gold), scopes.Or(a, scopes.And(gold, fresh)))},
		{policy: tiers(scopes.Tier{})},
		{policy: tiers(scopes.Tier{ACR: []string{"gold"}}), strong: true},
		{policy: tiers(scopes.Tier{MaxAuthAge: time.Hour}), recent: true},
		{policy: scopes.Claim(validator.ClaimRule{Name: "acr", Equals: "gold"})}, // Claim is no step-up
	} {
		text := row.policy.String()
		for _, tag := range []struct {
			policy   scopes.Policy
			deserved bool
			text     string
			needed   string
		}{
			{scopes.Privileged(row.policy), row.strong, "Privileged(" + text + ")", "Privileged is of & " + text + ", which a token can pass without ACR or MFA; join it with And"},
			{scopes.Sensitive(row.policy), row.recent, "Sensitive(" + text + ")", "Sensitive is of & " + text + ", which a token can pass without MaxAuthAge; join it with And"},
		} {
			if !tag.deserved {
				faults(t, map[string]scopes.Policy{tag.needed: tag.policy})
				continue
			}
			if tag.policy.Err() != nil || tag.policy.String() != tag.text || tag.policy.Equal(row.policy) {
				t.Errorf("%v: %v", tag.policy, tag.policy.Err())
			}
		}
	}
	both := scopes.And(gold, fresh)
	const want = `Privileged(Sensitive(And(ACR("gold"), MaxAuthAge(1m0s))))`
	for _, policy := range []scopes.Policy{
		scopes.Privileged(scopes.Sensitive(both)), scopes.Sensitive(scopes.Privileged(scopes.Privileged(both))),
		scopes.And(scopes.Privileged(gold), scopes.Sensitive(fresh)),
		scopes.Privileged(scopes.Sensitive(both)).Under(scopes.Hierarchy{"a": {"b"}}),
	} {
		if policy.Err() != nil || policy.String() != want {
			t.Errorf("%v (%v), want %s", policy, policy.Err(), want)
		}
	}
	joined := scopes.And(scopes.Privileged(gold), a)
	if !joined.IsPrivileged() || joined.IsSensitive() || !scopes.Sensitive(fresh).IsSensitive() || gold.IsPrivileged() || fresh.IsSensitive() ||
		(scopes.Policy{}).IsPrivileged() || (scopes.Policy{}).IsSensitive() {
		t.Error("the tags are not told")
	}
	faults(t, map[string]scopes.Policy{
		`Or[0] is Privileged(ACR("gold"))`:     scopes.Or(scopes.Privileged(gold), a),
		`Or[1] is Sensitive(MaxAuthAge(1m0s))`: scopes.Or(a, scopes.Sensitive(fresh)),
		"Privileged.All has no scopes":         scopes.Privileged(scopes.All()),
		"the zero Policy":                      scopes.Sensitive(scopes.Policy{}),
	})
	check(t, []row{
		{policy: scopes.Privileged(gold), claims: claims{"acr": "gold"}},
		{policy: scopes.Privileged(gold), want: scopes.Refusal{Reason: validator.StepUpRequired, ACRValues: []string{"gold"}}},
		{policy: scopes.Sensitive(fresh), want: scopes.Refusal{Reason: validator.StepUpRequired, MaxAuthAge: time.Minute}},
	})
}

// TestTagsHold covers R-SU-08 over random policies: a token that passes a marked policy
// has the authentication, and the mark changes no decision.
func TestTagsHold(t *testing.T) {
	privileged, sensitive := 0, 0
	eachLaw(t, func(_ *rand.Rand, p, _ sample, s *scene) {
		for _, tag := range []struct {
			tagged scopes.Policy
			met    bool
			passed *int
		}{
			{scopes.Privileged(p.policy), s.acr != "" || s.mfa, &privileged},
			{scopes.Sensitive(p.policy), s.authAge > 0, &sensitive},
		} {
			if tag.tagged.Err() != nil {
				continue
			}
			if !tells(s.decide(tag.tagged), s.decide(p.policy)) || permits(tag.tagged, s) && !tag.met {
				t.Errorf("%v of %+v: %+v, and untagged %+v", tag.tagged, *s, s.decide(tag.tagged), s.decide(p.policy))
			}
			if permits(tag.tagged, s) {
				*tag.passed++
			}
		}
	})
	if privileged < 20 || sensitive < 20 {
		t.Errorf("%d and %d passed, which proves little", privileged, sensitive)
	}
}
