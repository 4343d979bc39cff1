package validator_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCacheFirstSights: many first sights of one token at once are all accepted,
// and leave one verdict.
func TestCacheFirstSights(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for n := range 50 {
		p := bearer(testKey.token(baseClaims.with("jti", fmt.Sprintf("%q", fmt.Sprint(n)))))
		var tokens sync.Map
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				token, err := v.Validate(at(0), p)
				if err != nil || token.ID() != fmt.Sprint(n) {
					t.Errorf("%v, %v", token, err)
				}
				tokens.Store(token, true)
			})
		}
		group.Wait()
		token := cached(at(0), t, v, p)
		if _, found := tokens.Load(token); !found {
			t.Error("the verdict is nobody's")
		}
		if kept, _ := validator.CacheSize(v); kept != n+1 {
			t.Fatalf("%d tokens are kept, want %d", kept, n+1)
		}
	}
}

// phase is what the storm's tokens may get.
type phase int32

const (
	changing phase = iota // either
	accepted
	refused
)

// stormPhase is how long a phase of a storm lasts.
const stormPhase = 100 * time.Millisecond

// storm validates the tokens of many callers in a bubble while change runs, and
// holds each verdict that began and ended in one phase against it.
func storm(ctx context.Context, t *testing.T, v *validator.Validator, tokens []validator.Presentation, change func(enter func(phase))) {
	t.Helper()
	const phases = 3
	var epoch atomic.Int64 // the phases so far; the remainder is the present one
	enter := func(next phase) { epoch.Store((epoch.Load()/phases+1)*phases + int64(next)) }
	var judged [phases]atomic.Int64
	var done atomic.Bool
	round := func(p validator.Presentation) {
		before := epoch.Load()
		token, err := v.Validate(ctx, p)
		if epoch.Load() != before {
			return
		}
		now := phase(before % phases)
		judged[now].Add(1)
		if (token == nil) == (err == nil) || now == accepted && err != nil || now == refused && err == nil {
			t.Errorf("phase %d, epoch %d: %v, %v (%v)", now, before, token, err, causeOf(err))
			done.Store(true)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for !done.Load() {
				for n := range 16 {
					round(tokens[n%len(tokens)])
				}
				if phase(epoch.Load()%phases) == changing {
					advance(stormPhase / 2)
				} else {
					advance(stormPhase / 25)
				}
			}
		})
	}
	change(enter)
	done.Store(true)
	group.Wait()
	t.Logf("%d while changing, %d to be accepted, %d to be refused", judged[changing].Load(), judged[accepted].Load(), judged[refused].Load())
	if judged[accepted].Load() == 0 || judged[refused].Load() == 0 {
		t.Error("nothing was judged")
	}
}

// TestCacheStormForbidden (R-OP-06, R-OP-08): once ForbidKey has returned, no
// token of the key is accepted, however many are being validated.
func TestCacheStormForbidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, ctx := issuertest.Validator(t, baseConfig()), at(0)
		tokens := []validator.Presentation{bearer(testKey.token(baseClaims)), bearer(testKey.token(baseClaims.with("jti", `"x"`)))}
		name := jwkscache.KeyName{KeyID: "k1"}
		storm(ctx, t, v, tokens, func(enter func(phase)) {
			for range 10 {
				enter(accepted)
				advance(stormPhase)
				enter(changing)
				if err := v.ForbidKey(ctx, testIssuer, name); err != nil {
					t.Error(err)
				}
				enter(refused)
				advance(stormPhase)
				enter(changing)
				if err := v.PermitKey(ctx, testIssuer, name); err != nil {
					t.Error(err)
				}
			}
		})
	})
}

// TestCacheStormWithdrawn (R-JK-13, R-OP-08): once the refresh that does not bring
// a key is told to hooks, no token of the key is accepted.
func TestCacheStormWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.Start(t, testissuer.Config{CacheControl: "max-age=60"})
		told := make(chan jwkscache.FetchDone, 100)
		trace := &validator.Trace{Keys: &jwkscache.Trace{FetchDone: func(_ string, done jwkscache.FetchDone) { told <- done }}}
		v, ctx := trusting(t, trace, issuer), t.Context()
		if err := v.Warm(ctx); err != nil {
			t.Fatal(err)
		}
		<-told
		key := issuer.SigningKey()
		issuer.Rotate() // so that the set is never empty
		long := testissuer.Token{Lifetime: 24 * time.Hour, Key: key}
		tokens := []validator.Presentation{bearer(issuer.Sign(long)), bearer(issuer.Sign(long))}
		until := func(holds func(jwkscache.FetchDone) bool) {
			for done := range told {
				if done.Err != nil {
					t.Error(done.Err)
				}
				if holds(done) {
					return
				}
			}
		}
		storm(ctx, t, v, tokens, func(enter func(phase)) {
			for range 5 {
				enter(accepted)
				advance(stormPhase)
				enter(changing)
				issuer.Retire(key)
				until(func(done jwkscache.FetchDone) bool { return len(done.Removed) > 0 }) // a minute later: hits refresh
				enter(refused)
				advance(20 * time.Second) // each refusal waits for the next fetch
				enter(changing)
				issuer.Publish(key)
				until(func(done jwkscache.FetchDone) bool { return len(done.Added) > 0 })
			}
		})
	})
}

// TestCacheStormReconfigured (R-CL-18, R-OP-08): once ForgetIssuer has returned, no
// token is accepted by what ResolveIssuer said before.
func TestCacheStormReconfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := resolvingTwo(t, 0)
		other := resolvedTo(resolvedA, resolvedKeys, "https://other.example.com")
		storm(at(0), t, v, []validator.Presentation{ofResolved(resolvedA)}, func(enter func(phase)) {
			for n := range 6 {
				enter(accepted)
				advance(stormPhase)
				enter(changing)
				if n%2 == 0 {
					d.set(resolvedA, other)
				} else {
					d.set(resolvedA, nil)
				}
				v.ForgetIssuer(resolvedA)
				enter(refused)
				advance(stormPhase)
				enter(changing)
				d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience))
				v.ForgetIssuer(resolvedA)
			}
		})
	})
}

// TestCacheStormExpires (R-CL-06, R-OP-08): no hit is accepted once exp has come.
func TestCacheStormExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := baseConfig()
		config.Leeway.Expiry = validator.NoLeeway // so that nothing but hits comes to the edge
		exp := time.Now().Add(time.Minute)
		token := baseClaims.with("iat", fmt.Sprint(time.Now().Unix())).with("exp", fmt.Sprint(exp.Unix()))
		storm(t.Context(), t, issuertest.Validator(t, config), []validator.Presentation{bearer(testKey.token(token))}, func(enter func(phase)) {
			advance(time.Minute - stormPhase)
			enter(accepted)
			advance(stormPhase - time.Millisecond)
			enter(changing)
			advance(time.Millisecond)
			enter(refused)
			advance(stormPhase)
		})
	})
}
