package validator

import (
	"slices"
	"strings"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/fault"
)

// Names that stand for all names of a list.
const (
	// AllScopes as the only member of Issuer.Grants says that the issuer may grant
	// every scope. No scope can have this name, because it has a space.
	AllScopes string = "all scopes"
	// AllRoles as the only member of Issuer.Roles says that the issuer may give
	// every role. No role can have this name, because it has a control character.
	AllRoles string = "all roles\n"
)

// nameSet is the set of names that an issuer may use, or nil for all names.
type nameSet map[string]struct{}

// has reports whether name is in the set.
func (b nameSet) has(name string) bool {
	_, found := b[name]
	return found || b == nil
}

// nameList is a list of names in the configuration of an issuer.
type nameList struct {
	names []string
	all   string            // the name that stands for all; "" if there is none
	kind  string            // says in faults what the names are
	valid func(string) bool // reports whether a name can be one
}

func grantList(names []string) *nameList {
	return &nameList{names, AllScopes, ToScope.kind(), jwtclaims.IsScopeToken}
}

func roleList(names []string) *nameList {
	return &nameList{names, AllRoles, ToRole.kind(), ToRole.admits}
}

func acrList(names []string) *nameList {
	return &nameList{names: names, kind: "an acr value (not empty, without control characters)", valid: isIdentifier}
}

// check adds the faults of the list.
func (l *nameList) check(f fault.List) {
	if l.isAll() {
		return
	}
	for i, name := range l.names {
		at := f.Atf("[%d]", i)
		switch {
		case l.all != "" && name == l.all:
			at.Addf("give it alone or not at all", "%q is listed beside others", strings.TrimSpace(name))
		case !l.valid(name):
			at.Addf("correct or remove it", "%q is not %s", name, l.kind)
		case slices.Contains(l.names[:i], name):
			at.Addf("remove it", "%q is listed twice", name)
		}
	}
}

// isAll reports whether the list stands for all names.
func (l *nameList) isAll() bool {
	return l.names == nil || l.all != "" && len(l.names) == 1 && l.names[0] == l.all
}

// set returns the set of the names, or nil for all.
func (l *nameList) set() nameSet {
	if l.isAll() {
		return nil
	}
	set := make(nameSet, len(l.names))
	for _, name := range l.names {
		set[name] = struct{}{}
	}
	return set
}

// checkNames adds a fault for each name that is empty, has control characters or is
// listed twice.
func checkNames(names []string, f fault.List) {
	for i, name := range names {
		at := f.Atf("[%d]", i)
		if !isIdentifier(name) {
			at.Addf("correct or remove it", "%q is empty or has control characters", name)
		}
		if slices.Contains(names[:i], name) {
			at.Addf("remove it", "%q is listed twice", name)
		}
	}
}
