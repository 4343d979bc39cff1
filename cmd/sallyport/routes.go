package main

import (
	"bufio"
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

type routeFile struct {
	Scopes   *scopesFile `yaml:"scopes"`
	Optional bool        `yaml:"optional"` // requests without credentials are served, too
	// ActiveWithin is how long ago the issuer may have said that the token is active.
	ActiveWithin string `yaml:"active_within"`
	OpaqueIssuer string `yaml:"opaque_issuer"` // the URL of the issuer whose opaque tokens the route takes
}

type scopesFile struct {
	All []string `yaml:"all"`
	Any []string `yaml:"any"`
}

// policy returns the policy of a route. A route without scopes is a fault and not
// a public route.
func (file *routeFile) policy(faults fault.List) (policy scopes.Policy, ok bool) {
	in := faults.At("scopes")
	switch {
	case file.Scopes == nil:
		faults.Add("has no policy", "give scopes: {all: […]} or scopes: {any: […]}")
	case (file.Scopes.All == nil) == (file.Scopes.Any == nil):
		in.Add("needs either all or any", "")
	case file.Scopes.All != nil:
		policy, ok = scopesPolicy(scopes.All, file.Scopes.All, in.At("all"))
	default:
		policy, ok = scopesPolicy(scopes.Any, file.Scopes.Any, in.At("any"))
	}
	within := converter{faults: faults}.at("active_within").activeWithin(file.ActiveWithin)
	if within != 0 {
		policy = scopes.And(policy, scopes.FreshlyActive(max(within, 0))) // EachRequest is negative
	}
	if file.OpaqueIssuer != "" {
		policy = scopes.And(policy, scopes.OpaqueIssuer(file.OpaqueIssuer))
	}
	if ok && file.Optional {
		policy = scopes.Optional(policy)
	}
	return policy, ok
}

// checkAsking adds the faults of routes that need an issuer that can be asked about
// tokens.
func checkAsking(configured map[string]routeFile, issuers []issuerFile, faults fault.List) {
	var urls []string
	for i := range issuers {
		if issuers[i].Opaque != nil {
			urls = append(urls, issuers[i].URL)
		}
	}
	for pattern := range configured {
		route, at := configured[pattern], faults.At(keyPath("routes", pattern))
		if route.ActiveWithin != "" && len(urls) == 0 {
			at.At("active_within").Add("needs an issuer that can be asked, and none has opaque", "give one of them opaque, or leave it out")
		}
		if route.OpaqueIssuer != "" && !slices.Contains(urls, route.OpaqueIssuer) {
			at.At("opaque_issuer").Addf("give the url of an issuer that has opaque", "is %q, which is the url of none with opaque", route.OpaqueIssuer)
		}
	}
}

// scopesPolicy returns the policy that makes of names. A fault of makes has the path
// of an element, such as All[1].
func scopesPolicy(makes func(...string) scopes.Policy, names []string, faults fault.List) (policy scopes.Policy, ok bool) {
	if len(names) == 0 {
		faults.Add("is empty", "list the scopes that the route needs")
		return scopes.Policy{}, false
	}
	policy = makes(names...)
	for _, f := range fault.All(policy.Err()) {
		at := faults
		if _, index, found := strings.Cut(f.Path, "["); found {
			at = faults.At("[" + index)
		}
		at.Add(f.Problem, f.Mend)
	}
	return policy, policy.Err() == nil
}

// routes are the policies of a configuration. A request finds its policy as in a
// [middleware.Mux].
type routes struct {
	named map[string]*middleware.Route // by pattern
	mux   *middleware.Mux
}

// newRoutes registers the configured routes with mux, in the order of the file.
func newRoutes(mux *middleware.Mux, configured map[string]routeFile, p places, faults fault.List) *routes {
	r := &routes{named: make(map[string]*middleware.Route), mux: mux}
	patterns := slices.SortedFunc(maps.Keys(configured), func(a, b string) int {
		return cmp.Or(p.at(keyPath("routes", a)).compare(p.at(keyPath("routes", b))), cmp.Compare(a, b))
	})
	for _, pattern := range patterns {
		at := faults.At(keyPath("routes", pattern))
		route := configured[pattern]
		if policy, ok := route.policy(at); ok {
			r.add(pattern, policy, at)
		}
	}
	return r
}

// add registers one pattern.
func (r *routes) add(pattern string, policy scopes.Policy, faults fault.List) {
	route, err := r.mux.Add(pattern, policy)
	for _, f := range fault.All(err) { // the path of each one starts with the pattern
		faults.At(strings.TrimPrefix(strings.TrimPrefix(f.Path, pattern), ".")).Add(f.Problem, f.Mend)
	}
	if err == nil {
		r.named[pattern] = route
	}
}

// find returns the route of an input line: one of the patterns, or a method and a
// request target. A text that is no request line has a route that refuses
// everything with 400.
func (r *routes) find(route string) *middleware.Route {
	if named, ok := r.named[route]; ok {
		return named
	}
	request := asReceived(route)
	if request == nil {
		request = new(http.Request)
	}
	return r.mux.Match(request)
}

// asReceived returns the request that a server makes of a request line with this
// method and target, or nil if it makes none. Made otherwise, the target could
// be read otherwise: a path that starts with two slashes is no host here.
func asReceived(route string) *http.Request {
	if strings.ContainsAny(route, "\r\n") { // would end the line
		return nil
	}
	request, err := http.ReadRequest(bufio.NewReader(strings.NewReader(route + " HTTP/1.1\r\n\r\n")))
	if err != nil {
		return nil
	}
	return request
}
