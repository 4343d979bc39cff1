package validator_test

import (
	"bytes"
	"context"
	"errors"
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

// TestCallersOfOneRequest (R-IN-09, R-IN-14): 50 callers share a request. Each gets the verdict of its own route, scheme and context.
func TestCallersOfOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second})
		p := is.OpaqueBearer(issuertest.Claims{"aud": []string{issuertest.Audience, "https://other.test"}})
		var all sync.WaitGroup
		for i := range 50 {
			own, want, leaves := p, validator.Reason(""), time.Minute
			switch i % 7 {
			case 1:
				own.Demands.Audiences, want = []string{"https://other.test"}, validator.WrongAudience
			case 2:
				own.Demands.SoleAudience, want = true, validator.WrongAudience
			case 3:
				own.Demands.MaxLifetime, want = time.Minute, validator.BadClaims
			case 4:
				own.Demands.SenderConstrained, want = true, validator.BindingMismatch
			case 5:
				own.Scheme, want = validator.DPoP, validator.BindingMismatch
			case 6:
				leaves, want = 500*time.Millisecond, validator.Unavailable
			}
			all.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), leaves)
				defer cancel()
				start := time.Now()
				_, err := is.v.Validate(ctx, own)
				if validator.ReasonOf(err) != want {
					t.Errorf("caller %d: %v, want %q", i, causeOf(err), want)
				}
				if took := time.Since(start); took > leaves || took > time.Second {
					t.Errorf("caller %d took %v", i, took)
				}
			})
		}
		all.Wait()
		is.wantAsked(t, "50 callers", 1)
	})
}

// TestSharedByAge (R-IN-13): requests at the same time for a route that allows an age share one call, and with an age of 0 each has its own.
func TestSharedByAge(t *testing.T) {
	for age, want := range map[time.Duration]int{time.Second: 1, validator.EachRequest: 30} {
		synctest.Test(t, func(t *testing.T) {
			is := newOpaqueIssuer(t)
			is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 100 * time.Millisecond})
			if reasons := together(t.Context(), is.v, 30, within(is.OpaqueBearer(nil), age)); reasons[""] != 30 {
				t.Errorf("age %v: %v", age, reasons)
			}
			is.wantAsked(t, age.String(), want)
		})
	}
}

// TestFlipIsReported: a token that was active is inactive for a moment, because a part of the server lags behind. The next request asks again, and the hook is told of the
// flip, so that it can be counted.
func TestFlipIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is, h := newHeardIssuer(t, cache(time.Second))
		token := is.OpaqueToken(nil)
		for step, row := range []struct {
			fault   testissuer.Fault
			want    validator.Reason
			flipped bool
		}{{0, "", false}, {testissuer.InactiveOnce, validator.Inactive, true}, {0, "", false}} {
			is.Answer(token, row.fault)
			wantVerdict(t, "a token that was active", is.v, issuertest.Bearer(token), row.want, validator.Introspected, "")
			if got := h.asks[step]; got.Flipped != row.flipped || got.Active != (row.want == "") {
				t.Errorf("step %d: %+v", step, got)
			}
			time.Sleep(time.Second)
		}
		wantVerdict(t, "a new token", is.v, issuertest.Bearer("unknown"), validator.Inactive, validator.Introspected, "")
		if h.asks[3].Flipped {
			t.Error("a token that was never active has flipped")
		}
	})
}

// common is a Store of two processes.
type common struct {
	mu     sync.Mutex
	values map[[32]byte][]byte
	gets   int
}

func (c *common) Get(_ context.Context, key [32]byte) ([]byte, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gets++
	value, found := c.values[key]
	return bytes.Clone(value), found, nil
}

func (c *common) Set(_ context.Context, key [32]byte, value []byte, _ time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values[key] = bytes.Clone(value)
	return nil
}

// TestProcessesWithOtherClocks (R-IN-13): two Validators with one Store, whose clocks are apart. No answer is accepted past exp and the leeway by the clock of the reader, and none
// for longer than the TTL and what the clocks are apart. What was changed in the Store counts as absent.
func TestProcessesWithOtherClocks(t *testing.T) {
	const ttl, life, text = 30 * time.Second, 45 * time.Second, "shared-token"
	for _, skew := range []time.Duration{-time.Minute, -20 * time.Second, 0, 20 * time.Second, time.Minute} { // of the writer's clock
		for _, damage := range []func([]byte) []byte{nil, flipped, func([]byte) []byte { return bytes.Repeat([]byte{1}, 2<<20) }} {
			store := &common{values: map[[32]byte][]byte{}}
			withStore := func(config *validator.Issuer) {
				config.Opaque.Store, config.Opaque.StoreSecret = store, introspect.SecretText(strings.Repeat("s", 32))
			}
			ahead := func(of time.Duration) time.Duration { return max(of, 0) + time.Minute }
			synctest.Test(t, func(t *testing.T) { // each bubble has a clock of its own, which begins at the same time
				time.Sleep(ahead(skew))
				is := newOpaqueIssuer(t, withStore)
				exp := time.Now().Add(life - skew)
				is.Opaque(testissuer.Token{Text: text, Claims: issuertest.Claims{"exp": exp.Unix(), "iat": nil}, Fault: testissuer.ExpiredActive})
				_, err := is.v.Validate(t.Context(), issuertest.Bearer(text))
				if accepted := skew < life+30*time.Second; accepted != (err == nil) {
					t.Errorf("skew %v, the writer: %v", skew, causeOf(err))
				}
			})
			if damage != nil {
				for key, value := range store.values {
					store.values[key] = damage(value)
				}
			}
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(ahead(-skew))
				is := newOpaqueIssuer(t, withStore)
				is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 400}) // only the Store can say active
				last := time.Duration(-1)
				for start := time.Now(); time.Since(start) < 2*time.Minute; time.Sleep(time.Second) {
					if _, err := is.v.Validate(t.Context(), issuertest.Bearer(text)); err == nil {
						last = time.Since(start)
					} else if !errors.Is(err, introspect.RequestRefused) {
						t.Fatalf("skew %v: %v", skew, causeOf(err))
					}
				}
				longest := min(ttl+max(skew, 0), life+30*time.Second)
				if last > longest || damage != nil && last >= 0 || damage == nil && skew == 0 && last != ttl-time.Second {
					t.Errorf("skew %v, damaged %t: accepted for %v, want %v at most", skew, damage != nil, last, longest)
				}
			})
			if store.gets == 0 {
				t.Error("the Store was not asked")
			}
		}
	}
}

// flipped returns value with one bit changed.
func flipped(value []byte) []byte {
	changed := bytes.Clone(value)
	changed[len(changed)/2] ^= 1
	return changed
}

// TestForgottenTokens (R-IN-11): a server forgets expired tokens and answers 400 for them. That is 503, and the cause names the setting by which it means inactive, for the
// declared codes and for nothing else. Declared, it is remembered like any inactive token.
func TestForgottenTokens(t *testing.T) {
	declared := func(codes ...string) func(*validator.Issuer) {
		return func(config *validator.Issuer) { config.Opaque.InactiveErrors = codes }
	}
	for _, row := range []struct {
		name   string
		change func(*validator.Issuer)
		fault  testissuer.Fault
		want   validator.Reason
	}{
		{"an empty body", declared(), testissuer.StatusBadRequest, validator.Unavailable},
		{"invalid_token", declared(), testissuer.StatusInvalidToken, validator.Unavailable},
		{"an empty body, declared", declared(""), testissuer.StatusBadRequest, validator.Inactive},
		{"invalid_token, declared", declared("invalid_token"), testissuer.StatusInvalidToken, validator.Inactive},
		{"invalid_token, and an empty body is declared", declared(""), testissuer.StatusInvalidToken, validator.Unavailable},
		{"an empty body, and invalid_token is declared", declared("invalid_token"), testissuer.StatusBadRequest, validator.Unavailable},
		{"another code", declared("", "invalid_token"), testissuer.StatusUnsupported, validator.Unavailable},
		{"401", declared(""), testissuer.StatusUnauthorized, validator.Unavailable},
		{"403", declared(""), testissuer.StatusForbidden, validator.Unavailable},
		{"500", declared(""), testissuer.StatusError, validator.Unavailable},
		{"a redirect", declared(""), testissuer.StatusRedirect, validator.Unavailable},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newOpaqueIssuer(t, row.change)
			p := issuertest.Bearer(is.Opaque(testissuer.Token{Fault: row.fault}))
			_, err := is.v.Validate(t.Context(), p)
			is400 := row.fault == testissuer.StatusBadRequest || row.fault == testissuer.StatusInvalidToken
			if validator.ReasonOf(err) != row.want || row.want == validator.Unavailable && is400 && !strings.Contains(causeText(err), "Client.InactiveErrors") {
				t.Errorf("%v, want %q", causeOf(err), row.want)
			}
			if row.want == validator.Inactive {
				wantVerdict(t, "again", is.v, p, validator.Inactive, validator.Cached, "")
			}
		})
	}
}

// TestOwnClientAsAudience (R-IN-06): a server fills aud with the client that asks. An operator who lists that client as an audience is warned; without it, every token of the server
// is refused.
func TestOwnClientAsAudience(t *testing.T) {
	echoed := issuertest.Claims{"aud": testissuer.ClientID}
	strict := newOpaqueIssuer(t)
	wantVerdict(t, "the aud of every token", strict.v, strict.OpaqueBearer(echoed), validator.WrongAudience, validator.Introspected, "")
	if warnings := strict.v.Warnings(); len(warnings) != 0 {
		t.Errorf("%q", warnings)
	}
	listed := newOpaqueIssuer(t, func(config *validator.Issuer) { config.Audiences = append(config.Audiences, testissuer.ClientID) })
	warnings := listed.v.Warnings()
	if len(warnings) != 1 || !strings.Contains(warnings[0], "Opaque.ID") || !strings.Contains(warnings[0], "Answers.FiltersAudience") || !strings.Contains(warnings[0], listed.URL()) {
		t.Errorf("%q", warnings)
	}
}

// slowly is a Store that takes a time to answer.
type slowly struct{ *common }

func (s slowly) Get(ctx context.Context, key [32]byte) ([]byte, bool, error) {
	time.Sleep(50 * time.Millisecond)
	return s.common.Get(ctx, key)
}

// TestOldAnswerInStore (R-IN-14): 1 000 requests of one token need a newer answer than the Store has, and join a request that needs none. They share one question, not each its own.
func TestOldAnswerInStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := slowly{&common{values: map[[32]byte][]byte{}}}
		withStore := func(config *validator.Issuer) {
			config.Opaque.Store, config.Opaque.StoreSecret = store, introspect.SecretText(strings.Repeat("s", 32))
		}
		is := newOpaqueIssuer(t, withStore)
		other := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig(withStore)}})
		p := is.OpaqueBearer(nil)
		wantVerdict(t, "another process", other, p, "", validator.Introspected, "")
		time.Sleep(20 * time.Second)
		before := is.asked()
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 100 * time.Millisecond})
		var all sync.WaitGroup
		all.Go(func() { _, _ = is.v.Validate(t.Context(), p) })
		time.Sleep(time.Millisecond)
		for range 1000 {
			all.Go(func() {
				if _, err := is.v.Validate(t.Context(), within(p, 10*time.Second)); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := is.asked() - before; n != 1 {
			t.Errorf("%d questions", n)
		}
	})
}

// TestOneTokenOfMany (R-IN-14): 400 connections present one token where each request needs an answer of its own. Those with another token get theirs.
func TestOneTokenOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		busy, calm := is.OpaqueBearer(nil), is.OpaqueBearer(nil)
		wantVerdict(t, "busy", is.v, busy, "", validator.Introspected, "")
		wantVerdict(t, "calm", is.v, calm, "", validator.Introspected, "")
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 200 * time.Millisecond})
		var all sync.WaitGroup
		start := time.Now()
		for range 400 {
			all.Go(func() {
				for time.Since(start) < 5*time.Second {
					_, _ = is.v.Validate(t.Context(), within(busy, validator.EachRequest))
					time.Sleep(50 * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		for range 20 {
			if _, err := is.v.Validate(t.Context(), within(calm, validator.EachRequest)); err != nil {
				t.Error(causeOf(err))
			}
			time.Sleep(100 * time.Millisecond)
		}
		all.Wait()
	})
}
