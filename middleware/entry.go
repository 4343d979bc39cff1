package middleware

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// entry is a pattern of a [Mux] with its handler.
type entry struct {
	pattern  *pattern
	handler  *guarded
	unlisted http.HandlerFunc         // answers what rivals take away
	rivals   atomic.Pointer[rivalSet] // nil: none
}

// rivalSet holds the patterns because of which an open pattern does not serve some
// requests.
type rivalSet struct {
	patterns []*pattern
	tree     func() *patternTree // of the patterns; made for the first request
}

func newRivalSet(patterns []*pattern) *rivalSet {
	return &rivalSet{patterns, sync.OnceValue(func() *patternTree { return newPatternTree(patterns) })}
}

// ServeHTTP answers r by the handler of the pattern, or as a request that no
// pattern matches if a rival matches r under another method.
func (e *entry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !e.serves(r) {
		e.unlisted(w, r)
		return
	}
	e.handler.ServeHTTP(w, r)
}

// serves reports whether the handler answers a request for which ServeMux found the
// pattern: no rival matches its path under another method.
func (e *entry) serves(r *http.Request) bool {
	rivals := e.rivals.Load()
	return rivals == nil || !rivals.tree().hasOther(r.Method, hostname(r.Host), r.URL.EscapedPath())
}

// yieldTo adds the rivals that e has because of guarded.
func (e *entry) yieldTo(guarded *entry) {
	more := rivals(e, guarded)
	if len(more) == 0 {
		return
	}
	if known := e.rivals.Load(); known != nil {
		more = append(known.patterns, more...)
	}
	e.rivals.Store(newRivalSet(more))
}

// rivals returns patterns for the requests that open must not serve because
// guarded matches their path under another method. There are none if open is no
// broader than guarded, if open has a host and guarded has none, as in ServeMux,
// or if open is for OPTIONS, since CORS preflights have no token.
func rivals(open, guarded *entry) []*pattern {
	p, g := open.pattern, guarded.pattern
	if !open.isOpen() || guarded.isOpen() || g.method == "" || g.method == p.method ||
		p.method == http.MethodOptions || p.goesFirst(g) {
		return nil
	}
	var all []*pattern
	if g.meets(p) && !g.covers(p) {
		all = append(all, g)
	}
	// ServeMux redirects the path without the slash only where nothing but a
	// subtree matches it.
	if short := g.withoutSlash(); short != nil && p.isTree() && short.meets(p) {
		all = append(all, short)
	}
	return all
}

// isOpen reports whether e admits callers without credentials. Every other entry is
// guarded.
func (e *entry) isOpen() bool {
	policy := e.handler.route.policy
	return policy.IsPublic() || policy.IsOptional()
}

// hostname returns the host of a Host field as ServeMux compares it.
func hostname(host string) string {
	if !strings.Contains(host, ":") { // SplitHostPort would allocate an error
		return host
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
