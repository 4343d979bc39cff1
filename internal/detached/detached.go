// Package detached runs work that many callers wait for. The work has a time limit
// of its own. A caller that gives up does not end the work for the others. If the
// work panics, ends its goroutine or does not end in time, all callers get an error.
package detached

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/hook"
)

// Errors of this package.
var (
	ErrPanic     = errors.New("detached: the work panicked or ended its goroutine")
	ErrAbandoned = errors.New("detached: the work did not end within its time limit; it may ignore its context")
	ErrWaiters   = errors.New("detached: too many callers wait for it")
	ErrNoWait    = errors.New("detached: it is under way, and the caller does not wait")
	ErrLeft      = errors.New("detached: the caller gave up waiting") // its context ended
)

type noWaitKey struct{}

// NoWait returns a context for callers that must not wait, such as a timer: Wait
// returns [ErrNoWait] at once if the work has not ended. The work goes on, so a later
// call gets its result.
func NoWait(ctx context.Context) context.Context {
	return context.WithValue(ctx, noWaitKey{}, true)
}

// grace is how long work may take to notice that its time is over.
const grace = time.Second

// Longest returns the longest time that [Do] takes.
func Longest(timeout time.Duration) time.Duration { return timeout + grace }

// Do runs work in a goroutine of its own. The context of work ends after timeout. It
// has neither the end nor the values of ctx, because the result is for all callers
// and must not depend on which one came first. Only the time that a test or
// `sallyport verify --at` has set is kept. If work has not ended a second after
// timeout, Do returns [ErrAbandoned]. over is closed when the work has ended, also
// after that; its result is then lost.
//
// A ctx that is nil or whose methods panic counts as one without values, because
// others may wait for the same work. An error of work whose methods panic is
// replaced by one that names its type.
func Do[T any](ctx context.Context, timeout time.Duration, work func(context.Context) (T, error)) (value T, over <-chan struct{}, err error) {
	type result struct {
		value T
		err   error
	}
	if hook.CheckContext(ctx) != nil {
		ctx = context.Background() //nolint:contextcheck // the caller has none
	}
	ended := make(chan struct{})
	results := make(chan result, 1)
	go func() {
		defer close(ended)
		r := result{err: ErrPanic} // stays if the goroutine ends during work
		defer func() {
			if recover() != nil {
				r = result{err: ErrPanic}
			}
			results <- r
		}()
		ctx, cancel := context.WithTimeout(clock.Alone(ctx), timeout)
		defer cancel()
		v, err := work(ctx)
		r = result{v, hook.CheckError(err)}
	}()
	timer := time.NewTimer(Longest(timeout))
	defer timer.Stop()
	select {
	case r := <-results:
		return r.value, ended, r.err
	case <-timer.C:
		return value, ended, ErrAbandoned
	}
}

// Flight is one piece of work that many callers may wait for.
type Flight struct {
	done    chan struct{}
	err     error // set before done is closed
	waiters atomic.Int64
}

// NewFlight returns a Flight whose work has not ended.
func NewFlight() *Flight { return &Flight{done: make(chan struct{})} }

// Land records that the work has ended with err, and ends the wait of all callers.
// It is called once.
func (f *Flight) Land(err error) {
	f.err = err
	close(f.done)
}

// Done is closed when the work has ended.
func (f *Flight) Done() <-chan struct{} { return f.done }

// Waiting returns the number of callers that wait.
func (f *Flight) Waiting() int { return int(f.waiters.Load()) }

// Wait waits until the work has ended, but no longer than ctx, and returns its error.
// It returns [ErrWaiters] at once if limit other callers wait already, [ErrNoWait] if
// ctx is from [NoWait], [ErrLeft] if ctx ended first, and [hook.ErrContext] if ctx
// cannot be used.
func (f *Flight) Wait(ctx context.Context, limit int) error {
	if err := hook.CheckContext(ctx); err != nil {
		return fmt.Errorf("detached: %w", err)
	}
	defer f.waiters.Add(-1)
	if f.waiters.Add(1) > int64(limit) {
		return ErrWaiters
	}
	if ctx.Value(noWaitKey{}) != nil {
		select {
		case <-f.done:
			return f.err
		default:
			return ErrNoWait
		}
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrLeft, context.Cause(ctx))
	}
}
