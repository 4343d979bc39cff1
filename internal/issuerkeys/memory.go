package issuerkeys

import (
	"errors"
	"sync"
)

const (
	// memoryShare is the part of the memory left that one set may take: one in so
	// many.
	memoryShare = 16
	// strangersMemory is the part of the memory that issuers without an accepted
	// token may take: one in so many.
	strangersMemory = 2
	// smallSet is the size up to which a set of another issuer always has room.
	smallSet = 64 << 10
)

var errMemory = errors.New("jwkscache: the keys of all issuers take too much memory; raise SharedLimits.KeyBytes, or lower Limits.DocumentBytes")

// memory counts what the key sets in use take.
type memory struct {
	mu        sync.Mutex
	limit     int
	used      int
	strangers int // of used, by issuers without an accepted token
}

// account is the part of the memory that the keys of one issuer take. The lock of
// the memory guards its fields, except for memory.
type account struct {
	memory   *memory // nil: nothing is counted
	left     bool    // the keys are not in use any more
	familiar bool    // a token of the issuer was accepted, or it is configured
	used     int
}

// reserve counts size instead of the size before, if there is room.
func (a *account) reserve(size int) error {
	if a.memory == nil {
		return nil
	}
	a.memory.mu.Lock()
	defer a.memory.mu.Unlock()
	if more := size - a.used; !a.left && more > 0 && more > a.room() && (!a.familiar || size > smallSet) {
		return errMemory
	}
	a.set(size)
	return nil
}

// room returns how much a set may grow. The caller holds the lock.
func (a *account) room() int {
	m := a.memory
	left := m.limit - m.used
	if !a.familiar {
		left = min(left, m.limit-strangersMemory*m.strangers)
	}
	return left / memoryShare
}

// accept counts the keys as those of an issuer with an accepted token.
func (a *account) accept() {
	if a.memory == nil {
		return
	}
	a.memory.mu.Lock()
	defer a.memory.mu.Unlock()
	if !a.familiar {
		a.familiar = true
		a.memory.strangers -= a.used
	}
}

// use counts size instead of the size before.
func (a *account) use(size int) {
	if a.memory == nil {
		return
	}
	a.memory.mu.Lock()
	defer a.memory.mu.Unlock()
	a.set(size)
}

// set is use for a caller that holds the lock.
func (a *account) set(size int) {
	if a.left {
		return
	}
	a.memory.used += size - a.used
	if !a.familiar {
		a.memory.strangers += size - a.used
	}
	a.used = size
}

// count starts or ends the counting. When it starts, size is counted.
func (a *account) count(count bool, size int) {
	if a.memory == nil {
		return
	}
	a.memory.mu.Lock()
	defer a.memory.mu.Unlock()
	if count {
		a.left = false
		a.set(size)
	} else {
		a.set(0)
		a.left = true
	}
}
