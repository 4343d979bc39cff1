package issuerkeys

import "time"

// deadline is an instant by both clocks. The monotonic clock stands still while a
// machine is suspended, and the wall clock can be set back, so the deadline has
// passed as soon as either clock says so.
type deadline struct {
	at   time.Time
	wall int64 // at in ns since 1970
}

// never is beyond the life of any process.
var never = until(time.Date(2200, time.January, 1, 0, 0, 0, 0, time.UTC))

func until(at time.Time) deadline { return deadline{at, at.UnixNano()} }

func (d deadline) passed(now time.Time) bool { return d.passedWall(now) || d.passedClock(now) }

// passedWall and passedClock are the halves of passed, which is too large to be
// inlined in hot code.
func (d deadline) passedWall(now time.Time) bool  { return now.UnixNano() >= d.wall }
func (d deadline) passedClock(now time.Time) bool { return !now.Before(d.at) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
