package scopes

import (
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/sallyport-auth/sallyport/validator"
)

const (
	// maxOwnLateRuns is how many late runs of one hook a principal may have.
	maxOwnLateRuns = 100
	// maxLateRuns is how many late runs of one hook all principals may have
	// together, and how many principals may have late runs.
	maxLateRuns = 1000
)

var (
	errOwnLateRuns = errors.New("too many runs of the hook for this principal continue after their request ended; make the hook return when its context ends")
	errAllLateRuns = errors.New("too many runs of the hook continue after their request ended; make the hook return when its context ends")
)

// lateRuns counts the runs of one hook that continue after their request was
// answered or given up. It counts per principal, so that a caller that hangs up
// again and again does not use up the share of others.
type lateRuns struct {
	seed maphash.Seed
	any  atomic.Int64 // how many principals have late runs

	mu    sync.Mutex
	of    map[uint64]int // late runs by hash of the principal; never 0
	total int            // the sum of the map's values, each counted as at most maxOwnLateRuns
}

func newLateRuns() *lateRuns {
	return &lateRuns{seed: maphash.MakeSeed(), of: make(map[uint64]int)}
}

// admit returns nil if the hook may be called for token now, or why not. A
// principal without late runs is refused only if maxLateRuns others have some.
// Runs that have started at the same time may become late together, so the total
// of a few principals can exceed maxLateRuns.
func (l *lateRuns) admit(token *validator.Token) error {
	if l.any.Load() == 0 {
		return nil
	}
	principal := l.principal(token)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch own := l.of[principal]; {
	case own >= maxOwnLateRuns:
		return errOwnLateRuns
	case own > 0 && l.total >= maxLateRuns, len(l.of) >= maxLateRuns:
		return errAllLateRuns
	default:
		return nil
	}
}

// add adds n to the late runs of a principal. n is 1 or -1.
func (l *lateRuns) add(principal uint64, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.of[principal]
	after := before + n
	l.total += min(after, maxOwnLateRuns) - min(before, maxOwnLateRuns)
	if after == 0 {
		delete(l.of, principal)
	} else {
		l.of[principal] = after
	}
	l.any.Store(int64(len(l.of)))
}

// principal returns a hash of the issuer and the subject of token, or of the issuer
// and the client if the client got the token for itself. The names themselves are
// not stored, because they share memory with the whole token.
func (l *lateRuns) principal(token *validator.Token) uint64 {
	name, client := token.Subject(), false
	if token.ClientOnly() && token.ClientID() != "" {
		name, client = token.ClientID(), true
	}
	return maphash.Comparable(l.seed, struct {
		issuer, name string
		client       bool
	}{token.Issuer(), name, client})
}
