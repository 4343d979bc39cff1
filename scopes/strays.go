package scopes

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/sallyport-auth/sallyport/validator"
)

const (
	// maxOwnStrays is how many strays of one hook a principal may have.
	maxOwnStrays = 100
	// maxStrays is how many strays of one hook all principals may have
	// together, and how many principals may have one.
	maxStrays = 1000
)

// strays counts the runs of one hook that go on although their request was
// answered or given up. The count is per principal, so that a caller that hangs
// up again and again uses up its own share and no other.
type strays struct {
	seed maphash.Seed
	any  atomic.Int64 // principals with strays

	mu    sync.Mutex
	of    map[uint64]int // by hash of the principal; none has 0
	total int            // of the map's values, of which each counts maxOwnStrays at most
}

func newStrays() *strays {
	return &strays{seed: maphash.MakeSeed(), of: make(map[uint64]int)}
}

// admit returns why the hook must not be asked about token now, or nil. A
// principal without strays is refused only if very many others have some: runs
// that are under way at the same time may become strays together, so the total
// of a few principals can pass its bound.
func (s *strays) admit(token *validator.Token) error {
	if s.any.Load() == 0 {
		return nil
	}
	principal := s.principal(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch own := s.of[principal]; {
	case own >= maxOwnStrays:
		return errOwnStrays
	case own > 0 && s.total >= maxStrays, own == 0 && len(s.of) >= maxStrays:
		return errHookStrays
	default:
		return nil
	}
}

// add counts one more or, if n is -1, one less.
func (s *strays) add(principal uint64, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.of[principal]
	after := before + n
	s.total += min(after, maxOwnStrays) - min(before, maxOwnStrays)
	if after == 0 {
		delete(s.of, principal)
	} else {
		s.of[principal] = after
	}
	s.any.Store(int64(len(s.of)))
}

// principal returns a hash of the subject of token within its issuer, or of the
// client if it got the token for itself. The names are not kept: they share
// memory with the whole token.
func (s *strays) principal(token *validator.Token) uint64 {
	name, client := token.Subject(), false
	if token.ClientOnly() && token.ClientID() != "" {
		name, client = token.ClientID(), true
	}
	return maphash.Comparable(s.seed, struct {
		issuer, name string
		client       bool
	}{token.Issuer(), name, client})
}
