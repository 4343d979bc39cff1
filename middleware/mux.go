package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Mux is an [http.ServeMux] on which every pattern has a policy: there is no
// way to add a handler without one.
//
// A path that a router and an application could read differently
// ([AmbiguousPath]) is answered with 400 before any pattern is looked up. A
// request that no pattern matches, by path or by method, needs a valid token
// before it is told 404; there are no redirects to a path with a slash more.
// OPTIONS and HEAD are methods like any other; a GET pattern serves HEAD too.
type Mux struct {
	guard    *Guard
	mux      *http.ServeMux
	trees    atomic.Bool // some pattern covers a subtree
	unlisted *door
	catchAll sync.Once
}

// NewMux makes an empty Mux, which answers 401 or 404 to everything.
func (g *Guard) NewMux() *Mux {
	unlisted := g.door("unlisted", scopes.Authenticated(), http.NotFoundHandler())
	return &Mux{guard: g, mux: http.NewServeMux(), unlisted: unlisted}
}

// Handle registers handler for pattern, which has the syntax of
// [http.ServeMux], behind policy. It panics, like ServeMux, if the pattern is
// bad or conflicts with another, and if the policy has a fault.
func (m *Mux) Handle(pattern string, policy scopes.Policy, handler http.Handler) {
	m.mux.Handle(pattern, m.guard.door(fmt.Sprintf("pattern %q", pattern), policy, handler))
	if strings.HasSuffix(pattern, "/") || strings.HasSuffix(pattern, "/{$}") || strings.HasSuffix(pattern, "...}") {
		m.trees.Store(true)
	}
}

// HandleFunc is Handle for a function.
func (m *Mux) HandleFunc(pattern string, policy scopes.Policy, handler func(http.ResponseWriter, *http.Request)) {
	if handler == nil {
		panic(fmt.Sprintf("middleware: pattern %q: the handler is nil", pattern))
	}
	m.Handle(pattern, policy, http.HandlerFunc(handler))
}

var errAmbiguousPath = validator.Refuse(validator.MalformedRequest,
	errors.New("middleware: the path can be read in more than one way"))

// ServeHTTP answers r by the handler of its pattern, if the policy permits.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if AmbiguousPath(r.URL.EscapedPath()) {
		denial := &Denial{Reason: validator.MalformedRequest, Status: http.StatusBadRequest, cause: errAmbiguousPath}
		m.guard.denied(r.Context(), denial)
		denial.ServeHTTP(w, r)
		return
	}
	m.catchAll.Do(m.handleUnlisted)
	if m.trees.Load() && !strings.HasSuffix(r.URL.Path, "/") {
		// ServeMux would redirect to the subtree, and so tell anybody that
		// it exists.
		if handler, _ := m.mux.Handler(r); !isDoor(handler) {
			m.unlisted.ServeHTTP(w, r)
			return
		}
	}
	m.mux.ServeHTTP(w, r)
}

func isDoor(handler http.Handler) bool {
	_, ok := handler.(*door)
	return ok
}

// handleUnlisted catches what no pattern matches, unless the user has a
// pattern that catches everything.
func (m *Mux) handleUnlisted() {
	defer func() { _ = recover() }() // ServeMux panics on the conflict
	m.mux.Handle("/", m.unlisted)
}
