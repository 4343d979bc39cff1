package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestMuxContract covers R-SC-10: the contract is that of the live routes, under
// the guard's hierarchy, with the audiences of all issuers.
func TestMuxContract(t *testing.T) {
	issuer := testissuer.New(t)
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{
		{URL: issuer.URL(), Audiences: []string{"https://b.test", "https://a.test"}, Keys: jwkscache.Static(issuer.JWKS()), Grants: []string{validator.AllScopes}},
		{URL: "https://second.test", Audiences: []string{"https://a.test"}, Keys: jwkscache.Static(issuer.JWKS()), Grants: []string{"read"}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{Validator: v, Hierarchy: scopes.Hierarchy{"write": {"read"}}})
	if err != nil {
		t.Fatal(err)
	}
	mux := guard.NewMux()
	mux.Handle("GET /b", scopes.All("read"), new(handler))
	mux.Handle("GET /a", scopes.Public(), new(handler))
	before, err := mux.Contract().JSON()
	if err != nil {
		t.Fatal(err)
	}
	contract := mux.Contract()
	if !slices.Equal(contract.Audiences, []string{"https://a.test", "https://b.test"}) || len(contract.Routes) != 2 ||
		contract.Routes[0].Route != "GET /a" || !slices.Equal(contract.Routes[1].Requires.ImpliedBy["read"], []string{"write"}) {
		t.Errorf("%+v", contract)
	}
	mux.Handle("POST /b", scopes.All("write"), new(handler))
	if err := mux.Contract().Drift(before); err == nil || !strings.Contains(err.Error(), `+ POST /b: All("write")`) {
		t.Errorf("a new route: %v", err)
	}
}

// TestTaggedRoutes covers R-SU-08 for each tagged route of a service: a weak
// token and an old one are sent to log in, a strong and recent one passes, and
// that changes nothing for the old one.
func TestTaggedRoutes(t *testing.T) {
	issuer := testissuer.New(t)
	guard := guardFor(t, issuer, middleware.Config{})
	mux, lines := guard.NewMux(), shop()
	for _, line := range lines {
		mux.Handle(line.pattern, line.policy, new(handler))
	}
	sign := func(acr string, authenticated time.Duration) string {
		return "Bearer " + issuer.Sign(testissuer.Token{
			Scope: "orders:read orders:write", Claims: map[string]any{"acr": acr, "auth_time": time.Now().Add(-authenticated).Unix()},
		})
	}
	strong, weak, old := sign("urn:mfa", 0), sign("urn:password", 0), sign("urn:mfa", time.Hour)
	both, privileged, sensitive := sign("urn:password", time.Hour), 0, 0
	for _, route := range mux.Contract().Routes {
		line := lines[slices.IndexFunc(lines, func(l served) bool { return l.pattern == route.Route })]
		expect := func(token string, status int, challenge string) {
			r := request(token)
			r.Method, r.URL.Path = line.method, line.path
			response := serve(mux, r)
			if got := response.Header.Get("WWW-Authenticate"); response.StatusCode != status || !strings.Contains(got, challenge) {
				t.Errorf("%s: %d %s, want %d with %q", route.Route, response.StatusCode, got, status, challenge)
			}
		}
		refused := map[string]string{} // tokens by what is told
		if route.Privileged {
			privileged++
			refused[weak], refused[both] = `acr_values="urn:mfa"`, `acr_values="urn:mfa"`
		}
		if route.Sensitive {
			sensitive++
			refused[old], refused[both] = "max_age=", "max_age="
		}
		for range 2 { // the second time after the strong token came
			for token, challenge := range refused {
				expect(token, 401, `error="insufficient_user_authentication"`)
				expect(token, 401, challenge)
			}
			if len(refused) > 0 {
				expect(strong, 200, "")
			}
		}
	}
	if privileged == 0 || sensitive == 0 {
		t.Errorf("%d privileged and %d sensitive routes prove little", privileged, sensitive)
	}
}

// TestChallengeEverywhere covers R-CH-01 over HTTP/1.1 and HTTP/2, for HEAD, for
// streams in either direction, and behind middleware that has a writer of its own.
func TestChallengeEverywhere(t *testing.T) {
	issuer := testissuer.New(t)
	mux := guardFor(t, issuer, middleware.Config{}).NewMux()
	streaming := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("first"))
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("a stream cannot be flushed: %v", err)
		}
	})
	mux.Handle("/stream", scopes.All("read"), streaming)
	for _, layer := range []http.Handler{mux, http.TimeoutHandler(mux, time.Minute, ""), http.MaxBytesHandler(http.StripPrefix("", mux), 1)} {
		for _, version := range []int{1, 2} {
			server := httptest.NewUnstartedServer(layer)
			server.EnableHTTP2 = version == 2
			server.StartTLS()
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions} {
				for _, authorization := range []string{"", "Bearer " + issuer.Sign(testissuer.Token{Fault: testissuer.ForeignKey})} {
					r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/stream", nil)
					if err != nil {
						t.Fatal(err)
					}
					if method == http.MethodPost || method == http.MethodPut { // of unknown length
						r.Body = http.NoBody
						r.ContentLength = -1
					}
					if authorization != "" {
						r.Header.Set("Authorization", authorization)
					}
					response, err := server.Client().Do(r)
					if err != nil {
						t.Fatal(err)
					}
					_ = response.Body.Close()
					if fields := response.Header.Values("WWW-Authenticate"); response.StatusCode != 401 || response.ProtoMajor != version ||
						len(fields) != 1 || !strings.HasPrefix(fields[0], plainChallenge) || response.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("%s over %s: %d %q", method, response.Proto, response.StatusCode, response.Header)
					}
				}
			}
			if layer == http.Handler(mux) {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/stream", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{Scope: "read"}))
				response, err := server.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = response.Body.Close()
				if response.StatusCode != 200 {
					t.Errorf("a good token over %s: %d", response.Proto, response.StatusCode)
				}
			}
			server.Close()
		}
	}
}
