package introspection

import (
	"errors"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/introspect"
)

var errSharedQueue = errors.New("introspection: too many requests to all issuers wait for their turn; raise the Queue or the Concurrency of IntrospectionLimits")

// Shared bounds the requests to all issuers of a Validator together, and the callers
// that wait for them.
type Shared struct {
	limits  introspect.SharedLimits
	gate    *gate
	waiters *detached.Waiters
}

// NewShared returns the Shared of limits, with defaults for zero fields. The paths of
// the faults are the fields of limits.
func NewShared(limits introspect.SharedLimits) (*Shared, error) {
	if err := checkSharedLimits(&limits); err != nil {
		return nil, err
	}
	return &Shared{
		limits:  limits,
		gate:    newGate(limits.Concurrency, limits.Queue, errSharedQueue),
		waiters: detached.NewWaiters(limits.Waiters),
	}, nil
}

// sharedOr returns s, or a Shared of its own with the defaults if s is nil.
func sharedOr(s *Shared) *Shared {
	if s == nil {
		s, _ = NewShared(introspect.SharedLimits{}) // the defaults have no faults
	}
	return s
}
