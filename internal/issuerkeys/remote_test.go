package issuerkeys_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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

// bubble runs a test with a fake clock, an issuer in memory and its keys.
func bubble(t *testing.T, do func(*testing.T, *issuertest.Issuer, *issuerkeys.Keys)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		do(t, issuer, openKeys(t, issuer))
	})
}

func openKeys(t *testing.T, issuer *issuertest.Issuer, changes ...func(*issuerkeys.Binding)) *issuerkeys.Keys {
	t.Helper()
	binding := issuerkeys.Binding{
		Issuer:     issuer.URL(),
		Algorithms: []jose.Algorithm{jose.ES256},
		HTTPClient: issuer.Client(),
	}
	for _, change := range changes {
		change(&binding)
	}
	keys, err := issuerkeys.Open(jwkscache.URL(issuer.JWKSURL()), binding)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// verify finds the key of a token and verifies the token.
func verify(ctx context.Context, keys *issuerkeys.Keys, token string) error {
	unverified, err := jose.ParseCompact(token)
	if err != nil {
		return err
	}
	candidates, err := keys.Find(ctx, time.Now(), unverified.UnverifiedHeader())
	if err != nil {
		return err
	}
	for _, key := range candidates.Keys {
		if err = key.Verify(&unverified); err == nil {
			return nil
		}
	}
	return err
}

// unknown returns a token with a kid that was never published.
func unknown(issuer *issuertest.Issuer, kid any) string {
	return issuer.Sign(testissuer.Token{Header: map[string]any{"kid": fmt.Sprint(kid)}})
}

// advance sleeps in the bubble of the test.
func advance(d time.Duration) { <-time.After(d) }

// wants fails the test unless err is want, which may be nil.
func wants(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) || (err == nil) != (want == nil) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func wantRequests(t *testing.T, what string, issuer *issuertest.Issuer, want int) {
	t.Helper()
	if got := issuer.Requests(testissuer.JWKS); got != want {
		t.Errorf("%s: %d fetches, want %d", what, got, want)
	}
}

// TestOnDemand shows that keys work without Warm and Run.
func TestOnDemand(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "before", keys.Ready(), issuerkeys.ErrUnavailable)
		for range 3 {
			wants(t, "a good token", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
		}
		wants(t, "after", keys.Ready(), nil)
		wantRequests(t, "three tokens", issuer, 1)
	})
}

func TestWarm(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		issuer.Down(true)
		wants(t, "down", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
		issuer.Down(false)
		wants(t, "in the cooldown", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
		advance(time.Second)
		wants(t, "up", keys.Warm(t.Context()), nil)
		advance(time.Minute)
		wants(t, "again", keys.Warm(t.Context()), nil)
		wantRequests(t, "warmed twice", issuer, 1)
	})
}

// TestWarmEndsWithItsContext shows that Warm returns an error if its context ends
// too early.
func TestWarmEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := keys.Warm(ctx)
		wants(t, "given up", err, issuerkeys.ErrUnavailable)
		wants(t, "given up", err, context.Canceled)
	})
}

// TestUnknownKid covers R-JK-09 and R-JK-11.
func TestUnknownKid(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Rotate()
		wants(t, "a new key, first time", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
		wantRequests(t, "rotation", issuer, 2)
		start := time.Now()
		wants(t, "a made-up kid in the cooldown", verify(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey)
		if took := time.Since(start); took != time.Second {
			t.Errorf("the next fetch is allowed after a second, and it was awaited for %v", took)
		}
		wantRequests(t, "made-up kid", issuer, 3)
		advance(time.Second)
		issuer.Down(true)
		wants(t, "an unknown kid and no answer", verify(t.Context(), keys, unknown(issuer, "y")), issuerkeys.ErrUnavailable)
		wants(t, "and again in the cooldown", verify(t.Context(), keys, unknown(issuer, "y")), issuerkeys.ErrUnavailable)
		wants(t, "a known kid meanwhile", verify(t.Context(), keys, issuer.Sign(testissuer.Token{})), nil)
	})
}

// TestNoFetchFor shows which tokens never cause a fetch (R-JS-17). A bad signature
// causes none by Find; see TestFindAgain.
func TestNoFetchFor(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		for name, token := range map[string]struct {
			token testissuer.Token
			want  error
		}{
			"a bad signature under a known kid": {testissuer.Token{Forgery: testissuer.ForeignKey}, jose.ErrSignature},
			"no kid, and one key":               {testissuer.Token{Header: map[string]any{"kid": nil}}, nil},
			"a long kid":                        {testissuer.Token{Header: map[string]any{"kid": string(make([]byte, 257))}}, jose.ErrUnknownKey},
			"no such alg":                       {testissuer.Token{Header: map[string]any{"alg": "none", "kid": "x"}}, jose.ErrAlgorithm},
		} {
			for range 200 {
				wants(t, name, verify(t.Context(), keys, issuer.Sign(token.token)), token.want)
			}
			advance(10 * time.Second)
		}
		wantRequests(t, "all of it", issuer, 1)
	})
}

// TestSharedFetch covers R-JK-10: many callers wait for one fetch, and the
// cancellation of the first does not affect the others.
func TestSharedFetch(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 3 * time.Second})
		token := issuer.Sign(testissuer.Token{})
		first, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { wants(t, "the first caller", verify(first, keys, token), context.Canceled) })
		synctest.Wait()
		for range 50 {
			all.Go(func() { wants(t, "another caller", verify(t.Context(), keys, token), nil) })
		}
		synctest.Wait()
		start := time.Now()
		cancel()
		synctest.Wait()
		if time.Since(start) != 0 {
			t.Error("the first caller had to wait")
		}
		all.Wait()
		wantRequests(t, "51 callers", issuer, 1)
	})
}

func TestTooManyWaiters(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
		token := issuer.Sign(testissuer.Token{})
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { wants(t, "a waiter", verify(t.Context(), keys, token), nil) })
		}
		synctest.Wait()
		start := time.Now()
		first, second := verify(t.Context(), keys, token), verify(t.Context(), keys, token)
		wants(t, "a caller above the limit", first, issuerkeys.ErrUnavailable)
		if time.Since(start) != 0 {
			t.Error("the refused caller waited")
		}
		if first != second { //nolint:errorlint // the very error
			t.Errorf("each refused caller gets an error of its own: %v", second)
		}
		all.Wait()
	})
}

// TestWithdrawnKey covers R-JK-13: a key that is not in the set after a refresh
// stops verifying. An empty set is used for MinFresh.
func TestWithdrawnKey(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
		advance(time.Minute)
		old := issuer.Sign(testissuer.Token{})
		wants(t, "published", verify(t.Context(), keys, old), nil)
		issuer.Retire(issuer.SigningKey())
		for len(keys.Status().Keys) > 0 {
			advance(time.Second)
		}
		wants(t, "withdrawn", verify(t.Context(), keys, old), jose.ErrUnknownKey)
		wants(t, "ready with an empty set", keys.Ready(), nil)
		advance(time.Minute)
		wants(t, "a minute later", verify(t.Context(), keys, old), issuerkeys.ErrUnavailable)
	})
}

// TestRun shows that Run renews the keys ahead of expiry, so that no request meets
// stale keys, backs off after failures, and ends with its context.
func TestRun(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { keys.Run(ctx); close(ended) }()
		synctest.Wait()
		wants(t, "fetched at once", keys.Ready(), nil)
		advance(time.Hour)
		if n := issuer.Requests(testissuer.JWKS); n < 7 || n > 9 {
			t.Errorf("%d fetches in an hour of ten-minute sets", n)
		}
		before := issuer.Requests(testissuer.JWKS)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: http.StatusInternalServerError})
		advance(time.Hour)
		if n := issuer.Requests(testissuer.JWKS) - before; n < 50 || n > 130 {
			t.Errorf("%d fetches in an hour of failures", n)
		}
		cancel()
		<-ended
	})
}

// TestFetched shows that FetchDone is called for fetches.
func TestFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		issuer.ExtraJWKs(`{"kty":"AKP","kid":"pq"}`)
		var reports []jwkscache.FetchDone
		keys, err := issuerkeys.Open(jwkscache.URL(issuer.JWKSURL()), issuerkeys.Binding{
			HTTPClient: issuer.Client(),
			Trace:      &jwkscache.Trace{FetchDone: func(_ string, done jwkscache.FetchDone) { reports = append(reports, done) }},
		})
		if err != nil {
			t.Fatal(err)
		}
		if keys.Ignored() != nil {
			t.Error("keys are ignored before any was fetched")
		}
		wants(t, "warm", keys.Warm(t.Context()), nil)
		synctest.Wait()
		if len(reports) != 1 || reports[0].Err != nil || reports[0].Keys != 1 ||
			len(reports[0].Ignored) != 1 || len(keys.Ignored()) != 1 || keys.Ignored()[0].KeyID != "pq" {
			t.Errorf("%+v, %+v", reports, keys.Ignored())
		}
	})
}

// TestFreshness covers the bounds of R-JK-08.
func TestFreshness(t *testing.T) {
	for control, want := range map[string]time.Duration{
		"":                                     10 * time.Minute,
		"public":                               10 * time.Minute,
		"max-age=300":                          5 * time.Minute,
		"public, MAX-AGE=300, must-revalidate": 5 * time.Minute,
		`max-age="300"`:                        5 * time.Minute,
		"max-age=0":                            time.Minute,
		"max-age=1":                            time.Minute,
		"no-store":                             time.Minute,
		"no-cache, max-age=300":                time.Minute,
		"max-age=86400":                        24 * time.Hour,
		"max-age=999999999":                    24 * time.Hour,
		"max-age=99999999999999999999":         time.Minute,
		"max-age=-1":                           time.Minute,
		"max-age=x":                            time.Minute,
		"max-age=3600, no-store":               time.Minute,
		"max-age=3600, max-age=300":            5 * time.Minute,
		"max-age=300, max-age=3600":            5 * time.Minute,
		"max-age=3600, max-age=x":              time.Minute,
	} {
		t.Run(control, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := issuertest.Start(t, testissuer.Config{CacheControl: control})
				keys := openKeys(t, issuer)
				token := issuer.Sign(testissuer.Token{Lifetime: 48 * time.Hour})
				wants(t, "warm", keys.Warm(t.Context()), nil)
				advance(want - time.Second)
				wants(t, "fresh", verify(t.Context(), keys, token), nil)
				synctest.Wait()
				wantRequests(t, "while fresh", issuer, 1)
				advance(time.Second)
				stale := verify(t.Context(), keys, token)
				synctest.Wait()
				wantRequests(t, "no longer fresh", issuer, 2)
				wants(t, "the token", stale, nil)
			})
		})
	}
}

// TestAge shows that the Age field shortens the freshness, down to MinFresh if it
// cannot be read.
func TestAge(t *testing.T) {
	for age, want := range map[string]time.Duration{
		"240":                  6 * time.Minute,
		"0":                    10 * time.Minute,
		"600":                  time.Minute,
		"-1":                   time.Minute,
		"x":                    time.Minute,
		"99999999999999999999": time.Minute,
	} {
		t.Run(age, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := issuertest.Start(t, testissuer.Config{CacheControl: "max-age=600"})
				issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Header: http.Header{"Age": {age}}})
				keys := openKeys(t, issuer)
				token := issuer.Sign(testissuer.Token{Lifetime: time.Hour})
				wants(t, "warm", keys.Warm(t.Context()), nil)
				advance(want - time.Second)
				wants(t, "fresh", verify(t.Context(), keys, token), nil)
				synctest.Wait()
				wantRequests(t, "while fresh", issuer, 1)
				advance(time.Second)
				wants(t, "no longer fresh", verify(t.Context(), keys, token), nil)
				synctest.Wait()
				wantRequests(t, "no longer fresh", issuer, 2)
			})
		})
	}
}
