package validator_test

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// running runs v until stop is called, which waits for its end.
func running(t *testing.T, v *validator.Validator) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- v.Run(ctx) }()
	synctest.Wait()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

// TestRunResolvedIssuers shows that Run keeps the keys of resolved issuers fresh, also of those
// that come later, that it leaves those alone which are gone, and ends with its
// context.
func TestRunResolvedIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		early, late, changing, withdrawn := issuertest.At(t, "https://early.test"), issuertest.At(t, "https://late.test"), issuertest.At(t, "https://changing.test"), issuertest.At(t, "https://withdrawn.test")
		all := []*issuertest.Issuer{early, late, changing, withdrawn}
		for _, issuer := range all {
			d.set(issuer.URL(), answering(discovering(issuer)))
		}
		v := resolving(t, d, 0, nil)
		wantReason(t, "early", reasonFor(t, v, early, testissuer.Token{}), "")
		stop := running(t, v)
		for _, issuer := range []*issuertest.Issuer{late, changing, withdrawn} {
			wantReason(t, "late", reasonFor(t, v, issuer, testissuer.Token{}), "")
		}
		changed := discovering(changing)
		changed.Audiences = []string{"https://api.test", "https://more.test"}
		d.set(changing.URL(), answering(changed))
		advance(5 * time.Minute)
		wantReason(t, "changing", reasonFor(t, v, changing, testissuer.Token{}), "")
		v.ForgetIssuer(withdrawn.URL())
		gone := withdrawn.Requests(testissuer.JWKS) // one, or two after an early renewal
		advance(40 * time.Minute)
		for _, s := range v.Status().Issuers {
			if s.State != "fresh" {
				t.Errorf("%s is %s", s.Issuer, s.State)
			}
		}
		for _, issuer := range []*issuertest.Issuer{early, late} {
			if n := issuer.Requests(testissuer.JWKS); n < 5 || n > 7 { // ten minutes are the default, and the first renewal comes early
				t.Errorf("%s: %d fetches", issuer.URL(), n)
			}
		}
		if n := changing.Requests(testissuer.JWKS); n < 5 || n > 8 {
			t.Errorf("changing: %d fetches, as of two", n)
		}
		wantCount(t, "fetches for the withdrawn issuer", withdrawn.Requests(testissuer.JWKS), gone)
		stop()
		before := early.Requests(testissuer.JWKS)
		advance(10 * time.Minute)
		wantCount(t, "fetches after the end", early.Requests(testissuer.JWKS), before)
		stop = running(t, v)      // once more
		advance(30 * time.Second) // the next renewal comes after a minute at the earliest
		wantCount(t, "fetches after it was run again", early.Requests(testissuer.JWKS), before+1)
		stop()
	})
}

// TestIdleResolvedIssuers shows that Run forgets who is not used for an hour.
func TestIdleResolvedIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		issuers := startIssuers(t, d, 3)
		idle, busy, rare := issuers[0], issuers[1], issuers[2]
		v := resolving(t, d, 0, nil)
		defer running(t, v)()
		for _, resolved := range issuers {
			wantReason(t, "before", reasonFor(t, v, resolved, testissuer.Token{}), "")
		}
		for minute := range 59 {
			advance(time.Minute)
			wantReason(t, "busy", reasonFor(t, v, busy, testissuer.Token{}), "")
			if minute == 30 {
				wantReason(t, "rare", reasonFor(t, v, rare, testissuer.Token{}), "")
			}
		}
		wantListed(t, "before the hour", v, idle.URL(), busy.URL(), rare.URL())
		advance(time.Minute)
		synctest.Wait()
		wantListed(t, "after the hour", v, busy.URL(), rare.URL())
		asked := d.times(idle.URL())
		wantReason(t, "idle", reasonFor(t, v, idle, testissuer.Token{}), "")
		wantCount(t, "calls", d.times(idle.URL())-asked, 1)
	})
}

// TestResolvedStatus shows that resolved issuers stand behind the configured issuers, by
// URL.
func TestResolvedStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		issuers := startIssuers(t, d, 9)
		z, a := issuertest.At(t, "https://z.test"), issuertest.At(t, "https://a.test")
		v := resolving(t, d, 0, nil, pinned(z), pinned(a))
		want := []string{z.URL(), a.URL()}
		wantListed(t, "at first", v, want...)
		for _, i := range []int{3, 8, 0, 5, 1, 7, 2, 6, 4} {
			wantReason(t, "before", reasonFor(t, v, issuers[i], testissuer.Token{}), "")
		}
		for _, resolved := range issuers {
			want = append(want, resolved.URL())
		}
		wantListed(t, "then", v, want...)
	})
}

// TestResolvedStorm lets everything happen at once. What must hold then: a resolved issuer
// that was withdrawn and forgotten is refused, a forbidden key is not used, and
// one that nobody touched is accepted. It finds races if run with -race.
func TestResolvedStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		issuers := startIssuers(t, d, 12)
		const rounds = 100
		v := resolving(t, d, 5, &jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { runtime.Gosched() }})
		stop := running(t, v)
		withdrawn, forbidden, crowd := issuers[0], issuers[1], issuers[2:]
		accepting := func(reason validator.Reason) bool { return reason == "" }
		var all sync.WaitGroup
		all.Go(func() { // who comes and goes
			for range rounds {
				d.set(withdrawn.URL(), nil)
				v.ForgetIssuer(withdrawn.URL())
				if reason := reasonFor(t, v, withdrawn, testissuer.Token{}); accepting(reason) {
					t.Errorf("withdrawn: %q", reason)
				}
				d.set(withdrawn.URL(), answering(pinned(withdrawn)))
				v.ForgetIssuer(withdrawn.URL())
				for range 3 {
					if reason := reasonFor(t, v, withdrawn, testissuer.Token{}); reason != "" && reason != validator.Unavailable {
						t.Errorf("back again: %q", reason)
					}
				}
				advance(50 * time.Millisecond)
			}
		})
		all.Go(func() { // whose key comes and goes
			key := jwkscache.KeyName{KeyID: forbidden.SigningKey()}
			for range rounds {
				_ = v.ForbidKey(t.Context(), forbidden.URL(), key) // it holds even if that fails
				for range 3 {
					if reason := reasonFor(t, v, forbidden, testissuer.Token{}); accepting(reason) {
						t.Errorf("forbidden: %q", reason)
					}
					runtime.Gosched()
				}
				for v.PermitKey(t.Context(), forbidden.URL(), key) != nil {
					advance(10 * time.Millisecond)
				}
				if reason := reasonFor(t, v, forbidden, testissuer.Token{}); reason != "" && reason != validator.Unavailable {
					t.Errorf("permitted: %q", reason)
				}
				advance(50 * time.Millisecond)
			}
		})
		for range 8 { // the crowd, too many for the room
			all.Go(func() {
				for i := range rounds * 4 {
					resolved := crowd[i%len(crowd)]
					if reason := reasonFor(t, v, resolved, testissuer.Token{}); reason != "" && reason != validator.Unavailable {
						t.Errorf("in the crowd: %q", reason)
					}
					_ = reasonFor(t, v, withdrawn, testissuer.Token{})
					_ = reasonFor(t, v, forbidden, testissuer.Token{})
					if i%7 == 0 {
						v.ForgetIssuer(resolved.URL())
					}
					v.Status()
					advance(10 * time.Millisecond)
				}
			})
		}
		all.Wait()
		advance(10 * time.Second) // until what could not be judged is tried again
		for _, resolved := range issuers {
			wantReason(t, "after the storm", reasonFor(t, v, resolved, testissuer.Token{}), "")
		}
		wantCount(t, "issuers", len(listed(v)), 5)
		stop()
	})
}
