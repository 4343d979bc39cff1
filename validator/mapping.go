package validator

import (
	"maps"
	"slices"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
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
// The claim is a string, a list separated by single spaces, or an array of strings, unless
// MemberNames is set. A token that has the claim with another JSON type is refused with
// [BadClaims]. A token without the claim gets nothing from the Mapping. Values are
// compared byte for byte.
//
// A Mapping that changes nothing is a fault: one of scope to scopes as they are, one that
// another Mapping makes superfluous, and one whose scopes or roles Issuer.Grants or
// Issuer.Roles leave out. So is one that can never match, because its path leads to a
// claim that has another JSON type in every token, or through one that is no object.
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
	// MemberNames says that the claim is an object, or an array of objects, and that the
	// names of its members are the values, as in {"admin":{"2301":"acme.example"}} of
	// Zitadel. The value of each member must be an object. A member with an empty object
	// counts as nothing. What else is in the object does not matter: at Zitadel it names
	// the organizations for which the role was granted.
	MemberNames bool
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
