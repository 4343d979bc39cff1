package validator_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// metadataDocuments are where an issuer without a path has its metadata.
var metadataDocuments = []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata}

// advance lets time pass in a bubble.
func advance(d time.Duration) { <-time.After(d) }

// trusting makes a validator that discovers the keys of the issuers.
func trusting(t *testing.T, trace *validator.Trace, issuers ...*issuertest.Issuer) *validator.Validator {
	t.Helper()
	config := validator.Config{Trace: trace}
	for _, issuer := range issuers {
		config.Issuers = append(config.Issuers, discovering(issuer))
	}
	return issuertest.Validator(t, config)
}

// reasonFor returns why v refuses this token of the issuer, or "".
func reasonFor(t *testing.T, v *validator.Validator, issuer *issuertest.Issuer, token testissuer.Token) validator.Reason {
	t.Helper()
	_, err := v.Validate(t.Context(), bearer(issuer.Sign(token)))
	return validator.ReasonOf(err)
}

func wantReason(t *testing.T, what string, got, want validator.Reason) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// TestDiscoveredKeys covers R-JK-01 and R-DI-06: keys come from the validated
// metadata of the issuer, for issuers with and without a path.
func TestDiscoveredKeys(t *testing.T) {
	for _, url := range []string{"https://issuer.test", "https://issuer.test/", "https://issuer.test/tenant/1"} {
		synctest.Test(t, func(t *testing.T) {
			issuer := issuertest.At(t, url)
			widen := func(members map[string]any) {
				members["id_token_signing_alg_values_supported"] = []string{"none", "HS256"}
			}
			issuer.Metadata(testissuer.OAuthMetadata, widen)
			v := trusting(t, nil, issuer)
			wantReason(t, url, reasonFor(t, v, issuer, testissuer.Token{}), "")
			wantReason(t, "HS256", reasonFor(t, v, issuer, testissuer.Token{Forgery: testissuer.HMACWithPublicKey}), validator.AlgorithmNotAllowed)
		})
	}
}

// TestLifecycle covers Warm, Run and Ready over several issuers: one that is
// down costs the others nothing (R-JK-12).
func TestLifecycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, down := issuertest.At(t, "https://up.test"), issuertest.At(t, "https://down.test")
		down.Down(true)
		v := trusting(t, nil, up, down)
		if err := v.Ready(); err == nil || !strings.Contains(err.Error(), "up.test") || !strings.Contains(err.Error(), "down.test") {
			t.Errorf("Ready before anything: %v", err)
		}
		err := v.Warm(t.Context())
		if !errors.Is(err, issuerkeys.ErrUnavailable) || !strings.Contains(err.Error(), `"https://down.test"`) || strings.Contains(err.Error(), "up.test") {
			t.Errorf("Warm: %v", err)
		}
		wantReason(t, "of the one that is up", reasonFor(t, v, up, testissuer.Token{}), "")
		wantReason(t, "of the one that is down", reasonFor(t, v, down, testissuer.Token{}), validator.Unavailable)
		if err := v.Ready(); err != nil {
			t.Errorf("Ready while one of two is down: %v", err)
		}
		wantStates(t, "while one is down", v, "fresh", "unavailable")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- v.Run(ctx) }()
		down.Down(false)
		advance(2 * time.Minute)
		if err := v.Ready(); err != nil {
			t.Errorf("Ready after Run found the issuer again: %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// TestNoMetadata shows what an operator is told when discovery finds nothing.
func TestNoMetadata(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		for _, e := range metadataDocuments {
			issuer.Behave(e, testissuer.Behaviour{Status: http.StatusNotFound})
		}
		if err := trusting(t, nil, issuer).Warm(t.Context()); !errors.Is(err, discovery.ErrNoMetadata) {
			t.Errorf("%v, want ErrNoMetadata", err)
		}
	})
}

// TestWarmEndsWithItsContext shows that Warm waits no longer than it may.
func TestWarmEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 4 * time.Second})
		v := trusting(t, nil, issuer)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		if err := v.Warm(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		advance(4 * time.Second)
		if err := v.Ready(); err != nil {
			t.Errorf("the fetch was given up with its caller: %v", err)
		}
	})
}

// TestMetadataIsRemembered shows that metadata is asked for once an hour, and that a
// failure leaves the last known key URL in use (R-DI-03).
func TestMetadataIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v := trusting(t, nil, issuer)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { _ = v.Run(ctx) }()
		advance(50 * time.Minute)
		if n := issuer.Requests(testissuer.OAuthMetadata); n != 1 {
			t.Errorf("metadata was asked for %d times in 50 minutes", n)
		}
		for _, e := range metadataDocuments {
			issuer.Metadata(e, func(members map[string]any) { members["issuer"] = "https://evil.example" })
		}
		advance(3 * time.Hour)
		if n := issuer.Requests(testissuer.OAuthMetadata); n < 10 {
			t.Errorf("metadata was asked for %d times in three hours of failures", n)
		}
		wantReason(t, "with the last known URL", reasonFor(t, v, issuer, testissuer.Token{}), "")
	})
}

// TestHungDiscovery shows that metadata which is slow to come does not keep keys
// away that are to be had (R-DI-07).
func TestHungDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v := trusting(t, nil, issuer)
		wantReason(t, "before", reasonFor(t, v, issuer, testissuer.Token{}), "")
		for _, e := range metadataDocuments {
			issuer.Behave(e, testissuer.Behaviour{Delay: time.Hour})
		}
		for range 20 {
			advance(time.Hour)
			wantReason(t, "with the last known URL", reasonFor(t, v, issuer, testissuer.Token{}), "")
		}
	})
}

// TestHungLocation shows that the last place where metadata may stand is tried
// although the others do not answer.
func TestHungLocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.At(t, "https://issuer.test/tenant")
		for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDInserted} {
			issuer.Behave(e, testissuer.Behaviour{Delay: time.Hour})
		}
		if err := trusting(t, nil, issuer).Warm(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// TestSlowLocation covers R-DI-07: a changed key URL is found although one place
// where metadata may stand hangs and the other is slow, and however short keys
// may take.
func TestSlowLocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		issuer.Behave(testissuer.OAuthMetadata, testissuer.Behaviour{Delay: time.Hour})
		issuer.Behave(testissuer.OpenIDMetadata, testissuer.Behaviour{Delay: 2 * time.Second})
		var moved atomic.Int64
		v := issuertest.Validator(t, validator.Config{
			Issuers: []validator.Issuer{issuer.Config(issuer.Fetched, func(c *validator.Issuer) { c.KeyLimits.FetchTimeout = time.Second })},
			Trace:   &validator.Trace{Keys: &jwkscache.Trace{Moved: func(string, string, string) { moved.Add(1) }}},
		})
		if err := v.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		issuer.Metadata(testissuer.OpenIDMetadata, func(members map[string]any) { members["jwks_uri"] = issuer.JWKSURL() + "?2" })
		for range 8 {
			advance(10 * time.Minute)
			wantReason(t, "meanwhile", reasonFor(t, v, issuer, testissuer.Token{}), "")
		}
		advance(20 * time.Second)
		if n := moved.Load(); n != 1 {
			t.Errorf("told of %d moves", n)
		}
	})
}

// TestMetadataThatNamesAnother covers R-DI-03: the last known key URL serves for
// a bounded time.
func TestMetadataThatNamesAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v := trusting(t, nil, issuer)
		wantReason(t, "before", reasonFor(t, v, issuer, testissuer.Token{}), "")
		for _, e := range metadataDocuments {
			issuer.Metadata(e, func(members map[string]any) { members["issuer"] = "https://evil.example" })
		}
		for range 22 {
			advance(time.Hour)
			wantReason(t, "inside the bound", reasonFor(t, v, issuer, testissuer.Token{}), "")
		}
		asked := issuer.Requests(testissuer.OAuthMetadata)
		if asked > 25 {
			t.Errorf("metadata was asked for %d times", asked)
		}
		advance(5 * time.Hour)
		wantReason(t, "after it", reasonFor(t, v, issuer, testissuer.Token{}), validator.Unavailable)
	})
}

// TestFailedDiscoveryIsNotRepeated shows that a flood of unknown kids, which costs
// fetches of keys, does not cost as many of metadata.
func TestFailedDiscoveryIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v := trusting(t, nil, issuer)
		wantReason(t, "before", reasonFor(t, v, issuer, testissuer.Token{}), "")
		advance(61 * time.Minute)
		for _, e := range metadataDocuments {
			issuer.Behave(e, testissuer.Behaviour{Status: http.StatusNotFound})
		}
		metadata, keys := issuer.Requests(testissuer.OAuthMetadata), issuer.Requests(testissuer.JWKS)
		for start := time.Now(); time.Since(start) < 45*time.Second; {
			unknown := testissuer.Token{Header: map[string]any{"kid": "made-up"}}
			wantReason(t, "a made-up kid", reasonFor(t, v, issuer, unknown), validator.UnknownKey)
			advance(time.Second)
		}
		if issuer.Requests(testissuer.JWKS)-keys < 10 || issuer.Requests(testissuer.OAuthMetadata)-metadata != 1 {
			t.Errorf("%d requests for keys, %d for metadata", issuer.Requests(testissuer.JWKS)-keys, issuer.Requests(testissuer.OAuthMetadata)-metadata)
		}
	})
}

// TestZeroValidator shows that one which New did not make can judge nothing.
func TestZeroValidator(t *testing.T) {
	var v validator.Validator
	if validator.ReasonOf(v.Ready()) != validator.Unavailable {
		t.Errorf("Ready: %v", v.Ready())
	}
	_, err := v.Validate(t.Context(), bearer("a"))
	wantReason(t, "Validate", validator.ReasonOf(err), validator.Unavailable)
}

// TestUnknownIssuerCostsNoRequest covers R-CL-02.
func TestUnknownIssuerCostsNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v := trusting(t, nil, issuer)
		for _, iss := range []any{nil, "https://issuer.test/", "https://evil.example", "https://169.254.169.254", 7} {
			token := testissuer.Token{Claims: map[string]any{"iss": iss}}
			wantReason(t, "an unknown issuer", reasonFor(t, v, issuer, token), validator.UnknownIssuer)
		}
		if n := issuer.Requests(testissuer.OAuthMetadata) + issuer.Requests(testissuer.JWKS); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// TestEmbeddedKeysCostNoRequest covers R-JS-14: what a header offers as a key
// is not looked at, and nothing that it names is fetched.
func TestEmbeddedKeysCostNoRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		asked := 0
		client := &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "issuer.test" {
				asked++
			}
			return issuer.Transport().RoundTrip(r)
		})}
		v := issuer.Validator(t, issuer.Fetched, func(c *validator.Issuer) { c.HTTPClient = client })
		header := map[string]any{"jku": "https://canary.test/jwks", "x5u": "https://canary.test/cert"}
		wantReason(t, "jku and x5u", reasonFor(t, v, issuer, testissuer.Token{Header: header, Forgery: testissuer.ForeignKey}), validator.BadSignature)
		wantReason(t, "jwk", reasonFor(t, v, issuer, testissuer.Token{Forgery: testissuer.EmbeddedKey}), validator.BadSignature)
		if asked != 0 {
			t.Errorf("%d requests to the canary", asked)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFetchesAreTraced shows what observers are told of fetches.
func TestFetchesAreTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		issuer.ExtraJWKs(`{"kty":"AKP","kid":"pq"}`)
		var fetched []jwkscache.FetchDone
		trace := &validator.Trace{Keys: &jwkscache.Trace{
			FetchDone: func(iss string, done jwkscache.FetchDone) {
				if iss != issuer.URL() {
					t.Errorf("issuer %q", iss)
				}
				fetched = append(fetched, done)
			},
		}}
		v := trusting(t, trace.Join(&validator.Trace{}), issuer)
		if err := v.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(fetched) != 1 || fetched[0].Keys != 1 || fetched[0].Err != nil || len(fetched[0].Ignored) != 1 || fetched[0].Ignored[0].KeyID != "pq" {
			t.Errorf("fetched %+v", fetched)
		}
		if warnings := v.Warnings(); len(warnings) != 1 || !strings.Contains(warnings[0], `"pq"`) {
			t.Errorf("warnings %q", warnings)
		}
	})
}

// TestKeySourceFaults shows that a bad key URL is a fault of the configuration.
func TestKeySourceFaults(t *testing.T) {
	for _, url := range []string{"", "http://issuer.example/jwks", "https://a@issuer.example/jwks", "ftp://issuer.example"} {
		_, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
			URL: "https://issuer.example", Audiences: []string{"https://api.test"}, Keys: jwkscache.URL(url),
		}}})
		if err == nil || !strings.Contains(err.Error(), "Issuers[0].Keys has a URL that cannot be used") {
			t.Errorf("%q: %v", url, err)
		}
	}
	_, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: "http://issuer.example", Audiences: []string{"https://api.test"}, InsecureAllowHTTP: true, Keys: jwkscache.URL("http://issuer.example/jwks"),
	}}})
	if err != nil {
		t.Errorf("InsecureAllowHTTP: %v", err)
	}
}
