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
	switch v.Kind() {
	case strictjson.Absent:
		return nil
	case strictjson.String:
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
	case strictjson.Array:
		for element := range v.Elements() {
			value, ok := element.Text()
			if !ok {
				return m.refuseType(v)
			}
			if refused := into.add(m, value); refused != nil {
				return refused
			}
		}
		return nil
	default:
		return m.refuseType(v)
	}
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

// refuseType returns the refusal of a token whose claim, or what leads to it, is v.
func (m *Mapping) refuseType(v strictjson.Value) *Error {
	path := strings.Join(m.Claim, ".")
	return errMappedType.because(func() cause.Details {
		d := cause.Details{Found: describedType(path, v), Wanted: "a string or an array of strings"}
		if v.Kind() == strictjson.Array {
			d.Found = path + ", an array with something else than strings"
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
	for _, name := range m.Claim[1:] {
		if v.Kind() == strictjson.Absent {
			return v, nil
		}
		inner, err := strictjson.ParseObject(v.Raw(), strictjson.Checked, nil)
		if err != nil {
			return v, m.refuseType(v)
		}
		v = jwtclaims.Lookup(inner, name)
	}
	return v, nil
}

// joinRoles returns roles, each once, with roleSeparator between them.
func joinRoles(roles []string) string { return strings.Join(unique(roles), string(roleSeparator)) }
