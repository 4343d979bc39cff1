package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestMissingWildcard: a route whose policy could permit nobody does not start.
func TestMissingWildcard(t *testing.T) {
	guard := guardFor(t, testissuer.New(t), middleware.Config{})
	tenant := scopes.TenantFrom("tenant")
	for _, row := range []struct {
		pattern string
		policy  scopes.Policy
		starts  bool
	}{
		{"GET /{tenant}/orders", tenant, true},
		{"/files/{tenant...}", scopes.And(scopes.All("a"), tenant), true},
		{"GET /{id}/orders", scopes.And(scopes.All("a"), tenant, scopes.TenantFrom("id")), false},
		{"GET /{id}/orders", scopes.Or(scopes.All("a"), tenant), false},
		{"GET /tenant", tenant, false},
		{"GET /tenant", scopes.Check("owner", 0, noting(new([]string))), true},
	} {
		func() {
			defer func() {
				cause := recover()
				if (cause == nil) != row.starts || cause != nil && !strings.Contains(cause.(string), "{tenant}, which the pattern does not have") {
					t.Errorf("%s with %v: %v", row.pattern, row.policy, cause)
				}
			}()
			guard.NewMux().Handle(row.pattern, row.policy, new(handler))
		}()
	}
}

// TestPatternFaults shows that a pattern that ServeMux refuses is told with the
// pattern that it conflicts with, and without lines of this package.
func TestPatternFaults(t *testing.T) {
	guard := guardFor(t, testissuer.New(t), middleware.Config{})
	for _, row := range []struct{ first, second, want string }{
		{"GET /a", "GET /a", `middleware: pattern "GET /a": conflicts with pattern "GET /a": GET /a matches the same requests as GET /a`},
		{"/a/{x}", "/{y}/b", `middleware: pattern "/{y}/b": conflicts with pattern "/a/{x}": /{y}/b and /a/{x} both match some paths, like "/a/b". But neither`},
		{"GET /{a}/b", "/x/{b}", `middleware: pattern "/x/{b}": conflicts with pattern "GET /{a}/b": `},
		{"/a", "/{", `middleware: pattern "/{": parsing "/{": `},
		{"/a", "", `middleware: pattern "": http: invalid pattern`},
		{"/a", "GET", `middleware: pattern "GET": parsing "GET": `},
	} {
		mux := guard.NewMux()
		mux.Handle("PUT /other", scopes.Public(), new(handler))
		mux.Handle(row.first, scopes.Public(), new(handler))
		func() {
			defer func() {
				got, _ := recover().(string)
				if !strings.HasPrefix(got, row.want) || strings.Contains(got, ".go") || strings.Contains(got, "\n") {
					t.Errorf("%q after %q: %q, want %q", row.second, row.first, got, row.want)
				}
			}()
			mux.Handle(row.second, scopes.Authenticated(), new(handler))
		}()
		if routes := mux.Routes(); len(routes) != 2 {
			t.Errorf("%q after %q: %v", row.second, row.first, routes)
		}
	}
}

func TestMux(t *testing.T) {
	issuer := testissuer.New(t)
	mux := guardFor(t, issuer, middleware.Config{}).NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("read"), func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "order "+r.PathValue("id"))
	})
	mux.Handle("POST /orders", scopes.All("read", "write"), new(handler))
	mux.Handle("/tree/", scopes.All("read"), new(handler))
	mux.Handle("GET /open", scopes.Public(), new(handler))
	read := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})
	for _, test := range []struct {
		method, path, authorization string
		status                      int
		body                        string
	}{
		{"GET", "/orders/7", read, 200, "order 7"},
		{"HEAD", "/orders/7", read, 200, ""},
		{"GET", "/orders/a%20b", read, 200, "order a b"},
		{"GET", "/orders/7", "", 401, ""},
		{"HEAD", "/orders/7", "", 401, ""},
		{"GET", "/orders/7", "Bearer bad", 401, ""},
		{"POST", "/orders", read, 403, ""},
		{"GET", "/open", "", 200, ""},
		{"HEAD", "/open", "", 200, ""},
		// R-BT-14: what is not listed needs a token before it is told anything.
		{"POST", "/open", "", 401, ""},
		{"POST", "/open", read, 405, ""},
		{"DELETE", "/orders/7", "", 401, ""},
		{"DELETE", "/orders/7", read, 405, ""},
		{"GET", "/nothing", "", 401, ""},
		{"GET", "/nothing", read, 404, ""},
		{"GET", "/", "", 401, ""},
		{"GET", "/tree", "", 401, ""},
		{"GET", "/tree", read, 404, ""},
		{"GET", "/tree/a", read, 200, ""},
		{"OPTIONS", "/orders", "", 401, ""},
		{"OPTIONS", "/orders/7", "", 401, ""},
		{"OPTIONS", "*", "", 400, ""},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		r.Header.Set("Access-Control-Request-Method", "GET")
		r.Header.Set("Origin", "https://app.example")
		if test.authorization != "" {
			r.Header.Set("Authorization", test.authorization)
		}
		response := serve(mux, r)
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != test.status || test.body != "" && string(body) != test.body {
			t.Errorf("%s %s: %d %s, want %d %s", test.method, test.path, response.StatusCode, body, test.status, test.body)
		}
	}
}

// TestMuxPaths covers R-BT-15: a path that could be read in two ways is answered
// with a plain 400, with and without credentials, and no handler runs.
func TestMuxPaths(t *testing.T) {
	issuer := testissuer.New(t)
	mux := guardFor(t, issuer, middleware.Config{}).NewMux()
	var h handler
	mux.Handle("/public/", scopes.Public(), &h)
	mux.Handle("GET /orders/{rest...}", scopes.All("admin"), &h)
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{
		"/public/../orders", "/public//orders", "//public/", "/public/./x", "/public/%2e%2e/orders", "/public/%2E%2E/orders",
		"/public%2F..%2Forders", "/public/..%2forders", "/public/..;/orders", "/public/x;/../../orders", "/public/%00", "/public/a%0ab",
		`/public/..\orders`, "/public/%5c..%5corders", "/public/%252e%252e/orders", "/public/..", "/public/.",
	} {
		for _, fields := range []string{"", "Authorization: Bearer " + issuer.Sign(testissuer.Token{Scope: "read"}) + "\r\n"} {
			answer := rawPath(t, server.Listener.Addr().String(), path, fields)
			if !strings.HasPrefix(answer, "HTTP/1.1 400 ") || strings.Contains(answer, "Www-Authenticate") {
				t.Errorf("%s: %s", path, answer)
			}
		}
	}
	if h.ran != 0 {
		t.Errorf("the handler ran %d times", h.ran)
	}
}

// TestMuxHosts shows that a host cannot be spelt so as to get the policy of
// another (RFC 9110 §4.2.3), and that CONNECT gets none.
func TestMuxHosts(t *testing.T) {
	guard := guardFor(t, testissuer.New(t), middleware.Config{})
	plain, hosts := guard.NewMux(), guard.NewMux()
	plain.Handle("/", scopes.Public(), new(handler))
	hosts.Handle("/", scopes.Public(), new(handler))
	hosts.Handle("GET admin.example/", scopes.All("admin"), new(handler))
	for _, test := range []struct {
		mux                *middleware.Mux
		method, host, path string
		status             int
	}{
		{hosts, "GET", "other.example", "/x", 200},
		{hosts, "GET", "admin.example", "/x", 401},
		{hosts, "GET", "admin.example:443", "/x", 401},
		{hosts, "GET", "ADMIN.example", "/x", 400},
		{hosts, "GET", "admin.example.", "/x", 400},
		{hosts, "GET", "admin.example.:443", "/x", 400},
		{hosts, "CONNECT", "admin.example:443", "/x", 400},
		{plain, "GET", "ADMIN.example", "/x", 200},
		{plain, "CONNECT", "admin.example", "/x", 400},
	} {
		r := httptest.NewRequest(http.MethodGet, test.path, nil)
		r.Method, r.Host = test.method, test.host
		if response := serve(test.mux, r); response.StatusCode != test.status {
			t.Errorf("%s %s%s: %d, want %d", test.method, test.host, test.path, response.StatusCode, test.status)
		}
	}
}

// TestPolicyFor shows that it finds what ServeHTTP judges by.
func TestPolicyFor(t *testing.T) {
	mux := guardFor(t, testissuer.New(t), middleware.Config{}).NewMux()
	mux.Handle("GET /orders/{id}", scopes.All("read"), new(handler))
	mux.Handle("/tree/", scopes.Public(), new(handler))
	for _, test := range []struct {
		method, path, policy string
		listed               bool
		status               int // of a denial
	}{
		{"GET", "/orders/7", `All("read")`, true, 0},
		{"HEAD", "/orders/7", `All("read")`, true, 0},
		{"POST", "/orders/7", "Authenticated()", false, 0},
		{"GET", "/tree/a", "Public()", true, 0},
		{"GET", "/tree", "Authenticated()", false, 0},
		{"GET", "/x", "Authenticated()", false, 0},
		{"GET", "/orders/../orders/7", "Policy{}", false, 400},
	} {
		for range 2 { // before and after the first request
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Method, r.URL.Path = test.method, test.path
			policy, listed, denial := mux.PolicyFor(r)
			if policy.String() != test.policy || listed != test.listed || (denial != nil) != (test.status != 0) {
				t.Errorf("%s %s: %v %v %v, want %+v", test.method, test.path, policy, listed, denial, test)
			}
			serve(mux, r)
		}
	}
}

// TestMuxCatchAll shows that a catch-all of the user's takes the place of ours.
func TestMuxCatchAll(t *testing.T) {
	for _, pattern := range []string{"/", "/{rest...}", "GET /"} {
		mux := guardFor(t, testissuer.New(t), middleware.Config{}).NewMux()
		mux.Handle(pattern, scopes.Public(), new(handler))
		if response := serve(mux, httptest.NewRequest(http.MethodGet, "/x", nil)); response.StatusCode != 200 {
			t.Errorf("%s: %d", pattern, response.StatusCode)
		}
	}
}

// FuzzMuxPath covers R-BT-15 as a property: whatever the path, the handler
// behind the admin policy does not run without a token, and neither does the
// public one for a path that Go's own ServeMux would clean.
func FuzzMuxPath(f *testing.F) {
	for _, path := range []string{"/public/a", "/admin", "/public/../admin", "/public/%2e%2e/admin", "//admin", "/public/..;/admin", "/admin/", "/%61dmin"} {
		f.Add(path)
	}
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
	if err != nil {
		f.Fatal(err)
	}
	defer issuer.Close()
	f.Fuzz(func(t *testing.T, path string) {
		mux := guardFor(t, issuer, middleware.Config{}).NewMux()
		var admin, public handler
		mux.Handle("/admin/{rest...}", scopes.All("admin"), &admin)
		mux.Handle("/admin", scopes.All("admin"), &admin)
		mux.Handle("/public/", scopes.Public(), &public)
		r, err := http.NewRequest(http.MethodGet, "http://api.test"+path, nil)
		if err != nil || r.URL.Host != "api.test" {
			return
		}
		response := serve(mux, r)
		if admin.ran != 0 {
			t.Errorf("%q reached the admin handler without a token", path)
		}
		if public.ran != 0 && !strings.HasPrefix(r.URL.Path, "/public/") {
			t.Errorf("%q reached the public handler", path)
		}
		if public.ran != 0 && slices.Contains(strings.Split(r.URL.Path, "/"), "..") {
			t.Errorf("%q reached a handler with a dot segment", path)
		}
		if public.ran == 0 && response.StatusCode != 400 && response.StatusCode != 401 {
			t.Errorf("%q: %d", path, response.StatusCode)
		}
	})
}
