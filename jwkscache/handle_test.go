package jwkscache_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestHandleOfNothing shows that a handle which holds on to no key may never be
// used.
func TestHandleOfNothing(t *testing.T) {
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))))
	found, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
	must(t, err)
	other := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))))
	foreign := held(t, other, "a").key
	failed, err := keys.Find(t.Context(), time.Now(), headerOf(t, "x"))
	wants(t, "x", err, jose.ErrUnknownKey)
	for name, handle := range map[string]jwkscache.Handle{
		"the zero Handle":                {},
		"of the zero Found":              jwkscache.Found{}.Handle(found.Keys[0]),
		"of a Found that is an error":    failed.Handle(found.Keys[0]),
		"of a key of another issuer":     found.Handle(foreign),
		"of nil":                         found.Handle(nil),
		"of a key that is made anywhere": found.Handle(new(jose.Key)),
	} {
		err := handle.Check(t.Context(), time.Now())
		wants(t, name, err, jwkscache.ErrUnavailable)
		wants(t, name+", live", handle.Live(), jwkscache.ErrUnavailable)
		if errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wants(t, "the right one", found.Handle(found.Keys[0]).Check(t.Context(), time.Now()), nil)
}

// TestHandleLives covers R-JK-13 for verdicts that are kept: a handle lives as
// long as its key is published, whatever else changes in the set, and no longer.
func TestHandleLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := jwk(t, "a"), jwk(t, "b")
		with := func(jwk, member string) string { return strings.Replace(jwk, "{", "{"+member+",", 1) }
		s := new(site)
		s.answers(200, setOf(a))
		keys := openSite(t, s)
		next := func(what, document string, h holding, want error) {
			t.Helper()
			advance(11 * time.Minute)
			s.answers(200, document)
			must(t, keys.Warm(t.Context()))
			wants(t, what, h.check(t), want)
		}
		for _, row := range []struct{ what, document string }{
			{"the same document", setOf(a)},
			{"another key besides", setOf(a, b)},
			{"the other way round", setOf(b, a)},
			{"members that say nothing of the key", setOf(with(a, `"x5t":"AA","alg":"EdDSA"`))},
			{"with an unusable one", setOf(`{"kty":"AKP"}`, a)},
			{"twice in the set", setOf(a, a)},
		} {
			must(t, keys.Warm(t.Context()))
			h := held(t, keys, "a")
			next(row.what, row.document, h, nil)
			next(row.what+", and back", setOf(a), h, nil)
		}
		h := held(t, keys, "a")
		for _, row := range []struct{ what, document string }{
			{"another key", setOf(b)},
			{"no key", setOf()},
			{"the same key under another kid", setOf(strings.Replace(a, `"kid":"a"`, `"kid":"c"`, 1))},
			{"the same key without kid", setOf(strings.Replace(a, `"kid":"a",`, "", 1))},
			{"another key of the kid", setOf(jwk(t, "a"))},
			{"the key is for encryption", setOf(with(a, `"use":"enc"`))},
		} {
			next(row.what, row.document, h, jose.ErrUnknownKey)
			next(row.what+": it came back, and its old handle is dead", setOf(a), h, jose.ErrUnknownKey)
			h = held(t, keys, "a")
			wants(t, row.what+": a new handle", h.check(t), nil)
		}
		// In one set twice, it is tried once, and lives as long as one of them does.
		next("twice", setOf(a, b, a), h, nil)
		found, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
		must(t, err)
		if len(found.Keys) != 1 {
			t.Fatalf("%d keys", len(found.Keys))
		}
		h = holding{found.Keys[0], found.Handle(found.Keys[0])}
		next("once", setOf(b, a), h, nil)
		next("twice again", setOf(a, b, a), h, nil)
		next("neither", setOf(b), h, jose.ErrUnknownKey)
	})
}

// TestHandleInAnOutage covers R-JK-12 for verdicts that are kept: stale keys are
// refreshed, one fetch for all, and no check waits for it; past the bound the
// answer is unavailable, and not a word on the token; it lives again after that.
func TestHandleInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s, func(b *jwkscache.Binding) { b.HTTPClient.Transport = delayed{s, 3 * time.Second} })
		h := held(t, keys, "a")
		start := keys.Status().Fetched
		advance(10*time.Minute - 1 - time.Since(start))
		wants(t, "fresh", h.check(t), nil)
		synctest.Wait()
		s.wantVisits(t, "fresh", 1)

		advance(1)
		before := time.Now()
		gone, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { wants(t, "stale", h.handle.Check(gone, time.Now()), nil) })
		}
		all.Wait()
		cancel() // which must not matter to the refresh
		wants(t, "a caller who is gone", h.handle.Check(gone, time.Now()), nil)
		wantSpan(t, "the checks took", time.Since(before), 0)
		advance(4 * time.Second)
		s.wantVisits(t, "one refresh", 2)
		if status := keys.Status(); status.State != "fresh" {
			t.Errorf("%+v", status)
		}

		s.down()
		bound := keys.Status().UsableUntil
		for time.Until(bound) > time.Minute {
			advance(time.Minute)
			wants(t, "stale", h.check(t), nil)
		}
		advance(5 * time.Second)
		visits := len(s.visited())
		advance(time.Until(bound) - 1)
		wants(t, "the last instant", h.check(t), nil)
		advance(1)
		for range 100 {
			err := h.check(t)
			wants(t, "too old", err, jwkscache.ErrUnavailable)
			if errors.Is(err, jose.ErrUnknownKey) {
				t.Error(err)
			}
		}
		synctest.Wait()
		advance(4 * time.Second)
		if n := len(s.visited()) - visits; n > 1 {
			t.Errorf("%d fetches", n)
		}
		s.answers(200, setOf(jwk(t, "b")))
		advance(time.Minute)
		must(t, keys.Warm(t.Context()))
		wants(t, "withdrawn meanwhile", h.check(t), jose.ErrUnknownKey)
	})
}

// TestHandleAfterAnOutage shows that a key which is still published after the
// bound has passed serves those who hold on to it again.
func TestHandleAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		h := held(t, keys, "a")
		advance(2 * time.Hour)
		wants(t, "too old", h.check(t), jwkscache.ErrUnavailable)
		must(t, keys.Warm(t.Context()))
		wants(t, "refreshed", h.check(t), nil)
	})
}

// TestHandleHeedsTheTimeGiven shows that a check goes by the time it is given
// whether or not that has a monotonic clock.
func TestHandleHeedsTheTimeGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		h := held(t, keys, "a")
		now := time.Now()
		for _, clock := range []time.Time{now, now.Round(0)} { // the second has the wall clock only
			wants(t, "the last instant", h.handle.Check(t.Context(), clock.Add(70*time.Minute-1)), nil)
			wants(t, "after it", h.handle.Check(t.Context(), clock.Add(70*time.Minute)), jwkscache.ErrUnavailable)
		}
	})
}

// TestHandleOfStatic shows that static keys are never too old.
func TestHandleOfStatic(t *testing.T) {
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))))
	h := held(t, keys, "a")
	far := time.Now().AddDate(100, 0, 0)
	wants(t, "a handle in a hundred years", h.handle.Check(t.Context(), far), nil)
	_, err := keys.Find(t.Context(), far, headerOf(t, "a"))
	wants(t, "a token in a hundred years", err, nil)
	_, err = keys.Find(t.Context(), time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC), headerOf(t, "a"))
	if err != nil && !errors.Is(err, jwkscache.ErrUnavailable) {
		t.Errorf("a token in the year 2201: %v", err)
	}
	if status := keys.Status(); status.LastError != nil || status.Failures != 0 {
		t.Errorf("somebody was asked for static keys: %+v", status)
	}
}
