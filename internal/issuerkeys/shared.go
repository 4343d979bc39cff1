package issuerkeys

import (
	"context"
	"errors"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

const (
	// longestQueue is how long a request waits for the turn of a fetch, in addition
	// to the time of the fetch.
	longestQueue = 10 * time.Second
	// familiarWaiters is the part of the waiters, one in so many, that do not wait
	// until an issuer without an accepted token is resolved.
	familiarWaiters = 3
)

var errShared = errors.New("was not made by NewShared")

// Shared is what the keys of several issuers have in common; see
// [Binding].Shared. It is safe for concurrent use.
type Shared struct {
	waiters   *detached.Waiters
	strangers *detached.Waiters // a part of waiters
	turns     turns
	memory    memory
}

// NewShared checks limits and returns what [Binding].Shared takes. The error joins
// every fault, with paths relative to limits.
func NewShared(limits jwkscache.SharedLimits) (*Shared, error) {
	if err := checkSharedLimits(&limits); err != nil {
		return nil, err
	}
	s := &Shared{waiters: detached.NewWaiters(limits.Waiters), memory: memory{limit: limits.KeyBytes}}
	s.strangers = s.waiters.Part(limits.Waiters - limits.Waiters/familiarWaiters)
	s.turns.limit = limits.Fetches
	s.turns.classes[turnUnknownKid].begun = make([]time.Time, limits.UnknownKids)
	s.turns.classes[turnMissing].begun = make([]time.Time, limits.Missing)
	return s, nil
}

// check returns an error if s is not nil and was not made by NewShared.
func (s *Shared) check() error {
	if s != nil && s.waiters == nil {
		return errShared
	}
	return nil
}

// account returns an account for the keys of one issuer.
func (s *Shared) account(familiar bool) account {
	if s == nil {
		return account{familiar: familiar}
	}
	return account{memory: &s.memory, familiar: familiar}
}

// Wait waits for a flight, for which at most limit requests wait, within the bound
// of [jwkscache.SharedLimits].Waiters for all. A nil Shared has no bound for all.
func (s *Shared) Wait(ctx context.Context, f *detached.Flight, limit int) error {
	if s == nil {
		return f.Wait(ctx, limit)
	}
	return s.waiters.Wait(ctx, f, limit)
}

// WaitForStranger is Wait for the resolution of an issuer without an accepted
// token, which may not exist. A third of the places is for others.
func (s *Shared) WaitForStranger(ctx context.Context, f *detached.Flight, limit int) error {
	if s == nil {
		return f.Wait(ctx, limit)
	}
	return s.strangers.Wait(ctx, f, limit)
}

// wait is Wait for a fetch that takes no longer than longest once it has its turn.
func (s *Shared) wait(ctx context.Context, f *detached.Flight, limit int, longest time.Duration) error {
	if s == nil {
		return f.Wait(ctx, limit)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longestQueue+longest, errTurn)
	defer cancel()
	return s.waiters.Wait(ctx, f, limit)
}
