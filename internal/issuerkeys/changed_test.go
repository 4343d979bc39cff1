package issuerkeys_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// headerText returns the header of a token that is not signed.
func headerText(t *testing.T, text string) jose.Header {
	t.Helper()
	u, err := jose.ParseCompact(encode([]byte(text)) + ".e30.AA")
	must(t, err)
	return u.UnverifiedHeader()
}

const noKid = `{"alg":"EdDSA"}`

// ecKey is a key for ES256 with the kid a (RFC 7517, appendix A.1).
const ecKey = `{"kty":"EC","crv":"P-256","kid":"a","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`

// withoutKid returns a JWK without its kid.
func withoutKid(jwk string) string { return strings.Replace(jwk, `"kid":"a",`, "", 1) }

// refuted calls FindAgain for a header whose signature none of the keys verified,
// and reports whether there are other keys to try.
func refuted(t *testing.T, keys *issuerkeys.Keys, h jose.Header) bool {
	t.Helper()
	tried, err := keys.Find(t.Context(), time.Now(), h)
	must(t, err)
	found, ok := keys.FindAgain(t.Context(), h, tried)
	for _, key := range found.Keys {
		for _, old := range tried.Keys {
			if old.Thumbprint() == key.Thumbprint() {
				t.Error("a key is tried twice")
			}
		}
		if err := found.Handle(key).Check(t.Context(), time.Now()); err != nil {
			t.Errorf("the handle of a key found again: %v", err)
		}
	}
	if ok != (len(found.Keys) > 0) {
		t.Errorf("%d keys, and %t", len(found.Keys), ok)
	}
	return ok
}

// TestFindAgain shows that a key which the issuer replaced, under the same kid or
// without a kid, is found with the first token that it signs.
func TestFindAgain(t *testing.T) {
	for name, row := range map[string]struct {
		header string
		change func(string) string // of a JWK
	}{
		"under the same kid": {`{"alg":"EdDSA","kid":"a"}`, func(jwk string) string { return jwk }},
		"without kid":        {noKid, withoutKid},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told journal
				s := new(site)
				before, after := row.change(jwk(t, "a")), row.change(jwk(t, "a"))
				s.answers(200, setOf(before), "Cache-Control: max-age=86400")
				keys, h := openSite(t, s, told.keep), headerText(t, row.header)
				must(t, keys.Warm(t.Context()))
				if refuted(t, keys, h) {
					t.Error("an unchanged set has another key")
				}
				s.answers(200, setOf(after), "Cache-Control: max-age=86400")
				advance(30*time.Second - 1)
				if refuted(t, keys, h) {
					t.Error("fetched within 30 seconds")
				}
				s.wantVisits(t, "within 30 seconds", 2)
				advance(1)
				if !refuted(t, keys, h) {
					t.Error("the changed key was not found")
				}
				if n := len(told.began("bad_signature")) + len(told.began("no_kid")); n != 2 {
					t.Errorf("%d fetches of that cause", n)
				}
				s.answers(200, setOf(before, after), "Cache-Control: max-age=86400")
				advance(time.Minute)
				if !refuted(t, keys, h) {
					t.Error("a key that came back was not found")
				}
			})
		})
	}
}

// TestSlowBudgets shows that bad signatures, tokens without kid and unknown kids
// have separate budgets, and that many tokens of one of these kinds cost one fetch
// in 30 seconds. Only the token that starts the fetch waits for it.
func TestSlowBudgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told journal
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")), "Cache-Control: max-age=86400")
		keys := bindTo(t, jwkscache.URL(siteURL), told.keep, over(late{s, fetchTime}.RoundTrip))
		must(t, keys.Warm(t.Context()))
		advance(time.Minute)
		defer goOn(50*time.Millisecond, func(ctx context.Context) { _ = ask(ctx, keys, fmt.Sprint(time.Now().UnixNano())) })()
		known, without := headerOf(t, "a"), headerText(t, noKid)
		var all sync.WaitGroup
		for range 5 * 60 * 100 {
			for _, h := range []jose.Header{known, without} {
				all.Go(func() {
					start := time.Now()
					if refuted(t, keys, h) {
						t.Error("another key")
					}
					if took := time.Since(start); took != 0 && took != fetchTime {
						t.Errorf("waited %v", took)
					}
				})
			}
			advance(10 * time.Millisecond)
		}
		all.Wait()
		for _, cause := range []string{"bad_signature", "no_kid"} {
			at := told.began(cause)
			if len(at) < 9 || len(at) > 10 {
				t.Errorf("%d fetches for %s in five minutes", len(at), cause)
			}
			for i := 1; i < len(at); i++ {
				if gap := at[i].Sub(at[i-1]); gap < 30*time.Second || gap > 31*time.Second {
					t.Errorf("%s: %v apart", cause, gap)
				}
			}
		}
		if n := len(told.began("unknown_kid")); n < 50 {
			t.Errorf("%d fetches for unknown kids in five minutes", n)
		}
	})
}

// TestFindChanged shows which tokens without a key in the set cause a fetch from
// the slow budgets: tokens without kid, and tokens with a known kid and another
// algorithm.
func TestFindChanged(t *testing.T) {
	const edDSA = `{"alg":"EdDSA","kid":"a"}`
	for name, row := range map[string]struct {
		header        string
		before, after func(edKey string) string
		want          error // of the token before, and within 30 seconds
	}{
		"no kid, and no key of the algorithm": {noKid, func(string) string { return setOf(ecKey) }, func(k string) string { return setOf(k) }, jose.ErrUnknownKey},
		"no kid, and more than may be tried": {
			noKid, func(k string) string { return setOf(k, jwk(t, "b"), jwk(t, "c"), jwk(t, "d"), jwk(t, "e")) }, func(k string) string { return setOf(k) }, jose.ErrUnknownKey,
		},
		"no kid, and an empty set":         {noKid, func(string) string { return setOf() }, func(k string) string { return setOf(k) }, jose.ErrUnknownKey},
		"a known kid of another algorithm": {edDSA, func(string) string { return setOf(ecKey) }, func(k string) string { return setOf(k) }, jose.ErrAlgorithm},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				k := jwk(t, "a")
				s.answers(200, row.before(k), "Cache-Control: max-age=86400")
				keys, h := openSite(t, s), headerText(t, row.header)
				find := func() error { _, err := keys.Find(t.Context(), time.Now(), h); return err }
				must(t, keys.Warm(t.Context()))
				wants(t, "the first", find(), row.want)
				s.wantVisits(t, "the first", 2)
				s.answers(200, row.after(k), "Cache-Control: max-age=86400")
				for range 100 {
					wants(t, "within 30 seconds", find(), row.want)
				}
				s.wantVisits(t, "within 30 seconds", 2)
				advance(30 * time.Second)
				wants(t, "after 30 seconds", find(), nil)
				s.wantVisits(t, "after 30 seconds", 3)
			})
		})
	}
}

// TestForbiddenKeyIsReplaced covers R-OP-06: if a key is forbidden by thumbprint,
// tokens with its kid are refused and cost one fetch in 30 seconds, also during an
// outage. If the issuer publishes another key under the same kid, the first token
// after that fetch finds it.
func TestForbiddenKeyIsReplaced(t *testing.T) {
	for name, row := range map[string]struct {
		header string
		after  func(leaked, edKey string) string
	}{
		"by one of the same algorithm":  {`{"alg":"EdDSA","kid":"a"}`, func(_, k string) string { return setOf(k) }},
		"by one of another algorithm":   {`{"alg":"ES256","kid":"a"}`, func(_, _ string) string { return setOf(ecKey) }},
		"and stays published beside it": {`{"alg":"EdDSA","kid":"a"}`, func(leaked, k string) string { return setOf(leaked, k) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				leaked := jwk(t, "a")
				s.answers(200, setOf(leaked, jwk(t, "b")), dayFresh)
				keys, h := openSite(t, s), headerText(t, row.header)
				find := func() error { _, err := keys.Find(t.Context(), time.Now(), h); return err }
				must(t, keys.Forbid(t.Context(), jwkscache.KeyName{Thumbprint: thumbprintOf(t, keys, "a")}))
				for range 3 {
					for range 100 {
						wants(t, "forbidden", find(), jose.ErrUnknownKey)
					}
					s.down()
					advance(30 * time.Second)
				}
				s.wantVisits(t, "forbidden", 4)

				s.answers(200, row.after(leaked, jwk(t, "a")), dayFresh)
				wants(t, "replaced", find(), nil)
				s.wantVisits(t, "replaced", 5)
			})
		})
	}
}

// TestSlowFetchFails shows the results for tokens of the slow budgets while the
// issuer is down. A bad signature stays a bad signature, and a token without a key
// gets ErrUnavailable. A caller that waits may give up.
func TestSlowFetchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")))
		keys := openSite(t, s)
		must(t, keys.Warm(t.Context()))
		s.down()
		if refuted(t, keys, headerOf(t, "a")) {
			t.Error("another key")
		}
		s.wantVisits(t, "a bad signature", 2)
		for range 3 {
			_, err := keys.Find(t.Context(), time.Now(), headerText(t, `{"alg":"ES256"}`))
			wants(t, "no kid", err, issuerkeys.ErrUnavailable)
		}
		s.wantVisits(t, "no kid", 3)
		_, err := keys.Find(t.Context(), time.Now(), headerText(t, `{"alg":"ES256","kid":"a"}`))
		wants(t, "another algorithm", err, jose.ErrAlgorithm)

		s.answers(429, "", "Retry-After: 60")
		advance(30 * time.Second)
		_, err = keys.Find(t.Context(), time.Now(), headerText(t, `{"alg":"ES256"}`))
		wants(t, "no kid", err, issuerkeys.ErrUnavailable)
		for range 30 {
			s.wantVisits(t, "after Retry-After", 4)
			_ = refuted(t, keys, headerOf(t, "a"))
			advance(time.Second)
		}
		_ = refuted(t, keys, headerOf(t, "a"))
		s.wantVisits(t, "30 seconds after Retry-After", 5)
	})
}

// TestNoSlowFetch shows what never causes a fetch from the slow budgets: static
// keys, forbidden kids, and a token for which a newer set was fetched meanwhile.
func TestNoSlowFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		static := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))), traced(d.trace()))
		if refuted(t, static, headerOf(t, "a")) {
			t.Error("another static key")
		}
		d.reads(t, "static keys", "done start 1 +1 -0")
		if _, ok := new(issuerkeys.Keys).FindAgain(t.Context(), headerOf(t, "a"), issuerkeys.Found{}); ok {
			t.Error("FindAgain found a key of keys that were not opened")
		}

		s := new(site)
		s.answers(200, setOf(jwk(t, "a"), jwk(t, "b"), jwk(t, "c")))
		keys := openSite(t, s)
		must(t, keys.Warm(t.Context()))
		thumbprint := thumbprintOf(t, keys, "c")
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"}))
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "c"}), keys.Forbid(t.Context(), jwkscache.KeyName{Thumbprint: thumbprint}))
		for _, kid := range []string{"b", "c"} {
			wants(t, "forbidden by kid", find(t, keys, kid), jose.ErrUnknownKey)
		}
		s.wantVisits(t, "forbidden", 1)
		wants(t, "a kid that is too long", find(t, keys, strings.Repeat("k", 257)), jose.ErrUnknownKey)
		s.wantVisits(t, "a kid that is too long", 1)

		tried, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
		must(t, err)
		s.answers(200, setOf(jwk(t, "a")))
		advance(time.Second)
		wants(t, "somebody else's fetch", find(t, keys, "x"), jose.ErrUnknownKey)
		if found, ok := keys.FindAgain(t.Context(), headerOf(t, "a"), tried); !ok || len(found.Keys) != 1 {
			t.Error("the key that somebody else's fetch brought was not found")
		}
		s.wantVisits(t, "somebody else's", 2)
	})
}
