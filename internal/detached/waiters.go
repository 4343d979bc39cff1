package detached

import (
	"context"
	"sync/atomic"
)

// Waiters bounds how many callers wait for several flights together. A nil Waiters
// has no bound.
type Waiters struct {
	all     *Waiters // of which these are a part, or nil
	limit   int64
	waiting atomic.Int64
}

// NewWaiters returns a Waiters that lets at most limit callers wait at once.
func NewWaiters(limit int) *Waiters { return &Waiters{limit: int64(limit)} }

// Part returns a Waiters that lets at most limit callers wait at once, who count
// among the callers of w too.
func (w *Waiters) Part(limit int) *Waiters { return &Waiters{all: w, limit: int64(limit)} }

const (
	// reserved is the part of the places that is kept for flights with at most few
	// waiters: one place in four.
	reserved = 4
	few      = 4
)

// Wait waits for f as [Flight.Wait] does, if fewer than limit other callers wait for
// f. A quarter of all places is for flights with at most four callers. Another flight
// can have as many of the other places as are left. So there is a place for the first
// callers of the next flight, however many wait for others. The error is [ErrWaiters]
// if no place is free.
func (w *Waiters) Wait(ctx context.Context, f *Flight, limit int) error {
	if w == nil {
		return f.Wait(ctx, limit)
	}
	defer w.waiting.Add(-1)
	left := w.limit - w.waiting.Add(1)
	if left < 0 {
		return ErrWaiters
	}
	return w.all.Wait(ctx, f, min(limit, int(max(left-w.limit/reserved, few))))
}

// Waiting returns the number of callers that wait.
func (w *Waiters) Waiting() int { return int(w.waiting.Load()) }
