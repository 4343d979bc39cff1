package scopes

import (
	"iter"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Contract is what the routes of an API demand of tokens, as data. Publish it, and
// keep it beside the code, so that a change of it is seen ([Contract.Drift]). It also
// marshals with encoding/json.
type Contract struct {
	// Audiences are the identifiers of the API, by the configuration of all issuers.
	// They count for routes that name none.
	Audiences []string `json:"audiences,omitempty"`
	// Routes are sorted by path, and then by method.
	Routes []RouteContract `json:"routes"`
}

// RouteContract is what one route demands.
type RouteContract struct {
	Route      string      `json:"route"`               // the name of the route
	Method     string      `json:"method,omitempty"`    // the HTTP method; empty: any, or the route is a gRPC method
	Public     bool        `json:"public,omitzero"`     // everyone is permitted
	Optional   bool        `json:"optional,omitzero"`   // requests without credentials are permitted too
	Denied     bool        `json:"denied,omitzero"`     // no one is permitted, because the policy has a fault
	Privileged bool        `json:"privileged,omitzero"` // see [Privileged]
	Sensitive  bool        `json:"sensitive,omitzero"`  // see [Sensitive]
	Requires   Requirement `json:"requires,omitzero"`   // what every token must meet
	Policy     string      `json:"policy"`              // the whole policy, as Go code
}

// NewContract returns the contract of routes, each with its name and its policy.
// The name is that of [Operation]: a pattern such as "GET /orders/{id}", or the full
// name of a gRPC method.
func NewContract(routes iter.Seq2[string, Policy]) Contract {
	made := Contract{Routes: []RouteContract{}}
	for name, policy := range routes {
		made.Routes = append(made.Routes, routeContract(name, policy))
	}
	slices.SortStableFunc(made.Routes, func(a, b RouteContract) int { return strings.Compare(a.sortKey(), b.sortKey()) })
	return made
}

func routeContract(name string, policy Policy) RouteContract {
	c := RouteContract{
		Route: name, Public: policy.IsPublic(), Optional: policy.IsOptional(), Denied: policy.Err() != nil,
		Privileged: policy.IsPrivileged(), Sensitive: policy.IsSensitive(), Requires: policy.Requirement(), Policy: policy.String(),
	}
	if i := strings.IndexAny(name, " \t"); i >= 0 {
		c.Method = name[:i]
	}
	return c
}

// sortKey returns the path and the method.
func (c *RouteContract) sortKey() string {
	return strings.TrimLeft(strings.TrimPrefix(c.Route, c.Method), " \t") + " " + c.Method
}

// JSON returns the contract as a JSON document with one line for each member. Equal
// contracts give equal documents. It fails if a text is not UTF-8.
func (c Contract) JSON() ([]byte, error) {
	text, err := strictjson.MarshalLines(c)
	return []byte(text), err
}
