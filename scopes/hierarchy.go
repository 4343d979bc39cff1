package scopes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Hierarchy declares which scopes imply others: each broad scope, and those
// directly below it. What is below those is implied too. Nothing else is: a
// scope called "admin" means nothing that is not declared, and a narrow scope
// never implies a broad one.
type Hierarchy map[string][]string

// Err tells everything that is wrong with the hierarchy: names that are no scope
// tokens (RFC 6749 §3.3), and scopes that imply themselves.
func (h Hierarchy) Err() error {
	var faults []error
	for _, broad := range slices.Sorted(maps.Keys(h)) {
		for i, scope := range append([]string{broad}, h[broad]...) {
			if !isToken(scope) {
				faults = append(faults, fmt.Errorf("scopes: Hierarchy: %q is not a scope token (RFC 6749 §3.3)", scope))
			}
			if i > 0 && slices.Contains(h[broad][:i-1], scope) {
				faults = append(faults, fmt.Errorf("scopes: Hierarchy: %q is listed twice under %q", scope, broad))
			}
		}
	}
	search := cycleSearch{hierarchy: h, done: map[string]bool{}}
	for _, broad := range slices.Sorted(maps.Keys(h)) {
		search.visit(broad)
	}
	return errors.Join(append(faults, search.faults...)...)
}

// cycleSearch goes through a hierarchy, depth first.
type cycleSearch struct {
	hierarchy Hierarchy
	path      []string // to where it is
	done      map[string]bool
	faults    []error
}

func (s *cycleSearch) visit(scope string) {
	if start := slices.Index(s.path, scope); start >= 0 {
		cycle := append(slices.Clone(s.path[start:]), scope)
		s.faults = append(s.faults, fmt.Errorf("scopes: Hierarchy: a cycle: %s", strings.Join(cycle, " ⊃ ")))
		return
	}
	if s.done[scope] {
		return
	}
	s.path = append(s.path, scope)
	for _, below := range s.hierarchy[scope] {
		s.visit(below)
	}
	s.path = s.path[:len(s.path)-1]
	s.done[scope] = true
}

// String writes the hierarchy as Go code would make it, sorted.
func (h Hierarchy) String() string {
	rows := make([]string, 0, len(h))
	for _, broad := range slices.Sorted(maps.Keys(h)) {
		rows = append(rows, strconv.Quote(broad)+": {"+quoted(h[broad])+"}")
	}
	return "Hierarchy{" + strings.Join(rows, ", ") + "}"
}

// Under is the policy under a hierarchy: each scope that it requires is then met
// by itself and by every broader one. A refusal names the scopes as they are
// written. Under what it was under before, it stays; what does not concern its
// scopes is forgotten. A hierarchy with a fault makes the policy faulty.
//
// Nothing is less safe without it: a policy that is not told of a hierarchy
// refuses more.
func (p Policy) Under(h Hierarchy) Policy {
	if err := errors.Join(p.Err(), h.Err()); err != nil {
		return faulty(err)
	}
	var faults []error
	r := *p.rule
	r.clause = replaced(r.clause, func(list *scopeList) *scopeList {
		wider, err := list.under(h)
		faults = append(faults, err)
		return wider
	})
	if err := errors.Join(faults...); err != nil {
		return faulty(err)
	}
	return compiled(&r)
}

// under is the list under h and what it was under before.
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

// broader are the broader scopes that meet those of the list: the hierarchy, as
// far as it concerns the list.
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

// meeting are the scopes that meet scope: itself and all that imply it, sorted.
func (h Hierarchy) meeting(scope string) []string {
	all := []string{scope}
	for i := 0; i < len(all); i++ {
		for broad, narrow := range h {
			if slices.Contains(narrow, all[i]) && !slices.Contains(all, broad) {
				all = append(all, broad)
			}
		}
	}
	slices.Sort(all)
	return all
}
