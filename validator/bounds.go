package validator

import "slices"

// AllRoles as the only member of Issuer.Roles says that the issuer may give
// every role. No role can be called so: it has no control characters.
const AllRoles = "all roles\n"

// bound is the set of names that an issuer may use, or nil for all names.
type bound map[string]struct{}

func (b bound) has(name string) bool {
	_, found := b[name]
	return found || b == nil
}

// bounding is a list of names in the configuration of an issuer.
type bounding struct {
	names    []string
	field    string            // of the configuration
	all      string            // the name that stands for all; "" if there is none
	constant string            // what it is called
	kind     string            // of the names, for the operator
	valid    func(string) bool // reports whether a name can be one
}

// checked returns the set of the names, or nil for all.
func (l *bounding) checked(f *faults) bound {
	if l.names == nil || l.all != "" && len(l.names) == 1 && l.names[0] == l.all {
		return nil
	}
	set := make(bound, len(l.names))
	for i, name := range l.names {
		switch {
		case l.all != "" && name == l.all:
			f.addf("%s[%d] is %s beside others; give it alone or not at all", l.field, i, l.constant)
		case !l.valid(name):
			f.addf("%s[%d] %q is not %s", l.field, i, name, l.kind)
		case slices.Contains(l.names[:i], name):
			f.addf("%s[%d] %q is listed twice", l.field, i, name)
		}
		set[name] = struct{}{}
	}
	return set
}

// needBounds reports the bounds that an issuer beside others lacks: Grants, and
// Roles if a Mapping makes a role of every value.
func (c *Issuer) needBounds(field string, f *faults) {
	if c.Grants == nil {
		f.addf("%s: Grants is nil, and there are other issuers or Tenants; list the scopes that this issuer may grant, or AllScopes", field)
	}
	for i := range c.Mappings {
		if m := &c.Mappings[i]; m.To == ToRole && m.Values == nil && c.Roles == nil {
			f.addf("%s: Mappings[%d] makes a role of every value, and there are other issuers or Tenants; "+
				"list the roles that this issuer may give in Roles, or AllRoles, or give the mapping Values", field, i)
		}
	}
}

func (c *Issuer) checkedGrants(field string, f *faults) bound {
	l := bounding{c.Grants, field + ": Grants", AllScopes, "AllScopes", "a scope token (RFC 6749 §3.3)", isScopeToken}
	return l.checked(f)
}

func (c *Issuer) checkedRoles(field string, f *faults) bound {
	l := bounding{c.Roles, field + ": Roles", AllRoles, "AllRoles", "a role (not empty, without control characters)", ToRole.admits}
	return l.checked(f)
}

// checkedACRs returns the acr values that count. Beside other issuers none does
// unless it is listed.
func (c *Issuer) checkedACRs(field string, sole bool, f *faults) bound {
	l := bounding{c.ACRs, field + ": ACRs", "", "", "an acr value (not empty, without control characters)", isIdentifier}
	if l.names == nil && !sole {
		l.names = []string{}
	}
	return l.checked(f)
}

// isIdentifier reports whether text can be what readText reads.
func isIdentifier(text string) bool { return text != "" && !hasControl(text) }
