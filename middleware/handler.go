package middleware

import (
	"context"
	"fmt"
	"net/http"

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
// proxy of Config.TrustedProxies, forwarding fields. A _method in the body is
// out of sight. docs/http.md has the list.
//
// Require panics if policy has a fault, see [scopes.Policy.Err].
func (g *Guard) Require(policy scopes.Policy, next http.Handler) http.Handler {
	return g.door("Require", policy, next)
}

// Optional is Require for handlers that also serve anonymous callers: a
// request without any Authorization and DPoP field passes without a token. One
// with credentials is judged like everywhere; bad ones never pass as
// anonymous. Responses get Vary: Authorization. It panics as Require does, and if
// the policy is [scopes.Public], [scopes.Privileged] or [scopes.Sensitive].
func (g *Guard) Optional(policy scopes.Policy, next http.Handler) http.Handler {
	d := g.door("Optional", policy, next)
	if policy.IsPublic() {
		panic("middleware: Optional: Public() looks at no credentials; use Authenticated()")
	}
	if policy.IsPrivileged() || policy.IsSensitive() {
		panic("middleware: Optional: the policy is privileged or sensitive, and whoever sends no token would pass; use Require")
	}
	d.optional = true
	return d
}

// Middleware is Require in the form that routers such as chi take.
func (g *Guard) Middleware(policy scopes.Policy) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler { return g.Require(policy, next) }
}

func (g *Guard) door(name string, policy scopes.Policy, next http.Handler) *door {
	policy, err := g.Compile(policy)
	if err != nil {
		panic(fmt.Sprintf("middleware: %s: %v", name, err))
	}
	if next == nil {
		panic(fmt.Sprintf("middleware: %s: the handler is nil", name))
	}
	return &door{guard: g, policy: policy, plain: g.challenger.plain(policy), asks: policy.NeedsOperation(), next: next}
}

// door is a guarded handler.
type door struct {
	guard    *Guard
	policy   scopes.Policy
	plain    []string // challenges for a request without credentials
	asks     bool     // the policy looks at the operation
	next     http.Handler
	optional bool
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r = d.guard.screened(r)
	if d.policy.IsPublic() {
		d.next.ServeHTTP(w, r)
		return
	}
	if d.optional {
		w.Header().Add("Vary", "Authorization")
		if isAnonymous(r.Header) {
			d.guard.manner.exposeHeaders(w.Header())
			d.next.ServeHTTP(w, r)
			return
		}
	}
	token, denial := d.check(r)
	if denial != nil {
		denial.ServeHTTP(w, r)
		return
	}
	if _, set := w.Header()["Cache-Control"]; !set {
		w.Header().Set("Cache-Control", "private")
	}
	d.guard.manner.exposeHeaders(w.Header())
	d.next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, token))) //nolint:contextcheck // r is the request, or a copy of it with its context
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
// ctx. A nil token grants nothing.
func TokenFrom(ctx context.Context) *validator.Token {
	if ctx == nil {
		return nil
	}
	token, _ := ctx.Value(tokenKey{}).(*validator.Token)
	return token
}
