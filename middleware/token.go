package middleware

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/validator"
)

type tokenKey struct{}

// tokenContext is the context of a request with a token. The request and the value
// of the response's Cache-Control are in it too, so that all are one allocation.
type tokenContext struct {
	context.Context //nolint:containedctx // it is a context

	token   *validator.Token // nil only for [Guard.EndWithToken]
	within  time.Duration    // as in Verdict
	handler *guarded
	scheme  validator.Scheme // of the credentials
	sealed  validator.Sealed // for [Guard.EndWithToken], which may ask the issuer again
	private [1]string
	request http.Request
}

// withVerdict returns a copy of r, which is permitted, with the token in its context, and
// the context.
func (h *guarded) withVerdict(r *http.Request, permitted *Permitted) (*http.Request, *tokenContext) {
	verdict := &permitted.Verdict
	ctx := &tokenContext{Context: r.Context(), token: verdict.token, within: verdict.within, handler: h, scheme: permitted.Presentation.Scheme}
	if verdict.token.Introspected() && h.route.guard.long.marking.Load() {
		ctx.sealed = permitted.Presentation.Sealed()
	}
	// The compiler keeps the copy that WithContext makes on the stack.
	ctx.request = *r.WithContext(ctx) //nolint:contextcheck // ctx holds the context of r
	return &ctx.request, ctx
}

// passKey is the key of the tokenContext itself.
type passKey struct{}

// Value returns the token for tokenKey, and c for passKey.
func (c *tokenContext) Value(key any) any {
	switch key {
	case tokenKey{}:
		return c.token
	case passKey{}:
		return c
	default:
		return c.Context.Value(key)
	}
}

// Format writes the type only: handlers may print their context, and the header of the
// request in it has the token.
func (c *tokenContext) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%T", c) }

// TokenFrom returns the validated token of a request that came through a [Guard].
// It returns nil for an anonymous request, on a public route, without a Guard, and
// for a ctx that is nil or panics, such as a nil pointer. A nil token grants
// nothing. Behind two Guards it returns the token that the inner one validated:
// the token of the outer one is hidden behind public routes, from anonymous callers
// and from hooks.
func TokenFrom(ctx context.Context) *validator.Token {
	if ctx == nil {
		return nil
	}
	defer hook.Recover()
	token, _ := ctx.Value(tokenKey{}).(*validator.Token)
	return token
}

// withoutToken returns ctx without the token of an outer Guard, and whether ctx had
// one.
func withoutToken(ctx context.Context) (context.Context, bool) {
	if TokenFrom(ctx) == nil {
		return ctx, false
	}
	return context.WithValue(context.WithValue(ctx, tokenKey{}, nil), heldKey{}, nil), true
}
