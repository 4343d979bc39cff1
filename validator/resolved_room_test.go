package validator_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestResolvedFlood shows that made-up issuers cost a bounded number of calls at
// once, that known resolved issuers are judged meanwhile without any wait, and that one
// that is withdrawn meanwhile is noticed.
func TestResolvedFlood(t *testing.T) {
	for name, row := range map[string]struct {
		takes       time.Duration // a call
		least, most int           // calls in ten seconds
	}{
		"quick":   {5 * time.Millisecond, 10_000, 10_000}, // one for each
		"slow":    {time.Second, 1000, 10_000},
		"hanging": {time.Hour, 1000, 10_000},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			issuers := startIssuers(t, d, 2)
			v := resolving(t, d, 0, nil)
			for _, resolved := range issuers {
				wantReason(t, "before", reasonFor(t, v, resolved, testissuer.Token{}), "")
			}
			advance(4*time.Minute - 5*time.Second) // to be renewed in the middle of the flood
			d.set("*", late(row.takes, failing(validator.ErrUnknownIssuer)))
			d.set(issuers[0].URL(), late(row.takes, answering(pinned(issuers[0]))))
			d.set(issuers[1].URL(), nil)
			var all sync.WaitGroup
			for i := range 10_000 { // one in a millisecond
				token := junk(fmt.Sprintf("https://made-up-%d.test", i), "k")
				all.Go(func() {
					_, err := v.Validate(t.Context(), bearer(token))
					if reason := validator.ReasonOf(err); reason != validator.UnknownIssuer && reason != validator.Unavailable {
						t.Errorf("a made-up issuer: %q", reason)
					}
				})
				if i%100 == 0 {
					start, withdrawn := time.Now(), validator.Reason("")
					if i > 5000 {
						withdrawn = validator.UnknownIssuer
					}
					wantReason(t, "known", reasonFor(t, v, issuers[0], testissuer.Token{}), "")
					if got := reasonFor(t, v, issuers[1], testissuer.Token{}); i == 5000 { // the token that notices
						wantEither(t, "withdrawn", got, validator.UnknownIssuer)
					} else {
						wantReason(t, "withdrawn", got, withdrawn)
					}
					wantTook(t, "known issuers", start, 0)
				}
				advance(time.Millisecond)
			}
			flood := d.total() - d.times(issuers[0].URL()) - d.times(issuers[1].URL())
			if flood < row.least || flood > row.most || d.atOnce() > 512 {
				t.Errorf("%s: %d calls, %d at once", name, flood, d.atOnce())
			}
			all.Wait()
			wantListed(t, "after the flood", v, issuers[0].URL())
		})
	}
}

// TestResolvedCallsThatDoNotEnd shows that they count until they do, and that known
// resolved issuers and others do not take each other's place.
func TestResolvedCallsThatDoNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 512
		d := newDirectory()
		signer := issuertest.New(t)
		v := resolving(t, d, 0, nil)
		issuers := hosted(signer, places+20)
		for _, resolved := range issuers {
			d.set(resolved.URL, answering(resolved))
			wantReason(t, "before", reasonAt(t, v, signer, resolved.URL), "")
		}
		advance(4 * time.Minute)
		asked, gate := d.total(), make(chan struct{})
		for _, resolved := range issuers {
			d.set(resolved.URL, held(gate, answering(resolved)))
		}
		for range 2 {
			for _, resolved := range issuers {
				wantReason(t, "known", reasonAt(t, v, signer, resolved.URL), "")
			}
			advance(time.Second)
		}
		wantCount(t, "calls for known issuers", d.total()-asked, places)
		newcomer := hosted(signer, places+21)[places+20]
		d.set(newcomer.URL, answering(newcomer))
		wantReason(t, "a newcomer meanwhile", reasonAt(t, v, signer, newcomer.URL), "")
		d.set("*", held(gate, failing(validator.ErrUnknownIssuer)))
		var all sync.WaitGroup
		for i := range places + 20 {
			all.Go(func() {
				wantReason(t, "unknown", reasonFor(t, v, signer, madeUp(fmt.Sprintf("https://made-up-%d.test", i))), validator.Unavailable)
			})
		}
		all.Wait()
		wantCount(t, "calls for unknown ones", d.atOnce(), places)
		d.set(newcomer.URL, nil)
		v.ForgetIssuer(newcomer.URL)
		wantReason(t, "a withdrawn one meanwhile", reasonAt(t, v, signer, newcomer.URL), validator.Unavailable)
		close(gate)
		advance(6 * time.Second)
		asked = d.total()
		wantReason(t, "a withdrawn one when calls have ended", reasonAt(t, v, signer, newcomer.URL), validator.UnknownIssuer)
		wantReason(t, "a known one", reasonAt(t, v, signer, issuers[0].URL), "")
		wantReason(t, "unknown", reasonFor(t, v, signer, madeUp("https://made-up-x.test")), validator.UnknownIssuer)
		if calls := d.total() - asked; calls < 2 || calls > 3 {
			t.Errorf("%d calls", calls)
		}
	})
}

// TestResolvedGiveWay shows that naming resolved issuers without having tokens of them
// displaces one at most of those in use.
func TestResolvedGiveWay(t *testing.T) {
	for _, inUse := range []int{9, 10} {
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			issuers := startIssuers(t, d, inUse+50)
			v := resolving(t, d, 10, nil)
			used, named := issuers[:inUse], issuers[inUse:]
			for _, resolved := range used {
				wantReason(t, "in use", reasonFor(t, v, resolved, testissuer.Token{}), "")
				advance(time.Second)
			}
			for _, resolved := range named {
				wantReason(t, "named", reasonFor(t, v, resolved, testissuer.Token{Forgery: testissuer.ForeignKey}), validator.BadSignature)
				wantReason(t, "in use", reasonFor(t, v, used[len(used)-1], testissuer.Token{}), "")
				advance(100 * time.Millisecond)
			}
			left := 0
			for _, url := range listed(v) {
				if slices.ContainsFunc(used, func(resolved *issuertest.Issuer) bool { return resolved.URL() == url }) {
					left++
				}
			}
			wantCount(t, "known", len(listed(v)), 10)
			wantCount(t, "in use and known", left, 9)
			if inUse == 10 && slices.Contains(listed(v), used[0].URL()) {
				t.Error("not the one that was unused for longest gave way")
			}
			asked := d.total()
			for _, resolved := range used { // the one that gave way is back with its first token
				wantReason(t, "in use", reasonFor(t, v, resolved, testissuer.Token{}), "")
			}
			wantCount(t, "calls", d.total()-asked, inUse-9)
		})
	}
}

// TestMaxResolvedIssuers shows that no more are kept, and that of those in use the one
// unused for longest gives way.
func TestMaxResolvedIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		issuers := startIssuers(t, d, 4)
		v := resolving(t, d, 3, nil)
		for _, i := range []int{0, 1, 2, 0, 3} {
			wantReason(t, "in turn", reasonFor(t, v, issuers[i], testissuer.Token{}), "")
			advance(time.Second)
		}
		wantListed(t, "after all", v, issuers[0].URL(), issuers[2].URL(), issuers[3].URL())
		v.ForgetIssuer(issuers[0].URL())
		wantReason(t, "where there is room", reasonFor(t, v, issuers[1], testissuer.Token{}), "")
		wantListed(t, "after all", v, issuers[1].URL(), issuers[2].URL(), issuers[3].URL())
	})
	for _, n := range []int{-1, 10_001} {
		_, err := validator.New(validator.Config{ResolveIssuer: newDirectory().find, MaxResolvedIssuers: n})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("MaxResolvedIssuers is %d", n)) {
			t.Errorf("%d: %v", n, err)
		}
	}
	for _, n := range []int{1, 10_000} {
		if _, err := validator.New(validator.Config{ResolveIssuer: newDirectory().find, MaxResolvedIssuers: n}); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
	if _, err := validator.New(validator.Config{}); err == nil || !strings.Contains(err.Error(), "Issuers is empty") {
		t.Errorf("neither Issuers nor ResolveIssuer: %v", err)
	}
}

// wantEither is for a token that is judged while the answer about its resolved issuer is
// renewed in the background: by the old one, which accepts it, or by the new one.
func wantEither(t *testing.T, what string, got, after validator.Reason) {
	t.Helper()
	if got != "" && got != after {
		t.Errorf("%s: %q, want an accept or %q", what, got, after)
	}
}

// displaced starts to judge a token of a newcomer, and names another resolved issuer while
// the newcomer's keys are fetched, so that it gives way. The channel gets the
// verdict.
func displaced(t *testing.T, d *directory, v *validator.Validator, newcomer, other *issuertest.Issuer) <-chan validator.Reason {
	t.Helper()
	newcomer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
	d.set(newcomer.URL(), answering(discovering(newcomer)))
	d.set(other.URL(), answering(pinned(other)))
	waiting := inBackground(t, v, newcomer)
	wantListed(t, "while its keys are fetched", v, newcomer.URL())
	wantReason(t, "named", reasonFor(t, v, other, madeUp(other.URL())), validator.BadSignature)
	wantListed(t, "when another was named", v, other.URL())
	return waiting
}

// TestResolvedIsLetInAgain shows that a newcomer which had to give way before its
// first accepted token is known once there is one, and asked for again; but not
// if it was forgotten, withdrawn or lost a key meanwhile, or known again
// already.
func TestResolvedIsLetInAgain(t *testing.T) {
	for name, row := range map[string]struct {
		meanwhile func(*testing.T, *directory, *validator.Validator, *issuertest.Issuer)
		again     bool             // else it is judged once more: what it was judged by has changed
		want      validator.Reason // then
	}{
		"nothing": {func(*testing.T, *directory, *validator.Validator, *issuertest.Issuer) {}, true, ""},
		"another one was forgotten": {func(_ *testing.T, _ *directory, v *validator.Validator, _ *issuertest.Issuer) {
			v.ForgetIssuer("https://third.test")
		}, true, ""},
		"forgotten": {func(_ *testing.T, d *directory, v *validator.Validator, newcomer *issuertest.Issuer) {
			v.ForgetIssuer(newcomer.URL())
			d.set(newcomer.URL(), failing(errDirectory))
		}, false, validator.Unavailable},
		"withdrawn": {func(t *testing.T, d *directory, v *validator.Validator, newcomer *issuertest.Issuer) {
			wantReason(t, "named again at once", reasonFor(t, v, newcomer, testissuer.Token{}), validator.Unavailable)
			v.ForgetIssuer(newcomer.URL()) // or it would not be asked for within ten seconds
			d.set(newcomer.URL(), nil)
			wantReason(t, "withdrawn", reasonFor(t, v, newcomer, testissuer.Token{}), validator.UnknownIssuer)
		}, false, validator.UnknownIssuer},
		"lost a key": {func(t *testing.T, d *directory, v *validator.Validator, newcomer *issuertest.Issuer) {
			d.set(newcomer.URL(), failing(errDirectory))
			err := v.ForbidKey(t.Context(), newcomer.URL(), jwkscache.KeyName{KeyID: newcomer.SigningKey()})
			if !errors.Is(err, errDirectory) {
				t.Errorf("%v", err)
			}
		}, false, validator.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newcomer, other := issuertest.At(t, "https://newcomer.test"), issuertest.At(t, "https://other.test")
				d := newDirectory()
				v := resolving(t, d, 1, nil)
				waiting := displaced(t, d, v, newcomer, other)
				row.meanwhile(t, d, v, newcomer)
				if !row.again {
					wantReason(t, "the token", <-waiting, row.want)
					wantListed(t, "with its token", v, other.URL())
					return
				}
				wantReason(t, "the token", <-waiting, "")
				wantListed(t, "with its token", v, newcomer.URL())
				wantReason(t, "named again too soon", reasonFor(t, v, other, madeUp(other.URL())), validator.Unavailable)
				advance(10 * time.Second)
				wantReason(t, "named", reasonFor(t, v, other, madeUp(other.URL())), validator.BadSignature)
				wantListed(t, "it has an accepted token, but there is no other", v, other.URL())
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // its configuration is asked for again
		newcomer, other := issuertest.At(t, "https://newcomer.test"), issuertest.At(t, "https://other.test")
		d := newDirectory()
		v := resolving(t, d, 1, nil)
		waiting := displaced(t, d, v, newcomer, other)
		d.set(newcomer.URL(), nil)
		wantReason(t, "the token", <-waiting, "")
		wantListed(t, "with its token", v, newcomer.URL())
		wantEither(t, "the token that notices", reasonFor(t, v, newcomer, testissuer.Token{}), validator.UnknownIssuer)
		synctest.Wait()
		wantReason(t, "withdrawn before it was let in again", reasonFor(t, v, newcomer, testissuer.Token{}), validator.UnknownIssuer)
	})
	synctest.Test(t, func(t *testing.T) { // it is known again already
		newcomer, other := issuertest.At(t, "https://newcomer.test"), issuertest.At(t, "https://other.test")
		d := newDirectory()
		v := resolving(t, d, 1, nil)
		waiting := displaced(t, d, v, newcomer, other)
		changed := discovering(newcomer)
		changed.Audiences = []string{"https://else.test"}
		d.set(newcomer.URL(), answering(changed))
		v.ForgetIssuer(newcomer.URL())
		second := inBackground(t, v, newcomer)
		wantReason(t, "the first token", <-waiting, validator.WrongAudience)
		wantReason(t, "the second token", <-second, validator.WrongAudience)
		wantListed(t, "after both", v, newcomer.URL())
		wantReason(t, "a third", reasonFor(t, v, newcomer, testissuer.Token{}), validator.WrongAudience)
		wantCount(t, "calls", d.times(newcomer.URL()), 2)
	})
}

// TestResolvedStaysProven shows that a resolved issuer in use does not become a newcomer by
// a change of its configuration, nor by being let in again.
func TestResolvedStaysProven(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *directory, *validator.Validator, *issuertest.Issuer){
		"changed": func(t *testing.T, d *directory, v *validator.Validator, resolved *issuertest.Issuer) {
			config := pinned(resolved)
			d.set(resolved.URL(), answering(config))
			wantReason(t, "before", reasonFor(t, v, resolved, testissuer.Token{}), "")
			config.Audiences = []string{"https://else.test"}
			d.set(resolved.URL(), answering(config))
			advance(5 * time.Minute)
			wantReason(t, "changed", reasonFor(t, v, resolved, testissuer.Token{}), validator.WrongAudience)
		},
		"let in again": func(t *testing.T, d *directory, v *validator.Validator, resolved *issuertest.Issuer) {
			other := issuertest.At(t, "https://other.test")
			filler := issuertest.At(t, "https://filler.test")
			d.set(filler.URL(), answering(pinned(filler)))
			waiting := inBackgroundOf(t, d, v, resolved)
			wantReason(t, "filler", reasonFor(t, v, filler, testissuer.Token{}), "")
			d.set(other.URL(), answering(pinned(other)))
			wantReason(t, "named", reasonFor(t, v, other, madeUp(other.URL())), validator.BadSignature)
			wantListed(t, "when another was named", v, filler.URL(), other.URL())
			wantReason(t, "its token", <-waiting, "")
			v.ForgetIssuer(filler.URL())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDirectory()
				issuers := startIssuers(t, d, 5)
				resolved := issuertest.At(t, "https://resolved.test")
				v := resolving(t, d, 2, nil)
				prepare(t, d, v, resolved)
				for _, named := range issuers {
					advance(time.Second)
					wantReason(t, "named", reasonFor(t, v, named, madeUp(named.URL())), validator.BadSignature)
				}
				wantListed(t, "after many were named", v, issuers[4].URL(), resolved.URL())
			})
		})
	}
}

// inBackgroundOf starts to judge a token of a resolved issuer whose keys take a second.
func inBackgroundOf(t *testing.T, d *directory, v *validator.Validator, resolved *issuertest.Issuer) <-chan validator.Reason {
	t.Helper()
	resolved.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
	d.set(resolved.URL(), answering(discovering(resolved)))
	return inBackground(t, v, resolved)
}
