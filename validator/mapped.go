package validator

import (
	"fmt"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var (
	errMappedType  = refusal(BadClaims, "a mapped claim is neither a string nor an array of strings, or what leads to it is no object")
	errMappedNames = refusal(BadClaims, "a mapped claim is neither an object nor an array of objects, or has a member that is no object")
	errMappedValue = refusal(BadClaims, "a value of a mapped claim is no scope token (RFC 6749 §3.3), or no role")
)

// mappedNames collects the scopes and roles that Mappings make of the claims of a token.
type mappedNames struct {
	scopes, roles []string
}

// read adds the scopes or roles that m makes of its claim.
func (into *mappedNames) read(m *Mapping, members []strictjson.Member) *Error {
	v, refused := m.find(members)
	if refused != nil {
		return refused
	}
	switch {
	case v.Kind() == strictjson.Absent:
		return nil
	case m.MemberNames:
		return into.readNames(m, v)
	case v.Kind() == strictjson.String:
		text, _ := v.Text()
		if text == "" { // an empty list
			return nil
		}
		for value := range strings.SplitSeq(text, " ") {
			if refused := into.add(m, value); refused != nil {
				return refused
			}
		}
		return nil
	case v.Kind() == strictjson.Array:
		for element := range v.Elements() {
			value, ok := element.Text()
			if !ok {
				return m.refuseType(m.Claim, v)
			}
			if refused := into.add(m, value); refused != nil {
				return refused
			}
		}
		return nil
	default:
		return m.refuseType(m.Claim, v)
	}
}

// readNames adds the scopes or roles that the names of the members of v count as, which is
// an object or an array of objects.
func (into *mappedNames) readNames(m *Mapping, v strictjson.Value) *Error {
	if v.Kind() != strictjson.Array {
		return into.readMemberNames(m, v)
	}
	for element := range v.Elements() {
		if refused := into.readMemberNames(m, element); refused != nil {
			return refused
		}
	}
	return nil
}

// readMemberNames is readNames for an object.
func (into *mappedNames) readMemberNames(m *Mapping, v strictjson.Value) *Error {
	members, err := jwtclaims.Object(v, nil)
	if err != nil {
		return m.refuseNames(v)
	}
	for _, member := range members {
		inner, err := jwtclaims.Object(member.Value, nil)
		if err != nil {
			return m.refuseNames(v)
		}
		if len(inner) == 0 {
			continue
		}
		if refused := into.add(m, member.Name); refused != nil {
			return refused
		}
	}
	return nil
}

// refuseNames returns the refusal of a token whose claim has no such members.
func (m *Mapping) refuseNames(v strictjson.Value) *Error {
	path := strings.Join(m.Claim, ".")
	return errMappedNames.because(func() cause.Details {
		d := cause.Details{
			Found: describedType(path, v), Wanted: "an object, or an array of objects, whose members are objects",
			Mend: "if the values are strings in the claim, leave Mapping.MemberNames out",
		}
		if v.Kind() == strictjson.Object {
			d.Found, d.Mend = path+", an object with a member that is no object", "let the issuer write an object for each value"
		}
		return d
	})
}

// add adds the scopes or roles that a value of the claim counts as.
func (into *mappedNames) add(m *Mapping, value string) *Error {
	meanings := m.Values[value]
	if m.Values == nil {
		if !m.To.admits(value) {
			return m.refuseValue(value)
		}
		meanings = []string{value}
	}
	if m.To == ToScope {
		into.scopes = append(into.scopes, meanings...)
	} else {
		into.roles = append(into.roles, meanings...)
	}
	return nil
}

// refuseType returns the refusal of a token whose claim, or what leads to it, is v. names
// lead to v.
func (m *Mapping) refuseType(names []string, v strictjson.Value) *Error {
	path, isInner := strings.Join(names, "."), len(names) < len(m.Claim)
	return errMappedType.because(func() cause.Details {
		d := cause.Details{Found: describedType(path, v), Wanted: "a string or an array of strings", Mend: "name another claim in Mapping.Claim, or let the issuer write this one so"}
		switch {
		case isInner:
			d.Wanted = "an object"
		case v.Kind() == strictjson.Array:
			d.Found = path + ", an array with something else than strings"
			d.Mend = "let the issuer write strings only; if the names of members are the values, set Mapping.MemberNames"
		case v.Kind() == strictjson.Object:
			d.Mend = "name the member that has the values in Mapping.Claim, or set Mapping.MemberNames if the names of its members are the values"
		}
		return d
	})
}

// refuseValue returns the refusal of a token with that value in the claim. Scopes are
// shown, roles are not.
func (m *Mapping) refuseValue(value string) *Error {
	path, to := strings.Join(m.Claim, "."), m.To
	return errMappedValue.because(func() cause.Details {
		d := cause.Details{Found: fmt.Sprintf("%s with a value of %d bytes", path, len(value)), Wanted: to.kind(), Mend: "list the values that count in Mapping.Values"}
		if to == ToScope {
			d.Found = path + " with " + cause.Quote(value)
		}
		return d
	})
}

// find returns the claim of m, or an absent value.
func (m *Mapping) find(members []strictjson.Member) (strictjson.Value, *Error) {
	v := jwtclaims.Lookup(members, m.Claim[0])
	for i, name := range m.Claim[1:] {
		if v.Kind() == strictjson.Absent {
			return v, nil
		}
		inner, err := strictjson.ParseObject(v.Raw(), strictjson.Checked, nil)
		if err != nil {
			return v, m.refuseType(m.Claim[:i+1], v)
		}
		v = jwtclaims.Lookup(inner, name)
	}
	return v, nil
}

// joinRoles returns roles, each once, with roleSeparator between them.
func joinRoles(roles []string) string { return strings.Join(unique(roles), string(roleSeparator)) }
