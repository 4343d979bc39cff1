package discovery_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// documents are the metadata documents of an issuer with a path, in the order of its
// locations.
var documents = []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDInserted, testissuer.OpenIDMetadata}

const (
	tenant = "https://issuer.test/tenant"
	hung   = time.Hour
)

// startIssuer starts an issuer in memory, inside a bubble. Each of its documents
// lists itself as a protected resource.
func startIssuer(t *testing.T) *testissuer.Issuer {
	t.Helper()
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true, URL: tenant})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range documents {
		change(issuer, e, nil)
	}
	return issuer
}

// change sets members of a document, which has no introspection endpoint otherwise.
func change(issuer *testissuer.Issuer, e testissuer.Endpoint, members map[string]any) {
	issuer.Metadata(e, func(m map[string]any) {
		m["protected_resources"] = []string{string(e)}
		delete(m, "introspection_endpoint")
		maps.Copy(m, members)
	})
}

func discover(ctx context.Context, transport http.RoundTripper) (*discovery.Metadata, time.Duration, error) {
	start := time.Now()
	metadata, err := discovery.New(discovery.Config{HTTPClient: &http.Client{Transport: transport}}).Discover(ctx, tenant, discovery.Keys)
	return metadata, time.Since(start), err
}

// TestLateDocuments covers R-DI-02 for locations that answer late or never: one that
// hangs delays the others by two seconds at most, and all together take five seconds
// at most.
func TestLateDocuments(t *testing.T) {
	const absent = -1
	for _, test := range []struct {
		name   string
		delays [3]time.Duration
		winner int // absent if there is none
		took   time.Duration
	}{
		{"all at once", [3]time.Duration{}, 0, 0},
		{"only the first", [3]time.Duration{0, absent, absent}, 0, 0},
		{"only the last", [3]time.Duration{absent, absent, 0}, 2, 0},
		{"the first is late, and preferred", [3]time.Duration{1900 * time.Millisecond, 0, 0}, 0, 1900 * time.Millisecond},
		{"the second is late, and preferred", [3]time.Duration{absent, time.Second, 0}, 1, time.Second},
		{"the last is late", [3]time.Duration{0, 0, time.Second}, 0, time.Second},
		{"the first is too late", [3]time.Duration{2100 * time.Millisecond, 0, 0}, 1, 2 * time.Second},
		{"the first hangs", [3]time.Duration{hung, 0, 0}, 1, 2 * time.Second},
		{"two hang", [3]time.Duration{hung, hung, 0}, 2, 2 * time.Second},
		{"others hang", [3]time.Duration{0, hung, hung}, 0, 2 * time.Second},
		{"one hangs, one is slow", [3]time.Duration{hung, absent, 1500 * time.Millisecond}, 2, 3500 * time.Millisecond},
		{"the second usable one extends nothing", [3]time.Duration{hung, 0, time.Second}, 1, 2 * time.Second},
		{"an unusable one does not decide", [3]time.Duration{2500 * time.Millisecond, absent, absent}, 0, 2500 * time.Millisecond},
		{"one hangs, one is very slow", [3]time.Duration{hung, absent, 4 * time.Second}, 2, 5 * time.Second},
		{"all hang", [3]time.Duration{hung, hung, hung}, absent, 5 * time.Second},
		{"none", [3]time.Duration{absent, absent, absent}, absent, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := startIssuer(t)
				defer issuer.Close()
				for at, e := range documents {
					b := testissuer.Behaviour{Delay: test.delays[at]}
					if b.Delay == absent {
						b = testissuer.Behaviour{Status: http.StatusNotFound}
					}
					issuer.Behave(e, b)
				}
				metadata, took, err := discover(t.Context(), issuer.Transport())
				if took != test.took {
					t.Errorf("took %v, want %v", took, test.took)
				}
				if test.winner == absent {
					if !errors.Is(err, discovery.ErrNoMetadata) || metadata != nil {
						t.Errorf("%+v, %v, want ErrNoMetadata", metadata, err)
					}
					return
				}
				if err != nil || metadata.JWKSURI != issuer.JWKSURL() || !slices.Equal(metadata.ProtectedResources, []string{string(documents[test.winner])}) {
					t.Errorf("%+v, %v, want the document of %s", metadata, err, documents[test.winner])
				}
			})
		})
	}
}

// TestDisagreement covers R-DI-09: usable documents must have the same key URL.
// Others are not compared.
func TestDisagreement(t *testing.T) {
	other := map[string]any{"jwks_uri": "https://other.test/jwks"}
	for _, test := range []struct {
		name      string
		changes   [3]map[string]any
		behaviour testissuer.Behaviour // of the last document
		disagree  []int                // the documents that the error names
	}{
		{name: "none"},
		{name: "first", changes: [3]map[string]any{other, nil, nil}, disagree: []int{0, 1}},
		{name: "second", changes: [3]map[string]any{nil, other, nil}, disagree: []int{0, 1}},
		{name: "last", changes: [3]map[string]any{nil, nil, other}, disagree: []int{0, 2}},
		{name: "last, and the first is not usable", changes: [3]map[string]any{{"issuer": "x"}, nil, other}, disagree: []int{1, 2}},
		{name: "last, but late", changes: [3]map[string]any{nil, nil, other}, behaviour: testissuer.Behaviour{Delay: 1900 * time.Millisecond}, disagree: []int{0, 2}},
		{name: "in a slash", changes: [3]map[string]any{{"jwks_uri": "https://issuer.test/tenant/jwks.json/"}, nil, nil}, disagree: []int{0, 1}},
		{name: "in members not used", changes: [3]map[string]any{{"token_endpoint": "https://other.test"}, nil, nil}},
		{name: "another issuer's", changes: [3]map[string]any{nil, nil, {"issuer": "https://issuer.test", "jwks_uri": "https://other.test/jwks"}}},
		{name: "not allowed", changes: [3]map[string]any{nil, nil, {"jwks_uri": "http://other.test/jwks"}}},
		{name: "missing", changes: [3]map[string]any{nil, nil, {"jwks_uri": nil}}},
		{name: "with an error status", changes: [3]map[string]any{nil, nil, other}, behaviour: testissuer.Behaviour{Status: http.StatusInternalServerError}},
		{name: "last, not as JSON", changes: [3]map[string]any{nil, nil, other}, behaviour: testissuer.Behaviour{Header: http.Header{"Content-Type": {"text/html"}}}, disagree: []int{0, 2}},
		{name: "too late", changes: [3]map[string]any{nil, nil, other}, behaviour: testissuer.Behaviour{Delay: 2100 * time.Millisecond}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := startIssuer(t)
				defer issuer.Close()
				for at, e := range documents {
					change(issuer, e, test.changes[at])
				}
				issuer.Behave(testissuer.OpenIDMetadata, test.behaviour)
				metadata, _, err := discover(t.Context(), issuer.Transport())
				if test.disagree == nil {
					if err != nil || metadata.JWKSURI != issuer.JWKSURL() {
						t.Errorf("%+v, %v", metadata, err)
					}
					return
				}
				if !errors.Is(err, discovery.ErrDisagree) || errors.Is(err, discovery.ErrNoMetadata) || metadata != nil {
					t.Fatalf("%+v, %v, want ErrDisagree", metadata, err)
				}
				locations, _ := discovery.Locations(tenant)
				for at, location := range locations {
					if strings.Contains(err.Error(), location+" ") != slices.Contains(test.disagree, at) {
						t.Errorf("the error names or omits %s: %v", location, err)
					}
				}
			})
		})
	}
}

// TestGzipBomb covers R-DI-05: metadata is not decompressed.
func TestGzipBomb(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t)
		defer issuer.Close()
		var bomb bytes.Buffer
		w := gzip.NewWriter(&bomb)
		_, _ = w.Write(bytes.Repeat([]byte(" "), 8<<20))
		_ = w.Close()
		for _, e := range documents {
			issuer.Behave(e, testissuer.Behaviour{Header: http.Header{"Content-Encoding": {"gzip"}}, Body: bomb.Bytes()})
		}
		_, _, err := discover(t.Context(), issuer.Transport())
		if !errors.Is(err, discovery.ErrNoMetadata) || strings.Count(err.Error(), "Content-Encoding") != len(documents) {
			t.Errorf("%v", err)
		}
	})
}

// TestCancellation checks that Discover returns an error when its context ends,
// although one document is usable: the others may disagree with it.
func TestCancellation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t)
		defer issuer.Close()
		issuer.Behave(testissuer.OAuthMetadata, testissuer.Behaviour{Delay: hung})
		issuer.Behave(testissuer.OpenIDInserted, testissuer.Behaviour{Status: http.StatusNotFound})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		metadata, took, err := discover(ctx, issuer.Transport())
		if !errors.Is(err, context.Canceled) || !errors.Is(err, discovery.ErrNoMetadata) || metadata != nil || took != time.Second {
			t.Errorf("%+v, %v after %v", metadata, err, took)
		}
		if !strings.Contains(err.Error(), "oauth-authorization-server/tenant: no answer in time") || !strings.Contains(err.Error(), "404") {
			t.Errorf("the error does not tell what became of each location: %v", err)
		}
	})
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// isFirst reports whether r is for the first location.
func isFirst(r *http.Request) bool {
	return strings.Contains(r.URL.Path, string(testissuer.OAuthMetadata))
}

// TestLateRequestsAreCancelled checks that no request goes on after Discover has
// returned.
func TestLateRequestsAreCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t)
		defer issuer.Close()
		var ended time.Duration
		start := time.Now()
		_, _, err := discover(t.Context(), transportFunc(func(r *http.Request) (*http.Response, error) {
			if !isFirst(r) {
				return issuer.Transport().RoundTrip(r)
			}
			<-r.Context().Done()
			ended = time.Since(start)
			return nil, r.Context().Err()
		}))
		synctest.Wait()
		if err != nil || ended != 2*time.Second {
			t.Errorf("%v; the late request ended after %v", err, ended)
		}
	})
}

// TestDeafTransport checks that Discover returns in time although the transport
// ignores its context.
func TestDeafTransport(t *testing.T) {
	for name, test := range map[string]struct {
		cancel time.Duration
		usable bool
		took   time.Duration
		want   error
	}{
		"usable":         {hung, true, 2 * time.Second, nil},
		"none usable":    {hung, false, 5 * time.Second, discovery.ErrNoMetadata},
		"cancelled":      {time.Second, false, time.Second, context.Canceled},
		"cancelled late": {time.Second, true, time.Second, context.Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := startIssuer(t)
				defer issuer.Close()
				released := make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(test.cancel, cancel)
				_, took, err := discover(ctx, transportFunc(func(r *http.Request) (*http.Response, error) {
					if isFirst(r) || !test.usable {
						<-released
					}
					return issuer.Transport().RoundTrip(r)
				}))
				if !errors.Is(err, test.want) || took != test.took {
					t.Errorf("%v after %v, want %v after %v", err, took, test.want, test.took)
				}
				close(released) // the bubble fails if those who were late cannot end now
			})
		})
	}
}

// TestDeafTransportIsLeftAlone checks that the number of requests which do not end
// is bounded, and that Discover works again once they have ended.
func TestDeafTransportIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t)
		defer issuer.Close()
		var under atomic.Int64
		released := make(chan struct{})
		client := discovery.New(discovery.Config{HTTPClient: &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			under.Add(1)
			<-released
			return issuer.Transport().RoundTrip(r)
		})}})
		for range 50 {
			if _, err := client.Discover(t.Context(), issuer.URL(), discovery.Keys); !errors.Is(err, discovery.ErrNoMetadata) {
				t.Error(err)
			}
		}
		if n := under.Load(); n > 15 {
			t.Errorf("%d requests are under way", n)
		}
		close(released)
		synctest.Wait()
		if _, err := client.Discover(t.Context(), issuer.URL(), discovery.Keys); err != nil {
			t.Errorf("after they have ended: %v", err)
		}
	})
}

// TestPanics checks that a transport that panics, or ends its goroutine, makes only
// its own location fail.
func TestPanics(t *testing.T) {
	for name, end := range map[string]func(){
		"panic":     func() { panic("secret") },
		"nil panic": func() { panic(nil) },
		"Goexit":    runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := startIssuer(t)
				defer issuer.Close()
				metadata, took, err := discover(t.Context(), transportFunc(func(r *http.Request) (*http.Response, error) {
					if isFirst(r) {
						end()
					}
					return issuer.Transport().RoundTrip(r)
				}))
				if err != nil || took != 0 || metadata.ProtectedResources[0] != string(testissuer.OpenIDInserted) {
					t.Errorf("%+v, %v after %v", metadata, err, took)
				}
				_, took, err = discover(t.Context(), transportFunc(func(*http.Request) (*http.Response, error) {
					end()
					return nil, http.ErrNotSupported
				}))
				if !errors.Is(err, discovery.ErrNoMetadata) || took != 0 || strings.Count(err.Error(), "panicked") != 3 || strings.Contains(err.Error(), "secret") {
					t.Errorf("%v after %v", err, took)
				}
			})
		})
	}
}
