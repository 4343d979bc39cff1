package directory

import (
	"sync"
	"sync/atomic"
	"time"
	"weak"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// maxDisplaced is how many displaced values are remembered.
const maxDisplaced = 4096

// entry is a name with its value.
type entry[T any] struct {
	name     string
	answer   atomic.Pointer[answer[T]]
	accepted atomic.Bool  // see Directory.Accept
	used     atomic.Int64 // s on the monotonic clock of the Directory
	running  atomic.Bool  // Run has it
	gone     chan struct{}
}

func newEntry[T any](name string, a *answer[T]) *entry[T] {
	e := &entry[T]{name: name, gone: make(chan struct{})}
	e.answer.Store(a)
	return e
}

// table holds the entries. Reading takes no lock; changes are guarded by the lock
// of the Directory.
type table[T any] struct {
	entries sync.Map // from name to *entry[T]
	size    int
}

// get returns the entry of name, or nil.
func (t *table[T]) get(name string) *entry[T] {
	found, ok := t.entries.Load(name)
	if !ok {
		return nil
	}
	return found.(*entry[T]) //nolint:forcetypeassert // the table holds nothing else
}

// all calls yield with each entry until it returns false.
func (t *table[T]) all(yield func(*entry[T]) bool) {
	for _, found := range t.entries.Range {
		if !yield(found.(*entry[T])) { //nolint:forcetypeassert // as in get
			return
		}
	}
}

func (t *table[T]) add(e *entry[T]) {
	t.entries.Store(e.name, e)
	t.size++
}

// remove removes e and reports whether it was there.
func (t *table[T]) remove(e *entry[T]) bool {
	if !t.entries.CompareAndDelete(e.name, e) {
		return false
	}
	t.size--
	close(e.gone)
	return true
}

// least returns the entry to displace: of those without an accepted value the one
// that was not used for longest, or of all if there are no such entries. So a
// caller who looks up one name after the other, without having a value accepted,
// displaces at most one entry that is in use.
func (t *table[T]) least() *entry[T] {
	var least *entry[T]
	for e := range t.all {
		if least == nil || e.before(least) {
			least = e
		}
	}
	return least
}

// before reports whether e is displaced before other.
func (e *entry[T]) before(other *entry[T]) bool {
	if a, b := e.accepted.Load(), other.accepted.Load(); a != b {
		return b
	}
	return e.used.Load() < other.used.Load()
}

// displaced are the values that were displaced and neither forgotten, withdrawn
// nor amended since, by the hash of their name. They are not kept in memory.
type displaced[T any] map[uint64]displacedValue[T]

type displacedValue[T any] struct {
	value weak.Pointer[T]
	since clock.Moment // of the answer
	fresh time.Duration
}

// add remembers the value of a. If there are too many already, add forgets them
// first.
func (d displaced[T]) add(hash uint64, a *answer[T]) {
	if len(d) >= maxDisplaced {
		clear(d)
	}
	d[hash] = displacedValue[T]{weak.Make(a.value), a.since, a.fresh}
}

// answer returns the answer that value was displaced with, or nil if it is not
// remembered. The answer is due for renewal, since it may have changed meanwhile.
func (d displaced[T]) answer(hash uint64, value *T) *answer[T] {
	found, ok := d[hash]
	if !ok || found.value != weak.Make(value) {
		return nil
	}
	return &answer[T]{value: value, since: found.since, fresh: found.fresh}
}
