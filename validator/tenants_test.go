package validator_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// finder answers for one tenant.
type finder func(context.Context) (validator.Issuer, error)

// directory is what Config.Tenants asks in these tests.
type directory struct {
	mu      sync.Mutex
	finders map[string]finder
	asked   map[string]int
	calls   int // under way for what is not set
	most    int // that were
}

func newDirectory() *directory {
	return &directory{finders: make(map[string]finder), asked: make(map[string]int)}
}

func (d *directory) find(ctx context.Context, url string) (validator.Issuer, error) {
	d.mu.Lock()
	d.asked[url]++
	f, known := d.finders[url]
	if !known {
		f = d.finders["*"]
		d.calls++
		d.most = max(d.most, d.calls)
		defer func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.calls--
		}()
	}
	d.mu.Unlock()
	if f == nil {
		return validator.Issuer{}, fmt.Errorf("directory: %w", validator.ErrUnknownIssuer)
	}
	return f(ctx)
}

// set changes what is answered for url; nil means that it is no tenant. The url
// "*" is for those that are not set.
func (d *directory) set(url string, f finder) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.finders[url] = f
}

// times is how often url was asked for.
func (d *directory) times(url string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[url]
}

// total is how often anything was.
func (d *directory) total() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, times := range d.asked {
		n += times
	}
	return n
}

func (d *directory) atOnce() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.most
}

func answering(config validator.Issuer) finder {
	return func(context.Context) (validator.Issuer, error) { return config, nil }
}

func failing(err error) finder {
	return func(context.Context) (validator.Issuer, error) { return validator.Issuer{}, err }
}

// late answers after a while, unless its context ends before.
func late(d time.Duration, f finder) finder {
	return func(ctx context.Context) (validator.Issuer, error) {
		select {
		case <-time.After(d):
			return f(ctx)
		case <-ctx.Done():
			return validator.Issuer{}, context.Cause(ctx)
		}
	}
}

// held answers, whatever becomes of its context, when it is let go.
func held(until <-chan struct{}, f finder) finder {
	return func(ctx context.Context) (validator.Issuer, error) {
		<-until
		return f(ctx)
	}
}

// discovering is the configuration of a tenant whose keys are fetched.
func discovering(issuer *testissuer.Issuer) validator.Issuer {
	return validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}, HTTPClient: issuer.Client(), Grants: allScopes}
}

// pinned is the configuration of a tenant whose keys are known.
func pinned(issuer *testissuer.Issuer) validator.Issuer {
	return validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(issuer.JWKS()), Grants: allScopes}
}

// tenanted makes a validator that asks d.
func tenanted(t *testing.T, d *directory, maxTenants int, trace *jwkscache.Trace, static ...validator.Issuer) *validator.Validator {
	t.Helper()
	config := validator.Config{Issuers: static, Tenants: d.find, MaxTenants: maxTenants, Trace: &validator.Trace{Keys: trace}}
	v, err := validator.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// startTenants starts n issuers whose keys are in d.
func startTenants(t *testing.T, d *directory, n int) []*testissuer.Issuer {
	t.Helper()
	var all []*testissuer.Issuer
	for i := range n {
		issuer := startIssuer(t, fmt.Sprintf("https://tenant-%02d.test", i))
		d.set(issuer.URL(), answering(pinned(issuer)))
		all = append(all, issuer)
	}
	return all
}

func closeAll(issuers []*testissuer.Issuer) {
	for _, issuer := range issuers {
		issuer.Close()
	}
}

// madeUp is a forged token of an issuer that need not exist.
func madeUp(url string) testissuer.Token {
	return testissuer.Token{Claims: map[string]any{"iss": url}, Fault: testissuer.ZeroSignature}
}

// verdict judges a good token of the issuer.
func verdict(t *testing.T, v *validator.Validator, issuer *testissuer.Issuer) error {
	t.Helper()
	_, err := v.Validate(t.Context(), validator.Presentation{Scheme: validator.Bearer, Token: issuer.Sign(testissuer.Token{})})
	return err
}

// inBackground starts to judge a good token; the channel gets the reason.
func inBackground(t *testing.T, v *validator.Validator, issuer *testissuer.Issuer) <-chan validator.Reason {
	t.Helper()
	reasons := make(chan validator.Reason, 1)
	go func() { reasons <- validator.ReasonOf(verdict(t, v, issuer)) }()
	synctest.Wait()
	return reasons
}

// listed are the tenants that v knows, in the order of Status.
func listed(v *validator.Validator) (urls []string) {
	for _, s := range v.Status() {
		urls = append(urls, s.Issuer)
	}
	return urls
}

func wantCount(t *testing.T, what string, got, want int) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

func wantListed(t *testing.T, what string, v *validator.Validator, want ...string) {
	t.Helper()
	if got := listed(v); !slices.Equal(got, want) {
		t.Errorf("%s: %q are known, want %q", what, got, want)
	}
}

func wantTook(t *testing.T, what string, since time.Time, want time.Duration) {
	t.Helper()
	if took := time.Since(since); took != want {
		t.Errorf("%s took %v, want %v", what, took, want)
	}
}

// TestTenant covers R-CL-02 for tenants: the function is asked before anything
// is fetched, with the values of the request's context, and its answer is what
// the token is judged by.
func TestTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "https://tenant.test/one")
		defer issuer.Close()
		d := newDirectory()
		config := discovering(issuer)
		d.set(issuer.URL(), func(ctx context.Context) (validator.Issuer, error) {
			if ctx.Value(ctxKey("request")) != "7" {
				t.Errorf("the request's values are missing: %v", ctx)
			}
			wantCount(t, "requests before the function has answered", issuer.Requests(testissuer.OAuthMetadata), 0)
			return config, nil
		})
		v := tenanted(t, d, 0, nil)
		ctx := context.WithValue(t.Context(), ctxKey("request"), "7")
		for range 3 {
			token, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: issuer.Sign(testissuer.Token{})})
			if err != nil || token.Issuer() != issuer.URL() {
				t.Errorf("%v, %v", token, err)
			}
		}
		wantReason(t, "forged", judged(t, v, issuer, testissuer.Token{Fault: testissuer.ForeignKey}), validator.BadSignature)
		other := testissuer.Token{Claims: map[string]any{"aud": "https://other.test"}}
		wantReason(t, "for somebody else", judged(t, v, issuer, other), validator.WrongAudience)
		wantCount(t, "calls", d.times(issuer.URL()), 1)
		wantListed(t, "after all", v, issuer.URL())
		if err := v.Ready(); err != nil {
			t.Errorf("tenants have no part in readiness: %v", err)
		}
	})
}

// TestTenantIsAskedForOnce shows that many first tokens cost one call, that a
// caller who gives up frees itself only, and that the call outlives who caused
// it.
func TestTenantIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		d.set(issuer.URL(), late(time.Second, answering(pinned(issuer))))
		v := tenanted(t, d, 0, nil)
		token := issuer.Sign(testissuer.Token{})
		start := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: token})
			if !errors.Is(err, validator.Unavailable) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who gave up: %v", err)
			}
			wantTook(t, "giving up", start, 300*time.Millisecond)
		})
		synctest.Wait() // the call is begun by who gives up
		for range 100 {
			all.Go(func() {
				if _, err := v.Validate(t.Context(), validator.Presentation{Scheme: validator.Bearer, Token: token}); err != nil {
					t.Errorf("who waited: %v", err)
				}
				wantTook(t, "waiting", start, time.Second)
			})
		}
		all.Wait()
		wantCount(t, "calls", d.total(), 1)
	})
}

// TestTenantWaiters shows that those who wait for one answer are bounded.
func TestTenantWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		d.set(issuer.URL(), late(time.Second, answering(pinned(issuer))))
		v := tenanted(t, d, 0, nil)
		token := issuer.Sign(testissuer.Token{})
		var all sync.WaitGroup
		var mu sync.Mutex
		tally := make(map[validator.Reason]int)
		for range 1010 {
			all.Go(func() {
				_, err := v.Validate(t.Context(), validator.Presentation{Scheme: validator.Bearer, Token: token})
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

// TestTenantRefused shows what becomes of every answer that is no tenant: only
// ErrUnknownIssuer is a verdict.
func TestTenantRefused(t *testing.T) {
	const url = "https://issuer.test"
	for name, row := range map[string]struct {
		find  finder
		want  validator.Reason
		cause error    // in the chain, or nil
		told  []string // by the cause
		after time.Duration
	}{
		"no tenant":          {failing(validator.ErrUnknownIssuer), validator.UnknownIssuer, nil, nil, 0},
		"no tenant, wrapped": {failing(fmt.Errorf("row 7: %w", validator.ErrUnknownIssuer)), validator.UnknownIssuer, nil, nil, 0},
		"an error":           {failing(errDirectory), validator.Unavailable, errDirectory, nil, 0},
		"a text that looks alike": {
			failing(errors.New(validator.ErrUnknownIssuer.Error())), validator.Unavailable, nil, nil, 0,
		},
		"a panic": {func(context.Context) (validator.Issuer, error) { panic("injected") }, validator.Unavailable, nil, []string{"panicked"}, 0},
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
			}, validator.Unavailable, nil, []string{"heed its context"}, 6 * time.Second,
		},
		"another issuer": {
			answering(validator.Issuer{URL: url + "/", Audiences: []string{"a"}}), validator.Unavailable, nil, []string{`"` + url + `/"`, `"` + url + `"`}, 0,
		},
		"no issuer": {answering(validator.Issuer{}), validator.Unavailable, nil, []string{`Issuer.URL ""`}, 0},
		"a faulty one": {
			answering(validator.Issuer{URL: url, Algorithms: []jose.Algorithm{}, Keys: jwkscache.URL("ftp://a"), Profile: validator.ProfileLegacy}),
			validator.Unavailable, nil,
			[]string{`Tenants: "` + url + `": `, "Audiences is empty", "Algorithms is empty", "needs a Marker", "Keys: ", "Grants is nil"},
			0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := startIssuer(t, url)
				defer issuer.Close()
				d := newDirectory()
				d.set(url, row.find)
				v := tenanted(t, d, 0, nil)
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

// TestTenantURLs shows which strings the function is never asked for: whoever
// sends a token chooses them.
func TestTenantURLs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		v := tenanted(t, d, 0, nil)
		long := "https://" + strings.Repeat("a", 512-len("https://"))
		for _, iss := range []any{
			"", nil, 7,
			[]string{"https://a.test"},
			"a", "//a.test", "a.test/b", "ftp://a.test", "file:///etc/passwd", "https:", "https://", "https:///a",
			"https://a.test?", "https://a.test?b", "https://a.test#", "https://a.test#b", "https://u@a.test", "https://u:p@a.test",
			"https://a.test/\n", "https://a.test/\x00", "https://a.test/\x7f", "https://a.test/\u0085", " https://a.test", long + "a",
		} {
			wantReason(t, fmt.Sprintf("%q", iss), judged(t, v, issuer, testissuer.Token{Claims: map[string]any{"iss": iss}}), validator.UnknownIssuer)
		}
		wantCount(t, "calls", d.total(), 0)
		for _, iss := range []string{"https://a.test", "https://a.test/", "http://127.0.0.1/a", long} {
			wantReason(t, iss, judged(t, v, issuer, madeUp(iss)), validator.UnknownIssuer)
			wantCount(t, "calls for "+iss, d.times(iss), 1)
		}
	})
}

// TestTenantAnswersAreKept shows for how long: five minutes, the last of which
// renew the answer in the background.
func TestTenantAnswersAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		slow := late(2*time.Second, answering(pinned(issuer)))
		d.set(issuer.URL(), slow)
		v := tenanted(t, d, 0, nil)
		judge := func(what string, took time.Duration, calls int) {
			t.Helper()
			start := time.Now()
			wantReason(t, what, judged(t, v, issuer, testissuer.Token{}), "")
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

// TestTenantMisses shows how long nobody is asked again: ten seconds after
// ErrUnknownIssuer, five after a failure.
func TestTenantMisses(t *testing.T) {
	for _, row := range []struct {
		err  error
		want validator.Reason
		kept time.Duration
	}{
		{validator.ErrUnknownIssuer, validator.UnknownIssuer, 10 * time.Second},
		{errDirectory, validator.Unavailable, 5 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer := startIssuer(t, "")
			defer issuer.Close()
			d := newDirectory()
			d.set(issuer.URL(), failing(row.err))
			v := tenanted(t, d, 0, nil)
			for round := range 3 {
				wantReason(t, "asked", judged(t, v, issuer, testissuer.Token{}), row.want)
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
			wantReason(t, "once it is there", judged(t, v, issuer, testissuer.Token{}), "")
		})
	}
}

// TestTenantsFail covers the bound of what serves while the function fails: the
// last answer does for an hour, and the function is asked every five seconds.
func TestTenantsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		config := answering(pinned(issuer))
		d.set(issuer.URL(), config)
		v := tenanted(t, d, 0, nil)
		start := time.Now()
		wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
		d.set(issuer.URL(), failing(errDirectory))
		for time.Since(start) < time.Hour {
			wantReason(t, "while it fails, after "+time.Since(start).String(), judged(t, v, issuer, testissuer.Token{}), "")
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
		wantReason(t, "when it answers again", judged(t, v, issuer, testissuer.Token{}), "")
	})
}

// TestTenantsHang shows that the tokens of a busy tenant do not wait again and
// again for a function that does not answer, and that those of an idle one do,
// since it may have been withdrawn.
func TestTenantsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		d.set(issuer.URL(), answering(pinned(issuer)))
		v := tenanted(t, d, 0, nil)
		start := time.Now()
		wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
		d.set(issuer.URL(), late(time.Hour, failing(errDirectory)))
		for time.Since(start) < 59*time.Minute {
			judging := time.Now()
			wantReason(t, "busy", judged(t, v, issuer, testissuer.Token{}), "")
			wantTook(t, "a busy tenant after "+time.Since(start).String(), judging, 0)
			advance(time.Second)
		}
		if calls, most := d.total(), (59-4)*60/5; calls < 200 || calls > most {
			t.Errorf("%d calls, want at most %d", calls, most)
		}
		advance(time.Until(start.Add(time.Hour)))
		judging := time.Now()
		wantReason(t, "after the hour", judged(t, v, issuer, testissuer.Token{}), validator.Unavailable)
		if took := time.Since(judging); took > 5*time.Second {
			t.Errorf("that took %v", took)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		d.set(issuer.URL(), answering(pinned(issuer)))
		v := tenanted(t, d, 0, nil)
		wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
		advance(4 * time.Minute)
		d.set(issuer.URL(), failing(errDirectory))
		wantReason(t, "while it fails", judged(t, v, issuer, testissuer.Token{}), "")
		advance(10 * time.Minute)
		d.set(issuer.URL(), nil)
		wantReason(t, "withdrawn, after a failure long ago", judged(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
	})
}

// TestTenantWithdrawn shows that tokens of a tenant that is none any more are
// refused after five minutes at most, and that a failure before does not bring it
// back.
func TestTenantWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		d.set(issuer.URL(), answering(pinned(issuer)))
		v := tenanted(t, d, 0, nil)
		wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
		d.set(issuer.URL(), nil)
		advance(5 * time.Minute)
		wantReason(t, "after five minutes", judged(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		wantListed(t, "after that", v)
		d.set(issuer.URL(), failing(errDirectory))
		advance(11 * time.Second)
		wantReason(t, "when the function fails", judged(t, v, issuer, testissuer.Token{}), validator.Unavailable)
	})
	synctest.Test(t, func(t *testing.T) { // of a busy tenant, in the background
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		d.set(issuer.URL(), answering(pinned(issuer)))
		v := tenanted(t, d, 0, nil)
		wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
		d.set(issuer.URL(), nil)
		advance(4 * time.Minute)
		wantEither(t, "the token that notices", judged(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		synctest.Wait()
		wantReason(t, "the next", judged(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		wantCount(t, "calls", d.total(), 2)
	})
}

// TestForgetTenant shows that a withdrawn tenant can be refused at once, and one
// that is new be accepted at once.
func TestForgetTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		d.set(issuer.URL(), answering(discovering(issuer)))
		v := tenanted(t, d, 0, nil)
		wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
		d.set(issuer.URL(), nil)
		wantReason(t, "not noticed yet", judged(t, v, issuer, testissuer.Token{}), "")
		v.ForgetTenant("https://other.test")
		wantListed(t, "when another one was forgotten", v, issuer.URL())
		v.ForgetTenant(issuer.URL())
		wantListed(t, "when it was forgotten", v)
		wantReason(t, "withdrawn", judged(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		d.set(issuer.URL(), answering(discovering(issuer)))
		wantReason(t, "not noticed yet", judged(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		v.ForgetTenant(issuer.URL())
		wantReason(t, "back again", judged(t, v, issuer, testissuer.Token{}), "")
		wantCount(t, "fetches of keys: they were forgotten too", issuer.Requests(testissuer.JWKS), 2)
		trusting(t, nil, issuer).ForgetTenant(issuer.URL()) // without tenants
	})
}

// TestForgetTenantDuringACall shows that the answer of a call which began before
// is not used, neither later nor for those who wait for it.
func TestForgetTenantDuringACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		gate := make(chan struct{})
		d.set(issuer.URL(), held(gate, answering(pinned(issuer))))
		v := tenanted(t, d, 0, nil)
		waiting := inBackground(t, v, issuer)
		d.set(issuer.URL(), nil)
		v.ForgetTenant(issuer.URL())
		wantReason(t, "a token that came later", judged(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		close(gate)
		wantReason(t, "a token that waited", <-waiting, validator.UnknownIssuer)
		wantReason(t, "after the older answer", judged(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		wantListed(t, "after all", v)
		wantCount(t, "calls", d.total(), 2)
	})
	synctest.Test(t, func(t *testing.T) { // an older miss is not used either
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		gate := make(chan struct{})
		d.set(issuer.URL(), held(gate, failing(validator.ErrUnknownIssuer)))
		v := tenanted(t, d, 0, nil)
		waiting := inBackground(t, v, issuer)
		d.set(issuer.URL(), late(time.Second, answering(pinned(issuer))))
		v.ForgetTenant(issuer.URL())
		later := inBackground(t, v, issuer)
		close(gate)
		wantReason(t, "a token that waited", <-waiting, "")
		wantReason(t, "a token that came later", <-later, "")
		wantListed(t, "after all", v, issuer.URL())
		wantCount(t, "calls", d.total(), 2)
	})
}

// TestForgetTenantWhileTenantsFails shows that the last answer, which serves
// while the function fails, does not serve on once it was forgotten: not even
// those who had begun to wait.
func TestForgetTenantWhileTenantsFails(t *testing.T) {
	for name, giveUp := range map[string]bool{"who waits": false, "who gives up": true} {
		synctest.Test(t, func(t *testing.T) {
			issuer := startIssuer(t, "")
			defer issuer.Close()
			d := newDirectory()
			d.set(issuer.URL(), answering(pinned(issuer)))
			v := tenanted(t, d, 0, nil)
			wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
			advance(5 * time.Minute)
			d.set(issuer.URL(), late(time.Hour, failing(errDirectory)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			waiting := make(chan error)
			token := issuer.Sign(testissuer.Token{})
			go func() {
				_, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: token})
				waiting <- err
			}()
			synctest.Wait()
			v.ForgetTenant(issuer.URL())
			if giveUp {
				cancel()
			}
			wantReason(t, name, validator.ReasonOf(<-waiting), validator.Unavailable)
			advance(20 * time.Second)
		})
	}
}

// TestTenantChanged shows that another configuration takes effect with the next
// answer, and starts with keys of its own.
func TestTenantChanged(t *testing.T) {
	for name, change := range map[string]func(*validator.Issuer){
		"audience":      func(c *validator.Issuer) { c.Audiences = []string{"https://api.test", "https://new.test"} },
		"algorithms":    func(c *validator.Issuer) { c.Algorithms = []jose.Algorithm{jose.ES256} },
		"limits":        func(c *validator.Issuer) { c.KeyLimits.MaxAge = time.Hour },
		"forbidden key": func(c *validator.Issuer) { c.ForbiddenKeys = []jwkscache.KeyName{{KeyID: "old"}} },
		"client":        func(c *validator.Issuer) { c.HTTPClient = &http.Client{Transport: c.HTTPClient.Transport} },
		"claims": func(c *validator.Issuer) {
			c.Claims = []validator.ClaimRule{{Name: "sub", Type: validator.ClaimString, Equals: "user-1"}}
		},
		"profile": func(c *validator.Issuer) {
			c.Profile, c.Marker = validator.ProfileLegacy, []validator.ClaimRule{{Name: "client_id"}}
		},
		"keys": func(c *validator.Issuer) { c.Keys = jwkscache.URL(c.URL + "/jwks.json") },
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer := startIssuer(t, "")
			defer issuer.Close()
			d := newDirectory()
			config := discovering(issuer)
			d.set(issuer.URL(), answering(config))
			v := tenanted(t, d, 0, nil)
			wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
			change(&config)
			d.set(issuer.URL(), answering(config))
			advance(5 * time.Minute)
			wantReason(t, name+": after", judged(t, v, issuer, testissuer.Token{}), "")
			wantCount(t, name+": fetches of keys", issuer.Requests(testissuer.JWKS), 2)
			wantListed(t, name+": after", v, issuer.URL())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		config := pinned(issuer)
		d.set(issuer.URL(), answering(config))
		v := tenanted(t, d, 0, nil)
		wantReason(t, "before", judged(t, v, issuer, testissuer.Token{}), "")
		config.Audiences = []string{"https://other.test"}
		d.set(issuer.URL(), answering(config))
		advance(4 * time.Minute)
		wantEither(t, "the token that notices", judged(t, v, issuer, testissuer.Token{}), validator.WrongAudience)
		synctest.Wait()
		wantReason(t, "another audience", judged(t, v, issuer, testissuer.Token{}), validator.WrongAudience)
		issuer.Retire(issuer.SigningKey())
		issuer.Rotate()
		d.set(issuer.URL(), answering(pinned(issuer)))
		v.ForgetTenant(issuer.URL())
		wantReason(t, "other keys", judged(t, v, issuer, testissuer.Token{}), "")
	})
}

// TestTenantUnchanged shows that an answer which says the same keeps the keys,
// also if it is put together anew each time, or by changing the one before.
func TestTenantUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Header: http.Header{"Cache-Control": {"max-age=86400"}}})
		d := newDirectory()
		client := issuer.Client()
		d.set(issuer.URL(), func(context.Context) (validator.Issuer, error) {
			config := discovering(issuer)
			config.HTTPClient = client
			config.Algorithms = []jose.Algorithm{jose.ES256, jose.EdDSA}
			config.Claims = []validator.ClaimRule{{Name: "sub"}}
			config.ForbiddenKeys = []jwkscache.KeyName{{KeyID: "old"}}
			return config, nil
		})
		v := tenanted(t, d, 0, nil)
		for range 20 {
			wantReason(t, "unchanged", judged(t, v, issuer, testissuer.Token{}), "")
			advance(5 * time.Minute)
		}
		wantCount(t, "calls", d.total(), 20)
		wantCount(t, "fetches of keys", issuer.Requests(testissuer.JWKS), 1)
		if err := v.ForbidKey(t.Context(), issuer.URL(), jwkscache.KeyName{KeyID: "older"}); err != nil {
			t.Error(err)
		}
		for range 3 {
			wantReason(t, "with another forbidden key", judged(t, v, issuer, testissuer.Token{}), "")
			advance(5 * time.Minute)
		}
		wantCount(t, "fetches of keys", issuer.Requests(testissuer.JWKS), 1)
	})
	synctest.Test(t, func(t *testing.T) { // what is answered belongs to whoever answers
		issuer := startIssuer(t, "")
		defer issuer.Close()
		d := newDirectory()
		config := pinned(issuer)
		config.Algorithms = []jose.Algorithm{jose.ES256}
		config.ForbiddenKeys = []jwkscache.KeyName{{KeyID: "old"}}
		config.Claims = []validator.ClaimRule{{Name: "sub"}}
		config.Profile, config.Marker = validator.ProfileLegacy, []validator.ClaimRule{{Name: "client_id"}}
		changes := []func(){
			func() {},
			func() { config.Audiences[0] = "https://other.test" },
			func() { config.Audiences[0], config.Algorithms[0] = "https://api.test", jose.EdDSA },
			func() { config.Algorithms[0], config.Claims[0].Name = jose.ES256, "team" },
			func() { config.Claims[0].Name, config.Marker[0].Name = "sub", "team" },
			func() { config.Marker[0].Name, config.ForbiddenKeys[0].KeyID = "client_id", issuer.SigningKey() },
			func() { config.ForbiddenKeys[0].KeyID = "old" },
		}
		next := 0
		d.set(issuer.URL(), func(context.Context) (validator.Issuer, error) {
			changes[next]()
			next++
			return config, nil
		})
		v := tenanted(t, d, 0, nil)
		for _, want := range []validator.Reason{
			"", validator.WrongAudience, validator.AlgorithmNotAllowed, validator.BadClaims, validator.WrongType, validator.UnknownKey, "",
		} {
			wantReason(t, "after a change in place", judged(t, v, issuer, testissuer.Token{}), want)
			advance(5 * time.Minute)
		}
	})
}

// TestTenantsAreApart covers R-MT-01: keys of the same kid do not meet, the
// outage of one tenant is none of another's, and an issuer of the configuration
// is never asked for.
func TestTenantsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		one, two, static := startIssuer(t, "https://one.test"), startIssuer(t, "https://two.test"), startIssuer(t, "https://static.test")
		defer closeAll([]*testissuer.Issuer{one, two, static})
		d.set(one.URL(), answering(discovering(one)))
		d.set(two.URL(), answering(discovering(two)))
		evil := pinned(one)
		evil.URL = static.URL()
		d.set(static.URL(), answering(evil))
		v := tenanted(t, d, 0, nil, discovering(static))
		for _, issuer := range []*testissuer.Issuer{one, two, static} {
			wantReason(t, issuer.URL(), judged(t, v, issuer, testissuer.Token{}), "")
			wantCount(t, "fetches of keys", issuer.Requests(testissuer.JWKS), 1)
		}
		if one.SigningKey() != two.SigningKey() {
			t.Fatal("the kids differ")
		}
		wantReason(t, "one as two", judged(t, v, one, testissuer.Token{Claims: map[string]any{"iss": two.URL()}}), validator.BadSignature)
		wantReason(t, "one as static", judged(t, v, one, testissuer.Token{Claims: map[string]any{"iss": static.URL()}}), validator.BadSignature)
		wantCount(t, "calls for the static issuer", d.times(static.URL()), 0)
		v.ForgetTenant(static.URL())
		wantListed(t, "after all", v, static.URL(), one.URL(), two.URL())
		one.Down(true)
		d.set(one.URL(), late(time.Hour, failing(errDirectory)))
		advance(3 * time.Hour)
		down := inBackground(t, v, one)
		for range 100 {
			wantReason(t, "while the other is down", judged(t, v, two, testissuer.Token{}), "")
			advance(10 * time.Second)
		}
		wantReason(t, "of the one that is down", <-down, validator.Unavailable)
	})
}

// TestTenantFlood shows that made-up issuers cost a bounded number of calls at
// once and in a second, that known tenants are judged meanwhile without any
// wait, and that one that is withdrawn meanwhile is noticed.
func TestTenantFlood(t *testing.T) {
	for name, row := range map[string]struct {
		takes       time.Duration // a call
		least, most int           // calls in ten seconds
	}{
		"quick":   {5 * time.Millisecond, 1000, 1000},
		"slow":    {time.Second, 16 * 9, 16 * 11}, // those begun at the last instant among them
		"hanging": {time.Hour, 16 * 2, 16 * 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			tenants := startTenants(t, d, 2)
			defer closeAll(tenants)
			v := tenanted(t, d, 0, nil)
			for _, tenant := range tenants {
				wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
			}
			advance(4*time.Minute - 5*time.Second) // to be renewed in the middle of the flood
			d.set("*", late(row.takes, failing(validator.ErrUnknownIssuer)))
			d.set(tenants[0].URL(), late(row.takes, answering(pinned(tenants[0]))))
			d.set(tenants[1].URL(), nil)
			var all sync.WaitGroup
			for i := range 10_000 { // one in a millisecond
				token := tenants[0].Sign(madeUp(fmt.Sprintf("https://made-up-%d.test", i)))
				all.Go(func() {
					_, err := v.Validate(t.Context(), validator.Presentation{Scheme: validator.Bearer, Token: token})
					if reason := validator.ReasonOf(err); reason != validator.UnknownIssuer && reason != validator.Unavailable {
						t.Errorf("a made-up issuer: %q", reason)
					}
				})
				if i%100 == 0 {
					start, withdrawn := time.Now(), validator.Reason("")
					if i > 5000 {
						withdrawn = validator.UnknownIssuer
					}
					wantReason(t, "known", judged(t, v, tenants[0], testissuer.Token{}), "")
					if got := judged(t, v, tenants[1], testissuer.Token{}); i == 5000 { // the token that notices
						wantEither(t, "withdrawn", got, validator.UnknownIssuer)
					} else {
						wantReason(t, "withdrawn", got, withdrawn)
					}
					wantTook(t, "known tenants", start, 0)
				}
				advance(time.Millisecond)
			}
			flood := d.total() - 4 // without those for the two tenants
			if flood < row.least || flood > row.most || d.atOnce() > 16 {
				t.Errorf("%s: %d calls, %d at once", name, flood, d.atOnce())
			}
			all.Wait()
			wantListed(t, "after the flood", v, tenants[0].URL())
		})
	}
}

// TestTenantCallsThatDoNotEnd shows that they count until they do, and that known
// tenants and others do not take each other's place.
func TestTenantCallsThatDoNotEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenants := startTenants(t, d, 21)
		defer closeAll(tenants)
		v := tenanted(t, d, 0, nil)
		known, newcomer := tenants[:20], tenants[20]
		for _, tenant := range known {
			wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
		}
		advance(4 * time.Minute)
		gate := make(chan struct{})
		for _, tenant := range known {
			d.set(tenant.URL(), held(gate, answering(pinned(tenant))))
		}
		for range 10 {
			for _, tenant := range known {
				wantReason(t, "known", judged(t, v, tenant, testissuer.Token{}), "")
			}
			advance(time.Second)
		}
		wantCount(t, "calls for known tenants", d.total()-len(known), 16)
		wantReason(t, "a newcomer meanwhile", judged(t, v, newcomer, testissuer.Token{}), "")
		d.set("*", held(gate, failing(validator.ErrUnknownIssuer)))
		for i := range 20 {
			wantReason(t, "unknown", judged(t, v, newcomer, madeUp(fmt.Sprintf("https://made-up-%d.test", i))), validator.Unavailable)
		}
		wantCount(t, "calls for unknown ones", d.atOnce(), 16)
		d.set(newcomer.URL(), nil)
		v.ForgetTenant(newcomer.URL())
		wantReason(t, "a withdrawn one meanwhile", judged(t, v, newcomer, testissuer.Token{}), validator.Unavailable)
		close(gate)
		synctest.Wait()
		asked := d.total()
		wantReason(t, "a withdrawn one when calls have ended", judged(t, v, newcomer, testissuer.Token{}), validator.UnknownIssuer)
		wantReason(t, "a known one", judged(t, v, known[0], testissuer.Token{}), "")
		wantReason(t, "unknown", judged(t, v, newcomer, madeUp("https://made-up-19.test")), validator.UnknownIssuer)
		if calls := d.total() - asked; calls < 2 || calls > 3 {
			t.Errorf("%d calls", calls)
		}
	})
}

// TestTenantsGiveWay shows that naming tenants without having tokens of them
// displaces one at most of those in use.
func TestTenantsGiveWay(t *testing.T) {
	for _, inUse := range []int{9, 10} {
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			tenants := startTenants(t, d, inUse+50)
			defer closeAll(tenants)
			v := tenanted(t, d, 10, nil)
			used, named := tenants[:inUse], tenants[inUse:]
			for _, tenant := range used {
				wantReason(t, "in use", judged(t, v, tenant, testissuer.Token{}), "")
				advance(time.Second)
			}
			for _, tenant := range named {
				wantReason(t, "named", judged(t, v, tenant, testissuer.Token{Fault: testissuer.ForeignKey}), validator.BadSignature)
				wantReason(t, "in use", judged(t, v, used[len(used)-1], testissuer.Token{}), "")
				advance(100 * time.Millisecond)
			}
			left := 0
			for _, url := range listed(v) {
				if slices.ContainsFunc(used, func(tenant *testissuer.Issuer) bool { return tenant.URL() == url }) {
					left++
				}
			}
			wantCount(t, "known", len(listed(v)), 10)
			wantCount(t, "in use and known", left, 9)
			if inUse == 10 && slices.Contains(listed(v), used[0].URL()) {
				t.Error("not the one that was unused for longest gave way")
			}
			asked := d.total()
			for _, tenant := range used { // the one that gave way is back with its first token
				wantReason(t, "in use", judged(t, v, tenant, testissuer.Token{}), "")
			}
			wantCount(t, "calls", d.total()-asked, inUse-9)
		})
	}
}

// TestMaxTenants shows that no more are kept, and that of those in use the one
// unused for longest gives way.
func TestMaxTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenants := startTenants(t, d, 4)
		defer closeAll(tenants)
		v := tenanted(t, d, 3, nil)
		for _, i := range []int{0, 1, 2, 0, 3} {
			wantReason(t, "in turn", judged(t, v, tenants[i], testissuer.Token{}), "")
			advance(time.Second)
		}
		wantListed(t, "after all", v, tenants[0].URL(), tenants[2].URL(), tenants[3].URL())
		v.ForgetTenant(tenants[0].URL())
		wantReason(t, "where there is room", judged(t, v, tenants[1], testissuer.Token{}), "")
		wantListed(t, "after all", v, tenants[1].URL(), tenants[2].URL(), tenants[3].URL())
	})
	for _, n := range []int{-1, 10_001} {
		_, err := validator.New(validator.Config{Tenants: newDirectory().find, MaxTenants: n})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("MaxTenants is %d", n)) {
			t.Errorf("%d: %v", n, err)
		}
	}
	for _, n := range []int{1, 10_000} {
		if _, err := validator.New(validator.Config{Tenants: newDirectory().find, MaxTenants: n}); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
	if _, err := validator.New(validator.Config{}); err == nil || !strings.Contains(err.Error(), "Issuers is empty") {
		t.Errorf("neither Issuers nor Tenants: %v", err)
	}
}

// wantEither is for a token that is judged while the answer about its tenant is
// renewed in the background: by the old one, which accepts it, or by the new one.
func wantEither(t *testing.T, what string, got, after validator.Reason) {
	t.Helper()
	if got != "" && got != after {
		t.Errorf("%s: %q, want an accept or %q", what, got, after)
	}
}

// displaced starts to judge a token of a newcomer, and names another tenant while
// the newcomer's keys are fetched, so that it gives way. The channel gets the
// verdict.
func displaced(t *testing.T, d *directory, v *validator.Validator, newcomer, other *testissuer.Issuer) <-chan validator.Reason {
	t.Helper()
	newcomer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
	d.set(newcomer.URL(), answering(discovering(newcomer)))
	d.set(other.URL(), answering(pinned(other)))
	waiting := inBackground(t, v, newcomer)
	wantListed(t, "while its keys are fetched", v, newcomer.URL())
	wantReason(t, "named", judged(t, v, other, madeUp(other.URL())), validator.BadSignature)
	wantListed(t, "when another was named", v, other.URL())
	return waiting
}

// TestTenantIsLetInAgain shows that a newcomer which had to give way before its
// first accepted token is known once there is one, and asked for again; but not
// if it was forgotten, withdrawn or lost a key meanwhile, or known again
// already.
func TestTenantIsLetInAgain(t *testing.T) {
	for name, row := range map[string]struct {
		meanwhile func(*testing.T, *directory, *validator.Validator, *testissuer.Issuer)
		again     bool             // else it is judged once more: what it was judged by has changed
		want      validator.Reason // then
	}{
		"nothing": {func(*testing.T, *directory, *validator.Validator, *testissuer.Issuer) {}, true, ""},
		"another one was forgotten": {func(_ *testing.T, _ *directory, v *validator.Validator, _ *testissuer.Issuer) {
			v.ForgetTenant("https://third.test")
		}, true, ""},
		"forgotten": {func(_ *testing.T, d *directory, v *validator.Validator, newcomer *testissuer.Issuer) {
			v.ForgetTenant(newcomer.URL())
			d.set(newcomer.URL(), failing(errDirectory))
		}, false, validator.Unavailable},
		"withdrawn": {func(t *testing.T, d *directory, v *validator.Validator, newcomer *testissuer.Issuer) {
			wantReason(t, "named again at once", judged(t, v, newcomer, testissuer.Token{}), validator.Unavailable)
			v.ForgetTenant(newcomer.URL()) // or it would not be asked for within ten seconds
			d.set(newcomer.URL(), nil)
			wantReason(t, "withdrawn", judged(t, v, newcomer, testissuer.Token{}), validator.UnknownIssuer)
		}, false, validator.UnknownIssuer},
		"lost a key": {func(t *testing.T, d *directory, v *validator.Validator, newcomer *testissuer.Issuer) {
			d.set(newcomer.URL(), failing(errDirectory))
			err := v.ForbidKey(t.Context(), newcomer.URL(), jwkscache.KeyName{KeyID: newcomer.SigningKey()})
			if !errors.Is(err, errDirectory) {
				t.Errorf("%v", err)
			}
		}, false, validator.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				newcomer, other := startIssuer(t, "https://newcomer.test"), startIssuer(t, "https://other.test")
				defer closeAll([]*testissuer.Issuer{newcomer, other})
				d := newDirectory()
				v := tenanted(t, d, 1, nil)
				waiting := displaced(t, d, v, newcomer, other)
				row.meanwhile(t, d, v, newcomer)
				if !row.again {
					wantReason(t, "the token", <-waiting, row.want)
					wantListed(t, "with its token", v, other.URL())
					return
				}
				wantReason(t, "the token", <-waiting, "")
				wantListed(t, "with its token", v, newcomer.URL())
				wantReason(t, "named again too soon", judged(t, v, other, madeUp(other.URL())), validator.Unavailable)
				advance(10 * time.Second)
				wantReason(t, "named", judged(t, v, other, madeUp(other.URL())), validator.BadSignature)
				wantListed(t, "it has an accepted token, but there is no other", v, other.URL())
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // its configuration is asked for again
		newcomer, other := startIssuer(t, "https://newcomer.test"), startIssuer(t, "https://other.test")
		defer closeAll([]*testissuer.Issuer{newcomer, other})
		d := newDirectory()
		v := tenanted(t, d, 1, nil)
		waiting := displaced(t, d, v, newcomer, other)
		d.set(newcomer.URL(), nil)
		wantReason(t, "the token", <-waiting, "")
		wantListed(t, "with its token", v, newcomer.URL())
		wantEither(t, "the token that notices", judged(t, v, newcomer, testissuer.Token{}), validator.UnknownIssuer)
		synctest.Wait()
		wantReason(t, "withdrawn before it was let in again", judged(t, v, newcomer, testissuer.Token{}), validator.UnknownIssuer)
	})
	synctest.Test(t, func(t *testing.T) { // it is known again already
		newcomer, other := startIssuer(t, "https://newcomer.test"), startIssuer(t, "https://other.test")
		defer closeAll([]*testissuer.Issuer{newcomer, other})
		d := newDirectory()
		v := tenanted(t, d, 1, nil)
		waiting := displaced(t, d, v, newcomer, other)
		changed := discovering(newcomer)
		changed.Audiences = []string{"https://else.test"}
		d.set(newcomer.URL(), answering(changed))
		v.ForgetTenant(newcomer.URL())
		second := inBackground(t, v, newcomer)
		wantReason(t, "the first token", <-waiting, validator.WrongAudience)
		wantReason(t, "the second token", <-second, validator.WrongAudience)
		wantListed(t, "after both", v, newcomer.URL())
		wantReason(t, "a third", judged(t, v, newcomer, testissuer.Token{}), validator.WrongAudience)
		wantCount(t, "calls", d.times(newcomer.URL()), 2)
	})
}

// TestTenantStaysProven shows that a tenant in use does not become a newcomer by
// a change of its configuration, nor by being let in again.
func TestTenantStaysProven(t *testing.T) {
	for name, prepare := range map[string]func(*testing.T, *directory, *validator.Validator, *testissuer.Issuer){
		"changed": func(t *testing.T, d *directory, v *validator.Validator, tenant *testissuer.Issuer) {
			config := pinned(tenant)
			d.set(tenant.URL(), answering(config))
			wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
			config.Audiences = []string{"https://else.test"}
			d.set(tenant.URL(), answering(config))
			advance(5 * time.Minute)
			wantReason(t, "changed", judged(t, v, tenant, testissuer.Token{}), validator.WrongAudience)
		},
		"let in again": func(t *testing.T, d *directory, v *validator.Validator, tenant *testissuer.Issuer) {
			other := startIssuer(t, "https://other.test")
			defer other.Close()
			filler := startIssuer(t, "https://filler.test")
			defer filler.Close()
			d.set(filler.URL(), answering(pinned(filler)))
			waiting := inBackgroundOf(t, d, v, tenant)
			wantReason(t, "filler", judged(t, v, filler, testissuer.Token{}), "")
			d.set(other.URL(), answering(pinned(other)))
			wantReason(t, "named", judged(t, v, other, madeUp(other.URL())), validator.BadSignature)
			wantListed(t, "when another was named", v, filler.URL(), other.URL())
			wantReason(t, "its token", <-waiting, "")
			v.ForgetTenant(filler.URL())
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDirectory()
				tenants := startTenants(t, d, 5)
				defer closeAll(tenants)
				tenant := startIssuer(t, "https://tenant.test")
				defer tenant.Close()
				v := tenanted(t, d, 2, nil)
				prepare(t, d, v, tenant)
				for _, named := range tenants {
					advance(time.Second)
					wantReason(t, "named", judged(t, v, named, madeUp(named.URL())), validator.BadSignature)
				}
				wantListed(t, "after many were named", v, tenants[4].URL(), tenant.URL())
			})
		})
	}
}

// inBackgroundOf starts to judge a token of a tenant whose keys take a second.
func inBackgroundOf(t *testing.T, d *directory, v *validator.Validator, tenant *testissuer.Issuer) <-chan validator.Reason {
	t.Helper()
	tenant.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
	d.set(tenant.URL(), answering(discovering(tenant)))
	return inBackground(t, v, tenant)
}

// TestTenantForbiddenKey covers R-OP-06 for tenants: a forbidden key stays so
// after the tenant had to give way, after its configuration has changed, and if
// a call was under way; a permitted one comes back.
func TestTenantForbiddenKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenants := startTenants(t, d, 2)
		defer closeAll(tenants)
		tenant, other := tenants[0], tenants[1]
		v := tenanted(t, d, 1, nil)
		key := jwkscache.KeyName{KeyID: tenant.SigningKey()}
		if err := v.ForbidKey(t.Context(), tenant.URL(), key); err != nil { // not known yet
			t.Fatal(err)
		}
		wantReason(t, "forbidden before it was known", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
		wantReason(t, "the same kid of another tenant", judged(t, v, other, testissuer.Token{}), "")
		wantListed(t, "after that", v, other.URL())
		advance(10 * time.Second)
		wantReason(t, "after giving way", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
		changed := pinned(tenant)
		changed.KeyLimits.Keys = 7
		d.set(tenant.URL(), answering(changed))
		advance(5 * time.Minute)
		wantReason(t, "after a change", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
		v.ForgetTenant(tenant.URL())
		wantReason(t, "after it was forgotten", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
		advance(5 * time.Minute)
		if err := v.PermitKey(t.Context(), tenant.URL(), key); err != nil {
			t.Fatal(err)
		}
		wantReason(t, "permitted", judged(t, v, tenant, testissuer.Token{}), "")
		v.ForgetTenant(tenant.URL())
		wantReason(t, "permitted, and asked for again", judged(t, v, tenant, testissuer.Token{}), "")
	})
}

// TestTenantForbiddenKeyByThumbprint covers R-OP-06: of two names each holds, and
// one that the configuration forbids is not permitted for good.
func TestTenantForbiddenKeyByThumbprint(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenant := startTenants(t, d, 1)[0]
		defer tenant.Close()
		v := tenanted(t, d, 1, nil)
		wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
		id := jwkscache.KeyName{KeyID: tenant.SigningKey()}
		thumbprint := jwkscache.KeyName{Thumbprint: v.Status()[0].Keys[0].Thumbprint()}
		for _, name := range []jwkscache.KeyName{id, thumbprint} {
			if err := v.ForbidKey(t.Context(), tenant.URL(), name); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.PermitKey(t.Context(), tenant.URL(), id); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			wantReason(t, "by thumbprint", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
			v.ForgetTenant(tenant.URL())
		}
		config := pinned(tenant)
		config.ForbiddenKeys = []jwkscache.KeyName{id}
		d.set(tenant.URL(), answering(config))
		for _, name := range []jwkscache.KeyName{id, thumbprint} {
			if err := v.PermitKey(t.Context(), tenant.URL(), name); err != nil {
				t.Fatal(err)
			}
		}
		wantReason(t, "both permitted", judged(t, v, tenant, testissuer.Token{}), "")
		v.ForgetTenant(tenant.URL())
		wantReason(t, "as the configuration says", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
	})
}

// TestTenantForbiddenKeyDuringACall covers R-OP-06 for a key that is forbidden,
// or permitted, while the function is asked.
func TestTenantForbiddenKeyDuringACall(t *testing.T) {
	for name, calls := range map[string]int{"of a newcomer": 1, "of a known tenant": 2} {
		known := calls > 1
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			tenant := startTenants(t, d, 1)[0]
			defer tenant.Close()
			v := tenanted(t, d, 1, nil)
			key := jwkscache.KeyName{KeyID: tenant.SigningKey()}
			if known {
				wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
				advance(5 * time.Minute)
			}
			gate := make(chan struct{})
			changed := pinned(tenant)
			changed.KeyLimits.Keys = 7
			d.set(tenant.URL(), held(gate, answering(changed)))
			waiting := inBackground(t, v, tenant)
			gone, cancel := context.WithCancel(t.Context())
			cancel()
			if err := v.ForbidKey(gone, tenant.URL(), key); (err == nil) != known {
				t.Errorf("%s: %v", name, err)
			}
			close(gate)
			wantReason(t, name, <-waiting, validator.UnknownKey)
			wantReason(t, name+", later", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
			wantCount(t, "calls", d.total(), calls)
		})
	}
}

// TestTenantForbiddenKeyWhileTenantsFails covers R-OP-06: a key can be forbidden
// although the function fails for so long that the tenant cannot be judged, and
// is forbidden when that answers again.
func TestTenantForbiddenKeyWhileTenantsFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenant := startTenants(t, d, 1)[0]
		defer tenant.Close()
		v := tenanted(t, d, 0, nil)
		key := jwkscache.KeyName{KeyID: tenant.SigningKey()}
		wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
		d.set(tenant.URL(), failing(errDirectory))
		advance(2 * time.Hour)
		wantReason(t, "while it fails", judged(t, v, tenant, testissuer.Token{}), validator.Unavailable)
		if err := v.ForbidKey(t.Context(), tenant.URL(), key); err != nil {
			t.Errorf("of a tenant that was known: %v", err)
		}
		d.set(tenant.URL(), answering(pinned(tenant)))
		advance(5 * time.Second)
		wantReason(t, "when it answers again", judged(t, v, tenant, testissuer.Token{}), validator.UnknownKey)
	})
}

// TestForbidKeyRefused shows what cannot be forbidden, and that it changes
// nothing.
func TestForbidKeyRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenant := startTenants(t, d, 1)[0]
		defer tenant.Close()
		static := startIssuer(t, "https://static.test")
		defer static.Close()
		v := tenanted(t, d, 0, nil, pinned(static))
		for name, amend := range map[string]func(context.Context, string, jwkscache.KeyName) error{"ForbidKey": v.ForbidKey, "PermitKey": v.PermitKey} {
			for _, bad := range []jwkscache.KeyName{
				{}, {KeyID: "a", Thumbprint: strings.Repeat("A", 43)}, {Thumbprint: "short"}, {KeyID: strings.Repeat("a", 257)},
			} {
				for _, url := range []string{tenant.URL(), static.URL()} {
					if err := amend(t.Context(), url, bad); err == nil || errors.Is(err, validator.ErrUnknownIssuer) {
						t.Errorf("%s %+v: %v", name, bad, err)
					}
				}
			}
			wantCount(t, "calls for bad names", d.total(), 0)
			for _, url := range []string{"", "https://nobody.test", "no URL"} {
				if err := amend(t.Context(), url, jwkscache.KeyName{KeyID: "a"}); !errors.Is(err, validator.ErrUnknownIssuer) {
					t.Errorf("%s for %q: %v", name, url, err)
				}
				if err := amendOf(trusting(t, nil, static), name)(t.Context(), url, jwkscache.KeyName{KeyID: "a"}); !errors.Is(err, validator.ErrUnknownIssuer) {
					t.Errorf("%s for %q, without tenants: %v", name, url, err)
				}
			}
			advance(time.Minute)
			d.asked = make(map[string]int)
		}
		wantReason(t, "after all", judged(t, v, tenant, testissuer.Token{}), "")
		wantReason(t, "after all", judged(t, v, static, testissuer.Token{}), "")
	})
}

func amendOf(v *validator.Validator, name string) func(context.Context, string, jwkscache.KeyName) error {
	if name == "ForbidKey" {
		return v.ForbidKey
	}
	return v.PermitKey
}

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

// TestRunTenants shows that Run keeps the keys of tenants fresh, also of those
// that come later, that it leaves those alone which are gone, and ends with its
// context.
func TestRunTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		early, late, changing, withdrawn := startIssuer(t, "https://early.test"), startIssuer(t, "https://late.test"), startIssuer(t, "https://changing.test"), startIssuer(t, "https://withdrawn.test")
		all := []*testissuer.Issuer{early, late, changing, withdrawn}
		defer closeAll(all)
		for _, issuer := range all {
			d.set(issuer.URL(), answering(discovering(issuer)))
		}
		v := tenanted(t, d, 0, nil)
		wantReason(t, "early", judged(t, v, early, testissuer.Token{}), "")
		stop := running(t, v)
		for _, issuer := range []*testissuer.Issuer{late, changing, withdrawn} {
			wantReason(t, "late", judged(t, v, issuer, testissuer.Token{}), "")
		}
		changed := discovering(changing)
		changed.Audiences = []string{"https://api.test", "https://more.test"}
		d.set(changing.URL(), answering(changed))
		advance(5 * time.Minute)
		wantReason(t, "changing", judged(t, v, changing, testissuer.Token{}), "")
		v.ForgetTenant(withdrawn.URL())
		advance(40 * time.Minute)
		for _, s := range v.Status() {
			if s.State != "fresh" {
				t.Errorf("%s is %s", s.Issuer, s.State)
			}
		}
		for _, issuer := range []*testissuer.Issuer{early, late} {
			if n := issuer.Requests(testissuer.JWKS); n < 5 || n > 6 { // ten minutes are the default
				t.Errorf("%s: %d fetches", issuer.URL(), n)
			}
		}
		if n := changing.Requests(testissuer.JWKS); n < 5 || n > 7 {
			t.Errorf("changing: %d fetches, as of two", n)
		}
		wantCount(t, "fetches for the withdrawn tenant", withdrawn.Requests(testissuer.JWKS), 1)
		stop()
		before := early.Requests(testissuer.JWKS)
		advance(10 * time.Minute)
		wantCount(t, "fetches after the end", early.Requests(testissuer.JWKS), before)
		stop = running(t, v) // once more
		advance(time.Minute)
		wantCount(t, "fetches after it was run again", early.Requests(testissuer.JWKS), before+1)
		stop()
	})
}

// TestIdleTenants shows that Run forgets who is not used for an hour.
func TestIdleTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenants := startTenants(t, d, 3)
		defer closeAll(tenants)
		idle, busy, rare := tenants[0], tenants[1], tenants[2]
		v := tenanted(t, d, 0, nil)
		defer running(t, v)()
		for _, tenant := range tenants {
			wantReason(t, "before", judged(t, v, tenant, testissuer.Token{}), "")
		}
		for minute := range 59 {
			advance(time.Minute)
			wantReason(t, "busy", judged(t, v, busy, testissuer.Token{}), "")
			if minute == 30 {
				wantReason(t, "rare", judged(t, v, rare, testissuer.Token{}), "")
			}
		}
		wantListed(t, "before the hour", v, idle.URL(), busy.URL(), rare.URL())
		advance(time.Minute)
		synctest.Wait()
		wantListed(t, "after the hour", v, busy.URL(), rare.URL())
		asked := d.times(idle.URL())
		wantReason(t, "idle", judged(t, v, idle, testissuer.Token{}), "")
		wantCount(t, "calls", d.times(idle.URL())-asked, 1)
	})
}

// TestTenantsStatus shows that tenants stand behind the configured issuers, by
// URL.
func TestTenantsStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenants := startTenants(t, d, 9)
		defer closeAll(tenants)
		z, a := startIssuer(t, "https://z.test"), startIssuer(t, "https://a.test")
		defer closeAll([]*testissuer.Issuer{z, a})
		v := tenanted(t, d, 0, nil, pinned(z), pinned(a))
		want := []string{z.URL(), a.URL()}
		wantListed(t, "at first", v, want...)
		for _, i := range []int{3, 8, 0, 5, 1, 7, 2, 6, 4} {
			wantReason(t, "before", judged(t, v, tenants[i], testissuer.Token{}), "")
		}
		for _, tenant := range tenants {
			want = append(want, tenant.URL())
		}
		wantListed(t, "then", v, want...)
	})
}

// TestTenantStorm lets everything happen at once. What must hold then: a tenant
// that was withdrawn and forgotten is refused, a forbidden key is not used, and
// one that nobody touched is accepted. It finds races if run with -race.
func TestTenantStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		tenants := startTenants(t, d, 12)
		defer closeAll(tenants)
		const rounds = 100
		v := tenanted(t, d, 5, &jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { runtime.Gosched() }})
		stop := running(t, v)
		withdrawn, forbidden, crowd := tenants[0], tenants[1], tenants[2:]
		accepting := func(reason validator.Reason) bool { return reason == "" }
		var all sync.WaitGroup
		all.Go(func() { // who comes and goes
			for range rounds {
				d.set(withdrawn.URL(), nil)
				v.ForgetTenant(withdrawn.URL())
				if reason := judged(t, v, withdrawn, testissuer.Token{}); accepting(reason) {
					t.Errorf("withdrawn: %q", reason)
				}
				d.set(withdrawn.URL(), answering(pinned(withdrawn)))
				v.ForgetTenant(withdrawn.URL())
				for range 3 {
					if reason := judged(t, v, withdrawn, testissuer.Token{}); reason != "" && reason != validator.Unavailable {
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
					if reason := judged(t, v, forbidden, testissuer.Token{}); accepting(reason) {
						t.Errorf("forbidden: %q", reason)
					}
					runtime.Gosched()
				}
				for v.PermitKey(t.Context(), forbidden.URL(), key) != nil {
					advance(10 * time.Millisecond)
				}
				if reason := judged(t, v, forbidden, testissuer.Token{}); reason != "" && reason != validator.Unavailable {
					t.Errorf("permitted: %q", reason)
				}
				advance(50 * time.Millisecond)
			}
		})
		for range 8 { // the crowd, too many for the room
			all.Go(func() {
				for i := range rounds * 4 {
					tenant := crowd[i%len(crowd)]
					if reason := judged(t, v, tenant, testissuer.Token{}); reason != "" && reason != validator.Unavailable {
						t.Errorf("in the crowd: %q", reason)
					}
					_ = judged(t, v, withdrawn, testissuer.Token{})
					_ = judged(t, v, forbidden, testissuer.Token{})
					if i%7 == 0 {
						v.ForgetTenant(tenant.URL())
					}
					v.Status()
					advance(10 * time.Millisecond)
				}
			})
		}
		all.Wait()
		advance(10 * time.Second) // until what could not be judged is tried again
		for _, tenant := range tenants {
			wantReason(t, "after the storm", judged(t, v, tenant, testissuer.Token{}), "")
		}
		wantCount(t, "tenants", len(listed(v)), 5)
		stop()
	})
}
