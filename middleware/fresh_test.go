package middleware_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestFreshRoutes covers R-IN-13, with a situation where two routes shared an entry and
// the one that wanted fresh answers lived on the old ones of the other: each route
// judges the age of an answer itself, and a fresher answer serves all.
func TestFreshRoutes(t *testing.T) {
	const second = time.Second
	synctest.Test(t, func(t *testing.T) {
		api := newOpaqueAPI(t)
		api.handle("/orders", scopes.All("read"))
		api.handle("/fresh", scopes.And(scopes.All("read"), scopes.FreshlyActive(10*second)))
		api.handle("/each", scopes.And(scopes.FreshlyActive(0), scopes.All("read")))
		token := api.Opaque(testissuer.Token{Scope: "read", Lifetime: time.Hour})
		api.visits(
			visit{0, "/orders", token, 200, validator.Introspected, 1},
			visit{9 * second, "/fresh", token, 200, validator.Cached, 1},
			visit{second, "/fresh", token, 200, validator.Introspected, 2}, // 10 s old
			visit{29 * second, "/orders", token, 200, validator.Cached, 2},
			visit{0, "/each", token, 200, validator.Introspected, 3},
			visit{0, "/each", token, 200, validator.Introspected, 4},
			visit{9 * second, "/fresh", token, 200, validator.Cached, 4},
		)
		api.Revoke(token)
		api.visits(
			visit{0, "/fresh", token, 200, validator.Cached, 4}, // the age that the route allows
			visit{second, "/fresh", token, 401, validator.Introspected, 5},
			visit{0, "/orders", token, 401, validator.Introspected, 6}, // the answer for one route ends it for all
		)
	})
}

// tiered is the policy of a route whose freshness depends on the client. The hook counts
// its calls.
func tiered(hooks *atomic.Int64) scopes.Policy {
	hook := func(context.Context, *validator.Token, scopes.Operation) error {
		hooks.Add(1)
		return nil
	}
	return scopes.And(scopes.All("read"), scopes.Check("count", 0, hook), scopes.Tiers(scopes.TierTable{
		Tiers: map[string]scopes.Tier{
			"own":    {MaxLifetime: 2 * time.Hour},
			"bank":   {MaxLifetime: 2 * time.Hour, ActiveWithin: 10 * time.Second},
			"others": {MaxLifetime: time.Hour, ActiveWithin: validator.EachRequest},
		},
		Clients: map[validator.Party]string{
			{Issuer: "https://issuer.test", ClientID: "own"}:  "own",
			{Issuer: "https://issuer.test", ClientID: "bank"}: "bank",
		},
		Default: "others",
	}))
}

// TestFreshTiers covers R-SC-12 and R-IN-13: if the tier of the client demands a fresher
// answer than the route, the issuer is asked once more for the same request. Hooks run
// once.
func TestFreshTiers(t *testing.T) {
	const second = time.Second
	of := func(client string) testissuer.Token {
		return testissuer.Token{Scope: "read", Lifetime: time.Hour, Claims: map[string]any{"client_id": client}}
	}
	t.Run("opaque", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api, hooks := newOpaqueAPI(t), new(atomic.Int64)
			api.handle("/t", tiered(hooks))
			api.handle("/fresh", scopes.And(scopes.FreshlyActive(5*second), tiered(hooks)))
			own, bank, other := api.Opaque(of("own")), api.Opaque(of("bank")), api.Opaque(of("other"))
			api.visits(
				visit{0, "/t", own, 200, validator.Introspected, 1},
				visit{20 * second, "/t", own, 200, validator.Cached, 1},
				visit{0, "/t", bank, 200, validator.Introspected, 2},
				visit{9 * second, "/t", bank, 200, validator.Cached, 2},
				visit{second, "/t", bank, 200, validator.Introspected, 3},
				visit{0, "/t", bank, 200, validator.Cached, 3},
				visit{6 * second, "/fresh", bank, 200, validator.Introspected, 4}, // the route is stricter than the tier
				visit{0, "/t", other, 200, validator.Introspected, 6},             // the tier was not known before
				visit{0, "/t", other, 200, validator.Introspected, 7},
				visit{0, "/fresh", other, 200, validator.Introspected, 8},
			)
			if n := hooks.Load(); n != 10 {
				t.Errorf("%d calls of the hook for 10 requests", n)
			}
		})
	})
	t.Run("JWT", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			api, hooks := newHybridAPI(t), new(atomic.Int64)
			api.handle("/t", tiered(hooks))
			own, bank, other := api.Sign(of("own")), api.Sign(of("bank")), api.Sign(of("other"))
			api.visits(
				visit{0, "/t", own, 200, validator.Verified, 0},
				visit{0, "/t", bank, 200, validator.Introspected, 1},
				visit{9 * second, "/t", bank, 200, validator.Cached, 1},
				visit{second, "/t", bank, 200, validator.Introspected, 2},
				visit{0, "/t", other, 200, validator.Introspected, 3},
				visit{0, "/t", other, 200, validator.Introspected, 4},
				visit{0, "/t", own, 200, validator.Cached, 4},
			)
			if n := hooks.Load(); n != 7 {
				t.Errorf("%d calls of the hook for 7 requests", n)
			}
		})
	})
}

// TestFreshTiersAtOnce covers R-IN-13 and R-IN-14: requests at once share an answer, except
// in a tier that demands one for each request.
func TestFreshTiersAtOnce(t *testing.T) {
	for client, calls := range map[string]int{"own": 0, "bank": 1, "other": 20} {
		synctest.Test(t, func(t *testing.T) {
			api, hooks := newHybridAPI(t), new(atomic.Int64)
			api.handle("/t", scopes.And(scopes.All("read"), tiered(hooks)))
			api.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second})
			token := api.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"client_id": client}})
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					r := request("Bearer " + token)
					r.URL.Path = "/t"
					if response := serve(api.mux, r); response.StatusCode != http.StatusOK {
						t.Errorf("%s: %d", client, response.StatusCode)
					}
				})
			}
			all.Wait()
			if got := api.Requests(testissuer.Introspection); got != calls || len(api.decisions) != 20 {
				t.Errorf("%s: %d calls and %d decisions for 20 requests, want %d calls", client, got, len(api.decisions), calls)
			}
		})
	}
}

// TestFreshTierRefuses covers R-IN-11: a token whose tier demands an answer is refused by
// that answer, and with 503 if there is none. Other tiers do not notice.
func TestFreshTierRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, hooks := newOpaqueAPI(t), new(atomic.Int64)
		api.handle("/t", tiered(hooks))
		token := func(client string) string {
			return api.Opaque(testissuer.Token{Scope: "read", Claims: map[string]any{"client_id": client}})
		}
		own, bank, revoked, narrowed := token("own"), token("bank"), token("bank"), token("bank")
		for _, text := range []string{own, bank, revoked, narrowed} {
			if response, _ := api.get("/t", text); response.StatusCode != http.StatusOK {
				t.Fatalf("%d", response.StatusCode)
			}
		}
		api.Revoke(revoked)
		api.Answer(narrowed, testissuer.ScopeArray)
		before := hooks.Load()
		api.visits(
			visit{10 * time.Second, "/t", revoked, 401, validator.Introspected, 5},
			visit{0, "/t", narrowed, 401, validator.Introspected, 6},
		)
		api.Down(true)
		response, decision := api.get("/t", bank)
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "1" || decision.Kind != introspect.Unreachable ||
			!errors.Is(decision.Denial, validator.Unavailable) || decision.Token != nil {
			t.Errorf("%d, %+v", response.StatusCode, decision)
		}
		if hooks.Load() != before {
			t.Errorf("the hook was called for a token that was refused")
		}
		api.visits(visit{0, "/t", own, 200, validator.Cached, 6})
	})
}

// TestTierWithoutIntrospection: if the issuer cannot be asked, the tier's tokens get 503
// after one more try, and no 401 or 403.
func TestTierWithoutIntrospection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		api, hooks := newAPI(t, issuer, issuer.Config()), new(atomic.Int64)
		api.handle("/t", tiered(hooks))
		own, bank := testissuer.Token{Scope: "read", Claims: map[string]any{"client_id": "own"}}, testissuer.Token{Scope: "read", Claims: map[string]any{"client_id": "bank"}}
		api.visits(
			visit{0, "/t", api.Sign(own), 200, validator.Verified, 0},
			visit{0, "/t", api.Sign(bank), 503, validator.Cached, 0},
		)
		if n := hooks.Load(); n != 1 {
			t.Errorf("%d calls of the hook", n)
		}
	})
}

// TestJWTNeedsNoAnswer: a situation where both mechanisms ran for every request. A JWT
// on a route without a demand for freshness touches nothing of introspection (R-IN-19).
func TestJWTNeedsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHybridAPI(t)
		api.Down(true)
		api.handle("/orders", scopes.All("read"))
		api.handle("/fresh", scopes.And(scopes.All("read"), scopes.FreshlyActive(time.Minute)))
		token := api.Sign(testissuer.Token{Scope: "read"})
		for range 100 {
			if response, _ := api.get("/orders", token); response.StatusCode != http.StatusOK {
				t.Fatalf("%d", response.StatusCode)
			}
		}
		if _, decision := api.get("/fresh", token); decision.Denial == nil || decision.Denial.Status != http.StatusServiceUnavailable || decision.Kind != introspect.Unreachable {
			t.Errorf("%+v", decision)
		}
		api.Down(false)
		api.visits(
			visit{5 * time.Second, "/fresh", token, 200, validator.Introspected, 1},
			visit{0, "/fresh", api.Sign(testissuer.Token{Scope: "read", Forgery: testissuer.ForeignKey}), 401, "", 1}, // invalid locally: nobody is asked
		)
	})
}

// TestHeldOpaqueToken: a Token that is held is refused as unavailable when its answer is
// too old, since nobody asked again, and is good again after another request did. A
// policy that decides about it says how fresh the answer has to be (R-IN-13).
func TestHeldOpaqueToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newOpaqueAPI(t)
		api.handle("/orders", scopes.All("read"))
		text := api.Opaque(testissuer.Token{Scope: "read", Lifetime: time.Hour})
		api.visits(visit{0, "/orders", text, 200, validator.Introspected, 1})
		held, v, route := api.held, api.guard.Validator(), routeOf(t, api.guard, scopes.All("read"))
		recheck := func(when string, demands validator.Demands, want bool) {
			t.Helper()
			err := v.Recheck(t.Context(), held, demands)
			if (err == nil) != want || err != nil && (!errors.Is(err, introspect.AnswerOutdated) || validator.ReasonOf(err) != validator.Unavailable) {
				t.Errorf("%s: %v", when, err)
			}
			if err == nil {
				return
			}
			denial := route.Refuse(t.Context(), err)
			if kind := api.decisions[len(api.decisions)-1].Kind; denial.Class.Status() != http.StatusServiceUnavailable || kind != introspect.AnswerOutdated {
				t.Errorf("%s: %d, kind %q", when, denial.Status, kind)
			}
		}
		decide := func(when string, policy scopes.Policy, want time.Duration) {
			t.Helper()
			refusal := policy.Decide(t.Context(), held, scopes.Operation{})
			if (refusal == nil) != (want == 0) || refusal != nil && (refusal.Reason != validator.Unavailable || refusal.ActiveWithin != want || !errors.Is(refusal, introspect.AnswerOutdated)) {
				t.Errorf("%s: %v: %+v", when, policy, refusal)
			}
			if e := policy.Explain(t.Context(), held, scopes.Operation{}); e.Permits != (want == 0) {
				t.Errorf("%s: %v", when, e)
			}
		}
		fresh, each, hooks := scopes.And(scopes.All("read"), scopes.FreshlyActive(10*time.Second)), scopes.And(scopes.All("read"), scopes.FreshlyActive(0)), new(atomic.Int64)
		within := validator.Demands{ActiveWithin: 10 * time.Second}
		recheck("at once", validator.Demands{}, true)
		recheck("at once, fresh", within, true)
		decide("at once", fresh, 0)
		decide("at once", each, validator.EachRequest)
		decide("at once", tiered(hooks), validator.EachRequest)
		time.Sleep(10 * time.Second)
		recheck("10 s", validator.Demands{}, true)
		recheck("10 s, fresh", within, false)
		decide("10 s", fresh, 10*time.Second)
		decide("10 s", scopes.And(fresh, tiered(hooks)), 10*time.Second) // the demands of the policy come first
		decide("10 s", scopes.All("read"), 0)
		if e := fresh.Explain(t.Context(), held, scopes.Operation{}); e.Parts[1].Refusal == nil || e.Parts[1].Refusal.ActiveWithin != 10*time.Second {
			t.Errorf("%v", e)
		}
		if err := held.Meets(t.Context(), within); validator.ReasonOf(err) != validator.Unavailable || !errors.Is(err, introspect.AnswerOutdated) {
			t.Errorf("%v", err)
		}
		time.Sleep(20 * time.Second)
		recheck("30 s", validator.Demands{}, false)
		api.visits(visit{0, "/orders", text, 200, validator.Introspected, 2})
		recheck("after another request", within, true)
		api.Revoke(text)
		api.visits(visit{30 * time.Second, "/orders", text, 401, validator.Introspected, 3})
		if err := v.Recheck(t.Context(), held, validator.Demands{}); validator.ReasonOf(err) != validator.Inactive {
			t.Errorf("revoked: %v", err)
		}
		if n := hooks.Load(); n != 0 {
			t.Errorf("%d calls of a hook behind a stale answer", n)
		}
	})
}
