package main

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net/http"
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

// Answers to requests that no policy is asked about.
var (
	errNotRequest = &middleware.Denial{Reason: validator.MalformedRequest, Status: http.StatusBadRequest}
	errNotFound   = &middleware.Denial{Reason: validator.Forbidden, Status: http.StatusNotFound}
	errNotAllowed = &middleware.Denial{Reason: validator.Forbidden, Status: http.StatusMethodNotAllowed}
)

// find returns the policy of a route: one of the patterns, or a method and a
// request target. If no pattern matches those, unlisted is the answer to a valid
// token. If they are no request, denial is the answer to everybody.
func (r *routes) find(route string) (policy scopes.Policy, unlisted, denial *middleware.Denial) {
	if policy, ok := r.policies[route]; ok {
		return policy, nil, nil
	}
	request := asReceived(route)
	if request == nil {
		return scopes.Policy{}, nil, errNotRequest
	}
	policy, listed, denial := r.mux.PolicyFor(request)
	switch {
	case denial != nil || listed:
		return policy, nil, denial
	case len(r.mux.AllowedMethods(request)) > 0:
		return policy, errNotAllowed, nil
	default:
		return policy, errNotFound, nil
	}
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
