package validator

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Attribute is what the values of a mapped claim count as.
type Attribute uint8

// The attributes. The zero Attribute is refused.
const (
	ToScope Attribute = iota + 1 // as scopes; see [Token.Scopes]
	ToRole                       // as roles; see [Token.Roles]
)

// Mapping makes scopes or roles of a claim of one issuer. Without it, claims
// such as scp, roles, groups, permissions and entitlements grant nothing, since
// each issuer means something else by them (RFC 9068 §2.2.3.1).
//
// The claim is a string, a list separated by single spaces, or an array of
// strings; a token in which it has another JSON type is refused ([BadClaims]),
// and one without it has none. Values match byte for byte.
type Mapping struct {
	// Claim is the path of member names to the claim: {"scp"}, or
	// {"realm_access", "roles"} for roles inside realm_access. What a name
	// before the last one leads to must be an object, if it is there.
	Claim []string
	// To is what the values count as. Required.
	To Attribute
	// Values are the scopes or roles that each value of the claim counts as;
	// other values count as nothing. nil: each value counts as itself, and
	// one that is no scope token (RFC 6749 §3.3), or no role, refuses the
	// token; with several Issuers, or with Tenants, a Mapping to roles then
	// needs Issuer.Roles. An empty map is refused.
	Values map[string][]string
}

// EntraMappings are for access tokens of Microsoft Entra ID: scp, a string, has
// the delegated permissions that the user or an administrator consented to and
// is there only if a client acts for a user; roles, an array, has the app roles
// assigned to the user, or the application permissions of the client itself.
// groups is not mapped: it has object ids and is replaced by a reference once a
// user is in too many.
//
// Set Issuer.ClientClaim to azp, or to appid for tokens of version 1, and
// Issuer.ClientOnly to idtyp equal to app, once that optional claim is switched on.
// Without idtyp a token with azpacr or appidacr and without scp counts as the
// client's own.
func EntraMappings() []Mapping {
	return []Mapping{{Claim: []string{"scp"}, To: ToScope}, {Claim: []string{"roles"}, To: ToRole}}
}

// OktaMappings are for access tokens of Okta's custom authorization servers:
// scp, an array, has the scopes; groups, an array, is there if a claim of that
// name was added to the authorization server, as far as its filter lets groups
// through.
//
// Set Issuer.ClientClaim to cid. A token that a client got for itself has the
// client's id as sub.
func OktaMappings() []Mapping {
	return []Mapping{{Claim: []string{"scp"}, To: ToScope}, {Claim: []string{"groups"}, To: ToRole}}
}

// Auth0Mappings are for APIs of Auth0 with RBAC and "Add Permissions in the
// Access Token" switched on: permissions, an array, has what the roles of the
// user permit, or what the client was granted. scope then has what the client
// asked for and the user may do; permissions may have more.
//
// For APIs with the token profile of Auth0, set Issuer.ClientClaim to azp, and
// Issuer.ClientOnly to gty equal to client-credentials. In both profiles, a sub of
// the client's id and @clients is that of a client. A client that is linked to an
// agent has neither; only the sub_profile of the token tells.
func Auth0Mappings() []Mapping {
	return []Mapping{{Claim: []string{"permissions"}, To: ToScope}}
}

// KeycloakMappings are for access tokens of Keycloak: roles of the realm, in
// realm_access, and roles of the client that this API is registered as, in
// resource_access; scope is a string as it should be. A role of the realm and
// one of the client with the same name count as one role: take only the second
// Mapping if realm roles are not meant for this API.
//
// Set Issuer.ClientClaim to azp. The sub of a service account is that of an account,
// like a user's: what tells them apart is client_id, which Keycloak adds for service
// accounts alone unless a mapper does. Name it in Issuer.ClientOnly. A token whose
// preferred_username is service-account- and the client's id has no known user.
func KeycloakMappings(clientID string) []Mapping {
	return []Mapping{
		{Claim: []string{"realm_access", "roles"}, To: ToRole},
		{Claim: []string{"resource_access", clientID, "roles"}, To: ToRole},
	}
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

func cloneMappings(mappings []Mapping) []Mapping {
	clones := slices.Clone(mappings)
	for i := range clones {
		clones[i] = clones[i].clone()
	}
	return clones
}

func checkMappings(mappings []Mapping, field string, f *faults) {
	for i := range mappings {
		mappings[i].check(field+": Mappings["+strconv.Itoa(i)+"]", f)
	}
}

func (m *Mapping) check(field string, f *faults) {
	if len(m.Claim) == 0 || slices.Contains(m.Claim, "") {
		f.addf("%s: Claim is empty or has an empty name; give the names that lead to the claim", field)
	}
	if m.To != ToScope && m.To != ToRole {
		f.addf("%s: To is neither ToScope nor ToRole", field)
		return
	}
	if m.Values != nil && len(m.Values) == 0 {
		f.addf("%s: Values is empty, which maps nothing; leave it nil for the values as they are", field)
	}
	for _, value := range slices.Sorted(maps.Keys(m.Values)) {
		if value == "" || len(m.Values[value]) == 0 {
			f.addf("%s: Values[%q] maps no value or to nothing", field, value)
		}
		for _, meaning := range m.Values[value] {
			if !m.To.admits(meaning) {
				f.addf("%s: Values[%q]: %q is no scope token (RFC 6749 §3.3) or no role (not empty, without control characters)", field, value, meaning)
			}
		}
	}
}

// admits reports whether text can be a scope, or a role.
func (a Attribute) admits(text string) bool {
	if a == ToScope {
		return isScopeToken(text)
	}
	return isIdentifier(text)
}

var (
	errMappedType  = refusal(BadClaims, "a mapped claim is neither a string nor an array of strings, or what leads to it is no object")
	errMappedValue = refusal(BadClaims, "a value of a mapped claim is no scope token (RFC 6749 §3.3), or no role")
)

// mapped collects what mappings make of the claims of a token.
type mapped struct {
	scopes, roles []string
}

// read adds what the claim counts as.
func (into *mapped) read(m *Mapping, members []strictjson.Member) *Error {
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
				return errMappedType
			}
			if refused := into.add(m, value); refused != nil {
				return refused
			}
		}
		return nil
	default:
		return errMappedType
	}
}

// find follows the path to the claim.
func (m *Mapping) find(members []strictjson.Member) (strictjson.Value, *Error) {
	v := lookup(members, m.Claim[0])
	for _, name := range m.Claim[1:] {
		if v.Kind() == strictjson.Absent {
			return v, nil
		}
		inner, err := strictjson.ParseObject(v.Raw(), strictjson.TokenLimits, nil)
		if err != nil {
			return v, errMappedType
		}
		v = lookup(inner, name)
	}
	return v, nil
}

func (into *mapped) add(m *Mapping, value string) *Error {
	meanings := m.Values[value]
	if m.Values == nil {
		if !m.To.admits(value) {
			return errMappedValue
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

// roleSeparator stands between roles, which have no control characters.
const roleSeparator = '\n'

func joined(roles []string) string { return strings.Join(unique(roles), string(roleSeparator)) }

// Roles are the roles that Issuer.Mappings makes of the token's claims, each
// once, without those that Issuer.Roles does not name. Without a Mapping there
// are none, whatever the token has.
func (t *Token) Roles() []string {
	roles := t.read().roles
	if roles == "" {
		return nil
	}
	return strings.Split(roles, string(roleSeparator))
}

// HasRole reports whether role is one of [Token.Roles], whole and
// case-sensitive. It allocates nothing.
func (t *Token) HasRole(role string) bool { return contains(t.read().roles, roleSeparator, role) }
