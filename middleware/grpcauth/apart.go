package grpcauth

import (
	"runtime"

	"google.golang.org/grpc"
)

// result is how a handler ended.
type result struct {
	err      error
	panicked any
	returned bool // false: it panicked, or its goroutine exited
}

// serveApart calls handler in a goroutine of its own, and returns when the guard ends the
// stream, which makes grpc write the status and free the handler. It is for transports
// that cannot write a status by themselves. A panic of the handler is raised again on the
// goroutine of the call, for interceptors that recover; after the end it is dropped.
func (s *guardedStream) serveApart(server any, handler grpc.StreamHandler) error {
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if !r.returned {
				r.panicked = recover()
			}
			s.held.Release()
			done <- r
		}()
		r.err = handler(server, s)
		r.returned = true
	}()
	select {
	case r := <-done:
		return s.settle(r)
	case <-s.held.Context().Done():
	}
	if denial := s.held.Denial(); denial != nil {
		return s.end(denial)
	}
	return s.settle(<-done) // the caller has left
}

// settle ends the call as the handler did.
func (s *guardedStream) settle(r result) error {
	if denial := s.held.Denial(); denial != nil {
		return s.end(denial)
	}
	switch {
	case r.returned:
		return r.err
	case r.panicked != nil:
		panic(r.panicked)
	default:
		runtime.Goexit()
		return nil
	}
}
