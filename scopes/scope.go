package scopes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-auth/sallyport/validator"
)

// All permits a token that has every one of these scopes. Scopes match whole
// and case-sensitive (RFC 6749 §3.3); there are no wildcards, and no scope
// implies another unless a [Hierarchy] says so. A refusal names all of them.
func All(required ...string) Policy { return list("All", required, required) }

// Any permits a token that has at least one of these scopes. A refusal names
// the first of them.
func Any(alternatives ...string) Policy {
	return list("Any", alternatives, alternatives[:min(1, len(alternatives))])
}

func list(constructor string, scopes, needs []string) Policy {
	if err := checkScopes(scopes); err != nil {
		return faulty(err)
	}
	made := &scopeList{constructor: constructor, scopes: slices.Clone(scopes), needs: slices.Clone(needs)}
	for _, scope := range scopes {
		made.meets = append(made.meets, []string{scope})
	}
	return compiled(&rule{clause: made, needs: made.needs})
}

// scopeList is the clause of All and Any.
type scopeList struct {
	constructor string
	scopes      []string   // as written
	needs       []string   // those that a refusal names
	meets       [][]string // for each scope, those that meet it: itself and the broader ones, sorted
	groups      [][]string // of each, a token must have one
	bits        uint64     // of the groups in the vocabulary, or 0 if it has no room for them
	refusal     *Refusal
}

// complete derives the groups and the refusal.
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

func (s *scopeList) judge(_ context.Context, q question) *Refusal {
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

// String writes the list, with the part of the hierarchy that concerns it.
func (s *scopeList) String() string {
	text := call(s.constructor, s.scopes...)
	if pairs := s.broader(); len(pairs) > 0 {
		return text + ".Under(" + pairs.String() + ")"
	}
	return text
}

var errNoScope = errors.New("scopes: a policy without scopes; say Authenticated() if any valid token will do")

func checkScopes(scopes []string) error {
	if len(scopes) == 0 {
		return errNoScope
	}
	var faults []error
	for i, scope := range scopes {
		if !isToken(scope) {
			faults = append(faults, fmt.Errorf("scopes: %q is not a scope token (RFC 6749 §3.3)", scope))
		}
		if slices.Contains(scopes[:i], scope) {
			faults = append(faults, fmt.Errorf("scopes: %q is listed twice", scope))
		}
	}
	return errors.Join(faults...)
}
