package sampling

import "sync/atomic"

// state is a number of events and the window in which they were. One word holds both, so
// that no event is lost or counted twice when a window ends.
type state uint64

const (
	countBits = 36 // 68 thousand million events in a window
	maxCount  = 1<<countBits - 1
	maxWindow = 1<<(64-countBits) - 1 // eight years of windows of a second
)

func stateOf(window, count uint64) state { return state(window<<countBits | count) }

func (s state) window() uint64 { return uint64(s) >> countBits }
func (s state) count() uint64  { return uint64(s) & maxCount }

// cell counts the events of one key in the latest window.
type cell struct{ current atomic.Uint64 }

// add counts an event and returns its number in its window. If the event begins a new
// window, ended is the state of the one before, which is counted no more. An event of an
// earlier window counts in the latest.
func (c *cell) add(window uint64) (n uint64, ended state) {
	for {
		old := state(c.current.Load())
		next, ended := stateOf(window, 1), old
		if old.window() >= window {
			next, ended = stateOf(old.window(), min(old.count()+1, maxCount)), 0
		}
		if c.current.CompareAndSwap(uint64(old), uint64(next)) {
			return next.count(), ended
		}
	}
}

// end begins window, unless it has begun, and returns the state of the one before.
func (c *cell) end(window uint64) (ended state) {
	for {
		old := state(c.current.Load())
		if old.window() >= window {
			return 0
		}
		if c.current.CompareAndSwap(uint64(old), uint64(stateOf(window, 0))) {
			return old
		}
	}
}

// reset begins the latest window anew, and returns its state.
func (c *cell) reset() (ended state) {
	for {
		old := state(c.current.Load())
		if c.current.CompareAndSwap(uint64(old), uint64(stateOf(old.window(), 0))) {
			return old
		}
	}
}
