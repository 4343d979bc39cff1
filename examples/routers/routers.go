// Package routers has the same API behind a guard under three routers: chi,
// gin and gorilla/mux. Copy what you need.
package routers

import (
	"fmt"
	"net/http"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// policy is that of GET /{tenant}/orders.
func policy() scopes.Policy {
	return scopes.And(scopes.All("orders:read"), scopes.TenantFrom("tenant"))
}

// listOrders is the handler behind the policy.
func listOrders(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "orders for %s\n", middleware.TokenFrom(r.Context()).Subject())
}

// refuseAmbiguous answers paths that the router and the handlers could read
// differently, as a middleware.Mux does. It stands in front of the router.
func refuseAmbiguous(router http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if middleware.AmbiguousPath(r.URL.EscapedPath()) {
			http.Error(w, "400 bad request", http.StatusBadRequest)
			return
		}
		router.ServeHTTP(w, r)
	})
}
