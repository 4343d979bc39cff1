package directory

import (
	"context"
	"sync"
	"time"
)

// idleTime is how long an unused entry is kept while Run runs.
const idleTime = time.Hour

// Run calls keep with each value that enters, in a goroutine of its own, until ctx
// ends. The context of keep ends when the value leaves. Run also removes entries
// that were not used for an hour.
func (d *Directory[T]) Run(ctx context.Context, keep func(context.Context, *T)) {
	var all sync.WaitGroup
	defer all.Wait()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		for e := range d.table.all {
			if e.running.CompareAndSwap(false, true) {
				all.Go(func() { e.run(ctx, keep) })
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-d.added:
		case now := <-tick.C:
			d.forgetIdle(now)
		}
	}
}

// run calls keep with the value of e until e is gone.
func (e *entry[T]) run(ctx context.Context, keep func(context.Context, *T)) {
	defer e.running.Store(false)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		select {
		case <-e.gone:
		case <-ctx.Done():
		}
	}()
	keep(ctx, e.answer.Load().value)
}

func (d *Directory[T]) forgetIdle(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for e := range d.table.all {
		if d.seconds(now)-e.used.Load() >= int64(idleTime/time.Second) {
			d.remove(e)
		}
	}
}
