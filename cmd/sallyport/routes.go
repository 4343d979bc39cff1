package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// routes are the policies of a configuration, found like those of a
// [middleware.Mux]: by one.
type routes struct {
	policies map[string]scopes.Policy
	mux      *middleware.Mux
}

// newRoutes registers the configured routes, or tells all their faults.
func newRoutes(configured map[string]routeFile, mux *middleware.Mux) (*routes, []error) {
	r := &routes{policies: make(map[string]scopes.Policy), mux: mux}
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

// registered is the part of ServeMux's panics that speaks of this program's
// source.
var registered = regexp.MustCompile(` \(registered at [^)]*\)`)

// add registers one pattern; Mux reports a bad one by a panic.
func (r *routes) add(pattern string, policy scopes.Policy) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = errors.New(registered.ReplaceAllString(fmt.Sprint(fault), ""))
		}
	}()
	r.mux.Handle(pattern, policy, http.NotFoundHandler())
	r.policies[pattern] = policy
	return nil
}

var errNotRoute = &middleware.Denial{Reason: validator.MalformedRequest, Status: http.StatusBadRequest}

// find gives the policy of a route: one of the patterns, or method and path.
func (r *routes) find(ctx context.Context, route string) (policy scopes.Policy, listed bool, denial *middleware.Denial) {
	if policy, ok := r.policies[route]; ok {
		return policy, true, nil
	}
	method, target, _ := strings.Cut(route, " ")
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return scopes.Policy{}, false, errNotRoute
	}
	request, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil || method == "" {
		return scopes.Policy{}, false, errNotRoute
	}
	return r.mux.PolicyFor(request)
}
