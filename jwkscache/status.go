package jwkscache

import (
	"maps"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Status is what is known of one issuer's keys, for operators and metrics.
type Status struct {
	Issuer   string // as in its configuration
	Source   string // "static", "file", "url" or "discovery"
	Location string // the URL or path last used, or ""

	// State is "fresh", "stale" (the keys serve while they are refreshed) or
	// "unavailable" (tokens are neither accepted nor refused).
	State  string
	Origin string // of the keys in use: "fetched", "snapshot", "fallback", "static", or "" if there are none

	Keys      []*jose.Key       // in use
	Ignored   []jose.IgnoredKey // published and not used, and why
	Forbidden []KeyName         // see [Keys.Forbid]; sorted

	Fetched     time.Time // when the set was fetched or last confirmed; zero for static keys
	FreshUntil  time.Time // zero as above
	UsableUntil time.Time // zero as above
	NextRefresh time.Time // when Run asks again; zero if at once

	LastError   error     // of the last fetch, or nil if that succeeded
	LastFailure time.Time // when a fetch last failed; zero if none did
	Failures    int       // in a row

	Fruitless int // fetches for unknown kids in a row that were in vain
	Waiting   int // requests that wait for a fetch now

	SnapshotError error // of the last use of the snapshot directory, or nil
}

// Status tells how the keys are, now.
func (k *Keys) Status() Status {
	if k == nil {
		return Status{State: "unavailable"}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.storing != nil { // made by Open
		k.budget.forget(time.Now()) // or it would tell of a flood that is over
	}
	s := Status{
		Issuer:        k.binding.Issuer,
		Source:        k.source,
		Location:      k.location,
		State:         "unavailable",
		Forbidden:     slices.SortedFunc(maps.Keys(k.forbidden), KeyName.compare),
		NextRefresh:   k.schedule.due.at,
		LastError:     k.failure,
		LastFailure:   k.failed,
		Failures:      k.schedule.failures,
		Fruitless:     k.budget.fruitless,
		SnapshotError: k.kept.err,
	}
	if k.flight != nil {
		s.Waiting = k.flight.Waiting()
	} else if k.held.flight != nil {
		s.Waiting = k.held.flight.Waiting()
	}
	if k.known != "" {
		s.Location = k.known
	}
	v := k.current.Load()
	if v == nil {
		return s
	}
	s.Origin, s.Keys, s.Ignored = v.origin, v.set.Keys(), v.set.Ignored()
	if !v.fetched.IsZero() {
		s.Fetched, s.FreshUntil, s.UsableUntil = v.fetched, v.fresh.at, v.usable.at
	}
	switch now := time.Now(); {
	case !v.fresh.passed(now):
		s.State = "fresh"
	case !v.usable.passed(now):
		s.State = "stale"
	}
	return s
}
