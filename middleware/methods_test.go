package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// marked answers with a status that tells which handler ran.
func marked(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
}

// The statuses of the handlers behind guarded and public patterns.
const (
	fromGuarded = http.StatusAccepted
	fromPublic  = http.StatusOK
)

// openPolicies are the policies that admit callers without credentials.
var openPolicies = []scopes.Policy{scopes.Public(), scopes.Optional(scopes.Authenticated())}

// muxOf makes a Mux with these patterns, the public ones last or first.
func muxOf(guard *middleware.Guard, guarded, public string, publicFirst bool) *middleware.Mux {
	return muxOfOpen(guard, guarded, public, scopes.Public(), publicFirst)
}

// muxOfOpen is muxOf with the policy open for the public patterns.
func muxOfOpen(guard *middleware.Guard, guarded, public string, open scopes.Policy, openFirst bool) *middleware.Mux {
	mux := guard.NewMux()
	register := func(patterns string, policy scopes.Policy, status int) {
		for pattern := range strings.SplitSeq(patterns, "; ") {
			if pattern != "" {
				mux.Handle(pattern, policy, marked(status))
			}
		}
	}
	if openFirst {
		register(public, open, fromPublic)
	}
	register(guarded, scopes.Authenticated(), fromGuarded)
	if !openFirst {
		register(public, open, fromPublic)
	}
	return mux
}

// TestOtherMethods covers R-BT-14 for methods: a path that a guarded pattern
// lists under another method is not served by an open pattern that covers it,
// and the answer to a valid token lists the methods of the path.
func TestOtherMethods(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	token := "Bearer " + issuer.Sign(testissuer.Token{})
	const head = "GET, HEAD"
	for _, test := range []struct {
		guarded, public string // patterns
		request         string
		bare            int    // without a token
		full            int    // with one
		allow           string // with one
	}{
		// A catch-all does not open other methods, in whatever form.
		{"GET /admin", "/", "PUT /admin", 401, 405, head},
		{"GET /admin", "/", "OPTIONS /admin", 401, 405, head},
		{"GET /admin", "/", "get /admin", 401, 405, head},
		{"GET /admin", "/", "GET /admin", 401, fromGuarded, ""},
		{"GET /admin", "/", "HEAD /admin", 401, fromGuarded, ""},
		{"GET /admin", "/", "PUT /admin/", fromPublic, fromPublic, ""},
		{"GET /admin", "/", "PUT /administration", fromPublic, fromPublic, ""},
		{"GET /admin", "/", "PUT /", fromPublic, fromPublic, ""},
		{"GET /admin", "/{rest...}", "PUT /admin", 401, 405, head},
		{"GET /admin", "PUT /", "PUT /admin", 401, 405, head},
		{"GET /admin", "PUT /{rest...}", "DELETE /admin", 401, 405, head},
		{"POST /mcp", "GET /", "GET /mcp", 401, 405, "POST"},
		{"POST /mcp", "GET /", "HEAD /mcp", 401, 405, "POST"},
		{"HEAD /admin", "/", "GET /admin", 401, 405, "HEAD"},
		{"GET /admin", "/{page}", "PUT /admin", 401, 405, head},
		{"GET /%61dmin", "/", "PUT /admin", 401, 405, head},
		{"GET /admin", "/", "PUT /%61dmin", 401, 405, head},
		{"GET /a b", "/", "PUT /a%20b", 401, 405, head},
		// Subtrees and wildcards of guarded patterns.
		{"GET /admin/", "/", "PUT /admin/users/1", 401, 405, head},
		{"GET /admin/", "/", "PUT /admin/", 401, 405, head},
		{"GET /admin/", "/", "PUT /admin", 401, 404, ""},
		{"GET /admin/", "/", "GET /admin", 401, 404, ""},
		{"GET /admin/", "/{page}", "GET /admin", fromPublic, fromPublic, ""},
		{"GET /admin/", "/{page}", "PUT /admin", fromPublic, fromPublic, ""},
		{"GET /admin/{$}", "/", "PUT /admin/", 401, 405, head},
		{"GET /admin/{$}", "/", "PUT /admin", 401, 404, ""},
		{"GET /admin/{$}", "/", "PUT /admin/x", fromPublic, fromPublic, ""},
		{"GET /{$}", "/", "PUT /", 401, 405, head},
		{"GET /{$}", "/", "PUT /x", fromPublic, fromPublic, ""},
		{"GET /orders/{id}", "/", "PUT /orders/7", 401, 405, head},
		{"GET /orders/{id}", "/", "PUT /orders/7/", fromPublic, fromPublic, ""},
		{"GET /orders/{id}", "/orders/", "PUT /orders/7", 401, 405, head},
		{"GET /orders/{id}", "/orders/", "PUT /orders/7/lines", fromPublic, fromPublic, ""},
		{"GET /{a}/x; PUT /y/{b}; DELETE /{rest...}", "POST /y/", "POST /y/x", 401, 405, "DELETE, GET, HEAD, PUT"},
		{"POST /y/{b}", "GET /{a}/x", "GET /y/x", 401, 405, "POST"},
		// A public exception below a guarded pattern is one for its methods.
		{"GET /admin/{id}", "GET /admin/new; /", "GET /admin/new", fromPublic, fromPublic, ""},
		{"GET /admin/{id}", "GET /admin/new; /", "PUT /admin/new", 401, 405, head},
		{"GET /admin/{id}", "PUT /admin/new; /", "PUT /admin/new", fromPublic, fromPublic, ""},
		{"POST /", "GET /static/", "GET /static/a.css", fromPublic, fromPublic, ""},
		{"POST /", "GET /", "GET /x", fromPublic, fromPublic, ""},
		{"POST /docs/{id}/notes", "GET /docs/", "GET /docs/7/notes", 401, 405, "POST"},
		{"POST /docs/{id}/notes", "GET /docs/; GET /docs/{id}/notes", "GET /docs/7/notes", fromPublic, fromPublic, ""},
		// A public pattern for the same path lists it.
		{"GET /admin", "/admin", "PUT /admin", fromPublic, fromPublic, ""},
		{"GET /admin", "PUT /admin; /", "PUT /admin", fromPublic, fromPublic, ""},
		{"GET /admin", "PUT /admin; /", "DELETE /admin", 401, 405, "GET, HEAD, PUT"},
		{"GET /admin/{id}", "PUT /admin/{name}; /", "PUT /admin/x", fromPublic, fromPublic, ""},
		// Without a catch-all, and for public paths.
		{"POST /mcp", "", "DELETE /mcp", 401, 405, "POST"},
		{"", "GET /docs", "PUT /docs", 401, 405, head},
		{"", "GET /docs; /", "PUT /docs", fromPublic, fromPublic, ""},
		{"GET /a", "GET /docs", "PUT /nothing", 401, 404, ""},
		{"GET /tree/", "", "PUT /tree", 401, 404, ""},
		{"/any; GET /admin", "", "PUT /any", 401, fromGuarded, ""},
		// A preflight has no token; a pattern for OPTIONS answers it.
		{"GET /admin", "OPTIONS /; /", "OPTIONS /admin", fromPublic, fromPublic, ""},
		{"GET /admin", "OPTIONS /; /", "PUT /admin", 401, 405, "GET, HEAD, OPTIONS"},
		// A public pattern for OPTIONS alone lists no path.
		{"GET /admin", "OPTIONS /", "PUT /nothing", 401, 404, ""},
		{"GET /admin", "OPTIONS /; PUT /docs", "GET /docs", 401, 405, "OPTIONS, PUT"},
		{"GET /admin", "OPTIONS /docs", "GET /docs", 401, 404, ""},
		{"GET /admin; OPTIONS /docs", "", "GET /docs", 401, 405, "OPTIONS"},
		// Hosts.
		{"GET api.test/admin", "/", "PUT api.test/admin", 401, 405, head},
		{"GET api.test/admin", "/", "PUT api.test:8443/admin", 401, 405, head},
		{"GET api.test/admin", "/", "PUT www.test/admin", fromPublic, fromPublic, ""},
		{"GET api.test/admin", "api.test/", "PUT api.test/admin", 401, 405, head},
		{"GET api.test/admin", "/admin", "PUT api.test/admin", 401, 405, head},
		{"GET api.test/admin", "/admin", "PUT www.test/admin", fromPublic, fromPublic, ""},
		{"GET /admin", "www.test/", "PUT www.test/admin", fromPublic, fromPublic, ""},
		{"GET /admin", "www.test/; /", "PUT api.test/admin", 401, 405, head},
	} {
		for _, open := range openPolicies {
			for _, openFirst := range []bool{false, true} {
				mux := muxOfOpen(guard, test.guarded, test.public, open, openFirst)
				for _, authorization := range []string{"", token} {
					want, allow := test.bare, ""
					if authorization != "" {
						want, allow = test.full, test.allow
					}
					checkAnswer(t, mux, requestFor(test.request, authorization), fmt.Sprintf("%s guarded, %s %v: %s", test.guarded, test.public, open, test.request), want, allow)
					route := mux.Match(requestFor(test.request, authorization))
					if ran := test.full/100 == 2; route.Listed() != ran || (route.Policy().String() == open.String()) != (want == fromPublic) {
						t.Errorf("%s guarded, %s %v: Match %s: %v, %v", test.guarded, test.public, open, test.request, route.Policy(), route.Listed())
					}
				}
			}
		}
	}
}

// checkAnswer reports whether mux answers r with another status or another Allow
// field, or refuses it without Cache-Control.
func checkAnswer(t *testing.T, mux *middleware.Mux, r *http.Request, name string, want int, allow string) {
	t.Helper()
	response := serve(mux, r)
	if got := response.Header.Get("Allow"); response.StatusCode != want || got != allow {
		t.Errorf("%s: %d, Allow %q, want %d, %q", name, response.StatusCode, got, want, allow)
	}
	if control := response.Header.Get("Cache-Control"); want/100 == 4 && control == "" {
		t.Errorf("%s: %d without Cache-Control", name, want)
	}
}

// TestOptionalIsNotGuarded shows that an optional pattern keeps no open one from
// serving its path under another method, and causes no warning.
func TestOptionalIsNotGuarded(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	for _, open := range openPolicies {
		mux := guard.NewMux()
		mux.Handle("GET /catalog", scopes.Optional(scopes.All("read")), marked(fromGuarded))
		mux.Handle("/", open, marked(fromPublic))
		for request, want := range map[string]int{
			"GET /catalog": fromGuarded, "POST /catalog": fromPublic, "GET /catalog/": fromPublic,
		} {
			checkAnswer(t, mux, requestFor(request, ""), fmt.Sprintf("%v: %s", open, request), want, "")
		}
		if warnings := mux.Warnings(); len(warnings) != 0 {
			t.Errorf("%v: %q", open, warnings)
		}
		mux.Handle("GET /admin", scopes.Authenticated(), marked(fromGuarded))
		mux.Handle("POST /admin/{$}", scopes.Optional(scopes.All("read")), marked(fromGuarded))
		checkAnswer(t, mux, requestFor("GET /admin/", ""), fmt.Sprintf("%v: GET /admin/", open), fromPublic, "")
		if warnings := mux.Warnings(); len(warnings) != 1 || !strings.HasPrefix(warnings[0], `pattern "/" is `) {
			t.Errorf("%v: %q", open, warnings)
		}
	}
}

// requestFor makes a request from a method and a target, which may start with a
// host.
func requestFor(line, authorization string) *http.Request {
	method, target, _ := strings.Cut(line, " ")
	host, path, _ := strings.Cut(target, "/")
	r := httptest.NewRequest(http.MethodGet, "/"+path, nil)
	r.Method = method
	if host != "" {
		r.Host = host
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	return r
}

// TestAllowedMethods shows which methods AllowedMethods returns for requests that no
// pattern matches.
func TestAllowedMethods(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	mux := muxOf(guard, "GET /admin; POST /admin; GET /a/{id}", "/any; DELETE /other", true)
	for line, want := range map[string]string{
		"PUT /admin":   "GET HEAD POST",
		"GET /admin":   "GET HEAD POST",
		"PUT /any":     "DELETE GET HEAD POST",
		"PUT /nothing": "",
		"PUT /a//b":    "",
		"PUT /a/7":     "GET HEAD",
		"PUT /a/%2e":   "",
	} {
		if got := strings.Join(mux.AllowedMethods(requestFor(line, "")), " "); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	if got := guard.NewMux().AllowedMethods(requestFor("GET /", "")); got != nil {
		t.Errorf("an empty Mux: %q", got)
	}
}

// TestPublicAllocations shows that guarded patterns cost a public one no
// allocation.
func TestPublicAllocations(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	const patterns = "GET /a; PUT /a/{b}; POST /a/{b}/c; DELETE /d/{$}"
	w := httptest.NewRecorder()
	perRequest := func(mux *middleware.Mux) float64 {
		r := requestFor("GET /x/y/", "")
		return testing.AllocsPerRun(100, func() { mux.ServeHTTP(w, r) })
	}
	public, guarded := perRequest(muxOf(guard, "", patterns+"; /", true)), perRequest(muxOf(guard, patterns, "/", true))
	if guarded > public {
		t.Errorf("%v allocations beside guarded patterns, %v beside public ones", guarded, public)
	}
}
