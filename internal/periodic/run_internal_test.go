package periodic

import (
	"testing"
	"testing/synctest"
	"time"
)

type counted struct {
	place  Entry[counted]
	visits []time.Time
	visit  func()
}

func newCounting() *Group[counted] {
	return New(slotCount*time.Millisecond, func(c *counted, now time.Time) {
		c.visits = append(c.visits, now)
		if c.visit != nil {
			c.visit()
		}
	})
}

// TestRunTwice checks that a timer that fires during visits starts no second round of them.
func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newCounting()
		var c counted
		c.visit = func() {
			if len(c.visits) == 1 {
				g.run()
			}
		}
		g.Add(&c.place, &c)
		time.Sleep(slotCount * time.Millisecond)
		synctest.Wait()
		if len(c.visits) != 1 {
			t.Errorf("%d visits in one period", len(c.visits))
		}
		g.Remove(&c.place)
	})
}

// TestLastRemovedInVisit checks that nothing runs after the last entry was removed during
// its visit, and that a later one is visited.
func TestLastRemovedInVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newCounting()
		var first, later counted
		first.visit = func() { g.Remove(&first.place) }
		g.Add(&first.place, &first)
		time.Sleep(time.Second)
		synctest.Wait()
		if g.armed != 0 || len(first.visits) != 1 {
			t.Fatalf("the timer is set for slot %d after %d visits", g.armed, len(first.visits))
		}
		g.Add(&later.place, &later)
		time.Sleep(slotCount * time.Millisecond)
		synctest.Wait()
		if len(later.visits) != 1 {
			t.Errorf("%d visits in one period", len(later.visits))
		}
		g.Remove(&later.place)
	})
}

// TestAddInSlowVisit checks that visits go on after one that lasted longer than the time
// of a slot and during which an entry was added.
func TestAddInSlowVisit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newCounting()
		var slow, added counted
		slow.visit = func() {
			g.Add(&added.place, &added)
			time.Sleep(3 * time.Millisecond)
		}
		g.Add(&slow.place, &slow)
		time.Sleep(3 * slotCount * time.Millisecond)
		synctest.Wait()
		if len(slow.visits) < 2 || len(added.visits) < 2 {
			t.Errorf("%d and %d visits in three periods", len(slow.visits), len(added.visits))
		}
		g.Remove(&slow.place)
		g.Remove(&added.place)
		synctest.Wait()
	})
}

// TestAddBeforeTheTimer checks that the timer is set anew for an entry whose time comes
// before that of all others, so that entries that come later are not visited together.
func TestAddBeforeTheTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newCounting()
		all := make([]counted, slotCount)
		g.Add(&all[0].place, &all[0])
		time.Sleep(10*time.Millisecond + time.Millisecond/2)
		for i := range all[1:] {
			g.Add(&all[i+1].place, &all[i+1])
		}
		time.Sleep(slotCount * time.Millisecond)
		synctest.Wait()
		seen := map[time.Time]bool{}
		for i := range all {
			if len(all[i].visits) == 0 {
				t.Fatalf("entry %d was not visited in one period", i)
			}
			at := all[i].visits[0]
			if seen[at] {
				t.Errorf("two visits at %v", at)
			}
			seen[at] = true
			g.Remove(&all[i].place)
		}
	})
}
