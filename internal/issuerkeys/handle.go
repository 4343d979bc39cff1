package issuerkeys

import (
	"context"
	"time"
	"weak"

	"github.com/sallyport-auth/sallyport/jose"
)

// Handle says whether a key that was found earlier may still be used. The zero
// Handle may not.
//
// A Handle does not keep the issuer's keys in memory. If nothing else refers to
// them any more, the key may not be used.
type Handle struct {
	keys weak.Pointer[Keys]
	life *life
}

// Handle returns a Handle of key, which must be among f.Keys, for a cached token:
// each use of the token calls [Handle.Check]. From then on, a token of the issuer
// counts as accepted; see [jwkscache.SharedLimits].
func (f Found) Handle(key *jose.Key) Handle {
	if f.version == nil {
		return Handle{}
	}
	f.owner.lookup.accept()
	return Handle{f.owner.self, f.version.lives[key]}
}

// Check returns nil as long as the key is published and not forbidden, and the keys
// of the issuer are usable. Stale keys are refreshed in the background, as by
// [Keys.Find]. Otherwise the error wraps [jose.ErrUnknownKey] or [ErrUnavailable].
// Check never waits.
func (h Handle) Check(ctx context.Context, now time.Time) error {
	keys, err := h.live()
	if err != nil {
		return h.aboutKey(err)
	}
	if v := keys.lookup.current.Load(); v == nil || v.fresh.passedWall(now) || v.fresh.passedClock(now) {
		return keys.checkStale(ctx, now, v)
	}
	return nil
}

// Live returns nil if the key is published and not forbidden now, whatever it was
// since h was made: it finds a key that is back, as [Handle.Again] does. Otherwise the
// error wraps [jose.ErrUnknownKey] or [ErrUnavailable]. Live does not check the age of
// the keys. It never waits, causes no fetch and allocates nothing.
func (h Handle) Live() error {
	keys, err := h.owner()
	if err != nil {
		return err
	}
	if !h.life.withdrawn.Load() {
		return nil
	}
	v := keys.lookup.current.Load()
	if v == nil {
		return errNone
	}
	_, err = h.in(v)
	return err
}

func (h Handle) live() (*Keys, error) {
	if h.life != nil && h.life.withdrawn.Load() {
		return nil, errWithdrawn
	}
	return h.owner()
}

// owner returns the keys of the issuer.
func (h Handle) owner() (*Keys, error) {
	if h.life == nil {
		return nil, errNotOpened
	}
	keys := h.keys.Value()
	if keys == nil {
		return nil, errGone
	}
	return keys, nil
}

// in returns a Handle of the same key in v, or errWithdrawn.
func (h Handle) in(v *version) (Handle, error) {
	for _, l := range v.lives {
		if l.key == h.life.key {
			return Handle{h.keys, l}, nil
		}
	}
	return Handle{}, errWithdrawn
}

// Again returns a Handle of the same key in the set that is in use now. It is for a
// key that was withdrawn or forbidden and may be back, since h stays invalid: the
// same key has the thumbprint, the kid and the algorithm of the key of h. If there
// are no usable keys, Again waits for them, as [Keys.Find] does. An absent key
// causes no fetch. The error wraps [jose.ErrUnknownKey] or [ErrUnavailable].
func (h Handle) Again(ctx context.Context, now time.Time) (Handle, error) {
	keys, err := h.owner()
	if err != nil {
		return Handle{}, err
	}
	if err := keys.usable(ctx); err != nil {
		return Handle{}, err
	}
	v, err := keys.refresher.renewed(ctx, now, keys.lookup.current.Load())
	if err != nil {
		return Handle{}, err
	}
	again, err := h.in(v)
	return again, h.aboutKey(err)
}

// checkStale is Handle.Check for keys that are not fresh.
func (k *Keys) checkStale(ctx context.Context, now time.Time, v *version) error {
	if !v.usableAt(now) {
		return errStale
	}
	k.refresher.refreshStale(ctx, now)
	return nil
}
