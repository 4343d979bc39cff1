package jwkscache

import (
	"context"
	"time"
)

// longestHeld is how far away a fetch may be for tokens to wait for it.
const longestHeld = 30 * time.Second

// heldFlight is a flight that tokens of unknown kids wait for before it starts:
// it starts when the next fetch for such a kid is allowed, or with any fetch
// that starts before. It is guarded by the lock of its Keys.
type heldFlight struct {
	flight *flight // nil if nothing is held
	kid    string  // whose interval decides
	at     time.Time
	timer  *time.Timer
}

// hold returns the held flight, which starts no later than at. The lock is held.
func (k *Keys) hold(ctx context.Context, kid string, now, at time.Time) *flight {
	h := &k.held
	if h.flight != nil && !at.Before(h.at) {
		return h.flight
	}
	if h.flight == nil {
		h.flight = k.newFlight(at.Sub(now)) // later ones only bring it forward
	} else {
		h.timer.Stop()
	}
	f := h.flight
	h.kid, h.at = kid, at
	h.timer = time.AfterFunc(at.Sub(now), func() { k.release(ctx, f) })
	return f
}

// release starts a held flight unless it has started already.
func (k *Keys) release(ctx context.Context, f *flight) {
	k.mu.Lock()
	if k.held.flight != f {
		k.mu.Unlock()
		return
	}
	k.launch(causeUnknownKid, k.held.kid, time.Now())
	loaded := k.loaded
	k.mu.Unlock()
	k.fly(ctx, f, loaded)
}

// take returns the held flight, for a fetch that starts now, or nil.
func (h *heldFlight) take() *flight {
	f := h.flight
	if f == nil {
		return nil
	}
	h.timer.Stop()
	*h = heldFlight{}
	return f
}
