package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// guardFor returns a Guard for one issuer with these keys.
func guardFor(t *testing.T, jwks string) *middleware.Guard {
	t.Helper()
	return issuertest.Guard(t, middleware.Config{Validator: issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{{
		URL: "https://issuer.example", Audiences: []string{"https://api.example"}, Keys: jwkscache.Static([]byte(jwks)),
	}}})})
}

// configuredRoutes returns routes of which a target finds the wrong one if it is not
// read as a server reads it.
func configuredRoutes(t *testing.T) *routes {
	t.Helper()
	guard := guardFor(t, `{"keys":[]}`)
	configured := map[string]routeFile{}
	for _, pattern := range []string{
		"GET /open", "GET /acme/open", "GET /a/{id}", "GET /tree/", "GET /{$}", "/any", "PUT /caf\u00e9", "GET admin.example/open", "OPTIONS /open",
	} {
		configured[pattern] = routeFile{Scopes: &scopesFile{All: []string{fmt.Sprintf("s%d", len(configured))}}}
	}
	faults := fault.In("sallyport")
	table := newRoutes(guard.NewMux(), configured, nil, faults)
	if err := faults.Err(); err != nil {
		t.Fatal(err)
	}
	return table
}

// describe returns a text that is different for each route.
func describe(ctx context.Context, route *middleware.Route) string {
	denial := route.Check(ctx, validator.Presentation{}, scopes.Operation{}).Denial()
	return fmt.Sprintf("%s %v %d", route.Name(), route.Policy(), denial.Status)
}

// TestRoutesAsReceived checks that a method and a target find the route that a server
// uses for such a request line.
func TestRoutesAsReceived(t *testing.T) {
	table := configuredRoutes(t)
	seen := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen <- describe(r.Context(), table.mux.Match(r))
	}))
	defer server.Close()
	for _, route := range []string{
		"GET /open", "HEAD /open", "PUT /open", "GET /open/", "GET /acme/open", "GET /none", "GET /", "PUT /any?x=/open",
		// Targets that look like a host, a scheme or a user.
		"GET //acme/open", "GET ///open", "GET //", "GET //acme", "GET //open", "GET /\\acme/open", "GET \\\\acme/open", "GET //user@acme/open",
		"GET http://acme/open", "GET HTTPS://acme/open", "GET http://acme", "GET http://acme?/open", "GET http://admin.example/open",
		"GET http://ADMIN.example/open", "GET http://admin.example:80/open", "GET http://user:word@admin.example/open", "GET http://acme//open",
		"GET http:/open", "GET http:///open", "GET http:open", "GET mailto:open", "GET :/open", "GET acme/open", "GET open", "GET http://[::1]/open",
		"GET http://[::1/open", "GET http://a%62/open", "GET file:///open",
		// Dots, slashes and escapes.
		"GET /acme/../open", "GET /./open", "GET /open/.", "GET /open/..", "GET /acme//open", "GET /acme/%2e%2e/open", "GET /acme%2Fopen", "GET /%2Fopen",
		"GET /acme%5Copen", "GET /acme\\open", "GET /op%65n", "GET /a/%65", "GET /a/b%2Fc", "GET /a/%zz", "GET /a/%", "GET /a/%00", "GET /a/x;y",
		"GET /a/%3B", "GET /tree/../open", "GET /tree", "GET /tree/x/", "GET /caf\u00e9", "PUT /caf\u00e9", "PUT /caf%C3%A9", "PUT /caf%C3",
		// Queries and fragments.
		"GET ?x", "GET", "GET ", "GET /open?", "GET /open?a=%zz", "GET /open?//acme/tree/", "GET /open#x", "GET #x", "GET /open%23x", "GET http://acme/open#x",
		// Methods and lines.
		"OPTIONS /open", "OPTIONS http://acme/open", "CONNECT /open", "CONNECT acme:443", "CONNECT http://acme/open", "get /open", "G\u00c4T /open",
		"G(T /open", " GET /open", "GET  /open", "GET /open ", "GET /open x", "GET /open HTTP/1.1", "GET\t/open", "/open", "open", "",
		"GET /open\x00", "GET /open\x7f", "GET /open\u0085", "GET /open\u00a0", "PRI *",
	} {
		got, want := describe(t.Context(), table.find(route)), "ambiguous Policy{} 400"
		if !strings.HasPrefix(sendLine(t, server, route+" HTTP/1.1\r\nHost: api.example"), "HTTP/1.1 400 ") {
			want = <-seen
		}
		if got != want {
			t.Errorf("%q: %s, a server: %s", route, got, want)
		}
	}
	// Two lines are no request line.
	for _, route := range []string{"GET /open HTTP/1.1\r\nX: y", "GET /open\n", "GET /open\r", "GET /\r\nopen"} {
		if got := describe(t.Context(), table.find(route)); got != "ambiguous Policy{} 400" {
			t.Errorf("%q: %s", route, got)
		}
	}
	// A pattern is a route as well.
	if route := table.find("GET admin.example/open"); !route.Listed() {
		t.Errorf("a pattern: %s", describe(t.Context(), route))
	}
}

// sendLine sends the head of a request and returns the response.
func sendLine(t *testing.T, server *httptest.Server, head string) string {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, head+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	response, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(response)
}

// TestRouteWarnings checks that the warnings contain those of the routes and those of
// the issuers.
func TestRouteWarnings(t *testing.T) {
	guard := guardFor(t, read(t, samples+"/jwks.json"))
	table := &routes{mux: guard.NewMux()}
	table.mux.Handle("GET /other", scopes.Audience("https://other.example"), http.NotFoundHandler())
	told := strings.Join((&verifier{validator: guard.Validator(), routes: table}).warnings(), "\n")
	for _, want := range []string{`issuer "https://issuer.example": keys[3]`, `pattern "GET /other": `} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told: %s", want, told)
		}
	}
}

// TestOptionalRoute checks that credentials for an optional route are verified as for
// any other route.
func TestOptionalRoute(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"sallyport.yaml": minimal + "routes:\n  GET /a: {scopes: {all: ['orders:read']}, optional: true}\n  GET /b: {scopes: {any: [other]}, optional: true}\n",
		"jwks.json":      read(t, samples+"/jwks.json"),
	})
	good := token(t, "good, RS256")
	for _, test := range []struct {
		in   map[string]any
		want string
	}{
		{map[string]any{"token": good, "route": "GET /a"}, `"accept":true`},
		{map[string]any{"token": good, "route": "GET /b"}, `"reason":"insufficient_scope","status":403`},
		{map[string]any{"token": good + "A", "route": "GET /a"}, `"reason":"bad_signature","status":401`},
		{map[string]any{"token": "", "route": "GET /a"}, `"reason":"malformed_request","status":400`},
		{map[string]any{"token": good, "scheme": "Basic", "route": "GET /a"}, `"reason":"no_credentials","status":401`},
	} {
		got := invoke(t, line(t, test.in), "verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime)
		if got.status != exitDone || !strings.Contains(got.out, test.want) {
			t.Errorf("%v: status %d, %s, want %s\n%s", test.in, got.status, got.out, test.want, got.err)
		}
	}
	for optional, file := range map[bool]routeFile{
		false: {Scopes: &scopesFile{All: []string{"a"}}},
		true:  {Scopes: &scopesFile{All: []string{"a"}}, Optional: true},
	} {
		if policy, ok := file.policy(fault.In("sallyport")); !ok || policy.IsOptional() != optional {
			t.Errorf("policy = %v, %t, want one with IsOptional %t", policy, ok, optional)
		}
	}
}
