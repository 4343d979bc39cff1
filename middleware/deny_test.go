package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// served is one line of a service's table.
type served struct {
	pattern string
	policy  scopes.Policy
	method  string // of a request that it permits
	path    string
}

// shop is a service with a line for each kind of policy.
func shop() []served {
	return []served{
		{"GET /orders", scopes.All("orders:read"), "GET", "/orders"},
		{"GET /orders/{id}", scopes.Any("orders:read", "orders:write"), "GET", "/orders/7"},
		{"POST /orders", scopes.All("orders:read", "orders:write"), "POST", "/orders"},
		{"DELETE /orders/{id}", scopes.Privileged(scopes.And(scopes.All("orders:write"), scopes.ACR("urn:mfa"))), "DELETE", "/orders/7"},
		{"GET /me", scopes.Authenticated(), "GET", "/me"},
		{"/reports/", scopes.And(scopes.All("orders:read"), scopes.Audience("https://api.test")), "GET", "/reports/1"},
		{"PUT /limits", scopes.Sensitive(scopes.MaxAuthAge(5 * time.Minute)), "PUT", "/limits"},
		{"POST /payouts", scopes.Privileged(scopes.Sensitive(scopes.And(scopes.ACR("urn:mfa"), scopes.MaxAuthAge(time.Minute)))), "POST", "/payouts"},
		{"GET /audit", scopes.Or(scopes.All("audit"), scopes.Issuers("https://nobody.test"), scopes.NotDelegated()), "GET", "/audit"},
		{"GET /health", scopes.Public(), "GET", "/health"},
	}
}

// TestRemovedPolicies covers R-SC-04 and R-SC-11: if a policy is removed from any
// line of a service, the route refuses every request, or the service does not start.
func TestRemovedPolicies(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	everything := "Bearer " + issuer.Sign(testissuer.Token{
		Scope:  "orders:read orders:write audit",
		Claims: map[string]any{"acr": "urn:mfa", "auth_time": time.Now().Unix()},
	})
	send := func(mux http.Handler, line served, fields ...string) int {
		r := request(fields...)
		r.Method, r.URL.Path = line.method, line.path
		return serve(mux, r).StatusCode
	}
	start := func(lines []served) (mux *middleware.Mux, ran *handler, refused bool) {
		defer func() { refused = recover() != nil }()
		mux, ran = guard.NewMux(), new(handler)
		for _, line := range lines {
			mux.Handle(line.pattern, line.policy, ran)
		}
		return mux, ran, false
	}
	whole, _, _ := start(shop())
	for i, line := range shop() {
		if status := send(whole, line, everything); status != 200 {
			t.Errorf("%s: %d for a token that has everything", line.pattern, status)
		}
		if status := send(whole, line); status != 401 && !line.policy.IsPublic() {
			t.Errorf("%s: %d without a token", line.pattern, status)
		}
		// Without the line.
		mux, ran, _ := start(slices.Delete(shop(), i, i+1))
		if bare, full := send(mux, line), send(mux, line, everything); bare != 401 || full != 404 && full != 405 || ran.ran != 0 {
			t.Errorf("%s, left out: %d without a token, %d with a token, ran %d times", line.pattern, bare, full, ran.ran)
		}
		// With the line, but without its policy.
		lines := shop()
		lines[i].policy = scopes.Policy{}
		if _, _, refused := start(lines); !refused {
			t.Errorf("%s starts without a policy", line.pattern)
		}
		// With a policy that lost what it said.
		for _, empty := range []scopes.Policy{scopes.All(), scopes.Any(), scopes.And(), scopes.Or(), scopes.ACR(), scopes.Issuers()} {
			lines[i].policy = empty
			if _, _, refused := start(lines); !refused {
				t.Errorf("%s starts with an empty policy", line.pattern)
			}
		}
	}
	// An adapter that forgets the policy, or does not check its error.
	for _, policy := range []scopes.Policy{{}, scopes.All()} {
		route, err := guard.Route("GET /", policy)
		if err == nil {
			t.Errorf("%v is compiled", policy)
		}
		denial := route.Check(t.Context(), presented(everything), scopes.Operation{}).Denial()
		if denial == nil || denial.Status != 503 {
			t.Errorf("Check without a policy: %+v", denial)
		}
	}
	w := httptest.NewRecorder()
	guard.NewMux().ServeHTTP(w, request())
	if w.Code != 401 {
		t.Errorf("an empty Mux: %d", w.Code)
	}
}
