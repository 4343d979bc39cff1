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
	// flightTimeout bounds one flight: up to three places where metadata may
	// stand, and the set.
	flightTimeout = 4 * fetch.Timeout
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
	// minPause keeps Run from turning in circles, whatever happens.
	minPause = time.Second
)

var (
	errWaiters = fmt.Errorf("%w: too many requests wait for them", ErrUnavailable)
	errNone    = fmt.Errorf("%w: none were fetched yet", ErrUnavailable)
	errStale   = fmt.Errorf("%w: the last ones are too old to trust", ErrUnavailable)
	errPanic   = errors.New("jwkscache: the fetch panicked or ended its goroutine")
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
	fruitless int        // fetches for unknown kids in a row that brought no new key or failed
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
		if err := r.renew(ctx); err != nil {
			return nil, err
		}
		s = r.current.Load()
	} else if !now.Before(s.fresh) {
		r.begin(ctx, backoff(r.failuresInARow()), false)
	}
	keys, err := s.set.Find(h)
	if errors.Is(err, jose.ErrUnknownKey) && s.set.MightGain(h) {
		return r.findUnknown(ctx, h)
	}
	return keys, err
}

// renew waits for keys where there are none to use.
func (r *remote) renew(ctx context.Context) error {
	f, _ := r.begin(ctx, min(backoff(r.failuresInARow()), fruitlessInterval), false)
	if f == nil {
		return r.lastFailure()
	}
	return f.wait(ctx)
}

// findUnknown looks a kid up that is not in the snapshot.
func (r *remote) findUnknown(ctx context.Context, h jose.Header) ([]*jose.Key, error) {
	keys, joined, err := r.findAfterFetch(ctx, h)
	if joined && errors.Is(err, jose.ErrUnknownKey) {
		// The fetch that was under way may have read the set before the key
		// was published.
		keys, _, err = r.findAfterFetch(ctx, h)
	}
	return keys, err
}

// findAfterFetch looks a kid up in what the next fetch brings, if one is
// allowed, and tells whether that was under way already.
func (r *remote) findAfterFetch(ctx context.Context, h jose.Header) (keys []*jose.Key, joined bool, err error) {
	f, joined := r.begin(ctx, r.unknownInterval(), true)
	if f == nil {
		return nil, false, r.unknown()
	}
	if err := f.wait(ctx); err != nil {
		return nil, joined, err
	}
	keys, err = r.current.Load().set.Find(h)
	return keys, joined, err
}

// unknown is the answer about an unknown kid when no fetch is allowed: what the
// last one said.
func (r *remote) unknown() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failure != nil {
		return r.failure
	}
	return jose.ErrUnknownKey
}

// begin joins the fetch under way or starts one, unless one was started less
// than interval ago; then it answers nil.
func (r *remote) begin(ctx context.Context, interval time.Duration, unknown bool) (f *flight, joined bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flight != nil {
		return r.flight, true
	}
	now := time.Now()
	if now.Sub(r.started) < interval {
		return nil, false
	}
	f = &flight{done: make(chan struct{}), unknown: unknown}
	r.flight, r.started = f, now
	// One caller's cancellation must not fail the others.
	go r.fly(context.WithoutCancel(ctx), f)
	return f, false
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
	var s *snapshot
	err := errPanic // stays if the goroutine ends in there
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		r.land(f, s, err)
		r.report(s, err)
	}()
	s, err = r.fetch(ctx)
}

// report tells the hook how a fetch ended. Its panic must not end the process,
// and nobody else is there to catch it.
func (r *remote) report(s *snapshot, err error) {
	if r.binding.Fetched == nil {
		return
	}
	defer func() { _ = recover() }()
	fetched := Fetched{Err: err}
	if err == nil {
		fetched.Keys, fetched.Ignored = len(s.set.Keys()), s.set.Ignored()
	}
	r.binding.Fetched(fetched)
}

// land publishes what a flight brought and lets its waiters go.
func (r *remote) land(f *flight, s *snapshot, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f.err, r.failure, r.flight = err, err, nil
	fruitless := true
	if err != nil {
		r.failures++
	} else {
		r.failures = 0
		before := r.current.Swap(s)
		fruitless = before != nil && !gained(before.set, s.set)
	}
	switch {
	case !fruitless:
		r.fruitless = 0
	case f.unknown:
		r.fruitless++
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
	return min(firstBackoff<<min(max(failures-1, 0), doublings), maxBackoff)
}

func (r *remote) Ignored() []jose.IgnoredKey {
	if s := r.current.Load(); s != nil {
		return s.set.Ignored()
	}
	return nil
}

func (r *remote) Warm(ctx context.Context) error {
	if r.Ready() == nil {
		return nil
	}
	return r.renew(ctx)
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
			r.refresh(ctx)
		}
		timer.Reset(max(r.pause(), minPause))
	}
}

// refresh fetches and waits for the end, which is told by Fetched. It is none of
// the waiters whose number is bounded.
func (r *remote) refresh(ctx context.Context) {
	f, _ := r.begin(ctx, 0, false)
	if f == nil { // the clock went back
		return
	}
	select {
	case <-f.done:
	case <-ctx.Done():
	}
}

// pause is how long Run waits: for the renewal of the current set, or out a
// failure.
func (r *remote) pause() time.Duration {
	if failures := r.failuresInARow(); failures > 0 {
		wait := backoff(failures)
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
