package validator

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// checkMappings adds the faults of Issuer.Mappings.
func (c *Issuer) checkMappings(f fault.List) {
	for i := range c.Mappings {
		m, at := &c.Mappings[i], f.Atf("[%d]", i)
		if !m.check(at) {
			continue
		}
		m.checkPath(at.At("Claim"))
		c.checkEffect(i, at)
	}
}

// check adds the faults of m. It returns false if m has no meaning.
func (m *Mapping) check(f fault.List) bool {
	named := len(m.Claim) > 0 && !slices.Contains(m.Claim, "")
	if !named {
		f.At("Claim").Add("is empty or has an empty name", "give the names that lead to the claim")
	}
	if m.To != ToScope && m.To != ToRole {
		f.At("To").Addf("take ToScope or ToRole", "%d is neither ToScope nor ToRole", m.To)
		return false
	}
	values := f.At("Values")
	if m.Values != nil && len(m.Values) == 0 {
		values.Add("is empty, which maps nothing", "leave it nil for the values as they are")
	}
	for _, value := range slices.Sorted(maps.Keys(m.Values)) {
		at := values.Atf("[%q]", value)
		if value == "" || len(m.Values[value]) == 0 {
			at.Add("maps an empty value, or maps to nothing", "remove it")
		}
		for i, meaning := range m.Values[value] {
			if !m.To.admits(meaning) {
				at.Atf("[%d]", i).Addf("correct or remove it", "%q is not %s", meaning, m.To.kind())
			}
		}
	}
	return named
}

// pathTypes are the types of claims inside other claims; see [jsonTypesOf]. A name that is
// * stands for any. The paths have dots in place of the borders of names.
var pathTypes = map[string]jsonTypes{
	"act.act": anObject, "realm_access.roles": anArray, "resource_access.*": anObject, "resource_access.*.roles": anArray,
	"kubernetes.io.namespace": aString, "kubernetes.io.serviceaccount": anObject, "kubernetes.io.pod": anObject,
	"kubernetes.io.node": anObject, "kubernetes.io.secret": anObject, "kubernetes.io.warnafter": aNumber,
}

// unmappable are claims that are a number or a boolean by their specification. Some
// servers write them as strings, in which there are no scopes or roles either.
var unmappable = map[string]jsonTypes{
	"auth_time": aNumber, "updated_at": aNumber, "email_verified": aBoolean, "phone_number_verified": aBoolean, "is_anonymous": aBoolean,
}

// typesAt returns the types that the claim at path can have, or 0 if it can have any.
func typesAt(path []string) jsonTypes {
	if len(path) == 1 {
		if types, listed := unmappable[path[0]]; listed {
			return types
		}
		return jsonTypesOf[path[0]]
	}
	if types, listed := pathTypes[strings.Join(path, ".")]; listed {
		return types
	}
	general := slices.Clone(path)
	general[1] = "*"
	return pathTypes[strings.Join(general, ".")]
}

// checkPath adds the fault of a path that leads to no values in any token.
func (m *Mapping) checkPath(f fault.List) {
	for i := 1; i < len(m.Claim); i++ {
		if types := typesAt(m.Claim[:i]); types != 0 && types&anObject == 0 {
			f.Addf("name the claim that has the values", "goes through %q, which is %s in every token and has no members", strings.Join(m.Claim[:i], "."), types)
			return
		}
	}
	types, path := typesAt(m.Claim), strings.Join(m.Claim, ".")
	switch {
	case strings.HasPrefix(m.Claim[0], "realm_access.") || strings.HasPrefix(m.Claim[0], "resource_access."):
		f.Addf("give the names one by one", "has the name %q, which is a path", m.Claim[0])
	case types == 0:
	case m.MemberNames && types&(anObject|someObjects) == 0:
		f.Addf("name the claim that is an object, or leave MemberNames out", "leads to %q, which is %s in every token and has no members", path, types)
	case !m.MemberNames && types&(aString|anArray) == 0:
		f.Addf(mendPath(types), "leads to %q, which is %s in every token, and not a string or an array of strings", path, types)
	}
}

// mendPath returns the mend for a path that leads to a claim of one of the types.
func mendPath(types jsonTypes) string {
	if types&anObject != 0 {
		return "name the member of it that has the values, such as roles, or set MemberNames if the names of its members are the values"
	}
	return "name the claim that has the values"
}

// checkEffect adds the fault of the i-th Mapping if it changes nothing.
func (c *Issuer) checkEffect(i int, f fault.List) {
	m := &c.Mappings[i]
	if m.To == ToScope && slices.Equal(m.Claim, []string{claimScope}) && m.isIdentity() {
		f.Add("makes scopes of scope as they are, which changes nothing", "remove it; scope counts without a Mapping")
		return
	}
	for j := range c.Mappings {
		other := &c.Mappings[j]
		if other.includes(m) && (j < i || !m.includes(other)) { // never true of m itself
			f.Addf("remove one of the two", "makes nothing that Mappings[%d] does not make", j)
			return
		}
	}
	bound, field := grantList(c.Grants).set(), "Grants"
	if m.To == ToRole {
		bound, field = roleList(c.Roles).set(), "Roles"
	}
	if len(bound) > 0 && m.isOutside(bound) { // an empty list takes everything from a preset on purpose
		f.Addf(fmt.Sprintf("list in %s what it may make, or remove it", field), "makes nothing that %s lists, so that it changes nothing", field)
	}
}

// isIdentity reports whether each value counts as itself, or as nothing.
func (m *Mapping) isIdentity() bool {
	for value, meanings := range m.Values {
		if len(meanings) != 1 || meanings[0] != value {
			return false
		}
	}
	return true
}

// includes reports whether m makes all that other makes.
func (m *Mapping) includes(other *Mapping) bool {
	if !slices.Equal(m.Claim, other.Claim) || m.To != other.To || m.MemberNames != other.MemberNames {
		return false
	}
	if m.Values == nil || other.Values == nil { // a Mapping without Values also refuses tokens
		return m.Values == nil && other.isIdentity()
	}
	for value, meanings := range other.Values {
		for _, meaning := range meanings {
			if !slices.Contains(m.Values[value], meaning) {
				return false
			}
		}
	}
	return true
}

// isOutside reports whether nothing that m can make is in bound, which is not empty.
func (m *Mapping) isOutside(bound nameSet) bool {
	if m.Values == nil {
		return false
	}
	for _, meanings := range m.Values {
		if slices.ContainsFunc(meanings, bound.has) {
			return false
		}
	}
	return true
}
