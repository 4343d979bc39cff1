package jwkscache

import (
	"math/rand/v2"
	"time"
)

const (
	firstBackoff = time.Second
	// longestNap keeps Run from oversleeping the suspension of a machine and,
	// with MinFresh, what others fetched meanwhile.
	longestNap = time.Minute
	// shortestNap keeps Run from turning in circles, whatever happens.
	shortestNap = time.Second
)

// schedule is when an issuer may and should be asked again. It is guarded by
// the lock of its Keys.
type schedule struct {
	limits   *Limits
	cap      time.Duration // of the backoff
	started  time.Time     // when the last fetch began
	failures int           // in a row
	due      deadline      // when Run asks again; zero is now
	retry    time.Time     // when a request that met stale keys may ask again
	urgent   time.Time     // when one without usable keys may
	hold     time.Time     // until when the issuer wants to be left alone (Retry-After)
}

// succeeded plans the renewal of a version.
func (s *schedule) succeeded(renewal deadline) {
	s.failures = 0
	s.due, s.retry, s.urgent, s.hold = renewal, time.Time{}, time.Time{}, time.Time{}
}

// failed plans the next attempt after a failure, at now. A renewal planned for
// later than that stays.
func (s *schedule) failed(now time.Time, retryAfter time.Duration) {
	s.failures++
	pause := jittered(s.backoff())
	s.hold = now.Add(min(retryAfter, s.limits.MaxRetryAfter))
	s.retry = later(now.Add(pause), s.hold)
	s.urgent = later(s.started.Add(min(pause, s.limits.FruitlessInterval)), now.Add(min(retryAfter, s.limits.MaxRetryAfter, s.limits.MaxBackoff)))
	if s.due.at.Before(s.retry) || s.due.passed(now) { // either clock
		s.due = until(s.retry)
	}
}

// backoff is how long to leave an issuer alone after failures in a row.
func (s *schedule) backoff() time.Duration {
	const doublings = 12 // more than reach MaxBackoff
	return min(firstBackoff<<min(max(s.failures-1, 0), doublings), s.cap)
}

// nap is how long Run sleeps at now.
func (s *schedule) nap(now time.Time) time.Duration {
	return max(shortestNap, min(s.due.at.Sub(now), longestNap, s.limits.MinFresh))
}

// jittered spreads a pause over its second half, so that a fleet spreads.
func jittered(pause time.Duration) time.Duration {
	return pause - rand.N(pause/2+1) //nolint:gosec // jitter
}

// renewalAfter is when a set that is fresh for so long is asked for again:
// within its last fifth.
func renewalAfter(fresh time.Duration) time.Duration {
	return fresh - fresh/10 - rand.N(fresh/10+1) //nolint:gosec // jitter
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
