package scopes_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestAnd shows that every part must permit, and that the refusal lists each scope
// that the parts ask for once.
func TestAnd(t *testing.T) {
	policy := scopes.And(scopes.All("a", "b"), scopes.Any("c", "d"), scopes.And(scopes.All("b"), scopes.Authenticated()))
	if err := policy.Err(); err != nil {
		t.Fatal(err)
	}
	for scope, permitted := range map[string]bool{
		"a b c": true, "d b a": true, "a b": false, "a c": false, "c d": false, "": false,
	} {
		refusal := decide(policy, minted(t, scope))
		if (refusal == nil) != permitted {
			t.Errorf("%q: %+v, want permitted %v", scope, refusal, permitted)
		}
		if refusal != nil && (refusal.Reason != validator.InsufficientScope || !slices.Equal(refusal.Scopes, []string{"a", "b", "c"})) {
			t.Errorf("%q: %+v", scope, refusal)
		}
	}
	if decide(policy, nil) == nil {
		t.Error("a nil token is permitted")
	}
	if decide(scopes.And(scopes.Authenticated()), minted(t, "")) != nil {
		t.Error("And(Authenticated()) refuses a valid token")
	}
}

// TestPublic shows that only Public permits without a token.
func TestPublic(t *testing.T) {
	for _, policy := range []scopes.Policy{
		scopes.Authenticated(), scopes.All("a"), scopes.Any("a"), scopes.And(scopes.Authenticated()),
		scopes.Audience("a"), scopes.MaxLifetime(time.Hour),
		{},
		scopes.And(scopes.Public()), scopes.All(),
	} {
		if policy.IsPublic() || decide(policy, nil) == nil || decide(policy, new(validator.Token)) == nil {
			t.Errorf("%v permits without a token", policy)
		}
	}
	public := scopes.Public()
	if !public.IsPublic() || decide(public, nil) != nil || public.Err() != nil {
		t.Errorf("%v refuses", public)
	}
}

// TestDemands covers R-CL-05: the demands of And are those of its parts together.
func TestDemands(t *testing.T) {
	identifiers := []string{"https://a.example", "https://b.example"}
	for _, test := range []struct {
		policy      scopes.Policy
		audiences   []string
		maxLifetime time.Duration
	}{
		{scopes.All("a"), nil, 0},
		{scopes.Audience(identifiers...), identifiers, 0},
		{scopes.MaxLifetime(time.Hour), nil, time.Hour},
		{scopes.And(scopes.All("a"), scopes.Audience(identifiers...)), identifiers, 0},
		{scopes.And(scopes.Audience(identifiers...), scopes.All("a"), scopes.MaxLifetime(time.Hour)), identifiers, time.Hour},
		{scopes.And(scopes.MaxLifetime(time.Hour), scopes.MaxLifetime(time.Minute)), nil, time.Minute},
		{scopes.And(scopes.MaxLifetime(time.Minute), scopes.MaxLifetime(time.Hour)), nil, time.Minute},
		{scopes.And(scopes.And(scopes.Audience(identifiers...)), scopes.MaxLifetime(time.Minute)), identifiers, time.Minute},
	} {
		demands := test.policy.Demands()
		if err := test.policy.Err(); err != nil {
			t.Errorf("%v: %v", test.policy, err)
		}
		if !slices.Equal(demands.Audiences, test.audiences) || demands.MaxLifetime != test.maxLifetime {
			t.Errorf("%v demands %+v", test.policy, demands)
		}
	}
	if d := (scopes.Policy{}).Demands(); d.Audiences != nil || d.MaxLifetime != 0 {
		t.Errorf("the zero Policy demands %+v", d)
	}
	policy := scopes.Audience(identifiers...)
	identifiers[0] = "https://evil.example"
	if slices.Contains(policy.Demands().Audiences, identifiers[0]) {
		t.Error("a change of the caller's slice changed the policy")
	}
}

func TestCombinationFaults(t *testing.T) {
	for _, test := range []struct {
		policy scopes.Policy
		want   []string
	}{
		{scopes.And(), []string{"And has no parts"}},
		{scopes.And(scopes.Public(), scopes.All("a")), []string{"And[0] is Public inside And"}},
		{scopes.And(scopes.Policy{}, scopes.All("a b")), []string{"And[0] is the zero Policy", `And[1].All[0] "a b" is not a scope token`}},
		{scopes.And(scopes.Audience("a"), scopes.Audience("b")), []string{"And has two Audience parts"}},
		{scopes.Audience(), []string{"Audience has no identifiers"}},
		{scopes.Audience("a", ""), []string{"Audience[1] is empty"}},
		{scopes.MaxLifetime(0), []string{"MaxLifetime is 0s"}},
		{scopes.MaxLifetime(-time.Second), []string{"MaxLifetime is -1s"}},
	} {
		err := test.policy.Err()
		if err == nil {
			t.Errorf("%v has no fault, want %q", test.policy, test.want)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %v", want, err)
			}
		}
		if refusal := decide(test.policy, minted(t, "a")); refusal == nil || !errors.Is(refusal.Reason, validator.Forbidden) {
			t.Errorf("a policy with a fault answers %+v", refusal)
		}
	}
}

func TestStringOfCombinations(t *testing.T) {
	policy := scopes.And(scopes.All("a"), scopes.Audience("https://a.example"), scopes.MaxLifetime(time.Hour))
	const want = `And(All("a"), Audience("https://a.example"), MaxLifetime(1h0m0s))`
	if policy.String() != want || scopes.Public().String() != "Public()" {
		t.Errorf("%v, want %s", policy, want)
	}
}
