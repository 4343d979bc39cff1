package connectauth

import (
	"context"
	"errors"

	"connectrpc.com/connect"

	"github.com/sallyport-auth/sallyport/validator"
)

// Interceptor returns the half of the Gate that goes into the options of the handlers,
// by [connect.WithInterceptors]. Give it before other interceptors: it refuses a call
// that did not come through [Gate.Handler], or that came there as another procedure, and
// it ends streams. It does nothing for clients.
func (g *Gate) Interceptor() connect.Interceptor {
	if g == nil {
		panic("connectauth: Interceptor: the Gate is nil; check the error of New")
	}
	g.intercepting.Store(true)
	return &interceptor{g}
}

type interceptor struct{ gate *Gate }

// WrapUnary implements [connect.Interceptor].
func (i *interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		if request.Spec().IsClient {
			return next(ctx, request)
		}
		c, err := i.gate.callOf(ctx, request.Spec().Procedure, request.Peer().Protocol)
		if err != nil {
			return nil, err
		}
		if denial := c.late(ctx); denial != nil {
			return nil, finalError(ctx, denial, request.Peer().Protocol)
		}
		return next(ctx, request)
	}
}

// WrapStreamingClient implements [connect.Interceptor].
func (*interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements [connect.Interceptor].
func (i *interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		c, err := i.gate.callOf(ctx, conn.Spec().Procedure, conn.Peer().Protocol)
		if err != nil {
			return err
		}
		return c.stream(ctx, conn, next)
	}
}

var (
	errBinary = validator.Refuse(validator.MalformedRequest,
		errors.New("connectauth: credentials in a binary field; send the token as text in the field Authorization"))
	errNoHandler = validator.Refuse(validator.Unavailable,
		errors.New("connectauth: the call did not come through the Handler of this Gate; make the handler with Gated, or wrap it with Gate.Handler"))
	errNoInterceptor = validator.Refuse(validator.Unavailable,
		errors.New("connectauth: the handler of a stream does not have the Interceptor of its Gate, so the stream would not end with its token; make the handler with Gated, or give it Gate.Interceptor by connect.WithInterceptors"))
	errElsewhere = validator.Refuse(validator.Unavailable,
		errors.New("connectauth: a call that came to the Handler of the Gate as another procedure"))
)

// callOf returns the call that g let through for procedure, or the error for the client
// if there is none.
func (g *Gate) callOf(ctx context.Context, procedure, protocol string) (*call, error) {
	c := callFrom(ctx)
	switch {
	case c != nil && c.gate == g && c.procedure == procedure:
		return c, nil
	case c == nil || c.gate != g:
		return nil, finalError(ctx, g.unlisted.Refuse(ctx, errNoHandler), protocol)
	default:
		return nil, finalError(ctx, g.unlisted.Refuse(ctx, errElsewhere), protocol)
	}
}
