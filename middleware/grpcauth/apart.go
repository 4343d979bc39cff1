package grpcauth

import (
	"google.golang.org/grpc"

	"github.com/sallyport-auth/sallyport/internal/apart"
)

// serveApart calls handler in a goroutine of its own, and returns when the guard ends the
// stream, which makes grpc write the status and free the handler. It is for transports
// that cannot write a status by themselves. A panic of the handler is raised again on the
// goroutine of the call, for interceptors that recover; after the end it is dropped.
func (s *guardedStream) serveApart(server any, handler grpc.StreamHandler) error {
	done := apart.Go(func() error { return handler(server, s) }, s.held.Release)
	select {
	case o := <-done:
		return s.settle(o)
	case <-s.held.Context().Done():
	}
	if denial := s.held.Denial(); denial != nil {
		return s.end(denial)
	}
	return s.settle(<-done) // the caller has left
}

// settle ends the call as the handler did, unless the guard has ended the stream.
func (s *guardedStream) settle(o apart.Outcome) error {
	if denial := s.held.Denial(); denial != nil {
		return s.end(denial)
	}
	return o.Settle()
}
