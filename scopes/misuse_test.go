package scopes_test

import (
	"errors"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestDecideWithoutContext covers R-SC-11: without a context the refusal of every
// policy is Unavailable, and no hook is called.
func TestDecideWithoutContext(t *testing.T) {
	token := minted(t, "a")
	n := 0
	for _, policy := range []scopes.Policy{
		scopes.Authenticated(), scopes.All("a"), scopes.Any("a", "b"), scopes.MaxAuthAge(1e9), scopes.ConsentWithin("consent", 1),
		scopes.Check("h", 0, asked(&n, nil)), scopes.And(scopes.All("a"), scopes.Check("h", 0, asked(&n, nil))), scopes.Or(scopes.All("a"), scopes.All("b")),
	} {
		refusal := policy.Decide(nil, token, scopes.Operation{}) //nolint:staticcheck // that is the point
		if refusal == nil || refusal.Reason != validator.Unavailable || !errors.Is(refusal, hook.ErrContext) {
			t.Errorf("%v: %v", policy, refusal)
		}
		if e := policy.Explain(nil, token, scopes.Operation{}); e.Permits { //nolint:staticcheck // as above
			t.Errorf("%v permits: %v", policy, e)
		}
	}
	for name, ctx := range zero.Contexts() {
		refusal := scopes.Check("h", 0, asked(&n, nil)).Decide(ctx, token, scopes.Operation{})
		if refusal == nil || !errors.Is(refusal, hook.ErrContext) {
			t.Errorf("%s: %v", name, refusal)
		}
	}
	if n != 0 {
		t.Errorf("the hook was asked %d times", n)
	}
	if refusal := scopes.Public().Decide(nil, nil, scopes.Operation{}); refusal != nil { //nolint:staticcheck // as above
		t.Errorf("Public: %v", refusal)
	}
}

// forbidding is an error whose Is method says that it is ErrForbidden.
type forbidding struct{ error }

func (forbidding) Is(target error) bool { return target == scopes.ErrForbidden }

// TestHookReturnsNilPointer covers R-SC-11: a nil pointer that a hook returns as an
// error does not permit and does not forbid, and the refusal can be logged.
func TestHookReturnsNilPointer(t *testing.T) {
	token := minted(t, "")
	for name, err := range map[string]error{
		"foreign": zero.Error(), "joined": errors.Join(errors.New("first"), zero.Error()),
		"a Refusal": (*scopes.Refusal)(nil), "the zero Refusal": &scopes.Refusal{},
		"an Error": (*validator.Error)(nil), "the zero Error": &validator.Error{},
	} {
		refusal := decide(hooked("h", err), token)
		if refusal == nil || refusal.Reason != validator.Unavailable || refusal.Unwrap().Error() == "" {
			t.Errorf("%s: %v", name, refusal)
			continue
		}
		if errors.Is(refusal, scopes.ErrForbidden) || validator.ReasonOf(refusal) != validator.Unavailable {
			t.Errorf("%s: %v", name, refusal.Unwrap())
		}
	}
	if refusal := decide(hooked("h", forbidding{errors.New("not yours")}), token); refusal == nil || refusal.Reason != validator.Forbidden {
		t.Errorf("an error that forbids by Is: %v", refusal)
	}
}

// TestZeroValues shows that no method of a zero value panics, and that no zero value
// permits.
func TestZeroValues(t *testing.T) {
	values := []any{
		scopes.Policy{},
		new(scopes.Policy), (*scopes.Refusal)(nil), new(scopes.Refusal),
		scopes.Contract{},
		new(scopes.Contract),
		scopes.Explanation{},
		scopes.Hierarchy(nil),
		scopes.Hierarchy{},
	}
	for _, args := range [][]any{{t.Context()}, {t.Context(), minted(t, "a")}, nil} {
		for _, line := range zero.Panics(args, values...) {
			t.Error(line)
		}
	}
	for name, refusal := range map[string]*scopes.Refusal{"nil": nil, "zero": {}} {
		if !errors.Is(refusal, validator.Unavailable) || refusal.Unwrap() != nil || refusal.Error() != (&scopes.Refusal{Reason: validator.Unavailable}).Error() {
			t.Errorf("the %s Refusal reads as %v", name, refusal)
		}
	}
	if decide(scopes.Policy{}, minted(t, "a")) == nil {
		t.Error("the zero Policy permits")
	}
}
