package middleware_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// TestOptionalWithoutValue checks that a field without a value, which other middleware may
// leave in a request, does not make it anonymous.
func TestOptionalWithoutValue(t *testing.T) {
	h := issuertest.New(t).Guard(t, middleware.Config{}).Require(scopes.Optional(scopes.Authenticated()), new(handler))
	for _, name := range []string{"Authorization", "Dpop"} {
		for _, values := range [][]string{nil, {}} {
			r := request()
			r.Header[name] = values
			if got := serve(h, r).StatusCode; got == http.StatusOK {
				t.Errorf("%s with %#v: the request is anonymous", name, values)
			}
		}
	}
}

// TestOptionalBehindProxy checks that a token on an Optional route needs readable
// fields of the proxy, as on any other route, and that an anonymous request does not.
func TestOptionalBehindProxy(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	h := guard.Require(scopes.Optional(scopes.Authenticated()), new(handler))
	for _, row := range []struct {
		name, client string
		token        bool
		want         int
	}{
		{"a token", "192.0.2.1", true, 200},
		{"a token, and no address", "unknown", true, 400},
		{"anonymous", "192.0.2.1", false, 200},
		{"anonymous, and no address", "unknown", false, 200},
	} {
		r := request()
		if row.token {
			r = request("Bearer " + issuer.Token(nil))
		}
		r.RemoteAddr = "10.0.0.1:1"
		r.Header.Set("X-Forwarded-For", row.client)
		if got := serve(h, r).StatusCode; got != row.want {
			t.Errorf("%s: %d, want %d", row.name, got, row.want)
		}
	}
}
