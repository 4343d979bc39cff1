package latency

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// call sends the i-th request, and returns the status of the answer: that of HTTP, or 0
// if there is none. worker is the number of the goroutine that calls it.
type call func(ctx context.Context, worker, i int) int

// load is open load.
type load struct {
	rate    float64 // requests that are due in a second
	length  time.Duration
	drain   time.Duration // how long answers are awaited after the last request was due
	workers int           // most requests under way at once; further ones wait in the client, and that counts
}

// sample is what became of one request.
type sample struct {
	latency time.Duration // from when it was due; if there was no answer, until it was given up
	late    time.Duration // from when it was due until it was sent
	status  int           // 0 if there was no answer
}

// leastPeriod is the shortest period of the timer. Requests that are due within one are
// sent together.
const leastPeriod = 50 * time.Microsecond

// run sends requests from start on. Each worker takes the next one that is due. Requests
// that a busy machine could not send in time have no answer.
func (l load) run(caller context.Context, start time.Time, do call) ([]sample, error) {
	samples := make([]sample, max(1, int(l.rate*l.length.Seconds())))
	interval := float64(time.Second) / l.rate
	due := func(i int) time.Time { return start.Add(time.Duration(float64(i) * interval)) }
	ctx, stop := endAfter(caller, time.Until(start)+l.length+l.drain)
	defer stop()

	queue := make(chan int, len(samples))
	var workers sync.WaitGroup
	for w := range min(l.workers, len(samples)) {
		workers.Go(func() {
			for i := range queue {
				s := &samples[i]
				at := due(i)
				s.late = time.Since(at)
				if ctx.Err() == nil {
					s.status = do(ctx, w, i)
				}
				s.latency = time.Since(at)
			}
		})
	}
	sent, err := l.release(ctx, start, interval, len(samples), queue)
	close(queue)
	workers.Wait()
	for i := sent; i < len(samples); i++ {
		samples[i].latency = time.Since(due(i))
	}
	if err == nil {
		err = context.Cause(caller)
	}
	return samples, err
}

// endAfter returns a context that ends after d. It has no deadline, because gRPC would tell
// the server about that.
func endAfter(ctx context.Context, d time.Duration) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	if d <= 0 {
		cancel() // a timer would do it a moment later
	}
	timer := time.AfterFunc(d, cancel)
	return ctx, func() {
		timer.Stop()
		cancel()
	}
}

// release puts the number of each request into queue when it is due, until ctx ends. It
// returns how many it has put there.
func (l load) release(ctx context.Context, start time.Time, interval float64, count int, queue chan<- int) (int, error) {
	pace, err := newPace(start, max(leastPeriod, time.Duration(interval)))
	if err != nil {
		return 0, err
	}
	defer pace.close()
	next := 0
	for next < count {
		if err := pace.wait(); err != nil {
			return next, err
		}
		if ctx.Err() != nil {
			break
		}
		now := float64(time.Since(start))
		for ; next < count && float64(next)*interval <= now; next++ {
			queue <- next
		}
	}
	return next, nil
}

// closedLoad returns how many requests a second are answered with status 200 if each
// worker sends the next one as soon as it has its answer, and how many were answered
// otherwise.
func closedLoad(ctx context.Context, workers int, length time.Duration, do call) (rate float64, failed int64) {
	ctx, stop := endAfter(ctx, length)
	defer stop()
	var done, bad atomic.Int64
	start := time.Now()
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			for i := w; ctx.Err() == nil; i += workers {
				switch status := do(ctx, w, i); {
				case status == http.StatusOK:
					done.Add(1)
				case ctx.Err() == nil:
					bad.Add(1)
				}
			}
		})
	}
	all.Wait()
	return float64(done.Load()) / time.Since(start).Seconds(), bad.Load()
}

// once sends count requests, a few at a time, and returns the first status that is not
// 200, or 200.
func once(ctx context.Context, workers, count int, do call) int {
	var next, bad atomic.Int64
	var all sync.WaitGroup
	for w := range min(workers, count) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < count && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if status := do(ctx, w, i); status != http.StatusOK {
					bad.CompareAndSwap(0, int64(status)+1)
				}
			}
		})
	}
	all.Wait()
	if status := bad.Load(); status != 0 {
		return int(status) - 1
	}
	return http.StatusOK
}
