package grpcauth

import (
	"context"
	"crypto/x509"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// interceptStream calls handler if the policy of the method permits the call, before the
// first message is read, and ends the stream when the guard does.
func (g *Gate) interceptStream(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx := stream.Context()
	var c checked
	g.check(ctx, info.FullMethod, nil, &c)
	if c.denial != nil {
		return refuse(ctx, c.denial, writableStream(stream))
	}
	s := &guardedStream{ServerStream: stream, gate: g, route: c.method.route, operation: c.operation, certificate: c.presentation.Certificate}
	transport, direct := grpc.ServerTransportStreamFromContext(ctx).(statusWriter)
	holding := middleware.Holding{Presentation: c.presentation, Operation: c.operation}
	if direct {
		holding.Ended = func(denial *middleware.Denial) { s.writeEnd(transport, denial) }
	}
	s.held = c.method.route.Hold(g.withMetadata(ctx), c.verdict, holding)
	if direct {
		return s.serve(server, handler)
	}
	return s.serveApart(server, handler)
}

// writableStream returns what a refusal is written to.
func writableStream(stream grpc.ServerStream) transportStream {
	return transportStream{
		setHeader:  func(md metadata.MD) { _ = stream.SetHeader(md) }, // it may have been sent
		setTrailer: stream.SetTrailer,
	}
}

// statusWriter is a stream of grpc-go's own transports. Its status ends the stream: the
// client gets it, and calls of RecvMsg and SendMsg that wait return. A status that is
// written later has no effect.
type statusWriter interface {
	WriteStatus(final *status.Status) error
}

// guardedStream is the stream that the handler of a permitted call gets. It does not hold
// the token, because handlers may print it.
type guardedStream struct {
	grpc.ServerStream

	gate        *Gate
	route       *middleware.Route
	operation   scopes.Operation
	certificate *x509.Certificate // of the client
	held        *middleware.Held

	trailer sync.Once // the trailer of the end is set
}

// Context returns the context of the stream, in which [middleware.TokenFrom] and
// [middleware.HeldFrom] work. It ends when the guard ends the stream, with the denial as
// its cause.
func (s *guardedStream) Context() context.Context { return s.held.Context() }

// serve calls handler on the goroutine of the call. writeEnd frees it.
func (s *guardedStream) serve(server any, handler grpc.StreamHandler) error {
	defer s.held.Release()
	err := handler(server, s)
	s.held.Release() // the guard does not end the stream from now on
	if denial := s.held.Denial(); denial != nil {
		return s.end(denial)
	}
	return err
}

// end returns the error of a stream that the guard has ended, and sets the trailer.
func (s *guardedStream) end(denial *middleware.Denial) error {
	s.trailer.Do(func() { writableStream(s.ServerStream).write(s.ServerStream.Context(), denial) })
	return &Error{denial: denial, status: statusOf(denial)}
}

// writeEnd sends the status of a stream that the guard has ended, whatever its handler is
// doing.
func (s *guardedStream) writeEnd(transport statusWriter, denial *middleware.Denial) {
	_ = s.end(denial)
	defer resetLate(s.ServerStream.Context())()
	_ = transport.WriteStatus(statusOf(denial)) // fails only if the connection is gone
}

// ended returns the error of a stream that the guard has ended, or nil. It sets no trailer.
func (s *guardedStream) ended() error {
	if s.held.Context().Err() == nil {
		return nil
	}
	if denial := s.held.Denial(); denial != nil {
		return &Error{denial: denial, status: statusOf(denial)}
	}
	return nil
}

// SendMsg sends nothing after the guard has ended the stream.
func (s *guardedStream) SendMsg(message any) error {
	if err := s.ended(); err != nil {
		return err
	}
	err := s.ServerStream.SendMsg(message)
	if err != nil {
		if end := s.ended(); end != nil {
			return end
		}
	}
	return err
}

// RecvMsg returns no message after the guard has ended the stream. It gives a message with
// a new token to the guard, and waits for the next one.
func (s *guardedStream) RecvMsg(message any) error {
	for {
		if err := s.ended(); err != nil {
			return err
		}
		err := s.ServerStream.RecvMsg(message)
		if end := s.ended(); end != nil {
			return end
		}
		if err != nil || !s.renew(message) {
			return err
		}
	}
}

// renew reports whether message has a new token, and gives that to the guard. If it is
// refused, the stream goes on with the old one until that ends.
func (s *guardedStream) renew(message any) bool {
	authorization, ok := s.gate.renewal(s.operation.Name, message)
	if !ok {
		return false
	}
	ctx := s.Context()
	p, err := middleware.Credentials([]string{authorization}, nil)
	if err != nil {
		_ = s.route.Refuse(ctx, err) // for the hooks
		return true
	}
	p.Certificate = s.certificate
	_ = s.held.Renew(ctx, p, s.operation) // the hooks get the denial
	return true
}

// renewal calls the hook. Where it panics, the message is an ordinary one.
func (g *Gate) renewal(fullMethod string, message any) (authorization string, ok bool) {
	if g == nil || g.renewToken == nil {
		return "", false
	}
	defer hook.Recover()
	return g.renewToken(fullMethod, message)
}

// serveUnknown handles a call of a method that no service has registered, behind the
// interceptor.
func (g *Gate) serveUnknown(server any, stream grpc.ServerStream) error {
	if g == nil || g.unknown == nil {
		return status.Error(codes.Unimplemented, middleware.ClassNotFound.Message())
	}
	return g.unknown(server, stream)
}
