package scopes

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// Hierarchy declares which scopes imply others. It maps each broad scope to the
// scopes directly below it; what is below those is implied too. Nothing else is
// implied: a scope called "admin" means nothing that is not declared, and a narrow
// scope never implies a broad one.
type Hierarchy map[string][]string

// Err returns everything that is wrong with the hierarchy: names that are not
// scope tokens (RFC 6749 §3.3), scopes that are listed twice, and scopes that
// imply themselves. The Path of a fault is that of an element, such as
// `["orders:admin"][0]`.
func (h Hierarchy) Err() error {
	faults := fault.In("scopes")
	for _, broad := range slices.Sorted(maps.Keys(h)) {
		at := faults.Atf("[%q]", broad)
		addNonScope(at, broad)
		for i, scope := range h[broad] {
			addNonScope(at.Atf("[%d]", i), scope)
			addRepetition(at, i, h[broad])
		}
	}
	search := cycleSearch{hierarchy: h, done: map[string]bool{}, faults: faults}
	for _, broad := range slices.Sorted(maps.Keys(h)) {
		search.visit(broad)
	}
	return faults.Err()
}

// cycleSearch visits the scopes of a hierarchy, depth first.
type cycleSearch struct {
	hierarchy Hierarchy
	path      []string // from the first scope to the one that is visited
	done      map[string]bool
	faults    fault.List
}

func (s *cycleSearch) visit(scope string) {
	if start := slices.Index(s.path, scope); start >= 0 {
		cycle := append(slices.Clone(s.path[start:]), scope)
		s.faults.Atf("[%q]", scope).Addf("remove one of these scopes", "is in a cycle: %s", strings.Join(cycle, " ⊃ "))
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

// String returns the hierarchy as Go code, sorted.
func (h Hierarchy) String() string {
	rows := make([]string, 0, len(h))
	for _, broad := range slices.Sorted(maps.Keys(h)) {
		rows = append(rows, strconv.Quote(broad)+": {"+quoted(h[broad])+"}")
	}
	return "Hierarchy{" + strings.Join(rows, ", ") + "}"
}

// meeting returns the scopes that meet scope: itself and all that imply it, sorted.
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
