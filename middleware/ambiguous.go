package middleware

import (
	"net/http"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// RefuseAmbiguous answers 400 to a request whose path a router and a handler could
// read differently, as a [Mux] does; docs/http.md has the rules. Put it in front of
// any other router. It panics if next is nil or [New] or [For] did not make g.
func (g *Guard) RefuseAmbiguous(next http.Handler) http.Handler {
	if !g.made() {
		panic("middleware: RefuseAmbiguous: the Guard was not made by New or For")
	}
	if next == nil {
		panic("middleware: RefuseAmbiguous: the handler is nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		switch {
		case r.URL == nil:
			err = errNoURL
		case ambiguousPath(r.URL.EscapedPath()):
			err = errAmbiguousPath
		default:
			next.ServeHTTP(w, r)
			return
		}
		g.refuseAmbiguous(w, r, err)
	})
}

// refuseAmbiguous answers r with err, before any route is looked up.
func (g *Guard) refuseAmbiguous(w http.ResponseWriter, r *http.Request, err error) {
	verdict := g.ambiguous(err).Check(r.Context(), validator.Presentation{}, scopes.Operation{})
	verdict.Denial().ServeHTTP(w, r)
}

// ambiguous returns a Route that refuses everything with err.
func (g *Guard) ambiguous(err error) *Route {
	return &Route{guard: g, name: ambiguousName, ambiguity: err}
}
