package validator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/introspection"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
)

const (
	endpointURL = "https://issuer.test/introspect"
	tokenURL    = "https://issuer.test/token"
)

// placed is an issuer in memory and the location of its endpoints.
type placed struct {
	*testissuer.Issuer
	*location

	mu    sync.Mutex
	moves []string
}

// place starts an issuer whose metadata names an introspection endpoint, inside a
// bubble, and returns it with a location for the client.
func place(t *testing.T, client *introspect.Client) *placed {
	t.Helper()
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Close)
	p := &placed{Issuer: issuer}
	p.location = newLocation(&Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}, Opaque: client}, issuer.Client(),
		&introspect.Trace{Moved: func(issuer, from, to string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.moves = append(p.moves, issuer+": "+from+" to "+to)
			panic("injected")
		}})
	p.change(map[string]any{"introspection_endpoint": endpointURL})
	return p
}

// change sets members of both documents, which name no introspection endpoint of their
// own.
func (p *placed) change(members map[string]any) {
	for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
		p.Metadata(e, func(m map[string]any) {
			withoutEndpoint(m)
			maps.Copy(m, members)
		})
	}
}

// withoutEndpoint removes the introspection endpoint from a document.
func withoutEndpoint(members map[string]any) { delete(members, "introspection_endpoint") }

// fetched returns how often the metadata was fetched.
func (p *placed) fetched() int { return p.Requests(testissuer.OAuthMetadata) }

func (p *placed) want(t *testing.T, what, endpoint string) {
	t.Helper()
	if got, err := p.endpoints(t.Context()); err != nil || got.Introspection != endpoint {
		t.Errorf("%s: %+v, %v, want %s", what, got, err, endpoint)
	}
}

func (p *placed) wantFetched(t *testing.T, what string, n int) {
	t.Helper()
	if got := p.fetched(); got != n {
		t.Errorf("%s: the metadata was fetched %d times, want %d", what, got, n)
	}
}

// after lets time pass, and then waits for what runs.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// TestEndpoints covers R-DI-04 and R-DI-07: the endpoints are those of the metadata, for
// an hour, and an issuer without keys has them too.
func TestEndpoints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place(t, &introspect.Client{})
		p.change(map[string]any{
			"introspection_endpoint": endpointURL, "jwks_uri": nil,
			"introspection_endpoint_auth_methods_supported": []string{"private_key_jwt"},
		})
		got, err := p.endpoints(t.Context())
		if err != nil || got.Introspection != endpointURL || got.Token != tokenURL || !slices.Equal(got.AuthMethods, []string{"private_key_jwt"}) {
			t.Errorf("%+v, %v", got, err)
		}
		after(time.Hour - 1)
		p.want(t, "fresh", endpointURL)
		synctest.Wait()
		p.wantFetched(t, "within an hour", 1)
		if _, err := p.keyURL(t.Context()); !errors.Is(err, discovery.ErrMissing) {
			t.Errorf("a key URL that nobody names: %v", err)
		}
	})
}

// TestConfiguredEndpoints shows that nothing is fetched for an issuer whose endpoints are
// all configured, nor for one that is not asked about tokens, and that a token endpoint
// is looked for alone where only that is needed.
func TestConfiguredEndpoints(t *testing.T) {
	for name, row := range map[string]struct {
		client *introspect.Client
		need   discovery.Need
	}{
		"not opaque":                 {nil, 0},
		"endpoint":                   {&introspect.Client{Endpoint: endpointURL}, 0},
		"endpoint and token":         {&introspect.Client{Endpoint: endpointURL, Authentication: introspect.Bearer{TokenEndpoint: tokenURL}}, 0},
		"endpoint, bearer":           {&introspect.Client{Endpoint: endpointURL, Authentication: introspect.Bearer{}}, discovery.Token},
		"bearer":                     {&introspect.Client{Authentication: introspect.Bearer{}}, discovery.Introspection | discovery.Token},
		"bearer with token endpoint": {&introspect.Client{Authentication: introspect.Bearer{TokenEndpoint: tokenURL}}, discovery.Introspection},
		"secret":                     {&introspect.Client{Authentication: introspect.ClientSecretBasic{}}, discovery.Introspection},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := place(t, row.client)
			if p.asked.need != row.need {
				t.Errorf("%s: looks for %b, want %b", name, p.asked.need, row.need)
			}
			got, err := p.endpoints(t.Context())
			if found := (&discovery.Metadata{IntrospectionEndpoint: got.Introspection, TokenEndpoint: got.Token}).Has(row.need); err != nil || !found {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			if row.need == 0 {
				p.wantFetched(t, name, 0)
			}
		})
	}
}

// TestEndpointOnlyInOneDocument shows that an endpoint is found if only the other
// document of the issuer has it, and that a document of another issuer does not count.
func TestEndpointOnlyInOneDocument(t *testing.T) {
	for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
		synctest.Test(t, func(t *testing.T) {
			p := place(t, &introspect.Client{})
			p.Metadata(e, withoutEndpoint)
			p.want(t, "without "+string(e), endpointURL)
		})
		synctest.Test(t, func(t *testing.T) {
			p := place(t, &introspect.Client{})
			p.Metadata(testissuer.OAuthMetadata, withoutEndpoint)
			p.Metadata(testissuer.OpenIDMetadata, withoutEndpoint)
			p.Metadata(e, func(m map[string]any) {
				m["issuer"], m["introspection_endpoint"] = "https://issuer.test/", endpointURL
			})
			if _, err := p.endpoints(t.Context()); !errors.Is(err, discovery.ErrNoMetadata) {
				t.Errorf("in a document of another issuer: %v", err)
			}
		})
	}
}

// TestNoEndpoint shows what an operator is told when no document has the endpoint: which
// documents were read, and which field to set. The keys of the issuer are found all the
// same.
func TestNoEndpoint(t *testing.T) {
	const oauth, openID = "https://issuer.test/.well-known/oauth-authorization-server: ", "https://issuer.test/.well-known/openid-configuration: "
	bearer := &introspect.Client{Authentication: introspect.Bearer{}}
	for name, row := range map[string]struct {
		client  *introspect.Client
		members map[string]any
		told    []string
	}{
		"none":              {&introspect.Client{}, map[string]any{}, []string{oauth, openID, "set Issuer.Opaque.Endpoint:", "has no introspection_endpoint"}},
		"the old name":      {&introspect.Client{}, map[string]any{"token_introspection_endpoint": endpointURL}, []string{"set Issuer.Opaque.Endpoint:", "token_introspection_endpoint, an old name that is not used"}},
		"no token endpoint": {bearer, map[string]any{"introspection_endpoint": endpointURL, "token_endpoint": nil}, []string{"set Issuer.Opaque.Endpoint and TokenEndpoint of Issuer.Opaque.Authentication:", "has no token_endpoint"}},
		"only the token endpoint is needed": {
			&introspect.Client{Endpoint: endpointURL, Authentication: introspect.Bearer{}},
			map[string]any{"token_endpoint": nil},
			[]string{"set TokenEndpoint of Issuer.Opaque.Authentication:"},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := place(t, row.client)
			p.change(row.members)
			for _, call := range []string{"first", "second"} { // the second gets the error of the first
				got, err := p.endpoints(t.Context())
				if !errors.Is(err, discovery.ErrMissing) || got.Introspection != "" {
					t.Fatalf("%s, %s: %+v, %v", name, call, got, err)
				}
				for _, want := range row.told {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s, %s: %q is not told: %v", name, call, want, err)
					}
				}
			}
			p.wantFetched(t, name, 1)
			if url, err := p.keyURL(t.Context()); err != nil || url != p.JWKSURL() {
				t.Errorf("%s: the keys: %s, %v", name, url, err)
			}
		})
	}
}

// TestEndpointsThatDisagree covers R-DI-09: the error says which field to set. One that
// has another cause does not.
func TestEndpointsThatDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place(t, &introspect.Client{})
		p.Metadata(testissuer.OpenIDMetadata, func(m map[string]any) { m["introspection_endpoint"] = endpointURL + "/2" })
		_, err := p.endpoints(t.Context())
		if !errors.Is(err, discovery.ErrDisagree) || !strings.Contains(err.Error(), "set Issuer.Opaque.Endpoint:") {
			t.Errorf("%v", err)
		}
		if url, err := p.keyURL(t.Context()); err != nil || url != p.JWKSURL() {
			t.Errorf("the keys: %s, %v", url, err)
		}
		after(time.Minute)
		p.Down(true)
		if _, err := p.endpoints(t.Context()); err == nil || strings.Contains(err.Error(), "set Issuer") {
			t.Errorf("down: %v", err)
		}
	})
}

// TestDiscoveryOutage shows that a failed discovery is not remembered: the issuer is down
// at first use, under load, and the endpoint is found a second after it is up. While it
// is down, discovery is tried once a second, however many ask.
func TestDiscoveryOutage(t *testing.T) {
	for name, fail := range map[string]func(*placed, bool){
		"no document": func(p *placed, down bool) {
			status := map[bool]int{true: http.StatusServiceUnavailable}[down]
			p.Behave(testissuer.OAuthMetadata, testissuer.Behaviour{Status: status})
			p.Behave(testissuer.OpenIDMetadata, testissuer.Behaviour{Status: status})
		},
		"no endpoint": func(p *placed, down bool) {
			p.change(map[string]any{"introspection_endpoint": map[bool]any{false: endpointURL}[down]})
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := place(t, &introspect.Client{})
			fail(p, true)
			const seconds = 30
			load := func() (ok int) {
				results := make(chan error, 100)
				for range cap(results) {
					go func() {
						_, err := p.endpoints(t.Context())
						results <- err
					}()
				}
				for range cap(results) {
					if <-results == nil {
						ok++
					}
				}
				return ok
			}
			for range seconds * 10 {
				if n := load(); n != 0 {
					t.Fatalf("%s: %d callers got an endpoint", name, n)
				}
				after(100 * time.Millisecond)
			}
			if n := p.fetched(); n < seconds-1 || n > seconds+1 {
				t.Errorf("%s: %d attempts in %d seconds", name, n, seconds)
			}
			fail(p, false)
			after(time.Second)
			if n := load(); n != 100 {
				t.Errorf("%s: a second after it is up, %d of 100 callers got the endpoint", name, n)
			}
		})
	}
}

// TestSharedDiscovery shows that callers at the same time share one fetch, that the end
// of the caller that began it ends it for nobody, and that each leaves when its own time
// is over.
func TestSharedDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place(t, &introspect.Client{})
		for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
			p.Behave(e, testissuer.Behaviour{Delay: 3 * time.Second})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start, first := time.Now(), make(chan error, 1)
		go func() {
			_, err := p.endpoints(ctx)
			if time.Since(start) != time.Second {
				t.Errorf("the first caller left after %v", time.Since(start))
			}
			first <- err
		}()
		synctest.Wait()
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { p.want(t, "another caller", endpointURL) })
		}
		all.Wait()
		if err := <-first; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the first caller: %v", err)
		}
		if time.Since(start) != 3*time.Second {
			t.Errorf("took %v", time.Since(start))
		}
		p.wantFetched(t, "together", 1)
	})
}

// TestDiscoveryWaiters shows that the number of callers that wait for discovery is
// bounded.
func TestDiscoveryWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place(t, &introspect.Client{})
		for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
			p.Behave(e, testissuer.Behaviour{Delay: time.Second})
		}
		results := make(chan error, metadataWaiters+10)
		for range cap(results) {
			go func() {
				_, err := p.endpoints(t.Context())
				results <- err
			}()
		}
		refused := 0
		for range cap(results) {
			if <-results != nil {
				refused++
			}
		}
		if refused != 10 {
			t.Errorf("%d callers were refused, want 10", refused)
		}
	})
}

// TestKeysAndEndpointsShareAFetch shows that one fetch of the metadata serves keys and
// endpoints, in either order and at once, and that each is found although the other is
// not, and however long a document without it takes.
func TestKeysAndEndpointsShareAFetch(t *testing.T) {
	keys := func(t *testing.T, p *placed) {
		if url, err := p.keyURL(t.Context()); err != nil || url != p.JWKSURL() {
			t.Errorf("keys: %s, %v", url, err)
		}
	}
	endpoints := func(t *testing.T, p *placed) { p.want(t, "endpoints", endpointURL) }
	for name, order := range map[string][2]func(*testing.T, *placed){"keys first": {keys, endpoints}, "endpoints first": {endpoints, keys}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := place(t, &introspect.Client{})
				order[0](t, p)
				order[1](t, p)
				p.wantFetched(t, "one after the other", 1)
			})
			synctest.Test(t, func(t *testing.T) {
				p := place(t, &introspect.Client{})
				p.Behave(testissuer.OAuthMetadata, testissuer.Behaviour{Delay: 100 * time.Millisecond})
				done := make(chan bool)
				go func() {
					order[0](t, p)
					close(done)
				}()
				synctest.Wait()
				order[1](t, p)
				<-done
				p.wantFetched(t, "at once", 1)
			})
			synctest.Test(t, func(t *testing.T) { // one of two documents has both, and the other hangs
				p := place(t, &introspect.Client{})
				p.Behave(testissuer.OpenIDMetadata, testissuer.Behaviour{Delay: time.Hour})
				done := make(chan bool)
				go func() {
					order[0](t, p)
					close(done)
				}()
				synctest.Wait()
				start := time.Now()
				order[1](t, p)
				if took := time.Since(start); took != 3*time.Second { // one to share, two for other documents
					t.Errorf("the second waited %v", took)
				}
				<-done
			})
		})
	}
	synctest.Test(t, func(t *testing.T) { // no endpoint, and one document hangs
		p := place(t, &introspect.Client{})
		p.change(map[string]any{"introspection_endpoint": nil})
		p.Behave(testissuer.OpenIDMetadata, testissuer.Behaviour{Delay: time.Hour})
		done := make(chan error)
		go func() {
			_, err := p.endpoints(t.Context())
			done <- err
		}()
		synctest.Wait()
		start := time.Now()
		keys(t, p)
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("the keys waited %v for an endpoint that nobody names", took)
		}
		if err := <-done; !errors.Is(err, discovery.ErrMissing) {
			t.Errorf("%v", err)
		}
	})
}

// TestEndpointsWhileDiscoveryFails covers R-DI-07: the last known endpoint is used for 24
// hours at most while discovery fails or hangs, without waiting for it, and with one
// attempt a minute. After that, a second is enough again.
func TestEndpointsWhileDiscoveryFails(t *testing.T) {
	for name, b := range map[string]testissuer.Behaviour{"fails": {Status: http.StatusNotFound}, "hangs": {Delay: time.Hour}} {
		synctest.Test(t, func(t *testing.T) {
			p := place(t, &introspect.Client{})
			p.want(t, "at first", endpointURL)
			start := time.Now()
			p.Behave(testissuer.OAuthMetadata, b)
			p.Behave(testissuer.OpenIDMetadata, b)
			after(time.Hour)
			for range 600 {
				before := time.Now()
				p.want(t, name, endpointURL)
				if took := time.Since(before); took != 0 {
					t.Fatalf("%s: a caller waited %v", name, took)
				}
				after(time.Second)
			}
			if n := p.fetched(); n < 1+9 || n > 1+11 {
				t.Errorf("%s: %d attempts in ten minutes", name, n-1)
			}
			after(24*time.Hour - time.Since(start) - 1)
			p.want(t, name, endpointURL)
			after(1 + 10*time.Second)
			if got, err := p.endpoints(t.Context()); err == nil || got.Introspection != "" {
				t.Errorf("%s: after a day: %+v, %v", name, got, err)
			}
			p.Behave(testissuer.OAuthMetadata, testissuer.Behaviour{})
			after(time.Second)
			p.want(t, name+", then up", endpointURL)
		})
	}
}

// TestMovedEndpoint covers R-DI-07: another endpoint is used, and told of once with both
// URLs without their queries. A change of the query alone, of an endpoint that nothing is
// sent to, and the first endpoint are not told.
func TestMovedEndpoint(t *testing.T) {
	const told = "https://issuer.test: " + endpointURL + " to https://other.test/introspect"
	bearer := &introspect.Client{Authentication: introspect.Bearer{}}
	for name, row := range map[string]struct {
		client  *introspect.Client
		members map[string]any
		want    []string
	}{
		"no change":                {&introspect.Client{}, nil, nil},
		"another host":             {&introspect.Client{}, map[string]any{"introspection_endpoint": "https://other.test/introspect"}, []string{told}},
		"with a query":             {&introspect.Client{}, map[string]any{"introspection_endpoint": "https://other.test/introspect?secret=1"}, []string{told}},
		"the query alone":          {&introspect.Client{}, map[string]any{"introspection_endpoint": endpointURL + "?secret=1"}, nil},
		"an unused token endpoint": {&introspect.Client{}, map[string]any{"introspection_endpoint": endpointURL, "token_endpoint": "https://other.test/token"}, nil},
		"the token endpoint of Bearer": {
			bearer,
			map[string]any{"introspection_endpoint": endpointURL, "token_endpoint": "https://other.test/token"},
			[]string{"https://issuer.test: " + tokenURL + " to https://other.test/token"},
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := place(t, row.client)
			p.want(t, "at first", endpointURL)
			want := endpointURL
			if row.members != nil {
				p.change(row.members)
				want = fmt.Sprint(row.members["introspection_endpoint"])
			}
			for range 3 {
				after(time.Hour)
				if _, err := p.endpoints(t.Context()); err != nil { // begins the fetch
					t.Error(err)
				}
				synctest.Wait()
				p.want(t, "then", want)
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			if !slices.Equal(p.moves, row.want) {
				t.Errorf("%s: %q, want %q", name, p.moves, row.want)
			}
		})
	}
}

// TestEndpointsAreCopies shows that a caller cannot change what others get.
func TestEndpointsAreCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := place(t, &introspect.Client{})
		p.change(map[string]any{"introspection_endpoint": endpointURL, "introspection_endpoint_auth_methods_supported": []string{"none"}})
		var got introspection.Endpoints
		for range 2 {
			var err error
			if got, err = p.endpoints(t.Context()); err != nil || got.AuthMethods[0] != "none" {
				t.Fatalf("%+v, %v", got, err)
			}
			got.AuthMethods[0] = "changed"
		}
	})
}
