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

// TestMade checks that Made is called once with the Guard that New returns, and that its
// panic is dropped.
func TestMade(t *testing.T) {
	issuer := issuertest.New(t)
	var made []*middleware.Guard
	guard := issuer.Guard(t, middleware.Config{Trace: &middleware.Trace{Made: func(guard *middleware.Guard) {
		made = append(made, guard)
		if guard.Validator() == nil {
			t.Error("no Validator")
		}
		panic("injected")
	}}})
	guard.Over("grpc")
	if len(made) != 1 || made[0] != guard {
		t.Errorf("%v, want %v", made, guard)
	}
}

// TestHeldStarted checks that the hook is called once for each held request, also for one
// that the verdict does not permit.
func TestHeldStarted(t *testing.T) {
	issuer := issuertest.New(t)
	var started []middleware.Decision
	guard := issuer.Guard(t, middleware.Config{Trace: &middleware.Trace{HeldStarted: func(ctx context.Context, d middleware.Decision) {
		started = append(started, d)
		if middleware.HeldFrom(ctx) == nil {
			t.Error("no Held in the context")
		}
		panic("injected")
	}}})
	route, err := guard.Route("x", scopes.Authenticated())
	if err != nil {
		t.Fatal(err)
	}
	p := issuer.Bearer(nil)
	verdict := route.Check(t.Context(), p, scopes.Operation{})
	route.Hold(t.Context(), verdict, middleware.Holding{Presentation: p}).Release()
	route.Hold(t.Context(), middleware.Verdict{}, middleware.Holding{}).Release()
	if len(started) != 2 {
		t.Fatalf("called %d times, want 2", len(started))
	}
	if d := started[0]; d.Route != "x" || d.Transport != "http" || d.Scheme != validator.Bearer || d.Issuer != issuer.URL() || d.Token != verdict.Token() || d.Denial != nil || d.Start.IsZero() {
		t.Errorf("%+v", d)
	}
	if d := started[1]; d.Token != nil || d.Issuer != "" || d.Denial == nil || d.Denial.Class != middleware.ClassUnavailable {
		t.Errorf("%+v", d)
	}
}

// TestDecisionStart checks that a Decision has the time at which the check of the token
// began, and for a request without a token that of the decision.
func TestDecisionStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
		var decisions []middleware.Decision
		guard := issuer.Guard(t, middleware.Config{Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) {
			decisions = append(decisions, d)
		}}}, issuer.Fetched)
		route, err := guard.Route("x", scopes.Authenticated())
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		route.Check(t.Context(), issuer.Bearer(nil), scopes.Operation{})
		route.Check(t.Context(), validator.Presentation{}, scopes.Operation{})
		if len(decisions) != 2 || !decisions[0].Start.Equal(began) || !decisions[1].Start.Equal(began.Add(time.Second)) {
			t.Errorf("%v after %v", decisions, began)
		}
	})
}
