package middleware

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/scopes"
)

// Mux is an [http.ServeMux] on which every pattern has a policy: there is no
// way to add a handler without one.
//
// A path that a router and an application could read differently is answered with
// 400 before a pattern is looked up; docs/http.md has the rules. A request that no
// pattern matches needs a valid token. With one the answer is 405, with the methods
// in the Allow field, if the path is registered under other methods, and 404
// otherwise. There are no redirects to a path with a trailing slash.
//
// A pattern is open if its policy admits callers without credentials
// ([scopes.Public], [scopes.Optional]), and guarded otherwise. An open pattern does
// not serve a path that is registered with a guarded pattern under another method:
// with "GET /admin" guarded and "/" open, PUT /admin matches no pattern. Only an open
// pattern that is not broader than the guarded one, such as "PUT /admin" or "/admin",
// serves it. [Mux.Warnings] names the cases that this rule does not cover.
//
// Where patterns name hosts, a Host field that is not in lower case or ends with
// a dot is answered with 400; CONNECT always is.
// OPTIONS and HEAD are methods like any other. A GET pattern serves HEAD too.
//
// A Mux that [Guard.NewMux] did not make answers 503.
type Mux struct {
	guard    *Guard
	mux      *http.ServeMux
	trees    atomic.Bool // some pattern covers a subtree
	hosts    atomic.Bool // some pattern names a host
	unlisted *Route      // copied for each request that no pattern matches
	catchAll sync.Once

	mu      sync.Mutex
	entries []*entry // in the order of registration
}

// NewMux makes an empty Mux, which answers 401 or 404 to everything. It panics
// if [New] or [For] did not make g.
func (g *Guard) NewMux() *Mux {
	if !g.made() {
		panic("middleware: NewMux: the Guard was not made by New or For")
	}
	return &Mux{guard: g, mux: http.NewServeMux(), unlisted: g.Unlisted()}
}

// Handle registers handler for pattern, which has the syntax of
// [http.ServeMux], behind policy. It panics, like ServeMux, where [Mux.Add] returns
// an error. The pattern is the name of the route and so a label of metrics, as it
// is written and of any length.
func (m *Mux) Handle(pattern string, policy scopes.Policy, handler http.Handler) {
	if handler == nil {
		panic(fmt.Sprintf("middleware: pattern %q: the handler is nil", pattern))
	}
	if _, err := m.add(pattern, policy, handler); err != nil {
		panic(err.Error())
	}
}

// Add registers a route without a handler, for programs that decide on requests
// and let others serve them ([Mux.Match]). The Mux itself answers 404 to a request
// that may pass. The error joins all faults: those of the policy, a pattern that is
// malformed or in conflict with another, and a wildcard that the policy looks for
// ([scopes.TenantFrom]) and the pattern does not have. It is also an error to add a
// pattern for all requests, such as "/", after the Mux has served a request.
func (m *Mux) Add(pattern string, policy scopes.Policy) (*Route, error) {
	return m.add(pattern, policy, http.NotFoundHandler())
}

func (m *Mux) add(pattern string, policy scopes.Policy, handler http.Handler) (*Route, error) {
	all := fault.In("middleware")
	faults := all.At(pattern)
	if !m.made() {
		faults.Add("cannot be registered: the Mux was not made by NewMux", "make it with Guard.NewMux")
		return nil, faults.Err()
	}
	route, err := m.guard.compile(pattern, policy)
	if all.Merge(err); err != nil {
		return nil, all.Err()
	}
	for _, name := range route.policy.Values() {
		if !strings.Contains(pattern, "{"+name+"}") && !strings.Contains(pattern, "{"+name+"...}") {
			faults.Addf("put it into the pattern", "has no wildcard {%s}, with which the policy compares", name)
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	e := &entry{pattern: parsePattern(pattern), handler: &guarded{route: route, next: handler}, unlisted: m.serveUnlisted}
	if problem, mend := m.register(e); problem != "" {
		faults.Add(problem, mend)
		return nil, faults.Err()
	}
	return route, nil
}

// register adds e, and returns what is wrong with its pattern, or "", and what to
// do about it.
func (m *Mux) register(e *entry) (problem, mend string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.entries {
		e.yieldTo(other)
	}
	if problem, mend := m.handle(e); problem != "" {
		return problem, mend
	}
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
	return "", ""
}

// handle gives e to ServeMux and returns why that panicked, or "", and what to do
// about it. The text of the panic names the line in this file as the place where
// each pattern was registered, so a conflict is explained anew, with the patterns.
func (m *Mux) handle(e *entry) (problem, mend string) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		for _, other := range m.entries {
			if why, conflicts := conflictOf(e.pattern, other.pattern); conflicts {
				problem = fmt.Sprintf("conflicts with pattern %q: %s", other.pattern.text, why)
				return
			}
		}
		if _, conflicts := conflictOf(e.pattern, parsePattern(unlistedPattern)); conflicts { // with handleUnlisted
			problem, mend = "matches all requests, and the Mux has already served a request", "register it before the first request"
			return
		}
		problem = fmt.Sprintf("is not a pattern: %v", cause)
	}()
	m.mux.Handle(e.pattern.text, e)
	return "", ""
}

// made reports whether [Guard.NewMux] returned m.
func (m *Mux) made() bool { return m != nil && m.guard != nil }

// HandleFunc registers a function as Handle does.
func (m *Mux) HandleFunc(pattern string, policy scopes.Policy, handler func(http.ResponseWriter, *http.Request)) {
	if handler == nil {
		panic(fmt.Sprintf("middleware: pattern %q: the handler is nil", pattern))
	}
	m.Handle(pattern, policy, http.HandlerFunc(handler))
}

// Routes returns the names and policies of the registered routes, in the order of
// registration, for reports and checks at start-up. A request that none of them
// matches needs a valid token ([scopes.Authenticated]).
func (m *Mux) Routes() iter.Seq2[string, scopes.Policy] {
	return func(yield func(string, scopes.Policy) bool) {
		for _, e := range m.listed() {
			if route := e.handler.route; !yield(route.name, route.policy) {
				return
			}
		}
	}
}

func (m *Mux) listed() []*entry {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clip(m.entries)
}

// Policies returns the policies of [Mux.Routes], for package resourcemeta.
func (m *Mux) Policies() []scopes.Policy {
	var policies []scopes.Policy
	for _, policy := range m.Routes() {
		policies = append(policies, policy)
	}
	return policies
}

// Match returns the Route by which the Mux decides on r. It is never nil, so an
// adapter that lets others serve the requests needs its Check only:
//
//   - a registered route
//   - a Route that is not Listed, for a request that no pattern matches. It refuses
//     a valid token with 405 if there are [Mux.AllowedMethods], with 404 otherwise,
//     and other tokens as [scopes.Authenticated] does.
//   - a Route that refuses everything with 400, for a request that cannot be looked
//     up safely.
func (m *Mux) Match(r *http.Request) *Route {
	if !m.made() {
		return new(Route)
	}
	if err := m.ambiguity(r); err != nil {
		return m.guard.ambiguous(err)
	}
	if e := m.find(r); e != nil {
		return e.handler.route
	}
	return m.missing(r)
}

// missing returns the Route for r, which no pattern matches.
func (m *Mux) missing(r *http.Request) *Route {
	route := *m.unlisted
	route.allowed = func() []string { return m.AllowedMethods(r) }
	return &route
}

// AllowedMethods returns the methods under which the path of r is listed, sorted,
// of those that the patterns of m name; with HEAD where GET is one. An open
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
		if m.ambiguity(same) != nil {
			continue
		}
		if e := m.find(same); e != nil {
			allowed = append(allowed, method)
			listed = listed || method != http.MethodOptions || !e.isOpen()
		}
	}
	if !listed {
		return nil
	}
	return allowed
}

// serveUnlisted answers a request that no pattern matches.
func (m *Mux) serveUnlisted(w http.ResponseWriter, r *http.Request) {
	(&guarded{route: m.missing(r)}).ServeHTTP(w, r)
}

// Contract returns what the routes demand, as data: to publish, and for a test
// that compares it with the contract that was agreed on ([scopes.Contract.Drift]).
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

// find returns the entry that r belongs to, or nil if no pattern matches it.
func (m *Mux) find(r *http.Request) *entry {
	if e := m.lookUp(r); e != nil && e.serves(r) {
		return e
	}
	return nil
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
		denialOf(errUnmade).ServeHTTP(w, r)
		return
	}
	if err := m.ambiguity(r); err != nil {
		m.guard.refuseAmbiguous(w, r, err)
		return
	}
	m.catchAll.Do(m.handleUnlisted)
	if m.trees.Load() && !strings.HasSuffix(r.URL.Path, "/") && m.lookUp(r) == nil {
		// ServeMux would redirect to the subtree, also without a token, and so show
		// that it exists.
		m.serveUnlisted(w, r)
		return
	}
	m.mux.ServeHTTP(w, r)
}

// ambiguity returns why r cannot be looked up safely, or nil.
func (m *Mux) ambiguity(r *http.Request) error {
	switch {
	case r.URL == nil:
		return errNoURL
	case r.Method == http.MethodConnect: // ServeMux reads its host and path by other rules
		return errConnect
	case ambiguousPath(r.URL.EscapedPath()):
		return errAmbiguousPath
	case m.hosts.Load() && ambiguousHost(r.Host):
		return errAmbiguousHost
	default:
		return nil
	}
}

// handleUnlisted registers the answer to requests that no pattern matches, unless
// the user has registered a pattern that matches all.
func (m *Mux) handleUnlisted() {
	defer func() { _ = recover() }() // ServeMux panics on the conflict
	m.mux.Handle(unlistedPattern, http.HandlerFunc(m.serveUnlisted))
}

// unlistedPattern is the pattern under which ServeMux gets the answer to requests
// that no registered pattern matches.
const unlistedPattern = "/"
