package middleware_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestHeldLabels checks the issuer that the hook gets when a request was ended: the one of
// its token, and none for an anonymous caller.
func TestHeldLabels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		grants := func(c *validator.Issuer) { c.Grants = []string{validator.AllScopes} }
		first, second := issuertest.New(t), issuertest.At(t, "https://second.test")
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{first.Config(grants), second.Config(grants)}})
		var last atomic.Pointer[middleware.Decision]
		api := newHeldAPI(t, scopes.Optional(scopes.Authenticated()), middleware.Config{
			Validator: v, LongRequests: middleware.LongRequests{MaxAnonymous: time.Minute},
			Trace: &middleware.Trace{HeldEnded: func(_ context.Context, d middleware.Decision) { last.Store(&d) }},
		}, nil)
		for name, row := range map[string]struct {
			present func() validator.Presentation
			issuer  string
		}{
			"first issuer":  {func() validator.Presentation { return first.Bearer(nil) }, first.URL()},
			"second issuer": {func() validator.Presentation { return second.Bearer(nil) }, second.URL()},
			"anonymous":     {func() validator.Presentation { return validator.Presentation{} }, ""},
		} {
			last.Store(nil)
			api.holdWith(t.Context(), row.present())
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if told := last.Load(); told == nil || told.Issuer != row.issuer {
				t.Errorf("%s: the hook got %+v, want the issuer %q", name, told, row.issuer)
			}
		}
	})
}

// TestHoldContextThatPanics checks that a context which cannot be used ends the request.
func TestHoldContextThatPanics(t *testing.T) {
	api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, local)
	p := api.Bearer(nil)
	verdict := api.route.Check(t.Context(), p, scopes.Operation{})
	held := api.route.Hold(panickingErr{t.Context()}, verdict, middleware.Holding{Presentation: p})
	defer held.Release()
	if denial := held.Denial(); denial == nil || denial.Class != middleware.ClassUnavailable {
		t.Errorf("the request is held with %v, want %s", denial, middleware.ClassUnavailable)
	}
}

// panickingErr is a context whose Err panics, and no other method.
type panickingErr struct{ context.Context }

func (panickingErr) Err() error { panic("of the test") }
