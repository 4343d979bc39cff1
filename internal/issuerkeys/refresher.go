package issuerkeys

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// refresher fetches the keys: when they are missing or stale, when a token needs
// it, and ahead of expiry. At most one fetch is under way. Its lock is never held
// across I/O or in a hook. A caller that holds it may take the lock of the vault.
type refresher struct {
	*settings

	lookup *lookup
	vault  *vault

	retry atomic.Pointer[time.Time] // of the schedule, or far off while a flight is under way
	begun atomic.Uint64             // the number of fetches, with the one under way

	mu        sync.Mutex
	flight    *flight    // under way, or nil
	held      heldFlight // the next fetch for unknown kids; none while a flight is under way
	abandoned int        // fetches that do not return
	failure   error      // of the last flight, or nil
	failed    time.Time  // when a flight last failed
	policy    Policy
	known     string // the last location of the keys
}

func newRefresher(s *settings, l *lookup, t *vault) *refresher {
	r := &refresher{settings: s, lookup: l, vault: t, policy: newPolicy(s.limits, s.maxBackoff, anyRandom)}
	r.retry.Store(new(time.Time))
	return r
}

// newFlight returns a flight that begins after at most held.
func (r *refresher) newFlight(held time.Duration) *flight {
	return &flight{Flight: detached.NewFlight(), shared: r.binding.Shared, longest: held + detached.Longest(r.longestWork)}
}

// publish puts v into use, without the forbidden keys. The caller holds the lock.
func (r *refresher) publish(v *version) keyChange { return r.lookup.publish(r.vault.permitted(v)) }

// unready returns why v cannot be used. It is never nil.
func (r *refresher) unready(v *version) error {
	switch failure := r.failedOr(nil); {
	case failure != nil:
		return failure
	case v == nil:
		return errNone
	default:
		return errStale
	}
}

// failedOr returns the failure of the last flight, or err if it did not fail.
func (r *refresher) failedOr(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return r.failure
	}
	return err
}
