package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/jose"
)

// ErrUnavailable means that it could not be determined which keys the issuer
// has. It is no verdict on a token.
var ErrUnavailable = errors.New("jwkscache: the issuer's keys are unavailable")

var (
	errNone      = fmt.Errorf("%w: none were fetched yet", ErrUnavailable)
	errStale     = fmt.Errorf("%w: the last ones are too old to trust", ErrUnavailable)
	errNotOpened = fmt.Errorf("%w: not made by Open", ErrUnavailable)
	errNotYet    = fmt.Errorf("%w: the kid is unknown, and the next fetch is too far away to wait for", ErrUnavailable)
	errWaiters   = fmt.Errorf("%w: %w", ErrUnavailable, detached.ErrWaiters)
	errGone      = fmt.Errorf("%w: the issuer is not in use any more", ErrUnavailable)
	errWithdrawn = fmt.Errorf("%w: it was withdrawn or forbidden", jose.ErrUnknownKey)
	errForbidden = fmt.Errorf("%w: the kid is forbidden", jose.ErrUnknownKey)
)

// Keys are the keys of one issuer. They are made by [Open] and safe for
// concurrent use.
type Keys struct {
	self      weak.Pointer[Keys]
	binding   Binding
	limits    Limits
	source    string
	location  string        // of the source, if the configuration says it
	origin    origin        // nil for static keys
	initial   *version      // what there is without asking, or nil
	patience  time.Duration // that fetching has in all
	remembers bool          // what was fetched is kept in the store
	store     *store        // or nil
	storing   chan struct{} // holds one while the store is written to
	queued    atomic.Bool   // somebody waits to write the set in use

	current      atomic.Pointer[version]
	everAccepted atomic.Bool               // a key of these verified a token, or the issuer is configured
	retry        atomic.Pointer[time.Time] // schedule.retry, or far off while a flight is under way

	begun atomic.Uint64 // fetches so far, with the one under way

	mu        sync.Mutex // never held across I/O or in a hook
	flight    *flight    // the work under way, or nil
	held      heldFlight // the next fetch for unknown kids; none while there is a flight
	loaded    bool       // what the store says of forbidden keys is known
	abandoned int        // fetches that do not return
	failure   error      // of the last work, or nil
	failed    time.Time  // when
	schedule  schedule
	budget    budget
	slow      map[string]time.Time // when the last fetch of a slow cause began
	forbidden map[KeyName]bool     // and whether the store keeps it
	kept      keeping
	account   account
	known     string // where the keys stood last
}

func newKeys(binding Binding) *Keys {
	binding.Algorithms = slices.Clone(binding.Algorithms)
	k := &Keys{
		binding:   binding,
		limits:    binding.Limits,
		storing:   make(chan struct{}, 1),
		loaded:    true,
		slow:      make(map[string]time.Time),
		forbidden: make(map[KeyName]bool),
	}
	k.self = weak.Make(k)
	familiar := binding.Accepted || binding.Configured
	k.account.shared, k.account.familiar = binding.Shared, familiar
	k.everAccepted.Store(familiar)
	k.schedule = schedule{limits: &k.limits, cap: k.limits.MaxBackoff}
	k.budget = newBudget(&k.limits)
	k.patience = k.limits.FetchTimeout
	k.retry.Store(new(time.Time))
	for _, name := range binding.Forbidden {
		k.forbidden[name] = false
	}
	if binding.SnapshotDir != "" {
		k.store, k.loaded = newStore(binding.SnapshotDir, binding.Issuer), false
	}
	return k
}

// start puts what there is without asking into use, unless the store must be
// asked first which keys are forbidden.
func (k *Keys) start() {
	if k.initial == nil || !k.loaded {
		return
	}
	k.mu.Lock()
	change := k.publish(k.initial)
	k.mu.Unlock()
	k.binding.Trace.fetchDone(k.binding.Issuer, FetchDone{Cause: "start", Keys: len(change.added), Added: change.added, Ignored: k.Ignored()})
}

// usable returns the error of a call that cannot be served: k was not made by
// [Open], or ctx is nil or panics.
func (k *Keys) usable(ctx context.Context) error {
	if k == nil || k.storing == nil {
		return errNotOpened
	}
	if err := hook.CheckContext(ctx); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Found is the answer of [Keys.Find].
type Found struct {
	// Keys are those to try, at most four; see [jose.Set.Find]. Not to be
	// modified.
	Keys []*jose.Key

	owner   *Keys
	version *version
}

// Find returns the keys to try for a token with header h; see [jose.Set.Find].
// now is the current time, which the caller has read already. Where keys must
// be fetched first, it waits no longer than ctx. The error is [ErrUnavailable]
// if it could not be found out which keys there are, and if ctx is nil. It is
// [jose.ErrUnknownKey] for a kid only if a fetch that began after the call, or
// static keys, do not have it.
func (k *Keys) Find(ctx context.Context, now time.Time, h jose.Header) (Found, error) {
	if k == nil || ctx == nil {
		return Found{}, k.usable(ctx)
	}
	v := k.current.Load()
	if v == nil || v.fresh.passed(now) {
		return k.findSlowly(ctx, now, h)
	}
	keys, err := v.set.Find(h)
	if err != nil {
		return k.findSlowly(ctx, now, h)
	}
	return Found{keys, k, v}, nil
}

// renewed is what to use instead of v, which is nil or not fresh.
func (k *Keys) renewed(ctx context.Context, now time.Time, v *version) (*version, error) {
	if v == nil || v.usable.passed(now) {
		var err error
		if v, err = k.renew(ctx); err != nil {
			return nil, err
		}
	}
	if v.fresh.passed(now) { // so may be what was renewed: from the store
		k.refreshStale(ctx, now)
	}
	return v, nil
}

// renew waits for keys where there are none to use.
func (k *Keys) renew(ctx context.Context) (*version, error) {
	const rounds = 3 // the store, then the issuer, and one for what changed meanwhile
	for range rounds {
		f := k.begin(ctx, causeMissing, "")
		var err error
		if f != nil {
			err = f.wait(ctx, k.limits.Waiters)
		}
		if v := k.current.Load(); v != nil && !v.usable.passed(time.Now()) {
			return v, nil // whatever became of a fetch
		}
		if err != nil {
			return nil, err
		}
		if f == nil {
			break
		}
	}
	return nil, k.unready(nil)
}

// refreshStale starts a refresh unless one failed a short time ago or is under
// way, which an atomic load tells.
func (k *Keys) refreshStale(ctx context.Context, now time.Time) {
	if !now.Before(*k.retry.Load()) {
		k.begin(ctx, causeStale, "")
	}
}

// Handle holds on to one of the keys found, which must be among f.Keys: a
// verdict that is kept asks it, on every use, whether it may still be used. From
// then on, a token of the issuer counts as accepted; see [SharedLimits].
func (f Found) Handle(key *jose.Key) Handle {
	if f.version == nil {
		return Handle{}
	}
	if !f.owner.everAccepted.Load() {
		f.owner.everAccepted.Store(true)
		f.owner.account.accept()
	}
	return Handle{f.owner.self, f.version.lives[key]}
}

// Handle tells whether a key that was found once may still be relied upon. The
// zero Handle may not.
//
// It does not keep the issuer's keys in memory: those of one that nobody else
// refers to any more may not be relied upon.
type Handle struct {
	keys weak.Pointer[Keys]
	life *life
}

// Check is nil as long as the key is published and not forbidden, and its
// issuer's keys are not too old to trust; stale ones are refreshed in the
// background, as by [Keys.Find]. Otherwise the error wraps
// [jose.ErrUnknownKey] or [ErrUnavailable]. It never waits.
func (h Handle) Check(ctx context.Context, now time.Time) error {
	keys, err := h.live()
	if err != nil {
		return err
	}
	if v := keys.current.Load(); v == nil || v.fresh.passedWall(now) || v.fresh.passedClock(now) {
		return keys.checkStale(ctx, now, v)
	}
	return nil
}

// Live is [Handle.Check] without a look at the age of the keys, and so without a
// clock: it is nil as long as the key is published and not forbidden.
func (h Handle) Live() error {
	_, err := h.live()
	return err
}

func (h Handle) live() (*Keys, error) {
	if h.life == nil {
		return nil, errNotOpened
	}
	if h.life.withdrawn.Load() {
		return nil, errWithdrawn
	}
	keys := h.keys.Value()
	if keys == nil {
		return nil, errGone
	}
	return keys, nil
}

// checkStale is Check for what is not fresh.
func (k *Keys) checkStale(ctx context.Context, now time.Time, v *version) error {
	if v == nil || v.usable.passed(now) {
		return errStale
	}
	k.refreshStale(ctx, now)
	return nil
}

// Ignored tells which keys of the current set are not used, and why.
func (k *Keys) Ignored() []jose.IgnoredKey {
	if k == nil {
		return nil
	}
	if v := k.current.Load(); v != nil {
		return v.set.Ignored()
	}
	return nil
}

// Warm gets the keys unless they are there and fresh, and waits for them, no
// longer than ctx. Keys that are stale and cannot be refreshed are no error, as
// long as they serve.
func (k *Keys) Warm(ctx context.Context) error {
	if err := k.usable(ctx); err != nil {
		return err
	}
	if k.Ready() != nil {
		if _, err := k.renew(ctx); err != nil {
			return err
		}
	}
	if v := k.current.Load(); v == nil || v.fresh.passed(time.Now()) {
		if f := k.begin(ctx, causeStale, ""); f != nil {
			_ = f.wait(ctx, k.limits.Waiters) // the stale ones serve
		}
	}
	return k.Ready()
}

// Ready is nil if tokens can be judged now, with stale keys too: an issuer that
// is down for a while must not take its relying parties out of service.
// [Keys.Status] tells the difference, and until when they serve.
func (k *Keys) Ready() error {
	if k == nil {
		return errNotOpened
	}
	v := k.current.Load()
	if v != nil && !v.usable.passed(time.Now()) {
		return nil
	}
	return k.unready(v)
}

// unready says why v cannot be used, and is never nil.
func (k *Keys) unready(v *version) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.failure != nil:
		return k.failure
	case v == nil:
		return errNone
	default:
		return errStale
	}
}

// Run keeps the keys fresh until ctx ends: it asks ahead of expiry, and again
// after failures, at times that are spread at random. It returns at once if ctx
// is nil or k was not made by [Open].
func (k *Keys) Run(ctx context.Context) {
	if k.usable(ctx) != nil {
		return
	}
	if k.origin == nil {
		_ = k.load(ctx) // a request will try again, and be told
		<-ctx.Done()
		return
	}
	for {
		nap := k.nap()
		if nap == 0 {
			f := k.begin(ctx, causeSchedule, "")
			if f != nil && !awaited(ctx, f.Done()) {
				return
			}
			if f != nil {
				continue
			}
			nap = shortestNap
		}
		timer := time.NewTimer(nap)
		if !awaited(ctx, timer.C) {
			timer.Stop()
			return
		}
	}
}

// awaited waits for c, and reports whether ctx did not end before.
func awaited[T any](ctx context.Context, c <-chan T) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// nap is how long Run sleeps: not at all if a refresh is due.
func (k *Keys) nap() time.Duration {
	now := time.Now()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.schedule.due.passed(now) {
		return 0
	}
	return k.schedule.nap(now)
}
