package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestPathValuesUnknown shows that Require and Middleware panic for a policy that
// needs a value of the path if Config.PathValue is nil.
func TestPathValuesUnknown(t *testing.T) {
	issuer := issuertest.New(t)
	bare := issuer.Guard(t, middleware.Config{})
	configured := issuer.Guard(t, middleware.Config{PathValue: (*http.Request).PathValue})
	tenant := scopes.TenantFrom("tenant")
	owner := scopes.Check("owner", 0, noting(new([]string)))
	for name, register := range map[string]func(*middleware.Guard, scopes.Policy){
		"Require":           func(g *middleware.Guard, p scopes.Policy) { g.Require(p, new(handler)) },
		"Require, optional": func(g *middleware.Guard, p scopes.Policy) { g.Require(scopes.Optional(p), new(handler)) },
		"Middleware":        func(g *middleware.Guard, p scopes.Policy) { g.Middleware(p) },
	} {
		for _, test := range []struct {
			guard  *middleware.Guard
			policy scopes.Policy
			starts bool
		}{
			{bare, tenant, false},
			{bare, scopes.And(scopes.All("read"), tenant), false},
			{bare, scopes.Or(scopes.All("read"), tenant), false},
			{bare, scopes.And(scopes.Or(scopes.All("read"), tenant), scopes.MaxTokenAge(time.Hour)), false},
			{bare, scopes.All("read"), true},
			{bare, owner, true},
			{configured, scopes.All("read"), true},
			{configured, tenant, true},
		} {
			function, _, _ := strings.Cut(name, ",")
			cause := panicOf(func() { register(test.guard, test.policy) })
			if text, _ := cause.(string); (cause == nil) != test.starts || cause != nil && !strings.HasPrefix(text, "middleware: "+function+": ") {
				t.Errorf("%s with %v: %v", name, test.policy, cause)
			}
		}
	}
	cause, _ := panicOf(func() { bare.Middleware(tenant) }).(string)
	if !strings.Contains(cause, "{tenant}") || !strings.Contains(cause, "Config.PathValue") {
		t.Errorf("the panic does not say what to do: %s", cause)
	}
}

// panicOf returns what run panics with, or nil.
func panicOf(run func()) (cause any) {
	defer func() { cause = recover() }()
	run()
	return nil
}

// TestPathValue shows that a policy reads the path's values by the configured
// accessor, and that a Mux reads its own.
func TestPathValue(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{PathValue: func(r *http.Request, name string) string {
		return r.Header.Get("Router-" + name) // stands for what a router keeps
	}}, func(c *validator.Issuer) { c.Tenant = validator.TenantRule{Claim: "tenant", Owned: []string{"acme"}} })
	mux := guard.NewMux()
	mux.Handle("GET /{tenant}", scopes.TenantFrom("tenant"), new(handler))
	other := guard.Require(scopes.TenantFrom("tenant"), new(handler))
	for _, test := range []struct {
		name    string
		handler http.Handler
		path    string
		router  string
		status  int
	}{
		{"Mux", mux, "/acme", "", 200},
		{"Mux, another tenant", mux, "/other", "acme", 403},
		{"router", other, "/other", "acme", 200},
		{"router, another tenant", other, "/acme", "other", 403},
		{"router without a value", other, "/acme", "", 403},
	} {
		r := httptest.NewRequest(http.MethodGet, test.path, nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{Claims: map[string]any{"tenant": "acme"}}))
		r.Header.Set("Router-Tenant", test.router)
		if response := serve(test.handler, r); response.StatusCode != test.status {
			t.Errorf("%s: %d, want %d", test.name, response.StatusCode, test.status)
		}
	}
}

// TestPathValuesOfCopies shows that a router behind a guard changes no path value
// of a copy of the request: one that was made in front, or one that a goroutine
// still reads which its handler left behind, as http.TimeoutHandler does. That
// goroutine races with a change. It ends the process where the values are a map.
func TestPathValuesOfCopies(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	for name, set := range map[string]func(http.Handler) http.Handler{
		"a ServeMux in front": func(next http.Handler) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("GET /{id}/{rest...}", next)
			return mux
		},
		"SetPathValue in front": func(next http.Handler) http.Handler { // as chi does
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.SetPathValue("id", "acme")
				r.SetPathValue("rest", "items/5")
				next.ServeHTTP(w, r)
			})
		},
	} {
		for kind, policy := range map[string]scopes.Policy{"Require": scopes.Authenticated(), "Public": scopes.Public()} {
			left, id := make(chan struct{}), make(chan string)
			inner := http.NewServeMux()
			inner.HandleFunc("GET /acme/items/{id}", func(_ http.ResponseWriter, r *http.Request) {
				if got := r.PathValue("id"); got != "5" {
					t.Errorf("%s, %s: the handler's id is %q", name, kind, got)
				}
				go func() {
					_ = r.PathValue("rest") // not ordered with what the guard does
					<-left
					id <- r.PathValue("id")
				}()
			})
			guarded := guard.Require(policy, inner)
			r := request("Bearer " + issuer.Sign(testissuer.Token{}))
			r.URL.Path = "/acme/items/5"
			r.Header.Set("X-Forwarded-For", "192.0.2.1") // is removed, so the guard copies
			set(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				copied := r.WithContext(r.Context()) // of a logger
				guarded.ServeHTTP(w, r)
				for which, seen := range map[string]*http.Request{"the request": r, "a copy": copied} {
					if id, rest := seen.PathValue("id"), seen.PathValue("rest"); id != "acme" || rest != "items/5" {
						t.Errorf("%s, %s: %s in front has %q and %q", name, kind, which, id, rest)
					}
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
			close(left)
			if got := <-id; got != "5" {
				t.Errorf("%s, %s: a goroutine that was left has %q", name, kind, got)
			}
		}
	}
}
