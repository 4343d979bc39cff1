package issuerkeys

import (
	"context"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

const (
	// maxAbandoned bounds the fetches that do not return although their time is
	// over.
	maxAbandoned = 4

	unneeded Decision = "" // keys arrived since the caller looked; it looks again
)

// request is a request for a fetch.
type request struct {
	cause string
	kid   string   // for CauseUnknownKid
	tried *version // for CauseUnknownKid: the version that does not have the kid
}

// begin returns the flight to wait for: the one under way, one that it starts, or,
// for an unknown kid, one that is held until it may begin. It returns nil if none of
// these is allowed. Reading the store comes before the first fetch.
func (r *refresher) begin(ctx context.Context, q request) *flight {
	now := time.Now()
	r.mu.Lock()
	var f *flight
	loaded := r.vault.isLoaded()
	decision, at := r.decide(q, now, loaded)
	switch decision {
	case Joins:
		f = r.flight
	case Starts:
		f = r.launch(q.cause, q.kid, now)
	case Waits:
		f = r.hold(ctx, q.kid, now, at)
	case Refuses, unneeded:
	}
	interval := r.policy.Interval(q.kid, now)
	r.mu.Unlock()

	if decision == Starts { // before the hook, which may ask for keys itself
		go r.run(ctx, f, loaded)
	}
	if q.cause == CauseUnknownKid && decision != unneeded {
		r.trace.unknownKid(jwkscache.UnknownKid{Decision: string(decision), Interval: interval})
	}
	return f
}

// decide returns the answer to a request for a fetch, and when a fetch for that
// cause is allowed. The caller holds the lock.
func (r *refresher) decide(q request, now time.Time, loaded bool) (d Decision, at time.Time) {
	switch current := r.lookup.current.Load(); {
	case q.cause == CauseMissing && current.usableAt(now), q.cause == CauseUnknownKid && current != q.tried:
		return unneeded, now
	}
	if r.flight == nil && (r.abandoned >= maxAbandoned || r.upstream == nil && loaded) {
		return Refuses, now
	}
	return r.policy.Ask(q.cause, q.kid, now)
}

// hold returns the held flight, which begins no later than at. The caller holds the
// lock.
func (r *refresher) hold(ctx context.Context, kid string, now, at time.Time) *flight {
	h := &r.held
	if h.flight != nil && !at.Before(h.at) {
		return h.flight
	}
	if h.flight == nil {
		h.flight = r.newFlight(at.Sub(now)) // later calls can only make it begin earlier
	} else {
		h.timer.Stop()
	}
	f := h.flight
	h.kid, h.at = kid, at
	h.timer = time.AfterFunc(at.Sub(now), func() { r.release(ctx, f) })
	return f
}

// release begins a held flight unless it has begun already.
func (r *refresher) release(ctx context.Context, f *flight) {
	r.mu.Lock()
	if r.held.flight != f {
		r.mu.Unlock()
		return
	}
	r.launch(CauseUnknownKid, r.held.kid, time.Now())
	loaded := r.vault.isLoaded()
	r.mu.Unlock()
	r.run(ctx, f, loaded)
}
