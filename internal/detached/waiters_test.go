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
