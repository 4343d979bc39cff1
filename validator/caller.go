package validator

import (
	"slices"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// checkCaller judges the rules that tell who is behind a token.
func (c *Issuer) checkCaller(field string, f *faults) {
	if c.ClientOnly != (ClaimRule{}) {
		if fault := c.ClientOnly.fault(); fault != "" {
			f.addf("%s: ClientOnly%s", field, fault)
		}
	}
	if c.MultiFactor != nil && len(c.MultiFactor) == 0 {
		f.addf("%s: MultiFactor is empty; leave it nil if no value of amr counts", field)
	}
	for i, method := range c.MultiFactor {
		if method == "" || hasControl(method) {
			f.addf("%s: MultiFactor[%d] is empty or has control characters", field, i)
		}
		if slices.Contains(c.MultiFactor[:i], method) {
			f.addf("%s: MultiFactor[%d] %q is listed twice", field, i, method)
		}
	}
}

// derive sets what the configuration of the issuer makes of the claims. It is
// the last that is known of a token alone, and the same for as long as the token
// is kept.
func (is *issuer) derive(c *claims, members []strictjson.Member) *Error {
	c.user = is.isUser(c, members)
	if is.derivesNothing {
		return nil
	}
	c.multiFactor = is.isMultiFactor(c)
	if !is.acrs.has(c.acr) {
		c.acr = ""
	}
	var refused *Error
	if c.tenant, refused = is.tenantRule.judge(members); refused != nil {
		return refused
	}
	var found mapped
	for i := range is.mappings {
		if refused := found.read(&is.mappings[i], members); refused != nil {
			return refused
		}
	}
	c.scope = is.effective(c.scope, found.scopes)
	c.roles = joined(slices.DeleteFunc(found.roles, func(role string) bool { return !is.roles.has(role) }))
	return nil
}

// derivedBytes is about what derive took in memory.
func (is *issuer) derivedBytes(c *claims) int {
	if is.derivesNothing {
		return 0
	}
	return len(c.scope) + len(c.roles)
}

// isUser reports whether a user is known to be behind the token. Without
// client_id, which legacy tokens may lack, only a rule can tell.
func (is *issuer) isUser(c *claims, members []strictjson.Member) bool {
	if is.clientOnly.Name == "" {
		return c.clientID != "" && c.subject != c.clientID
	}
	return c.subject != c.clientID && !is.clientOnly.holds(members)
}

func (is *issuer) isMultiFactor(c *claims) bool {
	for element := range c.amr.Elements() {
		if method, _ := element.Text(); slices.Contains(is.multiFactor, method) {
			return true
		}
	}
	return false
}

// ClientOnly reports whether the client got the token for itself, so that no
// user is behind it and Subject must not be looked up among users (RFC 9700
// §4.15): if sub equals client_id or Issuer.ClientOnly says so. It is also true
// if that cannot be told: for a legacy token without client_id of an issuer
// without that rule, and for a worthless Token.
func (t *Token) ClientOnly() bool { return !t.read().user }

// MultiFactor reports whether amr has a value that counts as authentication by
// several factors, by Issuer.MultiFactor.
func (t *Token) MultiFactor() bool { return t.read().multiFactor }
