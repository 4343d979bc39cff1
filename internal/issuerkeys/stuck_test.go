package issuerkeys_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// body is the body of a response that calls a function for each Read.
type body func([]byte) (int, error)

func (b body) Read(p []byte) (int, error) { return b(p) }
func (body) Close() error                 { return nil }

func answering(b io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: b, ContentLength: -1}
}

// places returns changes of a Binding that call at in each place where a fetch runs
// code from outside this package.
func places(at func()) map[string]func(*issuerkeys.Binding) {
	return map[string]func(*issuerkeys.Binding){
		"the transport": over(func(*http.Request) (*http.Response, error) { at(); return nil, errRefused }),
		"the body": over(func(*http.Request) (*http.Response, error) {
			return answering(body(func([]byte) (int, error) { at(); return 0, errRefused })), nil
		}),
		"Locate": func(b *issuerkeys.Binding) {
			b.Locate = func(context.Context) (string, error) { at(); return "", errRefused }
		},
		"the hook of the start": func(b *issuerkeys.Binding) {
			b.Trace = b.Trace.Join(&jwkscache.Trace{FetchStart: func(string, string) { at() }})
			over(func(*http.Request) (*http.Response, error) { return nil, errRefused })(b)
		},
	}
}

// openFaulty opens a Discovered source.
func openFaulty(t *testing.T, changes ...func(*issuerkeys.Binding)) *issuerkeys.Keys {
	t.Helper()
	binding := issuerkeys.Binding{Locate: func(context.Context) (string, error) { return "https://issuer.test/jwks.json", nil }}
	for _, change := range changes {
		change(&binding)
	}
	keys, err := issuerkeys.Open(jwkscache.Discovered(), binding)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestFetchPanicsOrExits covers R-OP-04: if code from outside this package panics
// in a fetch or ends its goroutine, all callers that wait get an error at once, and
// the next fetch can start.
func TestFetchPanicsOrExits(t *testing.T) {
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
					calls, proceed := 0, make(chan struct{})
					at = func() { calls++; <-proceed; dies() }
					keys := openFaulty(t, change)
					token := issuer.Sign(testissuer.Token{})
					var all sync.WaitGroup
					for range 50 {
						all.Go(func() { wants(t, "a waiter", verify(t.Context(), keys, token), issuerkeys.ErrUnavailable) })
					}
					synctest.Wait()
					if n := keys.Status().Waiting; n != 50 || calls != 1 {
						t.Fatalf("%d wait, %d fetches", n, calls)
					}
					close(proceed)
					atOnce(t, "the end of the waits", all.Wait)
					if s := keys.Status(); s.Failures != 1 || s.LastError == nil || s.Waiting != 0 {
						t.Errorf("%d failures, %v, %d wait", s.Failures, s.LastError, s.Waiting)
					}
					advance(time.Second)
					wants(t, "the next", verify(t.Context(), keys, token), issuerkeys.ErrUnavailable)
					if calls != 2 {
						t.Errorf("%d fetches, want 2", calls)
					}
				})
			})
		}
	}
}

// TestStuckFetchIsAbandoned covers R-OP-04 and R-JK-10: code from outside this
// package that ignores its context delays callers no longer than the time limit of
// a fetch and a second.
func TestStuckFetchIsAbandoned(t *testing.T) {
	var at func()
	for place, change := range places(func() { at() }) {
		t.Run(place, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := inMemory(t, "")
				released := make(chan struct{})
				at = func() { <-released }
				keys := openFaulty(t, change)
				token := issuer.Sign(testissuer.Token{})
				start := time.Now()
				var all sync.WaitGroup
				for range 20 {
					all.Go(func() { wants(t, "a waiter", verify(t.Context(), keys, token), issuerkeys.ErrUnavailable) })
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

// TestLateResultIsDropped shows that the result of an abandoned fetch does not
// replace a set that was fetched since (R-JK-13).
func TestLateResultIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, "")
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
		wants(t, "stale", verify(t.Context(), keys, before), nil)
		advance(flightBound)
		wants(t, "given up", told.last().Err, detached.ErrAbandoned)

		issuer.Retire(issuer.SigningKey())
		issuer.Rotate()
		after := issuer.Sign(testissuer.Token{})
		wants(t, "the newer key", verify(t.Context(), keys, after), nil)
		close(released)
		synctest.Wait()
		wants(t, "the newer key", verify(t.Context(), keys, after), nil)
		wants(t, "the older key", verify(t.Context(), keys, before), jose.ErrUnknownKey)
		synctest.Wait() // for the hook of the last
		if calls != 4 || len(told.dones) != 4 || keys.Status().LastError != nil {
			t.Errorf("%d fetches, %d reports, %v", calls, len(told.dones), keys.Status().LastError)
		}
	})
}

// TestStuckFetchesAreBounded shows that at most four abandoned fetches remain in a
// transport that does not return, and that fetches resume when it returns, even if
// a hook ended their goroutines.
func TestStuckFetchesAreBounded(t *testing.T) {
	for _, run := range []bool{false, true} {
		t.Run(fmt.Sprint("Run ", run), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := inMemory(t, "")
				released := make(chan struct{})
				var calls atomic.Int64
				keys := openKeys(t, issuer, over(func(r *http.Request) (*http.Response, error) {
					if calls.Add(1) == 1 {
						return issuer.Transport().RoundTrip(r)
					}
					<-released
					return issuer.Transport().RoundTrip(r)
				}), func(b *issuerkeys.Binding) {
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
					go func() { wants(t, "an unknown kid", verify(t.Context(), keys, strange), issuerkeys.ErrUnavailable) }()
					atOnce(t, "a known kid", func() { wants(t, "a known kid", verify(t.Context(), keys, token), nil) })
					advance(3 * time.Second)
				}
				if n := calls.Load(); n != 1+4 {
					t.Errorf("%d fetches", n)
				}
				advance(10 * time.Minute)
				wants(t, "too old", verify(t.Context(), keys, token), issuerkeys.ErrUnavailable)
				close(released)
				synctest.Wait()
				if run {
					advance(time.Second)
				} else {
					wants(t, "again", verify(t.Context(), keys, token), nil)
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
