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
	// longestHold is how long Retry-After keeps fetches for tokens away, in a
	// row of such answers.
	longestHold = 30 * time.Second
	// relocateAfter is how long fetches fail before the metadata is asked
	// whether the keys have moved.
	relocateAfter = time.Minute
)

// schedule is when an issuer may and should be asked again. It is guarded by
// the lock of its Keys.
type schedule struct {
	limits       *Limits
	cap          time.Duration // of the backoff
	started      time.Time     // when the last fetch began
	failures     int           // in a row
	limited      int           // failures with Retry-After in a row
	limitedSince time.Time     // when the first of them ended
	failingSince time.Time     // when the first of failures ended
	due          deadline      // when Run asks again; zero is now
	retry        time.Time     // the earliest time at which a request with stale keys may start a fetch
	urgent       time.Time     // the earliest time at which a request without usable keys may start a fetch
	hold         time.Time     // until when Retry-After keeps fetches for unknown kids and from the slow budgets away
}

// succeeded plans the renewal of a version.
func (s *schedule) succeeded(renewal deadline) {
	s.failures, s.limited = 0, 0
	s.due, s.retry, s.urgent, s.hold = renewal, time.Time{}, time.Time{}, time.Time{}
}

// failed plans the next attempt after a failure, at now. A renewal planned for
// later than that stays.
func (s *schedule) failed(now time.Time, retryAfter time.Duration) {
	if s.failures++; s.failures == 1 {
		s.failingSince = now
	}
	s.limit(now, retryAfter)
	pause := jittered(s.backoff())
	s.retry = later(now.Add(pause), now.Add(min(retryAfter, s.limits.MaxRetryAfter)))
	s.urgent = later(s.started.Add(min(pause, s.limits.FruitlessInterval)), now.Add(min(retryAfter, s.limits.MaxRetryAfter, s.limits.MaxBackoff)))
	if s.due.at.Before(s.retry) || s.due.passed(now) { // either clock
		s.due = until(s.retry)
	}
}

// limit heeds Retry-After for fetches that tokens cause. Whoever makes up kids
// can provoke that answer, and would keep a new key out for as long as it says.
// So the first answer in a row holds these fetches, and further ones stretch
// their interval.
func (s *schedule) limit(now time.Time, retryAfter time.Duration) {
	if retryAfter <= 0 {
		return
	}
	if s.limited++; s.limited == 1 {
		s.limitedSince = now
	}
	s.hold = earlier(now.Add(min(retryAfter, s.limits.MaxRetryAfter)), s.limitedSince.Add(longestHold))
}

// stretched is the interval between fetches for unknown kids, after failures with
// Retry-After: at least FruitlessInterval, doubled with each one after the first
// up to longestHold.
func (s *schedule) stretched(interval time.Duration) time.Duration {
	if s.limited == 0 {
		return interval
	}
	const doublings = 5 // from a second to longestHold
	return max(interval, min(s.limits.FruitlessInterval<<min(s.limited-1, doublings), longestHold))
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
