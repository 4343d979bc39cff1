package detached

import (
	"context"
	"sync/atomic"
)

// Waiters bounds how many wait for several flights together. A nil Waiters has
// no bound.
type Waiters struct {
	limit   int64
	waiting atomic.Int64
}

// NewWaiters returns Waiters of which at most limit wait at once.
func NewWaiters(limit int) *Waiters { return &Waiters{limit: int64(limit)} }

// Wait waits for f as [Flight.Wait] does. A flight can have as many waiters as
// there are places left for others, and at most limit: however many wait for a
// few flights, there is room for those who wait for the next one. The error is
// [ErrWaiters] if there is none.
func (w *Waiters) Wait(ctx context.Context, f *Flight, limit int) error {
	if w == nil {
		return f.Wait(ctx, limit)
	}
	defer w.waiting.Add(-1)
	left := w.limit - w.waiting.Add(1)
	if left < 0 {
		return ErrWaiters
	}
	return f.Wait(ctx, min(limit, int(left)+1))
}

// Waiting returns how many wait now.
func (w *Waiters) Waiting() int { return int(w.waiting.Load()) }
