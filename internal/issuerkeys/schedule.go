package issuerkeys

import (
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

const (
	firstBackoff = time.Second
	// longestNap bounds how late Run notices that the machine was suspended or,
	// with MinFresh, that a request fetched meanwhile.
	longestNap = time.Minute
	// shortestNap keeps Run from looping without a pause.
	shortestNap = time.Second
	// longestHold is how long Retry-After prevents fetches that tokens cause, over
	// all such answers in a row.
	longestHold = 30 * time.Second
	// relocateAfter is how long fetches fail before the metadata is read again,
	// because the keys may have moved.
	relocateAfter = time.Minute
)

// schedule says when the next fetch may begin and when it is due. The lock of the
// refresher guards it.
type schedule struct {
	limits       *jwkscache.Limits
	random       Random
	cap          time.Duration // of the backoff
	started      time.Time     // when the last fetch began
	failures     int           // in a row
	limited      int           // failures with Retry-After in a row
	limitedSince time.Time     // when the first of them ended
	failingSince time.Time     // when the first of failures ended
	due          deadline      // when Run asks again; zero is now
	retry        time.Time     // the earliest time at which a request with stale keys may start a fetch
	urgent       time.Time     // the earliest time at which a request without usable keys may start a fetch
	hold         time.Time     // until when Retry-After prevents fetches for unknown kids and of the slow budgets
}

// succeeded plans the renewal of a version.
func (s *schedule) succeeded(renewal deadline) {
	s.failures, s.limited = 0, 0
	s.due, s.retry, s.urgent, s.hold = renewal, time.Time{}, time.Time{}, time.Time{}
}

// failed plans the next attempt after a failure at now. A renewal that is planned
// for later stays.
func (s *schedule) failed(now time.Time, retryAfter time.Duration) {
	if s.failures++; s.failures == 1 {
		s.failingSince = now
	}
	s.limit(now, retryAfter)
	pause := jittered(s.random, s.backoff())
	s.retry = later(now.Add(pause), now.Add(min(retryAfter, s.limits.MaxRetryAfter)))
	s.urgent = later(s.started.Add(min(pause, s.limits.FruitlessInterval)), now.Add(min(retryAfter, s.limits.MaxRetryAfter, s.limits.MaxBackoff)))
	if s.due.at.Before(s.retry) || s.due.passed(now) { // either clock
		s.due = until(s.retry)
	}
}

// limit applies Retry-After to fetches that tokens cause. An attacker who makes up
// kids can provoke that answer, and would keep a new key from being found for as
// long as it says. So only the first answer in a row prevents these fetches, and
// further ones stretch their interval.
func (s *schedule) limit(now time.Time, retryAfter time.Duration) {
	if retryAfter <= 0 {
		return
	}
	if s.limited++; s.limited == 1 {
		s.limitedSince = now
	}
	s.hold = earlier(now.Add(min(retryAfter, s.limits.MaxRetryAfter)), s.limitedSince.Add(longestHold))
}

// stretched returns the interval between fetches for unknown kids after failures with
// Retry-After: at least FruitlessInterval, doubled with each one after the first
// up to longestHold.
func (s *schedule) stretched(interval time.Duration) time.Duration {
	if s.limited == 0 {
		return interval
	}
	const doublings = 5 // from a second to longestHold
	return max(interval, min(s.limits.FruitlessInterval<<min(s.limited-1, doublings), longestHold))
}

// backoff returns the pause after failures in a row.
func (s *schedule) backoff() time.Duration {
	const doublings = 12 // more than reach MaxBackoff
	return min(firstBackoff<<min(max(s.failures-1, 0), doublings), s.cap)
}

// nap returns how long Run sleeps at now.
func (s *schedule) nap(now time.Time) time.Duration {
	return max(shortestNap, min(s.due.at.Sub(now), longestNap, s.limits.MinFresh))
}

// jittered returns a random time in the second half of pause, so that the processes
// of a fleet do not fetch at once.
func jittered(random Random, pause time.Duration) time.Duration {
	return pause - random(pause/2+1)
}

// renewalAfter returns when to renew a set that is fresh for that long: at a random
// time in the ninth tenth of it or, unless narrow, from the second to the ninth tenth.
func renewalAfter(random Random, fresh time.Duration, narrow bool) time.Duration {
	latest, spread := fresh-fresh/10, fresh/10
	if !narrow {
		spread = latest - fresh/10
	}
	return latest - random(spread+1)
}
