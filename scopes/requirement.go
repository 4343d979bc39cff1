package scopes

import (
	"cmp"
	"slices"
)

// Requirement is met by a token that meets each of its fields.
type Requirement struct {
	// Audiences are the identifiers of which aud must name one.
	Audiences []string `json:"audiences,omitempty"`
	// SoleAudience says that aud must name nobody outside the Audiences of the
	// issuer's configuration.
	SoleAudience bool `json:"sole_audience,omitzero"`
	// Scopes are the scopes that the token must have, all of them.
	Scopes []string `json:"scopes,omitempty"`
	// ImpliedBy has, for some of Scopes, the broader scopes that serve instead.
	ImpliedBy map[string][]string `json:"implied_by,omitempty"`
	// ACRValues are the values of which acr must be one, in order of preference.
	ACRValues []string `json:"acr_values,omitempty"`
	// MaxAuthAge is how many seconds ago the user may have authenticated.
	MaxAuthAge int64 `json:"max_age,omitzero"`
	// MaxLifetime is the longest exp − iat, in seconds.
	MaxLifetime float64 `json:"max_lifetime,omitzero"`
	// MaxTokenAge is the longest now − iat, in seconds.
	MaxTokenAge float64 `json:"max_token_age,omitzero"`
	// SenderConstrained says that the token must be bound to its sender.
	SenderConstrained bool `json:"sender_constrained,omitzero"`
	// ActiveWithin is how many seconds ago the issuer may have said that the token is
	// active. -1: the issuer must be asked for each request.
	ActiveWithin float64 `json:"active_within,omitzero"`
	// OpaqueIssuer is the URL of the issuer whose opaque tokens are accepted. Without
	// it, the token alone says which issuer that is.
	OpaqueIssuer string `json:"opaque_issuer,omitempty"`
	// Others are the parts of the policy that no other field can express, as Go
	// code.
	Others []string `json:"others,omitempty"`
	// Alternatives are lists. Of each list, one Requirement must be met.
	Alternatives [][]Requirement `json:"alternatives,omitempty"`
}

// oneOf returns the Requirement to meet one of the alternatives.
func oneOf(alternatives []Requirement) Requirement {
	if len(alternatives) == 1 {
		return alternatives[0]
	}
	return Requirement{Alternatives: [][]Requirement{alternatives}}
}

// join adds other, so that r is met by a token that meets both.
func (r *Requirement) join(other Requirement) {
	r.joinScopes(other)
	r.Audiences = append(r.Audiences, other.Audiences...) // And has at most one Audience part
	r.joinACR(other.ACRValues)
	r.MaxAuthAge = lower(r.MaxAuthAge, other.MaxAuthAge)
	r.MaxLifetime = lower(r.MaxLifetime, other.MaxLifetime)
	r.MaxTokenAge = lower(r.MaxTokenAge, other.MaxTokenAge)
	r.SoleAudience = r.SoleAudience || other.SoleAudience
	r.SenderConstrained = r.SenderConstrained || other.SenderConstrained
	r.ActiveWithin = fresher(r.ActiveWithin, other.ActiveWithin)
	r.OpaqueIssuer = cmp.Or(r.OpaqueIssuer, other.OpaqueIssuer) // And has no two that differ
	r.Others = unique(append(r.Others, other.Others...))
	r.Alternatives = append(r.Alternatives, other.Alternatives...)
}

// joinACR keeps the acr values that are also in values. If there is none, no token
// meets both lists; values is then added as an alternative of its own.
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
		case slices.Contains(other.Scopes, scope): // a broader scope must serve for both
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
