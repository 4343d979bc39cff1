package middleware

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/sallyport-auth/sallyport/scopes"
)

// Require returns a handler that calls next only for requests that policy permits,
// with the token in the context of the request ([TokenFrom]) and with the same
// ResponseWriter. It answers every other request with a [Denial].
//
// Before next runs for a token, Cache-Control is set to private unless it is set
// already. next may change it. Fields that could make next serve something else
// than was checked are removed from its request: fields such as
// X-HTTP-Method-Override and X-Original-URL, the query parameter _method, and the
// fields by which a proxy names the address, the user or the certificate of a
// client, unless they come from a proxy of Config.TrustedProxies. docs/http.md has
// the list. A _method in the body is not removed.
//
// next gets a copy of the request. Forms, trailers and Pattern, which net/http
// keeps in its own Request, work as they do without the copy. A path value that
// next sets is not set in the request in front of the guard.
//
// Require panics if policy has a fault ([scopes.Policy.Err]), and if policy looks for
// a value of the path ([scopes.TenantFrom]) and Config.PathValue is nil.
func (g *Guard) Require(policy scopes.Policy, next http.Handler) http.Handler {
	return g.single("Require", policy).before("Require", next)
}

// Middleware returns Require in the form that routers such as chi take. It panics
// at once for a policy for which Require panics.
func (g *Guard) Middleware(policy scopes.Policy) func(http.Handler) http.Handler {
	d := g.single("Middleware", policy)
	return func(next http.Handler) http.Handler { return d.before("Middleware", next) }
}

// single returns a handler without its next one, for a router that is not a Mux.
func (g *Guard) single(name string, policy scopes.Policy) *guarded {
	if !g.made() {
		panic(fmt.Sprintf("middleware: %s: the Guard was not made by New or For", name))
	}
	route, err := g.compile("", policy)
	if err != nil {
		panic(fmt.Sprintf("middleware: %s: %s", name, strings.TrimPrefix(err.Error(), "middleware: ")))
	}
	if values := route.policy.Values(); len(values) > 0 && g.pathValue == nil {
		panic(fmt.Sprintf("middleware: %s: the policy compares with the value of {%s} in the path, and the router's path values are not known; "+
			"set Config.PathValue to the router's accessor, or use Mux.Handle", name, values[0]))
	}
	g.note(route.policy)
	return &guarded{route: route, pathValue: g.pathValue}
}

// before returns a copy of h that stands before next.
func (h *guarded) before(name string, next http.Handler) *guarded {
	if next == nil {
		panic(fmt.Sprintf("middleware: %s: the handler is nil", name))
	}
	copied := *h
	copied.next = next
	return &copied
}
