package introspection

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/introspect"
)

// waitersRetry is what a caller is told to wait if too many callers wait already.
const waitersRetry = time.Second

// Flights shares the work for a token among the callers that need it at the same time.
// The work is detached: it ends by its own time limit, and no caller's end ends it. It
// gets no values of a caller's context but the time that `sallyport verify --at` sets.
type Flights[T any] struct {
	timeout time.Duration
	shared  *Shared

	mu      sync.Mutex
	flights map[[32]byte]*flight[T] // whose work has not ended
	lanes   map[[32]byte]*lane      // that are in use
}

// flight is the work for one key, while it is under way.
type flight[T any] struct {
	*detached.Flight

	value T // with err set before the Flight lands
	err   error
	began time.Time // when the work began
}

// NewFlights returns Flights whose work takes at most timeout.
func NewFlights[T any](timeout time.Duration, shared *Shared) *Flights[T] {
	return &Flights[T]{timeout: timeout, shared: sharedOr(shared), flights: make(map[[32]byte]*flight[T]), lanes: make(map[[32]byte]*lane)}
}

// Do returns the result of work for key, from work that is under way or new. useful says
// whether the result of work that another caller began serves this one; it may be older
// than the work, if it comes from a Store. A caller that joins work whose result does
// not serve it, or that fails although the caller came later than it began, waits for
// newer work, which it shares with others that wait for the same. The result of work
// that the caller began itself always serves it. Do ends when ctx does.
//
// Errors of work are returned as they are. If too many callers wait, the error is of
// kind [introspect.Overloaded].
func (f *Flights[T]) Do(ctx context.Context, key [32]byte, useful func(value T) bool, work func(context.Context) (T, error)) (T, error) {
	var none T
	if err := hook.CheckContext(ctx); err != nil {
		return none, err
	}
	arrived := time.Now()
	for range rounds {
		fl, own, err := f.find(ctx, key, work)
		if err != nil {
			return none, err
		}
		value, landed, err := f.wait(ctx, fl)
		switch {
		case !landed, own, err != nil && !arrived.After(fl.began):
			return value, err
		case err == nil && useful(value):
			return value, nil
		}
	}
	return f.Alone(ctx, key, work)
}

// rounds is how often a caller of Do joins the work of others.
const rounds = 3

// Alone returns the result of work that no other caller shares and that begins after the
// call. It is detached, too, so that a transport that ignores its context keeps nobody
// waiting. At most laneWidth works for one key are under way at once, so that one token
// does not take the places of others. The rest wait in turn, no longer than the time
// limit of work, and count among the callers that may wait.
func (f *Flights[T]) Alone(ctx context.Context, key [32]byte, work func(context.Context) (T, error)) (T, error) {
	var none T
	if err := hook.CheckContext(ctx); err != nil {
		return none, err
	}
	if err := f.room(ctx); err != nil {
		return none, err
	}
	fl := newFlight[T]()
	turn, cancel := context.WithTimeout(context.Background(), f.timeout) // not of ctx, whose methods may panic
	defer cancel()
	lane := f.join(key)
	go func() {
		defer f.leave(key, lane)
		if lane.places.Acquire(turn, 1) != nil {
			fl.err = tooMany(errLane)
			fl.Land(fl.err)
			return
		}
		defer lane.places.Release(1)
		f.fly(ctx, fl, nil, work)
	}()
	value, _, err := f.wait(ctx, fl)
	return value, err
}

// laneWidth is how many works for one key that are not shared are under way at once.
const laneWidth = 4

var errLane = errors.New("introspection: too many requests with this token, each of which needs an answer of its own, wait for their turn")

// lane bounds the works for one key that are not shared.
type lane struct {
	places *semaphore.Weighted
	users  int // that have or want a place
}

// join returns the lane of key.
func (f *Flights[T]) join(key [32]byte) *lane {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.lanes[key]
	if l == nil {
		l = &lane{places: semaphore.NewWeighted(laneWidth)}
		f.lanes[key] = l
	}
	l.users++
	return l
}

// leave ends the use of a lane.
func (f *Flights[T]) leave(key [32]byte, l *lane) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if l.users--; l.users == 0 {
		delete(f.lanes, key)
	}
}

// find returns the flight for key. If there is none, it starts one, which is the
// caller's own.
func (f *Flights[T]) find(ctx context.Context, key [32]byte, work func(context.Context) (T, error)) (fl *flight[T], own bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl := f.flights[key]; fl != nil {
		return fl, false, nil
	}
	if err := f.room(ctx); err != nil {
		return nil, false, err
	}
	fl = newFlight[T]()
	f.flights[key] = fl
	go f.fly(ctx, fl, &key, work)
	return fl, true, nil
}

// room returns an error if new work would have no caller that may wait for it.
func (f *Flights[T]) room(ctx context.Context) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", detached.ErrLeft, context.Cause(ctx))
	}
	if f.shared.waiters.Waiting() >= f.shared.limits.Waiters {
		return tooMany(detached.ErrWaiters)
	}
	return nil
}

func newFlight[T any]() *flight[T] {
	return &flight[T]{Flight: detached.NewFlight(), began: time.Now()}
}

// fly does the work of fl. It removes fl before it lands, so that a caller that has
// waited for it finds newer work or none.
func (f *Flights[T]) fly(ctx context.Context, fl *flight[T], key *[32]byte, work func(context.Context) (T, error)) {
	value, _, err := detached.Do(ctx, f.timeout, work)
	if fl.err = err; err == nil {
		fl.value = value
	}
	if key != nil {
		f.mu.Lock()
		delete(f.flights, *key)
		f.mu.Unlock()
	}
	fl.Land(err)
}

// wait returns the result of fl, and whether it has landed. If it has not, the error is
// that of ctx, or says that too many callers wait.
func (f *Flights[T]) wait(ctx context.Context, fl *flight[T]) (value T, landed bool, err error) {
	err = f.shared.waiters.Wait(ctx, fl.Flight, f.shared.limits.Waiters)
	select {
	case <-fl.Done():
		return fl.value, true, fl.err
	default:
	}
	if errors.Is(err, detached.ErrWaiters) {
		err = tooMany(err)
	}
	return value, false, err
}

func tooMany(err error) error {
	return introspect.NewError(introspect.Overloaded, err, waitersRetry)
}
