package detached_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// TestWaiters shows that one flight can have as many callers as there are places
// left, except for a quarter, which is for flights with few callers.
func TestWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waiters := detached.NewWaiters(100)
		var all sync.WaitGroup
		var flights []*detached.Flight
		wait := func(f *detached.Flight, n, limit int) {
			for range n {
				all.Go(func() {
					if err := waiters.Wait(t.Context(), f, limit); err != nil && !errors.Is(err, detached.ErrWaiters) {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
		}
		for i, want := range []int{37, 19, 9, 5, 4, 4, 4, 4, 4, 4, 4, 2, 0} {
			f := detached.NewFlight()
			flights = append(flights, f)
			wait(f, 50, 100)
			if f.Waiting() != want {
				t.Errorf("%d wait for flight %d, want %d", f.Waiting(), i, want)
			}
		}
		if waiters.Waiting() != 100 {
			t.Errorf("%d wait", waiters.Waiting())
		}
		flights[0].Land(nil)
		synctest.Wait()
		if wait(flights[12], 20, 2); flights[12].Waiting() != 2 {
			t.Errorf("%d wait for a flight with a limit of its own", flights[12].Waiting())
		}
		for _, f := range flights[1:] {
			f.Land(nil)
		}
		all.Wait()
		if waiters.Waiting() != 0 {
			t.Errorf("%d wait in the end", waiters.Waiting())
		}
	})
	synctest.Test(t, func(t *testing.T) { // no bound
		f := detached.NewFlight()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				if err := (*detached.Waiters)(nil).Wait(t.Context(), f, 100); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		f.Land(nil)
		all.Wait()
	})
}

// TestWaitersPart shows that a part has a bound of its own, that its callers count
// in the whole, and that the rest has places for others.
func TestWaitersPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := detached.NewWaiters(30)
		part := whole.Part(20)
		var all sync.WaitGroup
		var flights []*detached.Flight
		for _, step := range []struct {
			name              string
			waiters           *detached.Waiters
			flights           int
			inPart, wantWhole int
		}{
			{"the part", part, 20, 20, 20},
			{"the whole beside it", whole, 20, 20, 30},
			{"the part again", part, 20, 20, 30},
		} {
			for range step.flights {
				f := detached.NewFlight()
				flights = append(flights, f)
				all.Go(func() {
					if err := step.waiters.Wait(t.Context(), f, 1); err != nil && !errors.Is(err, detached.ErrWaiters) {
						t.Error(err)
					}
				})
				synctest.Wait()
			}
			if part.Waiting() != step.inPart || whole.Waiting() != step.wantWhole {
				t.Errorf("%s: %d wait in the part, %d in all, want %d, %d", step.name, part.Waiting(), whole.Waiting(), step.inPart, step.wantWhole)
			}
		}
		for _, f := range flights {
			f.Land(nil)
		}
		all.Wait()
		if part.Waiting() != 0 || whole.Waiting() != 0 {
			t.Errorf("%d wait in the part, %d in all in the end", part.Waiting(), whole.Waiting())
		}
	})
}

// TestNoWait checks that a caller with such a context gets the result of work that has
// ended, and [detached.ErrNoWait] at once while it is under way. Work is not told.
func TestNoWait(t *testing.T) {
	f := detached.NewFlight()
	ctx := detached.NoWait(t.Context())
	waiters := detached.NewWaiters(1)
	for name, wait := range map[string]func(context.Context, *detached.Flight, int) error{
		"a flight":    func(ctx context.Context, f *detached.Flight, limit int) error { return f.Wait(ctx, limit) },
		"with others": waiters.Wait,
	} {
		if err := wait(ctx, f, 1); !errors.Is(err, detached.ErrNoWait) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, over, err := detached.Do(ctx, time.Second, func(ctx context.Context) (int, error) {
		other := detached.NewFlight()
		go other.Land(errWork)
		return 0, other.Wait(ctx, 1)
	})
	if <-over; !errors.Is(err, errWork) {
		t.Errorf("work does not wait: %v", err)
	}
	f.Land(errWork)
	if err := f.Wait(ctx, 1); !errors.Is(err, errWork) {
		t.Errorf("it has ended: %v", err)
	}
}
