// Package directory finds values by names that nobody has verified: the name is an
// attacker's choice, and the function that finds the value may be slow.
//
// Values that are known are read without a lock. Lookups are bounded in number and
// time: quick ones are not limited in rate, and slow ones are given up while others
// wait. Names whose values were accepted once have places of their own, so that a
// flood of other names does not delay them. Misses are remembered for a short time,
// and an answer serves for a bounded time while the function fails. If there is no
// room, values that were never accepted are displaced first.
package directory

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
	"sync"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/detached"
)

// maxWaiters is how many callers wait for one lookup.
const maxWaiters = 1000

// Errors of a lookup. Each is returned by [Directory.Get] as it is.
var (
	// ErrDisplaced means that the value was displaced a short time ago, before it
	// was accepted, and is not looked up again yet.
	ErrDisplaced = errors.New("it had to make room for others before it was accepted once")
	// ErrOpen means that an answer could not be used.
	ErrOpen = errors.New("the use of the answer panicked")

	errForgotten = errors.New("it was forgotten while it was looked up")
)

// Opener makes the value of one answer of Config.Find. before is the value that the
// name has at present, or nil: an Opener returns before if nothing has changed. It
// is called again if the Directory was amended meanwhile. A panic is an error.
type Opener[T any] func(before *T) (*T, error)

// Config says what a Directory holds. Every field without "may be nil" is required.
type Config[T any] struct {
	// Find looks a name up. The context has a deadline and no value of a caller,
	// because the answer is for all callers.
	Find func(ctx context.Context, name string) (Opener[T], error)
	// Unknown is the error of Find, or of the Opener, for a name that there is
	// not. Other errors leave the last answer in use for a while.
	Unknown error
	// Size is how many values are kept.
	Size int
	// Entered is called when a value enters the Directory, and Left when it
	// leaves. The lock of the Directory is held. Both may be nil.
	Entered, Left func(*T)
	// Accepted remembers the names whose values were accepted. It may be nil.
	Accepted Names
	// Wait waits for a flight. accepted reports whether it is for a name of which a
	// value was accepted, or that is known. It may be nil.
	Wait func(ctx context.Context, f *detached.Flight, limit int, accepted bool) error
}

// Names is a memory of names that outlasts the entries of a Directory, and may
// outlast the process.
type Names interface {
	Load(ctx context.Context) error // waits until Has can be asked
	Has(name string) bool
	Add(name string)
	Remove(name string)
}

// Directory is a bounded map from names to values that Config.Find finds. It is
// safe for concurrent use.
type Directory[T any] struct {
	config Config[T]
	born   time.Time
	added  chan struct{} // tells Run of new entries
	seed   maphash.Seed
	table  table[T]

	mu        sync.Mutex // never held during a call of Find or an Opener
	calls     map[string]*call[T]
	strangers lane[T] // calls for names that are neither known nor accepted
	familiar  lane[T] // calls for the others
	missed    misses  // names that there are not, or that Find failed for
	gaveWay   misses  // displaced before they were accepted; apart, so that a flood of missed names does not clear them
	displaced displaced[T]
	amended   int // how often Amend was called
}

// New returns an empty Directory.
func New[T any](config Config[T]) *Directory[T] {
	d := &Directory[T]{
		config:    config,
		born:      time.Now(),
		added:     make(chan struct{}, 1),
		seed:      maphash.MakeSeed(),
		calls:     make(map[string]*call[T]),
		missed:    make(misses),
		gaveWay:   make(misses),
		displaced: make(displaced[T]),
	}
	for _, l := range []*lane[T]{&d.strangers, &d.familiar} {
		l.begin, l.giveUp, l.later = d.begin, d.giveUp, d.advanceLater
	}
	d.strangers.strangers = true
	return d
}

// Get returns the value of name. It waits for a lookup if the value is not known or
// too old, but no longer than ctx.
func (d *Directory[T]) Get(ctx context.Context, name string) (*T, error) {
	for {
		value, err := d.get(ctx, name)
		if !errors.Is(err, errForgotten) {
			return value, err
		}
	}
}

func (d *Directory[T]) get(ctx context.Context, name string) (*T, error) {
	e := d.table.get(name)
	if e != nil {
		if value := d.fresh(ctx, e, time.Now()); value != nil {
			return value, nil
		}
	}
	c, err := d.ask(ctx, name, e != nil)
	if err == nil {
		err = d.wait(ctx, c)
	}
	if err == nil {
		return c.value, nil
	}
	if e != nil && d.table.get(name) == e && !errors.Is(err, d.config.Unknown) && !errors.Is(err, errForgotten) {
		if a := e.answer.Load(); a.since.Age(d.moment(time.Now())) < staleAge {
			return a.value, nil
		}
	}
	return nil, err
}

// wait waits for a call within the bounds of its lane.
func (d *Directory[T]) wait(ctx context.Context, c *call[T]) error {
	if d.config.Wait == nil {
		return c.Wait(ctx, maxWaiters)
	}
	return d.config.Wait(ctx, c.Flight, maxWaiters, c.lane == &d.familiar)
}

// Fresh returns the value of name, or nil if Get would wait. It may start a lookup
// in the background.
func (d *Directory[T]) Fresh(ctx context.Context, name string, now time.Time) *T {
	e := d.table.get(name)
	if e == nil {
		return nil
	}
	return d.fresh(ctx, e, now)
}

func (d *Directory[T]) fresh(ctx context.Context, e *entry[T], now time.Time) *T {
	if s := d.seconds(now); e.used.Load() != s {
		e.used.Store(s)
	}
	a := e.answer.Load()
	age := a.since.Age(d.moment(now))
	if age >= a.fresh {
		return nil
	}
	if age >= a.renewal {
		_, _ = d.ask(ctx, e.name, true) // in the background
	}
	return a.value
}

// Known returns the value of name, however old it is, or nil.
func (d *Directory[T]) Known(name string) *T {
	e := d.table.get(name)
	if e == nil {
		return nil
	}
	return e.answer.Load().value
}

// All returns the values that are known, in no order.
func (d *Directory[T]) All() iter.Seq[*T] {
	return func(yield func(*T) bool) {
		for e := range d.table.all {
			if !yield(e.answer.Load().value) {
				return
			}
		}
	}
}

// Accept records that value was accepted, so that it is displaced last. It returns
// false if value is not the one of name any more: it was forgotten, withdrawn,
// changed or amended. A value that was displaced before it was accepted enters
// again, and its name is looked up again soon, since it may have changed.
func (d *Directory[T]) Accept(name string, value *T) bool {
	e := d.table.get(name)
	if e != nil && e.accepted.Load() {
		return e.answer.Load().value == value
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	e, hash := d.table.get(name), d.hash(name)
	if e == nil {
		a := d.displaced.answer(hash, value)
		if a == nil {
			return false
		}
		delete(d.displaced, hash)
		delete(d.gaveWay, hash)
		e = newEntry(name, a)
		e.accepted.Store(true)
		d.accepted(name)
		d.insert(e)
		return true
	}
	if e.answer.Load().value != value {
		return false
	}
	e.accepted.Store(true)
	d.accepted(name)
	return true
}

func (d *Directory[T]) accepted(name string) {
	if d.config.Accepted != nil {
		d.config.Accepted.Add(name)
	}
}

// Forget removes name and what is known of it. The result of a lookup that is under
// way is discarded.
func (d *Directory[T]) Forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(name)
	d.unmiss(name)
	delete(d.calls, name)
	if e := d.table.get(name); e != nil {
		d.remove(e)
	}
}

// Amend calls change, which changes what Openers do for name. An Opener that is
// running is called again, and name can be looked up at once, even after a miss.
// The lock is held during change.
func (d *Directory[T]) Amend(name string, change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
	d.amended++
	d.drop(name)
	d.unmiss(name)
}

// insert displaces an entry if there is no room, and adds e. The lock is held.
func (d *Directory[T]) insert(e *entry[T]) {
	e.used.Store(d.seconds(time.Now()))
	if d.table.size >= d.config.Size {
		least := d.table.least()
		hash := d.hash(least.name)
		d.displaced.add(hash, least.answer.Load())
		d.remove(least)
		if !least.accepted.Load() { // or looking it up again would open it again
			d.gaveWay.add(hash, ErrDisplaced, d.moment(time.Now()), missPause)
		}
	}
	if d.config.Entered != nil {
		d.config.Entered(e.answer.Load().value)
	}
	d.table.add(e)
	select {
	case d.added <- struct{}{}:
	default: // Run will look anyway
	}
}

// remove removes e and its value. The lock is held.
func (d *Directory[T]) remove(e *entry[T]) {
	if d.table.remove(e) && d.config.Left != nil {
		d.config.Left(e.answer.Load().value)
	}
}

// drop keeps a displaced value of name from entering again. The lock is held.
func (d *Directory[T]) drop(name string) { delete(d.displaced, d.hash(name)) }

// unmiss lets name be looked up at once. The lock is held.
func (d *Directory[T]) unmiss(name string) {
	delete(d.missed, d.hash(name))
	delete(d.gaveWay, d.hash(name))
}

func (d *Directory[T]) hash(name string) uint64 { return maphash.String(d.seed, name) }

// seconds returns now on the monotonic clock, which nobody can set.
func (d *Directory[T]) seconds(now time.Time) int64 { return int64(now.Sub(d.born) / time.Second) }

func (d *Directory[T]) moment(now time.Time) clock.Moment { return clock.MomentAt(now, d.born) }
