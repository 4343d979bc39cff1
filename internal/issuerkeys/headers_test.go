package issuerkeys_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestFreshnessOfFields covers R-JK-08 with all header fields that say how long a
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
					t.Errorf("%s at the last instant", got)
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

// TestFetchedIsTheTimeOfTheRequest shows that the freshness of a response counts
// from the time of the request (RFC 9111 §4.2.3).
func TestFetchedIsTheTimeOfTheRequest(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 4 * time.Second})
		start := time.Now()
		wants(t, "warm", keys.Warm(t.Context()), nil)
		if status := keys.Status(); !status.Fetched.Equal(start) || !status.FreshUntil.Equal(start.Add(10*time.Minute)) {
			t.Errorf("fetched %v, fresh until %v; asked for at %v", status.Fetched, status.FreshUntil, start)
		}
	})
}

// TestConditionalFetch shows that If-None-Match has the ETag of the set in use, and
// that a 304 makes the set fresh again without parsing it.
func TestConditionalFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var done []jwkscache.FetchDone
		s := new(site)
		document := setOf(jwk(t, "a"))
		s.answers(200, document, `ETag: "1"`, "Cache-Control: max-age=600")
		keys := openSite(t, s, func(b *issuerkeys.Binding) {
			b.Trace = &jwkscache.Trace{FetchDone: func(_ string, d jwkscache.FetchDone) { done = append(done, d) }}
		})
		wants(t, "warm", keys.Warm(t.Context()), nil)
		if got := s.last(t).have; got != "" {
			t.Errorf("the first request has If-None-Match %s", got)
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
				t.Errorf("%s: the keys changed; origin %s", what, status.Origin)
			}
			if d := done[len(done)-1]; !d.Unchanged || d.Err != nil || d.Keys != 1 || len(d.Added)+len(d.Removed) != 0 {
				t.Errorf("%s: FetchDone has %+v", what, d)
			}
			wants(t, what+": a handle from before", handle.Check(t.Context(), time.Now()), nil)
		}
		s.answers(304, "", "Cache-Control: max-age=300")
		confirm("304", `"1"`, 5*time.Minute)
		s.answers(304, "", `ETag: W/"1"`, "Expires: "+day(2*time.Hour))
		confirm("304 without an ETag before, and with a weak one", `"1"`, 5*time.Minute)

		// The same body with another ETag is no change. After a response without ETag,
		// the request has no condition.
		s.answers(200, document, `ETag: W/"2"`)
		confirm("the same document under another tag", `"1"`, 10*time.Minute)
		s.answers(200, document)
		confirm("the same document without a tag", `W/"2"`, 10*time.Minute)
		confirm("what has no tag", "", 10*time.Minute)
		s.answers(200, setOf(jwk(t, "b")), `ETag: "3"`)
		advance(time.Hour)
		wants(t, "another document", keys.Warm(t.Context()), nil)
		wants(t, "its key", find(t, keys, "b"), nil)
		wants(t, "the Handle of a withdrawn key", handle.Check(t.Context(), time.Now()), jose.ErrUnknownKey)
	})
}

// TestNotModifiedWithoutCondition shows that a 304 without an If-None-Match in the
// request is a failure.
func TestNotModifiedWithoutCondition(t *testing.T) {
	for name, tag := range map[string]string{"no tag": "", "no valid tag": "ETag: 1", "a long tag": `ETag: "` + strings.Repeat("x", 300) + `"`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(304, "", `ETag: "1"`)
				keys := openSite(t, s)
				wants(t, "304 at first", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
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

// TestNotModifiedWithAnotherETag shows that a 304 with another ETag confirms
// nothing (RFC 9111 §4.3.4), and that the set is then fetched without condition.
func TestNotModifiedWithAnotherETag(t *testing.T) {
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
				wants(t, "the key of the new set", find(t, keys, "b"), map[bool]error{true: nil, false: jose.ErrUnknownKey}[row.visits == 3])
			})
		})
	}
}

// TestETagOverHTTP shows conditional requests with the server of package
// testissuer.
func TestETagOverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.Start(t, testissuer.Config{ETag: true})
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
		wants(t, "the new key", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
	})
}

// TestETagIsSentToItsURLOnly shows that an ETag is not sent to another URL, whose
// 304 would confirm another document.
func TestETagIsSentToItsURLOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")), `ETag: "1"`)
		at := siteURL
		keys := bindTo(t, jwkscache.Discovered(), func(b *issuerkeys.Binding) {
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
