package scopes_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// asked returns a hook that counts its calls in n and returns err.
func asked(n *int, err error) hookFunc {
	return func(context.Context, *validator.Token, scopes.Operation) error {
		*n++
		return err
	}
}

// TestCheck covers R-SC-08 and R-SC-11: a hook is given the token and the operation,
// and decides about the object. An error other than ErrForbidden is Unavailable.
func TestCheck(t *testing.T) {
	owner := scopes.Check("owner", 0, func(_ context.Context, token *validator.Token, op scopes.Operation) error {
		subject, _ := strings.CutSuffix(op.Value("id"), "-1")
		if op.Name == "GET /orders/{id}" && token.Is(mainIssuer, subject) {
			return nil
		}
		return scopes.ErrForbidden
	})
	path := func(id string) scopes.Operation {
		return scopes.Operation{Name: "GET /orders/{id}", Value: func(string) string { return id }}
	}
	down := errors.New("database: connection refused")
	check(t, []row{
		{policy: owner, claims: claims{}, operation: path("user-1")},
		{policy: owner, claims: claims{}, operation: path("other-1"), want: refused(validator.Forbidden)},
		{policy: owner, claims: claims{"sub": "other"}, operation: path("user-1"), want: refused(validator.Forbidden)},
		{policy: hooked("h", fmt.Errorf("not yours: %w", scopes.ErrForbidden)), want: refused(validator.Forbidden)},
		{policy: hooked("h", down), want: refused(validator.Unavailable)},
		{policy: hooked("h", validator.Forbidden), want: refused(validator.Unavailable)}, // only ErrForbidden forbids
		{policy: hooked("h", nil)},
	})
	refusal := decide(hooked("h", down), minted(t, ""))
	if !errors.Is(refusal, down) || !errors.Is(refusal, validator.Unavailable) || strings.Contains(refusal.Error(), "database") {
		t.Errorf("%v with the cause %v", refusal, refusal.Unwrap())
	}
	var none context.Context
	called := false
	calling := scopes.Check("calling", 0, func(context.Context, *validator.Token, scopes.Operation) error { called = true; return nil })
	if refusal := calling.Decide(none, minted(t, ""), scopes.Operation{}); !errors.Is(refusal, validator.Unavailable) || called {
		t.Errorf("a nil context: %v, and the hook was called: %t", refusal, called)
	}
	faults(t, map[string]scopes.Policy{
		`Check("") has no name & Check("") has the timeout -1ns & Check("") has no hook`: scopes.Check("", -1, nil),
	})
}

// TestHookThatFails covers R-SC-11: a hook that panics or ends its goroutine does not
// permit, and the text of a panic is not in the refusal.
func TestHookThatFails(t *testing.T) {
	token := minted(t, "")
	for name, hook := range map[string]hookFunc{
		"panicked with a string":              func(context.Context, *validator.Token, scopes.Operation) error { panic("secret") },
		"panicked with a *errors.errorString": func(context.Context, *validator.Token, scopes.Operation) error { panic(scopes.ErrForbidden) },
		"ended its goroutine with runtime.Goexit; make it return": func(context.Context, *validator.Token, scopes.Operation) error {
			runtime.Goexit()
			return nil
		},
	} {
		refusal := decide(scopes.Check(name, 0, hook), token)
		if refusal == nil || refusal.Reason != validator.Unavailable || strings.Contains(refusal.Unwrap().Error(), "secret") ||
			!strings.HasSuffix(refusal.Unwrap().Error(), name) {
			t.Errorf("%s: %v with the cause %v", name, refusal, refusal.Unwrap())
		}
	}
}

// TestHookTimeout covers R-SC-11: a decision waits for a hook until the timeout, and
// a hook that returns nil after that does not permit.
func TestHookTimeout(t *testing.T) {
	token := minted(t, "")
	late := func(ctx context.Context, _ *validator.Token, _ scopes.Operation) error {
		<-ctx.Done()
		return nil
	}
	sleeping := func(d time.Duration) hookFunc {
		return func(context.Context, *validator.Token, scopes.Operation) error {
			<-time.After(d)
			return nil
		}
	}
	for _, test := range []struct {
		policy scopes.Policy
		want   validator.Reason
		after  time.Duration
	}{
		{scopes.Check("a", 0, late), validator.Unavailable, time.Second},
		{scopes.Check("b", time.Minute, late), validator.Unavailable, time.Minute},
		{scopes.Check("c", time.Minute, sleeping(time.Hour)), validator.Unavailable, time.Minute},
		{scopes.Check("d", time.Minute, sleeping(time.Minute)), validator.Unavailable, time.Minute},
		{scopes.Check("e", time.Minute, sleeping(time.Minute-1)), permitted, time.Minute - 1},
		{scopes.Check("f", 0, sleeping(time.Second-1)), permitted, time.Second - 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			refusal := test.policy.Decide(at(0), token, scopes.Operation{})
			same(t, test.policy.String(), "a slow hook", refusal, refused(test.want))
			if refusal != nil && errors.Is(refusal, detached.ErrLeft) {
				t.Errorf("%v: the timeout of the hook counts as the caller's", test.policy)
			}
			if took := time.Since(start); took != test.after {
				t.Errorf("%v took %s, want %s", test.policy, took, test.after)
			}
			<-time.After(2 * time.Hour) // until the late runs have ended
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(at(0), time.Millisecond)
		defer cancel()
		start := time.Now()
		refusal := scopes.Check("g", 0, sleeping(time.Hour)).Decide(ctx, token, scopes.Operation{})
		if refusal == nil || refusal.Reason != validator.Unavailable || time.Since(start) != time.Millisecond || !errors.Is(refusal, context.DeadlineExceeded) {
			t.Errorf("a request that is over: %v after %s", refusal, time.Since(start))
		}
		<-time.After(2 * time.Hour)
	})
}

// overdue is a context whose deadline has passed although its timer has not fired.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Unix(1, 0), true }

// TestOverdue shows that the deadline of a context counts, and not its timer.
func TestOverdue(t *testing.T) {
	refusal := hooked("h", nil).Decide(overdue{at(0)}, minted(t, ""), scopes.Operation{})
	if refusal == nil || refusal.Reason != validator.Unavailable {
		t.Errorf("%v", refusal)
	}
}

// TestHookThatNeverEnds shows that a hook with a hundred late runs is not called
// until one of them has ended.
func TestHookThatNeverEnds(t *testing.T) {
	token := minted(t, "")
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var runs atomic.Int64
		stuck := scopes.Check("stuck", 0, func(context.Context, *validator.Token, scopes.Operation) error {
			runs.Add(1)
			<-release
			return nil
		})
		for range 150 {
			if decide(stuck, token) == nil {
				t.Error("permitted")
			}
		}
		if runs.Load() != 100 {
			t.Errorf("%d runs", runs.Load())
		}
		release <- struct{}{}
		synctest.Wait()
		if decide(stuck, token) == nil || runs.Load() != 101 {
			t.Errorf("%d runs after one has ended", runs.Load())
		}
		close(release)
		synctest.Wait()
		if decide(stuck, token) != nil {
			t.Error("refused by a hook that answers again")
		}
	})
}

// TestHooksAreCalledLast shows that no hook is called if the rest of the policy
// decides without it.
func TestHooksAreCalledLast(t *testing.T) {
	var n int
	yes, no, broken := asked(&n, nil), asked(&n, scopes.ErrForbidden), asked(&n, errors.New("broken"))
	hook := func(name string, h hookFunc) scopes.Policy { return scopes.Check(name, 0, h) }
	all := scopes.All("a")
	for _, test := range []struct {
		policy scopes.Policy
		scope  string
		want   validator.Reason
		asked  int
	}{
		{scopes.And(hook("h", yes), all), "", validator.InsufficientScope, 0},
		{scopes.And(hook("h", yes), all), "a", permitted, 1},
		{scopes.And(hook("h", broken), scopes.And(hook("i", yes), all)), "", validator.InsufficientScope, 0},
		{scopes.And(scopes.Or(hook("h", broken), scopes.All("b")), all), "", validator.InsufficientScope, 0},
		{scopes.And(scopes.Or(hook("h", broken), scopes.All("b")), all), "a b", permitted, 0},
		{scopes.And(scopes.Or(hook("h", yes), scopes.All("b")), all), "a", permitted, 1},
		{scopes.And(hook("h", no), hook("i", broken), all), "a", validator.Forbidden, 1},
		{scopes.And(hook("h", yes), hook("i", broken), hook("j", no), all), "a", validator.Unavailable, 2},
		{scopes.And(scopes.And(scopes.And(hook("h", yes)))), "", permitted, 1},
		{scopes.Or(hook("h", no), all), "a", permitted, 0},
		{scopes.Or(hook("h", no), all), "", validator.Forbidden, 1},
		{scopes.Or(all, hook("h", no), hook("i", yes), hook("j", yes)), "", permitted, 2},
		{scopes.Or(all, hook("h", no)), "", validator.InsufficientScope, 1},
		{scopes.Or(all, hook("h", no), hook("i", broken)), "", validator.Unavailable, 2}, // the hook might have permitted
		{scopes.Or(scopes.And(hook("h", broken), scopes.All("b")), all), "", validator.InsufficientScope, 0},
		{scopes.And(scopes.Or(all, hook("h", no)), scopes.Authenticated()), "", validator.InsufficientScope, 1},
	} {
		n = 0
		refusal := decide(test.policy, minted(t, test.scope))
		if refusal == nil {
			refusal = &scopes.Refusal{Reason: permitted}
		}
		if refusal.Reason != test.want || n != test.asked {
			t.Errorf("%v of %q: %s after %d hooks, want %s after %d", test.policy, test.scope, refusal.Reason, n, test.want, test.asked)
		}
		n = 0
		if e := test.policy.Explain(at(0), minted(t, test.scope), scopes.Operation{}); n != test.asked || e.Permits != (test.want == permitted) {
			t.Errorf("%d hooks were asked to explain:\n%v", n, e)
		}
	}
	for _, token := range []*validator.Token{nil, {}} {
		if n = 0; decide(hook("h", yes), token) == nil || n != 0 {
			t.Error("a hook was asked about a token that was not validated")
		}
	}
}

// TestHookString shows that hooks of equal names and timeouts print alike.
func TestHookString(t *testing.T) {
	var n int
	one, other := scopes.Check("owner", 0, asked(&n, nil)), scopes.Check("owner", time.Second, asked(&n, scopes.ErrForbidden))
	if !one.Equal(other) || one.String() != `Check("owner", 1s)` {
		t.Errorf("%v and %v", one, other)
	}
	for _, different := range []scopes.Policy{scopes.Check("owners", 0, asked(&n, nil)), scopes.Check("owner", time.Minute, asked(&n, nil))} {
		if one.Equal(different) {
			t.Errorf("%v equals %v", one, different)
		}
	}
}
