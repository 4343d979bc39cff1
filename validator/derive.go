package validator

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// derive sets what the configuration of the issuer makes of the claims: the
// client, the tenant, scopes and roles. That does not change while the facts about the
// token are in the cache.
func (is *checkedIssuer) derive(c *tokenClaims, members []strictjson.Member) *Error {
	if refused := is.setCaller(c, members); refused != nil {
		return refused
	}
	if c.subject == "" { // nothing but the client is known: no user has the name of a client
		c.caller = callerUnknown
		if c.clientID != "" && (is.User.isZero() || !is.User.holds(members)) {
			c.caller = callerClient
		}
	}
	if is.derivesNothing {
		return nil
	}
	c.multiFactor = is.isMultiFactor(c)
	if !is.acrs.has(c.acr) {
		c.acr = ""
	}
	var refused *Error
	if c.tenant, refused = is.Tenant.tenantOf(members); refused != nil {
		return refused
	}
	var found mappedNames
	for i := range is.Mappings {
		if refused := found.read(&is.Mappings[i], members); refused != nil {
			return refused
		}
	}
	c.scope = is.grantedScopes(c.scope, found.scopes)
	c.roles = joinRoles(slices.DeleteFunc(found.roles, func(role string) bool { return !is.roles.has(role) }))
	return nil
}

// derivedBytes returns about how many bytes derive added.
func (is *checkedIssuer) derivedBytes(c *tokenClaims) int {
	if is.derivesNothing {
		return 0
	}
	return len(c.scope) + len(c.roles)
}

// isMultiFactor reports whether amr has one of Issuer.MultiFactor.
func (is *checkedIssuer) isMultiFactor(c *tokenClaims) bool {
	for element := range c.amr.Elements() {
		if method, _ := element.Text(); slices.Contains(is.MultiFactor, method) {
			return true
		}
	}
	return false
}

// grantedScopes returns the scopes of scope and the mapped ones, without those that
// the issuer may not grant. They are separated by spaces, as in scope.
func (is *checkedIssuer) grantedScopes(scope string, mapped []string) string {
	if len(mapped) == 0 && is.grantsAll(scope) {
		return scope
	}
	var all []string
	for _, s := range slices.Concat(strings.Fields(scope), mapped) {
		if is.grants.has(s) {
			all = append(all, s)
		}
	}
	return strings.Join(unique(all), " ")
}

// grantsAll reports whether the issuer may grant every scope of scope.
func (is *checkedIssuer) grantsAll(scope string) bool {
	for s := range strings.FieldsSeq(scope) {
		if !is.grants.has(s) {
			return false
		}
	}
	return true
}
