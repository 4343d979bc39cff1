package scopes

import "slices"

// All permits a token that has every one of these scopes. Scopes match whole
// and case-sensitive (RFC 6749 §3.3). There are no wildcards, and no scope
// implies another unless a [Hierarchy] says so. A refusal names all of the scopes.
func All(required ...string) Policy { return newList("All", required, required) }

// Any permits a token that has at least one of these scopes. A refusal names
// the first of them.
func Any(alternatives ...string) Policy {
	return newList("Any", alternatives, alternatives[:min(1, len(alternatives))])
}

func newList(constructor string, scopes, needs []string) Policy {
	if err := checkScopes(constructor, scopes); err != nil {
		return faulty(err)
	}
	made := &scopeList{constructor: constructor, scopes: slices.Clone(scopes), needs: slices.Clone(needs)}
	for _, scope := range scopes {
		made.meets = append(made.meets, []string{scope})
	}
	return compiled(&rule{clause: made, needs: made.needs})
}

func checkScopes(constructor string, scopes []string) error {
	faults := faultsOf(constructor)
	if len(scopes) == 0 {
		faults.Add("has no scopes", "list at least one, or use Authenticated() to permit every valid token")
	}
	for i, scope := range scopes {
		addNonScope(faults.Atf("[%d]", i), scope)
		addRepetition(faults, i, scopes)
	}
	return faults.Err()
}
