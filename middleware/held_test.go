package middleware_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// heldAPI is an API with one route, whose requests are held.
type heldAPI struct {
	*issuertest.Issuer

	t     *testing.T
	guard *middleware.Guard
	route *middleware.Route
}

// newHeldAPI returns an API for a route with this policy.
func newHeldAPI(t *testing.T, policy scopes.Policy, config middleware.Config, issuer func(*issuertest.Issuer) validator.Issuer) *heldAPI {
	t.Helper()
	api := &heldAPI{Issuer: issuertest.New(t), t: t}
	if issuer != nil {
		config.Validator = issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer(api.Issuer)}})
	}
	api.guard = issuertest.Guard(t, config)
	api.route = routeOf(t, api.guard, policy)
	return api
}

// Configurations for newHeldAPI.
func local(is *issuertest.Issuer) validator.Issuer   { return is.Config() }
func fetched(is *issuertest.Issuer) validator.Issuer { return is.Config(is.Fetched) }
func opaque(is *issuertest.Issuer) validator.Issuer  { return is.OpaqueConfig() }

// hold checks a request with this token, which must pass, and holds it until the test
// ends. ended gets the time and the Denial when the guard ends it.
func (api *heldAPI) hold(token string) *heldRequest {
	api.t.Helper()
	return api.holdWith(api.t.Context(), issuertest.Bearer(token))
}

func (api *heldAPI) holdWith(ctx context.Context, p validator.Presentation) *heldRequest {
	api.t.Helper()
	verdict := api.route.Check(ctx, p, scopes.Operation{})
	if denial := verdict.Denial(); denial != nil {
		api.t.Fatalf("the request is refused: %v", denial.Cause())
	}
	request := &heldRequest{t: api.t, start: time.Now()}
	request.Held = api.route.Hold(ctx, verdict, middleware.Holding{Presentation: p, Ended: func(denial *middleware.Denial) {
		request.mu.Lock()
		defer request.mu.Unlock()
		request.ended = append(request.ended, denial)
		request.after = time.Since(request.start)
	}})
	api.t.Cleanup(request.Release)
	return request
}

// heldRequest is a held request, and what was said of its end.
type heldRequest struct {
	*middleware.Held

	t     *testing.T
	start time.Time

	mu    sync.Mutex
	ended []*middleware.Denial
	after time.Duration
}

// ends returns with what Ended was called.
func (r *heldRequest) ends() []*middleware.Denial {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ended)
}

// took returns after what time Ended was called.
func (r *heldRequest) took() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.after
}

// wantOpen checks that the request goes on.
func (r *heldRequest) wantOpen(what string) {
	r.t.Helper()
	synctest.Wait()
	if r.Denial() != nil || r.Context().Err() != nil || len(r.ends()) != 0 {
		r.t.Errorf("%s: ended after %v: %v, %v", what, time.Since(r.start), r.Denial().Cause(), context.Cause(r.Context()))
	}
}

// wantEnd checks that the request has ended with class, in the period before after.
func (r *heldRequest) wantEnd(what string, class middleware.Class, after time.Duration) {
	r.t.Helper()
	synctest.Wait()
	ended := r.ends()
	if len(ended) != 1 || ended[0] != r.Denial() || !errors.Is(context.Cause(r.Context()), r.Denial()) || r.Context().Err() == nil {
		r.t.Errorf("%s: %d ends %v; Denial is %v, and the cause is %v", what, len(ended), ended, r.Denial(), context.Cause(r.Context()))
		return
	}
	if r.Denial().Class != class {
		r.t.Errorf("%s: %s (%v), want %s", what, r.Denial().Class, r.Denial().Cause(), class)
	}
	if r.took() > after || r.took() <= after-period {
		r.t.Errorf("%s: ended after %v, want in the half second before %v", what, r.took(), after)
	}
}

// period is how far apart the checks are.
const period = 500 * time.Millisecond

// leeway is the default one.
const leeway = 30 * time.Second

// TestHeldExpiry covers R-GR-07: a request ends within half a second after its token
// expired, with the leeway of other requests, and no earlier.
func TestHeldExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.All("read"), middleware.Config{}, local)
		r := api.hold(api.Sign(testissuer.Token{Scope: "read", Lifetime: 10 * time.Second}))
		if got, want := r.Ends(), r.Token().Expiry().Add(leeway); !got.Equal(want) {
			t.Errorf("it ends at %v, want %v", got, want)
		}
		time.Sleep(time.Until(r.Ends()) - 1)
		r.wantOpen("before the end")
		end := r.Ends().Sub(r.start)
		time.Sleep(period)
		r.wantEnd("after the end", middleware.ClassExpiredToken, end+period)
	})
}

// TestHeldKey covers R-GR-07: requests end when the key of their token is forbidden, or
// is not published any more.
func TestHeldKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, fetched)
		v := api.guard.Validator()
		r := api.hold(api.Token(nil))
		time.Sleep(time.Minute)
		r.wantOpen("the key is in use")
		_, key := r.Token().Key()
		if err := v.ForbidKey(t.Context(), api.URL(), key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(period)
		r.wantEnd("forbidden", middleware.ClassInvalidToken, time.Minute+period)

		if err := v.PermitKey(t.Context(), api.URL(), key); err != nil {
			t.Fatal(err)
		}
		r = api.hold(api.Token(nil))
		old := api.SigningKey()
		api.Rotate()
		api.Retire(old)
		time.Sleep(time.Minute)
		other := api.hold(api.Token(nil)) // of a new kid, so that the keys are fetched
		time.Sleep(period)
		r.wantEnd("withdrawn", middleware.ClassInvalidToken, time.Minute+period)
		other.wantOpen("the new key")
	})
}

// TestHeldRevocation covers R-GR-07 and R-IN-13: requests end when the answer about their
// token is forgotten or outdated, and the issuer says that it is not active.
func TestHeldRevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.All("read"), middleware.Config{Realm: "long"}, opaque)
		bearer := api.Opaque(testissuer.Token{Scope: "read", Lifetime: time.Hour})
		r := api.hold(bearer)
		time.Sleep(10 * time.Minute)
		r.wantOpen("asked again")
		api.Revoke(bearer)
		api.guard.Validator().ForgetAnswers(validator.AnswersAbout{Issuer: api.URL()})
		time.Sleep(period)
		r.wantEnd("forgotten", middleware.ClassInvalidToken, 10*time.Minute+period)
	})
}

// TestHeldContext checks that the context of a Held has the current token, and that
// nothing in it ends with the token but the request.
func TestHeldContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, local)
		type key struct{}
		r := api.holdWith(context.WithValue(t.Context(), key{}, 1), api.Bearer(nil))
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		if middleware.HeldFrom(ctx) != r.Held || middleware.TokenFrom(ctx) != r.Token() || r.Token() == nil || ctx.Value(key{}) != 1 {
			t.Errorf("the context has %v, %v and %v", middleware.HeldFrom(ctx), middleware.TokenFrom(ctx), ctx.Value(key{}))
		}
		if deadline, ok := ctx.Deadline(); ok {
			t.Errorf("the context has the deadline %v", deadline)
		}
		if status := api.guard.LongRequests(); status != (middleware.LongStatus{Open: 1}) {
			t.Errorf("%+v", status)
		}
		r.Release()
		r.Release()
		if err := context.Cause(ctx); !errors.Is(err, context.Canceled) || r.Denial() != nil {
			t.Errorf("released: %v, %v", err, r.Denial())
		}
		if status := api.guard.LongRequests(); status != (middleware.LongStatus{}) {
			t.Errorf("%+v", status)
		}
	})
}

// TestHeldRenew covers situation A22 of gRPC users: after Renew the new token counts, and
// the old end is none.
func TestHeldRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.All("read"), middleware.Config{}, local)
		r := api.hold(api.Sign(testissuer.Token{Scope: "read", Lifetime: 10 * time.Second}))
		old := r.Token()
		time.Sleep(20 * time.Second)
		p := issuertest.Bearer(api.Sign(testissuer.Token{Scope: "read write", Lifetime: time.Hour}))
		if denial := r.Renew(t.Context(), p, scopes.Operation{}); denial != nil {
			t.Fatal(denial.Cause())
		}
		if token := middleware.TokenFrom(r.Context()); token == old || !token.HasScope("write") {
			t.Error("the context has the old token")
		}
		time.Sleep(time.Minute)
		r.wantOpen("after the old end")
		time.Sleep(time.Hour)
		r.wantEnd("after the new end", middleware.ClassExpiredToken, 20*time.Second+time.Hour+leeway+period)
	})
}
