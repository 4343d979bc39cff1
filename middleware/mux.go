package middleware

import (
	"errors"
	"fmt"
	"maps"
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
// request that no pattern matches needs a valid token. It is then told 405, with
// the methods in the Allow field, if its path is listed under others, and 404
// otherwise. There are no redirects to a path with a slash more.
//
// A public pattern does not open a path that a guarded pattern lists under
// another method: with "GET /admin" guarded and "/" public, PUT /admin is not
// listed. Only a pattern that is no broader than the guarded one, such as
// "PUT /admin" or "/admin", serves it. See [Mux.Warnings] for what stays open.
//
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

	mu      sync.Mutex
	entries []*entry // in the order of registration
}

// NewMux makes an empty Mux, which answers 401 or 404 to everything.
func (g *Guard) NewMux() *Mux {
	m := &Mux{guard: g, mux: http.NewServeMux()}
	m.unlisted = g.compiled("unlisted", scopes.Authenticated()).before("unlisted", http.HandlerFunc(m.serveUnlisted))
	return m
}

// Handle registers handler for pattern, which has the syntax of
// [http.ServeMux], behind policy. It panics, like ServeMux, if the pattern is
// bad or conflicts with another, and if the policy has a fault or looks for a
// wildcard that the pattern does not have ([scopes.TenantFrom]).
func (m *Mux) Handle(pattern string, policy scopes.Policy, handler http.Handler) {
	route := fmt.Sprintf("pattern %q", pattern)
	if !m.made() {
		panic(fmt.Sprintf("middleware: %s: the Mux was not made by NewMux", route))
	}
	d := m.guard.compiled(route, policy).before(route, handler)
	for _, name := range d.policy.Values() {
		if !strings.Contains(pattern, "{"+name+"}") && !strings.Contains(pattern, "{"+name+"...}") {
			panic(fmt.Sprintf("middleware: %s: the policy compares with the wildcard {%s}, which the pattern does not have", route, name))
		}
	}
	m.register(&entry{mux: m, pattern: parsePattern(pattern), door: d})
}

// register adds e, whose pattern ServeMux checks.
func (m *Mux) register(e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.entries {
		e.yieldTo(other)
	}
	m.handle(e)
	for _, other := range m.entries {
		other.yieldTo(e)
	}
	m.entries = append(m.entries, e)
	if e.pattern.withoutSlash() != nil {
		m.trees.Store(true)
	}
	if e.pattern.host != "" {
		m.hosts.Store(true)
	}
}

// handle gives e to ServeMux. Its panic names the line in this file as the place
// where each pattern was registered, so handle panics anew, with the patterns.
func (m *Mux) handle(e *entry) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		for _, other := range m.entries {
			if why, conflicts := conflictOf(e.pattern, other.pattern); conflicts {
				panic(fmt.Sprintf("middleware: pattern %q: conflicts with pattern %q: %s", e.pattern.text, other.pattern.text, why))
			}
		}
		panic(fmt.Sprintf("middleware: pattern %q: %v", e.pattern.text, cause))
	}()
	m.mux.Handle(e.pattern.text, e)
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
	var routes []scopes.Route
	for _, e := range m.listed() {
		routes = append(routes, scopes.Route{Name: e.pattern.text, Policy: e.door.policy})
	}
	return routes
}

func (m *Mux) listed() []*entry {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clip(m.entries)
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
// policy is then [scopes.Authenticated], and the answer 405 if there are
// [Mux.AllowedMethods], 404 otherwise. A request that is answered with 400 before
// any pattern is looked up has a Denial.
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

// AllowedMethods returns the methods under which the path of r is listed, sorted,
// of those that the patterns of m name; with HEAD where GET is one. A public
// pattern for OPTIONS alone lists no path, so that one for the preflights of all
// paths ("OPTIONS /") leaves the others unlisted.
func (m *Mux) AllowedMethods(r *http.Request) []string {
	named := map[string]bool{}
	for _, e := range m.listed() {
		if named[e.pattern.method] = true; e.pattern.method == http.MethodGet {
			named[http.MethodHead] = true
		}
	}
	delete(named, "")
	var allowed []string
	listed := false
	for _, method := range slices.Sorted(maps.Keys(named)) {
		// The look-up reads nothing else of a request.
		same := &http.Request{Method: method, Host: r.Host, URL: r.URL}
		if m.refuse(same) != nil {
			continue
		}
		if d := m.find(same); d != m.unlisted {
			allowed = append(allowed, method)
			listed = listed || method != http.MethodOptions || !d.policy.IsPublic()
		}
	}
	if !listed {
		return nil
	}
	return allowed
}

// serveUnlisted answers a request that no pattern matches and that had a valid
// token.
func (m *Mux) serveUnlisted(w http.ResponseWriter, r *http.Request) {
	allowed := m.AllowedMethods(r)
	if len(allowed) == 0 {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	http.Error(w, "405 method not allowed", http.StatusMethodNotAllowed)
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

// find returns the door that r belongs to.
func (m *Mux) find(r *http.Request) *door {
	if e := m.lookUp(r); e != nil {
		return e.doorFor(r)
	}
	return m.unlisted
}

// lookUp returns the entry whose pattern matches r, or nil if there is none or
// ServeMux has an answer of its own, such as a redirect.
func (m *Mux) lookUp(r *http.Request) *entry {
	handler, _ := m.mux.Handler(r)
	e, _ := handler.(*entry)
	return e
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
		if m.lookUp(r) == nil {
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
	case r.URL == nil:
		cause = errNoURL
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
