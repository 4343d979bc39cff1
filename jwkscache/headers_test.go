package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

const siteURL = "https://issuer.test/jwks"

// site is an issuer of one function. It records when and what it is asked.
type site struct {
	mu     sync.Mutex
	answer func(*http.Request) *http.Response // nil is a connection that fails
	visits []visit
}

type visit struct {
	at   time.Time
	url  string
	have string // the If-None-Match field
}

func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.visits = append(s.visits, visit{time.Now(), r.URL.String(), r.Header.Get("If-None-Match")})
	if s.answer == nil {
		return nil, errRefused
	}
	return s.answer(r), nil
}

// answers makes the site answer with what reply makes of the arguments.
func (s *site) answers(status int, body string, fields ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(*http.Request) *http.Response { return reply(status, body, fields...) }
}

// answersBy makes the site answer by a function.
func (s *site) answersBy(answer func(*http.Request) *http.Response) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

func (s *site) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = nil
}

func (s *site) visited() []visit {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]visit(nil), s.visits...)
}

func (s *site) last(t *testing.T) visit {
	t.Helper()
	visits := s.visited()
	if len(visits) == 0 {
		t.Fatal("nothing was asked for")
	}
	return visits[len(visits)-1]
}

// wantVisits fails the test unless the site was asked so often.
func (s *site) wantVisits(t *testing.T, what string, want int) {
	t.Helper()
	if got := len(s.visited()); got != want {
		t.Errorf("%s: %d fetches, want %d", what, got, want)
	}
}

// reply is a response; fields are "Name: value".
func reply(status int, body string, fields ...string) *http.Response {
	header := http.Header{"Content-Type": {"application/json"}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		header.Add(name, value)
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// openSite opens keys of s, with changes to the binding.
func openSite(t *testing.T, s *site, changes ...func(*jwkscache.Binding)) *jwkscache.Keys {
	t.Helper()
	return bindTo(t, jwkscache.URL(siteURL), append([]func(*jwkscache.Binding){
		func(b *jwkscache.Binding) { b.HTTPClient = &http.Client{Transport: s} },
	}, changes...)...)
}

// bindTo opens a source, with changes to the binding.
func bindTo(tb testing.TB, source jwkscache.Source, changes ...func(*jwkscache.Binding)) *jwkscache.Keys {
	tb.Helper()
	binding := jwkscache.Binding{Issuer: issuer, Algorithms: []jose.Algorithm{jose.EdDSA}}
	for _, change := range changes {
		change(&binding)
	}
	keys, err := jwkscache.Open(source, binding)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { runtime.KeepAlive(keys) }) // for handles
	return keys
}

// traced sets a trace.
func traced(trace *jwkscache.Trace) func(*jwkscache.Binding) {
	return func(b *jwkscache.Binding) { b.Trace = trace }
}

// snapshots is a new directory that is removed once nothing is written there.
func snapshots(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o700)) // whatever the umask
	t.Cleanup(synctest.Wait)
	return dir
}

// must fails the test on an error.
func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// fallbackOf opens a site with a fallback.
func fallbackOf(t *testing.T, s *site, document string, changes ...func(*jwkscache.Binding)) *jwkscache.Keys {
	t.Helper()
	return bindTo(t, jwkscache.WithFallback(jwkscache.URL(siteURL), []byte(document)), append([]func(*jwkscache.Binding){
		func(b *jwkscache.Binding) { b.HTTPClient = &http.Client{Transport: s} },
	}, changes...)...)
}

// jwk is a new Ed25519 key of that kid, published.
func jwk(t *testing.T, kid string) string {
	t.Helper()
	_, text := newKey(t, kid)
	return text
}

// setOf is a JWK Set.
func setOf(jwks ...string) string { return `{"keys":[` + strings.Join(jwks, ",") + `]}` }

// headerOf is the header of a token of that kid.
func headerOf(tb testing.TB, kid string) jose.Header {
	tb.Helper()
	input := encode([]byte(fmt.Sprintf(`{"alg":"EdDSA","kid":%q}`, kid))) + "." + encode([]byte("{}"))
	u, err := jose.ParseCompact(input + "." + encode(make([]byte, 64)))
	if err != nil {
		tb.Fatal(err)
	}
	return u.UnverifiedHeader()
}

// find looks a kid up.
func find(t *testing.T, keys *jwkscache.Keys, kid string) error {
	t.Helper()
	_, err := keys.Find(t.Context(), time.Now(), headerOf(t, kid))
	return err
}

// wantSpan fails the test unless got is want.
func wantSpan(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// day is a date so far from now, as HTTP writes it.
func day(fromNow time.Duration) string { return time.Now().Add(fromNow).UTC().Format(http.TimeFormat) }

// TestFreshnessOfFields covers R-JK-08 with all the fields that say how long a
// response is fresh (RFC 9111 §4.2, §5.1, §5.3).
func TestFreshnessOfFields(t *testing.T) {
	const minFresh, defaultFresh, maxFresh = time.Minute, 10 * time.Minute, 24 * time.Hour
	for name, row := range map[string]struct {
		fields func() []string
		want   time.Duration
	}{
		"none": {func() []string { return nil }, defaultFresh},
		"Date alone": {func() []string {
			return []string{"Date: " + day(-time.Hour)}
		}, defaultFresh},
		"Age alone": {func() []string { return []string{"Age: 599"} }, defaultFresh},
		"Expires": {func() []string {
			return []string{"Expires: " + day(5*time.Minute)}
		}, 5 * time.Minute},
		"Expires less Date, whose clock is ahead": {func() []string {
			return []string{"Expires: " + day(20*time.Minute), "Date: " + day(15*time.Minute)}
		}, 5 * time.Minute},
		"Expires less Date, whose clock is behind": {func() []string {
			return []string{"Expires: " + day(-20*time.Minute), "Date: " + day(-25*time.Minute)}
		}, 5 * time.Minute},
		"Expires with a Date that is none": {func() []string {
			return []string{"Expires: " + day(5*time.Minute), "Date: yesterday"}
		}, 5 * time.Minute},
		"Expires less Age": {func() []string {
			return []string{"Expires: " + day(10*time.Minute), "Age: 240"}
		}, 6 * time.Minute},
		"Expires 0":    {func() []string { return []string{"Expires: 0"} }, minFresh},
		"Expires -1":   {func() []string { return []string{"Expires: -1"} }, minFresh},
		"Expires past": {func() []string { return []string{"Expires: " + day(-time.Hour)} }, minFresh},
		"Expires now":  {func() []string { return []string{"Expires: " + day(0)} }, minFresh},
		"Expires in a year": {func() []string {
			return []string{"Expires: " + day(365*24*time.Hour)}
		}, maxFresh},
		"Expires in the year 9999": {func() []string {
			return []string{"Expires: Fri, 31 Dec 9999 23:59:59 GMT"}
		}, maxFresh},
		"two Expires: the first": {func() []string {
			return []string{"Expires: " + day(5*time.Minute), "Expires: " + day(time.Hour)}
		}, 5 * time.Minute},
		"max-age overrides a later Expires": {func() []string {
			return []string{"Expires: " + day(time.Hour), "Cache-Control: max-age=300"}
		}, 5 * time.Minute},
		"max-age overrides an earlier Expires": {func() []string {
			return []string{"Expires: 0", "Cache-Control: max-age=300"}
		}, 5 * time.Minute},
		"no-store overrides Expires": {func() []string {
			return []string{"Expires: " + day(time.Hour), "Cache-Control: no-store"}
		}, minFresh},
		"public leaves Expires": {func() []string {
			return []string{"Expires: " + day(time.Hour), "Cache-Control: public"}
		}, time.Hour},
		"Date does not count for max-age": {func() []string {
			return []string{"Date: " + day(-time.Hour), "Cache-Control: max-age=300"}
		}, 5 * time.Minute},
		"max-age less Age": {func() []string {
			return []string{"Cache-Control: max-age=600", "Age: 60"}
		}, 9 * time.Minute},
		"Age beyond max-age": {func() []string {
			return []string{"Cache-Control: max-age=600", "Age: 6000"}
		}, minFresh},
		"Age is taken off before the clamp": {func() []string {
			return []string{"Cache-Control: max-age=172800", "Age: 86400"}
		}, maxFresh},
		"an Age that is none": {func() []string {
			return []string{"Cache-Control: max-age=600", "Age: old"}
		}, minFresh},
		"two lines of Cache-Control: the strictest": {func() []string {
			return []string{"Cache-Control: max-age=3600", "Cache-Control: public, max-age=300"}
		}, 5 * time.Minute},
		"no-store in the second line": {func() []string {
			return []string{"Cache-Control: max-age=3600", "Cache-Control: no-store"}
		}, minFresh},
		"no-cache with a field name": {func() []string {
			return []string{`Cache-Control: max-age=3600, no-cache="set-cookie"`}
		}, minFresh},
		"s-maxage is for shared caches": {func() []string {
			return []string{"Cache-Control: s-maxage=60, max-age=3600"}
		}, time.Hour},
		"a second under the floor": {func() []string { return []string{"Cache-Control: max-age=59"} }, minFresh},
		"a second over the floor":  {func() []string { return []string{"Cache-Control: max-age=61"} }, 61 * time.Second},
		"a second under the roof":  {func() []string { return []string{"Cache-Control: max-age=86399"} }, maxFresh - time.Second},
		"a second over the roof":   {func() []string { return []string{"Cache-Control: max-age=86401"} }, maxFresh},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(200, setOf(jwk(t, "a")), row.fields()...)
				keys := openSite(t, s)
				wants(t, "warm", keys.Warm(t.Context()), nil)
				status := keys.Status()
				wantSpan(t, "fresh for", status.FreshUntil.Sub(status.Fetched), row.want)
				wantSpan(t, "usable for", status.UsableUntil.Sub(status.Fetched), min(row.want+time.Hour, 24*time.Hour))
				advance(row.want - time.Nanosecond)
				if got := keys.Status().State; got != "fresh" {
					t.Errorf("%s at the end of it", got)
				}
				wants(t, "fresh", find(t, keys, "a"), nil)
				synctest.Wait()
				s.wantVisits(t, "while fresh", 1)
				advance(time.Nanosecond)
				wants(t, "after it", find(t, keys, "a"), nil)
				synctest.Wait()
				s.wantVisits(t, "after it", 2)
			})
		})
	}
}

// TestFetchedIsWhenItWasAskedFor shows that the time which an answer took counts
// against its freshness (RFC 9111 §4.2.3).
func TestFetchedIsWhenItWasAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 4 * time.Second})
		start := time.Now()
		wants(t, "warm", keys.Warm(t.Context()), nil)
		if status := keys.Status(); !status.Fetched.Equal(start) || !status.FreshUntil.Equal(start.Add(10*time.Minute)) {
			t.Errorf("fetched %v, fresh until %v; asked for at %v", status.Fetched, status.FreshUntil, start)
		}
	})
}

// TestConditionalFetch shows that a set which has an entity tag is asked for with
// it, and that 304 confirms it: nothing is parsed again, and it is fresh again.
func TestConditionalFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done []jwkscache.FetchDone
		s := new(site)
		document := setOf(jwk(t, "a"))
		s.answers(200, document, `ETag: "1"`, "Cache-Control: max-age=600")
		keys := openSite(t, s, func(b *jwkscache.Binding) {
			b.Trace = &jwkscache.Trace{FetchDone: func(_ string, d jwkscache.FetchDone) { done = append(done, d) }}
		})
		wants(t, "warm", keys.Warm(t.Context()), nil)
		if got := s.last(t).have; got != "" {
			t.Errorf("the first request asks for what is not %s", got)
		}
		synctest.Wait()
		first := keys.Status()
		found, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
		wants(t, "find", err, nil)
		handle := found.Handle(found.Keys[0])

		confirm := func(what, tag string, fresh time.Duration) {
			t.Helper()
			advance(time.Hour)
			wants(t, what, keys.Warm(t.Context()), nil)
			synctest.Wait()
			if got := s.last(t).have; got != tag {
				t.Errorf("%s: If-None-Match is %s, want %s", what, got, tag)
			}
			status := keys.Status()
			wantSpan(t, what+": fetched", time.Since(status.Fetched), 0)
			wantSpan(t, what+": fresh for", time.Until(status.FreshUntil), fresh)
			if status.Keys[0] != first.Keys[0] || status.Origin != "fetched" {
				t.Errorf("%s: the keys are not those there were; %s", what, status.Origin)
			}
			if d := done[len(done)-1]; !d.Unchanged || d.Err != nil || d.Keys != 1 || len(d.Added)+len(d.Removed) != 0 {
				t.Errorf("%s: told as %+v", what, d)
			}
			wants(t, what+": a handle from before", handle.Check(t.Context(), time.Now()), nil)
		}
		s.answers(304, "", "Cache-Control: max-age=300")
		confirm("304", `"1"`, 5*time.Minute)
		s.answers(304, "", `ETag: W/"1"`, "Expires: "+day(2*time.Hour))
		confirm("304 without an ETag before, and with a weak one", `"1"`, 5*time.Minute)

		// A body that is the same is no change either, and one without ETag is
		// asked for without condition.
		s.answers(200, document, `ETag: W/"2"`)
		confirm("the same document under another tag", `"1"`, 10*time.Minute)
		s.answers(200, document)
		confirm("the same document without a tag", `W/"2"`, 10*time.Minute)
		confirm("what has no tag", "", 10*time.Minute)
		s.answers(200, setOf(jwk(t, "b")), `ETag: "3"`)
		advance(time.Hour)
		wants(t, "another document", keys.Warm(t.Context()), nil)
		wants(t, "its key", find(t, keys, "b"), nil)
		wants(t, "a handle of a key that it has not", handle.Check(t.Context(), time.Now()), jose.ErrUnknownKey)
	})
}

// TestNotModifiedWithoutCondition shows that 304 is a failure where nothing was
// said of what we have.
func TestNotModifiedWithoutCondition(t *testing.T) {
	for name, tag := range map[string]string{"no tag": "", "no valid tag": "ETag: 1", "a long tag": `ETag: "` + strings.Repeat("x", 300) + `"`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(304, "", `ETag: "1"`)
				keys := openSite(t, s)
				wants(t, "304 at first", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
				advance(time.Second)
				fields := []string{}
				if tag != "" {
					fields = append(fields, tag)
				}
				s.answers(200, setOf(jwk(t, "a")), fields...)
				wants(t, "200", keys.Warm(t.Context()), nil)
				s.answers(304, "", fields...)
				advance(time.Hour)
				wants(t, "stale keys", keys.Warm(t.Context()), nil)
				if status := keys.Status(); s.last(t).have != "" || status.LastError == nil || status.State != "stale" {
					t.Errorf("If-None-Match %q; %s, %v", s.last(t).have, status.State, status.LastError)
				}
			})
		})
	}
}

// TestNotModifiedOfAnother shows that a 304 which names another tag confirms
// nothing (RFC 9111 §4.3.4): the set is asked for without condition.
func TestNotModifiedOfAnother(t *testing.T) {
	for name, row := range map[string]struct {
		tag    string
		visits int
	}{"the same": {`"1"`, 2}, "weak": {`W/"1"`, 2}, "none": {"", 2}, "another": {`"2"`, 3}, "part of it": {`"1`, 3}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(200, setOf(jwk(t, "a")), `ETag: "1"`)
				keys := openSite(t, s)
				wants(t, "warm", keys.Warm(t.Context()), nil)
				advance(11 * time.Minute)
				after := setOf(jwk(t, "b"))
				s.answersBy(func(r *http.Request) *http.Response {
					if r.Header.Get("If-None-Match") == "" {
						return reply(200, after, `ETag: "2"`)
					}
					if row.tag == "" {
						return reply(304, "")
					}
					return reply(304, "", "ETag: "+row.tag)
				})
				wants(t, "warm again", keys.Warm(t.Context()), nil)
				s.wantVisits(t, "asked", row.visits)
				wants(t, "the key of what is there now", find(t, keys, "b"), map[bool]error{true: nil, false: jose.ErrUnknownKey}[row.visits == 3])
			})
		})
	}
}

// TestETagOfTestissuer is the same over a real server.
func TestETagOfTestissuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, err := testissuer.Start(testissuer.Config{InMemory: true, ETag: true})
		if err != nil {
			t.Fatal(err)
		}
		defer issuer.Close()
		keys := openKeys(t, issuer)
		unchanged := func(what string, want bool) {
			t.Helper()
			before := keys.Status().Keys
			advance(11 * time.Minute)
			wants(t, what, keys.Warm(t.Context()), nil)
			after := keys.Status()
			if got := before[0] == after.Keys[0]; got != want || after.State != "fresh" {
				t.Errorf("%s: unchanged is %t; %s", what, got, after.State)
			}
		}
		wants(t, "warm", keys.Warm(t.Context()), nil)
		unchanged("304", true)
		issuer.Rotate()
		unchanged("another tag", false)
		unchanged("304 again", true)
		wantRequests(t, "all of it", issuer, 4)
		wants(t, "the new key", judge(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
	})
}

// TestTagStaysWithItsURL shows that a tag is not sent to another URL, whose 304
// would confirm what it never had.
func TestTagStaysWithItsURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")), `ETag: "1"`)
		at := siteURL
		keys := bindTo(t, jwkscache.Discovered(), func(b *jwkscache.Binding) {
			b.HTTPClient = &http.Client{Transport: s}
			b.Locate = func(context.Context) (string, error) { return at, nil }
		})
		for _, row := range []struct{ url, tag string }{
			{siteURL, ""}, {siteURL, `"1"`}, {"https://issuer.test/other", ""}, {"https://issuer.test/other", `"1"`},
		} {
			at = row.url
			wants(t, "warm", keys.Warm(t.Context()), nil)
			if got := s.last(t); got.url != row.url || got.have != row.tag {
				t.Errorf("%+v, want %+v", got, row)
			}
			advance(11 * time.Minute)
		}
	})
}

// firstAfter lets tokens come, one a second, until the site was asked again, and
// answers how long after the visit before.
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

// TestRetryAfter shows that an issuer which asks to be left alone is, for a
// bounded time: less long if there are no keys to use (RFC 9110 §10.2.3).
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
		limited := func(b *jwkscache.Binding) { b.Limits = row.limits }
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
						wants(t, "an unknown kid", find(t, keys, "b"), jwkscache.ErrUnavailable)
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
				wants(t, "warm", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
				got := s.firstAfter(t, func() { wants(t, "a token", find(t, keys, "a"), jwkscache.ErrUnavailable) })
				wantSpan(t, "asked again after", got, row.without)
			})
		})
	}
}

// TestRunHeedsRetryAfter is the same for Run, which also comes back in time; and
// an answer ends it.
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

// TestBackoffDoubles shows how an issuer that fails is left alone without any
// Retry-After: for up to MaxBackoff while its keys serve, and less than
// FruitlessInterval without.
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

// delayed is a transport that takes so long.
type delayed struct {
	site  *site
	delay time.Duration
}

func (d delayed) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(d.delay):
		return d.site.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}

// TestEmptyKid shows that a token whose kid is empty costs what any unknown one
// does, and that having asked for it in vain keeps no stale keys from being
// refreshed.
func TestEmptyKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")), "Cache-Control: max-age=60")
		keys := openSite(t, s, within(jwkscache.Limits{FruitlessInterval: 5 * time.Minute}))
		must(t, keys.Warm(t.Context()))
		advance(time.Second)
		wants(t, "an empty kid", find(t, keys, ""), jose.ErrUnknownKey)
		for range 3 {
			wants(t, "the next fetch is minutes away", find(t, keys, ""), jwkscache.ErrUnavailable)
		}
		s.wantVisits(t, "an empty kid", 2)
		advance(time.Minute)
		wants(t, "stale", find(t, keys, "a"), nil)
		synctest.Wait()
		s.wantVisits(t, "stale", 3)
	})
}
