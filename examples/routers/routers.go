// Package routers protects the same API with a guard under three routers: chi, gin and
// gorilla/mux. Copy what you need.
package routers

import (
	"fmt"
	"net/http"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// policy is the policy of GET /{tenant}/orders.
func policy() scopes.Policy {
	return scopes.And(scopes.All("orders:read"), scopes.TenantFrom("tenant"))
}

// listOrders is the protected handler.
func listOrders(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "orders for %s\n", middleware.TokenFrom(r.Context()).Subject())
}
