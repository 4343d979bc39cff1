// Package periodic visits many values once per period, for checks of things that
// live long. The visits are spread over the period, and one timer starts them all:
// no goroutine waits, and nothing runs while there is nothing to visit.
package periodic

import (
	"slices"
	"sync"
	"time"
)

// slotCount is how many parts the period has. The values of one part are visited
// together. With many parts, what the visits start does not keep other goroutines
// waiting for long.
const slotCount = 500

// Group visits its entries once per period. [New] makes one. It is safe for concurrent
// use.
type Group[T any] struct {
	visit func(*T, time.Time)
	slot  time.Duration // period / slotCount

	mu       sync.Mutex // not held during visits
	slots    [slotCount][]*Entry[T]
	count    int
	after    int // the slot of the last Add
	start    time.Time
	visited  int64 // the number of the last slot that was visited; numbers count from start
	timer    *time.Timer
	armed    int64 // the number of the slot that the timer is set for; 0 if it is not set
	visiting bool
	batch    []*T // the values that are visited now
}

// Entry is the place of a value in a Group. It is part of the value, so that adding it
// allocates nothing. The zero Entry is in no Group.
type Entry[T any] struct {
	value *T
	slot  int32 // plus 1; 0 if the entry is in no Group
	index int32 // in its slot
}

// New returns an empty Group. It starts nothing. visit is called with a value and the
// current time, for one value after the other, so it must be quick and must not panic.
func New[T any](period time.Duration, visit func(*T, time.Time)) *Group[T] {
	return &Group[T]{visit: visit, slot: period / slotCount}
}

// Period returns how far apart the visits of a value are.
func (g *Group[T]) Period() time.Duration { return g.slot * slotCount }

// Add adds value, whose entry is e. It is visited within one period for the first
// time. An entry that is in a Group already stays where it is.
func (g *Group[T]) Add(e *Entry[T], value *T) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.slot != 0 {
		return
	}
	now := time.Now()
	if g.start.IsZero() {
		g.start = now
	}
	if n := g.number(now); !g.visiting && (g.armed == 0 || n < g.armed) {
		g.visited = n // nothing was to be visited since
	}
	s := g.shortest()
	e.value, e.slot, e.index = value, int32(s)+1, int32(len(g.slots[s])) //nolint:gosec // a slot has far fewer
	g.slots[s] = append(g.slots[s], e)
	g.count++
	g.after = s
	g.arm(now)
}

// Remove removes an entry. A visit of it that is under way goes on. It does nothing if
// the entry is not in the Group.
func (g *Group[T]) Remove(e *Entry[T]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e.slot == 0 {
		return
	}
	s := e.slot - 1
	all := g.slots[s]
	last := all[len(all)-1]
	all[e.index], last.index = last, e.index
	all[len(all)-1] = nil
	all = all[:len(all)-1]
	if len(all) < cap(all)/4 {
		all = slices.Clone(all)
	}
	g.slots[s] = all
	e.slot, e.value = 0, nil
	if g.count--; g.count == 0 && g.armed != 0 {
		g.armed = 0
		g.timer.Stop()
	}
}

// Len returns the number of entries.
func (g *Group[T]) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}

// shortest returns the slot with the fewest entries: the first one after that of the
// last Add. The lock is held.
func (g *Group[T]) shortest() int {
	best := (g.after + 1) % slotCount
	for i := 2; i <= slotCount && len(g.slots[best]) > 0; i++ {
		if s := (g.after + i) % slotCount; len(g.slots[s]) < len(g.slots[best]) {
			best = s
		}
	}
	return best
}

// number returns the number of the slot whose time it is.
func (g *Group[T]) number(now time.Time) int64 { return int64(now.Sub(g.start) / g.slot) }

// next returns the number of the next slot that has entries, or 0 if none has. The
// lock is held.
func (g *Group[T]) next() int64 {
	if g.count == 0 {
		return 0
	}
	for n := g.visited + 1; ; n++ {
		if len(g.slots[n%slotCount]) > 0 {
			return n
		}
	}
}

// arm sets the timer for the next slot that has entries. The lock is held.
func (g *Group[T]) arm(now time.Time) {
	next := g.next()
	if g.visiting || next == 0 || g.armed != 0 && g.armed <= next {
		return
	}
	g.armed = next
	wait := time.Duration(next)*g.slot - now.Sub(g.start)
	if g.timer == nil {
		g.timer = time.AfterFunc(wait, g.run)
	} else {
		g.timer.Reset(wait)
	}
}

// run visits the entries of the slots whose time has come. After a pause of the
// program, it visits each entry once.
func (g *Group[T]) run() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.visiting { // the timer was set anew while it fired
		return
	}
	g.visiting, g.armed = true, 0
	due := g.number(time.Now())
	for n := max(g.visited+1, due-slotCount+1); n <= due; n++ {
		g.visitSlot(g.slots[n%slotCount])
	}
	g.visited, g.visiting = due, false
	g.arm(time.Now())
}

// visitSlot visits entries, without the lock, which is held when it is called and when
// it returns.
func (g *Group[T]) visitSlot(entries []*Entry[T]) {
	if len(entries) == 0 {
		return
	}
	batch := g.batch[:0]
	for _, e := range entries {
		batch = append(batch, e.value)
	}
	g.mu.Unlock()
	now := time.Now()
	for _, value := range batch {
		g.visit(value, now)
	}
	clear(batch) // so that it keeps nothing in memory
	g.mu.Lock()
	g.batch = batch
}
