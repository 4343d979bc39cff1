package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// configuredRoutes gives routes for which a target that is read otherwise than
// by a server would find another policy.
func configuredRoutes(t *testing.T) *routes {
	t.Helper()
	guard, err := middleware.For(validator.Issuer{
		URL: "https://issuer.example", Audiences: []string{"https://api.example"}, Keys: jwkscache.Static([]byte(`{"keys":[]}`)),
	})
	if err != nil {
		t.Fatal(err)
	}
	configured := map[string]routeFile{}
	for _, pattern := range []string{
		"GET /open", "GET /acme/open", "GET /a/{id}", "GET /tree/", "GET /{$}", "/any", "PUT /caf\u00e9", "GET admin.example/open", "OPTIONS /open",
	} {
		configured[pattern] = routeFile{Scopes: &scopesFile{All: []string{fmt.Sprintf("s%d", len(configured))}}}
	}
	table, faults := newRoutes(configured, guard.NewMux())
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return table
}

// TestRoutesAsReceived shows that the policy of a method and a target is the one
// by which a server would judge such a request line.
func TestRoutesAsReceived(t *testing.T) {
	table := configuredRoutes(t)
	seen := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		policy, listed, denial := table.mux.PolicyFor(r)
		status := 0
		switch {
		case denial != nil:
			status = denial.Status
		case !listed && len(table.mux.AllowedMethods(r)) > 0:
			status = http.StatusMethodNotAllowed
		case !listed:
			status = http.StatusNotFound
		}
		seen <- fmt.Sprintf("%v %d", policy, status)
	}))
	defer server.Close()
	for _, route := range []string{
		"GET /open", "HEAD /open", "PUT /open", "GET /open/", "GET /acme/open", "GET /none", "GET /", "PUT /any?x=/open",
		// What looks like a host, a scheme or a user.
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
		policy, unlisted, denial := table.find(route)
		status := 0
		for _, d := range []*middleware.Denial{unlisted, denial} {
			if d != nil {
				status = d.Status
			}
		}
		got, want := fmt.Sprintf("%v %d", policy, status), "Policy{} 400"
		if !strings.HasPrefix(sendLine(t, server, route+" HTTP/1.1\r\nHost: api.example"), "HTTP/1.1 400 ") {
			want = <-seen
		}
		if got != want {
			t.Errorf("%q: %s, a server: %s", route, got, want)
		}
	}
	// Two lines are no request line.
	for _, route := range []string{"GET /open HTTP/1.1\r\nX: y", "GET /open\n", "GET /open\r", "GET /\r\nopen"} {
		if _, _, denial := table.find(route); denial != errNotRequest {
			t.Errorf("%q: %v", route, denial)
		}
	}
	// A pattern is a route as well.
	if policy, unlisted, denial := table.find("GET admin.example/open"); policy.Err() != nil || unlisted != nil || denial != nil {
		t.Errorf("a pattern: %v, %v, %v", policy, unlisted, denial)
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

// TestRouteWarnings shows that warnings of the routes are told beside those of
// the issuers.
func TestRouteWarnings(t *testing.T) {
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: "https://issuer.example", Audiences: []string{"https://api.example"}, Keys: jwkscache.Static([]byte(read(t, samples+"/jwks.json"))),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{Validator: v})
	if err != nil {
		t.Fatal(err)
	}
	table := &routes{mux: guard.NewMux()}
	table.mux.Handle("GET /other", scopes.Audience("https://other.example"), http.NotFoundHandler())
	told := strings.Join((&judge{validator: v, guard: guard, routes: table}).warnings(), "\n")
	for _, want := range []string{`issuer "https://issuer.example": keys[3]`, `pattern "GET /other": `} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is not told: %s", want, told)
		}
	}
}
