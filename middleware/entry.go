package middleware

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// entry is a pattern of a [Mux] with its door.
type entry struct {
	mux     *Mux
	pattern *pattern
	door    *door
	rivals  atomic.Pointer[rivalSet] // nil: none
}

// rivalSet holds the patterns that take requests away from a public one.
type rivalSet struct {
	patterns []*pattern
	tree     func() *patternTree // of the patterns, made for the first request
}

func newRivalSet(patterns []*pattern) *rivalSet {
	return &rivalSet{patterns, sync.OnceValue(func() *patternTree { return newPatternTree(patterns) })}
}

// ServeHTTP answers r by the door, or by the Mux's for requests that are not
// listed.
func (e *entry) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.doorFor(r).ServeHTTP(w, r) }

// doorFor returns the door for a request that ServeMux found the entry for.
func (e *entry) doorFor(r *http.Request) *door {
	rivals := e.rivals.Load()
	if rivals != nil && rivals.tree().hasOther(r.Method, hostname(r.Host), r.URL.EscapedPath()) {
		return e.mux.unlisted
	}
	return e.door
}

// yieldTo adds the rivals that guarded has for e.
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

// rivals returns patterns for the requests that public must not serve because
// guarded matches their path under another method. There are none if public is no
// broader than guarded, if public has a host and guarded has none, as in ServeMux,
// or if public is for OPTIONS, since CORS preflights have no token.
func rivals(public, guarded *entry) []*pattern {
	p, g := public.pattern, guarded.pattern
	if !public.isPublic() || guarded.isPublic() || g.method == "" || g.method == p.method ||
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

func (e *entry) isPublic() bool { return e.door.policy.IsPublic() }

// hostname is the host of a Host field as ServeMux compares it.
func hostname(host string) string {
	if !strings.Contains(host, ":") { // an error allocates
		return host
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}
