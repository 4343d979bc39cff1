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
	c.checkClientClaim(field, f)
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
	if refused := is.tellCaller(c, members); refused != nil {
		return refused
	}
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

func (is *issuer) isMultiFactor(c *claims) bool {
	for element := range c.amr.Elements() {
		if method, _ := element.Text(); slices.Contains(is.multiFactor, method) {
			return true
		}
	}
	return false
}

// ClientOnly reports whether the client is known to have got the token for
// itself, so that no user is behind it and Subject must not be looked up among
// users (RFC 9700 §4.15): if the subject is the client itself, or Issuer.ClientOnly
// says so. It is also true for a worthless Token.
//
// A token that is not ClientOnly need not have a user: ask [Token.HasUser].
func (t *Token) ClientOnly() bool { return t.read().caller == callerClient }

// HasUser reports whether a user is known to be behind the token. It is not the
// opposite of [Token.ClientOnly]: both are false if who is behind the token cannot
// be told, because it does not name its client, or names it in a claim whose
// issuer may give a subject of its own to tokens without a user. Issuer.ClientClaim
// and Issuer.ClientOnly tell the two apart.
func (t *Token) HasUser() bool { return t.read().caller == callerUser }

// MultiFactor reports whether amr has a value that counts as authentication by
// several factors, by Issuer.MultiFactor.
func (t *Token) MultiFactor() bool { return t.read().multiFactor }
