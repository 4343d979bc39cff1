package validator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// heard is what the hooks of introspection were told.
type heard struct {
	mu     sync.Mutex
	asks   []introspect.AskDone
	states []introspect.State
}

func (h *heard) trace() *validator.Trace {
	return &validator.Trace{Introspection: &introspect.Trace{
		AskDone: func(_ string, done introspect.AskDone) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.asks = append(h.asks, done)
		},
		StateChanged: func(_ string, state introspect.State) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.states = append(h.states, state)
		},
	}}
}

// newHeardIssuer is newOpaqueIssuer with hooks.
func newHeardIssuer(t *testing.T, changes ...func(*validator.Issuer)) (*opaqueIssuer, *heard) {
	t.Helper()
	is, h := issuertest.New(t), &heard{}
	return &opaqueIssuer{is, issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(changes...)}, Trace: h.trace()})}, h
}

// TestLateCaller (R-IN-11): a request that joins a call one tenth of a second before its timeout has time left, and gets the answer of one new call. If the issuer
// stays dead it gets its 503 in time, and there is no third call.
func TestLateCaller(t *testing.T) {
	for _, dead := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			is := newOpaqueIssuer(t, func(config *validator.Issuer) { config.Opaque.Limits.Timeout = 2 * time.Second })
			hang := testissuer.Behaviour{Delay: time.Minute, Times: 1}
			if dead {
				hang.Times = 0
			}
			is.Behave(testissuer.Introspection, hang)
			p := is.OpaqueBearer(nil)
			var all sync.WaitGroup
			all.Go(func() {
				if _, err := is.v.Validate(t.Context(), p); !errors.Is(err, introspect.TimedOut) {
					t.Errorf("the first: %v", causeOf(err))
				}
			})
			time.Sleep(1900 * time.Millisecond)
			joined := time.Now()
			_, err := is.v.Validate(t.Context(), p)
			if took := time.Since(joined); took > 2200*time.Millisecond || dead != (err != nil) || dead && !errors.Is(err, introspect.TimedOut) {
				t.Errorf("dead %t: %v after %v", dead, causeOf(err), took)
			}
			all.Wait()
			is.wantAsked(t, "both", 2)
		})
	}
}

// TestGarbage (R-IN-11, R-IN-14): the server answers 500 for tokens that it does not know, and a flood of them comes. Tokens that are good pass, first seen and
// seen before, nothing of the garbage is remembered, and the number of calls is bounded. If the server fails for all tokens, the breaker opens.
func TestGarbage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, h := newHeardIssuer(t, cache(time.Second))
		is.Answer("", testissuer.StatusError)
		known := is.OpaqueBearer(nil)
		good, passed := 0, 0
		count := func(p validator.Presentation) {
			good++
			if _, err := is.v.Validate(t.Context(), p); err == nil {
				passed++
			}
		}
		count(known)
		for i := range 100 { // 10 s with 1 000 garbage tokens a second
			var flood sync.WaitGroup
			for j := range 100 {
				flood.Go(func() {
					p := issuertest.Bearer(fmt.Sprintf("garbage-%d-%d", i, j))
					if _, err := is.v.Validate(t.Context(), p); validator.ReasonOf(err) != validator.Unavailable {
						t.Errorf("garbage: %v", err)
					}
				})
			}
			count(is.OpaqueBearer(nil))
			count(known)
			flood.Wait()
			time.Sleep(100 * time.Millisecond)
		}
		if passed*100 < good*99 {
			t.Errorf("%d of %d good tokens passed", passed, good)
		}
		if is.asked() > 100*100+good+1 {
			t.Errorf("%d calls", is.asked())
		}
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 500})
		time.Sleep(11 * time.Second)
		before := is.asked()
		for range 500 {
			_, _ = is.v.Validate(t.Context(), is.OpaqueBearer(nil))
			time.Sleep(time.Millisecond)
		}
		if n := is.asked() - before; n > 50 || h.states[len(h.states)-1] != introspect.Failing {
			t.Errorf("a server that fails for all: %d calls for 500 tokens, states %q", n, h.states)
		}
	})
}

// TestBreakerPerOutcome (R-IN-11, R-IN-12): 100 new tokens come while the endpoint answers in one way. Callers never get 401 unless the endpoint gave a
// verdict, and how many calls there are, and which state is reported, depends on what the endpoint says about itself.
func TestBreakerPerOutcome(t *testing.T) {
	for _, row := range []struct {
		name     string
		answer   testissuer.Behaviour
		want     error
		most     int // calls for 100 tokens
		states   []introspect.State
		holdBack introspect.Kind // of tokens that are not asked about
	}{
		{"no verdict but inactive", testissuer.Behaviour{Body: []byte(`{"active":false}`)}, validator.Inactive, 100, nil, ""},
		{"500", testissuer.Behaviour{Status: 500}, introspect.ServerError, 8, []introspect.State{introspect.Failing}, introspect.BreakerOpen},
		{"cut connections", testissuer.Behaviour{Abort: true}, introspect.Unreachable, 6, []introspect.State{introspect.Failing}, introspect.BreakerOpen},
		{"400", testissuer.Behaviour{Status: 400}, introspect.RequestRefused, 100, nil, ""},
		{"404", testissuer.Behaviour{Status: 404}, introspect.RequestRefused, 100, nil, ""},
		{"405", testissuer.Behaviour{Status: 405}, introspect.RequestRefused, 100, nil, ""},
		{"redirect", testissuer.Behaviour{Redirect: "https://issuer.test/introspect"}, introspect.RequestRefused, 100, nil, ""},
		{"HTML", testissuer.Behaviour{Body: []byte("<html>")}, introspect.NotAnAnswer, 100, nil, ""},
		{"401", testissuer.Behaviour{Status: 401}, introspect.CredentialsRefused, 6, []introspect.State{introspect.Refused}, introspect.CredentialsRefused},
		{"403", testissuer.Behaviour{Status: 403}, introspect.CredentialsRefused, 6, []introspect.State{introspect.Refused}, introspect.CredentialsRefused},
		{"429", testissuer.Behaviour{Status: 429}, introspect.Throttled, 1, []introspect.State{introspect.HeldByIssuer}, introspect.Throttled},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is, h := newHeardIssuer(t)
				is.Behave(testissuer.Introspection, row.answer)
				for range 100 {
					_, err := is.v.Validate(t.Context(), is.OpaqueBearer(nil))
					isUnavailable := validator.ReasonOf(err) == validator.Unavailable
					if !errors.Is(err, row.want) && (row.holdBack == "" || !errors.Is(err, row.holdBack)) || isUnavailable == errors.Is(row.want, validator.Inactive) {
						t.Errorf("%v, want %v", causeOf(err), row.want)
					}
				}
				if n := is.asked(); n > row.most || row.most == 100 && n != 100 {
					t.Errorf("%d calls for 100 tokens, want %d at most", n, row.most)
				}
				if !slices.Equal(h.states, row.states) {
					t.Errorf("states %q, want %q", h.states, row.states)
				}
				is.Behave(testissuer.Introspection, testissuer.Behaviour{})
				back := time.Now()
				for {
					if _, err := is.v.Validate(t.Context(), is.OpaqueBearer(nil)); err == nil {
						break
					}
					if time.Since(back) > 31*time.Second {
						t.Fatal("not accepted after it is mended")
					}
					time.Sleep(100 * time.Millisecond)
				}
				if len(row.states) > 0 && h.states[len(h.states)-1] != introspect.Asking {
					t.Errorf("states %q after it is mended", h.states)
				}
			})
		})
	}
}

// TestHoldIsToldOnce (R-IN-11): an issuer wants to be left alone in the ways that there are to say it. It is, but for one request a second, for no longer than 30 s; another issuer is asked as before.
func TestHoldIsToldOnce(t *testing.T) {
	for _, row := range []struct {
		status int
		after  string // Retry-After
		hold   time.Duration
	}{
		{429, "5", 5 * time.Second},
		{503, "5", 5 * time.Second},
		{429, "3600", 30 * time.Second},
		{429, "garbage", time.Second},
		{429, "", time.Second},
		{429, "Sat, 01 Jan 2000 00:00:07 GMT", 7 * time.Second}, // 7 s after the clock of the test began
	} {
		synctest.Test(t, func(t *testing.T) {
			is, other := issuertest.At(t, "https://issuer.test"), issuertest.At(t, "https://other.test")
			prefixed := func(prefix string) func(*validator.Issuer) {
				return func(config *validator.Issuer) { config.Opaque.Prefix, config.Grants = prefix, allScopes }
			}
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(prefixed("one_")), other.OpaqueConfig(prefixed("two_"))}})
			presented := func(of *issuertest.Issuer, prefix string) validator.Presentation {
				return issuertest.Bearer(of.Opaque(testissuer.Token{Prefix: prefix}))
			}
			header := http.Header{"Retry-After": {row.after}}
			if row.after == "" {
				header = nil
			}
			is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: row.status, Header: header})
			start := time.Now()
			_, err := v.Validate(t.Context(), presented(is, "one_"))
			if !errors.Is(err, introspect.Throttled) {
				t.Errorf("%d, %q: %v", row.status, row.after, causeOf(err))
			}
			for rest := row.hold; rest > 0; rest = row.hold - time.Since(start) {
				before := is.Requests(testissuer.Introspection)
				_, err := v.Validate(t.Context(), presented(is, "one_"))
				probe := is.Requests(testissuer.Introspection) > before
				failure, _ := errors.AsType[*introspect.Error](err)
				if failure == nil || failure.Kind() != introspect.Throttled || !probe && (failure.RetryAfter() < rest || failure.RetryAfter() >= rest+time.Second) {
					t.Fatalf("%d, %q: %v with %v to go", row.status, row.after, causeOf(err), rest)
				}
				if _, err := v.Validate(t.Context(), presented(other, "two_")); err != nil {
					t.Errorf("the other issuer: %v", causeOf(err))
				}
				time.Sleep(250 * time.Millisecond)
			}
			if n := is.Requests(testissuer.Introspection); n != 1+int(row.hold/time.Second) {
				t.Errorf("%d, %q: %d calls", row.status, row.after, n)
			}
			is.Behave(testissuer.Introspection, testissuer.Behaviour{})
			if _, err := v.Validate(t.Context(), presented(is, "one_")); err != nil {
				t.Errorf("%d, %q, after %v: %v", row.status, row.after, row.hold, causeOf(err))
			}
		})
	}
}

// TestWrongSecretIsToldOnce (R-IN-12): 10 000 requests come while the secret of this API is wrong. One change of state is reported, the hook for requests is
// called for each of them, few are sent, and the recovery is one more change.
func TestWrongSecretIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		secret := "wrong"
		is, h := newHeardIssuer(t, func(config *validator.Issuer) {
			config.Opaque.Authentication = introspect.ClientSecretBasic{Secret: introspect.SecretFunc(func(context.Context) (string, error) {
				mu.Lock()
				defer mu.Unlock()
				return secret, nil
			})}
		})
		const requests = 10_000
		for range requests {
			if _, err := is.v.Validate(t.Context(), is.OpaqueBearer(nil)); validator.ReasonOf(err) != validator.Unavailable {
				t.Fatal(err)
			}
			time.Sleep(time.Millisecond)
		}
		if len(h.states) != 1 || h.states[0] != introspect.Refused || is.asked() > 30 {
			t.Errorf("states %q, %d calls", h.states, is.asked())
		}
		sent, kinds := 0, map[introspect.Kind]int{}
		for _, done := range h.asks {
			sent += done.Requests
			kinds[done.Kind]++
		}
		if len(h.asks) != requests || kinds[introspect.CredentialsRefused] != requests || sent != is.asked() {
			t.Errorf("%d results, kinds %v, %d sent and %d received", len(h.asks), kinds, sent, is.asked())
		}
		mu.Lock()
		secret = testissuer.ClientSecret
		mu.Unlock()
		for range 60 {
			_, _ = is.v.Validate(t.Context(), is.OpaqueBearer(nil))
			time.Sleep(time.Second)
		}
		if !slices.Equal(h.states, []introspect.State{introspect.Refused, introspect.Asking}) {
			t.Errorf("states %q after the recovery", h.states)
		}
		if _, err := is.v.Validate(t.Context(), is.OpaqueBearer(nil)); err != nil {
			t.Error(causeOf(err))
		}
	})
}

// TestCausesOfRegistration (R-IN-12): the API is registered as the wrong kind of party. The cause has the status and the error code if it is a known one, and nothing else
// of the answer.
func TestCausesOfRegistration(t *testing.T) {
	for _, row := range []struct {
		status     int
		kind, body string
		cause      string
	}{
		{401, "application/json", `{"error":"invalid_client","error_description":"CANARY"}`, "401: invalid_client"},
		{403, "application/json", `{"error":"unauthorized_client","error_uri":"https://canary.test/CANARY"}`, "403: unauthorized_client"},
		{403, "text/html", `<html>CANARY`, "403: no code"},
		{401, "application/json", `{"error":"CANARY"}`, "401: no code"},
		{400, "application/json", `{"error":"invalid_request","hint":"CANARY"}`, "400: invalid_request"},
	} {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: row.status, Header: http.Header{"Content-Type": {row.kind}}, Body: []byte(row.body)})
		_, err := is.v.Validate(t.Context(), is.OpaqueBearer(nil))
		text := causeText(err)
		if validator.ReasonOf(err) != validator.Unavailable || !strings.Contains(text, row.cause) || strings.Contains(strings.ToUpper(text), "CANARY") || strings.Contains(text, "<") {
			t.Errorf("%d %s: %s", row.status, row.body, text)
		}
	}
}
