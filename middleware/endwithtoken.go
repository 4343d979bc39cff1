package middleware

import (
	"errors"
	"net/http"
)

var (
	errNotBehind = errors.New("middleware: EndWithToken: the handler is not behind Require or a Mux; write Require(policy, EndWithToken(handler))")
	errTokenLost = errors.New("middleware: EndWithToken: another Guard hides the token of the one in front; use EndWithToken of the inner Guard")
)

// EndWithToken returns a handler for responses that go on for longer than their token may
// be valid: server-sent events, WebSockets, long downloads and uploads. It stands behind
// [Guard.Require] or a [Mux]:
//
//	mux.Handle("GET /events", policy, guard.EndWithToken(events))
//
// The request of next is held ([Route.Hold]). When it has to end, its context is cancelled
// with the *[Denial] as its cause ([context.Cause]). Shortly after, less than a second
// after the token has expired, reads of the request and writes of the response fail, also
// those that are blocked and those of a connection that was hijacked: the deadlines of
// [http.ResponseController] are set. next gets the ResponseWriter as it is. If that is one
// of a middleware, it needs a method Unwrap, or blocked reads and writes go on until the
// handler returns by itself ([LongStatus].Overdue). A handler that sets deadlines itself,
// such as one before each write, takes these back, so it must end with its context.
//
// next must not return before a connection that it hijacked is closed: the watch ends when
// next returns. If next keeps the response open, it must write nothing after its context
// has ended but a last message. next finds the Held by [HeldFrom].
//
// A request that did not come through Require or a Mux is answered with 503. EndWithToken
// panics if next is nil, and if next is a handler of Require or a Mux, which would be the
// wrong order.
func (g *Guard) EndWithToken(next http.Handler) http.Handler {
	switch next.(type) {
	case nil:
		panic("middleware: EndWithToken: the handler is nil; give the one that serves the long response")
	case *guarded, *Mux:
		panic("middleware: EndWithToken: the handler comes from Require or is a Mux, so the order is wrong; write Require(policy, EndWithToken(handler))")
	}
	if !g.made() {
		return denialOf(errUnmade)
	}
	g.long.marking.Store(true)
	return &ending{next: next}
}

// ending is a handler of EndWithToken.
type ending struct{ next http.Handler }

func (e *ending) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	pass, _ := r.Context().Value(passKey{}).(*tokenContext)
	switch {
	case pass == nil:
		denialOf(errNotBehind).ServeHTTP(w, r)
		return
	case pass.token != TokenFrom(r.Context()):
		denialOf(errTokenLost).ServeHTTP(w, r)
		return
	}
	cut := &cutter{w: w, body: r.Body, controller: http.NewResponseController(w)}
	defer cut.release()
	held := pass.hold(r, cut)
	defer held.Release()
	pass.handler.route.guard.passOn(e.next, w, r.WithContext(held.Context()), r) //nolint:contextcheck // a child of that of r
}

// hold holds the request r, which came through the handler of c.
func (c *tokenContext) hold(r *http.Request, cut *cutter) *Held {
	h := c.handler
	holding := Holding{Ended: cut.ended}
	if c.token != nil { // a middleware may have changed the header of r since
		holding.Presentation, holding.Operation = c.sealed.Presentation(), h.operation(r)
		holding.Presentation.Scheme = c.scheme
	}
	return h.route.hold(r.Context(), Verdict{passes: true, token: c.token, within: c.within}, &holding, h.name(r))
}
