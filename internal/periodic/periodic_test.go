package periodic_test

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/periodic"
)

const period = 500 * time.Millisecond

// slots is how many parts the period has.
const slots = 500

// value records its visits.
type value struct {
	place   periodic.Entry[value]
	visited func([]time.Duration)

	mu  sync.Mutex
	all []time.Duration // since the start of the test
}

// visits returns when the value was visited.
func (v *value) visits() []time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.all)
}

// recorder returns a Group that records its visits.
func recorder() *periodic.Group[value] {
	start := time.Now()
	return periodic.New(period, func(v *value, now time.Time) {
		v.mu.Lock()
		v.all = append(v.all, now.Sub(start))
		v.mu.Unlock()
		if v.visited != nil {
			v.visited(v.visits())
		}
	})
}

// TestVisits checks that every value is visited once per period from its addition to its
// removal, and that the visits are spread.
func TestVisits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4 * slots
		g := recorder()
		time.Sleep(time.Minute)
		values := make([]value, n)
		for i := range values {
			g.Add(&values[i].place, &values[i])
			g.Add(&values[i].place, &values[i]) // changes nothing
		}
		time.Sleep(10 * period)
		synctest.Wait()
		perInstant := map[time.Duration]int{}
		for i := range values {
			visits := values[i].visits()
			if len(visits) != 10 {
				t.Fatalf("%d visits in 10 periods: %v", len(visits), visits)
			}
			for j, at := range visits {
				perInstant[at]++
				if want := visits[0] + time.Duration(j)*period; at != want {
					t.Fatalf("visits at %v, which are not a period apart", visits)
				}
			}
		}
		for at, count := range perInstant {
			if count != n/slots {
				t.Errorf("%d visits at %v, want %d", count, at, n/slots)
			}
		}
		for i := range values {
			g.Remove(&values[i].place)
			g.Remove(&values[i].place)
		}
		time.Sleep(10 * period)
		synctest.Wait()
		for i := range values {
			if n := len(values[i].visits()); n != 10 {
				t.Fatalf("%d visits, also after the removal", n)
			}
		}
		if g.Len() != 0 {
			t.Errorf("%d entries are left", g.Len())
		}
	})
}

// TestSpreadAfterRemovals checks that new values get the places of removed ones.
func TestSpreadAfterRemovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := recorder()
		values := make([]value, 4*slots)
		for i := range values {
			g.Add(&values[i].place, &values[i])
		}
		for i := range values {
			if i%4 != 0 {
				g.Remove(&values[i].place)
			}
		}
		for i := range values {
			g.Add(&values[i].place, &values[i])
		}
		time.Sleep(period)
		synctest.Wait()
		perInstant := map[time.Duration]int{}
		for i := range values {
			visits := values[i].visits()
			if len(visits) != 1 {
				t.Fatalf("%d visits in one period", len(visits))
			}
			perInstant[visits[0]]++
		}
		for at, count := range perInstant {
			if count != 4 {
				t.Errorf("%d visits at %v, want 4", count, at)
			}
		}
		for i := range values {
			g.Remove(&values[i].place)
		}
	})
}

// TestFirstVisit checks that a value is visited within one period after it was added,
// whatever else is in the Group, and also while the timer is set for a later one.
func TestFirstVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := recorder()
		random := rand.New(rand.NewPCG(1, 2))
		var values []*value
		start := time.Now()
		for range 300 {
			time.Sleep(time.Duration(random.IntN(int(period))))
			v, added := new(value), time.Since(start)
			values = append(values, v)
			v.visited = func(visits []time.Duration) {
				if first := visits[0]; first <= added || first > added+period {
					t.Errorf("added at %v and visited at %v", added, first)
				}
				if i := len(visits) - 1; i > 0 && visits[i]-visits[i-1] != period {
					t.Errorf("visits at %v", visits)
				}
			}
			g.Add(&v.place, v)
			if random.IntN(2) == 0 {
				i := random.IntN(len(values))
				g.Remove(&values[i].place)
				values[i] = values[len(values)-1]
				values = values[:len(values)-1]
			}
			synctest.Wait()
		}
		for _, v := range values {
			g.Remove(&v.place)
		}
	})
}

// TestNothingRuns checks that an empty Group has no timer: in a bubble, time does not
// pass by itself for ever, and no goroutine is there in between.
func TestNothingRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := recorder()
		values := make([]value, 10_000)
		before := runtime.NumGoroutine()
		for i := range values {
			g.Add(&values[i].place, &values[i])
		}
		time.Sleep(period + time.Millisecond)
		synctest.Wait()
		if after := runtime.NumGoroutine(); after > before+2 { // the timer, and what other tests leave
			t.Errorf("%d goroutines, and %d before", after, before)
		}
		for i := range values {
			g.Remove(&values[i].place)
		}
		// A timer that is left would let the test end late, and the next line would
		// count its visits.
		visited := len(values[0].visits())
		time.Sleep(time.Hour)
		if len(values[0].visits()) != visited {
			t.Error("removed values are visited")
		}
	})
}

// TestChangesInVisits checks that a visit may add and remove values, also its own.
func TestChangesInVisits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := recorder()
		var last *value
		first := new(value)
		first.visited = func([]time.Duration) {
			g.Remove(&first.place)
			last = new(value)
			g.Add(&last.place, last)
		}
		g.Add(&first.place, first)
		time.Sleep(3 * period)
		synctest.Wait()
		if one, other := len(first.visits()), len(last.visits()); one != 1 || other < 2 || other > 3 {
			t.Errorf("%d and %d visits, want 1 and 2 or 3", one, other)
		}
		g.Remove(&last.place)
	})
}

// TestPause checks that a visit that takes long delays the others, and that each of them
// comes once after it, not once for each period that was missed.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := recorder()
		slow := &value{visited: func(visits []time.Duration) {
			if len(visits) == 1 {
				time.Sleep(10 * period)
			}
		}}
		others := make([]value, 99)
		g.Add(&slow.place, slow)
		for i := range others {
			g.Add(&others[i].place, &others[i])
		}
		time.Sleep(12*period - 1)
		synctest.Wait()
		for i := range others {
			if n := len(others[i].visits()); n < 2 || n > 4 {
				t.Fatalf("%d visits: %v", n, others[i].visits())
			}
		}
		before := len(others[0].visits())
		time.Sleep(10 * period)
		synctest.Wait()
		if n := len(others[0].visits()) - before; n != 10 {
			t.Errorf("%d visits in the next 10 periods", n)
		}
		g.Remove(&slow.place)
		for i := range others {
			g.Remove(&others[i].place)
		}
	})
}

// TestConcurrentUse adds and removes values from several goroutines, for the race
// detector.
func TestConcurrentUse(t *testing.T) {
	g := periodic.New(50*time.Millisecond, func(*value, time.Time) {})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			values := make([]value, 100)
			for range 50 {
				for i := range values {
					g.Add(&values[i].place, &values[i])
				}
				for i := range values {
					g.Remove(&values[i].place)
				}
			}
		})
	}
	all.Wait()
	if g.Len() != 0 {
		t.Errorf("%d entries are left", g.Len())
	}
}
