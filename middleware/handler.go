package middleware

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Require puts next behind the guard: it runs only for requests that policy
// permits, with the token in the request's context ([TokenFrom]) and with the
// ResponseWriter as it came. The answer to every other request is a [Denial].
//
// Before next runs, Cache-Control is set to private unless it is set already;
// next may change it. What next sees of the request lacks what could make it do
// something else than was judged: fields such as X-HTTP-Method-Override and
// X-Original-URL, the query parameter _method, and, unless they come from a
// proxy of Config.TrustedProxies, the fields by which a proxy tells the address,
// the user or the certificate of a client. docs/http.md has the list. A _method
// in the body is out of sight.
//
// next gets a copy of the request. Forms, trailers and Pattern, which net/http
// keeps in its own Request, work as they do without the copy. Path values that
// next sets are not seen in front of the guard.
//
// Require panics if policy has a fault, see [scopes.Policy.Err], and if it looks
// for a value of the path ([scopes.TenantFrom]) and Config.PathValue is nil.
func (g *Guard) Require(policy scopes.Policy, next http.Handler) http.Handler {
	return g.single("Require", policy).before("Require", next)
}

// Optional is Require for handlers that also serve anonymous callers: a
// request without any Authorization and DPoP field passes without a token. One
// with credentials is judged like everywhere; bad ones never pass as
// anonymous. Responses get Vary: Authorization. It panics as Require does, and if
// the policy is [scopes.Public], [scopes.Privileged] or [scopes.Sensitive].
func (g *Guard) Optional(policy scopes.Policy, next http.Handler) http.Handler {
	d := g.single("Optional", policy).before("Optional", next)
	if policy.IsPublic() {
		panic("middleware: Optional: Public() looks at no credentials; use Authenticated()")
	}
	if policy.IsPrivileged() || policy.IsSensitive() {
		panic("middleware: Optional: the policy is privileged or sensitive, and whoever sends no token would pass; use Require")
	}
	d.optional = true
	return d
}

// Middleware is Require in the form that routers such as chi take. It panics
// when it is called, not when the first handler is wrapped.
func (g *Guard) Middleware(policy scopes.Policy) func(http.Handler) http.Handler {
	d := g.single("Middleware", policy)
	return func(next http.Handler) http.Handler { return d.before("Middleware", next) }
}

// single returns a door, without its handler, that stands under a router of the
// user's.
func (g *Guard) single(name string, policy scopes.Policy) *door {
	d := g.compiled(name, policy)
	if values := d.policy.Values(); len(values) > 0 && g.pathValue == nil {
		panic(fmt.Sprintf("middleware: %s: the policy compares with the value of {%s} in the path, and the router's path values are not known; "+
			"set Config.PathValue to the router's accessor, or use Mux.Handle", name, values[0]))
	}
	d.value = g.pathValue
	g.note(d.policy)
	return d
}

// compiled returns a door without its handler.
func (g *Guard) compiled(name string, policy scopes.Policy) *door {
	if !g.made() {
		panic(fmt.Sprintf("middleware: %s: the Guard was not made by New or For", name))
	}
	policy, err := g.compile(policy)
	if err != nil {
		panic(fmt.Sprintf("middleware: %s: %v", name, err))
	}
	return &door{guard: g, policy: policy, plain: g.challenger.plain(policy), asks: policy.NeedsOperation()}
}

// before returns a copy of the door that stands before next.
func (d *door) before(name string, next http.Handler) *door {
	if next == nil {
		panic(fmt.Sprintf("middleware: %s: the handler is nil", name))
	}
	copied := *d
	copied.next = next
	return &copied
}

// door is a guarded handler.
type door struct {
	guard    *Guard
	policy   scopes.Policy
	plain    []string                           // challenges for a request without credentials
	asks     bool                               // the policy looks at the operation
	value    func(*http.Request, string) string // reads the path's values; nil: r.PathValue
	next     http.Handler
	optional bool
}

func (d *door) ServeHTTP(w http.ResponseWriter, original *http.Request) {
	if original.URL == nil {
		denial := d.guard.deny(errNoURL, nil)
		d.guard.denied(original.Context(), denial)
		denial.ServeHTTP(w, original)
		return
	}
	r := d.guard.screened(original)
	if d.policy.IsPublic() {
		d.guard.passOn(d.next, w, r, original)
		return
	}
	if d.optional {
		w.Header().Add("Vary", "Authorization")
		if isAnonymous(r.Header) {
			d.guard.manner.exposeHeaders(w.Header())
			d.guard.passOn(d.next, w, r, original)
			return
		}
	}
	token, denial := d.check(r)
	if denial != nil {
		d.guard.passOn(denial, w, r, original)
		return
	}
	if _, set := w.Header()["Cache-Control"]; !set {
		w.Header().Set("Cache-Control", "private")
	}
	d.guard.manner.exposeHeaders(w.Header())
	r = r.WithContext(context.WithValue(r.Context(), tokenKey{}, token)) //nolint:contextcheck // r is the request, or a copy of it with its context
	d.guard.passOn(d.next, w, r, original)
}

// isAnonymous reports whether the request does not even try to authenticate.
func isAnonymous(header http.Header) bool {
	_, authorization := header["Authorization"]
	_, proof := header["Dpop"]
	return !authorization && !proof
}

type tokenKey struct{}

// TokenFrom is the validated token of a request that came through a [Guard],
// or nil: for an anonymous request, a public route, no Guard at all, or a nil
// ctx. A nil token grants nothing. Where one Guard stands behind another, it is
// the token that the inner one judged: the token of the outer one is hidden
// behind public routes, from anonymous callers, and from hooks. A ctx that
// panics, such as a nil pointer, has no token.
func TokenFrom(ctx context.Context) *validator.Token {
	if ctx == nil {
		return nil
	}
	defer hook.Recover()
	token, _ := ctx.Value(tokenKey{}).(*validator.Token)
	return token
}
