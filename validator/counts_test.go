package validator_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// roundTrip is a transport.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestFetchOutcomes (R-OB-09, A5) checks which outcome of a fetch of keys each failure
// is, that the counts have it under its cause, and that FetchDone says the same.
func TestFetchOutcomes(t *testing.T) {
	answer := func(status int, body string) func(*testissuer.Issuer, *http.Client) {
		return func(issuer *testissuer.Issuer, _ *http.Client) {
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: status, Body: []byte(body)})
		}
	}
	metadata := func(b testissuer.Behaviour) func(*testissuer.Issuer, *http.Client) {
		return func(issuer *testissuer.Issuer, _ *http.Client) {
			issuer.Behave(testissuer.OAuthMetadata, b)
			issuer.Behave(testissuer.OpenIDMetadata, b)
		}
	}
	failing := func(err error) func(*testissuer.Issuer, *http.Client) {
		return func(_ *testissuer.Issuer, client *http.Client) {
			client.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, err })
		}
	}
	for _, row := range []struct {
		name    string
		breakIt func(*testissuer.Issuer, *http.Client)
		want    jwkscache.Outcome
	}{
		{"works", func(*testissuer.Issuer, *http.Client) {}, jwkscache.Fetched},
		{"500", answer(500, "{}"), jwkscache.ServerError},
		{"429", answer(429, "{}"), jwkscache.Throttled},
		{"404", answer(404, "{}"), jwkscache.RequestRefused},
		{"redirect", func(issuer *testissuer.Issuer, _ *http.Client) {
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Redirect: "https://elsewhere.test/"})
		}, jwkscache.RequestRefused},
		{"HTML", func(issuer *testissuer.Issuer, _ *http.Client) {
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Body: []byte("<html>"), Header: http.Header{"Content-Type": {"text/html"}}})
		}, jwkscache.NotKeys},
		{"no JWK Set", answer(200, `{"issuer":"x"}`), jwkscache.NotKeys},
		{"too large", answer(200, strings.Repeat(" ", 2<<20)), jwkscache.NotKeys},
		{"down", func(issuer *testissuer.Issuer, _ *http.Client) { issuer.Down(true) }, jwkscache.Unreachable},
		{"cut short", func(issuer *testissuer.Issuer, _ *http.Client) {
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Abort: true})
		}, jwkscache.Unreachable},
		{"no host", failing(&net.DNSError{Err: "no such host", IsNotFound: true}), jwkscache.Unreachable},
		{"slow", func(issuer *testissuer.Issuer, _ *http.Client) {
			issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Hour})
		}, jwkscache.TimedOut},
		{"slow metadata", metadata(testissuer.Behaviour{Delay: time.Hour}), jwkscache.TimedOut},
		{"metadata 404", metadata(testissuer.Behaviour{Status: 404}), jwkscache.NoLocation},
		{"metadata 404 and 503", func(issuer *testissuer.Issuer, _ *http.Client) {
			issuer.Behave(testissuer.OAuthMetadata, testissuer.Behaviour{Status: 404})
			issuer.Behave(testissuer.OpenIDMetadata, testissuer.Behaviour{Status: 503})
		}, jwkscache.ServerError},
		{"another issuer", func(issuer *testissuer.Issuer, _ *http.Client) {
			for _, at := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
				issuer.Metadata(at, func(members map[string]any) { members["issuer"] = "https://other.test" })
			}
		}, jwkscache.NoLocation},
		{"a transport whose errors panic", failing((*panickingError)(nil)), jwkscache.Unreachable},
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer := issuertest.New(t)
			client := issuer.Client()
			row.breakIt(issuer.Issuer, client)
			var told []jwkscache.FetchDone
			v := configured(t, func(config *validator.Config) {
				config.Trace = &validator.Trace{Keys: &jwkscache.Trace{FetchDone: func(_ string, done jwkscache.FetchDone) { told = append(told, done) }}}
			}, issuer.Config(func(config *validator.Issuer) { config.Keys, config.HTTPClient = nil, client }))
			if err := v.Warm(t.Context()); (err != nil) != row.want.Failed() {
				t.Errorf("%s: %v", row.name, err)
			}
			synctest.Wait() // hooks run after the wait has ended
			counts := v.Status().Counts
			if len(counts) != 1 || counts[0].Issuer != issuer.URL() || counts[0].Asked != nil {
				t.Fatalf("%s: %+v", row.name, counts)
			}
			for cause, outcomes := range counts[0].Fetches {
				for outcome, n := range outcomes {
					if (n == 1) != (cause == "missing" && outcome == row.want) {
						t.Errorf("%s: %d %s because of %s", row.name, n, outcome, cause)
					}
				}
			}
			if took := counts[0].FetchTook; took.Count != 1 || took.Within[40*time.Second] != 1 || took.Sum < 0 {
				t.Errorf("%s: %+v", row.name, took)
			}
			if len(told) != 1 || told[0].Outcome != row.want {
				t.Errorf("%s: %+v", row.name, told)
			}
		})
	}
}

// panickingError is an error whose methods panic for a nil pointer.
type panickingError struct{ text string }

func (p *panickingError) Error() string { return p.text }

// TestFetchTLS checks that a certificate that is not trusted is told apart.
func TestFetchTLS(t *testing.T) {
	issuer := issuertest.StartTLS(t)
	v := configured(t, nil, issuer.Config(func(config *validator.Issuer) { config.Keys = nil }))
	_ = v.Warm(t.Context())
	for began := time.Now(); v.Status().Counts[0].FetchTook.Count == 0 && time.Since(began) < time.Minute; { // hooks run after the wait has ended
		runtime.Gosched()
	}
	if n := v.Status().Counts[0].Fetches["missing"][jwkscache.TLSFailed]; n != 1 {
		t.Errorf("%+v", v.Status().Counts[0].Fetches)
	}
}

// TestFetchUnchanged (A5) checks that an answer with the same keys is no failure, and that
// tokens with unknown kids are counted by what became of them.
func TestFetchUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v := configured(t, nil, discovering(issuer))
		noError(t, v.Warm(t.Context()))
		time.Sleep(time.Minute)
		token := issuer.Sign(testissuer.Token{Header: map[string]any{"kid": "made up"}})
		for range 3 {
			_, err := v.Validate(t.Context(), issuertest.Bearer(token))
			if !errors.Is(err, validator.UnknownKey) {
				t.Error(err)
			}
		}
		synctest.Wait() // for the hooks
		counts := v.Status().Counts[0]
		if n := counts.Fetches["unknown_kid"][jwkscache.Unchanged]; n == 0 {
			t.Errorf("%+v", counts.Fetches)
		}
		if n := counts.UnknownKids["starts"]; n == 0 {
			t.Errorf("%+v", counts.UnknownKids)
		}
	})
}

// TestCountsOfResolved checks that the counts of resolved issuers are kept under one name
// when the issuers are forgotten, and their state is not.
func TestCountsOfResolved(t *testing.T) {
	synctest.Test(t, testCountsOfResolved)
}

func testCountsOfResolved(t *testing.T) {
	issuer := issuertest.New(t)
	v := configured(t, func(config *validator.Config) {
		config.ResolveIssuer = func(_ context.Context, url string) (validator.Issuer, error) {
			if url != issuer.URL() {
				return validator.Issuer{}, validator.ErrUnknownIssuer
			}
			found := discovering(issuer)
			found.Grants = []string{validator.AllScopes}
			return found, nil
		}
	})
	_, err := v.Validate(t.Context(), issuer.Bearer(nil))
	noError(t, err)
	synctest.Wait() // for the hooks
	for _, known := range []int{1, 0} {
		s := v.Status()
		if s.ResolvedIssuers != known || len(s.Issuers) != known || len(s.Counts) != 1 || s.Counts[0].Issuer != "resolved" ||
			s.Counts[0].Fetches["missing"][jwkscache.Fetched] != 1 || s.Counts[0].Asked == nil {
			t.Errorf("%+v", s)
		}
		v.ForgetIssuer(issuer.URL())
	}
}

// TestUnderWay checks that a call which waits for keys is counted as long as it does.
func TestUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		open := make(chan struct{})
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Hold: open})
		v := configured(t, nil, discovering(issuer))
		token := issuer.Token(nil)
		for range 5 {
			go func() { _, _ = v.Validate(t.Context(), issuertest.Bearer(token)) }()
		}
		synctest.Wait()
		if n := v.Status().UnderWay; n != 5 {
			t.Errorf("%d under way, want 5", n)
		}
		close(open)
		synctest.Wait()
		if n := v.Status().UnderWay; n != 0 {
			t.Errorf("%d under way in the end", n)
		}
	})
}

// TestValidateDoneStart checks that the verdict has the time at which the check began, but
// for a token that was not looked at.
func TestValidateDoneStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
		v := configured(t, nil, discovering(issuer))
		began := time.Now()
		if done := v.Inspect(t.Context(), issuer.Bearer(nil)); !done.Start.Equal(began) || !time.Now().Equal(began.Add(time.Second)) {
			t.Errorf("%v after %v", done.Start, began)
		}
		if done := v.Inspect(t.Context(), validator.Presentation{}); !done.Start.IsZero() {
			t.Error(done.Start)
		}
	})
}

// TestInspectTo checks that the verdict is that of Inspect, and what nil pointers mean.
func TestInspectTo(t *testing.T) {
	issuer := issuertest.New(t)
	v := configured(t, nil, discovering(issuer))
	p := issuer.Bearer(nil)
	done := validator.ValidateDone{Reason: validator.Unavailable, Err: validator.Unavailable} // of another request
	v.InspectTo(t.Context(), &p, &done)
	want := v.Inspect(t.Context(), p)
	if done.Token == nil || done.Err != nil || done.Reason != "" || done.Token.Subject() != want.Token.Subject() || done.Issuer != want.Issuer {
		t.Errorf("%+v, and Inspect returns %+v", done, want)
	}
	if v.InspectTo(t.Context(), nil, &done); done.Reason != validator.NoCredentials || done.Token != nil {
		t.Errorf("nil instead of a Presentation: %+v", done)
	}
	v.InspectTo(t.Context(), &p, nil) // does not panic
}
