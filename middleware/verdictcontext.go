package middleware

import (
	"context"

	"github.com/sallyport-auth/sallyport/validator"
)

// verdictContext is the context of a permitted request that is not one of net/http.
type verdictContext struct {
	context.Context //nolint:containedctx // it is a context

	token *validator.Token
}

// Value returns the token for tokenKey.
func (c *verdictContext) Value(key any) any {
	if key == (tokenKey{}) {
		return c.token
	}
	return c.Context.Value(key)
}

// Context returns a child of parent in which [TokenFrom] returns the token of v, for
// adapters of other transports than net/http. A token that an outer Guard put into parent is
// hidden: TokenFrom returns nil if v has no token. For a request that goes on for long,
// use [Route.Hold].
func (v Verdict) Context(parent context.Context) context.Context {
	return &verdictContext{Context: parent, token: v.Token()}
}
