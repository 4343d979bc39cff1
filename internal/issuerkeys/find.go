package issuerkeys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Found is the result of [Keys.Find].
type Found struct {
	// Keys are the keys to try, at most four; see [jose.Set.Find]. They must not be
	// modified.
	Keys []*jose.Key

	owner   *Keys
	version *version
}

// Find returns the keys to try for a token with header h; see [jose.Set.Find]. now
// is the current time. If keys must be fetched first, Find waits no longer than ctx.
// The error is [ErrUnavailable] if the keys could not be determined, or ctx is nil.
// It is [jose.ErrUnknownKey] for a kid only if static keys, or a fetch that began
// after the call, do not have the kid.
func (k *Keys) Find(ctx context.Context, now time.Time, h jose.Header) (Found, error) {
	if k == nil || ctx == nil {
		return Found{}, k.usable(ctx)
	}
	keys, v, ok := k.lookup.find(now, h)
	if !ok {
		return k.findSlowly(ctx, now, h)
	}
	return Found{keys, k, v}, nil
}

// findSlowly is Find where the set in use is not fresh or does not have the key.
func (k *Keys) findSlowly(ctx context.Context, now time.Time, h jose.Header) (Found, error) {
	if !k.opened() {
		return Found{}, errNotOpened
	}
	seen := k.refresher.begun.Load() // fetches after this one begin after the token came
	v := k.lookup.current.Load()
	if !v.freshAt(now) {
		var err error
		if v, err = k.refresher.renewed(ctx, now, v); err != nil {
			return Found{}, err
		}
	}
	keys, err := v.set.Find(h)
	switch {
	case err == nil:
		return Found{keys, k, v}, nil
	case k.upstream == nil:
		return Found{}, err
	case errors.Is(err, jose.ErrUnknownKey) && v.set.MightGain(h):
		return k.findUnknown(ctx, h, v, seen)
	default:
		return k.findChanged(ctx, h, err)
	}
}

// findUnknown looks up a kid that v does not have. It returns [jose.ErrUnknownKey]
// only after a fetch with a number greater than seen.
func (k *Keys) findUnknown(ctx context.Context, h jose.Header, v *version, seen uint64) (Found, error) {
	kid, _ := h.KeyID()
	if k.vault.forbidsID(kid) {
		return Found{}, aboutKeyID(errForbidden, h, mendForbidden)
	}
	if v.number > seen {
		_, err := v.set.Find(h) // the same error, with the kids of v
		return Found{}, err
	}
	found, waited, err := k.findFetched(ctx, h, v, seen)
	if err != nil && waited {
		k.refusals.Wait(ctx)
	}
	return found, err
}

// findFetched fetches the set until it has the kid, or is known not to have it. It reports
// whether it waited.
func (k *Keys) findFetched(ctx context.Context, h jose.Header, v *version, seen uint64) (found Found, waited bool, err error) {
	kid, _ := h.KeyID()
	const rounds = 3 // for keys that arrived meanwhile, for the fetch that was under way, and for the one after it
	for range rounds {
		joined, err := k.refresher.wait(ctx, request{cause: CauseUnknownKid, kid: kid, tried: v})
		if joined && err != errWaiters { //nolint:errorlint // the value itself, which flight.wait returns
			waited = true
		}
		if err != nil {
			return Found{}, waited, err
		}
		tried := v
		if v = k.lookup.current.Load(); v == nil {
			return Found{}, waited, k.refresher.unready(nil)
		}
		keys, err := v.set.Find(h)
		switch {
		case err == nil:
			return Found{keys, k, v}, waited, nil
		case !v.set.MightGain(h) || v.number > seen:
			return Found{}, waited, err
		case v == tried: // no fetch is allowed
			return Found{}, waited, k.refresher.failedOr(aboutKeyID(errNotYet, h, mendNotYet))
		}
	}
	return Found{}, waited, k.refresher.failedOr(aboutKeyID(errNotYet, h, mendNotYet))
}

// findChanged looks up a token that the set has no key for, with refused as the
// reason, although its kid is known or absent. A kid whose keys are forbidden by
// thumbprint is known too, because the issuer may have replaced them.
func (k *Keys) findChanged(ctx context.Context, h jose.Header, refused error) (Found, error) {
	kid, hasID := h.KeyID()
	if !h.Algorithm().Valid() || len(kid) > maxKeyID || k.vault.forbidsID(kid) {
		return Found{}, refused
	}
	unknown := errors.Is(refused, jose.ErrUnknownKey)
	switch err := k.refresher.refetch(ctx, h); {
	case err == nil:
		return k.findNow(h)
	case hasID && unknown: // forbidden by thumbprint: as certain as a bad signature
		return Found{}, refused
	case !errors.Is(err, errNotNow):
		return Found{}, err
	case unknown:
		return Found{}, k.refresher.failedOr(refused)
	default:
		return Found{}, refused
	}
}

// FindAgain returns the keys to try for a token with header h whose signature none
// of the keys of tried verified, and false if there are no others. It fetches the
// set if that is allowed: once in 30 seconds for tokens with kid, and once for those
// without. It waits only for its own fetch, and no longer than ctx.
func (k *Keys) FindAgain(ctx context.Context, h jose.Header, tried Found) (Found, bool) {
	if !k.opened() {
		return Found{}, false
	}
	if k.lookup.current.Load() == tried.version {
		if err := k.refresher.refetch(ctx, h); err != nil {
			return Found{}, false
		}
	}
	found, err := k.findNow(h)
	if err != nil {
		return Found{}, false
	}
	found.Keys = slices.DeleteFunc(slices.Clone(found.Keys), func(key *jose.Key) bool {
		return slices.ContainsFunc(tried.Keys, func(old *jose.Key) bool { return identityOf(old) == identityOf(key) })
	})
	return found, len(found.Keys) > 0
}

// findNow looks h up in the set in use, without fetching.
func (k *Keys) findNow(h jose.Header) (Found, error) {
	v := k.lookup.current.Load()
	if !v.usableAt(time.Now()) {
		return Found{}, k.refresher.unready(v)
	}
	keys, err := v.set.Find(h)
	if err != nil {
		return Found{}, err
	}
	return Found{keys, k, v}, nil
}
