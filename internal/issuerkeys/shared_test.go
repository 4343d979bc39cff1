package issuerkeys_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// sharing returns a change of a Binding that sets Shared.
func sharing(t *testing.T, limits jwkscache.SharedLimits) *issuerkeys.Shared {
	t.Helper()
	shared, err := issuerkeys.NewShared(limits)
	if err != nil {
		t.Fatal(err)
	}
	return shared
}

// serving returns a client that answers every request with the set that set points
// to.
func serving(set *[]byte) *http.Client {
	return &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(bytes.NewReader(*set)), Request: r,
		}, nil
	})}
}

// TestSharedMemory shows that a set is not used if there is no memory for it, and
// that the set before stays in use.
func TestSharedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		shared, set := sharing(t, jwkscache.SharedLimits{KeyBytes: 2 << 20}), issuer.JWKS()
		keys, err := issuerkeys.Open(jwkscache.URL("https://issuer.test/jwks"), issuerkeys.Binding{Shared: shared, HTTPClient: serving(&set)})
		if err != nil {
			t.Fatal(err)
		}
		wants(t, "a small set", keys.Warm(t.Context()), nil)
		set = slices.Concat(set, bytes.Repeat([]byte(" "), 100<<10))
		advance(15 * time.Minute)
		token := issuer.Sign(testissuer.Token{})
		wants(t, "the set before", verify(t.Context(), keys, token), nil)
		synctest.Wait()
		if err := keys.Status().LastError; err == nil || !strings.Contains(err.Error(), "SharedLimits.KeyBytes") {
			t.Errorf("SnapshotError is %v", err)
		}
		advance(2 * time.Hour)
		wants(t, "the set before, too old", verify(t.Context(), keys, token), issuerkeys.ErrUnavailable)
		set = issuer.JWKS()
		advance(time.Minute)
		wants(t, "a small set again", verify(t.Context(), keys, token), nil)
	})
}

// TestSharedAbandoned shows that fetches which do not end, because their transport
// ignores its context, delay other issuers no longer than the time limit of a
// fetch.
func TestSharedAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		shared, set, gate := sharing(t, jwkscache.SharedLimits{Fetches: 4}), issuer.JWKS(), make(chan struct{})
		stuck := &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
			<-gate
			return nil, errRefused
		})}
		var done jwkscache.FetchDone
		trace := &jwkscache.Trace{FetchDone: func(_ string, d jwkscache.FetchDone) {
			if d.Err == nil {
				done = d
			}
		}}
		open := func(client *http.Client) *issuerkeys.Keys {
			keys, err := issuerkeys.Open(jwkscache.URL("https://issuer.test/jwks"), issuerkeys.Binding{Shared: shared, HTTPClient: client, Trace: trace})
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		ctx, cancel := context.WithCancel(t.Context())
		for range 4 {
			keys := open(stuck)
			go func() { _ = keys.Warm(ctx) }()
		}
		synctest.Wait()
		start := time.Now()
		wants(t, "another issuer", open(serving(&set)).Warm(t.Context()), nil)
		if took := time.Since(start); took != 6*time.Second {
			t.Errorf("another issuer waited for %v", took)
		}
		synctest.Wait()
		if done.Keys == 0 || done.Took != 0 {
			t.Errorf("the fetch took %v after its turn, and returned %d keys", done.Took, done.Keys)
		}
		cancel()
		close(gate)
	})
}

// TestSharedWait shows that a caller waits a bounded time for the turn of a fetch,
// and that the fetch begins later all the same.
func TestSharedWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		shared, set := sharing(t, jwkscache.SharedLimits{Fetches: 4}), issuer.JWKS()
		slow := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})}
		open := func(client *http.Client) *issuerkeys.Keys {
			keys, err := issuerkeys.Open(jwkscache.URL("https://issuer.test/jwks"), issuerkeys.Binding{Shared: shared, HTTPClient: client})
			if err != nil {
				t.Fatal(err)
			}
			return keys
		}
		for range 18 { // three at a time, of 5 s each
			keys := open(slow)
			go func() { _ = keys.Warm(t.Context()) }()
		}
		synctest.Wait()
		start, keys, token := time.Now(), open(serving(&set)), issuer.Sign(testissuer.Token{})
		wants(t, "a request", verify(t.Context(), keys, token), issuerkeys.ErrUnavailable)
		if took := time.Since(start); took != 16*time.Second {
			t.Errorf("a request waited for %v", took)
		}
		advance(15 * time.Second)
		wants(t, "a later one", keys.Ready(), nil)
	})
}

// TestFetchGetsNoValues shows that a fetch gets none of the context values of the
// request that started it, because its result is for all callers.
func TestFetchGetsNoValues(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		fetches := 0
		keys, err := issuerkeys.Open(jwkscache.URL("https://issuer.test/jwks"), issuerkeys.Binding{
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				fetches++
				if r.Context().Value(key{}) != nil {
					t.Error("the transport gets the values of a request")
				}
				return nil, errRefused
			})},
		})
		if err != nil {
			t.Fatal(err)
		}
		wants(t, "a request", keys.Warm(context.WithValue(t.Context(), key{}, "first")), issuerkeys.ErrUnavailable)
		if fetches != 1 {
			t.Errorf("%d fetches", fetches)
		}
	})
}
