package middleware

import (
	"net/http"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Permitted is a request that a [Route] let through: the verdict, and what it was
// decided on.
type Permitted struct {
	// Verdict has no Denial.
	Verdict Verdict
	// Presentation has the credentials of the request. It is zero on public routes.
	Presentation validator.Presentation
	// Operation is what the policy was asked about.
	Operation scopes.Operation
}

// Protect returns a handler for an adapter whose protocol is carried by HTTP. It checks
// each request, and changes those that it lets through, as [Guard.Require] does: they
// have the token in their context, and fields are removed from them. It calls next for
// these requests. For all others it calls deny, which writes the Denial in the form of
// the protocol.
//
// The operation that the policy is asked about has the name of the route and no
// values. The handler answers 503 if no Guard made r.
func (r *Route) Protect(next func(http.ResponseWriter, *http.Request, Permitted), deny func(http.ResponseWriter, *http.Request, *Denial)) http.Handler {
	if !r.made() {
		return denialOf(errUnmade)
	}
	return &guarded{route: r, protocol: &protocol{next, deny}}
}

// protocol is how an adapter goes on with a request.
type protocol struct {
	next func(http.ResponseWriter, *http.Request, Permitted)
	deny func(http.ResponseWriter, *http.Request, *Denial)
}

// passOn calls p.next as [Guard.passOn] calls a handler. It is not inlined, so that its copy
// of permitted takes no room on the stack of plain handlers.
//
//go:noinline
func (p *protocol) passOn(g *Guard, w http.ResponseWriter, r, original *http.Request, permitted *Permitted) {
	if r != original {
		g.screenTrailer(r, original)
		defer handBack(r, original)
	}
	p.next(w, r, *permitted)
}
