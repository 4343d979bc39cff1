package connectauth

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sallyport-auth/sallyport/middleware"
)

// call is the context of a request that passed the Handler of a Gate. What the
// Interceptor needs and the request are in it too, so that all are one allocation.
type call struct {
	context.Context //nolint:containedctx // it is a context

	*gated

	permitted middleware.Permitted
	checked   time.Time
	writer    http.ResponseWriter
	request   http.Request
	body      streamBody // of request, if it is a stream
}

type callKey struct{}

// Value returns c for callKey.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// Format writes the type only: handlers may print their context, and the presentation in
// it has the token.
func (c *call) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%T", c) }

// callFrom returns the call whose context ctx is made from, or nil if there is none.
func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}
