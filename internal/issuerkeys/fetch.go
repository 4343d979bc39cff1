package issuerkeys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// launch makes the flight that begins now the one under way. The caller holds the
// lock, and calls run.
func (r *refresher) launch(cause, kid string, now time.Time) *flight {
	f := r.held.take()
	if f == nil {
		f = r.newFlight(0)
	}
	f.cause, f.kid, f.began = cause, kid, now
	if r.vault.isLoaded() {
		f.number = r.begun.Add(1)
	}
	r.flight = f
	r.policy.Begin(cause, now)
	busy := now.Add(detached.Longest(r.longestWork))
	r.retry.Store(&busy)
	return f
}

// run does the work of a flight that was launched: it reads the store, or fetches if
// loaded. It finishes the flight in bounded time, even if the work does not end.
func (r *refresher) run(ctx context.Context, f *flight, loaded bool) {
	work, done := r.readStore, func() {}
	if loaded {
		var err error
		if done, err = r.awaitTurn(f); err != nil {
			r.finish(f, fetchResult{}, err)
			return
		}
		work = func(ctx context.Context) (fetchResult, error) {
			r.trace.fetchStart(f.cause) // part of the work, so that a hook that blocks is abandoned too
			return r.fetch(ctx, f)
		}
	}
	result, over, err := detached.Do(ctx, r.longestWork, work)
	done() // before the work has ended, so that it does not keep other issuers waiting
	if !errors.Is(err, detached.ErrAbandoned) {
		r.finish(f, result, err)
		return
	}
	r.abandon(1)
	defer func() { // even if a hook ends this goroutine
		<-over // an older answer never replaces a newer one
		r.abandon(-1)
	}()
	r.finish(f, result, err)
}

func (r *refresher) abandon(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.abandoned += n
}

// awaitTurn waits for the turn of a flight that fetches from the network. The caller
// calls done when the fetch has ended.
func (r *refresher) awaitTurn(f *flight) (done func(), err error) {
	shared := r.binding.Shared
	if shared == nil || !r.remembers {
		return func() {}, nil
	}
	t, err := shared.turns.await(kindOf(f.cause), r.standing())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	r.mu.Lock()
	f.began = now
	r.policy.takeTurn(now)
	r.mu.Unlock()
	return func() { shared.turns.done(t) }, nil
}

// standing returns the standing of the issuer.
func (r *refresher) standing() standing {
	switch {
	case r.binding.Configured:
		return configured
	case r.lookup.everAccepted.Load():
		return accepted
	default:
		return stranger
	}
}

func (r *refresher) readStore(context.Context) (fetchResult, error) {
	found, err := r.vault.read()
	return fetchResult{store: found}, err
}

// fetch asks the upstream.
func (r *refresher) fetch(ctx context.Context, f *flight) (fetchResult, error) {
	now := time.Now()
	before := r.lookup.current.Load()
	have := before
	if have != nil && have.origin == "fallback" {
		have = nil
	}
	a, err := r.upstream.fetch(ctx, inquiry{
		have:    have,
		failing: r.failing(now),
		doubted: f.cause == CauseUnknownKid || isSlow(f.cause),
	})
	if err != nil {
		return fetchResult{location: a.location}, err
	}
	v := &version{
		number: f.number, origin: "fetched", document: a.document, etag: a.etag, location: a.location, lifetime: a.lifetime, fetched: now,
	}
	same := a.repeats(have)
	if same {
		v.document, v.published = have.document, have.published
	} else if v.published, err = r.parse(a.document); err != nil {
		if a.misread != nil {
			err = a.misread(err)
		}
		return fetchResult{location: a.location}, fmt.Errorf("%s: %w", a.location, err)
	}
	r.plan(v, f.cause, a.fresh, before.freshAt(now))
	if isEmpty(v.published) {
		if err := boundEmpty(r.limits, v, before); err != nil {
			return fetchResult{location: a.location, ignored: v.published.Ignored()}, fmt.Errorf("%s: %w", a.location, err)
		}
	}
	return fetchResult{version: v, location: a.location, same: same}, nil
}

// failing reports whether fetches have failed for so long that the metadata may name
// another location.
func (r *refresher) failing(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.policy.failing(now)
}

// plan sets the deadlines of v; see [Policy.Plan].
func (r *refresher) plan(v *version, cause string, fresh time.Duration, renewed bool) {
	r.mu.Lock()
	times := r.policy.Plan(cause, v.fetched, fresh, renewed)
	r.mu.Unlock()
	v.renewal, v.fresh, v.usable = until(times.Renewal), until(times.Fresh), until(times.Usable)
}
