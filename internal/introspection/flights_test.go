package introspection_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/introspection"
	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/introspect"
)

var errWork = errors.New("from the work")

type contextKey struct{}

func always(int64) bool { return true }
func never(int64) bool  { return false }

// counter is work that takes a time and returns the number of its call.
type counter struct {
	calls atomic.Int64
	takes time.Duration
	fails int64 // so many calls fail
}

func (c *counter) work(ctx context.Context) (int64, error) {
	n := c.calls.Add(1)
	select {
	case <-time.After(c.takes):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if n <= c.fails {
		return n, fmt.Errorf("%w: call %d", errWork, n)
	}
	return n, nil
}

// TestOneCall covers R-IN-14: a thousand concurrent callers with one key cause exactly
// one call, also if the first of them leaves; other keys have calls of their own.
func TestOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := introspection.NewFlights[int64](10*time.Second, nil)
		c := counter{takes: time.Second}
		first, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := f.Do(first, [32]byte{}, always, c.work); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		synctest.Wait()
		for range 1000 {
			all.Go(func() {
				if n, err := f.Do(t.Context(), [32]byte{}, always, c.work); n != 1 || err != nil {
					t.Error(n, err)
				}
			})
		}
		time.Sleep(time.Second / 2)
		cancel()
		all.Go(func() {
			if n, err := f.Do(t.Context(), [32]byte{1}, always, c.work); n != 2 || err != nil {
				t.Error(n, err)
			}
		})
		all.Wait()
		if n, err := f.Do(t.Context(), [32]byte{}, always, c.work); n != 3 || err != nil {
			t.Error("after it landed:", n, err)
		}
	})
}

// TestFailures shows whose work fails: the failure is for callers who were there when
// the work began. One that came later waits for one more, never for more than one.
func TestFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, row := range []struct {
			fails       int64
			first, late error
			calls       int64
		}{
			{0, nil, nil, 1},
			{1, errWork, nil, 2},
			{100, errWork, errWork, 2},
		} {
			f := introspection.NewFlights[int64](10*time.Second, nil)
			c := counter{takes: 2 * time.Second, fails: row.fails}
			var all sync.WaitGroup
			do := func(want error) {
				all.Go(func() {
					n, err := f.Do(t.Context(), [32]byte{}, always, c.work)
					if !errors.Is(err, want) || err != nil && n != 0 {
						t.Errorf("%d failures: %d, %v, want %v", row.fails, n, err, want)
					}
				})
			}
			for range 10 {
				do(row.first)
			}
			time.Sleep(1900 * time.Millisecond)
			for range 10 {
				do(row.late)
			}
			all.Wait()
			if c.calls.Load() != row.calls {
				t.Errorf("%d failures: %d calls, want %d", row.fails, c.calls.Load(), row.calls)
			}
		}
	})
}

// slowContext is a context whose values take time, so that work may begin before its caller
// notices that the context has ended.
type slowContext struct{ context.Context }

func (c slowContext) Value(key any) any {
	time.Sleep(time.Millisecond)
	return c.Context.Value(key)
}

// TestLateCallerWithoutTime shows that a late caller waits no longer than its context.
func TestLateCallerWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := introspection.NewFlights[int64](10*time.Second, nil)
		c := counter{takes: 2 * time.Second, fails: 100}
		go func() { _, _ = f.Do(t.Context(), [32]byte{}, always, c.work) }()
		time.Sleep(time.Second)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := f.Do(ctx, [32]byte{}, always, c.work)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		_, err = f.Do(ctx, [32]byte{1}, always, c.work)
		_, alone := f.Alone(slowContext{ctx}, [32]byte{}, c.work)
		time.Sleep(time.Second)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(alone, context.DeadlineExceeded) || c.calls.Load() != 2 {
			t.Errorf("%v, %v, %d calls: work began for a caller that had left", err, alone, c.calls.Load())
		}
		time.Sleep(10 * time.Second)
	})
}

// TestUseful shows that a caller which the result of older work does not serve waits for
// newer work, which it shares with others that wait for the same, and that the work which
// a caller began itself serves it whatever useful says.
func TestUseful(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := introspection.NewFlights[int64](10*time.Second, nil)
		c := counter{takes: 2 * time.Second}
		var all sync.WaitGroup
		do := func(useful func(int64) bool, want int64) {
			all.Go(func() {
				if n, err := f.Do(t.Context(), [32]byte{}, useful, c.work); n != want || err != nil {
					t.Errorf("%d, %v, want %d", n, err, want)
				}
			})
		}
		do(never, 1)
		synctest.Wait()
		do(func(n int64) bool { return n > 1 }, 2) // it came when the work began, which may end with an older result of a Store
		time.Sleep(time.Second)
		do(func(n int64) bool { return n == 1 }, 1)
		for range 10 {
			do(func(n int64) bool { return n > 1 }, 2)
		}
		all.Wait()
		if c.calls.Load() != 2 {
			t.Errorf("%d calls", c.calls.Load())
		}
	})
}

// TestAlone shows that each caller has work of its own.
func TestAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := introspection.NewFlights[int64](10*time.Second, nil)
		c := counter{takes: time.Second}
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				if _, err := f.Alone(t.Context(), [32]byte{byte(i)}, c.work); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if c.calls.Load() != 50 {
			t.Errorf("%d calls", c.calls.Load())
		}
	})
}

// TestAloneInTurn shows that at most four works for one key are under way at once, that
// each caller gets one that began after it came, that those for other keys do not wait,
// and that a caller which leaves before its turn causes no work.
func TestAloneInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := introspection.NewFlights[time.Time](10*time.Second, nil)
		var running, most, calls atomic.Int64
		work := func(context.Context) (time.Time, error) {
			began := time.Now()
			calls.Add(1)
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return began, nil
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				came := time.Now()
				if began, err := f.Alone(t.Context(), [32]byte{}, work); err != nil || began.Before(came) {
					t.Errorf("%v, began %v after the call", err, began.Sub(came))
				}
			})
			time.Sleep(time.Millisecond)
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := f.Alone(ctx, [32]byte{}, work); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if most.Load() != 4 {
			t.Errorf("%d at once", most.Load())
		}
		start = time.Now()
		if _, err := f.Alone(t.Context(), [32]byte{1}, work); err != nil || time.Since(start) != time.Second {
			t.Errorf("another key: %v after %v", err, time.Since(start))
		}
		all.Wait()
		if calls.Load() != 21 {
			t.Errorf("%d calls", calls.Load())
		}
		var refused atomic.Int64
		for range 100 {
			all.Go(func() {
				if _, err := f.Alone(t.Context(), [32]byte{}, work); errors.Is(err, introspect.Overloaded) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if refused.Load() < 50 || refused.Load() > 60 {
			t.Errorf("%d of 100 had no turn within the time of work", refused.Load())
		}
	})
}

// TestDetached shows what work gets of its caller: no values, no end, but the time of
// `sallyport verify --at`; that it has a time limit; and that work which panics or
// ignores its context keeps nobody waiting.
func TestDetached(t *testing.T) {
	type way func(context.Context, func(context.Context) (int64, error)) (int64, error)
	for name, do := range map[string]func(*introspection.Flights[int64]) way{
		"Do": func(f *introspection.Flights[int64]) way {
			return func(ctx context.Context, work func(context.Context) (int64, error)) (int64, error) {
				return f.Do(ctx, [32]byte{}, always, work)
			}
		},
		"Alone": func(f *introspection.Flights[int64]) way {
			return func(ctx context.Context, work func(context.Context) (int64, error)) (int64, error) {
				return f.Alone(ctx, [32]byte{}, work)
			}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			do := do(introspection.NewFlights[int64](10*time.Second, nil))
			parent, cancel := context.WithTimeout(clock.At(context.WithValue(t.Context(), contextKey{}, 1), time.Unix(7, 0)), time.Minute)
			defer cancel()
			_, err := do(parent, func(ctx context.Context) (int64, error) {
				end, _ := ctx.Deadline()
				if ctx.Value(contextKey{}) != nil || time.Until(end) != 10*time.Second || clock.Now(ctx).Unix() != 7 {
					t.Errorf("%s: values of the caller, or %v, or %v", name, time.Until(end), clock.Now(ctx))
				}
				return 0, nil
			})
			if err != nil {
				t.Error(err)
			}
			if _, err := do(t.Context(), func(context.Context) (int64, error) { panic("injected") }); !errors.Is(err, detached.ErrPanic) {
				t.Errorf("%s: %v", name, err)
			}
			stuck := make(chan struct{})
			if _, err := do(t.Context(), func(context.Context) (int64, error) { <-stuck; return 0, nil }); !errors.Is(err, detached.ErrAbandoned) {
				t.Errorf("%s: %v", name, err)
			}
			start := time.Now()
			ctx, leave := context.WithTimeout(t.Context(), time.Second)
			defer leave()
			if _, err := do(ctx, func(context.Context) (int64, error) { <-stuck; return 0, nil }); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			close(stuck)
			for _, ctx := range zero.Contexts() {
				if _, err := do(ctx, func(context.Context) (int64, error) { return 0, nil }); !errors.Is(err, hook.ErrContext) {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// TestNoContext shows that a caller without a usable context causes no work.
func TestNoContext(t *testing.T) {
	f := introspection.NewFlights[int64](10*time.Second, nil)
	for _, ctx := range zero.Contexts() {
		c := &counter{}
		if _, err := f.Do(ctx, [32]byte{}, always, c.work); !errors.Is(err, hook.ErrContext) || c.calls.Load() != 0 {
			t.Errorf("%v, %d calls", err, c.calls.Load())
		}
	}
}

// TestJoinedCallerLeaves shows that a caller which has joined older work and leaves before
// it ends gets its own error, at once.
func TestJoinedCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := introspection.NewFlights[int64](10*time.Second, nil)
		c := &counter{takes: 5 * time.Second}
		go func() { _, _ = f.Do(t.Context(), [32]byte{}, always, c.work) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if _, err := f.Do(ctx, [32]byte{}, always, c.work); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		time.Sleep(10 * time.Second)
		if c.calls.Load() != 1 {
			t.Errorf("%d calls", c.calls.Load())
		}
	})
}

// TestWaiters shows that a caller for whom there is no room causes no work and is told
// so at once, with one key and with many.
func TestWaiters(t *testing.T) {
	for name, key := range map[string]func(i int) [32]byte{
		"one key":   func(int) [32]byte { return [32]byte{} },
		"many keys": func(i int) [32]byte { return [32]byte{byte(i)} },
	} {
		synctest.Test(t, func(t *testing.T) {
			shared, err := introspection.NewShared(introspect.SharedLimits{Waiters: 8})
			if err != nil {
				t.Fatal(err)
			}
			f := introspection.NewFlights[int64](10*time.Second, shared)
			c := counter{takes: time.Second}
			var all sync.WaitGroup
			var passed, refused atomic.Int64
			for i := range 100 {
				all.Go(func() {
					start := time.Now()
					_, err := f.Do(t.Context(), key(i), always, c.work)
					if err == nil {
						passed.Add(1)
						return
					}
					failure, ok := errors.AsType[*introspect.Error](err)
					if !ok || failure.Kind() != introspect.Overloaded || failure.RetryAfter() != time.Second || time.Since(start) != 0 {
						t.Errorf("%s: %v after %v", name, err, time.Since(start))
					}
					refused.Add(1)
				})
				synctest.Wait()
			}
			_, err = f.Alone(t.Context(), [32]byte{}, c.work)
			if name == "many keys" && !errors.Is(err, introspect.Overloaded) {
				t.Errorf("%s: alone: %v", name, err)
			}
			all.Wait()
			want := map[string]int64{"one key": 4, "many keys": 8}[name] // at most four of a flight if few places are left
			if passed.Load() > 8 || passed.Load() < want || passed.Load()+refused.Load() != 100 || name == "many keys" && c.calls.Load() != 8 {
				t.Errorf("%s: %d passed, %d refused, %d calls", name, passed.Load(), refused.Load(), c.calls.Load())
			}
			if _, err := f.Do(t.Context(), key(0), always, c.work); err != nil {
				t.Errorf("%s: afterwards: %v", name, err)
			}
		})
	}
}

// TestLateWaiters shows that a caller for whom there is no room among those of older work
// causes no work of its own either.
func TestLateWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, err := introspection.NewShared(introspect.SharedLimits{Waiters: 8})
		if err != nil {
			t.Fatal(err)
		}
		f := introspection.NewFlights[int64](10*time.Second, shared)
		c := counter{takes: time.Second}
		var all sync.WaitGroup
		var refused atomic.Int64
		for range 20 {
			all.Go(func() {
				if _, err := f.Do(t.Context(), [32]byte{}, always, c.work); errors.Is(err, introspect.Overloaded) {
					refused.Add(1)
				} else if err != nil {
					t.Error(err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		all.Wait()
		if c.calls.Load() != 1 || refused.Load() == 0 {
			t.Errorf("%d calls, %d refused", c.calls.Load(), refused.Load())
		}
	})
}

// TestFlightsMemory shows that nothing is left of flights that have landed.
func TestFlightsMemory(t *testing.T) {
	f := introspection.NewFlights[int64](time.Second, nil)
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := heap()
	for i := range 100_000 {
		key := [32]byte{byte(i), byte(i >> 8), byte(i >> 16)}
		if _, err := f.Do(t.Context(), key, always, func(context.Context) (int64, error) { return 1, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if after := heap(); after > before+1<<20 {
		t.Errorf("the memory grew from %d to %d bytes", before, after)
	}
}

// TestFlightsRace lets many goroutines use the same few keys.
func TestFlightsRace(t *testing.T) {
	f := introspection.NewFlights[int64](time.Second, nil)
	var calls atomic.Int64
	var all sync.WaitGroup
	for g := range 16 {
		all.Go(func() {
			for i := range 500 {
				useful := always
				if i%3 == 0 {
					useful = never
				}
				ctx, cancel := context.WithCancel(t.Context())
				if g == 0 {
					cancel()
				}
				n, err := f.Do(ctx, [32]byte{byte(i % 3)}, useful, func(context.Context) (int64, error) { return calls.Add(1), nil })
				if g != 0 && (n == 0 || err != nil) {
					t.Error(n, err)
				}
				cancel()
			}
		})
	}
	all.Wait()
}

// BenchmarkFlights measures what Do adds to work.
func BenchmarkFlights(b *testing.B) {
	f := introspection.NewFlights[int64](time.Second, nil)
	ctx := b.Context()
	work := func(context.Context) (int64, error) { return 1, nil }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Do(ctx, [32]byte{}, always, work); err != nil {
			b.Fatal(err)
		}
	}
}
