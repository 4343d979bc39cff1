package jwkscache

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// findSlowly is Find where the set in use is not fresh or does not have the key.
func (k *Keys) findSlowly(ctx context.Context, now time.Time, h jose.Header) (Found, error) {
	seen := k.begun.Load() // fetches after this one begin after the token came
	v := k.current.Load()
	if v == nil || v.fresh.passed(now) {
		var err error
		if v, err = k.renewed(ctx, now, v); err != nil {
			return Found{}, err
		}
	}
	keys, err := v.set.Find(h)
	switch {
	case err == nil:
		return Found{keys, k, v}, nil
	case k.origin == nil:
		return Found{}, err
	case errors.Is(err, jose.ErrUnknownKey) && v.set.MightGain(h):
		return k.findUnknown(ctx, h, v, seen)
	default:
		return k.findChanged(ctx, h, err)
	}
}

// findUnknown looks up a kid that v does not have. It answers
// [jose.ErrUnknownKey] only from a fetch with a number greater than seen.
func (k *Keys) findUnknown(ctx context.Context, h jose.Header, v *version, seen uint64) (Found, error) {
	kid, _ := h.KeyID()
	if k.forbidsID(kid) {
		return Found{}, errForbidden
	}
	if v.number > seen {
		return Found{}, jose.ErrUnknownKey
	}
	const rounds = 3 // reading the store, the fetch that was under way, and the one after it
	for range rounds {
		var f *flight
		unchanged := k.current.Load() == v
		if unchanged { // or no fetch is needed: one has ended since the set was read
			f = k.begin(ctx, causeUnknownKid, kid)
		}
		if f != nil {
			if err := f.wait(ctx, k.limits.Waiters); err != nil {
				return Found{}, err
			}
		}
		v = k.current.Load()
		if v == nil {
			return Found{}, k.unready(nil)
		}
		keys, err := v.set.Find(h)
		switch {
		case err == nil:
			return Found{keys, k, v}, nil
		case !v.set.MightGain(h) || v.number > seen:
			return Found{}, err
		case f == nil && unchanged:
			return Found{}, k.failedOr(errNotYet)
		}
	}
	return Found{}, k.failedOr(errNotYet)
}
