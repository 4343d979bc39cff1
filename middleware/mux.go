package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
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
// Where patterns name hosts, a Host field that is not in lower case or ends with
// a dot is answered with 400; CONNECT always is.
// OPTIONS and HEAD are methods like any other; a GET pattern serves HEAD too.
//
// A Mux that [Guard.NewMux] did not make answers 503.
type Mux struct {
	guard    *Guard
	mux      *http.ServeMux
	trees    atomic.Bool // some pattern covers a subtree
	hosts    atomic.Bool // some pattern names a host
	unlisted *door
	catchAll sync.Once

	mu     sync.Mutex
	routes []scopes.Route
}

// NewMux makes an empty Mux, which answers 401 or 404 to everything.
func (g *Guard) NewMux() *Mux {
	unlisted := g.door("unlisted", scopes.Authenticated(), http.NotFoundHandler())
	return &Mux{guard: g, mux: http.NewServeMux(), unlisted: unlisted}
}

// Handle registers handler for pattern, which has the syntax of
// [http.ServeMux], behind policy. It panics, like ServeMux, if the pattern is
// bad or conflicts with another, and if the policy has a fault or looks for a
// wildcard that the pattern does not have ([scopes.TenantFrom]).
func (m *Mux) Handle(pattern string, policy scopes.Policy, handler http.Handler) {
	if !m.made() {
		panic(fmt.Sprintf("middleware: pattern %q: the Mux was not made by NewMux", pattern))
	}
	d := m.guard.door(fmt.Sprintf("pattern %q", pattern), policy, handler)
	for _, name := range d.policy.Values() {
		if !strings.Contains(pattern, "{"+name+"}") && !strings.Contains(pattern, "{"+name+"...}") {
			panic(fmt.Sprintf("middleware: pattern %q: the policy compares with the wildcard {%s}, which the pattern does not have", pattern, name))
		}
	}
	m.mux.Handle(pattern, d)
	m.mu.Lock()
	m.routes = append(m.routes, scopes.Route{Name: pattern, Policy: d.policy})
	m.mu.Unlock()
	if strings.HasSuffix(pattern, "/") || strings.HasSuffix(pattern, "/{$}") || strings.HasSuffix(pattern, "...}") {
		m.trees.Store(true)
	}
	if _, rest, found := strings.Cut(pattern, " "); found {
		pattern = strings.TrimLeft(rest, " \t")
	}
	if !strings.HasPrefix(pattern, "/") {
		m.hosts.Store(true)
	}
}

// made reports whether [Guard.NewMux] made m.
func (m *Mux) made() bool { return m != nil && m.guard != nil }

// HandleFunc is Handle for a function.
func (m *Mux) HandleFunc(pattern string, policy scopes.Policy, handler func(http.ResponseWriter, *http.Request)) {
	if handler == nil {
		panic(fmt.Sprintf("middleware: pattern %q: the handler is nil", pattern))
	}
	m.Handle(pattern, policy, http.HandlerFunc(handler))
}

// Routes are what is registered, in that order, by pattern and with its policy
// under the Guard's Hierarchy, for reports and checks at start-up. What none of
// them matches needs [scopes.Authenticated].
func (m *Mux) Routes() []scopes.Route {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.routes)
}

// Policies are those of [Mux.Routes], for package resourcemeta.
func (m *Mux) Policies() []scopes.Policy {
	routes := m.Routes()
	policies := make([]scopes.Policy, len(routes))
	for i := range routes {
		policies[i] = routes[i].Policy
	}
	return policies
}

var (
	errAmbiguousPath = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the path can be read in more than one way"))
	errAmbiguousHost = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the host is not in lower case, or ends with a dot, and patterns tell hosts apart"))
	errConnect = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: CONNECT is for proxies"))
)

// PolicyFor is the policy that r would be judged by, found in the same way and
// without judging it. A request that no pattern matches is not listed: the
// policy is then [scopes.Authenticated], and the answer 404. A request that is
// answered with 400 before any pattern is looked up has a Denial.
func (m *Mux) PolicyFor(r *http.Request) (policy scopes.Policy, listed bool, denial *Denial) {
	if !m.made() {
		return scopes.Policy{}, false, unmade
	}
	if denial := m.refuse(r); denial != nil {
		return scopes.Policy{}, false, denial
	}
	d := m.find(r)
	return d.policy, d != m.unlisted, nil
}

// Contract is what the routes demand, as data: what clients have to know, and
// what a test compares with the one that was agreed on ([scopes.Contract.Drift]).
func (m *Mux) Contract() scopes.Contract {
	contract := scopes.NewContract(m.Routes())
	if !m.made() {
		return contract
	}
	v := m.guard.validator
	for _, issuer := range v.Issuers() {
		contract.Audiences = append(contract.Audiences, v.Audiences(issuer)...)
	}
	slices.Sort(contract.Audiences)
	contract.Audiences = slices.Compact(contract.Audiences)
	return contract
}

// find is the door that r belongs to.
func (m *Mux) find(r *http.Request) *door {
	handler, _ := m.mux.Handler(r)
	if d, ok := handler.(*door); ok {
		return d
	}
	return m.unlisted // ServeMux's own answer, such as a redirect
}

// ServeHTTP answers r by the handler of its pattern, if the policy permits.
func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !m.made() {
		unmade.ServeHTTP(w, r)
		return
	}
	if denial := m.refuse(r); denial != nil {
		m.guard.denied(r.Context(), denial)
		denial.ServeHTTP(w, r)
		return
	}
	m.catchAll.Do(m.handleUnlisted)
	if m.trees.Load() && !strings.HasSuffix(r.URL.Path, "/") {
		// ServeMux would redirect to the subtree, and so tell anybody that
		// it exists.
		if m.find(r) == m.unlisted {
			m.unlisted.ServeHTTP(w, r)
			return
		}
	}
	m.mux.ServeHTTP(w, r)
}

// refuse answers with 400 what cannot be looked up safely.
func (m *Mux) refuse(r *http.Request) *Denial {
	var cause error
	switch {
	case r.Method == http.MethodConnect: // ServeMux reads its host and path by other rules
		cause = errConnect
	case AmbiguousPath(r.URL.EscapedPath()):
		cause = errAmbiguousPath
	case m.hosts.Load() && ambiguousHost(r.Host):
		cause = errAmbiguousHost
	default:
		return nil
	}
	return &Denial{Reason: validator.MalformedRequest, Status: http.StatusBadRequest, cause: cause, manner: m.guard.manner}
}

// ambiguousHost reports whether host has another spelling, which ServeMux would
// take for another host (RFC 9110 §4.2.3).
func ambiguousHost(host string) bool {
	name, _, _ := strings.Cut(host, ":")
	return strings.ToLower(host) != host || strings.HasSuffix(name, ".")
}

// handleUnlisted catches what no pattern matches, unless the user has a
// pattern that catches everything.
func (m *Mux) handleUnlisted() {
	defer func() { _ = recover() }() // ServeMux panics on the conflict
	m.mux.Handle("/", m.unlisted)
}
