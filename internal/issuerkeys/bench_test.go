package issuerkeys_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// benchKeys holds fresh keys that were fetched, and a token header for each key.
func benchKeys(tb testing.TB, n int) (*issuerkeys.Keys, []jose.Header) {
	tb.Helper()
	jwks, headers := make([]string, n), make([]jose.Header, n)
	for i := range jwks {
		kid := fmt.Sprintf("2026-11-%03d-signing-key", i)
		jwks[i] = newKey(kid).JWK()
		headers[i] = headerOf(tb, kid)
	}
	s := new(site)
	s.answers(200, setOf(jwks...), "Cache-Control: max-age=86400")
	keys, err := issuerkeys.Open(jwkscache.URL(siteURL), issuerkeys.Binding{
		Issuer: issuer, Algorithms: []jose.Algorithm{jose.EdDSA}, HTTPClient: &http.Client{Transport: s},
	})
	if err != nil {
		tb.Fatal(err)
	}
	if err := keys.Warm(context.Background()); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { runtime.KeepAlive(keys) }) // for handles
	return keys, headers
}

// shared runs each function b.N times in total, in the given number of goroutines.
func shared(b *testing.B, goroutines int, each func(n int)) {
	b.Helper()
	b.ReportAllocs()
	b.ResetTimer()
	var all sync.WaitGroup
	for i := range goroutines {
		n := b.N / goroutines
		if i < b.N%goroutines {
			n++
		}
		all.Go(func() { each(n) })
	}
	all.Wait()
}

// BenchmarkFind finds keys of a fresh set: at most 30 ns and no allocation, for any
// number of goroutines (shared/PERFORMANCE.md). The reported time is that of b.N
// calls by all goroutines together, divided by b.N.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{1, 10, 100} {
		keys, headers := benchKeys(b, n)
		for _, goroutines := range []int{1, 2, 4, 8, 16, 32, 64} {
			b.Run(fmt.Sprintf("keys=%d/goroutines=%d", n, goroutines), func(b *testing.B) {
				ctx, now := b.Context(), time.Now()
				shared(b, goroutines, func(times int) {
					for i, which := 0, 0; i < times; i++ {
						if _, err := keys.Find(ctx, now, headers[which]); err != nil {
							b.Error(err)
						}
						if which++; which == n {
							which = 0
						}
					}
				})
			})
		}
	}
}

// BenchmarkHandleCheck checks a Handle: at most 5 ns and no allocation.
func BenchmarkHandleCheck(b *testing.B) {
	keys, headers := benchKeys(b, 3)
	ctx, now := b.Context(), time.Now()
	found, err := keys.Find(ctx, now, headers[0])
	if err != nil {
		b.Fatal(err)
	}
	handle := found.Handle(found.Keys[0])
	for _, goroutines := range []int{1, 2, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			shared(b, goroutines, func(times int) {
				for range times {
					if err := handle.Check(ctx, now); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

// BenchmarkFindRefused looks up a kid that does not exist, as an attacker would,
// while the maximum number of tokens waits for the next fetch.
func BenchmarkFindRefused(b *testing.B) {
	s := new(site)
	s.answers(200, setOf(newKey("a").JWK()), "Cache-Control: max-age=86400")
	var asked atomic.Bool
	keys := bindTo(b, jwkscache.URL(siteURL), over(func(r *http.Request) (*http.Response, error) {
		if asked.Swap(true) {
			return stuck{}.RoundTrip(r)
		}
		return s.RoundTrip(r)
	}), within(jwkscache.Limits{Waiters: 1, FetchTimeout: 30 * time.Second}))
	if err := keys.Warm(b.Context()); err != nil {
		b.Fatal(err)
	}
	ctx, now := b.Context(), time.Now()
	header := headerOf(b, "made up")
	go func() { _, _ = keys.Find(ctx, now, header) }()
	for keys.Status().Waiting == 0 {
		runtime.Gosched()
	}
	shared(b, 1, func(times int) {
		for range times {
			if _, err := keys.Find(ctx, now, header); err == nil {
				b.Error("found")
			}
		}
	})
}

// BenchmarkHandle makes a Handle of a key that was found.
func BenchmarkHandle(b *testing.B) {
	keys, headers := benchKeys(b, 3)
	found, err := keys.Find(b.Context(), time.Now(), headers[0])
	if err != nil {
		b.Fatal(err)
	}
	shared(b, 1, func(times int) {
		for range times {
			runtime.KeepAlive(found.Handle(found.Keys[0]))
		}
	})
}

// TestHotPathsDoNotAllocate shows that Find and Handle.Check allocate nothing while
// keys are fresh, while a refresh of stale keys is under way, and after the refresh
// failed.
func TestHotPathsDoNotAllocate(t *testing.T) {
	for _, n := range []int{1, 10, 100} {
		keys, headers := benchKeys(t, n)
		ctx, now := t.Context(), time.Now()
		found, err := keys.Find(ctx, now, headers[n-1])
		if err != nil {
			t.Fatal(err)
		}
		handle := found.Handle(found.Keys[0])
		for name, do := range map[string]func() error{
			"Find":   func() error { _, err := keys.Find(ctx, now, headers[n-1]); return err },
			"Handle": func() error { return found.Handle(found.Keys[0]).Check(ctx, now) },
			"Check":  func() error { return handle.Check(ctx, now) },
		} {
			allocated := testing.AllocsPerRun(200, func() {
				if err := do(); err != nil {
					t.Error(err)
				}
			})
			if allocated != 0 {
				t.Errorf("%s with %d keys: %v allocations", name, n, allocated)
			}
		}
	}
}
