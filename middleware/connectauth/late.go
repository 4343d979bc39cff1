package connectauth

import (
	"context"
	"time"

	"github.com/sallyport-auth/sallyport/middleware"
)

// lateAfter is how long the message of a unary call may take to arrive before the call is
// checked again: as long as a stream goes on after its token has ended.
const lateAfter = time.Second

// late returns the refusal of a unary call whose message took long to arrive, if it is not
// permitted any more, and nil otherwise. A client could keep a call open with a token that
// is revoked meanwhile.
func (c *call) late(ctx context.Context) *middleware.Denial {
	if time.Since(c.checked) < lateAfter {
		return nil
	}
	return c.route.Check(ctx, c.permitted.Presentation, c.permitted.Operation).Denial()
}
