package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestMissingWildcard shows that a policy which looks for a wildcard that the pattern
// does not have is a fault.
func TestMissingWildcard(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
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
				if (cause == nil) != row.starts || cause != nil && !strings.Contains(cause.(string), " has no wildcard {tenant}, ") {
					t.Errorf("%s with %v: %v", row.pattern, row.policy, cause)
				}
			}()
			guard.NewMux().Handle(row.pattern, row.policy, new(handler))
		}()
	}
}

// TestPatternFaults shows that the fault of a pattern names the pattern that it
// conflicts with, and no lines of this package.
func TestPatternFaults(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	for _, row := range []struct{ first, second, want string }{
		{"GET /a", "GET /a", `middleware: GET /a conflicts with pattern "GET /a": GET /a matches the same requests as GET /a`},
		{"/a/{x}", "/{y}/b", `middleware: /{y}/b conflicts with pattern "/a/{x}": /{y}/b and /a/{x} both match some paths, like "/a/b". But neither`},
		{"GET /{a}/b", "/x/{b}", `middleware: /x/{b} conflicts with pattern "GET /{a}/b": `},
		{"/a", "/{", `middleware: /{ is not a pattern: parsing "/{": `},
		{"/a", "", `middleware: is not a pattern: http: invalid pattern`},
		{"/a", "GET", `middleware: GET is not a pattern: parsing "GET": `},
		{"/a", "/ x", `middleware: / x is not a pattern: `},
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
		if routes := mux.Policies(); len(routes) != 2 {
			t.Errorf("%q after %q: %v", row.second, row.first, routes)
		}
	}
}

// TestCatchAllTooLate shows that a pattern for all requests cannot be registered after
// the Mux has served a request, and that the fault says so.
func TestCatchAllTooLate(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	for _, pattern := range []string{"/", "/{rest...}"} {
		mux := guard.NewMux()
		mux.Handle("GET /a", scopes.Public(), new(handler))
		serve(mux, request())
		_, err := mux.Add(pattern, scopes.Public())
		faults := validator.Faults(err)
		if len(faults) != 1 || faults[0].Path != pattern || faults[0].Problem != "matches all requests, and the Mux has already served a request" ||
			faults[0].Mend != "register it before the first request" {
			t.Errorf("%s: %v", pattern, err)
		}
		if _, err := mux.Add("GET /b", scopes.Public()); err != nil {
			t.Error(err)
		}
		if _, err := mux.Add("/{", scopes.Public()); err == nil || !strings.Contains(err.Error(), "is not a pattern: parsing") {
			t.Error(err)
		}
	}
}

// TestPatternsOfServeMux shows that a Mux takes the patterns that ServeMux takes, also
// long ones and those with tabs, and that Guard.Route takes only short printable names.
func TestPatternsOfServeMux(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	for pattern, path := range map[string]string{
		"GET\t/x":                                "/x",
		"GET \t /x":                              "/x",
		"GET /\u00e4":                            "/\u00e4",
		"GET /" + strings.Repeat("segment/", 70): "/" + strings.Repeat("segment/", 70),
	} {
		mux := guard.NewMux()
		mux.Handle(pattern, scopes.Public(), new(handler))
		r := request()
		r.URL.Path = path
		if route := mux.Match(r); route.Name() != pattern || serve(mux, r).StatusCode != 200 {
			t.Errorf("%.40q: the route is %.40q", pattern, route.Name())
		}
		if _, err := guard.Route(pattern, scopes.Public()); (err == nil) != (pattern == "GET /\u00e4") {
			t.Errorf("Guard.Route(%.40q): %v", pattern, err)
		}
	}
}

func TestMux(t *testing.T) {
	issuer := issuertest.New(t)
	mux := issuer.Guard(t, middleware.Config{}).NewMux()
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
		// R-BT-14: an unlisted path is answered with 401 unless the token is valid.
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
	issuer := issuertest.New(t)
	mux := issuer.Guard(t, middleware.Config{}).NewMux()
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

// TestMuxHosts shows that no spelling of a host gets the policy of another host
// (RFC 9110 §4.2.3), and that CONNECT is refused.
func TestMuxHosts(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
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

// TestMatch shows that Match returns the route by which ServeHTTP decides.
func TestMatch(t *testing.T) {
	issuer := issuertest.New(t)
	mux := issuer.Guard(t, middleware.Config{}).NewMux()
	mux.Handle("GET /orders/{id}", scopes.All("read"), new(handler))
	mux.Handle("/tree/", scopes.Public(), new(handler))
	token := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})
	for _, test := range []struct {
		method, path, policy string
		listed               bool
		status               int // of a denial
	}{
		{"GET", "/orders/7", `All("read")`, true, 0},
		{"HEAD", "/orders/7", `All("read")`, true, 0},
		{"POST", "/orders/7", "Authenticated()", false, 405},
		{"GET", "/tree/a", "Public()", true, 0},
		{"GET", "/tree", "Authenticated()", false, 404},
		{"GET", "/x", "Authenticated()", false, 404},
		{"GET", "/orders/../orders/7", "Policy{}", false, 400},
	} {
		for range 2 { // before and after the first request
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Method, r.URL.Path = test.method, test.path
			route := mux.Match(r)
			denial := route.Check(t.Context(), presented(token), scopes.Operation{}).Denial()
			status := 0
			if denial != nil {
				status = denial.Status
			}
			if route.Policy().String() != test.policy || route.Listed() != test.listed || status != test.status {
				t.Errorf("%s %s: %v %v %v, want %+v", test.method, test.path, route.Policy(), route.Listed(), denial, test)
			}
			serve(mux, r)
		}
	}
}

// TestMuxCatchAll shows that a registered catch-all replaces that of the Mux.
func TestMuxCatchAll(t *testing.T) {
	for _, pattern := range []string{"/", "/{rest...}", "GET /"} {
		mux := issuertest.New(t).Guard(t, middleware.Config{}).NewMux()
		mux.Handle(pattern, scopes.Public(), new(handler))
		if response := serve(mux, httptest.NewRequest(http.MethodGet, "/x", nil)); response.StatusCode != 200 {
			t.Errorf("%s: %d", pattern, response.StatusCode)
		}
	}
}

// FuzzMuxPath covers R-BT-15 as a property: without a token, no path reaches the
// handler behind the admin policy, and no path that ServeMux would clean reaches the
// public handler. Beside a guarded subtree, an open catch-all serves none of its paths
// under any method.
func FuzzMuxPath(f *testing.F) {
	for _, path := range []string{"/public/a", "/admin", "/public/../admin", "/public/%2e%2e/admin", "//admin", "/public/..;/admin", "/admin/", "/%61dmin"} {
		f.Add(path)
	}
	issuer := issuertest.New(f)
	f.Fuzz(func(t *testing.T, path string) {
		for _, policy := range openPolicies {
			for _, method := range []string{http.MethodGet, http.MethodPut} {
				mux := issuer.Guard(t, middleware.Config{}).NewMux()
				var admin, open handler
				mux.Handle("GET /admin/{rest...}", scopes.All("admin"), &admin)
				mux.Handle("GET /admin", scopes.All("admin"), &admin)
				mux.Handle("/", policy, &open)
				r, err := http.NewRequest(method, "http://api.test"+path, nil)
				if err != nil || r.URL.Host != "api.test" {
					return
				}
				serve(mux, r)
				if isAdmin := r.URL.Path == "/admin" || strings.HasPrefix(r.URL.Path, "/admin/"); admin.ran != 0 || open.ran != 0 && isAdmin {
					t.Errorf("%v: %s %q reached a handler without a token", policy, method, path)
				}
			}
		}
		mux := issuer.Guard(t, middleware.Config{}).NewMux()
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
