package issuerkeys_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
)

// limiting is a site that serves a number of requests a minute, and refuses others
// with the given fields.
type limiting struct {
	*site

	document string
	most     int
	refusal  func() *http.Response

	served  []time.Time
	refused []time.Time
}

func (l *limiting) respond(*http.Request) *http.Response {
	now := time.Now()
	for len(l.served) > 0 && now.Sub(l.served[0]) > time.Minute {
		l.served = l.served[1:]
	}
	if len(l.served) >= l.most {
		l.refused = append(l.refused, now)
		return l.refusal()
	}
	l.served = append(l.served, now)
	return reply(200, l.document, "Cache-Control: max-age=86400")
}

// TestProvokedRetryAfter covers R-JK-10: made-up kids make the issuer answer with
// Retry-After. A key that is published then is found within 30 seconds after the
// issuer serves requests again, and the pauses between fetches grow meanwhile.
func TestProvokedRetryAfter(t *testing.T) {
	for name, refusal := range map[string]func() *http.Response{
		"seconds":    func() *http.Response { return reply(429, "", "Retry-After: 300") },
		"a date":     func() *http.Response { return reply(503, "", "Retry-After: "+day(time.Hour)) },
		"far away":   func() *http.Response { return reply(429, "", "Retry-After: 99999999999999999999") },
		"short":      func() *http.Response { return reply(429, "", "Retry-After: 12") },
		"not at all": func() *http.Response { return reply(429, "") },
	} {
		for _, run := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, Run %t", name, run), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					l := limiting{site: new(site), document: setOf(jwk(t, "a")), most: 12, refusal: refusal}
					l.answersBy(l.respond)
					keys := openSite(t, l.site)
					must(t, keys.Warm(t.Context()))
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if run {
						go keys.Run(ctx)
					}
					advance(2 * time.Minute)
					for i, start := 0, time.Now(); time.Since(start) < 30*time.Second; i++ {
						_ = find(t, keys, fmt.Sprint("made-up-", i))
						advance(500 * time.Millisecond)
					}
					free := l.served[0].Add(time.Minute + 1) // when the issuer has an answer again
					l.document = setOf(jwk(t, "a"), jwk(t, "b"))
					for ; find(t, keys, "b") != nil; advance(time.Second) {
						if late := time.Since(free); late > 30*time.Second {
							t.Fatalf("not found %v after the issuer would have told", late)
						}
					}
					if len(l.refused) < 2 {
						t.Errorf("refused %d times, which shows nothing", len(l.refused))
					}
				})
			})
		}
	}
}

// TestHoldOfRetryAfter shows for how long unknown kids cause no fetch while an
// issuer refuses for minutes: first for the time of Retry-After, up to 30 seconds,
// and then for an interval that doubles from five seconds up to 30. The first
// success ends this.
func TestHoldOfRetryAfter(t *testing.T) {
	for after, pauses := range map[string][]int{
		"300": {30, 10, 20, 30, 30},
		"7":   {7, 10, 20, 30, 30},
		"2":   {5, 10, 20, 30, 30},
		"0":   {1, 1, 1, 1, 1},
	} {
		t.Run(after, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				a := jwk(t, "a")
				s.answers(200, setOf(a), "Cache-Control: max-age=86400")
				keys := openSite(t, s)
				must(t, keys.Warm(t.Context()))
				row := func() {
					t.Helper()
					advance(time.Hour)
					s.answers(503, "", "Retry-After: "+after)
					wants(t, "refused", find(t, keys, "x"), issuerkeys.ErrUnavailable)
					for i, want := range pauses {
						got := s.firstAfter(t, func() { wants(t, "refused", find(t, keys, fmt.Sprint("x", i)), issuerkeys.ErrUnavailable) })
						wantSpan(t, fmt.Sprint("pause ", i+1), got, time.Duration(want)*time.Second)
					}
				}
				row()
				s.answers(200, setOf(a), "Cache-Control: max-age=86400")
				advance(30 * time.Second)
				wants(t, "answered", find(t, keys, "y"), jose.ErrUnknownKey)
				row()
			})
		})
	}
}
