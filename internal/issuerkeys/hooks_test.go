package issuerkeys_test

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// hooks returns a Trace all of whose hooks call do.
func hooks(do func()) *jwkscache.Trace {
	return &jwkscache.Trace{
		FetchStart: func(string, string) { do() },
		FetchDone:  func(string, jwkscache.FetchDone) { do() },
		UnknownKid: func(string, jwkscache.UnknownKid) { do() },
		Moved:      func(string, string, string) { do() },
		Stored:     func(string, jwkscache.Stored) { do() },
	}
}

// callEveryHook uses keys in all ways that call a hook, and fails the test unless
// the results are those without hooks.
func callEveryHook(t *testing.T, trace *jwkscache.Trace, opened func(*issuerkeys.Keys)) {
	t.Helper()
	s := new(site)
	s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")))
	var at atomic.Pointer[string]
	at.Store(new(siteURL))
	keys := bindTo(t, jwkscache.Discovered(), traced(trace), func(b *issuerkeys.Binding) {
		b.HTTPClient = &http.Client{Transport: s}
		b.Locate = func(context.Context) (string, error) { return *at.Load(), nil }
		b.SnapshotDir = snapshots(t)
	})
	opened(keys)
	wants(t, "a token", find(t, keys, "a"), nil)
	advance(time.Second)
	wants(t, "an unknown kid", find(t, keys, "x"), jose.ErrUnknownKey)
	must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"}))
	wants(t, "a forbidden kid", find(t, keys, "b"), jose.ErrUnknownKey)
	must(t, keys.Permit(t.Context(), jwkscache.KeyName{KeyID: "b"}))
	at.Store(new("https://issuer.test/other"))
	advance(11 * time.Minute)
	h := held(t, keys, "b")
	wants(t, "a handle", h.check(t), nil)
	s.down()
	advance(11 * time.Minute)
	wants(t, "stale", find(t, keys, "a"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	go keys.Run(ctx)
	advance(time.Hour)
	s.answers(200, setOf(jwk(t, "a")))
	advance(2 * time.Minute)
	wants(t, "withdrawn", h.check(t), jose.ErrUnknownKey)
	wants(t, "ready", keys.Ready(), nil)
	cancel()
	synctest.Wait()
}

// TestHooksThatPanicOrExit shows that a hook which panics or ends its goroutine
// does not stop the keys.
func TestHooksThatPanicOrExit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		callEveryHook(t, hooks(func() { panic("injected") }), func(*issuerkeys.Keys) {})
	})
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s, traced(&jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { ended.Add(1); runtime.Goexit() }}))
		for range 3 {
			must(t, keys.Warm(t.Context()))
			advance(11 * time.Minute)
		}
		if n := ended.Load(); n != 3 {
			t.Errorf("%d hooks", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s, traced(&jwkscache.Trace{FetchStart: func(string, string) { runtime.Goexit() }}))
		for range 3 {
			wants(t, "a waiting caller", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
			advance(11 * time.Minute)
		}
	})
}

// TestHooksMayCallEveryMethod shows that hooks may call all methods of Keys, also
// those that need a fetch or forbid keys.
func TestHooksMayCallEveryMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var keys *issuerkeys.Keys
		inside, calls := false, 0
		callEveryHook(t, hooks(func() {
			mu.Lock()
			k, nested := keys, inside
			inside = true
			calls++
			mu.Unlock()
			if k == nil || nested {
				return
			}
			_ = k.Status()
			_ = k.Ready()
			_ = k.Ignored()
			_ = find(t, k, "a")
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, _ = k.Find(short, time.Now(), headerOf(t, "made up in a hook"))
			_ = k.Forbid(short, jwkscache.KeyName{KeyID: "z"})
			_ = k.Permit(short, jwkscache.KeyName{KeyID: "z"})
			mu.Lock()
			inside = false
			mu.Unlock()
		}), func(k *issuerkeys.Keys) {
			mu.Lock()
			defer mu.Unlock()
			keys = k
		})
		mu.Lock()
		defer mu.Unlock()
		if calls < 20 {
			t.Errorf("%d calls", calls)
		}
	})
}

// TestSlowHooks shows that callers do not wait for the hook FetchDone, and that a
// FetchStart that does not return is abandoned like a fetch that does not end.
func TestSlowHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		forever := make(chan struct{})
		defer close(forever)
		keys := openSite(t, s, traced(&jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { <-forever }}))
		start := time.Now()
		must(t, keys.Warm(t.Context()))
		wantSpan(t, "Warm took", time.Since(start), 0)
		advance(11 * time.Minute)
		must(t, keys.Warm(t.Context()))
		s.wantVisits(t, "and the next fetch is made", 2)
	})
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		release := make(chan struct{})
		var first sync.Once
		keys := openSite(t, s, traced(&jwkscache.Trace{FetchStart: func(string, string) {
			held := false
			first.Do(func() { held = true })
			if held {
				<-release
			}
		}}))
		start := time.Now()
		wants(t, "warm", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("Warm took %v", took)
		}
		must(t, keys.Warm(t.Context()))
		close(release)
		synctest.Wait()
		must(t, keys.Ready())
	})
}

// TestHooksMayFind shows that a hook may call Find without a deadlock.
func TestHooksMayFind(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
		var keys *issuerkeys.Keys
		var busy atomic.Bool
		var called atomic.Int64
		ask := func() {
			if !busy.CompareAndSwap(false, true) {
				return
			}
			defer busy.Store(false)
			called.Add(1)
			_ = keys.Status()
			_ = verify(t.Context(), keys, unknown(issuer, "asked by a hook"))
		}
		keys = openKeys(t, issuer, func(b *issuerkeys.Binding) {
			b.Trace = &jwkscache.Trace{
				FetchDone:  func(string, jwkscache.FetchDone) { ask() },
				UnknownKid: func(string, jwkscache.UnknownKid) { ask() },
			}
		})
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(3 * time.Second) // the question of its hook is answered
		start := time.Now()
		wants(t, "a made-up kid", verify(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey)
		if took := time.Since(start); took > 6*time.Second { // the kid of the hook waits so long for its fetch
			t.Errorf("a made-up kid took %v", took)
		}
		synctest.Wait()
		if n := called.Load(); n < 2 {
			t.Errorf("%d questions", n)
		}
	})
}

// TestBlockedHookDelaysNoFetch shows that a hook which does not return delays
// neither the callers that wait nor later fetches.
func TestBlockedHookDelaysNoFetch(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
		released := make(chan struct{})
		keys := openKeys(t, issuer, func(b *issuerkeys.Binding) {
			b.Trace = &jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { <-released }}
		})
		for range 10 {
			atOnce(t, "a new key", func() { wants(t, "a new key", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil) })
			issuer.Rotate()
			advance(time.Second)
		}
		close(released)
	})
}

// TestPanickingHook shows that a hook that panics in the goroutine of a fetch does
// not end the process.
func TestPanickingHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, _ := counted(t, func(jwkscache.FetchDone) { panic("injected") })
		wants(t, "warm", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
		synctest.Wait()
	})
}
