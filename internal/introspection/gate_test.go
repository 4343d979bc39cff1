package introspection

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/sallyport-auth/sallyport/introspect"
)

// stuck is an endpoint that answers when it is released.
type stuck struct {
	endpointFunc

	release chan struct{}
	running atomic.Int64
	most    atomic.Int64
}

func newStuck() *stuck {
	s := &stuck{release: make(chan struct{})}
	s.endpointFunc = func(context.Context, Question) attempt {
		s.most.Store(max(s.most.Load(), s.running.Add(1)))
		defer s.running.Add(-1)
		<-s.release
		return yes
	}
	return s
}

// TestGate shows how many requests are sent and wait, for tokens that were active before
// and for others, with the bounds of one issuer and with those of all issuers. A quarter
// of the places is reserved for known tokens. One that finds no room in the queue is
// refused at once, and one that waits in vain after Limits.QueueTimeout.
func TestGate(t *testing.T) {
	for _, row := range []struct {
		name               string
		limits             introspect.Limits
		shared             introspect.SharedLimits
		running, queued    int // with strangers only
		allRuns, allQueued int // with known tokens as well
	}{
		{"of the issuer", introspect.Limits{Concurrency: 8, Queue: 10}, introspect.SharedLimits{}, 6, 7, 8, 10},
		{"of all issuers", introspect.Limits{}, introspect.SharedLimits{Concurrency: 8, Queue: 10}, 6, 7, 8, 10},
		{"one place", introspect.Limits{Concurrency: 1, Queue: 1}, introspect.SharedLimits{}, 1, 1, 1, 1},
		{"two places", introspect.Limits{}, introspect.SharedLimits{Concurrency: 2, Queue: 2}, 1, 1, 2, 2},
		{"the defaults", introspect.Limits{}, introspect.SharedLimits{}, 24, 192, 32, 256},
	} {
		synctest.Test(t, func(t *testing.T) {
			shared, err := NewShared(row.shared)
			if err != nil {
				t.Fatal(err)
			}
			x := newStuck()
			var seen recorder
			a := newAsker(t, introspect.Client{Limits: row.limits}, Binding{Shared: shared, Trace: seen.trace()}, x)
			var all sync.WaitGroup
			flood := func(known bool) {
				for range 400 {
					all.Go(func() {
						start := time.Now()
						_, err := a.Ask(t.Context(), Question{Known: known})
						if err == nil {
							return
						}
						if kindOf(t, err) != introspect.Overloaded || retryAfter(t, err) != time.Second {
							t.Error(err)
						}
						if took := time.Since(start); took != 0 && took != time.Second {
							t.Errorf("%s: refused after %v", row.name, took)
						}
					})
				}
				synctest.Wait()
			}
			flood(false)
			if s := a.Status(); s.UnderWay != row.running || s.Queued != row.queued || int(x.running.Load()) != row.running || len(seen.asked) != 400-row.running-row.queued {
				t.Errorf("%s, strangers: %+v, %d running, %d refused", row.name, s, x.running.Load(), len(seen.asked))
			}
			flood(true)
			if s := a.Status(); s.UnderWay != row.allRuns || s.Queued != row.allQueued || int(x.running.Load()) != row.allRuns {
				t.Errorf("%s, all: %+v, %d running", row.name, s, x.running.Load())
			}
			time.Sleep(time.Second) // all that wait are refused
			synctest.Wait()
			if s := a.Status(); s.UnderWay != row.allRuns || s.Queued != 0 || seen.last().Queued != time.Second {
				t.Errorf("%s, later: %+v, %+v", row.name, s, seen.last())
			}
			close(x.release)
			all.Wait()
			for range 3 { // all is given back
				if _, err := a.Ask(t.Context(), Question{}); err != nil {
					t.Error(err)
				}
			}
			if s := a.Status(); s != (introspect.Status{Issuer: a.binding.Issuer, State: introspect.Asking}) || shared.gate.all.waiting.Load() != 0 || shared.gate.strangers.waiting.Load() != 0 {
				t.Errorf("%s, in the end: %+v", row.name, s)
			}
			for i, n := range []int{a.client.Limits.Concurrency, shared.limits.Concurrency} {
				g, own := []*gate{a.gates.issuer, a.gates.all}[i], 0
				if i == 1 && a.gates.own != nil {
					own = 1
				}
				if !g.all.places.TryAcquire(int64(n-own)) || !g.strangers.places.TryAcquire(int64(n-reserved(n)-own)) || own == 1 && !a.gates.own.TryAcquire(1) {
					t.Errorf("%s: places of gate %d were not given back", row.name, i)
				}
			}
			if int(x.most.Load()) != row.allRuns {
				t.Errorf("%s: %d requests at once", row.name, x.most.Load())
			}
		})
	}
}

// TestGateGivesBack shows that strangers who find no place, because known tokens have
// all, give back the place among those of strangers.
func TestGateGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newStuck()
		a := newAsker(t, introspect.Client{Limits: introspect.Limits{Concurrency: 8}}, Binding{}, x)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { _, _ = a.Ask(t.Context(), Question{Known: true}) })
		}
		synctest.Wait()
		for range 20 {
			all.Go(func() {
				if _, err := a.Ask(t.Context(), Question{}); kindOf(t, err) != introspect.Overloaded {
					t.Error(err)
				}
			})
		}
		time.Sleep(2 * time.Second)
		close(x.release)
		all.Wait()
		if g := a.gates.issuer; !g.all.places.TryAcquire(8) || !g.strangers.places.TryAcquire(6) {
			t.Error("places were not given back")
		}
	})
}

// TestOtherIssuers shows that an issuer that hangs leaves places for another one, and
// that a request which waits gets a turn when one ends.
func TestOtherIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, err := NewShared(introspect.SharedLimits{})
		if err != nil {
			t.Fatal(err)
		}
		x := newStuck()
		slow := newAsker(t, introspect.Client{Limits: introspect.Limits{QueueTimeout: 30 * time.Second}}, Binding{Shared: shared}, x)
		result := yes
		y, _ := counted(&result)
		other := newAsker(t, introspect.Client{}, Binding{Shared: shared}, y)
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				if _, err := slow.Ask(t.Context(), Question{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		start := time.Now()
		for range 1000 {
			if _, err := other.Ask(t.Context(), Question{}); err != nil {
				t.Fatal(err)
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("the other issuer took %v", time.Since(start))
		}
		close(x.release)
		all.Wait() // those that waited, too
	})
}

// TestReserve shows that an issuer gets a place of its own only if one is free, so that no
// more requests are sent at once, and that the place among those of strangers is given
// back if there is none.
func TestReserve(t *testing.T) {
	g := newGate(8, 8, errInjected)
	free := func(s *semaphore.Weighted) bool { return s.TryAcquire(1) }
	for range 8 {
		g.take(true, free)
	}
	if own := g.reserve(8); own != nil {
		t.Error("a ninth place")
	}
	for range 8 {
		g.leave(true)
	}
	if !g.strangers.places.TryAcquire(6) {
		t.Error("a place of strangers was not given back")
	}
}

// TestNoOwnPlace shows that an issuer without a place of its own gets a turn when a request
// of another issuer ends, and gives it back.
func TestNoOwnPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, err := NewShared(introspect.SharedLimits{Concurrency: 1})
		if err != nil {
			t.Fatal(err)
		}
		x := newStuck()
		slow := newAsker(t, introspect.Client{}, Binding{Shared: shared}, x)
		other := newAsker(t, introspect.Client{}, Binding{Shared: shared}, picky(no))
		if other.gates.own != nil {
			t.Fatal("the issuer has a place of its own")
		}
		var all sync.WaitGroup
		all.Go(func() { _, _ = slow.Ask(t.Context(), Question{}) })
		synctest.Wait()
		for range 3 {
			all.Go(func() {
				if _, err := other.Ask(t.Context(), Question{}); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if s := other.Status(); s.Queued != 3 {
			t.Errorf("%+v", s)
		}
		close(x.release)
		all.Wait()
		if s := other.Status(); s.UnderWay != 0 || s.Queued != 0 || !shared.gate.all.places.TryAcquire(1) {
			t.Errorf("%+v, or the place was not given back", s)
		}
	})
}

// TestSlowIssuers shows that issuers that take all the time they have, and have taken all
// places of all issuers, leave one for another issuer.
func TestSlowIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, err := NewShared(introspect.SharedLimits{})
		if err != nil {
			t.Fatal(err)
		}
		x := newStuck()
		fast := newAsker(t, introspect.Client{}, Binding{Shared: shared}, picky(no))
		var all sync.WaitGroup
		for range 5 {
			a := newAsker(t, introspect.Client{Limits: introspect.Limits{QueueTimeout: 30 * time.Second}}, Binding{Shared: shared}, x)
			for range 40 {
				all.Go(func() { _, _ = a.Ask(t.Context(), Question{}) })
			}
		}
		synctest.Wait()
		if fast.gates.all.strangers.places.TryAcquire(1) {
			t.Error("the slow issuers left a place among those of all issuers")
		}
		// 90 places are shared, and each of the five may have one of its own.
		if n := x.running.Load(); n <= 90 || n > 95 {
			t.Errorf("%d requests of the slow issuers are under way", n)
		}
		for range 20 {
			for range 10 { // which take turns
				all.Go(func() {
					if _, err := fast.Ask(t.Context(), Question{}); err != nil {
						t.Error(err)
					}
				})
			}
			time.Sleep(time.Second)
		}
		close(x.release)
		all.Wait()
		if s := fast.Status(); s.UnderWay != 0 || s.Queued != 0 || !fast.gates.own.TryAcquire(1) {
			t.Errorf("%+v, or the place of the issuer was not given back", s)
		}
	})
}

// TestGateContext shows that a caller that ends while it waits leaves the queue.
func TestGateContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := newStuck()
		a := newAsker(t, introspect.Client{Limits: introspect.Limits{Concurrency: 1}}, Binding{}, x)
		go func() { _, _ = a.Ask(t.Context(), Question{}) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := a.Ask(ctx, Question{})
		if kindOf(t, err) != introspect.Overloaded || !errors.Is(err, context.DeadlineExceeded) || a.Status().Queued != 0 {
			t.Errorf("%v, %+v", err, a.Status())
		}
		close(x.release)
		synctest.Wait()
	})
}

// TestPanic shows that a request that panics gives everything back.
func TestPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := true
		a := newAsker(t, introspect.Client{Limits: introspect.Limits{Concurrency: 2}}, Binding{}, endpointFunc(func(context.Context, Question) attempt {
			if broken {
				panic("injected")
			}
			return yes
		}))
		for i := range 10 {
			func() {
				defer func() { _ = recover() }()
				_, _ = a.Ask(t.Context(), Question{Known: i%2 == 0})
			}()
		}
		broken = false
		if _, err := a.Ask(t.Context(), Question{}); err != nil || a.Status() != (introspect.Status{Issuer: a.binding.Issuer, State: introspect.Asking}) {
			t.Errorf("%v, %+v", err, a.Status())
		}
	})
}

// TestTurnTooLate shows that a request that gets its turn after a hold or a breaker
// began is not sent.
func TestTurnTooLate(t *testing.T) {
	for kind, first := range map[introspect.Kind]attempt{
		introspect.Throttled:          failed(introspect.Throttled, 429),
		introspect.BreakerOpen:        failed(introspect.Unreachable, 0),
		introspect.CredentialsRefused: failed(introspect.CredentialsRefused, 401),
	} {
		synctest.Test(t, func(t *testing.T) {
			release, calls := make(chan struct{}), int64(0)
			a := newAsker(t, introspect.Client{Limits: introspect.Limits{Concurrency: 1}}, Binding{}, endpointFunc(func(context.Context, Question) attempt {
				calls++
				<-release
				return first
			}))
			for range failures - 1 {
				p, _, _ := a.server.enter(false, time.Now())
				a.server.leave(p, effectOf(&first, false).server, time.Now())
				p, _, _ = a.credentials.enter(false, time.Now())
				a.credentials.leave(p, effectOf(&first, false).credentials, time.Now())
			}
			var all sync.WaitGroup
			all.Go(func() { _, _ = a.Ask(t.Context(), Question{}) })
			synctest.Wait()
			all.Go(func() {
				if _, err := a.Ask(t.Context(), Question{}); kindOf(t, err) != kind || retryAfter(t, err) < time.Second {
					t.Errorf("%s: %v", kind, err)
				}
			})
			synctest.Wait()
			close(release)
			all.Wait()
			if calls != 1 {
				t.Errorf("%s: %d calls", kind, calls)
			}
		})
	}
}

// TestFlood covers R-IN-14: a million questions at a full queue are refused at once and
// leave nothing behind.
func TestFlood(t *testing.T) {
	questions, workers := 1_000_000, 8
	if testing.Short() {
		questions = 10_000
	}
	synctest.Test(t, func(t *testing.T) { // where the queue is full until the end
		x := newStuck()
		a := newAsker(t, introspect.Client{Limits: introspect.Limits{Concurrency: 4, Queue: 4}}, Binding{}, x)
		var blocked, all sync.WaitGroup
		for range 6 {
			blocked.Go(func() { _, _ = a.Ask(t.Context(), Question{}) })
		}
		synctest.Wait()
		before, start := memory(), time.Now()
		for range workers {
			all.Go(func() {
				for range questions / workers {
					if _, err := a.Ask(t.Context(), Question{}); !errors.Is(err, introspect.Overloaded) {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if after := memory(); after > before+1<<20 || time.Since(start) != 0 || a.Status().Queued != 3 {
			t.Errorf("the memory grew from %d to %d bytes in %v, %d wait", before, after, time.Since(start), a.Status().Queued)
		}
		close(x.release)
		blocked.Wait()
	})
}

// memory returns the bytes in use.
func memory() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc + stats.StackInuse
}

// BenchmarkRefusal measures what a question costs that is refused at a full queue.
func BenchmarkRefusal(b *testing.B) {
	x := newStuck()
	a := &Asker{}
	a.client.Limits = introspect.Limits{Concurrency: 1, Queue: 1, QueueTimeout: time.Hour, Timeout: time.Second}
	a.open(x)
	for range 2 {
		go func() { _, _ = a.Ask(b.Context(), Question{}) }()
	}
	for a.Status().Queued < 1 {
		runtime.Gosched()
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = a.Ask(b.Context(), Question{})
	}
	close(x.release)
}
