package middleware

import (
	"crypto/x509"
	"net/http"

	"github.com/sallyport-auth/sallyport/scopes"
)

// guarded is a handler behind a Route.
type guarded struct {
	route     *Route
	pathValue func(*http.Request, string) string // reads the values of the path; nil: r.PathValue
	next      http.Handler
	protocol  *protocol // of Protect; nil: plain HTTP
}

func (h *guarded) ServeHTTP(w http.ResponseWriter, original *http.Request) {
	g := h.route.guard
	if original.URL == nil {
		h.refuse(h.route.Refuse(original.Context(), errNoURL), w, original, original)
		return
	}
	r := g.screened(original)
	if h.route.policy.IsOptional() {
		w.Header().Add("Vary", "Authorization")
	}
	var permitted Permitted
	h.check(r, &permitted)
	if denial := permitted.Verdict.Denial(); denial != nil {
		h.refuse(denial, w, r, original)
		return
	}
	if token := permitted.Verdict.Token(); token != nil {
		var ctx *tokenContext
		r, ctx = h.withVerdict(r, &permitted)
		g.writePassing(w.Header(), &ctx.private)
	} else {
		if !h.route.policy.IsPublic() {
			g.style.exposeHeaders(w.Header())
		}
		if g.long.marking.Load() {
			r, _ = h.withVerdict(r, &permitted)
		}
	}
	if h.protocol != nil {
		h.protocol.passOn(g, w, r, original, &permitted)
		return
	}
	g.passOn(h.next, w, r, original)
}

// refuse answers r with denial.
func (h *guarded) refuse(denial *Denial, w http.ResponseWriter, r, original *http.Request) {
	g, answer := h.route.guard, http.Handler(denial)
	switch {
	case h.protocol != nil:
		answer = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.protocol.deny(w, r, denial) })
	case denial.isMiss():
		g.writePassing(w.Header(), new([1]string))
		answer = http.HandlerFunc(denial.serveMiss)
	}
	g.passOn(answer, w, r, original)
}

// writePassing writes the header fields of the answer to a valid token. A handler
// may change them. The value of Cache-Control is stored in private.
func (g *Guard) writePassing(header http.Header, private *[1]string) {
	if _, set := header["Cache-Control"]; !set {
		private[0] = "private"
		header["Cache-Control"] = private[:]
	}
	g.style.exposeHeaders(header)
}

// isMiss reports whether d answers a valid token for a request that no pattern
// matches.
func (d *Denial) isMiss() bool { return d.Class == ClassNotFound || d.Class == ClassMethodNotAllowed }

// serveMiss answers as [http.ServeMux] does.
func (d *Denial) serveMiss(w http.ResponseWriter, r *http.Request) {
	if d.Class == ClassNotFound {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Allow", d.allow)
	http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
}

// name returns the name of the route in the Decision about r.
func (h *guarded) name(r *http.Request) string {
	if h.route.name == "" {
		return r.Pattern
	}
	return h.route.name
}

// check decides on r and writes the verdict to decided, with what it was decided on.
func (h *guarded) check(r *http.Request, decided *Permitted) {
	name := h.name(r)
	if !h.route.policy.IsPublic() {
		if err := h.read(r, name, decided); err != nil {
			decided.Verdict = Verdict{denial: h.route.refuse(r.Context(), decided.Presentation.Scheme, err, name)}
			return
		}
	}
	decided.Verdict = h.route.check(r.Context(), &decided.Presentation, decided.Operation, name)
}

// read stores in decided what r presents, and what it asks for unless its caller is
// anonymous and may be.
func (h *guarded) read(r *http.Request, name string, decided *Permitted) error {
	g, p := h.route.guard, &decided.Presentation
	var err error
	*p, err = credentials(r.Header)
	p.Certificate = verifiedCertificate(r)
	if err == nil && isAnonymous(p) && h.route.policy.IsOptional() {
		return nil
	}
	if err == nil {
		err = g.locate(r, p)
	}
	if tokenInURL(r.URL.RawQuery) {
		g.lines.tokenInURL(name, g.transport) //nolint:contextcheck // lines are written later
		g.trace.tokenInURL(r.Context())
		if g.refuseURLTokens && p.Token != "" {
			err = errTokenInURL
		}
	}
	if err == nil {
		decided.Operation = h.operation(r)
	}
	return err
}

// operation returns what r asks for. It has values only if the policy needs them,
// because binding PathValue allocates.
func (h *guarded) operation(r *http.Request) scopes.Operation {
	if h.protocol != nil {
		return scopes.Operation{Name: h.route.name}
	}
	if !h.route.policy.NeedsOperation() {
		return scopes.Operation{Name: r.Pattern}
	}
	name := r.Pattern
	if name == "" { // no ServeMux called
		name = r.Method + " " + r.URL.Path
	}
	return scopes.Operation{Name: name, Value: pathValues(r, h.pathValue)}
}

// verifiedCertificate returns the certificate of the client, or nil if TLS verified none.
func verifiedCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}
