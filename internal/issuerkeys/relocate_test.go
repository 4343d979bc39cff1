package issuerkeys_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// moving is an issuer whose metadata name one URL for the keys first and another
// one later.
type moving struct {
	site

	first, later func() *http.Response // nil is a connection that fails
	relocations  int
	named        string // by the metadata, when asked again
	failure      error
}

const laterURL = "https://issuer.test/later"

func openMoving(t *testing.T, m *moving) *issuerkeys.Keys {
	t.Helper()
	m.answersBy(func(r *http.Request) *http.Response {
		answer := map[string]func() *http.Response{siteURL: m.first, laterURL: m.later}[r.URL.String()]
		if answer == nil {
			return reply(500, "")
		}
		return answer()
	})
	m.named = siteURL
	return bindTo(t, jwkscache.Discovered(), over(m.RoundTrip), func(b *issuerkeys.Binding) {
		b.Locate = func(context.Context) (string, error) { return siteURL, nil }
		b.Relocate = func(context.Context) (string, error) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.relocations++
			return m.named, m.failure
		}
	})
}

// asked returns how often the metadata were fetched again.
func (m *moving) asked() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.relocations
}

func answer(status int, body string, fields ...string) func() *http.Response {
	return func() *http.Response { return reply(status, body, fields...) }
}

// TestMissingSetReadsTheMetadata covers R-DI-07: a fetch that finds the key set
// gone reads the metadata again and fetches from the URL there.
func TestMissingSetReadsTheMetadata(t *testing.T) {
	for name, gone := range map[string]func() *http.Response{
		"404": answer(404, ""),
		"410": answer(410, ""),
		"301": answer(301, "", "Location: "+laterURL),
		"308": answer(308, "", "Location: "+laterURL),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := moving{first: answer(200, setOf(jwk(t, "a"))), later: answer(200, setOf(jwk(t, "b")))}
				keys := openMoving(t, &m)
				must(t, keys.Warm(t.Context()))
				advance(time.Minute)
				m.first = gone
				wants(t, "the metadata name the same URL", find(t, keys, "b"), issuerkeys.ErrUnavailable)
				m.named, m.failure = laterURL, errRefused
				advance(time.Second)
				wants(t, "the metadata cannot be had", find(t, keys, "b"), issuerkeys.ErrUnavailable)
				m.wantVisits(t, "without another URL", 3)
				m.failure = nil
				advance(time.Second)
				wants(t, "the metadata name another URL", find(t, keys, "b"), nil)
				m.wantVisits(t, "with another URL", 5)
				if got := m.last(t).url; got != laterURL || m.asked() != 3 || keys.Status().Location != laterURL {
					t.Errorf("asked %s after %d relocations; %s", got, m.asked(), keys.Status().Location)
				}
			})
		})
	}
}

// TestLongFailureReadsTheMetadata shows that the metadata are read again after
// other failures for a minute, and not before.
func TestLongFailureReadsTheMetadata(t *testing.T) {
	for name, fails := range map[string]func() *http.Response{
		"500":          answer(500, ""),
		"no key set":   answer(200, `{"error":"moved"}`),
		"not JSON":     answer(200, "<html>", "Content-Type: text/html"),
		"unavailable":  answer(503, "", "Retry-After: 3"),
		"no keys":      answer(200, setOf()),
		"unreadable":   answer(200, setOf(unreadable("a"))),
		"unauthorised": answer(403, ""),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := moving{first: answer(200, setOf(jwk(t, "a")), "Cache-Control: max-age=60"), later: answer(200, setOf(jwk(t, "b")))}
				keys := openMoving(t, &m)
				go keys.Run(t.Context())
				advance(time.Second)
				m.mu.Lock()
				m.first, m.named = fails, laterURL
				m.mu.Unlock()
				for start := time.Now(); keys.Status().LastFailure.IsZero(); advance(time.Second) {
					if time.Since(start) > 5*time.Minute {
						t.Fatal("no fetch failed")
					}
				}
				if m.asked() > 0 {
					t.Error("the metadata are asked after the first failure")
				}
				advance(2 * time.Minute)
				wants(t, "two minutes later", find(t, keys, "b"), nil)
				if n := m.asked(); n != 1 {
					t.Errorf("%d relocations", n)
				}
			})
		})
	}
}

// TestOldSetAtTheOldURL shows that a token with a new key is accepted when the
// metadata name another URL, although the old URL still serves the old set, and
// that fetches without a token read the metadata no second time.
func TestOldSetAtTheOldURL(t *testing.T) {
	for name, fields := range map[string][]string{"the same document": nil, "304": {`ETag: "1"`}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := moving{first: answer(200, setOf(jwk(t, "a")), fields...), later: answer(200, setOf(jwk(t, "b")))}
				keys := openMoving(t, &m)
				must(t, keys.Warm(t.Context()))
				if fields != nil {
					m.first = answer(304, "")
				}
				advance(11 * time.Minute)
				must(t, keys.Warm(t.Context()))
				if m.asked() > 0 {
					t.Error("a refresh asks the metadata again")
				}
				advance(time.Second)
				wants(t, "the metadata name the same URL", find(t, keys, "b"), jose.ErrUnknownKey)
				m.wantVisits(t, "the same URL", 3)
				m.named = laterURL
				advance(time.Minute)
				wants(t, "the metadata name another URL", find(t, keys, "b"), nil)

				again := moving{first: m.first, later: m.later}
				if fields == nil {
					keys = openMoving(t, &again)
					must(t, keys.Warm(t.Context()))
					again.named = laterURL
					if refuted(t, keys, headerOf(t, "a")); keys.Status().Location != laterURL {
						t.Error("a bad signature does not have the metadata asked")
					}
				}
			})
		})
	}
}

// TestNewSetAtTheOldURL shows that the metadata are not read again for a token with a
// new key if the old URL serves that key.
func TestNewSetAtTheOldURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := jwk(t, "a")
		m := moving{first: answer(200, setOf(a)), later: answer(500, "")}
		keys := openMoving(t, &m)
		must(t, keys.Warm(t.Context()))
		m.first, m.named = answer(200, setOf(a, jwk(t, "b"))), laterURL
		advance(time.Second)
		wants(t, "the new key", find(t, keys, "b"), nil)
		m.wantVisits(t, "at the old URL", 2)
		if n := m.asked(); n != 0 {
			t.Errorf("%d relocations", n)
		}
	})
}

// TestMissingSetForLong shows that each fetch reads the metadata again no more than
// once, also when fetches have failed for more than a minute.
func TestMissingSetForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := moving{first: answer(404, "")}
		keys := openMoving(t, &m)
		for i := range 10 {
			wants(t, "gone", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
			m.wantVisits(t, "gone", i+1)
			if n := m.asked(); n != i+1 {
				t.Errorf("%d relocations after %d fetches", n, i+1)
			}
			advance(20 * time.Second)
		}
	})
}

// TestConfiguredURLStays shows that a configured URL is not replaced, and a
// discovered one is not without Relocate.
func TestConfiguredURLStays(t *testing.T) {
	relocate := func(b *issuerkeys.Binding) {
		b.Relocate = func(context.Context) (string, error) { t.Error("Relocate was called"); return laterURL, nil }
	}
	for name, open := range map[string]func(*testing.T, *site) *issuerkeys.Keys{
		"URL": func(t *testing.T, s *site) *issuerkeys.Keys { return openSite(t, s, relocate) },
		"Discovered": func(t *testing.T, s *site) *issuerkeys.Keys {
			return bindTo(t, jwkscache.Discovered(), over(s.RoundTrip), func(b *issuerkeys.Binding) {
				b.Locate = func(context.Context) (string, error) { return siteURL, nil }
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(404, "")
				keys := open(t, s)
				for range 100 {
					wants(t, "gone", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
					advance(5 * time.Second)
				}
			})
		})
	}
}

// TestFreshnessOf304 shows how long a set is fresh after a 304: as the 304 says, or
// else as the confirmed response said (RFC 9111 §4.3.4), also after a restart.
func TestFreshnessOf304(t *testing.T) {
	for name, row := range map[string]struct {
		stored, confirming []string
		want               time.Duration
	}{
		"nothing":                   {[]string{"Cache-Control: max-age=3600"}, nil, time.Hour},
		"Age":                       {[]string{"Cache-Control: max-age=3600"}, []string{"Age: 600"}, 50 * time.Minute},
		"Age of the first":          {[]string{"Cache-Control: max-age=3600", "Age: 600"}, nil, time.Hour},
		"another max-age":           {[]string{"Cache-Control: max-age=3600"}, []string{"Cache-Control: max-age=1800"}, 30 * time.Minute},
		"no max-age":                {[]string{"Cache-Control: max-age=3600"}, []string{"Cache-Control: public"}, time.Hour},
		"no-cache":                  {[]string{"Cache-Control: max-age=3600"}, []string{"Cache-Control: no-cache"}, time.Minute},
		"Expires against max-age":   {[]string{"Cache-Control: max-age=3600"}, []string{"Expires: " + day(100*time.Hour)}, time.Hour},
		"Expires against Expires":   {[]string{"Expires: " + day(time.Hour)}, []string{"Expires: Sat, 01 Jan 2000 06:00:00 GMT", "Date: Sat, 01 Jan 2000 04:00:00 GMT"}, 2 * time.Hour},
		"Expires before, with Date": {[]string{"Expires: Sat, 01 Jan 2000 03:00:00 GMT", "Date: Sat, 01 Jan 2000 00:00:00 GMT"}, nil, 3 * time.Hour},
		"nothing ever":              {nil, nil, 10 * time.Minute},
		"no-store before":           {[]string{"Cache-Control: no-store"}, nil, time.Minute},
		"more than MaxFresh":        {[]string{"Cache-Control: max-age=999999"}, nil, 24 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir, s := snapshots(t), new(site)
				s.answers(200, setOf(jwk(t, "a")), append([]string{`ETag: "1"`}, row.stored...)...)
				keys := openSite(t, s, kept(dir))
				must(t, keys.Warm(t.Context()))
				synctest.Wait()
				s.answers(304, "", row.confirming...)
				for range 3 {
					for keys.Status().State == "fresh" {
						advance(time.Minute)
					}
					must(t, keys.Warm(t.Context()))
					wantSpan(t, "fresh for", time.Until(keys.Status().FreshUntil), row.want)
				}
				s.wantVisits(t, "the first, and three that confirm it", 4)
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		dir, s := snapshots(t), new(site)
		s.answers(200, setOf(jwk(t, "a")), `ETag: "1"`, "Cache-Control: max-age=3600")
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		s.answers(304, "")
		advance(61 * time.Minute)
		keys := openSite(t, s, kept(dir))
		must(t, keys.Warm(t.Context()))
		wantSpan(t, "after a restart, fresh for", time.Until(keys.Status().FreshUntil), time.Hour)
		s.wantVisits(t, "after a restart", 2)
	})
}
