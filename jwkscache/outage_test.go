package jwkscache_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// transport is an http.RoundTripper of one function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errRefused = errors.New("connection refused")

// counted opens keys over a transport that fails, and counts its requests.
func counted(t *testing.T, fetched func(jwkscache.FetchDone)) (keys *jwkscache.Keys, requests *int) {
	t.Helper()
	requests = new(int)
	keys, err := jwkscache.Open(jwkscache.URL("https://issuer.test/jwks"), jwkscache.Binding{
		HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			*requests++
			return nil, errRefused
		})},
		Trace: &jwkscache.Trace{FetchDone: func(_ string, done jwkscache.FetchDone) {
			if fetched != nil {
				fetched(done)
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, requests
}

// TestDeadIssuerIsLeftAlone shows that requests do not hammer an issuer that
// does not answer: without keys it is asked less and less, down to once in five
// seconds.
func TestDeadIssuerIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		defer issuer.Close()
		keys, requests := counted(t, nil)
		token := issuer.Sign(testissuer.Token{})
		for range 600 {
			wants(t, "a token", judge(t.Context(), keys, token), jwkscache.ErrUnavailable)
			advance(100 * time.Millisecond)
		}
		if *requests < 10 || *requests > 16 {
			t.Errorf("%d requests in a minute", *requests)
		}
	})
}

// TestJoinedFetch shows that a caller who joins a fetch which read the set
// before the key was published gets one more (R-JK-09).
func TestJoinedFetch(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 2 * time.Second, Times: 1})
		var all sync.WaitGroup
		all.Go(func() { wants(t, "a made-up kid", judge(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey) })
		synctest.Wait()
		issuer.Rotate()
		wants(t, "a key published meanwhile", judge(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
		all.Wait()
		wantRequests(t, "the fetch joined and one more", issuer, 3)
	})
}

// TestOneFetchIsEnough shows the other side: who joined a fetch that brought the
// key, and who waited long for a fetch of their own, need no other.
func TestOneFetchIsEnough(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 2 * time.Second})
		issuer.Rotate()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { wants(t, "a new key", judge(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil) })
		}
		all.Wait()
		wantRequests(t, "three callers", issuer, 2)
		advance(time.Second)
		wants(t, "a made-up kid", judge(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey)
		wantRequests(t, "one slow fetch", issuer, 3)
	})
}

// TestJoinedFetchDecides shows that a caller who joined a fetch which brought the
// kid, for another algorithm, does not ask again.
func TestJoinedFetchDecides(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 2 * time.Second})
		other := issuer.AddKey(testissuer.Key{Algorithm: jose.EdDSA})
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				wants(t, "a key of another algorithm", judge(t.Context(), keys, unknown(issuer, other)), jose.ErrAlgorithm)
			})
		}
		all.Wait()
		wantRequests(t, "one fetch for both", issuer, 2)
	})
}

// TestCauseIsTold shows that the error of an operator's log names what went
// wrong, also while no fetch is allowed.
func TestCauseIsTold(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: http.StatusTeapot})
		for range 2 {
			if err := keys.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), issuer.JWKSURL()+" answered 418") {
				t.Errorf("%v", err)
			}
		}
		wantRequests(t, "warmed twice", issuer, 1)
	})
}

// TestWarmRenewsStaleKeys shows that Warm is not content with keys too old to
// be used.
func TestWarmRenewsStaleKeys(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(2 * time.Hour)
		wants(t, "not ready", keys.Ready(), jwkscache.ErrUnavailable)
		wants(t, "warm again", keys.Warm(t.Context()), nil)
		wants(t, "ready", keys.Ready(), nil)
		wantRequests(t, "warmed twice", issuer, 2)
	})
}

// TestRunAmongManyWaiters shows that Run does not turn in circles when as many
// as may wait do so already.
func TestRunAmongManyWaiters(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 4 * time.Second})
		token := issuer.Sign(testissuer.Token{})
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { wants(t, "a waiter", judge(t.Context(), keys, token), nil) })
		}
		synctest.Wait()
		go keys.Run(t.Context())
		synctest.Wait() // would not return if Run were busy
		all.Wait()
		wantRequests(t, "one fetch for all", issuer, 1)
	})
}

// TestPanickingHook shows that a hook cannot end the process from the shared
// fetch's goroutine.
func TestPanickingHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys, _ := counted(t, func(jwkscache.FetchDone) { panic("injected") })
		wants(t, "warm", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
		synctest.Wait()
	})
}
