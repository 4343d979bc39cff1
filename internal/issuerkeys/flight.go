package issuerkeys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/jose"
)

// flight is work that many requests may wait for: one fetch, or reading the store.
type flight struct {
	*detached.Flight

	cause   string
	kid     string // the unknown kid that caused the fetch, or ""
	began   time.Time
	number  uint64 // counts the fetches; 0 for a held flight and for reading the store
	shared  *Shared
	longest time.Duration // that it takes from its turn on; for a held flight, from its first waiter on
}

// wait waits for the work, but no longer than ctx.
func (f *flight) wait(ctx context.Context, maxWaiters int) error {
	err := f.shared.wait(ctx, f.Flight, maxWaiters, f.longest)
	if err == detached.ErrWaiters { //nolint:errorlint // never wrapped; most requests of a flood get it, without an allocation
		return errWaiters
	}
	if err != nil && !errors.Is(err, ErrUnavailable) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return err
}

// fetchResult is the result of one fetch or of reading the store.
type fetchResult struct {
	location string
	version  *version          // not yet in use
	same     bool              // its set is the one in use
	ignored  []jose.IgnoredKey // of a set that is not used
	store    *contents         // nil for a fetch
}

// heldFlight is a flight that tokens of unknown kids wait for before it begins. It
// begins when the next fetch for such a kid is allowed, or with any fetch that
// begins earlier. The lock of the refresher guards it.
type heldFlight struct {
	flight *flight // nil if nothing is held
	kid    string  // whose interval decides
	at     time.Time
	timer  *time.Timer
}

// take returns the held flight, for a fetch that begins now, or nil.
func (h *heldFlight) take() *flight {
	f := h.flight
	if f == nil {
		return nil
	}
	h.timer.Stop()
	*h = heldFlight{}
	return f
}
