package middleware_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCallerLeaves covers A14 of the situations and R-GR-05: a caller whose deadline passes,
// or who leaves, while keys are fetched or a hook runs is neither refused nor part of an
// outage. A time limit of ours is one, also for a caller with a deadline that is later.
func TestCallerLeaves(t *testing.T) {
	slow := func(ctx context.Context, _ *validator.Token, _ scopes.Operation) error {
		<-ctx.Done()
		return ctx.Err()
	}
	for name, row := range map[string]struct {
		policy   scopes.Policy
		keys     time.Duration // until they are there
		deadline time.Duration // of the caller; 0: none
		leaves   time.Duration // 0: never
		class    middleware.Class
		passed   time.Duration // at most
	}{
		"deadline while keys are fetched":  {scopes.Authenticated(), 2 * time.Second, 50 * time.Millisecond, 0, middleware.ClassCanceled, 50 * time.Millisecond},
		"leaves while keys are fetched":    {scopes.Authenticated(), 2 * time.Second, 0, 50 * time.Millisecond, middleware.ClassCanceled, 50 * time.Millisecond},
		"the fetch ends first":             {scopes.Authenticated(), time.Hour, 59 * time.Minute, 0, middleware.ClassUnavailable, time.Minute},
		"no deadline":                      {scopes.Authenticated(), time.Hour, 0, 0, middleware.ClassUnavailable, time.Minute},
		"deadline while a hook runs":       {scopes.Check("slow", time.Second, slow), 0, 50 * time.Millisecond, 0, middleware.ClassCanceled, 50 * time.Millisecond},
		"leaves while a hook runs":         {scopes.Check("slow", time.Second, slow), 0, 0, 50 * time.Millisecond, middleware.ClassCanceled, 50 * time.Millisecond},
		"the hook's time ends first":       {scopes.Check("slow", time.Second, slow), 0, time.Minute, 0, middleware.ClassUnavailable, time.Second},
		"a hook, and the caller is gone":   {scopes.Check("slow", time.Second, slow), 0, -time.Second, 0, middleware.ClassCanceled, 0},
		"a good token of one who has left": {scopes.Authenticated(), 0, -time.Second, 0, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := issuertest.New(t)
				defer issuer.Close()
				var decided []middleware.Decision
				guard := issuer.Guard(t, middleware.Config{Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) { decided = append(decided, d) }}}, issuer.Fetched)
				if row.keys == 0 {
					if err := guard.Warm(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
				issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: row.keys})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if row.deadline != 0 {
					ctx, cancel = context.WithTimeout(ctx, row.deadline)
					defer cancel()
				}
				if row.leaves != 0 {
					defer time.AfterFunc(row.leaves, cancel).Stop()
				}
				began := time.Now()
				denial := routeOf(t, guard, row.policy).Check(ctx, issuer.Bearer(nil), scopes.Operation{}).Denial()
				if passed := time.Since(began); passed > row.passed {
					t.Errorf("it took %v", passed)
				}
				if row.class == "" {
					if denial != nil {
						t.Errorf("%v", denial.Cause())
					}
					return
				}
				if denial == nil || denial.Class != row.class || len(decided) != 1 || decided[0].Denial.Reason != denial.Reason {
					t.Fatalf("%+v, decided %+v", denial, decided)
				}
				if row.class == middleware.ClassCanceled && (denial.Reason != validator.Canceled || denial.RetryAfter != 0 || decided[0].Kind != "" || denial.Class.GRPC() != 1) {
					t.Errorf("%+v of kind %q", denial, decided[0].Kind)
				}
				cancel()
				time.Sleep(row.keys) // in the bubble: the fetch ends
			})
		})
	}
}
