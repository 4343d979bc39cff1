// Package detached runs work that many wait for. The work has a clock of its
// own: a caller that gives up frees itself and nobody else, and work that does
// not end, panics or ends its goroutine is an error for all who wait.
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
	ErrAbandoned = errors.New("detached: the work did not end in its time; does it heed its context?")
	ErrWaiters   = errors.New("detached: too many wait for it")
)

// mercy is how long work may take to notice that its time is over.
const mercy = time.Second

// Longest is how long [Do] takes at most.
func Longest(timeout time.Duration) time.Duration { return timeout + mercy }

// Do runs work in a goroutine of its own. The context of work ends after timeout.
// It has neither the end nor the values of ctx, because the result is for all who
// wait, and must not depend on who came first; only the instant that a test or
// `sallyport verify --at` has set is kept. If work has not ended one second
// later, Do gives up and answers [ErrAbandoned]; over is closed when the work
// has ended after all, whose result is then lost.
//
// A ctx that is nil or whose methods panic counts as one without values, since
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
		r := result{err: ErrPanic} // stays if the goroutine ends in there
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

// Flight is one piece of work that many may wait for.
type Flight struct {
	done    chan struct{}
	err     error // set before done is closed
	waiters atomic.Int64
}

// NewFlight makes a Flight that has not landed.
func NewFlight() *Flight { return &Flight{done: make(chan struct{})} }

// Land ends the work and lets all go who wait for it. It is called once.
func (f *Flight) Land(err error) {
	f.err = err
	close(f.done)
}

// Done is closed when the work has ended.
func (f *Flight) Done() <-chan struct{} { return f.done }

// Waiting is how many wait.
func (f *Flight) Waiting() int { return int(f.waiters.Load()) }

// Wait waits until the work has ended and answers its error, but no longer than
// ctx, and not at all if limit others wait already ([ErrWaiters]) or ctx cannot
// be used ([hook.ErrContext]).
func (f *Flight) Wait(ctx context.Context, limit int) error {
	if err := hook.CheckContext(ctx); err != nil {
		return fmt.Errorf("detached: %w", err)
	}
	defer f.waiters.Add(-1)
	if f.waiters.Add(1) > int64(limit) {
		return ErrWaiters
	}
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("detached: gave up waiting: %w", context.Cause(ctx))
	}
}
