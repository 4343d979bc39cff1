package scopes_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestDecide covers R-SC-02, R-SC-03 and R-SC-11: scopes are compared whole, a refusal
// lists all scopes, and a policy with a fault denies.
func TestDecide(t *testing.T) {
	for _, test := range []struct {
		policy scopes.Policy
		scope  string
		want   validator.Reason
		told   []string
	}{
		{scopes.All("read"), "read", permitted, nil},
		{scopes.All("read"), "write read admin", permitted, nil},
		{scopes.All("read", "write"), "write read", permitted, nil},
		{scopes.All("read", "write"), "read", validator.InsufficientScope, []string{"read", "write"}},
		{scopes.All("read", "write"), "write", validator.InsufficientScope, []string{"read", "write"}},
		{scopes.All("read"), "", validator.InsufficientScope, []string{"read"}},
		{scopes.All("read"), "read:admin", validator.InsufficientScope, []string{"read"}},
		{scopes.All("read"), "reads", validator.InsufficientScope, []string{"read"}},
		{scopes.All("read"), "READ", validator.InsufficientScope, []string{"read"}},
		{scopes.All("read"), "rea d", validator.InsufficientScope, []string{"read"}},
		{scopes.All("read"), "* all admin", validator.InsufficientScope, []string{"read"}},
		{scopes.Any("read", "write"), "write", permitted, nil},
		{scopes.Any("read", "write"), "read", permitted, nil},
		{scopes.Any("read", "write"), "admin", validator.InsufficientScope, []string{"read"}},
		{scopes.Authenticated(), "", permitted, nil},
		{scopes.Policy{}, "read", validator.Forbidden, nil},
		{scopes.All(), "read", validator.Forbidden, nil},
		{scopes.Any(), "read", validator.Forbidden, nil},
		{scopes.All("a b"), "a b", validator.Forbidden, nil},
	} {
		refusal := decide(test.policy, minted(t, test.scope))
		if test.want == permitted {
			if refusal != nil {
				t.Errorf("%v of %q: refused: %v", test.policy, test.scope, refusal.Reason)
			}
			continue
		}
		if refusal == nil || refusal.Reason != test.want || !slices.Equal(refusal.Scopes, test.told) {
			t.Errorf("%v of %q: %+v, want %s %v", test.policy, test.scope, refusal, test.want, test.told)
		}
	}
}

// TestTokensThatWereNotValidated shows that no policy permits a nil or zero token.
func TestTokensThatWereNotValidated(t *testing.T) {
	for _, policy := range []scopes.Policy{
		scopes.Authenticated(), scopes.All("read"), scopes.Any("read"), {},
	} {
		for _, token := range []*validator.Token{nil, {}, new(validator.Token)} {
			if decide(policy, token) == nil {
				t.Errorf("%v permits a token that was not validated", policy)
			}
		}
	}
}

func TestErr(t *testing.T) {
	for _, test := range []struct {
		policy scopes.Policy
		want   []string // nil: no fault
	}{
		{scopes.All("a"), nil},
		{scopes.Any("a", "!#[]~"), nil},
		{scopes.Authenticated(), nil},
		{scopes.Policy{}, []string{"the zero Policy"}},
		{scopes.All(), []string{"All has no scopes"}},
		{scopes.Any(), []string{"Any has no scopes"}},
		{scopes.All(""), []string{`"" is not a scope token`}},
		{scopes.All("a b", "c\"", "d\\", "\x7f", "é", "\t"), []string{`"a b"`, `"c\""`, `"d\\"`, `"\x7f"`, `"é"`, `"\t"`}},
		{scopes.Any("a", "b", "a"), []string{`"a" is listed twice`}},
	} {
		err := test.policy.Err()
		if (err == nil) != (test.want == nil) {
			t.Errorf("%v: %v, want %v", test.policy, err, test.want)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %q is not in %v", test.policy, want, err)
			}
		}
	}
}

func TestSliceIsCopied(t *testing.T) {
	required := []string{"read"}
	policy := scopes.All(required...)
	required[0] = "write"
	if decide(policy, minted(t, "read")) != nil {
		t.Error("a change of the caller's slice changed the policy")
	}
	if told := decide(policy, minted(t, "write")).Scopes; !slices.Equal(told, []string{"read"}) {
		t.Errorf("the refusal tells %v", told)
	}
}

func TestString(t *testing.T) {
	for want, policy := range map[string]scopes.Policy{
		`All("a", "b")`:   scopes.All("a", "b"),
		`Any("a")`:        scopes.Any("a"),
		`Authenticated()`: scopes.Authenticated(),
		`Policy{}`:        {},
	} {
		if got := policy.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	ctx, token := at(0), minted(t, "a b c d e f g h")
	for _, policy := range []scopes.Policy{scopes.All("a", "h"), scopes.Any("x", "h"), scopes.All("x")} {
		if n := testing.AllocsPerRun(100, func() { _ = policy.Decide(ctx, token, scopes.Operation{}) }); n != 0 {
			t.Errorf("%v: %v allocations", policy, n)
		}
	}
}

// TestNeeds covers R-CH-07: the scopes that a refusal names are known before there is
// a token.
func TestNeeds(t *testing.T) {
	for _, row := range []struct {
		policy scopes.Policy
		want   []string
	}{
		{scopes.Policy{}, nil},
		{scopes.And(), nil},
		{scopes.Public(), nil},
		{scopes.Authenticated(), nil},
		{scopes.All("b", "a"), []string{"b", "a"}},
		{scopes.Any("b", "a"), []string{"b"}},
		{scopes.And(scopes.All("b"), scopes.NotDelegated(), scopes.All("a", "b")), []string{"b", "a"}},
		{scopes.Or(scopes.All("c"), scopes.All("a")), []string{"c"}},
	} {
		if got := row.policy.Needs(); !slices.Equal(got, row.want) {
			t.Errorf("%v needs %q, want %q", row.policy, got, row.want)
		}
	}
}

// TestNeedsOperation shows that a policy with a Check or TenantFrom in it needs the
// operation.
func TestNeedsOperation(t *testing.T) {
	hook := func(context.Context, *validator.Token, scopes.Operation) error { return nil }
	for _, asking := range []scopes.Policy{scopes.Check("h", 0, hook), scopes.TenantFrom("tenant")} {
		other := scopes.All("Check(", "TenantFrom(")
		for _, policy := range []scopes.Policy{
			asking, scopes.And(other, asking), scopes.Or(other, asking), scopes.Or(asking, other), scopes.And(other, scopes.Or(other, scopes.And(asking))),
			scopes.And(other, asking).Under(scopes.Hierarchy{"a": {"Check("}}),
		} {
			if !policy.NeedsOperation() {
				t.Errorf("%v does not need it", policy)
			}
		}
		for _, policy := range []scopes.Policy{other, {}, scopes.Public(), scopes.And(other), scopes.And(asking, scopes.Policy{})} {
			if policy.NeedsOperation() {
				t.Errorf("%v needs it", policy)
			}
		}
	}
}

// TestValues shows that Values has the name of each TenantFrom once.
func TestValues(t *testing.T) {
	a, b := scopes.TenantFrom("a"), scopes.TenantFrom("b")
	hook := scopes.Check("h", 0, func(context.Context, *validator.Token, scopes.Operation) error { return nil })
	for _, row := range []struct {
		policy scopes.Policy
		want   []string
	}{
		{scopes.Policy{}, nil},
		{scopes.TenantFrom(""), nil},
		{scopes.And(scopes.All("x"), hook), nil},
		{scopes.And(b, hook, a, b), []string{"b", "a"}},
		{scopes.Or(scopes.All("x"), scopes.And(a, scopes.Or(b, a))).Under(scopes.Hierarchy{"y": {"x"}}), []string{"a", "b"}},
	} {
		if got := row.policy.Values(); !slices.Equal(got, row.want) {
			t.Errorf("%v looks for %q, want %q", row.policy, got, row.want)
		}
	}
}

// TestAndKeepsWhatOnePartHas checks that And asks for the operation, and is tagged, if
// one of its parts is, wherever that part stands.
func TestAndKeepsWhatOnePartHas(t *testing.T) {
	plain := scopes.All("a")
	hook := scopes.Check("hook", 0, func(context.Context, *validator.Token, scopes.Operation) error { return nil })
	for name, row := range map[string]struct {
		part scopes.Policy
		has  func(scopes.Policy) bool
	}{
		"the operation": {hook, scopes.Policy.NeedsOperation},
		"Sensitive":     {scopes.Sensitive(scopes.And(plain, scopes.MaxAuthAge(time.Hour))), scopes.Policy.IsSensitive},
		"Privileged":    {scopes.Privileged(scopes.And(plain, scopes.MFA("gold"))), scopes.Policy.IsPrivileged},
	} {
		if row.part.Err() != nil {
			t.Errorf("%s: %v", name, row.part.Err())
		}
		for _, policy := range []scopes.Policy{scopes.And(row.part, plain), scopes.And(plain, row.part), scopes.And(plain, row.part, plain)} {
			if !row.has(policy) {
				t.Errorf("%s is lost in %s", name, policy)
			}
		}
		if row.has(scopes.And(plain, scopes.All("b"))) {
			t.Errorf("%s of a policy without it", name)
		}
	}
}
