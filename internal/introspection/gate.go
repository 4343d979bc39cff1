package introspection

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
)

var errQueueTime = errors.New("introspection: no turn for the request within Limits.QueueTimeout")

// gate bounds the requests that are under way and those that wait for their turn. Of
// both, a quarter is reserved for tokens that were active before. Requests for other
// tokens, the strangers, need a place among the rest as well.
type gate struct {
	all, strangers part
	known, others  []*part // in which a request needs a place, in the order in which it takes them
	full           error   // the error if the queue is full
}

// part is the places of a gate that one group of requests may have.
type part struct {
	places  *semaphore.Weighted
	queue   int64 // how many may wait
	waiting atomic.Int64
}

func newGate(concurrency, queue int, full error) *gate {
	g := &gate{full: full}
	g.all.places, g.all.queue = semaphore.NewWeighted(int64(concurrency)), int64(queue)
	g.strangers.places = semaphore.NewWeighted(int64(concurrency - reserved(concurrency)))
	g.strangers.queue = int64(queue - reserved(queue))
	g.known, g.others = []*part{&g.all}, []*part{&g.strangers, &g.all}
	return g
}

// reserved returns a quarter of n, rounded up, but leaves at least one for strangers.
func reserved(n int) int { return min((n+3)/4, n-1) }

func (g *gate) parts(known bool) []*part {
	if known {
		return g.known
	}
	return g.others
}

// take takes a place in each part with acquire. If one is refused, it gives those
// before back and returns false.
func (g *gate) take(known bool, acquire func(*semaphore.Weighted) bool) bool {
	parts := g.parts(known)
	for i, p := range parts {
		if !acquire(p.places) {
			giveBack(parts[:i])
			return false
		}
	}
	return true
}

// leave gives back what take took.
func (g *gate) leave(known bool) { giveBack(g.parts(known)) }

func giveBack(parts []*part) {
	for _, p := range parts {
		p.places.Release(1)
	}
}

// join adds a request to the queue and reports whether there was room.
func (g *gate) join(known bool) bool {
	parts := g.parts(known)
	for i, p := range parts {
		if p.waiting.Add(1) > p.queue {
			quit(parts[:i+1])
			return false
		}
	}
	return true
}

// quit removes a request from the queue.
func (g *gate) quit(known bool) { quit(g.parts(known)) }

func quit(parts []*part) {
	for _, p := range parts {
		p.waiting.Add(-1)
	}
}

// gates are the gates that a request has to pass, in the order in which all requests
// pass them: first that of the issuer, then that of all issuers. A request that waits
// for either counts in both queues. own is a place of the issuer beside the second gate,
// which other issuers do not take; nil if there is none.
type gates struct {
	issuer, all *gate
	own         *semaphore.Weighted
}

// reserve takes a place of g away for one issuer, and returns nil if less than half of
// the places would be left for all.
func (g *gate) reserve(concurrency int) *semaphore.Weighted {
	others := int64(concurrency - reserved(concurrency))
	half := (others + 1) / 2 //nolint:mnd // a half
	if !g.strangers.places.TryAcquire(1 + half) {
		return nil
	}
	g.strangers.places.Release(half)
	if !g.all.places.TryAcquire(1) {
		g.strangers.places.Release(1)
		return nil
	}
	return semaphore.NewWeighted(1)
}

// turn is the places of a request.
type turn struct{ known, own bool }

// enter waits for a turn, no longer than ctx and timeout, and returns how long it
// waited. If the queue is full, it returns an error at once.
func (g gates) enter(ctx context.Context, known bool, timeout time.Duration) (turn, time.Duration, error) {
	if t, ok := g.try(known); ok {
		return t, 0, nil
	}
	for _, one := range []*gate{g.issuer, g.all} {
		if !one.join(known) {
			return turn{}, 0, one.full
		}
		defer one.quit(known)
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	t, ok := g.wait(ctx, known)
	if !ok {
		return turn{}, time.Since(start), fmt.Errorf("%w: %w", errQueueTime, context.Cause(ctx))
	}
	return t, time.Since(start), nil
}

// try takes places that are free.
func (g gates) try(known bool) (turn, bool) {
	free := func(s *semaphore.Weighted) bool { return s.TryAcquire(1) }
	if !g.issuer.take(known, free) {
		return turn{}, false
	}
	if g.all.take(known, free) {
		return turn{known: known}, true
	}
	if g.own != nil && g.own.TryAcquire(1) {
		return turn{known, true}, true
	}
	g.issuer.leave(known)
	return turn{}, false
}

// wait takes places when they are free, and returns false if ctx ends before.
func (g gates) wait(ctx context.Context, known bool) (turn, bool) {
	acquire := func(ctx context.Context) func(*semaphore.Weighted) bool {
		return func(s *semaphore.Weighted) bool { return s.Acquire(ctx, 1) == nil }
	}
	if !g.issuer.take(known, acquire(ctx)) {
		return turn{}, false
	}
	if g.own == nil {
		if g.all.take(known, acquire(ctx)) {
			return turn{known: known}, true
		}
		g.issuer.leave(known)
		return turn{}, false
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	owns := make(chan bool, 1)
	go func() {
		owned := g.own.Acquire(ctx, 1) == nil
		if owned {
			cancel() // the wait for the other place
		}
		owns <- owned
	}()
	shares := g.all.take(known, acquire(ctx))
	cancel()
	owned := <-owns
	switch {
	case shares && owned:
		g.own.Release(1)
	case owned:
		return turn{known, true}, true
	case !shares:
		g.issuer.leave(known)
		return turn{}, false
	}
	return turn{known: known}, true
}

// leave ends a turn.
func (g gates) leave(t turn) {
	g.issuer.leave(t.known)
	if t.own {
		g.own.Release(1)
		return
	}
	g.all.leave(t.known)
}
