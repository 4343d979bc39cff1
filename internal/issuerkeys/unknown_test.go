package issuerkeys_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// rotated is one rotation under load.
type rotated struct {
	name   string
	run    bool          // with Run
	made   int           // made-up kids every 20 ms
	fetch  time.Duration // what a fetch takes
	moment time.Duration // of the rotation, after a fetch for a made-up kid began
}

// TestRotatedKeyIsNeverUnknown covers R-JK-11 and R-OP-05: whenever an issuer
// rotates and whatever else is looked up, no token of the new key gets
// ErrUnknownKey. It is accepted, or the result is ErrUnavailable.
func TestRotatedKeyIsNeverUnknown(t *testing.T) {
	for _, row := range []rotated{
		{name: "quiet", fetch: 0},
		{name: "quiet, a slow issuer", fetch: time.Second},
		{name: "quiet, with Run", run: true, fetch: time.Second},
		{name: "a flood", made: 3, fetch: 100 * time.Millisecond},
		{name: "a flood, with Run", run: true, made: 3, fetch: 100 * time.Millisecond},
		{name: "a flood of more than may wait", made: 30, fetch: time.Second},
	} {
		for _, moment := range []time.Duration{0, 50 * time.Millisecond, 500 * time.Millisecond, 999 * time.Millisecond, time.Second, 3 * time.Second, 20 * time.Second} {
			row.moment = moment
			t.Run(fmt.Sprintf("%s/%v", row.name, moment), func(t *testing.T) { synctest.Test(t, row.test) })
		}
	}
}

func (r *rotated) test(t *testing.T) {
	issuer := inMemory(t, "")
	keys := openKeys(t, issuer)
	wants(t, "warm", keys.Warm(t.Context()), nil)
	slow(issuer, r.fetch)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if r.run {
		go keys.Run(ctx)
	}
	advance(time.Second)
	go func() { _ = ask(ctx, keys, "made up before") }()
	var n atomic.Int64
	defer goOn(20*time.Millisecond, func(ctx context.Context) {
		for range r.made {
			kid := fmt.Sprint("made-up-", n.Add(1))
			go func() { _ = ask(ctx, keys, kid) }()
		}
	})()
	advance(r.moment)
	issuer.Rotate()
	start, token := time.Now(), issuer.Sign(testissuer.Token{})
	var all sync.WaitGroup
	for bound := 5*time.Second + 2*r.fetch; time.Since(start) <= bound; advance(50 * time.Millisecond) {
		late := time.Since(start) > 5*time.Second+r.fetch
		all.Go(func() {
			err := verify(t.Context(), keys, token)
			if err != nil && (late || !errors.Is(err, issuerkeys.ErrUnavailable)) {
				t.Errorf("%v after the rotation: %v", time.Since(start), err)
			}
		})
	}
	all.Wait()
}

// TestUnknownNeedsALaterFetch covers R-JK-09 and R-JK-11: only a fetch that began
// after the token came shows that its kid is unknown, whatever the cause of the
// fetch.
func TestUnknownNeedsALaterFetch(t *testing.T) {
	for name, row := range map[string]struct {
		before func(t *testing.T, keys *issuerkeys.Keys) // begins a fetch
		visits int
	}{
		"none": {func(t *testing.T, keys *issuerkeys.Keys) { must(t, keys.Warm(t.Context())) }, 2},
		"of missing keys": {func(t *testing.T, keys *issuerkeys.Keys) {
			go func() { _ = keys.Warm(t.Context()) }()
		}, 2},
		"of stale keys": {func(t *testing.T, keys *issuerkeys.Keys) {
			must(t, keys.Warm(t.Context()))
			advance(11 * time.Minute)
			must(t, find(t, keys, "a"))
		}, 3},
		"of another kid": {func(t *testing.T, keys *issuerkeys.Keys) {
			must(t, keys.Warm(t.Context()))
			advance(time.Second)
			go func() { _ = find(t, keys, "x") }()
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				a, b := jwk(t, "a"), jwk(t, "b")
				s.answers(200, setOf(a))
				keys := bindTo(t, jwkscache.URL(siteURL), over(late{s, 100 * time.Millisecond}.RoundTrip))
				row.before(t, keys)
				synctest.Wait()
				s.answers(200, setOf(a, b)) // too late for the fetch that is under way
				wants(t, "a key published since", find(t, keys, "b"), nil)
				s.wantVisits(t, "in all", row.visits)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		atOnce(t, "a fetch of missing keys that the token began", func() { wants(t, "unknown", find(t, keys, "b"), jose.ErrUnknownKey) })
		advance(11 * time.Minute)
		atOnce(t, "a fetch of stale keys that the token began", func() { wants(t, "unknown", find(t, keys, "b"), jose.ErrUnknownKey) })
		s.wantVisits(t, "one for each", 2)
	})
}

// late is a transport that answers, after a delay, with the set that the site had
// at the time of the request.
type late struct {
	s     *site
	delay time.Duration
}

func (l late) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.s.RoundTrip(r)
	advance(l.delay)
	return response, err
}

// TestHeldFetch shows how tokens with unknown kids wait for a fetch that is not
// allowed yet: all wait for the same fetch, at most Limits.Waiters of them, and no
// longer than their context. A fetch that begins earlier for another cause serves
// them too (R-JK-10).
func TestHeldFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		a := jwk(t, "a")
		s.answers(200, setOf(a))
		keys := openSite(t, s, within(jwkscache.Limits{UnknownInterval: 20 * time.Second, FruitlessInterval: 20 * time.Second, Waiters: 10}))
		must(t, keys.Warm(t.Context()))
		s.answers(200, setOf(a, jwk(t, "b")))
		var all sync.WaitGroup
		awaited := func(took time.Duration, want error) {
			for range 9 {
				all.Go(func() {
					start := time.Now()
					wants(t, "a waiter", find(t, keys, "b"), want)
					wantSpan(t, "it waited", time.Since(start), took)
				})
			}
			synctest.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			all.Go(func() { wants(t, "one that gives up", ask(ctx, keys, "c"), context.Canceled) })
			synctest.Wait()
			if n := keys.Status().Waiting; n != 10 {
				t.Errorf("%d wait", n)
			}
			atOnce(t, "a caller above the limit", func() { wants(t, "a caller above the limit", find(t, keys, "d"), issuerkeys.ErrUnavailable) })
			atOnce(t, "a known kid", func() { wants(t, "a known kid", find(t, keys, "a"), nil) })
			cancel()
			synctest.Wait()
			if n := keys.Status().Waiting; n != 9 {
				t.Errorf("%d wait on", n)
			}
		}
		awaited(20*time.Second, nil)
		s.wantVisits(t, "while they wait", 1)
		all.Wait()
		s.wantVisits(t, "one for all", 2)

		s.answers(200, setOf(a)) // b is withdrawn, and comes back
		go keys.Run(t.Context())
		for len(keys.Status().Keys) == 2 {
			advance(time.Second)
		}
		before := len(s.visited())
		s.answers(200, setOf(a, jwk(t, "b")))
		awaited(7*time.Second, nil)
		advance(7 * time.Second)
		found, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
		must(t, err)
		_, _ = keys.FindAgain(t.Context(), headerOf(t, "a"), found)
		all.Wait()
		advance(30 * time.Second) // the next renewal comes after a minute at the earliest
		s.wantVisits(t, "one of another cause, and the held one never", before+1)
	})
}

// TestDistantFetchIsNotAwaited shows that tokens do not wait for a fetch that is
// minutes away, nor for one after a failure.
func TestDistantFetchIsNotAwaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")), "Cache-Control: max-age=86400")
		keys := openSite(t, s, within(jwkscache.Limits{UnknownInterval: time.Minute, FruitlessInterval: time.Minute}))
		must(t, keys.Warm(t.Context()))
		atOnce(t, "a minute away", func() { wants(t, "a minute away", find(t, keys, "b"), issuerkeys.ErrUnavailable) })
		s.wantVisits(t, "a minute away", 1)
	})
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		must(t, keys.Warm(t.Context()))
		advance(time.Minute)
		s.down()
		for range 3 {
			atOnce(t, "a failure", func() { wants(t, "a failure", find(t, keys, "b"), errRefused) })
		}
		s.wantVisits(t, "a failure", 2)
	})
}

// TestEmptyKid shows that a token with an empty kid is treated as any unknown kid,
// and that fruitless fetches for it do not prevent the refresh of stale keys.
func TestEmptyKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")), "Cache-Control: max-age=60")
		keys := openSite(t, s, within(jwkscache.Limits{FruitlessInterval: 5 * time.Minute}))
		must(t, keys.Warm(t.Context()))
		advance(time.Second)
		wants(t, "an empty kid", find(t, keys, ""), jose.ErrUnknownKey)
		start := time.Now()
		for range 150 {
			wants(t, "the next fetch is minutes away", find(t, keys, ""), issuerkeys.ErrUnavailable)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("tokens that need not wait were refused after %v", took)
		}
		s.wantVisits(t, "an empty kid", 2)
		advance(time.Minute)
		wants(t, "stale", find(t, keys, "a"), nil)
		synctest.Wait()
		s.wantVisits(t, "stale", 3)
	})
}

// TestRefusalsAreSpread shows that a thousand tokens with made-up kids, which wait for the
// same fetch, are not refused all at the same time, and that a token of a new key among
// them is accepted when the fetch ends.
func TestRefusalsAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, "")
		keys := openKeys(t, issuer)
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		wants(t, "made up, alone", ask(t.Context(), keys, "made-up"), jose.ErrUnknownKey)
		issuer.Rotate()
		start, token := time.Now(), issuer.Sign(testissuer.Token{})
		var mu sync.Mutex
		counts := make(map[time.Duration]int)
		var all sync.WaitGroup
		for i := range 999 {
			all.Go(func() {
				wants(t, "made up", ask(t.Context(), keys, fmt.Sprint("made-up-", i)), jose.ErrUnknownKey)
				mu.Lock()
				defer mu.Unlock()
				counts[time.Since(start)]++
			})
		}
		all.Go(func() {
			wants(t, "the new key", verify(t.Context(), keys, token), nil)
			if took := time.Since(start); took != time.Second {
				t.Errorf("a token of the new key was accepted after %v", took)
			}
		})
		synctest.Wait()
		for range 150 {
			wants(t, "made up, and nobody more may wait", ask(t.Context(), keys, "made-up"), issuerkeys.ErrUnavailable)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("tokens that may not wait were refused after %v", took)
		}
		all.Wait()
		for at, n := range counts {
			if at < time.Second || at > 1250*time.Millisecond || n > 1 && at > time.Second || n > 100 {
				t.Errorf("%d tokens were refused after %v", n, at)
			}
		}
		start = time.Now()
		advance(2 * time.Second)
		wants(t, "made up, alone again", ask(t.Context(), keys, "made-up-again"), jose.ErrUnknownKey)
		if took := time.Since(start); took != 2*time.Second {
			t.Errorf("a token alone was refused after %v", took)
		}
	})
}
