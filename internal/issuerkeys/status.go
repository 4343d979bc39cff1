package issuerkeys

import (
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Status returns the state of the keys.
func (k *Keys) Status() jwkscache.Status {
	if !k.opened() {
		return jwkscache.Status{State: "unavailable"}
	}
	now := time.Now()
	s := jwkscache.Status{Issuer: k.binding.Issuer, Source: k.source, Location: k.location, State: "unavailable"}
	k.refresher.mu.Lock()
	defer k.refresher.mu.Unlock()
	s.Forbidden, s.SnapshotError = k.vault.report()
	k.refresher.report(&s, now)
	v := k.lookup.current.Load()
	if v == nil {
		return s
	}
	s.Origin, s.Keys, s.Ignored = v.origin, v.set.Keys(), v.set.Ignored()
	if !v.fetched.IsZero() {
		s.Fetched, s.FreshUntil, s.UsableUntil = v.fetched, v.fresh.at, v.usable.at
	}
	switch {
	case v.freshAt(now):
		s.State = "fresh"
	case v.usableAt(now):
		s.State = "stale"
	}
	return s
}

// report sets what the refresher knows. The caller holds the lock.
func (r *refresher) report(s *jwkscache.Status, now time.Time) {
	s.UnknownInterval = r.policy.intervalOfNew(now)
	s.NextRefresh = r.policy.schedule.due.at
	s.LastError, s.LastFailure, s.Failures = r.failure, r.failed, r.policy.schedule.failures
	s.Fruitless = r.policy.budget.fruitless // after intervalOfNew: a flood that is over is not reported
	if r.flight != nil {
		s.Waiting = r.flight.Waiting()
	} else if r.held.flight != nil {
		s.Waiting = r.held.flight.Waiting()
	}
	if r.known != "" {
		s.Location = r.known
	}
}
