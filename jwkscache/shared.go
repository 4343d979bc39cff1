package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// SharedLimits bound what the keys of several issuers may cost together, beside
// what [Limits] say of each. A zero field has the default; what is out of bounds
// is a configuration error.
type SharedLimits struct {
	// Waiters is how many requests wait at once, for keys or for an issuer
	// to be found: 4 000 (1 to 1 000 000). A quarter is for issuers with at most
	// four of them; of the others, one issuer may have as many as are left. A
	// third does not wait for issuers to be found of which no token was
	// accepted. What exceeds that is not judged ([ErrUnavailable]).
	Waiters int
	// Fetches is how many fetches from the network are under way at once:
	// 64 (4 to 10 000). A quarter is for issuers of which a token was accepted
	// or that are configured, and half of that for the latter alone. Those that
	// begin later wait for their turn.
	Fetches int
	// UnknownKids is how many fetches for unknown kids begin in a second: 50
	// (4 to 10 000). The issuers take turns; of four, three are for issuers of
	// which a token was accepted or that are configured.
	UnknownKids int
	// Missing is the same for issuers without usable keys: 100 (4 to 10 000).
	Missing int
	// KeyBytes is about how much memory the key sets in use take: 256 MiB
	// (1 MiB to 64 GiB). Half of it is for issuers of which a token was
	// accepted or that are configured. A set may take a sixteenth of what is
	// left; up to 64 KiB, one of these issuers always has room. What exceeds
	// that is not used, as if the issuer were down, and the set before serves
	// for as long as it may.
	KeyBytes int
}

// Shared is what the keys of several issuers have in common; see
// [Binding].Shared. It is safe for concurrent use.
type Shared struct {
	waiters   *detached.Waiters
	strangers *detached.Waiters // a part of waiters
	turns     turns
	memory    memory
}

const (
	// longestQueue is how long a request waits for the turn of a fetch, beside
	// the time of the fetch.
	longestQueue = 10 * time.Second
	// memoryShare is the part of the memory left that one set may take.
	memoryShare = 16
	// familiarWaiters is the part of the waiters, one in so many, that do not
	// wait for issuers to be found of which no token was accepted.
	familiarWaiters = 3
	// strangersMemory is the part of the memory, one in so many, that issuers
	// may take of which no token was accepted.
	strangersMemory = 2
	// smallSet is the size up to which a set of another issuer has room in any
	// case.
	smallSet = 64 << 10
	// versionBytes and keyBytes are about what a version and a parsed key take.
	versionBytes = 4 << 10
	keyBytes     = 4 << 10
)

var (
	errMemory = errors.New("jwkscache: the keys of all issuers take too much memory; raise SharedLimits.KeyBytes, or lower Limits.DocumentBytes")
	errShared = errors.New("jwkscache: Binding.Shared was not made by NewShared")
)

// NewShared checks limits and makes what [Binding].Shared takes. The error tells
// every fault.
func NewShared(limits SharedLimits) (*Shared, error) {
	if err := limits.checked(); err != nil {
		return nil, err
	}
	s := &Shared{waiters: detached.NewWaiters(limits.Waiters), memory: memory{limit: limits.KeyBytes}}
	s.strangers = s.waiters.Part(limits.Waiters - limits.Waiters/familiarWaiters)
	s.turns.limit = limits.Fetches
	s.turns.classes[turnUnknownKid].begun = make([]time.Time, limits.UnknownKids)
	s.turns.classes[turnMissing].begun = make([]time.Time, limits.Missing)
	return s, nil
}

// checked fills in the defaults and reports every field that is out of bounds.
func (l *SharedLimits) checked() error {
	var faults []error
	for _, n := range []number{
		{"Waiters", &l.Waiters, 4000, 1, 1_000_000},
		{"Fetches", &l.Fetches, 64, 4, 10_000},
		{"UnknownKids", &l.UnknownKids, 50, 4, 10_000},
		{"Missing", &l.Missing, 100, 4, 10_000},
		{"KeyBytes", &l.KeyBytes, 256 << 20, 1 << 20, 64 << 30},
	} {
		faults = append(faults, n.checked("SharedLimits"))
	}
	return errors.Join(faults...)
}

// Wait waits for a flight within the bounds of the flight, limit, and of all; see
// [SharedLimits].Waiters. A nil Shared has no bound for all.
func (s *Shared) Wait(ctx context.Context, f *detached.Flight, limit int) error {
	if s == nil {
		return f.Wait(ctx, limit)
	}
	return s.waiters.Wait(ctx, f, limit)
}

// WaitForStranger is Wait for an issuer to be found of which no token was accepted,
// and which may be made up. A third of the places is for others.
func (s *Shared) WaitForStranger(ctx context.Context, f *detached.Flight, limit int) error {
	if s == nil {
		return f.Wait(ctx, limit)
	}
	return s.strangers.Wait(ctx, f, limit)
}

// wait is Wait for a fetch that takes no longer than longest once it is its turn.
func (s *Shared) wait(ctx context.Context, f *detached.Flight, limit int, longest time.Duration) error {
	if s == nil {
		return f.Wait(ctx, limit)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, longestQueue+longest, errTurn)
	defer cancel()
	return s.waiters.Wait(ctx, f, limit)
}

// check reports whether s was made by NewShared, or is nil.
func (s *Shared) check() error {
	if s != nil && s.waiters == nil {
		return errShared
	}
	return nil
}

// memory counts what the key sets in use take.
type memory struct {
	mu        sync.Mutex
	limit     int
	used      int
	strangers int // of used, by issuers of which no token was accepted
}

// account is the part of the memory that one issuer's keys take. All of it but
// shared is guarded by the lock of the memory.
type account struct {
	shared   *Shared // nil: nothing is counted
	left     bool    // the keys are not in use any more
	familiar bool    // a token of the issuer was accepted, or it is configured
	used     int
}

// reserve counts size instead of what was counted before, if there is room.
func (a *account) reserve(size int) error {
	if a.shared == nil {
		return nil
	}
	m := &a.shared.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if more := size - a.used; !a.left && more > 0 && more > a.room(m) && (!a.familiar || size > smallSet) {
		return errMemory
	}
	a.set(m, size)
	return nil
}

// room returns how much a set may grow, under the lock of m.
func (a *account) room(m *memory) int {
	left := m.limit - m.used
	if !a.familiar {
		left = min(left, m.limit-strangersMemory*m.strangers)
	}
	return left / memoryShare
}

// accept counts the keys as those of an issuer of which a token was accepted.
func (a *account) accept() {
	if a.shared == nil {
		return
	}
	m := &a.shared.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	if !a.familiar {
		a.familiar = true
		m.strangers -= a.used
	}
}

// use counts size instead of what was counted before.
func (a *account) use(size int) {
	if a.shared == nil {
		return
	}
	m := &a.shared.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	a.set(m, size)
}

// set is use under the lock of m.
func (a *account) set(m *memory, size int) {
	if a.left {
		return
	}
	m.used += size - a.used
	if !a.familiar {
		m.strangers += size - a.used
	}
	a.used = size
}

// bytes estimates what v takes in memory: the document, what was parsed of it,
// and what is kept for every key.
func (v *version) bytes() int {
	if v == nil {
		return 0
	}
	return versionBytes + 2*len(v.document) + len(v.location) + len(v.etag) + keyBytes*v.published.Len()
}

// Count sets whether k counts against [Binding].Shared, as it does from [Open] on.
// Call Count(false) when k is dropped, to free its share at once. k remains
// usable.
func (k *Keys) Count(count bool) {
	if k == nil || k.account.shared == nil {
		return
	}
	a := &k.account
	k.mu.Lock()
	defer k.mu.Unlock()
	if !count {
		a.use(0)
	}
	a.shared.memory.mu.Lock()
	a.left = !count
	a.shared.memory.mu.Unlock()
	if count {
		a.use(k.current.Load().bytes())
	}
}

// checked fills in the default of n and reports whether it is out of bounds.
func (n number) checked(limits string) error {
	switch {
	case *n.field == 0:
		*n.field = n.fallback
	case *n.field < n.smallest || *n.field > n.largest:
		return fmt.Errorf("jwkscache: %s.%s is %d; allowed are %d to %d", limits, n.name, *n.field, n.smallest, n.largest)
	}
	return nil
}
