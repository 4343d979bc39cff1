package validator

import (
	"maps"
	"slices"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/fault"
)

// Attribute is what the values of a mapped claim count as.
type Attribute uint8

// The attributes. The zero Attribute is refused.
const (
	ToScope Attribute = iota + 1 // as scopes; see [Token.Scopes]
	ToRole                       // as roles; see [Token.Roles]
)

// Mapping makes scopes or roles of a claim of one issuer. Claims such as scp, roles,
// groups, permissions and entitlements grant nothing without a Mapping, because each
// issuer means something else by them (RFC 9068 §2.2.3.1).
//
// The claim is a string, a list separated by single spaces, or an array of strings. A
// token that has the claim with another JSON type is refused with [BadClaims]. A token
// without the claim gets nothing from the Mapping. Values are compared byte for byte.
type Mapping struct {
	// Claim is the path of member names to the claim: {"scp"}, or
	// {"realm_access", "roles"} for roles inside realm_access. A token is refused if a
	// name before the last one leads to something else than an object.
	Claim []string
	// To says whether the values count as scopes or as roles. Required.
	To Attribute
	// Values has the scopes or roles for each value of the claim. A value that is not
	// listed counts as nothing.
	//
	// If Values is nil, each value counts as itself. A token with a value that is not a
	// scope token (RFC 6749 §3.3), or not a role, is then refused. Beside other Issuers
	// and with ResolveIssuer, a Mapping to roles without Values needs Issuer.Roles. An
	// empty map is refused.
	Values map[string][]string
}

func (m *Mapping) clone() Mapping {
	clone := *m
	clone.Claim = slices.Clone(m.Claim)
	clone.Values = maps.Clone(m.Values)
	for value, meanings := range clone.Values {
		clone.Values[value] = slices.Clone(meanings)
	}
	return clone
}

// check adds the faults of m.
func (m *Mapping) check(f fault.List) {
	if len(m.Claim) == 0 || slices.Contains(m.Claim, "") {
		f.At("Claim").Add("is empty or has an empty name", "give the names that lead to the claim")
	}
	if m.To != ToScope && m.To != ToRole {
		f.At("To").Addf("take ToScope or ToRole", "%d is neither ToScope nor ToRole", m.To)
		return
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
}

// kind returns what the values count as, for the operator.
func (a Attribute) kind() string {
	if a == ToScope {
		return "a scope token (RFC 6749 §3.3)"
	}
	return "a role (not empty, without control characters)"
}

// admits reports whether text can be a scope, or a role.
func (a Attribute) admits(text string) bool {
	if a == ToScope {
		return jwtclaims.IsScopeToken(text)
	}
	return isIdentifier(text)
}
