package scopes

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Route is an operation that someone may ask for.
type Route struct {
	Name   string // as of [Operation]: a pattern such as "GET /orders/{id}", or the full name of a gRPC method
	Policy Policy // that has to permit it
}

// Contract is what the routes of an API demand of tokens, as data: to publish,
// and to keep beside the code, so that nobody changes it unseen ([Contract.Drift]).
// It marshals with encoding/json, too.
type Contract struct {
	// Audiences are those that routes accept which name none, of all issuers.
	Audiences []string `json:"audiences,omitempty"`
	// Routes are sorted by path, and then by method.
	Routes []RouteContract `json:"routes"`
}

// RouteContract is what one route demands.
type RouteContract struct {
	Route      string      `json:"route"`               // its name
	Method     string      `json:"method,omitempty"`    // of HTTP; empty: all, or none if the name is that of a gRPC method
	Public     bool        `json:"public,omitzero"`     // everybody is permitted
	Denied     bool        `json:"denied,omitzero"`     // nobody is: the policy has a fault
	Privileged bool        `json:"privileged,omitzero"` // it is tagged so
	Sensitive  bool        `json:"sensitive,omitzero"`  // it is tagged so
	Requires   Requirement `json:"requires,omitzero"`   // of every token
	Policy     string      `json:"policy"`              // all of it, as Go code would make it
}

// Requirement is met by a token that meets each of its fields.
type Requirement struct {
	// Audiences, of which aud must name one.
	Audiences []string `json:"audiences,omitempty"`
	// SoleAudience: aud may name nobody beside the issuer's Audiences.
	SoleAudience bool `json:"sole_audience,omitzero"`
	// Scopes, all of which are needed.
	Scopes []string `json:"scopes,omitempty"`
	// ImpliedBy has the broader scopes that will do instead of some of Scopes.
	ImpliedBy map[string][]string `json:"implied_by,omitempty"`
	// ACRValues, of which acr must be one, in order of preference.
	ACRValues []string `json:"acr_values,omitempty"`
	// MaxAge is how many seconds ago the user may have authenticated.
	MaxAge int64 `json:"max_age,omitzero"`
	// MaxLifetime is the longest exp − iat in seconds.
	MaxLifetime float64 `json:"max_lifetime,omitzero"`
	// MaxTokenAge is the longest now − iat in seconds.
	MaxTokenAge float64 `json:"max_token_age,omitzero"`
	// SenderConstrained tokens only.
	SenderConstrained bool `json:"sender_constrained,omitzero"`
	// Others are the other parts, as Go code would make them.
	Others []string `json:"others,omitempty"`
	// Alternatives are lists, in each of which one requirement has to be met.
	Alternatives [][]Requirement `json:"alternatives,omitempty"`
}

// NewContract is the contract of these routes.
func NewContract(routes []Route) Contract {
	made := Contract{Routes: make([]RouteContract, len(routes))}
	for i, route := range routes {
		made.Routes[i] = route.contract()
	}
	slices.SortStableFunc(made.Routes, func(a, b RouteContract) int { return strings.Compare(a.sortKey(), b.sortKey()) })
	return made
}

func (r *Route) contract() RouteContract {
	c := RouteContract{
		Route: r.Name, Policy: r.Policy.String(), Public: r.Policy.IsPublic(), Denied: r.Policy.Err() != nil,
		Privileged: r.Policy.IsPrivileged(), Sensitive: r.Policy.IsSensitive(),
	}
	if i := strings.IndexAny(r.Name, " \t"); i >= 0 {
		c.Method = r.Name[:i]
	}
	if !c.Denied {
		c.Requires = requirement(r.Policy.rule.clause)
	}
	return c
}

func (c *RouteContract) sortKey() string {
	return strings.TrimLeft(strings.TrimPrefix(c.Route, c.Method), " \t") + " " + c.Method
}

// requirement is what a clause comes to.
func requirement(c clause) Requirement {
	switch c := c.(type) {
	case *scopeList:
		return c.requirement()
	case *conjunction:
		var r Requirement
		for _, part := range c.parts {
			r.join(requirement(part))
		}
		return r
	case *disjunction:
		alternatives := make([]Requirement, len(c.parts))
		for i, part := range c.parts {
			alternatives[i] = requirement(part)
		}
		return oneOf(alternatives)
	case *condition:
		if c.demand != nil {
			demand := *c.demand // what the policy rests on is not given away
			demand.Audiences, demand.ACRValues = slices.Clone(demand.Audiences), slices.Clone(demand.ACRValues)
			return demand
		}
	}
	return Requirement{Others: []string{c.String()}}
}

// requirement is that of a list of scopes.
func (s *scopeList) requirement() Requirement {
	each := make([]Requirement, len(s.scopes))
	var all Requirement
	for i, scope := range s.scopes {
		each[i].Scopes = []string{scope}
		broader := slices.DeleteFunc(slices.Clone(s.meets[i]), func(meeting string) bool { return meeting == scope })
		if len(broader) > 0 {
			each[i].ImpliedBy = map[string][]string{scope: broader}
		}
		all.join(each[i])
	}
	if s.constructor == "Any" {
		return oneOf(each)
	}
	return all
}

func oneOf(alternatives []Requirement) Requirement {
	if len(alternatives) == 1 {
		return alternatives[0]
	}
	return Requirement{Alternatives: [][]Requirement{alternatives}}
}

// join makes r a requirement of both.
func (r *Requirement) join(other Requirement) {
	r.joinScopes(other)
	r.Audiences = append(r.Audiences, other.Audiences...) // And has one list at most
	r.joinACR(other.ACRValues)
	r.MaxAge = lower(r.MaxAge, other.MaxAge)
	r.MaxLifetime = lower(r.MaxLifetime, other.MaxLifetime)
	r.MaxTokenAge = lower(r.MaxTokenAge, other.MaxTokenAge)
	r.SoleAudience = r.SoleAudience || other.SoleAudience
	r.SenderConstrained = r.SenderConstrained || other.SenderConstrained
	r.Others = unique(append(r.Others, other.Others...))
	r.Alternatives = append(r.Alternatives, other.Alternatives...)
}

// joinACR narrows the acr values. If the lists have nothing in common, nobody
// meets both: the other one then stands as an alternative without another.
func (r *Requirement) joinACR(values []string) {
	if len(r.ACRValues) > 0 && len(values) > 0 && len(intersection(r.ACRValues, values)) == 0 {
		r.Alternatives = append(r.Alternatives, []Requirement{{ACRValues: values}})
		return
	}
	r.ACRValues = inCommon(r.ACRValues, values)
}

func (r *Requirement) joinScopes(other Requirement) {
	implied := map[string][]string{}
	for _, scope := range slices.Concat(r.Scopes, other.Scopes) {
		broader := r.ImpliedBy[scope]
		switch {
		case !slices.Contains(r.Scopes, scope):
			broader = other.ImpliedBy[scope]
		case slices.Contains(other.Scopes, scope): // what does for both
			broader = intersection(broader, other.ImpliedBy[scope])
		}
		if len(broader) > 0 {
			implied[scope] = broader
		}
	}
	r.Scopes = unique(append(slices.Clone(r.Scopes), other.Scopes...))
	r.ImpliedBy = nil
	if len(implied) > 0 {
		r.ImpliedBy = implied
	}
}

// JSON is the contract as a document with a line for each member, which is the
// same for the same contract. It fails if a text is not UTF-8.
func (c Contract) JSON() ([]byte, error) {
	text, err := strictjson.MarshalLines(c)
	return []byte(text), err
}
