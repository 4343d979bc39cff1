package validator_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// discovered is a change: the metadata of the issuer names the endpoint.
func discovered(config *validator.Issuer) {
	client := *config.Opaque
	client.Endpoint = ""
	config.Opaque = &client
}

// without is a change of metadata that leaves members out.
func without(names ...string) func(map[string]any) {
	return func(members map[string]any) {
		for _, name := range names {
			delete(members, name)
		}
	}
}

// TestMethodThatIsNotListed (R-IN-02): metadata that list other methods for the introspection endpoint give a warning that
// names both, and the configured method is used. Nothing follows from the methods of the token endpoint.
func TestMethodThatIsNotListed(t *testing.T) {
	for _, row := range []struct {
		name    string
		members map[string]any
		warned  bool
	}{
		{"other methods", map[string]any{"introspection_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, true},
		{"this method", map[string]any{"introspection_endpoint_auth_methods_supported": []string{"private_key_jwt", "client_secret_basic"}}, false},
		{"methods of the token endpoint only", map[string]any{"introspection_endpoint_auth_methods_supported": nil, "token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newOpaqueIssuer(t, discovered)
			is.Metadata(testissuer.OAuthMetadata, func(members map[string]any) {
				for name, value := range row.members {
					if members[name] = value; value == nil {
						delete(members, name)
					}
				}
			})
			if err := is.v.Warm(t.Context()); err != nil {
				t.Fatal(err)
			}
			warnings := strings.Join(is.v.Warnings(), "\n")
			if row.warned != (strings.Contains(warnings, "private_key_jwt") && strings.Contains(warnings, "client_secret_basic")) || !row.warned && warnings != "" {
				t.Errorf("warnings %q, %t is wanted", warnings, row.warned)
			}
			wantVerdict(t, "asked", is.v, is.OpaqueBearer(nil), "", validator.Introspected, "")
			if received := is.Received(testissuer.Introspection); len(received) != 1 || !strings.HasPrefix(received[0].Header.Get("Authorization"), "Basic ") {
				t.Errorf("%d requests, %v", len(received), received[0].Header)
			}
		})
	}
}

// TestEndpointOfOtherDocument: the endpoint is only in the second metadata document, or in none. Then the issuer's opaque tokens are 503,
// the message names the documents and the field to set, and its JWTs are validated as before. An old name of the member is mentioned.
func TestEndpointOfOtherDocument(t *testing.T) {
	named := without("introspection_endpoint")
	for _, row := range []struct {
		name          string
		oauth, openID func(map[string]any)
		told          []string // nil: the endpoint is found
	}{
		{"only in the second", named, nil, nil},
		{"in neither", named, named, []string{"oauth-authorization-server", "openid-configuration", "Issuer.Opaque.Endpoint"}},
		{"under its old name", func(members map[string]any) {
			members["token_introspection_endpoint"] = members["introspection_endpoint"]
			delete(members, "introspection_endpoint")
		}, named, []string{"token_introspection_endpoint", "Issuer.Opaque.Endpoint"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			is := newHybridIssuer(t, discovered)
			is.Metadata(testissuer.OAuthMetadata, row.oauth)
			is.Metadata(testissuer.OpenIDMetadata, row.openID)
			warmed := is.v.Warm(t.Context())
			ready := is.v.Ready()
			if failed := row.told != nil; (warmed != nil) != failed || (ready != nil) != failed || failed && !errors.Is(ready, introspect.NoEndpoint) {
				t.Fatalf("Warm: %v; Ready: %v", warmed, ready)
			}
			done := is.v.Inspect(t.Context(), is.OpaqueBearer(nil))
			want := validator.Reason("")
			if row.told != nil {
				want = validator.Unavailable
			}
			if done.Reason != want || row.told != nil && !errors.Is(done.Err, introspect.NoEndpoint) {
				t.Errorf("%q: %v", done.Reason, causeOf(done.Err))
			}
			for _, told := range row.told {
				if !strings.Contains(warmed.Error(), told) || !strings.Contains(causeText(done.Err), told) {
					t.Errorf("%q is not told:\n%v\n%v", told, warmed, causeOf(done.Err))
				}
			}
			wantVerdict(t, "a JWT", is.v, is.Bearer(nil), "", validator.Verified, "")
			is.wantAsked(t, "in all", map[bool]int{true: 0, false: 1}[row.told != nil])
		})
	}
}

// TestIssuerDownAtStart: the issuer is down at the start and at the first use. Discovery is attempted a bounded number of times
// under load, and tokens are accepted within 2 s after the issuer is up, without a restart.
func TestIssuerDownAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t, discovered)
		documents := []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata}
		fail := func(b testissuer.Behaviour) {
			for _, document := range documents {
				is.Behave(document, b)
			}
		}
		fail(testissuer.Behaviour{Status: http.StatusServiceUnavailable})
		if err := is.v.Warm(t.Context()); err == nil {
			t.Error("Warm succeeds")
		}
		p := is.OpaqueBearer(nil)
		for range 300 {
			if reasons := together(t.Context(), is.v, 20, p); reasons[validator.Unavailable] != 20 {
				t.Fatalf("while it is down: %v", reasons)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := is.Requests(testissuer.OAuthMetadata); n > 32 {
			t.Errorf("%d attempts in 30 s, one a second is wanted", n)
		}
		fail(testissuer.Behaviour{})
		back := time.Now()
		for {
			if _, err := is.v.Validate(t.Context(), p); err == nil {
				break
			}
			if time.Since(back) > 2*time.Second {
				t.Fatal("not accepted 2 s after the issuer is up")
			}
			time.Sleep(50 * time.Millisecond)
		}
		if err := is.v.Ready(); err != nil {
			t.Error(err)
		}
	})
}

// detour is a transport that takes requests for internal.test to the issuer, and holds what goes to the public host.
type detour struct {
	is *issuertest.Issuer

	mu     sync.Mutex
	public []string // paths of requests
}

func (d *detour) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != "internal.test" {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.public = append(d.public, r.URL.Path)
		return nil, errors.New("the public host is not reachable from here")
	}
	inner := r.Clone(r.Context())
	inner.URL.Host, inner.Host = "public.test", ""
	return d.is.Transport().RoundTrip(inner)
}

// TestInternalEndpoint (R-IN-17): an endpoint that is configured spares the way over the public name of the issuer. Nothing goes there, Warm, Run
// and Ready included, and with AnswerKeys this holds for signed answers. The iss of answers is the public one all the same.
func TestInternalEndpoint(t *testing.T) {
	for _, signed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			is := issuertest.Start(t, testissuer.Config{URL: "https://public.test", Clients: []testissuer.Client{{ID: testissuer.ClientID, Secret: testissuer.ClientSecret, Signed: signed}}})
			way := &detour{is: is}
			internal := func(text string) string { return strings.Replace(text, "public.test", "internal.test", 1) }
			config := is.OpaqueConfig(func(c *validator.Issuer) {
				c.HTTPClient = &http.Client{Transport: way}
				c.Opaque.Endpoint = internal(is.IntrospectionURL())
				if c.Opaque.Signed = signed; signed {
					c.Opaque.AnswerKeys = jwkscache.URL(internal(is.JWKSURL()))
				}
			})
			v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
			if err := v.Warm(t.Context()); err != nil {
				t.Error(err)
			}
			go func() { _ = v.Run(t.Context()) }()
			synctest.Wait()
			if err := v.Ready(); err != nil {
				t.Error(err)
			}
			for range 3 {
				token := wantVerdict(t, "public iss", v, is.OpaqueBearer(nil), "", validator.Introspected, "")
				if token.Issuer() != "https://public.test" {
					t.Errorf("the issuer is %q", token.Issuer())
				}
				other := issuertest.Bearer(is.Opaque(testissuer.Token{Claims: issuertest.Claims{"iss": "https://internal.test"}}))
				wantVerdict(t, "internal iss", v, other, validator.UnknownIssuer, validator.Introspected, "iss")
				time.Sleep(2 * time.Hour)
			}
			if n := is.Requests(testissuer.JWKS); signed != (n > 0) {
				t.Errorf("%d requests for keys", n)
			}
			if len(way.public) > 0 {
				t.Errorf("signed %t: requests to the public host: %q", signed, way.public)
			}
		})
	}
}
