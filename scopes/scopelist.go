package scopes

import (
	"context"
	"slices"

	"github.com/sallyport-auth/sallyport/validator"
)

// scopeList is the clause of All and Any.
type scopeList struct {
	single

	constructor string
	scopes      []string   // as written
	needs       []string   // the scopes that a Refusal names
	meets       [][]string // for each scope, those that meet it: itself and the broader ones, sorted
	groups      [][]string // a token must have one scope of each
	bits        uint64     // of the groups in the vocabulary, or 0 if it has no room for them
	refusal     *Refusal
}

// complete sets the groups and the refusal.
func (s *scopeList) complete() {
	s.groups = s.meets
	if s.constructor == "Any" {
		s.groups = [][]string{slices.Concat(s.meets...)}
		slices.Sort(s.groups[0])
		s.groups[0] = slices.Compact(s.groups[0])
	}
	s.refusal = unmet(validator.InsufficientScope, s.String())
	s.refusal.Scopes = s.needs
}

// String returns the Go code of the list, with the part of the hierarchy that its
// scopes are in.
func (s *scopeList) String() string {
	text := call(s.constructor, s.scopes...)
	if pairs := s.broader(); len(pairs) > 0 {
		text += ".Under(" + pairs.String() + ")"
	}
	return text
}

func (s *scopeList) title() string { return s.String() }

func (s *scopeList) decide(_ context.Context, q question) *Refusal {
	if s.bits != 0 {
		if q.held&s.bits == s.bits {
			return nil
		}
		return s.refusal
	}
	for _, group := range s.groups {
		if !slices.ContainsFunc(group, q.token.HasScope) {
			return s.refusal
		}
	}
	return nil
}

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

func (s *scopeList) everyWay(func(*Refusal) bool) bool { return false }

// under returns the list under h, added to the hierarchy that the list is under
// already.
func (s *scopeList) under(h Hierarchy) (*scopeList, error) {
	together := s.broader()
	for broad, narrow := range h {
		together[broad] = append(slices.Clone(narrow), together[broad]...)
		slices.Sort(together[broad])
		together[broad] = slices.Compact(together[broad])
	}
	if err := together.Err(); err != nil {
		return s, err
	}
	wider := *s
	wider.meets = nil
	for _, scope := range s.scopes {
		wider.meets = append(wider.meets, together.meeting(scope))
	}
	return &wider, nil
}

// broader returns the part of the hierarchy that the scopes of the list are in.
func (s *scopeList) broader() Hierarchy {
	pairs := Hierarchy{}
	for i, meeting := range s.meets {
		for _, broad := range meeting {
			if broad != s.scopes[i] {
				pairs[broad] = append(pairs[broad], s.scopes[i])
			}
		}
	}
	for _, narrow := range pairs {
		slices.Sort(narrow)
	}
	return pairs
}
