package validator_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// within returns p for a route that demands an answer of that age.
func within(p validator.Presentation, age time.Duration) validator.Presentation {
	p.Demands.ActiveWithin = age
	return p
}

// TestRoutesWithDifferentFreshness (R-IN-13): each route judges the age of the same answer, counted from the beginning of its request, and a
// fresher answer serves all.
func TestRoutesWithDifferentFreshness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t, cache(5*time.Minute), func(config *validator.Issuer) { config.Opaque.Limits.Timeout = 10 * time.Second })
		p := is.OpaqueBearer(issuertest.Claims{"exp": time.Now().Add(time.Hour).Unix()})
		slow, fresh := within(p, 5*time.Minute), within(p, 10*time.Second)
		wantVerdict(t, "A at 0 s", is.v, slow, "", validator.Introspected, "")
		time.Sleep(20 * time.Second)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 5 * time.Second, Times: 1})
		wantVerdict(t, "B at 20 s", is.v, fresh, "", validator.Introspected, "")
		wantVerdict(t, "A at 25 s", is.v, slow, "", validator.Cached, "")
		wantVerdict(t, "B at 25 s", is.v, fresh, "", validator.Cached, "") // 5 s old
		time.Sleep(5 * time.Second)
		wantVerdict(t, "B at 30 s", is.v, fresh, "", validator.Introspected, "")
		time.Sleep(5*time.Minute - 1)
		wantVerdict(t, "A just before 330 s", is.v, slow, "", validator.Cached, "")
		time.Sleep(1 * time.Nanosecond)
		wantVerdict(t, "A at 330 s", is.v, slow, "", validator.Introspected, "")
		is.wantAsked(t, "all", 4)
	})
}

// TestSlowerThanItsFreshness: an answer that takes longer than the age that the route allows counts all the same, because it was
// begun after the request arrived.
func TestSlowerThanItsFreshness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 2 * time.Second})
		wantVerdict(t, "2 s for 1 s", is.v, within(is.OpaqueBearer(nil), time.Second), "", validator.Introspected, "")
	})
}

// together validates n presentations at once and returns the reasons.
func together(ctx context.Context, v *validator.Validator, n int, p validator.Presentation) map[validator.Reason]int {
	var mu sync.Mutex
	var all sync.WaitGroup
	reasons := map[validator.Reason]int{}
	for range n {
		all.Go(func() {
			_, err := v.Validate(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			reasons[validator.ReasonOf(err)]++
		})
	}
	all.Wait()
	return reasons
}

// TestOneRequestForMany (R-IN-14): 1 000 requests with one new token cause one introspection request.
func TestOneRequestForMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second})
		reasons := together(t.Context(), is.v, 1000, is.OpaqueBearer(nil))
		if reasons[""] != 1000 {
			t.Errorf("reasons %v, want 1000 accepted", reasons)
		}
		is.wantAsked(t, "1000 at once", 1)
	})
}

// TestNoCacheAsksForEach (R-IN-13): without a TTL, and on a route that demands an answer for each request, N requests cause N
// introspection requests. A token that is active once is accepted once.
func TestNoCacheAsksForEach(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*validator.Issuer)
		demand time.Duration
	}{
		"NoCache":     {cache(introspect.NoCache), 0},
		"EachRequest": {cache(time.Minute), validator.EachRequest},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := newOpaqueIssuer(t, row.change)
				is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second})
				reasons := together(t.Context(), is.v, 20, within(is.OpaqueBearer(nil), row.demand))
				if reasons[""] != 20 {
					t.Errorf("reasons %v, want 20 accepted", reasons)
				}
				is.wantAsked(t, "20 at once", 20)
				once := issuertest.Bearer(is.Opaque(testissuer.Token{Fault: testissuer.ActiveOnce}))
				if reasons := together(t.Context(), is.v, 20, within(once, row.demand)); reasons[""] != 1 || reasons[validator.Inactive] != 19 {
					t.Errorf("a token that is active once: %v, want 1 accepted and 19 inactive", reasons)
				}
			})
		})
	}
}

// TestCacheOffAsksForEach (R-IN-13): with the Validator's cache off, each request asks.
func TestCacheOffAsksForEach(t *testing.T) {
	is := issuertest.New(t)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig()}, Cache: validator.CacheConfig{Off: true}})
	p := is.OpaqueBearer(nil)
	for range 3 {
		wantVerdict(t, "cache off", v, p, "", validator.Introspected, "")
	}
	if n := is.Requests(testissuer.Introspection); n != 3 {
		t.Errorf("%d introspection requests, want 3", n)
	}
}

// TestFirstCallerGoes (R-IN-14): the first of 50 callers gives up, and the others get the answer.
func TestFirstCallerGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second})
		p := is.OpaqueBearer(nil)
		first, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() {
			_, err := is.v.Validate(first, p)
			gone <- err
		}()
		synctest.Wait()
		others := make(chan map[validator.Reason]int, 1)
		go func() { others <- together(t.Context(), is.v, 49, p) }()
		synctest.Wait()
		cancel()
		if err := <-gone; validator.ReasonOf(err) != validator.Unavailable {
			t.Errorf("the first: %v", err)
		}
		if reasons := <-others; reasons[""] != 49 {
			t.Errorf("the others: %v", reasons)
		}
		is.wantAsked(t, "50 callers", 1)
	})
}

// TestPresentationsAreJudgedApart: callers that share a request are judged by their own routes.
func TestPresentationsAreJudgedApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second})
		p := is.OpaqueBearer(issuertest.Claims{"aud": []string{issuertest.Audience, "https://other.test"}})
		var all sync.WaitGroup
		for i := range 50 {
			demands, want := validator.Demands{}, validator.Reason("")
			switch i % 4 {
			case 1:
				demands, want = validator.Demands{Audiences: []string{"https://other.test"}}, validator.WrongAudience // not the issuer's
			case 2:
				demands, want = validator.Demands{SoleAudience: true}, validator.WrongAudience
			case 3:
				demands, want = validator.Demands{SenderConstrained: true}, validator.BindingMismatch
			}
			all.Go(func() {
				own := p
				own.Demands = demands
				if _, err := is.v.Validate(t.Context(), own); validator.ReasonOf(err) != want {
					t.Errorf("demands %+v: %v, want %q", demands, causeOf(err), want)
				}
			})
		}
		all.Wait()
		is.wantAsked(t, "50 callers", 1)
	})
}

// TestRefusedAnswers (R-IN-14): a token that is not active is remembered for 5 s from the answer, and hits do not prolong that.
func TestRefusedAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		for _, p := range []validator.Presentation{issuertest.Bearer("unknown"), is.OpaqueBearer(issuertest.Claims{"aud": "https://other.test"})} {
			before := is.asked()
			for range 100 { // in 5 s less 50 ms
				if _, err := is.v.Validate(t.Context(), p); err == nil {
					t.Fatal("accepted")
				}
				time.Sleep(49 * time.Millisecond)
			}
			if n := is.asked() - before; n != 1 {
				t.Errorf("%d requests in 4.9 s, want 1", n)
			}
			time.Sleep(100 * time.Millisecond)
			_, _ = is.v.Validate(t.Context(), p)
			if n := is.asked() - before; n != 2 {
				t.Errorf("%d requests in 5 s, want 2", n)
			}
		}
	})
}

// TestServerFailsForAMoment: a good token that the server calls inactive once is accepted at the next request if it was active
// before, and within 5 s if it is new.
func TestServerFailsForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t, cache(time.Second))
		token := is.OpaqueToken(nil)
		p := issuertest.Bearer(token)
		wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		time.Sleep(time.Second)
		is.Answer(token, testissuer.InactiveOnce)
		wantVerdict(t, "inactive once", is.v, p, validator.Inactive, validator.Introspected, "")
		wantVerdict(t, "next", is.v, p, "", validator.Introspected, "")

		p = issuertest.Bearer(is.Opaque(testissuer.Token{Fault: testissuer.InactiveOnce}))
		wantVerdict(t, "new", is.v, p, validator.Inactive, validator.Introspected, "")
		for range 100 {
			wantVerdict(t, "new, at once", is.v, p, validator.Inactive, validator.Cached, "")
		}
		time.Sleep(5 * time.Second)
		wantVerdict(t, "new, after 5 s", is.v, p, "", validator.Introspected, "")
	})
}

// TestAnswerIsKeptOverFailures (R-IN-11): what gives no verdict leaves the cache as it is: an answer is used to its end, and no longer.
func TestAnswerIsKeptOverFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := is.OpaqueBearer(nil)
		wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		for _, status := range []int{500, 403, 429, 302, 404} {
			is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: status, Body: []byte(`{"active":false}`), Times: 1})
			time.Sleep(2 * time.Second)
			if _, err := is.v.Validate(t.Context(), within(p, time.Second)); validator.ReasonOf(err) != validator.Unavailable {
				t.Errorf("status %d: %v, want unavailable", status, causeOf(err))
			}
			wantVerdict(t, "cached", is.v, p, "", validator.Cached, "")
		}
		time.Sleep(20 * time.Second)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 500})
		wantVerdict(t, "at the end of the TTL", is.v, p, validator.Unavailable, "", "")
	})
}

// TestOutage (R-IN-11): the issuer is down for a minute. Nothing is accepted after the TTL, nobody gets 401, and tokens are accepted
// within 2 s after it is back.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t, cache(10*time.Second))
		known, fresh := is.OpaqueBearer(nil), is.OpaqueBearer(nil)
		wantVerdict(t, "first", is.v, known, "", validator.Introspected, "")
		start := time.Now()
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Abort: true})
		for time.Since(start) < time.Minute {
			_, err := is.v.Validate(t.Context(), known)
			want := validator.Reason("")
			if time.Since(start) >= 10*time.Second {
				want = validator.Unavailable
			}
			if validator.ReasonOf(err) != want {
				t.Fatalf("after %v: %v, want %q", time.Since(start), err, want)
			}
			if _, err := is.v.Validate(t.Context(), fresh); validator.ReasonOf(err) != validator.Unavailable {
				t.Fatalf("a new token after %v: %v", time.Since(start), err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		is.Behave(testissuer.Introspection, testissuer.Behaviour{})
		back := time.Now()
		for _, p := range []validator.Presentation{known, fresh} {
			for {
				if _, err := is.v.Validate(t.Context(), p); err == nil {
					break
				}
				if time.Since(back) > 2*time.Second {
					t.Fatal("not accepted 2 s after the issuer is back")
				}
				time.Sleep(50 * time.Millisecond)
			}
		}
	})
}

// TestRecheckOfAnswers: a Token that is held gets older. It holds again once a newer answer is known, and every error says that the token is to
// be presented again.
func TestRecheckOfAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := is.OpaqueBearer(nil)
		token := wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		recheck := func(what string, demands validator.Demands, outdated bool) {
			t.Helper()
			if err := is.v.Recheck(t.Context(), token, demands); errors.Is(err, introspect.AnswerOutdated) != outdated || (err != nil) != outdated {
				t.Errorf("%s: %v, outdated %t is wanted", what, causeOf(err), outdated)
			}
		}
		time.Sleep(29 * time.Second)
		recheck("before the TTL", validator.Demands{}, false)
		recheck("a fresher one is demanded", validator.Demands{ActiveWithin: 10 * time.Second}, true)
		recheck("one for each request is demanded", validator.Demands{ActiveWithin: validator.EachRequest}, true)
		time.Sleep(time.Second)
		recheck("at the TTL", validator.Demands{}, true)
		if err := token.Meets(t.Context(), validator.Demands{}); err != nil {
			t.Errorf("Meets: %v", causeOf(err))
		}
		if err := token.Meets(t.Context(), validator.Demands{ActiveWithin: 31 * time.Second}); err != nil {
			t.Errorf("Meets, 31 s: %v", causeOf(err))
		}
		if err := token.Meets(t.Context(), validator.Demands{ActiveWithin: 30 * time.Second}); !errors.Is(err, introspect.AnswerOutdated) {
			t.Errorf("Meets, 30 s: %v", causeOf(err))
		}
		wantVerdict(t, "presented again", is.v, p, "", validator.Introspected, "")
		recheck("after a newer answer", validator.Demands{}, false)
		is.Revoke(p.Token)
		time.Sleep(30 * time.Second)
		wantVerdict(t, "revoked", is.v, p, validator.Inactive, validator.Introspected, "")
		if err := is.v.Recheck(t.Context(), token, validator.Demands{}); validator.ReasonOf(err) != validator.Inactive {
			t.Errorf("Recheck after it was revoked: %v, want inactive", causeOf(err))
		}
	})
}
