package middleware_test

import (
	"context"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// heapNow returns the bytes in use.
func heapNow() uint64 {
	var stats runtime.MemStats
	for range 2 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// TestHeldMass holds 10 000 requests: no goroutine waits for them, each takes little
// memory, and when their tokens expire together, they end within a second, spread, while
// other requests are served.
func TestHeldMass(t *testing.T) {
	const n = 10_000
	issuer := issuertest.New(t)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer.Config()}, Leeway: validator.Leeway{Expiry: validator.NoLeeway}})
	guard := issuertest.Guard(t, middleware.Config{Validator: v})
	route := routeOf(t, guard, scopes.All("read"))
	ends := time.Now().Add(4 * time.Second).Truncate(time.Second)
	p := issuertest.Bearer(issuer.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"exp": ends.Unix()}}))
	verdict := route.Check(t.Context(), p, scopes.Operation{})
	if denial := verdict.Denial(); denial != nil {
		t.Fatal(denial.Cause())
	}
	contexts := make([]context.Context, n) // as a server makes them
	for i := range contexts {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		contexts[i] = ctx //nolint:fatcontext // not nested
	}
	var late [n]atomic.Int64 // when each ended, after ends
	held := make([]*middleware.Held, n)
	memory, goroutines := heapNow(), runtime.NumGoroutine()
	for i := range held {
		held[i] = route.Hold(contexts[i], verdict, middleware.Holding{Presentation: p, Ended: func(*middleware.Denial) { late[i].Store(int64(time.Since(ends))) }})
	}
	perRequest := (heapNow() - memory) / n
	more := runtime.NumGoroutine() - goroutines
	if status := guard.LongRequests(); status.Open != n {
		t.Fatalf("%+v", status)
	}
	t.Logf("%d bytes for each held request, %d goroutines more for %d", perRequest, more, n)
	if perRequest > 1024 || more > 10 {
		t.Errorf("%d bytes, %d goroutines", perRequest, more)
	}

	other := issuertest.Bearer(issuer.Sign(testissuer.Token{Scope: "read"}))
	route.Check(t.Context(), other, scopes.Operation{})
	var took []time.Duration
	time.Sleep(time.Until(ends))
	for time.Since(ends) < 1200*time.Millisecond {
		start := time.Now()
		if denial := route.Check(t.Context(), other, scopes.Operation{}).Denial(); denial != nil {
			t.Fatal(denial.Cause())
		}
		took = append(took, time.Since(start))
		time.Sleep(100 * time.Microsecond)
	}
	slices.Sort(took)
	var all []time.Duration
	var perTenth [12]int
	for i := range late {
		after := time.Duration(late[i].Load())
		if after <= 0 {
			t.Fatalf("request %d ended %v after the expiry: %v", i, after, held[i].Denial())
		}
		all = append(all, after)
		perTenth[min(after/(100*time.Millisecond), 11)]++
	}
	slices.Sort(all)
	t.Logf("ended after %v to %v; per tenth of a second: %v", all[0], all[n-1], perTenth)
	t.Logf("meanwhile a check of another request took %v at the median, %v at p99, %v at most", took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
	if all[n-1] > time.Second {
		t.Errorf("the last one ended after %v", all[n-1])
	}
	for _, h := range held {
		h.Release()
	}
	if status := guard.LongRequests(); status != (middleware.LongStatus{}) {
		t.Errorf("%+v", status)
	}
}
