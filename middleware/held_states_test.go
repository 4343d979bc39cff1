package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// undetermined is the longest time until a request ends of which nothing can be
// determined.
const undetermined = 3 * period

// TestHeldStaleKeys checks that the visits keep the keys of an issuer fresh without Run,
// that requests go on with stale keys while the issuer is down, as new ones would, and
// that they end as Unavailable about a second after the keys are too old.
func TestHeldStaleKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, fetched)
		long := testissuer.Token{Lifetime: 24 * time.Hour}
		r := api.hold(api.Sign(long))
		time.Sleep(12 * time.Hour)
		r.wantOpen("the issuer is up")
		api.Down(true)
		for api.guard.Ready() == nil {
			r.wantOpen("the keys are stale")
			time.Sleep(100 * time.Millisecond)
		}
		old := time.Since(r.start)
		time.Sleep(undetermined)
		synctest.Wait()
		if denial := r.Denial(); denial == nil || denial.Class != middleware.ClassUnavailable || denial.RetryAfter == 0 || r.took()-old > undetermined {
			t.Errorf("%v after %v; the keys are too old since %v", denial, r.took(), old)
		}
		if old < 13*time.Hour {
			t.Errorf("the keys are too old after %v", old)
		}
		if denial := api.route.Check(t.Context(), issuertest.Bearer(api.Sign(long)), scopes.Operation{}).Denial(); denial == nil || denial.Class != middleware.ClassUnavailable {
			t.Errorf("a new request: %v", denial)
		}
	})
}

// TestHeldOutage covers R-IN-13 and R-GR-05: a request whose issuer has to be asked again
// ends as Unavailable about a second after the last answer is too old, if the issuer
// gives none, and goes on if it answers late.
func TestHeldOutage(t *testing.T) {
	for name, row := range map[string]struct {
		behaviour testissuer.Behaviour
		goesOn    bool
	}{
		"down":         {testissuer.Behaviour{Abort: true}, false},
		"fails":        {testissuer.Behaviour{Status: 500}, false},
		"hangs":        {testissuer.Behaviour{Delay: time.Hour}, false},
		"slow":         {testissuer.Behaviour{Delay: 400 * time.Millisecond}, true},
		"fails, twice": {testissuer.Behaviour{Abort: true, Times: 2}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := newHeldAPI(t, scopes.All("read"), middleware.Config{}, opaque)
				r := api.hold(api.Opaque(testissuer.Token{Scope: "read", Lifetime: time.Hour}))
				time.Sleep(29 * time.Second)
				api.Behave(testissuer.Introspection, row.behaviour)
				time.Sleep(time.Second - 1)
				r.wantOpen("the answer counts")
				time.Sleep(undetermined)
				synctest.Wait()
				if row.goesOn {
					r.wantOpen("the issuer has answered")
					return
				}
				if denial := r.Denial(); denial == nil || denial.Class != middleware.ClassUnavailable || r.took() < 30*time.Second+2*period-period/5 {
					t.Errorf("%v after %v", denial, r.took())
				}
			})
		})
	}
}

// TestHeldAnswers checks what a newer answer about a held token does.
func TestHeldAnswers(t *testing.T) {
	for name, row := range map[string]struct {
		change map[string]any
		class  middleware.Class // "" if the request goes on
		scope  string           // of the current token then
	}{
		"the same":        {map[string]any{}, "", "read write"},
		"fewer scopes":    {map[string]any{"scope": "read"}, "", "read"},
		"too few scopes":  {map[string]any{"scope": "write"}, middleware.ClassInsufficientScope, ""},
		"another subject": {map[string]any{"sub": "mallory"}, middleware.ClassForbidden, ""},
		"another client":  {map[string]any{"client_id": "mallory"}, middleware.ClassForbidden, ""},
		"another issuer":  {map[string]any{"iss": "https://mallory.test"}, middleware.ClassInvalidToken, ""},
		"another aud":     {map[string]any{"aud": "https://mallory.test"}, middleware.ClassInvalidToken, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := newHeldAPI(t, scopes.All("read"), middleware.Config{}, opaque)
				answer := map[string]any{
					"active": true, "iss": api.URL(), "sub": "alice", "aud": issuertest.Audience, "client_id": "client-1", "token_type": "Bearer",
					"scope": "read write", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
				}
				behave := func() {
					body, err := json.Marshal(answer)
					if err != nil {
						t.Fatal(err)
					}
					api.Behave(testissuer.Introspection, testissuer.Behaviour{Body: body})
				}
				behave()
				r := api.hold(api.OpaqueToken(nil))
				maps.Copy(answer, row.change)
				behave()
				time.Sleep(29 * time.Second)
				r.wantOpen("the first answer counts")
				time.Sleep(time.Second + 2*period)
				if row.class != "" {
					r.wantEnd(name, row.class, r.took())
					return
				}
				r.wantOpen(name)
				got := r.Token()
				if got.HasScope("write") != (row.scope == "read write") || middleware.TokenFrom(r.Context()) != got {
					t.Errorf("the current token has %q, want %q", got.Scopes(), row.scope)
				}
			})
		})
	}
}

// TestHeldEachRequest checks that a token whose answers count for one request is asked
// about once a second, and ends soon after it was revoked.
func TestHeldEachRequest(t *testing.T) {
	uncached := func(is *issuertest.Issuer) validator.Issuer {
		config := is.OpaqueConfig()
		config.Opaque.Cache.TTL = introspect.NoCache
		return config
	}
	hybrid := func(is *issuertest.Issuer) validator.Issuer { return is.HybridConfig() }
	for name, row := range map[string]struct {
		policy scopes.Policy
		issuer func(*issuertest.Issuer) validator.Issuer
		token  func(*heldAPI) string
	}{
		"no cache":       {scopes.Authenticated(), uncached, func(api *heldAPI) string { return api.OpaqueToken(nil) }},
		"the route":      {scopes.FreshlyActive(0), opaque, func(api *heldAPI) string { return api.OpaqueToken(nil) }},
		"JWT, the route": {scopes.FreshlyActive(0), hybrid, func(api *heldAPI) string { return api.Token(nil) }},
		"JWT, the tier": {
			scopes.Tiers(scopes.TierTable{Tiers: map[string]scopes.Tier{"all": {ActiveWithin: validator.EachRequest}}, Default: "all"}),
			hybrid, func(api *heldAPI) string { return api.Token(nil) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := newHeldAPI(t, row.policy, middleware.Config{}, row.issuer)
				token := row.token(api)
				r := api.hold(token)
				before := api.Requests(testissuer.Introspection)
				time.Sleep(time.Minute)
				r.wantOpen("a minute")
				if n := api.Requests(testissuer.Introspection) - before; n < 58 || n > 60 {
					t.Errorf("asked %d times in a minute", n)
				}
				api.Revoke(token)
				time.Sleep(2 * period)
				r.wantEnd("revoked", middleware.ClassInvalidToken, r.took())
			})
		})
	}
}

// TestHeldActiveWithin checks that a JWT is asked about as often as the route demands.
func TestHeldActiveWithin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.FreshlyActive(10*time.Second), middleware.Config{}, func(is *issuertest.Issuer) validator.Issuer { return is.HybridConfig() })
		token := api.Token(nil)
		r := api.hold(token)
		time.Sleep(time.Minute)
		if n := api.Requests(testissuer.Introspection); n < 6 || n > 7 {
			t.Errorf("asked %d times in a minute", n)
		}
		api.Revoke(token)
		time.Sleep(10*time.Second + period)
		r.wantEnd("revoked", middleware.ClassInvalidToken, r.took())
	})
}

// TestHeldElsewhere checks that a request ends when another request with its token has
// got the answer that it is not active, without a request of its own.
func TestHeldElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, opaque)
		fresh := routeOf(t, api.guard, scopes.FreshlyActive(time.Second))
		token := api.OpaqueToken(nil)
		r := api.hold(token)
		time.Sleep(10 * time.Second)
		api.Revoke(token)
		if denial := fresh.Check(t.Context(), issuertest.Bearer(token), scopes.Operation{}).Denial(); denial == nil {
			t.Fatal("a revoked token passes")
		}
		asked := api.Requests(testissuer.Introspection)
		time.Sleep(period)
		r.wantEnd("revoked", middleware.ClassInvalidToken, 10*time.Second+period)
		if n := api.Requests(testissuer.Introspection); n != asked {
			t.Errorf("asked %d times more", n-asked)
		}
	})
}

// TestHeldAsking checks that no more than 32 tokens are presented to an issuer at once,
// however many answers are too old, that all are asked about, and that a slow issuer does
// not keep others waiting.
func TestHeldAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, func(is *issuertest.Issuer) validator.Issuer {
			config := is.OpaqueConfig()
			config.Opaque.Limits.Concurrency = 1000
			return config
		})
		const n = 300
		var requests []*heldRequest
		for range n {
			requests = append(requests, api.hold(api.Opaque(testissuer.Token{Lifetime: time.Hour})))
		}
		gate := make(chan struct{})
		api.Behave(testissuer.Introspection, testissuer.Behaviour{Hold: gate})
		before := api.Requests(testissuer.Introspection)
		time.Sleep(30*time.Second + period)
		synctest.Wait()
		if asked := api.Requests(testissuer.Introspection) - before; asked != 32 {
			t.Errorf("%d requests at once, want 32", asked)
		}
		api.Behave(testissuer.Introspection, testissuer.Behaviour{})
		close(gate)
		time.Sleep(10 * time.Second)
		for _, r := range requests {
			r.wantOpen("asked again")
		}
		if asked := api.Requests(testissuer.Introspection) - before; asked != n {
			t.Errorf("%d requests for %d tokens", asked, n)
		}
	})
}

// TestHeldResolved checks held requests of an issuer that Config.ResolveIssuer finds: they
// go on while it is found again, however long that takes, and end when it is not known
// any more or was forgotten.
func TestHeldResolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var delay atomic.Int64
		var gone atomic.Bool
		issuer := issuertest.New(t)
		config := issuer.Config(func(c *validator.Issuer) { c.Grants = []string{validator.AllScopes} })
		v := issuertest.Validator(t, validator.Config{ResolveIssuer: func(context.Context, string) (validator.Issuer, error) {
			time.Sleep(time.Duration(delay.Load()))
			if gone.Load() {
				return validator.Issuer{}, validator.ErrUnknownIssuer
			}
			return config, nil
		}})
		var last atomic.Pointer[middleware.Decision]
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{Validator: v, Trace: &middleware.Trace{
			HeldEnded: func(_ context.Context, d middleware.Decision) { last.Store(&d) },
		}}, nil)
		api.Issuer = issuer
		long := issuer.Sign(testissuer.Token{Lifetime: 24 * time.Hour})
		r := api.hold(long)
		time.Sleep(time.Hour)
		r.wantOpen("found again in the background")
		delay.Store(int64(4 * time.Second))
		time.Sleep(time.Hour)
		r.wantOpen("found again, slowly")
		delay.Store(0)
		other := api.hold(long)
		v.ForgetIssuer(issuer.URL())
		time.Sleep(undetermined)
		other.wantEnd("forgotten: to be presented again", middleware.ClassUnavailable, other.took())

		r = api.hold(long)
		gone.Store(true)
		time.Sleep(time.Hour)
		r.wantEnd("unknown", middleware.ClassInvalidToken, r.took())
		if told := last.Load(); told.Issuer != "resolved" || told.Token != r.Token() || told.Denial == nil || told.Denial == r.Denial() {
			t.Errorf("the hook got %+v", told)
		}
	})
}

// TestHeldLateAnswer checks that an answer about the old token, which arrives after the
// token was renewed, changes nothing.
func TestHeldLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, opaque)
		old, next := api.OpaqueToken(nil), api.OpaqueToken(nil)
		r := api.hold(old)
		time.Sleep(29 * time.Second)
		api.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 500 * time.Millisecond, Times: 1})
		api.Revoke(old)
		time.Sleep(time.Second + period) // its answer is under way
		if denial := r.Renew(t.Context(), issuertest.Bearer(next), scopes.Operation{}); denial != nil {
			t.Fatal(denial.Cause())
		}
		token := r.Token()
		time.Sleep(10 * time.Second)
		r.wantOpen("renewed")
		if r.Token() != token {
			t.Error("the old token came back")
		}
	})
}

// TestHeldLostPresentation checks that a request whose token has to be presented again,
// and whose presentation is not known, ends as Unavailable.
func TestHeldLostPresentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, opaque)
		verdict := api.route.Check(t.Context(), issuertest.Bearer(api.OpaqueToken(nil)), scopes.Operation{})
		held := api.route.Hold(t.Context(), verdict, middleware.Holding{})
		defer held.Release()
		time.Sleep(30*time.Second - 1)
		if held.Denial() != nil {
			t.Error("ended early")
		}
		time.Sleep(undetermined)
		if denial := held.Denial(); denial == nil || denial.Class != middleware.ClassUnavailable || !errors.Is(denial, introspect.AnswerOutdated) {
			t.Errorf("%v", denial)
		}
	})
}

// TestHeldTwoGaps checks that two short times in which nothing could be determined do not
// add up.
func TestHeldTwoGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, opaque)
		token := api.Opaque(testissuer.Token{Lifetime: time.Hour})
		r := api.hold(token)
		for range 3 {
			time.Sleep(30*time.Second - time.Millisecond)
			r.wantOpen("the answer counts")
			api.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 500, Times: 1})
			time.Sleep(period + time.Millisecond) // one visit, whose request fails
			if denial := api.route.Check(t.Context(), issuertest.Bearer(token), scopes.Operation{}).Denial(); denial != nil {
				t.Fatal(denial.Cause())
			}
		}
		time.Sleep(period)
		r.wantOpen("another request got an answer each time")
	})
}

// TestHeldSlowAnswers checks that a token is not presented again while it is being
// presented, also if an answer takes longer than the time between two visits.
func TestHeldSlowAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.FreshlyActive(0), middleware.Config{}, opaque)
		api.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 700 * time.Millisecond})
		r := api.hold(api.Opaque(testissuer.Token{Lifetime: time.Hour}))
		before := api.Requests(testissuer.Introspection)
		time.Sleep(time.Minute)
		r.wantOpen("slow answers")
		if n := api.Requests(testissuer.Introspection) - before; n < 30 || n > 61 {
			t.Errorf("asked %d times in a minute", n)
		}
	})
}
