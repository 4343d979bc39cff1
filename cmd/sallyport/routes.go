package main

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// routes are the policies of a configuration under the patterns of
// [http.ServeMux].
type routes struct {
	policies map[string]scopes.Policy
	mux      *http.ServeMux
}

// newRoutes registers the configured routes, or tells all their faults.
func newRoutes(configured map[string]routeFile) (*routes, []error) {
	r := &routes{policies: make(map[string]scopes.Policy), mux: http.NewServeMux()}
	var faults []error
	for _, pattern := range slices.Sorted(maps.Keys(configured)) {
		policy, err := configured[pattern].policy()
		if err == nil {
			err = r.add(pattern, policy)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("routes: %q: %w", pattern, err))
		}
	}
	return r, faults
}

// add registers one pattern; ServeMux reports a bad one by a panic.
func (r *routes) add(pattern string, policy scopes.Policy) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("%v", fault)
		}
	}()
	r.mux.Handle(pattern, http.NotFoundHandler())
	r.policies[pattern] = policy
	return nil
}

// find gives the policy of a route: one of the patterns, or method and path.
func (r *routes) find(route string) (scopes.Policy, *middleware.Denial) {
	if policy, ok := r.policies[route]; ok {
		return policy, nil
	}
	method, target, ok := strings.Cut(route, " ")
	if !ok {
		return scopes.Policy{}, &middleware.Denial{Reason: validator.MalformedRequest, Status: http.StatusBadRequest}
	}
	u, err := url.ParseRequestURI(target)
	if err != nil || middleware.AmbiguousPath(u.EscapedPath()) {
		return scopes.Policy{}, &middleware.Denial{Reason: validator.MalformedRequest, Status: http.StatusBadRequest}
	}
	_, pattern := r.mux.Handler(&http.Request{Method: method, URL: u, Host: u.Host})
	policy, ok := r.policies[pattern]
	if !ok { // what no route permits is denied
		return scopes.Policy{}, &middleware.Denial{Reason: validator.Forbidden, Status: http.StatusForbidden}
	}
	return policy, nil
}
