package detached

import (
	"context"
	"sync/atomic"
)

// Waiters bounds how many wait for several flights together. A nil Waiters has
// no bound.
type Waiters struct {
	all     *Waiters // of which these are a part, or nil
	limit   int64
	waiting atomic.Int64
}

// NewWaiters returns Waiters of which at most limit wait at once.
func NewWaiters(limit int) *Waiters { return &Waiters{limit: int64(limit)} }

// Part returns Waiters of which at most limit wait at once, and which count as
// those of w as well.
func (w *Waiters) Part(limit int) *Waiters { return &Waiters{all: w, limit: int64(limit)} }

const (
	// One place in reserved is kept for flights with at most few waiters.
	reserved = 4
	few      = 4
)

// Wait waits for f as [Flight.Wait] does, if fewer than limit others wait for it.
// A quarter of all places is for flights with at most four waiters; of the others,
// a flight can have as many as are left. So however many wait for some flights,
// there is room for those who wait for the next one. The error is [ErrWaiters] if
// no place is free.
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

// Waiting returns how many wait now.
func (w *Waiters) Waiting() int { return int(w.waiting.Load()) }
