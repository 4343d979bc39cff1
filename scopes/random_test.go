package scopes_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// sample is a random policy with an independent model of it.
type sample struct {
	policy  scopes.Policy
	permits model
	hooks   bool // the policy has hooks
}

// model reports whether a policy permits a scene, under a hierarchy.
type model func(s *scene, h scopes.Hierarchy) bool

// scene is a random token with an operation, and the facts that they were made of.
type scene struct {
	token     *validator.Token
	broader   *validator.Token // the same token with more scopes
	operation scopes.Operation

	scopes, more  []string
	roles         []string
	acr           string
	authAge       int // 0: no auth_time
	consentAge    int // 0: no consent
	actor, client string
	tenant, asked string
	userless, mfa bool
	department    bool
}

var words = []string{"a", "b", "c", "d", "e"}

// some returns a random subset of the texts, in random order.
func some(r *rand.Rand, texts []string) []string {
	var picked []string
	for _, i := range r.Perm(len(texts))[:r.IntN(len(texts)+1)] {
		picked = append(picked, texts[i])
	}
	return picked
}

// few returns at most two of the texts.
func few(r *rand.Rand, texts []string) []string {
	picked := some(r, texts)
	return picked[:min(len(picked), 2)]
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

func randomScene(tb testing.TB, r *rand.Rand) *scene {
	tb.Helper()
	s := &scene{
		scopes: some(r, words), roles: some(r, []string{"r", "s"}), acr: pick(r, "", "gold", "silver", "bronze"),
		authAge: pick(r, 0, 30, 300), consentAge: pick(r, 0, 30, 300), actor: pick(r, "", "robot", "thief"),
		client: pick(r, "app", "web"), tenant: pick(r, "acme", "globex"), asked: pick(r, "acme", "globex"),
		userless: r.IntN(4) == 0, mfa: r.IntN(2) == 0, department: r.IntN(2) == 0,
	}
	s.more = slices.Concat(s.scopes, some(r, words))
	all := claims{"scope": join(s.scopes), "roles": append([]string{}, s.roles...), "client_id": s.client, "tenant": s.tenant}
	set := func(name string, is bool, value any) {
		if is {
			all[name] = value
		}
	}
	set("acr", s.acr != "", s.acr)
	set("auth_time", s.authAge > 0, testNow-s.authAge)
	set("consent_at", s.consentAge > 0, testNow-s.consentAge)
	set("act", s.actor != "", map[string]any{"sub": s.actor})
	set("sub", s.userless, s.client)
	set("amr", s.mfa, []string{"mfa"})
	set("dept", s.department, "7")
	s.token = mint(tb, all)
	all["scope"] = join(s.more)
	s.broader = mint(tb, all)
	s.operation = scopes.Operation{Name: pick(r, "read", "write"), Value: func(string) string { return s.asked }}
	return s
}

// randomHierarchy returns a hierarchy without a cycle: a scope implies only earlier
// words.
func randomHierarchy(r *rand.Rand) scopes.Hierarchy {
	h := scopes.Hierarchy{}
	for i, broad := range words {
		if below := some(r, words[:i]); len(below) > 0 && r.IntN(2) == 0 {
			h[broad] = below
		}
	}
	return h
}

// meets reports whether one of the held scopes is scope or implies it.
func meets(h scopes.Hierarchy, held []string, scope string) bool {
	return slices.ContainsFunc(held, func(has string) bool { return has == scope || meets(h, h[has], scope) })
}

// randomPolicy returns a policy that is nested at most so deep.
func randomPolicy(r *rand.Rand, depth int) sample {
	if depth == 0 || r.IntN(3) == 0 {
		return randomClause(r)
	}
	parts := make([]sample, r.IntN(3)+1)
	policies := make([]scopes.Policy, len(parts))
	hooks := false
	for i := range parts {
		parts[i] = randomPolicy(r, depth-1)
		policies[i] = parts[i].policy
		hooks = hooks || parts[i].hooks
	}
	holds := func(s *scene, h scopes.Hierarchy) func(sample) bool {
		return func(part sample) bool { return part.permits(s, h) }
	}
	if r.IntN(2) == 0 {
		return sample{scopes.And(policies...), func(s *scene, h scopes.Hierarchy) bool {
			permitted := true
			for _, part := range parts {
				permitted = permitted && part.permits(s, h)
			}
			return permitted
		}, hooks}
	}
	return sample{scopes.Or(policies...), func(s *scene, h scopes.Hierarchy) bool {
		return slices.ContainsFunc(parts, holds(s, h))
	}, hooks}
}

func randomClause(r *rand.Rand) sample {
	const leaves = 18
	i := r.IntN(leaves + 6)
	if i >= leaves { // make a list of scopes more often than anything else
		i %= 2
	}
	texts := append(few(r, words[1:]), "a")
	switch i {
	case 0:
		return sample{policy: scopes.All(texts...), permits: func(s *scene, h scopes.Hierarchy) bool {
			return !slices.ContainsFunc(texts, func(scope string) bool { return !meets(h, s.scopes, scope) })
		}}
	case 1:
		return sample{policy: scopes.Any(texts...), permits: func(s *scene, h scopes.Hierarchy) bool {
			return slices.ContainsFunc(texts, func(scope string) bool { return meets(h, s.scopes, scope) })
		}}
	case 2:
		name, limit := pick(r, "read", "write"), pick[error](r, nil, scopes.ErrForbidden, errors.New("down"))
		hook := func(_ context.Context, _ *validator.Token, op scopes.Operation) error {
			if op.Name == name {
				return nil
			}
			return limit
		}
		text := name
		if limit != nil {
			text += limit.Error()
		}
		return sample{scopes.Check(text, time.Minute, hook), func(s *scene, _ scopes.Hierarchy) bool {
			return s.operation.Name == name || limit == nil
		}, true}
	default:
		policy, permits := randomFact(r, i)
		return sample{policy: policy, permits: func(s *scene, _ scopes.Hierarchy) bool { return permits(s) }}
	}
}

// randomFact returns a policy that does not ask for scopes.
func randomFact(r *rand.Rand, i int) (policy scopes.Policy, permits func(*scene) bool) {
	role, acr, tenant, client := pick(r, "r", "s"), pick(r, "gold", "silver"), pick(r, "acme", "globex"), pick(r, "app", "web")
	age := pick(r, 60, 600)
	limit := time.Duration(age) * time.Second
	switch i {
	case 3:
		return scopes.Roles("r", "s"), func(s *scene) bool { return len(s.roles) == 2 }
	case 4:
		return scopes.AnyRole(role), func(s *scene) bool { return slices.Contains(s.roles, role) }
	case 5:
		return scopes.ACR("gold", acr+"-new", "bronze"), func(s *scene) bool { return s.acr == "gold" || s.acr == "bronze" }
	case 6:
		return scopes.MFA("gold"), func(s *scene) bool { return s.mfa }
	case 7:
		return scopes.MaxAuthAge(limit), func(s *scene) bool { return s.authAge > 0 && s.authAge <= age }
	case 8:
		return scopes.ConsentWithin("consent_at", limit), func(s *scene) bool { return s.consentAge > 0 && s.consentAge <= age }
	case 9:
		return scopes.NotDelegated(), func(s *scene) bool { return s.actor == "" }
	case 10:
		return scopes.Actors(validator.Party{Issuer: mainIssuer, Subject: "robot"}), func(s *scene) bool { return s.actor == "robot" }
	case 11:
		return scopes.Issuers(mainIssuer, legacyIssuer), func(*scene) bool { return true }
	case 12:
		return scopes.Clients(mainIssuer, client), func(s *scene) bool { return s.client == client }
	case 13:
		return scopes.UserOnly(), func(s *scene) bool { return !s.userless }
	case 14:
		return scopes.Claim(validator.ClaimRule{Name: "dept", Equals: "7"}), func(s *scene) bool { return s.department }
	case 15:
		return scopes.Tenants(tenant), func(s *scene) bool { return s.tenant == tenant }
	case 16:
		return scopes.TenantFrom("tenant"), func(s *scene) bool { return s.tenant == s.asked }
	default:
		return scopes.Authenticated(), func(*scene) bool { return true }
	}
}
