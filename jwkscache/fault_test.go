package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// flightBound is how long anybody waits for a fetch: twice the fetch timeout for
// metadata and set, and a second for a transport that does not heed its context.
const flightBound = 11 * time.Second

// journal keeps what the hooks tell.
type journal struct {
	mu     sync.Mutex
	starts []begun
	dones  []jwkscache.FetchDone
	gains  []time.Time // when a fetch brought a new key
}

// begun is the beginning of a fetch.
type begun struct {
	cause string
	at    time.Time
}

// keep is a change of a Binding.
func (j *journal) keep(b *jwkscache.Binding) {
	b.Trace = b.Trace.Join(&jwkscache.Trace{
		FetchStart: func(_, cause string) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.starts = append(j.starts, begun{cause, time.Now()})
		},
		FetchDone: func(_ string, done jwkscache.FetchDone) {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.dones = append(j.dones, done)
			if len(done.Added) > 0 {
				j.gains = append(j.gains, time.Now())
			}
		},
	})
}

// began is when the fetches of a cause began.
func (j *journal) began(cause string) []time.Time {
	j.mu.Lock()
	defer j.mu.Unlock()
	var at []time.Time
	for _, s := range j.starts {
		if s.cause == cause {
			at = append(at, s.at)
		}
	}
	return at
}

// gained reports whether a fetch brought a new key between two instants.
func (j *journal) gained(first, last time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.gains, func(at time.Time) bool { return !at.Before(first) && !at.After(last) })
}

// last is how the last fetch ended, once its hook was called.
func (j *journal) last() jwkscache.FetchDone {
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.dones) == 0 {
		return jwkscache.FetchDone{}
	}
	return j.dones[len(j.dones)-1]
}

func limited(l jwkscache.Limits) func(*jwkscache.Binding) {
	return func(b *jwkscache.Binding) { b.Limits = l }
}

func over(f transport) func(*jwkscache.Binding) {
	return func(b *jwkscache.Binding) { b.HTTPClient = &http.Client{Transport: f} }
}

// inMemory starts an issuer in the bubble of the test.
func inMemory(t *testing.T, cacheControl string) *testissuer.Issuer {
	t.Helper()
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true, CacheControl: cacheControl})
	if err != nil {
		t.Fatal(err)
	}
	return issuer
}

// atOnce fails the test unless do takes no time.
func atOnce(t *testing.T, what string, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if took := time.Since(start); took != 0 {
		t.Errorf("%s took %v", what, took)
	}
}

func wantState(t *testing.T, what string, keys *jwkscache.Keys, want string) {
	t.Helper()
	if s := keys.Status(); s.State != want {
		t.Errorf("%s: %s, want %s (%v)", what, s.State, want, s.LastError)
	}
}

// cutOff is one way to be cut off from an issuer.
type cutOff struct {
	name     string
	run      bool // with Run
	metadata bool // what is down is the metadata, not the issuer
	limits   jwkscache.Limits
	serves   time.Duration // how long a set serves after it was fetched
}

// TestOutage covers the outage drill of R-OP-04, R-JK-12 and R-DI-07: for
// outages of up to a day, no token is refused as long as the last keys may
// serve, every one gets [jwkscache.ErrUnavailable] from then on, and the first
// success restores service.
func TestOutage(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []cutOff{
		{name: "defaults", serves: 70 * time.Minute},
		{name: "defaults and Run", serves: 70 * time.Minute, run: true},
		{name: "metadata", serves: 70 * time.Minute, metadata: true},
		{name: "metadata and Run", serves: 70 * time.Minute, metadata: true, run: true},
		{name: "five minutes", limits: jwkscache.Limits{Stale: 5 * time.Minute}, serves: 15 * time.Minute},
		{name: "a day", limits: jwkscache.Limits{Stale: day}, serves: day},
		{name: "a day and Run", limits: jwkscache.Limits{Stale: day}, serves: day, run: true},
		{name: "three hours in all", limits: jwkscache.Limits{Stale: day, MaxAge: 3 * time.Hour}, serves: 3 * time.Hour, run: true},
	} {
		for _, length := range []time.Duration{0, time.Minute, 9 * time.Minute, 30 * time.Minute, 69 * time.Minute, 71 * time.Minute, 6 * time.Hour, day} {
			t.Run(fmt.Sprintf("%s/%v", row.name, length), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { row.test(t, length) })
			})
		}
	}
}

func (o *cutOff) test(t *testing.T, length time.Duration) {
	issuer := inMemory(t, "")
	defer issuer.Close()
	keys, down := o.open(t, issuer)
	token := issuer.Sign(testissuer.Token{})
	wants(t, "warm", keys.Warm(t.Context()), nil)
	if o.run {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
	}
	advance(10 * time.Minute)
	wants(t, "before", judge(t.Context(), keys, token), nil)
	advance(time.Minute)

	down(true)
	start, last := time.Now(), keys.Status()
	if got := last.UsableUntil.Sub(last.Fetched); got != o.serves || last.State != "fresh" {
		t.Fatalf("the keys are %s and serve for %v, want %v", last.State, got, o.serves)
	}
	states := []string{last.State}
	for time.Since(start) < length {
		now, state, want := time.Now(), "fresh", error(nil)
		switch {
		case !now.Before(last.UsableUntil):
			state, want = "unavailable", jwkscache.ErrUnavailable
		case !now.Before(last.FreshUntil):
			state = "stale"
		}
		what := fmt.Sprintf("%v after the fetch", now.Sub(last.Fetched))
		wants(t, what, judge(t.Context(), keys, token), want)
		wants(t, what+", ready", keys.Ready(), want)
		wantState(t, what, keys, state)
		if states = append(states, state); t.Failed() {
			return
		}
		advance(min(length/20, 97*time.Second))
	}
	down(false)
	o.recovers(t, keys, token, last.UsableUntil)
	states = append(states, keys.Status().State)
	if got := strings.Join(slices.Compact(states), " "); length > o.serves && got != "fresh stale unavailable fresh" {
		t.Error(got)
	}
	if s := keys.Status(); s.LastError != nil || s.Failures != 0 || length == 0 && !s.LastFailure.IsZero() || length > 10*time.Minute && s.LastFailure.IsZero() {
		t.Errorf("in the end: %v, %d failures, the last %v", s.LastError, s.Failures, s.LastFailure)
	}
}

// open makes keys, and a function that cuts them off.
func (o *cutOff) open(t *testing.T, issuer *testissuer.Issuer) (*jwkscache.Keys, func(bool)) {
	t.Helper()
	if !o.metadata {
		return openKeys(t, issuer, limited(o.limits)), issuer.Down
	}
	var down atomic.Bool
	keys, err := jwkscache.Open(jwkscache.Discovered(), jwkscache.Binding{
		Algorithms: []jose.Algorithm{jose.ES256},
		HTTPClient: issuer.Client(),
		Limits:     o.limits,
		Locate: func(context.Context) (string, error) {
			if down.Load() {
				return "", errRefused
			}
			return issuer.JWKSURL(), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, down.Store
}

// recovers waits for the first success: with Run it comes without any token and
// within the longest pause; without, tokens must bring it about, within five
// seconds if they are not served meanwhile.
func (o *cutOff) recovers(t *testing.T, keys *jwkscache.Keys, token string, usable time.Time) {
	t.Helper()
	const longestPause = time.Minute
	if o.run {
		advance(longestPause + time.Second)
		wantState(t, "Run, after the longest pause", keys, "fresh")
	}
	start, served := time.Now(), time.Now().Before(usable) || o.run
	for {
		err := judge(t.Context(), keys, token)
		took := time.Since(start)
		switch synctest.Wait(); {
		case err != nil && (served || took > 5*time.Second):
			t.Fatalf("%v after the outage: %v", took, err)
		case keys.Status().State == "fresh":
			wants(t, "a token", judge(t.Context(), keys, token), nil)
			return
		case took > longestPause:
			t.Fatalf("not fresh %v after the outage", took)
		}
		advance(time.Second)
	}
}

// TestOutageOfAnotherIssuer covers R-JK-12 and R-JK-02: an issuer is not
// affected by the outage of another one, of the same kid, nor does its key stand
// in for that one's.
func TestOutageOfAnotherIssuer(t *testing.T) {
	bubble(t, func(t *testing.T, down *testissuer.Issuer, keysDown *jwkscache.Keys) {
		up := inMemory(t, "")
		defer up.Close()
		keysUp := openKeys(t, up)
		wants(t, "warm", errors.Join(keysDown.Warm(t.Context()), keysUp.Warm(t.Context())), nil)
		tokenDown, tokenUp := down.Sign(testissuer.Token{}), up.Sign(testissuer.Token{})
		down.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Hour})
		for range 10 {
			advance(20 * time.Minute)
			var waiting sync.WaitGroup
			for range 100 {
				waiting.Go(func() { _ = judge(t.Context(), keysDown, tokenDown) })
			}
			synctest.Wait()
			atOnce(t, "the other issuer", func() { wants(t, "the other issuer", judge(t.Context(), keysUp, tokenUp), nil) })
			wants(t, "a token of the one with the key of the other", judge(t.Context(), keysUp, tokenDown), jose.ErrSignature)
			waiting.Wait()
		}
		wants(t, "the issuer that is down", judge(t.Context(), keysDown, tokenDown), jwkscache.ErrUnavailable)
		wantState(t, "the other issuer", keysUp, "fresh")
	})
}

// TestClocksApart covers the clock of R-OP-04: five minutes in either direction
// refuse no token whose key is there.
func TestClocksApart(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		u, err := jose.ParseCompact(issuer.Sign(testissuer.Token{}))
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			for _, off := range []time.Duration{-5 * time.Minute, 0, 5 * time.Minute} {
				atOnce(t, "a look-up", func() {
					_, err := keys.Find(t.Context(), time.Now().Add(off), u.UnverifiedHeader())
					wants(t, fmt.Sprint(off), err, nil)
				})
			}
			advance(time.Hour / 10)
		}
	})
}

// TestNoConvoy covers R-JK-08: while the issuer takes its time to answer, a
// thousand tokens of a known kid are judged without waiting, whatever the fetch
// under way is for.
func TestNoConvoy(t *testing.T) {
	for name, row := range map[string]struct {
		age    time.Duration // of the keys
		cause  string
		begin  func(context.Context, *jwkscache.Keys, *testissuer.Issuer)
		waits  int
		result error // of begin
	}{
		"stale": {
			age: 11 * time.Minute, cause: "stale",
			begin: func(ctx context.Context, keys *jwkscache.Keys, issuer *testissuer.Issuer) {
				_ = judge(ctx, keys, issuer.Sign(testissuer.Token{}))
			},
		},
		"unknown kid": {
			age: 2 * time.Second, cause: "unknown_kid", waits: 1,
			begin: func(ctx context.Context, keys *jwkscache.Keys, issuer *testissuer.Issuer) {
				_ = judge(ctx, keys, unknown(issuer, "x"))
			},
		},
		"stale, and unknown kids wait": {
			age: 11 * time.Minute, cause: "stale", waits: 1000,
			begin: func(ctx context.Context, keys *jwkscache.Keys, issuer *testissuer.Issuer) {
				_ = judge(ctx, keys, issuer.Sign(testissuer.Token{}))
				token := unknown(issuer, "x")
				var all sync.WaitGroup
				for range 1000 {
					all.Go(func() { _ = judge(ctx, keys, token) })
				}
				all.Wait()
			},
		},
		"schedule": {
			age: 2 * time.Second, cause: "schedule",
			begin: func(ctx context.Context, keys *jwkscache.Keys, _ *testissuer.Issuer) { keys.Run(ctx) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
				var told journal
				keys := openKeys(t, issuer, told.keep)
				wants(t, "warm", keys.Warm(t.Context()), nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 5 * time.Second})
				advance(row.age)
				go row.begin(ctx, keys, issuer)
				synctest.Wait()
				for len(told.began(row.cause)) == 0 { // Run sleeps first
					advance(time.Second)
				}
				token := issuer.Sign(testissuer.Token{})
				atOnce(t, "a thousand tokens", func() {
					var all sync.WaitGroup
					for range 1000 {
						all.Go(func() { wants(t, "a token", judge(t.Context(), keys, token), nil) })
					}
					all.Wait()
				})
				wantRequests(t, "a fetch under way", issuer, 2)
				if got := keys.Status().Waiting; got != row.waits {
					t.Errorf("%d wait, want %d", got, row.waits)
				}
			})
		})
	}
}

// body is the body of a response.
type body func([]byte) (int, error)

func (b body) Read(p []byte) (int, error) { return b(p) }
func (body) Close() error                 { return nil }

func answering(b io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: b, ContentLength: -1}
}

// places are where code that is not ours runs during a fetch.
func places(at func()) map[string]func(*jwkscache.Binding) {
	return map[string]func(*jwkscache.Binding){
		"the transport": over(func(*http.Request) (*http.Response, error) { at(); return nil, errRefused }),
		"the body": over(func(*http.Request) (*http.Response, error) {
			return answering(body(func([]byte) (int, error) { at(); return 0, errRefused })), nil
		}),
		"Locate": func(b *jwkscache.Binding) {
			b.Locate = func(context.Context) (string, error) { at(); return "", errRefused }
		},
		"the hook of the start": func(b *jwkscache.Binding) {
			b.Trace = b.Trace.Join(&jwkscache.Trace{FetchStart: func(string, string) { at() }})
			over(func(*http.Request) (*http.Response, error) { return nil, errRefused })(b)
		},
	}
}

// openFaulty opens keys that are found by metadata.
func openFaulty(t *testing.T, changes ...func(*jwkscache.Binding)) *jwkscache.Keys {
	t.Helper()
	binding := jwkscache.Binding{Locate: func(context.Context) (string, error) { return "https://issuer.test/jwks.json", nil }}
	for _, change := range changes {
		change(&binding)
	}
	keys, err := jwkscache.Open(jwkscache.Discovered(), binding)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestFetchThatDies covers R-OP-04: if code that is not ours panics in a fetch,
// or ends its goroutine, all who wait get an error at once, and the next fetch
// can start.
func TestFetchThatDies(t *testing.T) {
	for fault, dies := range map[string]func(){
		"panics":             func() { panic("injected") },
		"panics with nil":    func() { panic(nil) },
		"ends its goroutine": runtime.Goexit,
	} {
		var at func()
		for place, change := range places(func() { at() }) {
			t.Run(place+" "+fault, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					issuer := inMemory(t, "")
					defer issuer.Close()
					calls, proceed := 0, make(chan struct{})
					at = func() { calls++; <-proceed; dies() }
					keys := openFaulty(t, change)
					token := issuer.Sign(testissuer.Token{})
					var all sync.WaitGroup
					for range 50 {
						all.Go(func() { wants(t, "a waiter", judge(t.Context(), keys, token), jwkscache.ErrUnavailable) })
					}
					synctest.Wait()
					if n := keys.Status().Waiting; n != 50 || calls != 1 {
						t.Fatalf("%d wait, %d fetches", n, calls)
					}
					close(proceed)
					atOnce(t, "letting them go", all.Wait)
					if s := keys.Status(); s.Failures != 1 || s.LastError == nil || s.Waiting != 0 {
						t.Errorf("%d failures, %v, %d wait", s.Failures, s.LastError, s.Waiting)
					}
					advance(time.Second)
					wants(t, "the next", judge(t.Context(), keys, token), jwkscache.ErrUnavailable)
					if calls != 2 {
						t.Errorf("%d fetches, want 2", calls)
					}
				})
			})
		}
	}
}

// TestStuckFetchIsGivenUp covers R-OP-04 and R-JK-10: code that is not ours and
// heeds no context holds nobody longer than the flight timeout and a second.
func TestStuckFetchIsGivenUp(t *testing.T) {
	var at func()
	for place, change := range places(func() { at() }) {
		t.Run(place, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := inMemory(t, "")
				defer issuer.Close()
				released := make(chan struct{})
				at = func() { <-released }
				keys := openFaulty(t, change)
				token := issuer.Sign(testissuer.Token{})
				start := time.Now()
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() { wants(t, "a waiter", judge(t.Context(), keys, token), jwkscache.ErrUnavailable) })
				}
				all.Wait()
				if took := time.Since(start); took > flightBound {
					t.Errorf("they waited %v", took)
				}
				wants(t, "the cause", keys.Status().LastError, detached.ErrAbandoned)
				close(released)
			})
		})
	}
}

// TestOlderAnswerReplacesNothing shows that the answer of a fetch which was given
// up does not replace what was fetched since (R-JK-13).
func TestOlderAnswerReplacesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, "")
		defer issuer.Close()
		released := make(chan struct{})
		calls := 0
		var told journal
		keys := openKeys(t, issuer, told.keep, over(func(r *http.Request) (*http.Response, error) {
			calls++
			if calls != 2 {
				return issuer.Transport().RoundTrip(r)
			}
			older := issuer.JWKS()
			<-released
			return answering(io.NopCloser(strings.NewReader(string(older)))), nil
		}))
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(11 * time.Minute)
		before := issuer.Sign(testissuer.Token{})
		wants(t, "stale", judge(t.Context(), keys, before), nil)
		advance(flightBound)
		wants(t, "given up", told.last().Err, detached.ErrAbandoned)

		issuer.Retire(issuer.SigningKey())
		issuer.Rotate()
		after := issuer.Sign(testissuer.Token{})
		wants(t, "the newer key", judge(t.Context(), keys, after), nil)
		close(released)
		synctest.Wait()
		wants(t, "the newer key", judge(t.Context(), keys, after), nil)
		wants(t, "the older key", judge(t.Context(), keys, before), jose.ErrUnknownKey)
		synctest.Wait() // for the hook of the last
		if calls != 4 || len(told.dones) != 4 || keys.Status().LastError != nil {
			t.Errorf("%d fetches, %d reports, %v", calls, len(told.dones), keys.Status().LastError)
		}
	})
}

// TestStuckFetchesAreBounded shows that no more than four fetches are left behind
// in a transport that does not return, and that all goes on once it does, even
// if a hook ended their goroutines.
func TestStuckFetchesAreBounded(t *testing.T) {
	for _, run := range []bool{false, true} {
		t.Run(fmt.Sprint("Run ", run), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := inMemory(t, "")
				defer issuer.Close()
				released := make(chan struct{})
				var calls atomic.Int64
				keys := openKeys(t, issuer, over(func(r *http.Request) (*http.Response, error) {
					if calls.Add(1) == 1 {
						return issuer.Transport().RoundTrip(r)
					}
					<-released
					return issuer.Transport().RoundTrip(r)
				}), func(b *jwkscache.Binding) {
					b.Trace = &jwkscache.Trace{FetchDone: func(_ string, done jwkscache.FetchDone) {
						if done.Err != nil {
							runtime.Goexit()
						}
					}}
				})
				wants(t, "warm", keys.Warm(t.Context()), nil)
				advance(time.Second)
				token, strange := issuer.Sign(testissuer.Token{}), unknown(issuer, "x")
				if run {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					go keys.Run(ctx)
				}
				for range 1300 {
					go func() { wants(t, "an unknown kid", judge(t.Context(), keys, strange), jwkscache.ErrUnavailable) }()
					atOnce(t, "a known kid", func() { wants(t, "a known kid", judge(t.Context(), keys, token), nil) })
					advance(3 * time.Second)
				}
				if n := calls.Load(); n != 1+4 {
					t.Errorf("%d fetches", n)
				}
				advance(10 * time.Minute)
				wants(t, "too old", judge(t.Context(), keys, token), jwkscache.ErrUnavailable)
				close(released)
				synctest.Wait()
				if run {
					advance(time.Second)
				} else {
					wants(t, "again", judge(t.Context(), keys, token), nil)
				}
				synctest.Wait()
				wantState(t, "again", keys, "fresh")
				if n := calls.Load(); n != 1+4+1 {
					t.Errorf("%d fetches", n)
				}
			})
		})
	}
}

// TestFleetSpreads covers the jitter of R-JK-08: processes that got their keys at
// the same instant do not ask again at the same instant, and all before the keys
// cease to be fresh; nor do those that failed at the same instant.
func TestFleetSpreads(t *testing.T) {
	const fleet, fresh = 20, 10 * time.Minute
	for name, row := range map[string]struct {
		down             bool
		n                int // which fetch of each
		earliest, latest time.Duration
	}{
		"renewal":       {false, 1, fresh * 8 / 10, fresh*9/10 + time.Second},
		"after failure": {true, 2, 2 * time.Second, 3*time.Second + 1},
		"much later":    {true, 9, time.Minute, fresh},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				issuer.Down(row.down)
				start := time.Now()
				journals := make([]journal, fleet)
				for i := range journals {
					go openKeys(t, issuer, journals[i].keep).Run(ctx)
				}
				advance(fresh)
				different := make(map[time.Time]bool)
				for i := range journals {
					at := journals[i].began("schedule")[row.n]
					different[at] = true
					if since := at.Sub(start); since < row.earliest || since >= row.latest {
						t.Errorf("asked after %v, want %v to %v", since, row.earliest, row.latest)
					}
				}
				if len(different) < fleet-2 {
					t.Errorf("%d instants of %d", len(different), fleet)
				}
			})
		})
	}
}

// TestRunEndsWithItsContext shows that Run ends at once, asleep or waiting.
func TestRunEndsWithItsContext(t *testing.T) {
	for name, behaviour := range map[string]testissuer.Behaviour{
		"asleep":  {},
		"waiting": {Delay: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
				issuer.Behave(testissuer.JWKS, behaviour)
				ctx, cancel := context.WithCancel(t.Context())
				var run sync.WaitGroup
				run.Go(func() { keys.Run(ctx) })
				advance(time.Second)
				wantRequests(t, "it runs", issuer, 1)
				cancel()
				atOnce(t, "the end", run.Wait)
				advance(4 * time.Second)
				wants(t, "the fetch begun is not lost", keys.Ready(), nil)
			})
		})
	}
}

// TestRunRecovers shows that Run, without any token, asks an issuer that fails
// less and less, and has its keys within the longest pause after it is back.
func TestRunRecovers(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
		var told journal
		keys := openKeys(t, issuer, told.keep)
		issuer.Down(true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
		advance(time.Hour)
		at := told.began("schedule")
		for i := range len(at) - 1 {
			pause, expected := at[i+1].Sub(at[i]), min(time.Second<<min(i, 10), time.Minute)
			if pause < max(time.Second, expected/2) || pause > max(time.Second, expected) {
				t.Errorf("pause %d is %v; half to all of %v is right", i, pause, expected)
			}
		}
		issuer.Down(false)
		advance(time.Minute)
		wantState(t, "after the longest pause", keys, "fresh")
	})
}

// TestRunNoticesShorterFreshness shows that keys which a token had fetched, and
// which are fresh for a shorter time than those before, are renewed in time.
func TestRunNoticesShorterFreshness(t *testing.T) {
	for _, shortest := range []time.Duration{time.Minute, 10 * time.Second} {
		t.Run(fmt.Sprint(shortest), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := inMemory(t, "max-age=3600")
				defer issuer.Close()
				keys := openKeys(t, issuer, limited(jwkscache.Limits{MinFresh: shortest}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go keys.Run(ctx)
				advance(61 * time.Second)
				issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Header: http.Header{"Cache-Control": {"max-age=1"}}})
				wants(t, "an unknown kid", judge(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey)
				if s := keys.Status(); time.Until(s.FreshUntil) != shortest {
					t.Fatalf("fresh for %v", time.Until(s.FreshUntil))
				}
				for range 300 {
					advance(time.Second)
					wantState(t, "with Run", keys, "fresh")
				}
			})
		})
	}
}

// TestRunWithNobodyToAsk shows that Run does not turn in circles over keys that
// never change and a directory that was read.
func TestRunWithNobodyToAsk(t *testing.T) {
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		keys, err := jwkscache.Open(jwkscache.Static([]byte(`{"keys":[]}`)), jwkscache.Binding{Issuer: issuer, SnapshotDir: directory})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
		advance(time.Hour) // would not return if Run were busy
		wantState(t, "after an hour", keys, "fresh")
	})
}

// TestHooksMayAskTheKeys shows that no hook is called where its own question
// would wait for itself.
func TestHooksMayAskTheKeys(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
		var keys *jwkscache.Keys
		var busy atomic.Bool
		var called atomic.Int64
		ask := func() {
			if !busy.CompareAndSwap(false, true) {
				return
			}
			defer busy.Store(false)
			called.Add(1)
			_ = keys.Status()
			_ = judge(t.Context(), keys, unknown(issuer, "asked by a hook"))
		}
		keys = openKeys(t, issuer, func(b *jwkscache.Binding) {
			b.Trace = &jwkscache.Trace{
				FetchDone:  func(string, jwkscache.FetchDone) { ask() },
				UnknownKid: func(string, jwkscache.UnknownKid) { ask() },
			}
		})
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(3 * time.Second) // the question of its hook is answered
		start := time.Now()
		wants(t, "a made-up kid", judge(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey)
		if took := time.Since(start); took > 6*time.Second { // the kid of the hook waits so long for its fetch
			t.Errorf("a made-up kid took %v", took)
		}
		synctest.Wait()
		if n := called.Load(); n < 2 {
			t.Errorf("%d questions", n)
		}
	})
}

// TestSlowHookHoldsNothing shows that a hook which does not return holds neither
// those who wait nor later fetches.
func TestSlowHookHoldsNothing(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
		released := make(chan struct{})
		keys := openKeys(t, issuer, func(b *jwkscache.Binding) {
			b.Trace = &jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { <-released }}
		})
		for range 10 {
			atOnce(t, "a new key", func() { wants(t, "a new key", judge(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil) })
			issuer.Rotate()
			advance(time.Second)
		}
		close(released)
	})
}

// TestKeysDroppedMeanwhile covers R-DI-07: a token that is being looked up in a
// snapshot while that turns out to be of another jwks_uri is not decided.
func TestKeysDroppedMeanwhile(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "keys")
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
		var where atomic.Pointer[string]
		where.Store(new(issuer.JWKSURL()))
		meanwhile := func() {}
		openHere := func() *jwkscache.Keys {
			return openFaulty(t, func(b *jwkscache.Binding) {
				b.Issuer, b.SnapshotDir, b.HTTPClient = issuer.URL(), directory, issuer.Client()
				b.Locate = func(context.Context) (string, error) {
					if url := where.Load(); url != nil {
						return *url, nil
					}
					return "", errRefused
				}
				b.Trace = &jwkscache.Trace{UnknownKid: func(_ string, asked jwkscache.UnknownKid) {
					if asked.Decision == "refuses" {
						meanwhile()
					}
				}}
			})
		}
		wants(t, "warm", openHere().Warm(t.Context()), nil)
		synctest.Wait() // for the snapshot
		where.Store(nil)
		keys := openHere()
		wants(t, "restarted", ask(t.Context(), keys, issuer.SigningKey()), nil)
		wants(t, "an unknown kid", ask(t.Context(), keys, "x"), jwkscache.ErrUnavailable)
		meanwhile = func() {
			advance(time.Second)
			where.Store(new(issuer.URL() + "/elsewhere"))
			_ = ask(t.Context(), keys, "y")
		}
		wants(t, "another, while the snapshot is dropped", ask(t.Context(), keys, "z"), jwkscache.ErrUnavailable)
		wantState(t, "in the end", keys, "unavailable")
	})
}

// TestKeysNotOpened shows that the zero Keys decide nothing.
func TestKeysNotOpened(t *testing.T) {
	var keys jwkscache.Keys
	wants(t, "a kid", ask(t.Context(), &keys, "x"), jwkscache.ErrUnavailable)
	wants(t, "warm", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
	wants(t, "ready", keys.Ready(), jwkscache.ErrUnavailable)
}

// TestVerdictIsOfTheNewestKeys shows that a kid which was fetched between the
// look-up and the answer is not refused (R-JK-09).
func TestVerdictIsOfTheNewestKeys(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
		var keys *jwkscache.Keys
		meanwhile := func() {}
		keys = openKeys(t, issuer, func(b *jwkscache.Binding) {
			b.Trace = &jwkscache.Trace{UnknownKid: func(_ string, asked jwkscache.UnknownKid) {
				if asked.Decision == "refuses" {
					meanwhile()
				}
			}}
		})
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Down(true)
		wants(t, "no answer", judge(t.Context(), keys, unknown(issuer, "x")), jwkscache.ErrUnavailable)
		issuer.Rotate()
		token := issuer.Sign(testissuer.Token{})
		meanwhile = func() {
			advance(time.Second)
			issuer.Down(false)
			_ = judge(t.Context(), keys, unknown(issuer, "x"))
		}
		wants(t, "a key that another caller's fetch brought", judge(t.Context(), keys, token), nil)
		wantRequests(t, "that one", issuer, 2)
	})
}

// TestAnythingGoes covers R-OP-04: whatever the transport does, and whoever asks
// meanwhile, every question is answered in bounded time with one of three
// answers, and once the faults end, so do their effects.
func TestAnythingGoes(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			directory := ""
			if seed == 0 {
				directory = filepath.Join(t.TempDir(), "keys")
			}
			synctest.Test(t, func(t *testing.T) { anythingGoes(t, seed, directory) })
		})
	}
}

func anythingGoes(t *testing.T, seed uint64, directory string) {
	issuer := inMemory(t, "max-age=60")
	defer issuer.Close()
	var calm atomic.Bool
	released := make(chan struct{})
	keys := openKeys(t, issuer, over(func(r *http.Request) (*http.Response, error) {
		if calm.Load() {
			return issuer.Transport().RoundTrip(r)
		}
		switch n := rand.IntN(100); { // nobody can say which of the fetches gets which
		case n < 50:
			advance(time.Duration(n*n) * time.Millisecond)
			return issuer.Transport().RoundTrip(r)
		case n < 70:
			return nil, errRefused
		case n < 80:
			return answering(gigabyte()), nil
		case n < 85:
			<-r.Context().Done()
			return nil, r.Context().Err()
		case n < 90:
			panic("injected")
		case n < 95:
			runtime.Goexit()
		default:
			select {
			case <-released:
			case <-time.After(time.Duration(n) * time.Second):
			}
		}
		return issuer.Transport().RoundTrip(r)
	}), limited(jwkscache.Limits{Stale: time.Minute}), func(b *jwkscache.Binding) { b.SnapshotDir = directory })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if seed%3 == 0 {
		go keys.Run(ctx)
	}
	var all sync.WaitGroup
	for worker := range uint64(20) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, worker))
			for range 150 {
				start := time.Now()
				if err := anyQuestion(ctx, random, keys, issuer); err != nil && !undecided(err) {
					t.Error(err)
				}
				if took := time.Since(start); took > 3*flightBound {
					t.Errorf("answered after %v", took)
				}
				advance(time.Duration(random.IntN(4000)) * time.Millisecond)
			}
		})
	}
	all.Wait()
	calm.Store(true)
	close(released)
	issuer.Rotate()
	for range 70 { // the longest pause, and a flight
		advance(time.Second)
		_ = judge(ctx, keys, issuer.Sign(testissuer.Token{}))
	}
	wants(t, "in the end", judge(ctx, keys, issuer.Sign(testissuer.Token{})), nil)
	if s := keys.Status(); s.State != "fresh" || s.Waiting != 0 || s.LastError != nil || s.SnapshotError != nil {
		t.Errorf("in the end: %s, %d wait, %v, %v", s.State, s.Waiting, s.LastError, s.SnapshotError)
	}
}

// anyQuestion asks something, or rotates.
func anyQuestion(ctx context.Context, random *rand.Rand, keys *jwkscache.Keys, issuer *testissuer.Issuer) error {
	name := jwkscache.KeyName{KeyID: fmt.Sprint("forbidden-", random.IntN(3))}
	switch n := random.IntN(100); {
	case n < 40:
		return judge(ctx, keys, issuer.Sign(testissuer.Token{}))
	case n < 70:
		return ask(ctx, keys, fmt.Sprint(random.IntN(1<<random.IntN(20))))
	case n < 75:
		return keys.Warm(ctx)
	case n < 80:
		return keys.Forbid(ctx, name)
	case n < 85:
		return keys.Permit(ctx, name)
	case n < 90:
		_ = keys.Status()
		return keys.Ready()
	case n < 95:
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		keys.Run(limited)
		return nil
	default:
		issuer.Retire(issuer.Rotate()) // which signs still, until the next one does
		return nil
	}
}
