package middleware_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCredentials covers R-GR-01: the values of the fields are read for every transport as
// they are for HTTP, a field without a value is no anonymous caller, and the cause of
// several values says how many there are and where they come from.
func TestCredentials(t *testing.T) {
	for _, row := range []struct {
		name                string
		authorization, dpop []string
		scheme              validator.Scheme
		token               string
		cause               string // part of the text; empty: no error
	}{
		{name: "neither"},
		{name: "bearer", authorization: []string{"bEaRer  abc="}, scheme: validator.Bearer, token: "abc="},
		{name: "DPoP with proofs", authorization: []string{"DPoP abc"}, dpop: []string{"p", "q"}, scheme: validator.DPoP, token: "abc"},
		{name: "an Authorization field without a value", authorization: []string{}, scheme: validator.OtherScheme},
		{name: "a proof alone", dpop: []string{"p"}, scheme: validator.OtherScheme},
		{name: "a DPoP field without a value", dpop: []string{}, scheme: validator.OtherScheme},
		{name: "another scheme", authorization: []string{"Basic dTpw"}, scheme: validator.OtherScheme},
		{name: "two values", authorization: []string{"Bearer a", "Bearer a"}, scheme: validator.OtherScheme, cause: "2 Authorization fields"},
		{name: "three values", authorization: []string{"Bearer a", "", "Bearer a"}, scheme: validator.OtherScheme, cause: "found 3 Authorization fields; wanted one; a gateway"},
		{name: "two in one value", authorization: []string{"Basic dTpw, Bearer abc"}, scheme: validator.OtherScheme, cause: "more than one credentials in one"},
		{name: "an empty value", authorization: []string{""}, scheme: validator.OtherScheme, cause: "does not start with a scheme"},
		{name: "no separator", authorization: []string{"Bearer=abc"}, scheme: validator.Bearer, cause: "not followed by spaces"},
	} {
		p, err := middleware.Credentials(row.authorization, row.dpop)
		if p.Scheme != row.scheme || p.Token != row.token || row.cause == "" && !slices.Equal(p.Proofs, row.dpop) {
			t.Errorf("%s: %v %q %q", row.name, p.Scheme, p.Token, p.Proofs)
		}
		if (err == nil) != (row.cause == "") || err != nil && (validator.ReasonOf(err) != validator.MalformedRequest || !strings.Contains(errors.Unwrap(err).Error(), row.cause)) {
			t.Errorf("%s: error %v, want one with %q", row.name, err, row.cause)
		}
	}
}

// TestUnlisted covers R-GR-08: the route for operations that nobody listed refuses
// everybody, and only a caller with a valid token learns that the operation is unknown.
func TestUnlisted(t *testing.T) {
	issuer := issuertest.New(t)
	route := issuer.Guard(t, middleware.Config{}).Unlisted()
	if route.Listed() || route.Name() != "unlisted" {
		t.Errorf("listed: %v, name %q", route.Listed(), route.Name())
	}
	for name, row := range map[string]struct {
		p     validator.Presentation
		class middleware.Class
	}{
		"anonymous": {validator.Presentation{}, middleware.ClassNoCredentials},
		"bad token": {issuertest.Bearer("abc"), middleware.ClassInvalidToken},
		"expired":   {issuer.Bearer(issuertest.Claims{"exp": 1}), middleware.ClassExpiredToken},
		"good":      {issuer.Bearer(nil), middleware.ClassNotFound},
	} {
		if d := route.Check(t.Context(), row.p, scopes.Operation{}).Denial(); d == nil || d.Class != row.class {
			t.Errorf("%s: %v, want %s", name, d, row.class)
		}
	}
	for _, unmade := range []*middleware.Guard{nil, {}} {
		if d := unmade.Unlisted().Check(t.Context(), issuer.Bearer(nil), scopes.Operation{}).Denial(); d == nil || d.Status != http.StatusServiceUnavailable {
			t.Errorf("the route of a Guard that was not made: %v", d)
		}
	}
}

// TestVerdictContext checks that a handler behind an adapter finds the token of the
// verdict, and never the one of an outer Guard.
func TestVerdictContext(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	passing := routeOf(t, guard, scopes.Authenticated()).Check(t.Context(), issuer.Bearer(nil), scopes.Operation{})
	outer := passing.Context(t.Context())
	if token := middleware.TokenFrom(outer); token == nil || token != passing.Token() {
		t.Errorf("the token is %v", token)
	}
	for name, verdict := range map[string]middleware.Verdict{
		"zero":      {},
		"refused":   routeOf(t, guard, scopes.All("x")).Check(t.Context(), issuer.Bearer(nil), scopes.Operation{}),
		"public":    routeOf(t, guard, scopes.Public()).Check(t.Context(), issuer.Bearer(nil), scopes.Operation{}),
		"anonymous": routeOf(t, guard, scopes.Optional(scopes.All("x"))).Check(t.Context(), validator.Presentation{}, scopes.Operation{}),
	} {
		if token := middleware.TokenFrom(verdict.Context(outer)); token != nil {
			t.Errorf("%s: the token of the outer guard is visible: %v", name, token)
		}
	}
}
