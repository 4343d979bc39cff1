package detached_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// TestWaiters shows that one flight has as many waiters as there are places left
// beside a quarter, which is for flights with few.
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

// TestWaitersPart shows that a part has a bound of its own, that who waits in it
// counts in the whole, and that the rest has room.
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
