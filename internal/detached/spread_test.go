package detached

import (
	"context"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestSpread checks that some callers go on at once and the others at even distances, none
// later than the longest time, that a context ends the wait, and that NoWait does not wait.
func TestSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const some, callers = 10, 110
		s := NewSpread(some, time.Second, callers)
		waited := make(chan time.Duration, 2*callers)
		began := time.Now()
		var all sync.WaitGroup
		for range callers + 50 {
			all.Go(func() { s.Wait(t.Context()); waited <- time.Since(began) })
		}
		synctest.Wait()
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		s.Wait(ended)
		s.Wait(NoWait(t.Context()))
		if now := time.Since(began); now != 0 {
			t.Errorf("callers that must not wait have waited until %v", now)
		}
		all.Wait()
		close(waited)
		counts := make(map[time.Duration]int)
		for d := range waited {
			counts[d]++
		}
		want := map[time.Duration]int{0: some, time.Second: 1 + 50}
		for i := 1; i < callers-some; i++ {
			want[time.Duration(i)*10*time.Millisecond] = 1
		}
		if !maps.Equal(counts, want) {
			t.Errorf("callers went on after %v, want %v", counts, want)
		}
		time.Sleep(time.Minute)
		began = time.Now()
		for range some {
			s.Wait(t.Context())
		}
		if !time.Now().Equal(began) {
			t.Errorf("few callers waited for %v", time.Since(began))
		}
	})
}
