package validator_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestResolved covers R-CL-02 for resolved issuers: the function is asked before anything
// is fetched, with a deadline and none of the request's values, and its answer is
// what the token is judged by.
func TestResolved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.At(t, "https://resolved.test/one")
		d := newDirectory()
		config := discovering(issuer)
		d.set(issuer.URL(), func(ctx context.Context) (validator.Issuer, error) {
			if deadline, ok := ctx.Deadline(); ctx.Value(ctxKey("request")) != nil || !ok || time.Until(deadline) != 5*time.Second {
				t.Errorf("values of the request, or no deadline: %v", ctx)
			}
			wantCount(t, "requests before the function has answered", issuer.Requests(testissuer.OAuthMetadata), 0)
			return config, nil
		})
		v := resolving(t, d, 0, nil)
		ctx := context.WithValue(t.Context(), ctxKey("request"), "7")
		for range 3 {
			token, err := v.Validate(ctx, bearer(issuer.Sign(testissuer.Token{})))
			if err != nil || token.Issuer() != issuer.URL() {
				t.Errorf("%v, %v", token, err)
			}
		}
		wantReason(t, "forged", reasonFor(t, v, issuer, testissuer.Token{Forgery: testissuer.ForeignKey}), validator.BadSignature)
		other := testissuer.Token{Claims: map[string]any{"aud": "https://other.test"}}
		wantReason(t, "for somebody else", reasonFor(t, v, issuer, other), validator.WrongAudience)
		wantCount(t, "calls", d.times(issuer.URL()), 1)
		wantListed(t, "after all", v, issuer.URL())
		if err := v.Ready(); err != nil {
			t.Errorf("issuers have no part in readiness: %v", err)
		}
	})
}

// TestResolvedIsAskedForOnce shows that many first tokens cost one call, that a
// caller who gives up frees itself only, and that the call outlives who caused
// it.
func TestResolvedIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		d := newDirectory()
		d.set(issuer.URL(), late(time.Second, answering(pinned(issuer))))
		v := resolving(t, d, 0, nil)
		token := issuer.Sign(testissuer.Token{})
		start := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := v.Validate(ctx, bearer(token))
			if !errors.Is(err, validator.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who gave up: %v", err)
			}
			wantTook(t, "giving up", start, 300*time.Millisecond)
		})
		synctest.Wait() // the call is begun by who gives up
		for range 100 {
			all.Go(func() {
				if _, err := v.Validate(t.Context(), bearer(token)); err != nil {
					t.Errorf("who waited: %v", err)
				}
				wantTook(t, "waiting", start, time.Second)
			})
		}
		all.Wait()
		wantCount(t, "calls", d.total(), 1)
	})
}

// TestResolvedWaiters shows that those who wait for one answer are bounded.
func TestResolvedWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		d := newDirectory()
		d.set(issuer.URL(), late(time.Second, answering(pinned(issuer))))
		v := resolving(t, d, 0, nil)
		token := issuer.Sign(testissuer.Token{})
		var all sync.WaitGroup
		var mu sync.Mutex
		tally := make(map[validator.Reason]int)
		for range 1010 {
			all.Go(func() {
				_, err := v.Validate(t.Context(), bearer(token))
				mu.Lock()
				defer mu.Unlock()
				tally[validator.ReasonOf(err)]++
			})
		}
		all.Wait()
		wantCount(t, "who waited", tally[""], 1000)
		wantCount(t, "who could not", tally[validator.Unavailable], 10)
	})
}

var errDirectory = errors.New("the directory is down")

// TestResolvedRefused shows what becomes of every answer that is no resolved issuer: only
// ErrUnknownIssuer is a verdict.
func TestResolvedRefused(t *testing.T) {
	const url = "https://issuer.test"
	for name, row := range map[string]struct {
		find  finder
		want  validator.Reason
		cause error    // in the chain, or nil
		told  []string // by the cause
		after time.Duration
	}{
		"no issuer":          {failing(validator.ErrUnknownIssuer), validator.UnknownIssuer, nil, nil, 0},
		"no issuer, wrapped": {failing(fmt.Errorf("row 7: %w", validator.ErrUnknownIssuer)), validator.UnknownIssuer, nil, nil, 0},
		"an error":           {failing(errDirectory), validator.Unavailable, errDirectory, []string{"validator: ResolveIssuer: "}, 0},
		"a text that looks alike": {
			failing(errors.New(validator.ErrUnknownIssuer.Error())), validator.Unavailable, nil, nil, 0,
		},
		"a panic": {func(context.Context) (validator.Issuer, error) { panic("injected") }, validator.Unavailable, nil, []string{"validator: ResolveIssuer: ", "panicked"}, 0},
		"an ended goroutine": {func(context.Context) (validator.Issuer, error) {
			runtime.Goexit()
			return validator.Issuer{}, nil
		}, validator.Unavailable, nil, []string{"goroutine"}, 0},
		"no answer": {
			late(time.Hour, failing(errDirectory)), validator.Unavailable, context.DeadlineExceeded, nil, 5 * time.Second,
		},
		"no answer, whatever its context": {
			func(context.Context) (validator.Issuer, error) {
				<-time.After(time.Minute)
				return validator.Issuer{}, nil
			}, validator.Unavailable, nil, []string{"ignore its context"}, 6 * time.Second,
		},
		"another issuer": {
			answering(validator.Issuer{URL: url + "/", Audiences: []string{"a"}}), validator.Unavailable, nil, []string{`"` + url + `/"`, `"` + url + `"`}, 0,
		},
		"no URL": {answering(validator.Issuer{}), validator.Unavailable, nil, []string{`Issuer.URL ""`}, 0},
		"a faulty one": {
			answering(validator.Issuer{URL: url, Algorithms: []jose.Algorithm{}, Keys: jwkscache.URL("ftp://a"), Profile: validator.ProfileLegacy}),
			validator.Unavailable, nil,
			[]string{`ResolveIssuer("` + url + `").Audiences is empty`, "Algorithms is empty", "Marker is empty", "Keys has a URL", "Grants is missing"},
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := issuertest.At(t, url)
				d := newDirectory()
				d.set(url, row.find)
				v := resolving(t, d, 0, nil)
				start := time.Now()
				err := verdict(t, v, issuer)
				wantReason(t, name, validator.ReasonOf(err), row.want)
				wantTook(t, "the verdict", start, row.after)
				if row.cause != nil && !errors.Is(err, row.cause) {
					t.Errorf("%v, want %v in the chain", errors.Unwrap(err), row.cause)
				}
				for _, text := range row.told {
					if cause := errors.Unwrap(err); cause == nil || !strings.Contains(cause.Error(), text) {
						t.Errorf("cause %v, want %s", cause, text)
					}
				}
				wantListed(t, "after that", v)
				advance(time.Hour) // until the last call has ended
			})
		})
	}
}

// TestResolvedURLs shows which strings the function is never asked for: whoever
// sends a token chooses them.
func TestResolvedURLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		d := newDirectory()
		v := resolving(t, d, 0, nil)
		long := "https://" + strings.Repeat("a", 512-len("https://"))
		for _, iss := range []any{
			"", nil, 7,
			[]string{"https://a.test"},
			"https://a.test/\n", "https://a.test/\x00", "https://a.test/\x7f", "https://a.test/\u0085", long + "a", "resolved", "none",
		} {
			wantReason(t, fmt.Sprintf("%q", iss), reasonFor(t, v, issuer, testissuer.Token{Claims: map[string]any{"iss": iss}}), validator.UnknownIssuer)
		}
		wantCount(t, "calls", d.total(), 0)
		for _, iss := range []string{"https://a.test", "https://a.test/", "http://127.0.0.1/a", "accounts.google.com", "http://a.test/adfs", "urn:a", "a b", " https://a.test", long} {
			wantReason(t, iss, reasonFor(t, v, issuer, madeUp(iss)), validator.UnknownIssuer)
			wantCount(t, "calls for "+iss, d.times(iss), 1)
		}
	})
}

// TestResolvedAnswersAreRemembered shows for how long: five minutes, the last of which
// renew the answer in the background.
func TestResolvedAnswersAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		d := newDirectory()
		slow := late(2*time.Second, answering(pinned(issuer)))
		d.set(issuer.URL(), slow)
		v := resolving(t, d, 0, nil)
		judge := func(what string, took time.Duration, calls int) {
			t.Helper()
			start := time.Now()
			wantReason(t, what, reasonFor(t, v, issuer, testissuer.Token{}), "")
			wantTook(t, what, start, took)
			synctest.Wait()
			wantCount(t, "calls after "+what, d.total(), calls)
		}
		judge("the first", 2*time.Second, 1)
		advance(4*time.Minute - time.Nanosecond)
		judge("one before four minutes", 0, 1)
		advance(time.Nanosecond)
		judge("one after four minutes", 0, 2)
		judge("one while the function is asked", 0, 2)
		advance(2 * time.Second)
		judge("one after the renewal", 0, 2)
		advance(5*time.Minute - time.Nanosecond)
		judge("one before five minutes", 0, 3) // an answer for the next
		advance(2 * time.Second)
		advance(5 * time.Minute)
		judge("one after five minutes", 2*time.Second, 4)
	})
}

// TestResolvedMisses shows how long nobody is asked again: ten seconds after
// ErrUnknownIssuer, five after a failure.
func TestResolvedMisses(t *testing.T) {
	for _, row := range []struct {
		err  error
		want validator.Reason
		kept time.Duration
	}{
		{validator.ErrUnknownIssuer, validator.UnknownIssuer, 10 * time.Second},
		{errDirectory, validator.Unavailable, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer := issuertest.New(t)
			d := newDirectory()
			d.set(issuer.URL(), failing(row.err))
			v := resolving(t, d, 0, nil)
			for round := range 3 {
				wantReason(t, "asked", reasonFor(t, v, issuer, testissuer.Token{}), row.want)
				advance(row.kept - time.Nanosecond)
				err := verdict(t, v, issuer)
				wantReason(t, "kept", validator.ReasonOf(err), row.want)
				if row.want == validator.Unavailable && !errors.Is(err, row.err) {
					t.Errorf("kept without its cause: %v", err)
				}
				wantCount(t, "calls", d.total(), round+1)
				advance(time.Nanosecond)
			}
			d.set(issuer.URL(), answering(pinned(issuer)))
			wantReason(t, "once it is there", reasonFor(t, v, issuer, testissuer.Token{}), "")
		})
	}
}

// TestResolvedFail covers the bound of what serves while the function fails: the
// last answer does for an hour, and the function is asked every five seconds.
func TestResolvedFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		d := newDirectory()
		config := answering(pinned(issuer))
		d.set(issuer.URL(), config)
		v := resolving(t, d, 0, nil)
		start := time.Now()
		wantReason(t, "before", reasonFor(t, v, issuer, testissuer.Token{}), "")
		d.set(issuer.URL(), failing(errDirectory))
		for time.Since(start) < time.Hour {
			wantReason(t, "while it fails, after "+time.Since(start).String(), reasonFor(t, v, issuer, testissuer.Token{}), "")
			advance(time.Second)
		}
		if n := d.total(); n < 600 || n > 1+56*60/5 { // every five seconds from minute 4 on
			t.Errorf("%d calls", n)
		}
		err := verdict(t, v, issuer)
		if !errors.Is(err, validator.Unavailable) || !errors.Is(err, errDirectory) {
			t.Errorf("after the hour: %v", err)
		}
		d.set(issuer.URL(), config)
		advance(5 * time.Second)
		wantReason(t, "when it answers again", reasonFor(t, v, issuer, testissuer.Token{}), "")
	})
}

// TestResolvedHang shows that the tokens of a busy resolved issuer do not wait again and
// again for a function that does not answer, and that those of an idle one do,
// since it may have been withdrawn.
func TestResolvedHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		d := newDirectory()
		d.set(issuer.URL(), answering(pinned(issuer)))
		v := resolving(t, d, 0, nil)
		start := time.Now()
		wantReason(t, "before", reasonFor(t, v, issuer, testissuer.Token{}), "")
		d.set(issuer.URL(), late(time.Hour, failing(errDirectory)))
		for time.Since(start) < 59*time.Minute {
			judging := time.Now()
			wantReason(t, "busy", reasonFor(t, v, issuer, testissuer.Token{}), "")
			wantTook(t, "a busy issuer after "+time.Since(start).String(), judging, 0)
			advance(time.Second)
		}
		if calls, most := d.total(), (59-4)*60/5; calls < 200 || calls > most {
			t.Errorf("%d calls, want at most %d", calls, most)
		}
		advance(time.Until(start.Add(time.Hour)))
		judging := time.Now()
		wantReason(t, "after the hour", reasonFor(t, v, issuer, testissuer.Token{}), validator.Unavailable)
		if took := time.Since(judging); took > 5*time.Second {
			t.Errorf("that took %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		d := newDirectory()
		d.set(issuer.URL(), answering(pinned(issuer)))
		v := resolving(t, d, 0, nil)
		wantReason(t, "before", reasonFor(t, v, issuer, testissuer.Token{}), "")
		advance(4 * time.Minute)
		d.set(issuer.URL(), failing(errDirectory))
		wantReason(t, "while it fails", reasonFor(t, v, issuer, testissuer.Token{}), "")
		advance(10 * time.Minute)
		d.set(issuer.URL(), nil)
		wantReason(t, "withdrawn, after a failure long ago", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
	})
}

// TestResolvedAreApart covers R-MT-01: keys of the same kid do not meet, the
// outage of one resolved issuer is none of another's, and an issuer of the configuration
// is never asked for.
func TestResolvedAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		one, two, static := issuertest.At(t, "https://one.test"), issuertest.At(t, "https://two.test"), issuertest.At(t, "https://static.test")
		d.set(one.URL(), answering(discovering(one)))
		d.set(two.URL(), answering(discovering(two)))
		evil := pinned(one)
		evil.URL = static.URL()
		d.set(static.URL(), answering(evil))
		v := resolving(t, d, 0, nil, discovering(static))
		for _, issuer := range []*issuertest.Issuer{one, two, static} {
			wantReason(t, issuer.URL(), reasonFor(t, v, issuer, testissuer.Token{}), "")
			wantCount(t, "fetches of keys", issuer.Requests(testissuer.JWKS), 1)
		}
		if one.SigningKey() != two.SigningKey() {
			t.Fatal("the kids differ")
		}
		wantReason(t, "one as two", reasonFor(t, v, one, testissuer.Token{Claims: map[string]any{"iss": two.URL()}}), validator.BadSignature)
		wantReason(t, "one as static", reasonFor(t, v, one, testissuer.Token{Claims: map[string]any{"iss": static.URL()}}), validator.BadSignature)
		wantCount(t, "calls for the static issuer", d.times(static.URL()), 0)
		v.ForgetIssuer(static.URL())
		wantListed(t, "after all", v, static.URL(), one.URL(), two.URL())
		one.Down(true)
		d.set(one.URL(), late(time.Hour, failing(errDirectory)))
		advance(3 * time.Hour)
		down := inBackground(t, v, one)
		for range 100 {
			wantReason(t, "while the other is down", reasonFor(t, v, two, testissuer.Token{}), "")
			advance(10 * time.Second)
		}
		wantReason(t, "of the one that is down", <-down, validator.Unavailable)
	})
}
