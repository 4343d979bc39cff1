package connectauth

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-auth/sallyport/middleware"
)

// transport is the Transport of the Decisions, for all three protocols.
const transport = "connect"

// Gate decides on requests for the procedures of Connect handlers. [New] and [NewGate]
// make one. It is safe for concurrent use. The zero Gate refuses every request.
type Gate struct {
	routes      map[string]*middleware.Route // by procedure
	unlisted    *middleware.Route
	otherMethod *middleware.Route // of a procedure under a method that no procedure has
	removed     []string          // fields that handlers do not get
	// renewToken is Config.Renew.
	renewToken func(procedure string, message any) (authorization string, ok bool)
	writer     *connect.ErrorWriter
	services   map[string]protoreflect.ServiceDescriptor

	intercepting atomic.Bool // Interceptor was called
	handling     atomic.Bool // Handler was called

	mu      sync.Mutex
	mounted []string // of the handlers that Gated made
}

// Handler returns a handler that calls next only for requests whose procedure has a
// policy that permits them: it decides by the path and the header, before it reads a byte
// of the body. next is a Connect handler, the handler of a service, or a mux with
// several of them.
//
// The path must be equal to a key of the Procedures, in the same encoding, and a POST
// has no query. Methods other than POST and GET, such as OPTIONS, do not reach next.
// What is refused, and requests for what is not a listed procedure, get the answer of
// the protocol of the request:
//
//   - gRPC and gRPC-Web, also in the text form: status 200, and the status of gRPC in
//     the header
//   - Connect, unary: the HTTP status for the code, and the error as JSON
//   - Connect, streaming: status 200, and the error in the message that ends a stream
//   - anything else: the answer of [middleware.Denial.ServeHTTP]
//
// Every answer has the challenge. Where the protocol is one of the three, it also has
// the details google.rpc.ErrorInfo and, if the client should come back, RetryInfo.
//
// next gets a copy of the request, from which the fields are removed that
// [middleware.Guard.Require] removes, and those that hold credentials. The
// ResponseWriter is not wrapped. Handler panics if the Gate or next is nil.
func (g *Gate) Handler(next http.Handler) http.Handler {
	if g == nil {
		panic("connectauth: Handler: the Gate is nil; check the error of New")
	}
	if next == nil {
		panic("connectauth: Handler: the handler is nil")
	}
	g.handling.Store(true)
	h := &handler{procedures: make(map[string]http.Handler, len(g.routes)), binary: make(map[string]http.Handler)}
	for procedure, route := range g.routes {
		service, _, _ := strings.Cut(procedure[1:], "/")
		p := &gated{gate: g, procedure: procedure, stream: g.methodsOf(service)[procedure], route: route, next: next}
		h.procedures[procedure] = route.Protect(p.permit, g.deny)
		if !route.Policy().IsPublic() {
			h.binary[procedure] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.deny(w, r, route.Refuse(r.Context(), errBinary)) })
		}
	}
	none := func(w http.ResponseWriter, r *http.Request, _ middleware.Permitted) { // the routes permit nothing
		http.NotFound(w, r)
	}
	h.unlisted, h.otherMethod = g.unlisted.Protect(none, g.deny), g.otherMethod.Protect(none, g.deny)
	return h
}

// handler finds the procedure of a request.
type handler struct {
	procedures  map[string]http.Handler
	binary      map[string]http.Handler // for credentials in a binary field
	unlisted    http.Handler
	otherMethod http.Handler
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if timeout, _, ok := timeoutOf(r); ok {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		r = r.WithContext(ctx)
	}
	h.find(r).ServeHTTP(w, r)
}

// hasBinary reports whether r has credentials in a field whose values are binary.
func hasBinary(r *http.Request) bool {
	return r.Header["Authorization-Bin"] != nil || r.Header["Dpop-Bin"] != nil
}

// find returns the handler of the procedure that r calls.
func (h *handler) find(r *http.Request) http.Handler {
	if r.URL == nil || r.URL.RawPath != "" { // an encoding that is not the usual one
		return h.unlisted
	}
	procedure := h.procedures[r.URL.Path]
	switch {
	case procedure == nil:
		return h.unlisted
	case hasBinary(r) && h.binary[r.URL.Path] != nil:
		return h.binary[r.URL.Path]
	case r.Method == http.MethodGet:
		return procedure
	case r.Method != http.MethodPost:
		return h.otherMethod
	case r.URL.RawQuery != "" || r.URL.ForceQuery:
		return h.unlisted
	default:
		return procedure
	}
}

// gated is a procedure in front of a handler.
type gated struct {
	gate      *Gate
	procedure string
	stream    bool // false also if it is not known
	route     *middleware.Route
	next      http.Handler
}

// permit calls the handler for a request that may pass.
func (p *gated) permit(w http.ResponseWriter, r *http.Request, permitted middleware.Permitted) {
	if p.stream && !p.gate.intercepting.Load() {
		p.gate.deny(w, r, p.route.Refuse(r.Context(), errNoInterceptor))
		return
	}
	c := &call{Context: r.Context(), gated: p, permitted: permitted, checked: time.Now(), writer: w}
	c.request = *r.WithContext(c) //nolint:contextcheck // c holds the context of r
	c.request.Header = p.gate.withoutCredentials(r.Header)
	if _, field, ok := timeoutOf(r); ok { // the context has the deadline
		delete(c.request.Header, field)
	}
	if p.stream && r.Body != nil {
		c.body.ReadCloser, c.body.call = r.Body, c
		c.request.Body = &c.body
	}
	p.next.ServeHTTP(w, &c.request)
}
