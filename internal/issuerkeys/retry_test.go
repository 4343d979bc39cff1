package issuerkeys_test

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// firstAfter looks up a token every second until the site is visited again. It
// returns the time since the visit before.
func (s *site) firstAfter(t *testing.T, ask func()) time.Duration {
	t.Helper()
	before := s.visited()
	for range 2 * 60 * 60 {
		advance(time.Second)
		ask()
		synctest.Wait()
		if now := s.visited(); len(now) > len(before) {
			return now[len(now)-1].at.Sub(now[len(now)-2].at)
		}
	}
	t.Fatal("never asked again")
	return 0
}

// TestRetryAfter shows that Retry-After is obeyed for a bounded time, which is
// shorter if there are no usable keys (RFC 9110 §10.2.3).
func TestRetryAfter(t *testing.T) {
	limit := func(backoff, retry time.Duration) jwkscache.Limits {
		return jwkscache.Limits{MaxBackoff: backoff, MaxRetryAfter: retry}
	}
	for name, row := range map[string]struct {
		status  int
		value   func() string
		limits  jwkscache.Limits
		with    time.Duration // keys
		without time.Duration
	}{
		"no field": {status: 503, with: time.Second, without: time.Second},
		"429, seconds": {
			status: 429, value: func() string { return "40" },
			with: 40 * time.Second, without: 40 * time.Second,
		},
		"503, seconds": {
			status: 503, value: func() string { return "40" },
			with: 40 * time.Second, without: 40 * time.Second,
		},
		"503, a date": {
			status: 503, value: func() string { return day(40 * time.Second) },
			with: 40 * time.Second, without: 40 * time.Second,
		},
		"429, a date": {
			status: 429, value: func() string { return day(100 * time.Second) },
			with: 100 * time.Second, without: time.Minute,
		},
		"more than is heeded": {
			status: 503, value: func() string { return "86400" },
			with: 5 * time.Minute, without: time.Minute,
		},
		"more than any number": {
			status: 503, value: func() string { return "99999999999999999999999999" },
			with: 5 * time.Minute, without: time.Minute,
		},
		"a date beyond what is heeded": {
			status: 503, value: func() string { return day(10 * 24 * time.Hour) },
			with: 5 * time.Minute, without: time.Minute,
		},
		"zero":           {status: 503, value: func() string { return "0" }, with: time.Second, without: time.Second},
		"a date past":    {status: 503, value: func() string { return day(-time.Hour) }, with: time.Second, without: time.Second},
		"neither":        {status: 503, value: func() string { return "soon" }, with: time.Second, without: time.Second},
		"negative":       {status: 503, value: func() string { return "-40" }, with: time.Second, without: time.Second},
		"another status": {status: 500, value: func() string { return "40" }, with: 40 * time.Second, without: 40 * time.Second},
		"other limits": {
			status: 503, value: func() string { return "86400" }, limits: limit(20*time.Second, 30*time.Second),
			with: 30 * time.Second, without: 20 * time.Second,
		},
		"no longer than MaxRetryAfter without keys either": {
			status: 503, value: func() string { return "86400" }, limits: limit(time.Hour, 30*time.Second),
			with: 30 * time.Second, without: 30 * time.Second,
		},
	} {
		fields := func() []string {
			if row.value == nil {
				return nil
			}
			return []string{"Retry-After: " + row.value()}
		}
		limited := func(b *issuerkeys.Binding) { b.Limits = row.limits }
		t.Run(name+", with keys", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(200, setOf(jwk(t, "a")))
				keys := openSite(t, s, limited)
				wants(t, "warm", keys.Warm(t.Context()), nil)
				advance(11 * time.Minute)
				s.answers(row.status, "", fields()...)
				wants(t, "stale", find(t, keys, "a"), nil)
				synctest.Wait()
				s.wantVisits(t, "the refresh", 2)
				got := s.firstAfter(t, func() {
					wants(t, "a known kid", find(t, keys, "a"), nil)
					if s.visited()[1].at.Add(min(row.with, 30*time.Second)).After(time.Now()) {
						wants(t, "an unknown kid", find(t, keys, "b"), issuerkeys.ErrUnavailable)
						wants(t, "warm", keys.Warm(t.Context()), nil)
					}
				})
				wantSpan(t, "asked again after", got, row.with)
			})
		})
		t.Run(name+", without keys", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(row.status, "", fields()...)
				keys := openSite(t, s, limited)
				wants(t, "warm", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
				got := s.firstAfter(t, func() { wants(t, "a token", find(t, keys, "a"), issuerkeys.ErrUnavailable) })
				wantSpan(t, "asked again after", got, row.without)
			})
		})
	}
}

// TestRunHeedsRetryAfter shows that Run obeys Retry-After, fetches again when it is
// over, and that a success ends it.
func TestRunHeedsRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(503, "", "Retry-After: 120")
		keys := openSite(t, s)
		go keys.Run(t.Context())
		synctest.Wait()
		s.answers(200, setOf(jwk(t, "a")))
		advance(119 * time.Second)
		s.wantVisits(t, "before it is over", 1)
		advance(3 * time.Second)
		s.wantVisits(t, "after it", 2)
		wants(t, "ready", keys.Ready(), nil)
		wants(t, "a made-up kid, at once", find(t, keys, "b"), jose.ErrUnknownKey)
		s.wantVisits(t, "no hold any more", 3)
	})
}

// TestBackoffDoubles shows the pauses between fetches from an issuer that fails
// without Retry-After: they double up to MaxBackoff while keys serve, and stay
// below FruitlessInterval without usable keys.
func TestBackoffDoubles(t *testing.T) {
	for _, row := range []struct {
		warm    bool
		longest time.Duration
	}{{true, time.Minute}, {false, 5 * time.Second}} {
		t.Run(strconv.FormatBool(row.warm), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				keys := openSite(t, s)
				if row.warm {
					s.answers(200, setOf(jwk(t, "a")))
					wants(t, "warm", keys.Warm(t.Context()), nil)
					advance(11 * time.Minute)
					s.down()
				}
				for range 30 * 60 * 10 {
					err := find(t, keys, "a")
					if (err == nil) != row.warm {
						t.Fatal(err)
					}
					advance(100 * time.Millisecond)
				}
				visits := s.visited()
				if row.warm {
					visits = visits[1:]
				}
				longest := time.Duration(0)
				for i := range len(visits) - 1 {
					pause := visits[i+1].at.Sub(visits[i].at)
					longest = max(longest, pause)
					expected := min(time.Second<<min(i, 10), row.longest)
					if pause < expected/2 || pause > expected+200*time.Millisecond {
						t.Errorf("pause %d is %v; half to all of %v is right", i, pause, expected)
					}
				}
				if longest <= row.longest*3/4 {
					t.Errorf("the longest pause is %v; jitter leaves more of %v", longest, row.longest)
				}
			})
		})
	}
}
