package detached

import (
	"context"
	"sync"
	"time"
)

// Spread lets callers go on one after the other: those that waited for the same flight
// would otherwise use the processors all at once, and keep everybody else waiting.
type Spread struct {
	free          time.Duration // how much of the time is for callers who do not wait
	each, longest time.Duration

	mu   sync.Mutex
	next time.Time // when the time of the next caller begins
}

// NewSpread returns a Spread for that many callers who come at once: some of them go on, and
// the last of the others waits for longest.
func NewSpread(some int, longest time.Duration, callers int) *Spread {
	each := longest / time.Duration(max(callers-some, 1))
	return &Spread{free: time.Duration(some) * each, each: each, longest: longest}
}

// Wait waits until the caller may go on, but no longer than ctx. One whose ctx is from
// [NoWait] does not wait.
func (s *Spread) Wait(ctx context.Context) {
	pause := s.take(time.Now())
	if pause <= 0 || ctx.Value(noWaitKey{}) != nil {
		return
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// take returns how long the next caller waits.
func (s *Spread) take(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next.Before(now) {
		s.next = now
	}
	pause := s.next.Add(s.each).Sub(now) - s.free
	if pause >= s.longest {
		return s.longest // also for more callers than expected
	}
	s.next = s.next.Add(s.each)
	return pause
}
