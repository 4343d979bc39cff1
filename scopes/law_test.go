package scopes_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func join(texts []string) string { return strings.Join(texts, " ") }

// laws is the number of random policies that each law is tested with.
const laws = 1000

// eachLaw calls law with random policies and scenes, the same ones in each run.
func eachLaw(t *testing.T, law func(r *rand.Rand, p, q sample, s *scene)) {
	t.Helper()
	r := rand.New(rand.NewPCG(5, 5))
	scenes := make([]*scene, 100)
	for i := range scenes {
		scenes[i] = randomScene(t, r)
	}
	permitted, refused := 0, 0
	for range laws {
		p, q := randomPolicy(r, 3), randomPolicy(r, 2)
		if p.policy.Err() != nil || q.policy.Err() != nil {
			t.Fatalf("a random policy has a fault: %v %v", p.policy.Err(), q.policy.Err())
		}
		for range 3 {
			s := pick(r, scenes...)
			law(r, p, q, s)
			if permits(p.policy, s) {
				permitted++
			} else {
				refused++
			}
		}
	}
	if permitted < laws/3 || refused < laws/3 {
		t.Errorf("%d permitted, %d refused: the random policies prove little", permitted, refused)
	}
}

func (s *scene) decide(p scopes.Policy) *scopes.Refusal { return p.Decide(at(0), s.token, s.operation) }

func permits(p scopes.Policy, s *scene) bool { return s.decide(p) == nil }

// tells reports whether both refusals tell a client the same.
func tells(a, b *scopes.Refusal) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Reason == b.Reason && slices.Equal(a.Scopes, b.Scopes) && slices.Equal(a.ACRValues, b.ACRValues) && a.MaxAuthAge == b.MaxAuthAge
}

// TestModel covers R-SC-03 and R-SC-06: a policy decides like an independent model of
// it, with and without a hierarchy, and the fields of a refusal fit its Reason.
func TestModel(t *testing.T) {
	eachLaw(t, func(r *rand.Rand, p, _ sample, s *scene) {
		h := randomHierarchy(r)
		for _, test := range []struct {
			policy scopes.Policy
			want   bool
		}{{p.policy, p.permits(s, nil)}, {p.policy.Under(h), p.permits(s, h)}} {
			refusal := s.decide(test.policy)
			if (refusal == nil) != test.want {
				t.Errorf("%v of %+v: %v", test.policy, *s, refusal)
			}
			switch {
			case refusal == nil:
			case refusal.Reason == validator.InsufficientScope && refusal.ACRValues == nil && refusal.MaxAuthAge == 0:
			case refusal.Reason == validator.StepUpRequired && (refusal.ACRValues != nil || refusal.MaxAuthAge > 0):
			case len(refusal.Scopes)+len(refusal.ACRValues) > 0 || refusal.MaxAuthAge > 0 || refusal.Reason == validator.StepUpRequired:
				t.Errorf("%v of %+v: %+v", test.policy, *s, *refusal)
			}
		}
	})
}

// TestLaws shows that And and Or obey the laws of Boolean algebra.
func TestLaws(t *testing.T) {
	everyone, nobody := scopes.Authenticated(), scopes.All("nobody")
	eachLaw(t, func(_ *rand.Rand, first, second sample, s *scene) {
		p, q := first.policy, second.policy
		for law, sides := range map[string][2]scopes.Policy{
			"And(p) is p":             {scopes.And(p), p},
			"Or(p) is p":              {scopes.Or(p), p},
			"idempotence of And":      {scopes.And(p, p), p},
			"idempotence of Or":       {scopes.Or(p, p), p},
			"identity of And":         {scopes.And(p, everyone), p},
			"identity of Or":          {scopes.Or(p, nobody), p},
			"annihilation by And":     {scopes.And(p, nobody), nobody},
			"annihilation by Or":      {scopes.Or(p, everyone), everyone},
			"commutativity of And":    {scopes.And(p, q), scopes.And(q, p)},
			"commutativity of Or":     {scopes.Or(p, q), scopes.Or(q, p)},
			"absorption by And":       {scopes.And(p, scopes.Or(p, q)), p},
			"absorption by Or":        {scopes.Or(p, scopes.And(p, q)), p},
			"associativity of And":    {scopes.And(p, scopes.And(q, p)), scopes.And(scopes.And(p, q), p)},
			"distributivity of And":   {scopes.And(p, scopes.Or(q, p)), scopes.Or(scopes.And(p, q), scopes.And(p, p))},
			"And is all of its parts": {scopes.And(p, q, everyone), scopes.And(q, scopes.And(everyone, p))},
		} {
			if permits(sides[0], s) != permits(sides[1], s) {
				t.Errorf("%s: %v and %v of %+v", law, sides[0], sides[1], *s)
			}
		}
		for _, same := range []scopes.Policy{scopes.And(p), scopes.Or(p), scopes.And(scopes.And(p)), scopes.And(p, everyone)} {
			if !tells(s.decide(same), s.decide(p)) {
				t.Errorf("%v of %+v answers %+v, and alone %+v", same, *s, s.decide(same), s.decide(p))
			}
		}
		if both, turned := scopes.And(p, q), scopes.And(q, p); !first.hooks && !second.hooks && !permits(both, s) {
			if a, b := s.decide(both), s.decide(turned); a.Reason != b.Reason {
				t.Errorf("%v answers %s, and the other way round %s", both, a.Reason, b.Reason)
			}
		}
	})
}

// TestMonotone covers R-SC-06: with more scopes or a larger hierarchy a policy permits
// more, never less, and a hierarchy without its scopes changes nothing.
func TestMonotone(t *testing.T) {
	eachLaw(t, func(r *rand.Rand, p, _ sample, s *scene) {
		h := randomHierarchy(r)
		under := p.policy.Under(h)
		if permits(under, s) && under.Decide(at(0), s.broader, s.operation) != nil {
			t.Errorf("%v permits %v and not %v", under, s.scopes, s.more)
		}
		if permits(p.policy, s) && !permits(under, s) {
			t.Errorf("%v permits %v, and under %v not", p.policy, s.scopes, h)
		}
		for _, empty := range []scopes.Hierarchy{nil, {}, {"x": {"y"}}} {
			if !under.Under(empty).Equal(under) || !tells(s.decide(under.Under(empty)), s.decide(under)) {
				t.Errorf("%v under %v is %v", under, empty, under.Under(empty))
			}
		}
		if again := under.Under(h); !again.Equal(under) {
			t.Errorf("%v under the same hierarchy again is %v", under, again)
		}
		if refusal := s.decide(under); refusal != nil && slices.ContainsFunc(refusal.Scopes, func(scope string) bool {
			return !slices.Contains(p.policy.Scopes(), scope)
		}) {
			t.Errorf("%v asks for %v, which are not in the policy", under, refusal.Scopes)
		}
	})
}

// TestExplainAgrees shows that Explain decides like Decide, and that the parts of an
// explanation fit the whole.
func TestExplainAgrees(t *testing.T) {
	eachLaw(t, func(r *rand.Rand, p, _ sample, s *scene) {
		policy := p.policy.Under(randomHierarchy(r))
		e := policy.Explain(at(0), s.token, s.operation)
		if e.Permits != permits(policy, s) || !tells(e.Refusal, s.decide(policy)) {
			t.Errorf("%v of %+v: %+v, and explained:\n%v", policy, *s, s.decide(policy), e)
		}
		if !coheres(&e) {
			t.Errorf("%v of %+v is explained by parts that say otherwise:\n%v", policy, *s, e)
		}
	})
}

// coheres reports whether the decisions of the parts fit that of the whole.
func coheres(e *scopes.Explanation) bool {
	if e.Permits && e.Refusal != nil || strings.Contains(e.String(), "%!") {
		return false
	}
	permitted := 0
	for i := range e.Parts {
		if !coheres(&e.Parts[i]) {
			return false
		}
		if e.Parts[i].Permits {
			permitted++
		}
	}
	asked := e.Permits || e.Refusal != nil
	switch e.Clause {
	case "And":
		return !asked || e.Permits == (permitted == len(e.Parts))
	case "Or":
		return !asked || e.Permits == (permitted > 0)
	default:
		return len(e.Parts) == 0
	}
}

// FuzzScopes covers R-SC-01 and R-SC-02: All and Any decide by the comparison of whole
// scopes, whatever scopes are required and held.
func FuzzScopes(f *testing.F) {
	f.Add("orders:read orders:write", "orders:write x orders:read")
	f.Add("a", "A aa")
	f.Add("* !", "all admin")
	f.Fuzz(func(t *testing.T, required, held string) {
		needed, has := strings.Fields(required), strings.Fields(held)
		all, either := scopes.All(needed...), scopes.Any(needed...)
		if all.Err() != nil || scopes.All(slices.Compact(slices.Sorted(slices.Values(has)))...).Err() != nil {
			return
		}
		token := minted(t, join(has))
		n := 0
		for _, scope := range needed {
			if slices.Contains(has, scope) {
				n++
			}
		}
		if (decide(all, token) == nil) != (n == len(needed)) || (decide(either, token) == nil) != (n > 0) {
			t.Errorf("%v of %v: %v and %v", all, has, decide(all, token), decide(either, token))
		}
	})
}

// TestEqualPoliciesDecideAlike shows that policies that print alike decide alike. Its
// random policies are small, so that some of them are equal.
func TestEqualPoliciesDecideAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	seen := map[string]scopes.Policy{}
	equal := 0
	for range laws {
		p := randomPolicy(r, 1).policy.Under(randomHierarchy(r))
		before, found := seen[p.String()]
		seen[p.String()] = p
		if !found {
			continue
		}
		equal++
		s := randomScene(t, r)
		if !p.Equal(before) || !tells(s.decide(p), s.decide(before)) {
			t.Errorf("%v of %+v: %+v and %+v", p, *s, s.decide(p), s.decide(before))
		}
		if different := scopes.And(p); p.Equal(different) || p.Equal(scopes.Policy{}) || p.Equal(scopes.Public()) {
			t.Errorf("%v equals %v, the zero Policy or Public", p, different)
		}
	}
	if equal < laws/10 {
		t.Errorf("only %d were equal", equal)
	}
}
