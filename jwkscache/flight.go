package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jose"
)

// Why a fetch began; see [FetchDone].
const (
	causeMissing      = "missing"
	causeSchedule     = "schedule"
	causeStale        = "stale"
	causeUnknownKid   = "unknown_kid"
	causeBadSignature = "bad_signature"
	causeNoKid        = "no_kid"
)

const (
	// maxAbandoned bounds the fetches that do not return although their time
	// is over.
	maxAbandoned = 4
)

// flight is work that many may wait for: one fetch, or reading the store.
type flight struct {
	*detached.Flight

	cause   string
	kid     string // that it began for, if the cause is an unknown one
	start   time.Time
	number  uint64 // counts the fetches; 0 for a held flight and a store read
	shared  *Shared
	longest time.Duration // that it takes from its turn on, or from its first waiter on if it is held
}

// wait waits for the work, but no longer than ctx.
func (f *flight) wait(ctx context.Context, maxWaiters int) error {
	err := f.shared.wait(ctx, f.Flight, maxWaiters, f.longest)
	if err == detached.ErrWaiters { //nolint:errorlint // never wrapped; what a flood gets, without an allocation
		return errWaiters
	}
	if err != nil && !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// catch is what a flight brings home.
type catch struct {
	location string
	version  *version          // not yet in use
	same     bool              // its set is the one in use
	ignored  []jose.IgnoredKey // of a set that is not believed
	store    *contents
}

// begin returns the flight to wait for: the one under way, one that it starts,
// or, for an unknown kid, one that is held until it may start. The flight is nil
// if none of these is allowed. Reading the store comes first.
func (k *Keys) begin(ctx context.Context, cause, kid string) *flight {
	if k.storing == nil { // not made by Open
		return nil
	}
	now := time.Now()
	k.mu.Lock()
	var f *flight
	decision, at := k.decide(cause, kid, now)
	switch decision {
	case joins:
		f = k.flight
	case starts:
		f = k.launch(cause, kid, now)
	case waits:
		f = k.hold(ctx, kid, now, at)
	case refuses:
	}
	interval, loaded := k.interval(kid, now), k.loaded
	k.mu.Unlock()

	if decision == starts { // before the hook, which may ask the keys itself
		go k.fly(ctx, f, loaded)
	}
	if cause == causeUnknownKid {
		k.binding.Trace.unknownKid(k.binding.Issuer, UnknownKid{Decision: string(decision), Interval: interval})
	}
	return f
}

// newFlight returns a flight that starts after a delay of held at most.
func (k *Keys) newFlight(held time.Duration) *flight {
	return &flight{Flight: detached.NewFlight(), shared: k.binding.Shared, longest: held + detached.Longest(k.patience)}
}

// launch makes the flight that starts now the one under way. The lock is held.
func (k *Keys) launch(cause, kid string, now time.Time) *flight {
	f := k.held.take()
	if f == nil {
		f = k.newFlight(0)
	}
	f.cause, f.kid, f.start = cause, kid, now
	if k.loaded {
		f.number = k.begun.Add(1)
	}
	if isSlow(cause) {
		k.slow[cause] = now
	}
	k.flight, k.schedule.started = f, now
	busy := now.Add(detached.Longest(k.patience))
	k.retry.Store(&busy)
	return f
}

// decision is the answer to a request for a fetch.
type decision string

const (
	starts  decision = "starts"
	joins   decision = "joins"
	waits   decision = "waits"   // for the next fetch that is allowed
	refuses decision = "refuses" // not yet, and it is not waited for
)

// decide tells what becomes of a request for a fetch, and when a fetch for that
// cause is allowed. The lock is held.
func (k *Keys) decide(cause, kid string, now time.Time) (d decision, at time.Time) {
	if v := k.current.Load(); cause == causeMissing && v != nil && !v.usable.passed(now) {
		return refuses, now // nothing to do: usable keys arrived since the caller looked
	}
	if k.flight != nil {
		if isSlow(cause) { // a flood of bad signatures waits for nothing
			return refuses, now
		}
		return joins, now
	}
	if k.abandoned >= maxAbandoned || k.origin == nil && k.loaded {
		return refuses, now
	}
	switch cause {
	case causeStale:
		at = k.schedule.retry
	case causeMissing:
		at = k.schedule.urgent
	case causeUnknownKid:
		at = later(k.schedule.started.Add(k.interval(kid, now)), k.schedule.hold)
	case causeBadSignature, causeNoKid:
		at = later(k.slow[cause].Add(slowInterval), k.schedule.hold)
	}
	switch {
	case !now.Before(at):
		return starts, at
	case cause == causeUnknownKid && k.failure == nil && at.Sub(now) <= longestHeld:
		return waits, at
	default:
		return refuses, at
	}
}

// interval is the least time between the start of the last fetch and that of one
// for kid. The lock is held.
func (k *Keys) interval(kid string, now time.Time) time.Duration {
	return k.schedule.stretched(k.budget.interval(kid, now))
}

// fly does one piece of work for all its waiters, and lands in bounded time
// even if the work does not end.
func (k *Keys) fly(ctx context.Context, f *flight, loaded bool) {
	work, done := k.readStore, func() {}
	if loaded {
		var err error
		if done, err = k.turn(f); err != nil {
			k.land(f, catch{}, err)
			return
		}
		work = func(ctx context.Context) (catch, error) {
			k.binding.Trace.fetchStart(k.binding.Issuer, f.cause) // in here, so that it cannot hold the flight either
			return k.fetch(ctx, f)
		}
	}
	c, over, err := detached.Do(ctx, k.patience, work)
	done() // work that does not end must not keep others waiting
	if !errors.Is(err, detached.ErrAbandoned) {
		k.land(f, c, err)
		return
	}
	k.abandon(1)
	defer func() { // even if a hook ends this goroutine
		<-over // an older answer never replaces a newer one
		k.abandon(-1)
	}()
	k.land(f, c, err)
}

func (k *Keys) abandon(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.abandoned += n
}

// fetch asks the origin.
func (k *Keys) fetch(ctx context.Context, f *flight) (catch, error) {
	now := time.Now()
	before := k.current.Load()
	have := before
	if have != nil && have.origin == "fallback" {
		have = nil
	}
	a, err := k.origin.fetch(ctx, inquiry{
		have:    have,
		failing: k.failing(now),
		doubted: f.cause == causeUnknownKid || isSlow(f.cause),
	})
	if err != nil {
		return catch{location: a.location}, err
	}
	v := &version{
		number: f.number, origin: "fetched", document: a.document, etag: a.etag, location: a.location, lifetime: a.lifetime, fetched: now,
	}
	same := a.repeats(have)
	if same {
		v.document, v.published = have.document, have.published
	} else if v.published, err = k.parse(a.document); err != nil {
		return catch{location: a.location}, fmt.Errorf("%s: %w", a.location, err)
	}
	fresh := min(a.fresh, k.limits.MaxAge)
	v.renewal = until(now.Add(renewalAfter(fresh)))
	v.fresh = until(now.Add(fresh))
	v.usable = until(now.Add(min(fresh+k.limits.Stale, k.limits.MaxAge)))
	if isEmpty(v.published) {
		if err := k.boundEmpty(v, before); err != nil {
			return catch{location: a.location, ignored: v.published.Ignored()}, fmt.Errorf("%s: %w", a.location, err)
		}
	}
	return catch{version: v, location: a.location, same: same}, nil
}

// failing reports whether fetches have failed for so long that the metadata may
// name another location.
func (k *Keys) failing(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.schedule.failures > 0 && now.Sub(k.schedule.failingSince) >= relocateAfter
}

// parse reads a JWK Set within the limits.
func (k *Keys) parse(document string) (*jose.Set, error) {
	set, err := jose.ParseSetWithin([]byte(document), k.binding.Algorithms, jose.Limits{RSABits: k.limits.RSABits, RSAExponent: k.limits.RSAExponent})
	if err != nil {
		return nil, err
	}
	if n := len(set.Keys()) + len(set.Ignored()); n > k.limits.Keys {
		return nil, fmt.Errorf("%w: it has %d keys; Limits.Keys is %d", jose.ErrNotJWKS, n, k.limits.Keys)
	}
	return set, nil
}

// change is what a version differs in from the one before.
type change struct {
	added   []*jose.Key
	removed []*jose.Key
}

// publish puts a version into use, less what is forbidden, and withdraws the
// keys that it has not. The lock is held.
func (k *Keys) publish(v *version) change {
	v = v.without(k.forbidden)
	added, removed := v.succeed(k.current.Load())
	k.current.Store(v)
	k.account.use(v.bytes())
	c := change{added: added}
	for key, l := range removed {
		l.withdrawn.Store(true)
		c.removed = append(c.removed, key)
	}
	return c
}

// drop takes the version in use out of it. The lock is held.
func (k *Keys) drop() change {
	var c change
	k.account.use(0)
	for key, l := range k.current.Swap(nil).lives {
		l.withdrawn.Store(true)
		c.removed = append(c.removed, key)
	}
	return c
}

// land publishes what a flight brought, lets its waiters go and tells the hooks.
func (k *Keys) land(f *flight, c catch, err error) {
	k.mu.Lock()
	if err == nil {
		c, err = k.reserve(c)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	done := FetchDone{Cause: f.cause, Err: err, Location: c.location, Ignored: c.ignored, Unchanged: c.same, Took: time.Since(f.start)}
	moved := k.moved(c.location)
	var changed change
	if c.store != nil {
		changed = k.landStore(c.store, err)
	} else {
		changed = k.landFetch(f, c, err)
	}
	k.flight, k.failure = nil, err
	retry := k.schedule.retry
	k.retry.Store(&retry)
	if v := k.current.Load(); v != nil && err == nil {
		done.Keys, done.Ignored = len(v.set.Keys()), v.set.Ignored()
	}
	done.Added, done.Removed = changed.added, changed.removed
	k.mu.Unlock()
	f.Land(err)
	k.tell(done, moved, c)
}

// reserve returns c if there is memory for its version. Of the store, it returns
// the rest otherwise. The memory is counted here and not where the fetch ends, so
// that a version which never comes into use is not counted. The lock is held.
func (k *Keys) reserve(c catch) (catch, error) {
	switch {
	case c.version != nil:
		if err := k.account.reserve(c.version.bytes()); err != nil {
			return catch{location: c.location}, err
		}
	case c.store != nil && c.store.version != nil:
		if err := k.account.reserve(c.store.version.bytes()); err != nil {
			c.store.version, c.store.err = nil, err
		}
	}
	return c, nil
}

// landFetch is what a fetch changes. The lock is held.
func (k *Keys) landFetch(f *flight, c catch, err error) change {
	now := time.Now()
	unknown := f.cause == causeUnknownKid
	if err != nil {
		k.failed = now
		k.schedule.failed(now, retryAfter(err))
		if unknown {
			k.budget.spent(f.kid, now, false, false)
		}
		// A snapshot of another place than the one that is valid now.
		if v := k.current.Load(); v != nil && v.origin == "snapshot" && c.location != "" && c.location != v.location {
			return k.drop()
		}
		return change{}
	}
	k.schedule.succeeded(c.version.renewal)
	changed := k.publish(c.version)
	switch gained := len(changed.added) > 0; {
	case unknown:
		k.budget.spent(f.kid, now, true, gained)
	case gained:
		k.budget.reset()
	}
	return changed
}

// retryAfter is how long the issuer asked to be left alone.
func retryAfter(err error) time.Duration {
	if status, ok := errors.AsType[*fetch.StatusError](err); ok {
		return status.RetryAfter
	}
	return 0
}
