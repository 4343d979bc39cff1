package directory

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestQuickCalls shows that quick lookups are not limited in rate.
func TestQuickCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := newTest(3)
		start := time.Now()
		for i := range 3000 {
			want(t, d, fmt.Sprint("nobody", i), errUnknown)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("3000 lookups took %v", took)
		}
	})
}

// flood looks up n names at once and returns the errors as they come.
func flood(t *testing.T, d *Directory[thing], n int, prefix string) <-chan error {
	t.Helper()
	results := make(chan error, n)
	for i := range n {
		go func() {
			_, err := d.Get(t.Context(), fmt.Sprint(prefix, i))
			results <- err
		}()
	}
	synctest.Wait()
	return results
}

// TestSlowCalls shows that slow lookups of strangers are given up while others
// wait, that the queue is bounded, and that known and accepted names do not wait
// for strangers.
func TestSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		want(t, d, "known", nil)
		d.config.Accepted.Add("accepted")
		<-time.After(freshAge)
		s.set(func() { s.takes = 4 * time.Second })
		defer func() { <-time.After(callTimeout) }() // until all calls have ended
		results := flood(t, d, maxCalls+maxQueued, "nobody")
		if len(results) != 0 {
			t.Fatalf("%d lookups end at once", len(results))
		}
		want(t, d, "one more", ErrBusy)
		s.set(func() { s.takes = 0 })
		start := time.Now()
		want(t, d, "known", nil)
		want(t, d, "accepted", nil)
		if took := time.Since(start); took != 0 {
			t.Errorf("a known and an accepted name waited %v", took)
		}
		<-time.After(quickCall + 2*laneInterval)
		given := 0
		for range len(results) {
			if err := <-results; errors.Is(err, ErrBusy) {
				given++
			}
		}
		if given != maxCalls-maxSlowCalls {
			t.Errorf("%d slow lookups were given up, want %d", given, maxCalls-maxSlowCalls)
		}
	})
}

// TestQueueEnds shows that a lookup that waits for a place is given up after five
// seconds, and that nothing of it remains.
func TestQueueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newTest(3)
		s.ignores = make(chan struct{})
		flood(t, d, maxCalls, "nobody")
		start := time.Now()
		want(t, d, "one more", ErrBusy)
		if took := time.Since(start); took < callTimeout || took > callTimeout+laneInterval {
			t.Errorf("it was given up after %v", took)
		}
		if n := len(d.strangers.underWay); n != maxCalls {
			t.Errorf("%d calls keep their place until they end, want %d", n, maxCalls)
		}
		close(s.ignores)
		<-time.After(callTimeout)
		synctest.Wait()
		if l := &d.strangers; len(l.queue) != 0 || len(l.underWay) != 0 || len(d.calls) != 0 {
			t.Errorf("%d calls wait, %d are under way, %d are joined", len(l.queue), len(l.underWay), len(d.calls))
		}
	})
}
