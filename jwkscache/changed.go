package jwkscache

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// slowInterval is the least time between the starts of two fetches for bad
// signatures, and between those of two fetches for tokens without kid.
const slowInterval = 30 * time.Second

// slowCause returns the cause of a fetch for a token that has no kid, or whose kid
// is known but whose key does not verify it: the issuer may have changed the key.
func slowCause(h jose.Header) string {
	if _, ok := h.KeyID(); ok {
		return causeBadSignature
	}
	return causeNoKid
}

func isSlow(cause string) bool { return cause == causeBadSignature || cause == causeNoKid }

// FindAgain returns the keys to try for a token with header h whose signature
// none of the keys of tried verified, and false if there are no others. It
// fetches the set if that is allowed: once in 30 seconds for tokens with kid,
// and once for those without. It waits for its own fetch only, and no longer
// than ctx.
func (k *Keys) FindAgain(ctx context.Context, h jose.Header, tried Found) (Found, bool) {
	if k == nil || k.origin == nil {
		return Found{}, false
	}
	if k.current.Load() == tried.version {
		if err := k.refetch(ctx, h); err != nil {
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

// findChanged looks up a token that the set has no key for, with refused as the
// reason, although its kid is known or absent. A kid is known too if its keys are
// forbidden by thumbprint: the issuer may have replaced them.
func (k *Keys) findChanged(ctx context.Context, h jose.Header, refused error) (Found, error) {
	kid, hasID := h.KeyID()
	if !h.Algorithm().Valid() || len(kid) > maxKeyID || k.forbidsID(kid) {
		return Found{}, refused
	}
	unknown := errors.Is(refused, jose.ErrUnknownKey)
	switch err := k.refetch(ctx, h); {
	case err == nil:
		return k.findNow(h)
	case hasID && unknown: // forbidden, as far as is known: as certain as a bad signature
		return Found{}, refused
	case !errors.Is(err, errNotNow):
		return Found{}, err
	case unknown:
		return Found{}, k.failedOr(refused)
	default:
		return Found{}, refused
	}
}

var errNotNow = errors.New("jwkscache: no fetch is allowed now")

// refetch fetches the set from the slow budget of h and waits for it. The error
// is errNotNow if no fetch is allowed, or one is under way.
func (k *Keys) refetch(ctx context.Context, h jose.Header) error {
	f := k.begin(ctx, slowCause(h), "")
	if f == nil {
		return errNotNow
	}
	return f.wait(ctx, k.limits.Waiters)
}

// findNow looks h up in the set in use, without fetching.
func (k *Keys) findNow(h jose.Header) (Found, error) {
	v := k.current.Load()
	if v == nil || v.usable.passed(time.Now()) {
		return Found{}, k.unready(v)
	}
	keys, err := v.set.Find(h)
	if err != nil {
		return Found{}, err
	}
	return Found{keys, k, v}, nil
}

// failedOr returns the failure of the last work, or err if it did not fail.
func (k *Keys) failedOr(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.failure != nil {
		return k.failure
	}
	return err
}
