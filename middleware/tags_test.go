package middleware_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestTaggedRoutes covers R-SU-08 for each tagged route of a service: a token of a weak
// or old login is refused with a step-up challenge, one of a strong and recent login
// passes, and the old one is still refused after that.
func TestTaggedRoutes(t *testing.T) {
	issuer := issuertest.New(t)
	mux, lines := issuer.Guard(t, middleware.Config{}).NewMux(), shop()
	for _, line := range lines {
		mux.Handle(line.pattern, line.policy, new(handler))
	}
	sign := func(acr string, authenticated time.Duration) string {
		return "Bearer " + issuer.Sign(testissuer.Token{
			Scope: "orders:read orders:write", Claims: map[string]any{"acr": acr, "auth_time": time.Now().Add(-authenticated).Unix()},
		})
	}
	strong, weak, old, both := sign("urn:mfa", 0), sign("urn:password", 0), sign("urn:mfa", time.Hour), sign("urn:password", time.Hour)
	privileged, sensitive := 0, 0
	for _, route := range mux.Contract().Routes {
		line := lines[slices.IndexFunc(lines, func(l served) bool { return l.pattern == route.Route })]
		const weakly = `acr_values="urn:mfa"`
		recently := fmt.Sprintf(`max_age="%d"`, route.Requires.MaxAuthAge)
		refused := map[string][]string{} // tokens, and the challenges to them
		if route.Privileged {
			privileged++
			refused[weak], refused[both] = append(refused[weak], weakly), append(refused[both], weakly)
		}
		if route.Sensitive {
			sensitive++
			refused[old], refused[both] = append(refused[old], recently), append(refused[both], recently)
		}
		if len(refused) == 0 {
			continue
		}
		for range 2 { // the second time after the strong token came
			for token, params := range refused {
				line.expect(t, mux, token, 401, append(params, `error="insufficient_user_authentication"`)...)
			}
			line.expect(t, mux, strong, 200)
		}
	}
	if privileged == 0 || sensitive == 0 {
		t.Errorf("%d privileged and %d sensitive routes prove little", privileged, sensitive)
	}
}

// expect sends the line's request, and fails the test unless the challenge has these
// parameters.
func (l *served) expect(t *testing.T, mux *middleware.Mux, token string, status int, params ...string) {
	t.Helper()
	r := request(token)
	r.Method, r.URL.Path = l.method, l.path
	response := serve(mux, r)
	challenge := response.Header.Get("WWW-Authenticate")
	if response.StatusCode != status || slices.ContainsFunc(params, func(param string) bool { return !strings.Contains(challenge, param) }) {
		t.Errorf("%s: %d %s, want %d with %q", l.pattern, response.StatusCode, challenge, status, params)
	}
}

// TestOptionalTagged covers R-SU-08: a route that refuses weak logins cannot admit
// anonymous callers.
func TestOptionalTagged(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	strong, recent := scopes.ACR("urn:mfa"), scopes.MaxAuthAge(time.Minute)
	for policy, starts := range map[*scopes.Policy]bool{
		new(strong): true, new(recent): true, new(scopes.Privileged(strong)): false, new(scopes.Sensitive(recent)): false,
		new(scopes.And(scopes.All("a"), scopes.Privileged(strong))): false,
	} {
		func() {
			defer func() {
				if cause := recover(); (cause == nil) != starts || cause != nil && !strings.Contains(cause.(string), "a request without credentials would pass") {
					t.Errorf("%v: %v", policy, cause)
				}
			}()
			guard.Require(scopes.Optional(*policy), new(handler))
		}()
	}
}
