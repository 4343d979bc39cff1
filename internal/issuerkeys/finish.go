package issuerkeys

import (
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// finish publishes the result of a flight, ends the wait of its callers, and calls the
// hooks.
func (r *refresher) finish(f *flight, result fetchResult, err error) {
	r.mu.Lock()
	if err == nil {
		result, err = r.reserve(result)
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	done := jwkscache.FetchDone{
		Cause: f.cause, Outcome: outcomeOf(err, result.same), Err: err, Location: result.location, Ignored: result.ignored, Unchanged: result.same,
		Took: time.Since(f.began),
	}
	from := r.move(result.location)
	var changed keyChange
	if result.store != nil {
		changed = r.finishStore(result.store, err)
	} else {
		changed = r.finishFetch(f, result, err)
	}
	r.flight, r.failure = nil, err
	retry := r.policy.schedule.retry
	r.retry.Store(&retry)
	if v := r.lookup.current.Load(); v.usableAt(time.Now()) {
		done.Keys = len(v.set.Keys())
		if err == nil {
			done.Ignored = v.set.Ignored()
		}
	}
	done.Added, done.Removed = changed.added, changed.removed
	r.mu.Unlock()
	f.Land(err)
	r.callHooks(done, from, result)
}

// reserve returns result if there is memory for its version. If there is none for
// the version of the store, it returns the rest. The memory is counted here and not
// where the fetch ends, so that a version which is never used is not counted. The
// caller holds the lock.
func (r *refresher) reserve(result fetchResult) (fetchResult, error) {
	if result.store == nil {
		if err := r.lookup.account.reserve(result.version.bytes()); err != nil {
			return fetchResult{location: result.location}, err
		}
		return result, nil
	}
	if err := r.lookup.account.reserve(result.store.version.bytes()); err != nil { // not for a nil version, which takes 0 bytes
		result.store.version, result.store.err = nil, err
	}
	return result, nil
}

// finishStore applies the result of reading the store. The caller holds the lock.
func (r *refresher) finishStore(found *contents, err error) keyChange {
	now := time.Now()
	if err != nil {
		r.failed = now
		r.policy.endStore(now, err, deadline{})
		r.vault.failed(err)
		return keyChange{}
	}
	r.vault.take(found)
	renewal := deadline{}
	if found.version != nil {
		renewal = found.version.renewal
	}
	r.policy.endStore(now, nil, renewal)
	switch {
	case found.version != nil:
		r.known = found.version.location
		return r.publish(found.version)
	case r.initial != nil && found.empty:
		return r.publish(r.initial)
	default:
		return keyChange{}
	}
}

// finishFetch applies the result of a fetch. The caller holds the lock.
func (r *refresher) finishFetch(f *flight, result fetchResult, err error) keyChange {
	now := time.Now()
	if err != nil {
		r.failed = now
		r.policy.Fail(f.cause, f.kid, now, retryAfterOf(err))
		// A snapshot that is not of the location that is valid now is dropped.
		if v := r.lookup.current.Load(); v != nil && v.origin == "snapshot" && result.location != "" && result.location != v.location {
			return r.lookup.drop()
		}
		return keyChange{}
	}
	changed := r.publish(result.version)
	r.policy.Succeed(f.cause, f.kid, now, len(changed.added) > 0, result.version.renewal.at)
	return changed
}

// retryAfterOf returns the Retry-After of the issuer's answer, or 0.
func retryAfterOf(err error) time.Duration {
	if status, ok := errors.AsType[*fetch.StatusError](err); ok {
		return status.RetryAfter
	}
	return 0
}

// move records the location of the keys, and returns the location before if that
// was another. The caller holds the lock.
func (r *refresher) move(location string) (from string) {
	if location == "" || location == r.known {
		return ""
	}
	from, r.known = r.known, location
	return from
}

// callHooks calls the hooks after a flight, and saves what was fetched.
func (r *refresher) callHooks(done jwkscache.FetchDone, from string, result fetchResult) {
	if result.store != nil {
		r.trace.stored(jwkscache.Stored{Use: "load", Err: errors.Join(done.Err, result.store.err)})
		if len(done.Added) == 0 {
			return
		}
		done.Cause, done.Outcome, done.Took = "start", "", 0
	}
	if from != "" {
		r.trace.moved(from, done.Location)
	}
	r.trace.fetchDone(done)
	if result.version != nil {
		r.vault.save()
	}
}
