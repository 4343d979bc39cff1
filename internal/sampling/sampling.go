// Package sampling bounds how many events are written to a log, and counts exactly
// those that are not.
//
// Events are counted by key and in windows of time. A [Sampler] starts no goroutine and
// reads no clock: each call is given the time. What was left out of a window is told
// once, by the first call after the window has ended, whatever the key of that call is.
// If no event follows, [Sampler.Due] or [Sampler.Flush] tells it.
package sampling

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Limits say which events pass. New replaces a field that is too small by the smallest
// that is allowed.
type Limits struct {
	First  int           // how many events of one key pass in a window; at least 1
	Every  int           // after these, one in Every passes; 0: none
	Window time.Duration // at least 1 s
	Keys   int           // how many keys are told apart; at least 1
}

// Dropped says how many events of one key did not pass in a window.
type Dropped[K comparable] struct {
	Key      K
	Count    uint64    // at least 1
	From, To time.Time // the window
}

// Sampler decides which events are written. It is made by [New] and safe for concurrent
// use. Its memory is bounded by Limits.Keys.
type Sampler[K comparable] struct {
	limits Limits
	other  K
	start  time.Time
	swept  atomic.Uint64 // all windows before this one were told
	cells  atomic.Pointer[map[K]*cell]
	mu     sync.Mutex // for adding to cells, which is replaced and never changed
}

// New makes a Sampler whose first window begins at start. Once Limits.Keys keys have
// been seen, the events of all further keys count under the key other.
func New[K comparable](limits Limits, other K, start time.Time) *Sampler[K] {
	limits.First, limits.Every = max(limits.First, 1), max(limits.Every, 0)
	limits.Window, limits.Keys = max(limits.Window, time.Second), max(limits.Keys, 1)
	s := &Sampler[K]{limits: limits, other: other, start: start}
	s.cells.Store(&map[K]*cell{other: new(cell)})
	return s
}

// Sample counts an event of key and reports whether it passes. told is what was dropped in
// windows that have ended, and was not told yet.
func (s *Sampler[K]) Sample(key K, now time.Time) (passes bool, told []Dropped[K]) {
	told = s.Due(now)
	key, c := s.cell(key)
	n, ended := c.add(s.window(now))
	told = s.tell(told, key, ended) // if another call is telling the same window now
	return s.passes(n), told
}

// Due returns what was dropped in windows that have ended, and was not told yet. Call it
// once in each window, so that the rest of a flood is told when no event follows.
func (s *Sampler[K]) Due(now time.Time) (told []Dropped[K]) {
	window := s.window(now)
	for swept := s.swept.Load(); swept < window; swept = s.swept.Load() {
		if s.swept.CompareAndSwap(swept, window) {
			return s.tellAll(func(c *cell) state { return c.end(window) })
		}
	}
	return nil
}

// Flush returns what was dropped and was not told yet, also in the window that has not
// ended. That window begins anew for all keys: Limits.First events of each pass again.
func (s *Sampler[K]) Flush() []Dropped[K] {
	return s.tellAll((*cell).reset)
}

// tellAll returns what was dropped according to the states that end takes from the cells.
func (s *Sampler[K]) tellAll(end func(*cell) state) (told []Dropped[K]) {
	for key, c := range *s.cells.Load() {
		told = s.tell(told, key, end(c))
	}
	return told
}

// tell adds to told what was dropped according to ended.
func (s *Sampler[K]) tell(told []Dropped[K], key K, ended state) []Dropped[K] {
	n := s.dropped(ended.count())
	if n == 0 {
		return told
	}
	from := s.start.Add(time.Duration(ended.window()) * s.limits.Window) //nolint:gosec // within the years that windowBits allow
	return append(told, Dropped[K]{Key: key, Count: n, From: from, To: from.Add(s.limits.Window)})
}

// window returns the number of the window that now is in.
func (s *Sampler[K]) window(now time.Time) uint64 {
	return min(uint64(max(now.Sub(s.start), 0)/s.limits.Window), maxWindow) //nolint:gosec // not negative
}

// passes reports whether the n-th event of a window passes.
func (s *Sampler[K]) passes(n uint64) bool {
	first, every := uint64(s.limits.First), uint64(s.limits.Every) //nolint:gosec // not negative
	return n <= first || every > 0 && (n-first)%every == 0
}

// dropped returns how many of the first n events of a window do not pass.
func (s *Sampler[K]) dropped(n uint64) uint64 {
	first, every := uint64(s.limits.First), uint64(s.limits.Every) //nolint:gosec // not negative
	if n <= first {
		return 0
	}
	n -= first
	if every > 0 {
		n -= n / every
	}
	return n
}

// cell returns the cell of key and the key that it has, which is s.other if there are too
// many keys.
func (s *Sampler[K]) cell(key K) (K, *cell) {
	cells := *s.cells.Load()
	if c := cells[key]; c != nil {
		return key, c
	}
	if len(cells) <= s.limits.Keys { // one of them is s.other
		cells = s.add(key)
		if c := cells[key]; c != nil {
			return key, c
		}
	}
	return s.other, cells[s.other]
}

// add returns the cells with one for key, unless there are too many.
func (s *Sampler[K]) add(key K) map[K]*cell {
	s.mu.Lock()
	defer s.mu.Unlock()
	cells := *s.cells.Load()
	if cells[key] != nil || len(cells) > s.limits.Keys {
		return cells
	}
	more := maps.Clone(cells)
	more[key] = new(cell)
	s.cells.Store(&more)
	return more
}
