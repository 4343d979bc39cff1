package clock

import "time"

// Moment is an instant by two clocks. The monotonic clock stands still while a
// machine is suspended, and the wall clock can be set back. The zero Moment is no
// instant.
type Moment struct {
	Monotonic time.Duration // since a start that the owner chose
	Wall      int64         // ns since 1970
}

// MomentAt returns now as a Moment, with the monotonic time since start.
func MomentAt(now, start time.Time) Moment { return Moment{now.Sub(start), now.UnixNano()} }

// Age returns how long before now m was, by the clock that says more.
func (m Moment) Age(now Moment) time.Duration {
	return max(now.Monotonic-m.Monotonic, time.Duration(now.Wall-m.Wall))
}
