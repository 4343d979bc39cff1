package issuerkeys_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// transport is an http.RoundTripper that calls a function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errRefused = errors.New("connection refused")

// counted opens keys whose transport fails, and counts the requests.
func counted(t *testing.T, fetched func(jwkscache.FetchDone)) (keys *issuerkeys.Keys, requests *int) {
	t.Helper()
	requests = new(int)
	keys, err := issuerkeys.Open(jwkscache.URL("https://issuer.test/jwks"), issuerkeys.Binding{
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

// TestFetchesFromADeadIssuer shows that the pauses between fetches from an issuer
// that does not answer grow, without keys up to five seconds.
func TestFetchesFromADeadIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		keys, requests := counted(t, nil)
		token := issuer.Sign(testissuer.Token{})
		for range 600 {
			wants(t, "a token", verify(t.Context(), keys, token), issuerkeys.ErrUnavailable)
			advance(100 * time.Millisecond)
		}
		if *requests < 10 || *requests > 16 {
			t.Errorf("%d requests in a minute", *requests)
		}
	})
}

// TestJoinedFetch shows that a caller who joins a fetch that read the set too early
// waits for the next one.
func TestJoinedFetch(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 2 * time.Second, Times: 1})
		var all sync.WaitGroup
		all.Go(func() { wants(t, "a made-up kid", verify(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey) })
		synctest.Wait()
		issuer.Rotate()
		wants(t, "a key published meanwhile", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
		all.Wait()
		wantRequests(t, "the fetch joined and one more", issuer, 3)
	})
}

// TestWaitersNeedOneFetch shows that a caller needs no other fetch if it joined a
// fetch that returned the key, or waited long for its own fetch.
func TestWaitersNeedOneFetch(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 2 * time.Second})
		issuer.Rotate()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { wants(t, "a new key", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil) })
		}
		all.Wait()
		wantRequests(t, "three callers", issuer, 2)
		advance(time.Second)
		wants(t, "a made-up kid", verify(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey)
		wantRequests(t, "one slow fetch", issuer, 3)
	})
}

// TestJoinedFetchDecides shows that a caller who joined a fetch that returned the
// kid, for another algorithm, starts no other fetch.
func TestJoinedFetchDecides(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 2 * time.Second})
		other := issuer.AddKey(testissuer.Key{Algorithm: jose.EdDSA})
		var all sync.WaitGroup
		for range 2 {
			all.Go(func() {
				wants(t, "a key of another algorithm", verify(t.Context(), keys, unknown(issuer, other)), jose.ErrAlgorithm)
			})
		}
		all.Wait()
		wantRequests(t, "one fetch for both", issuer, 2)
	})
}

// TestErrorHasTheCause shows that errors name the cause of the last failure, also
// while no fetch is allowed.
func TestErrorHasTheCause(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: http.StatusTeapot})
		for range 2 {
			if err := keys.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), issuer.JWKSURL()+" answered 418") {
				t.Errorf("%v", err)
			}
		}
		wantRequests(t, "warmed twice", issuer, 1)
	})
}

// TestWarmRenewsStaleKeys shows that Warm fetches if the keys are too old to be
// used.
func TestWarmRenewsStaleKeys(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(2 * time.Hour)
		wants(t, "not ready", keys.Ready(), issuerkeys.ErrUnavailable)
		wants(t, "warm again", keys.Warm(t.Context()), nil)
		wants(t, "ready", keys.Ready(), nil)
		wantRequests(t, "warmed twice", issuer, 2)
	})
}

// TestRunAmongManyWaiters shows that Run does not loop when the maximum number of
// callers waits.
func TestRunAmongManyWaiters(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 4 * time.Second})
		token := issuer.Sign(testissuer.Token{})
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { wants(t, "a waiter", verify(t.Context(), keys, token), nil) })
		}
		synctest.Wait()
		go keys.Run(t.Context())
		synctest.Wait() // would not return if Run were busy
		all.Wait()
		wantRequests(t, "one fetch for all", issuer, 1)
	})
}
