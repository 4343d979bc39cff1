package issuerkeys

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// wait begins a fetch, or joins one, and waits for it. It returns false if no fetch
// is allowed.
func (r *refresher) wait(ctx context.Context, q request) (bool, error) {
	f := r.begin(ctx, q)
	if f == nil {
		return false, nil
	}
	return true, f.wait(ctx, r.limits.Waiters)
}

// renew returns a usable version, and waits for it if there is none.
func (r *refresher) renew(ctx context.Context) (*version, error) {
	const rounds = 3 // for the store, for the issuer, and for what changed meanwhile
	for range rounds {
		waited, err := r.wait(ctx, request{cause: CauseMissing})
		if v := r.lookup.current.Load(); v.usableAt(time.Now()) {
			return v, nil // whatever became of a fetch
		}
		if err != nil {
			return nil, err
		}
		if !waited {
			break
		}
	}
	return nil, r.unready(nil)
}

// renewed returns v or, if v may not serve any more, a version that may. If the
// result is stale, it starts a refresh.
func (r *refresher) renewed(ctx context.Context, now time.Time, v *version) (*version, error) {
	if !v.usableAt(now) {
		var err error
		if v, err = r.renew(ctx); err != nil {
			return nil, err
		}
	}
	if v.fresh.passed(now) { // also a version from the store
		r.refreshStale(ctx, now)
	}
	return v, nil
}

// refreshStale starts a refresh unless one failed a short time ago or is under way,
// which an atomic load shows.
func (r *refresher) refreshStale(ctx context.Context, now time.Time) {
	if !now.Before(*r.retry.Load()) {
		r.begin(ctx, request{cause: CauseStale})
	}
}

// load waits until the forbidden keys of the store are known.
func (r *refresher) load(ctx context.Context) error {
	for !r.vault.isLoaded() {
		waited, err := r.wait(ctx, request{cause: CauseMissing})
		if err != nil {
			return err
		}
		if !waited {
			return r.ready()
		}
	}
	return nil
}

// ready returns nil if there are usable keys.
func (r *refresher) ready() error {
	v := r.lookup.current.Load()
	if v.usableAt(time.Now()) {
		return nil
	}
	return r.unready(v)
}

var errNotNow = errors.New("jwkscache: no fetch is allowed now")

// refetch fetches the set from the slow budget of h and waits for it. The error is
// errNotNow if no fetch is allowed, or one is under way.
func (r *refresher) refetch(ctx context.Context, h jose.Header) error {
	waited, err := r.wait(ctx, request{cause: slowCause(h)})
	if !waited {
		return errNotNow
	}
	return err
}

// keepFresh refreshes the keys until ctx ends.
func (r *refresher) keepFresh(ctx context.Context) {
	if r.upstream == nil {
		_ = r.load(ctx) // the next request tries again, and gets the error
		<-ctx.Done()
		return
	}
	for {
		nap := r.nap()
		if nap == 0 {
			f := r.begin(ctx, request{cause: CauseSchedule})
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

// awaited waits for c, and reports whether ctx did not end earlier.
func awaited[T any](ctx context.Context, c <-chan T) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// nap returns how long keepFresh sleeps, which is 0 if a refresh is due.
func (r *refresher) nap() time.Duration {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.policy.Nap(now)
}
