package issuerkeys_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestZeroHandle shows that Check of a Handle without a key returns an error.
func TestZeroHandle(t *testing.T) {
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))))
	found, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
	must(t, err)
	other := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))))
	foreign := held(t, other, "a").key
	failed, err := keys.Find(t.Context(), time.Now(), headerOf(t, "x"))
	wants(t, "x", err, jose.ErrUnknownKey)
	for name, handle := range map[string]issuerkeys.Handle{
		"the zero Handle":                {},
		"of the zero Found":              issuerkeys.Found{}.Handle(found.Keys[0]),
		"of a Found that is an error":    failed.Handle(found.Keys[0]),
		"of a key of another issuer":     found.Handle(foreign),
		"of nil":                         found.Handle(nil),
		"of a key that is made anywhere": found.Handle(new(jose.Key)),
	} {
		err := handle.Check(t.Context(), time.Now())
		wants(t, name, err, issuerkeys.ErrUnavailable)
		wants(t, name+", live", handle.Live(), issuerkeys.ErrUnavailable)
		_, again := handle.Again(t.Context(), time.Now())
		wants(t, name+", again", again, issuerkeys.ErrUnavailable)
		if errors.Is(err, jose.ErrUnknownKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wants(t, "the right one", found.Handle(found.Keys[0]).Check(t.Context(), time.Now()), nil)
}

// TestHandleLives covers R-JK-13 for cached tokens: the Handle of a key is valid
// exactly as long as the key is published, whatever else changes in the set.
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
			{"members that say nothing of the key", setOf(strings.Replace(with(a, `"x5t":"AA"`), `"alg":"EdDSA",`, "", 1))},
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
			wants(t, row.what+", live", h.handle.Live(), jose.ErrUnknownKey)
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

// TestLiveAllocatesNothing shows that Live allocates nothing, also if it looks for a
// key that was withdrawn or is back.
func TestLiveAllocatesNothing(t *testing.T) {
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a"), jwk(t, "b")))))
	h, name := held(t, keys, "a"), jwkscache.KeyName{KeyID: "a"}
	for _, row := range []struct {
		what string
		do   func(context.Context, jwkscache.KeyName) error
		want error
	}{
		{"forbidden", keys.Forbid, jose.ErrUnknownKey},
		{"permitted", keys.Permit, nil},
	} {
		must(t, row.do(t.Context(), name))
		wants(t, row.what, h.handle.Live(), row.want)
		if n := testing.AllocsPerRun(100, func() { _ = h.handle.Live() }); n != 0 {
			t.Errorf("%s: %v allocations", row.what, n)
		}
	}
}

// TestHandleAgain shows that Again and Live find a key that came back, and no other:
// one with another kid, of the same kid, or that is forbidden. For Again, stale keys
// cause one fetch, for which nothing waits; missing ones are waited for.
func TestHandleAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := jwk(t, "a")
		s := new(site)
		s.answers(200, setOf(a))
		keys := openSite(t, s)
		h := held(t, keys, "a")
		again := func(what string, want error) {
			t.Helper()
			found, err := h.handle.Again(t.Context(), time.Now())
			wants(t, what, err, want)
			if !errors.Is(want, issuerkeys.ErrUnavailable) { // Live does not check the age
				wants(t, what+", live", h.handle.Live(), want)
			}
			if err == nil {
				wants(t, what+": its Handle", found.Check(t.Context(), time.Now()), nil)
			}
		}
		next := func(document string) {
			t.Helper()
			advance(11 * time.Minute)
			s.answers(200, document)
			must(t, keys.Warm(t.Context()))
		}
		again("published all the time", nil)
		for what, document := range map[string]string{
			"no key":               setOf(),
			"another key":          setOf(jwk(t, "b")),
			"another of the kid":   setOf(jwk(t, "a")),
			"another kid":          setOf(strings.Replace(a, `"kid":"a"`, `"kid":"c"`, 1)),
			"without kid":          setOf(strings.Replace(a, `"kid":"a",`, "", 1)),
			"it is for encryption": setOf(strings.Replace(a, "{", `{"use":"enc",`, 1)),
		} {
			next(document)
			before := len(s.visited())
			again(what, jose.ErrUnknownKey)
			s.wantVisits(t, what, before)
			next(setOf(jwk(t, "b"), a))
			wants(t, what+": the Handle from before", h.check(t), jose.ErrUnknownKey)
			again(what+": it came back", nil)
		}
		for by, name := range names(t, keys, "a") {
			must(t, keys.Forbid(t.Context(), name))
			again("forbidden by "+by, jose.ErrUnknownKey)
			must(t, keys.Permit(t.Context(), name))
			again("permitted by "+by, nil)
		}
		before := len(s.visited())
		advance(11 * time.Minute)
		s.answers(200, setOf())
		wants(t, "stale, live", h.handle.Live(), nil)
		synctest.Wait()
		s.wantVisits(t, "stale, live", before)
		_, err := h.handle.Again(t.Context(), time.Now())
		wants(t, "stale", err, nil)
		synctest.Wait()
		s.wantVisits(t, "stale", before+1)
		again("withdrawn", jose.ErrUnknownKey)
		s.down()
		advance(3 * time.Hour)
		wants(t, "too old, live", h.handle.Live(), jose.ErrUnknownKey)
		again("too old", issuerkeys.ErrUnavailable)
		s.answers(200, setOf(a))
		advance(time.Minute)
		again("too old, and fetched", nil)
		_, err = h.handle.Again(nil, time.Now()) //nolint:staticcheck // a nil context
		wants(t, "no context", err, issuerkeys.ErrUnavailable)
	})
}

// TestHandleInAnOutage covers R-JK-12 for cached tokens: stale keys are refreshed
// by one fetch, and no check waits for it. After the bound, Check returns
// ErrUnavailable and says nothing about the token. When the issuer is back, the
// Handle is valid again.
func TestHandleInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s, func(b *issuerkeys.Binding) { b.HTTPClient.Transport = delayed{s, 3 * time.Second} })
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
		wants(t, "with a context that ended", h.handle.Check(gone, time.Now()), nil)
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
			wants(t, "too old", err, issuerkeys.ErrUnavailable)
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

// TestHandleAfterAnOutage shows that Handles of a key are valid again if the key is
// still published when the issuer is back after the bound.
func TestHandleAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		h := held(t, keys, "a")
		advance(2 * time.Hour)
		wants(t, "too old", h.check(t), issuerkeys.ErrUnavailable)
		must(t, keys.Warm(t.Context()))
		wants(t, "refreshed", h.check(t), nil)
	})
}

// TestHandleUsesTheGivenTime shows that Check uses the time it is given, with or
// without a reading of the monotonic clock.
func TestHandleUsesTheGivenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		h := held(t, keys, "a")
		now := time.Now()
		for _, clock := range []time.Time{now, now.Round(0)} { // the second has the wall clock only
			wants(t, "the last instant", h.handle.Check(t.Context(), clock.Add(70*time.Minute-1)), nil)
			wants(t, "after it", h.handle.Check(t.Context(), clock.Add(70*time.Minute)), issuerkeys.ErrUnavailable)
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
	if err != nil && !errors.Is(err, issuerkeys.ErrUnavailable) {
		t.Errorf("a token in the year 2201: %v", err)
	}
	if status := keys.Status(); status.LastError != nil || status.Failures != 0 {
		t.Errorf("a fetch of static keys: %+v", status)
	}
}
