package jwkscache

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/jose"
)

// Bounds of fetching.
const (
	// flightTimeout bounds discovery and fetch together.
	flightTimeout = 2 * fetch.Timeout
	// staleTime is how long a set serves after it ceased to be fresh.
	staleTime = time.Hour
	// maxStale is how long a set serves after it was fetched.
	maxStale = 24 * time.Hour
	// maxWaiters bounds the requests that wait for one fetch.
	maxWaiters = 1000

	unknownInterval   = time.Second
	fruitlessInterval = 5 * time.Second
	fruitlessLimit    = 10

	firstBackoff = time.Second
	maxBackoff   = time.Minute
)

var (
	errWaiters = fmt.Errorf("%w: too many requests wait for them", ErrUnavailable)
	errNone    = fmt.Errorf("%w: none were fetched yet", ErrUnavailable)
	errStale   = fmt.Errorf("%w: the last ones are too old to trust", ErrUnavailable)
	errPanic   = errors.New("jwkscache: the fetch panicked")
)

// snapshot is what one successful fetch brought. It is immutable.
type snapshot struct {
	set      *jose.Set
	renewal  time.Time // when Run asks again, ahead of fresh
	fresh    time.Time // until when it needs no refresh
	deadline time.Time // until when it may be used
}

// remote is the keys of an issuer that are fetched from a URL.
type remote struct {
	binding Binding
	locate  func(context.Context) (string, error)
	fetcher *fetch.Client
	current atomic.Pointer[snapshot]

	mu        sync.Mutex // never held across I/O
	flight    *flight    // the fetch under way, or nil
	started   time.Time  // when the last fetch began
	failure   error      // of the last fetch
	failures  int        // in a row
	fruitless int        // fetches for unknown kids in a row that brought no new key
}

// flight is one fetch that many may wait for.
type flight struct {
	done    chan struct{}
	err     error // set before done is closed
	waiters atomic.Int32
	unknown bool // begun for an unknown kid
}

func newRemote(binding Binding, locate func(context.Context) (string, error)) *remote {
	return &remote{
		binding: binding,
		locate:  locate,
		fetcher: fetch.New(fetch.Config{HTTPClient: binding.HTTPClient, InsecureAllowHTTP: binding.InsecureAllowHTTP}),
	}
}

func (r *remote) Find(ctx context.Context, h jose.Header) ([]*jose.Key, error) {
	now := time.Now()
	s := r.current.Load()
	if s == nil || !now.Before(s.deadline) {
		if err := r.renew(ctx, now); err != nil {
			return nil, err
		}
		s = r.current.Load()
	} else if !now.Before(s.fresh) {
		r.begin(ctx, now, backoff(r.failuresInARow()), false)
	}
	keys, err := s.set.Find(h)
	if errors.Is(err, jose.ErrUnknownKey) && s.set.MightGain(h) {
		return r.findUnknown(ctx, now, h)
	}
	return keys, err
}

// renew waits for keys where there are none to use.
func (r *remote) renew(ctx context.Context, now time.Time) error {
	f := r.begin(ctx, now, unknownInterval, false)
	if f == nil {
		return r.lastFailure()
	}
	return f.wait(ctx)
}

// findUnknown looks a kid up that is not in the snapshot.
func (r *remote) findUnknown(ctx context.Context, now time.Time, h jose.Header) ([]*jose.Key, error) {
	f := r.begin(ctx, now, r.unknownInterval(), true)
	if f == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.failure != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, r.failure)
		}
		return nil, jose.ErrUnknownKey
	}
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	return r.current.Load().set.Find(h)
}

// begin joins the fetch under way or starts one, unless one was started less
// than interval ago; then it answers nil.
func (r *remote) begin(ctx context.Context, now time.Time, interval time.Duration, unknown bool) *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight != nil {
		return r.flight
	}
	if !r.started.IsZero() && now.Sub(r.started) < interval {
		return nil
	}
	f := &flight{done: make(chan struct{}), unknown: unknown}
	r.flight, r.started = f, now
	// One caller's cancellation must not fail the others.
	go r.fly(context.WithoutCancel(ctx), f)
	return f
}

// wait waits for the fetch, but no longer than ctx.
func (f *flight) wait(ctx context.Context) error {
	if f.waiters.Add(1) > maxWaiters {
		f.waiters.Add(-1)
		return errWaiters
	}
	defer f.waiters.Add(-1)
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnavailable, context.Cause(ctx))
	}
}

// fly runs one fetch for all its waiters, detached from every one of them.
func (r *remote) fly(ctx context.Context, f *flight) {
	ctx, cancel := context.WithTimeout(ctx, flightTimeout)
	defer cancel()
	s, err := r.fetch(ctx)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	r.land(f, s, err)
	if r.binding.Fetched != nil {
		report := Fetched{Err: err}
		if err == nil {
			report.Keys, report.Ignored = len(s.set.Keys()), s.set.Ignored()
		}
		r.binding.Fetched(report)
	}
}

// land publishes what a flight brought and lets its waiters go.
func (r *remote) land(f *flight, s *snapshot, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.err, r.failure, r.flight = err, err, nil
	if err != nil {
		r.failures++
	} else {
		r.failures = 0
		before := r.current.Swap(s)
		switch {
		case before == nil || gained(before.set, s.set):
			r.fruitless = 0
		case f.unknown:
			r.fruitless++
		}
	}
	close(f.done)
}

// gained reports whether after has a key that before has not.
func gained(before, after *jose.Set) bool {
	known := make(map[string]bool)
	for _, key := range before.Keys() {
		id, _ := key.ID()
		known[key.Thumbprint()+" "+id] = true
	}
	for _, key := range after.Keys() {
		if id, _ := key.ID(); !known[key.Thumbprint()+" "+id] {
			return true
		}
	}
	return false
}

// fetch gets the set anew. A panic in a transport is an error for all.
func (r *remote) fetch(ctx context.Context) (s *snapshot, err error) {
	defer func() {
		if recover() != nil {
			s, err = nil, errPanic
		}
	}()
	now := time.Now()
	location, err := r.locate(ctx)
	if err != nil {
		return nil, err
	}
	document, err := r.fetcher.Get(ctx, location, "application/jwk-set+json, application/json")
	if err != nil {
		return nil, err
	}
	set, err := jose.ParseSet(document.Body, r.binding.Algorithms)
	if err != nil {
		return nil, err
	}
	fresh := freshness(document.Header)
	// Within the last fifth, at random, so that a fleet spreads.
	renewal := fresh*4/5 + rand.N(fresh/10) //nolint:gosec // jitter
	return &snapshot{
		set:      set,
		renewal:  now.Add(renewal),
		fresh:    now.Add(fresh),
		deadline: now.Add(min(fresh+staleTime, maxStale)),
	}, nil
}

func (r *remote) unknownInterval() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fruitless >= fruitlessLimit {
		return fruitlessInterval
	}
	return unknownInterval
}

func (r *remote) failuresInARow() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures
}

// lastFailure says why there are no keys to use.
func (r *remote) lastFailure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return r.failure
	}
	return r.Ready()
}

// backoff is how long to leave an issuer alone after failures in a row.
func backoff(failures int) time.Duration {
	const doublings = 6 // reaches maxBackoff
	return min(firstBackoff<<min(failures, doublings), maxBackoff)
}

func (r *remote) Ignored() []jose.IgnoredKey {
	if s := r.current.Load(); s != nil {
		return s.set.Ignored()
	}
	return nil
}

func (r *remote) Warm(ctx context.Context) error {
	if r.current.Load() != nil {
		return nil
	}
	return r.renew(ctx, time.Now())
}

func (r *remote) Ready() error {
	switch s := r.current.Load(); {
	case s == nil:
		return errNone
	case !time.Now().Before(s.deadline):
		return errStale
	default:
		return nil
	}
}

func (r *remote) Run(ctx context.Context) {
	timer := time.NewTimer(r.pause())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if r.untilRefresh() <= 0 { // no request was quicker
			_ = r.begin(ctx, time.Now(), 0, false).wait(ctx) // an error is told by Fetched
		}
		timer.Reset(r.pause())
	}
}

// pause is how long Run waits: for the renewal of the current set, or out a
// failure.
func (r *remote) pause() time.Duration {
	if failures := r.failuresInARow(); failures > 0 {
		wait := backoff(failures - 1)
		return wait/2 + rand.N(wait/2) //nolint:gosec // jitter
	}
	return r.untilRefresh()
}

// untilRefresh is how long the current set needs no renewal.
func (r *remote) untilRefresh() time.Duration {
	if s := r.current.Load(); s != nil {
		return time.Until(s.renewal)
	}
	return 0
}
