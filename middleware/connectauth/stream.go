package connectauth

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/sallyport-auth/sallyport/internal/apart"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/middleware"
)

// cutDelay is how long a handler has to return after its stream has to end, and then the
// final error to be written. Together with two periods of checks it stays below a second.
const cutDelay = 300 * time.Millisecond

// stream is a stream that ends when its token does. Its handler runs in a goroutine of its
// own and may go on after the stream has ended, so it must not reach the connection then.
type stream struct {
	connect.StreamingHandlerConn

	call       *call
	held       *middleware.Held
	controller *http.ResponseController
	ended      chan struct{} // closed when the guard has ended the stream

	sending   sync.Mutex // held during Send of the connection
	receiving sync.Mutex // held during Receive of the connection

	fields streamFields
}

// stream calls next for a stream, and ends it when the token ends.
func (c *call) stream(ctx context.Context, conn connect.StreamingHandlerConn, next connect.StreamingHandlerFunc) error {
	c.body.watched.Store(true)
	s := &stream{StreamingHandlerConn: conn, call: c, controller: http.NewResponseController(c.writer), ended: make(chan struct{})}
	s.held = c.route.Hold(ctx, c.permitted.Verdict, middleware.Holding{
		Presentation: c.permitted.Presentation, Operation: c.permitted.Operation,
		Ended: func(*middleware.Denial) { close(s.ended) },
	})
	done := apart.Go(func() error { return next(s.held.Context(), s) }, s.held.Release) //nolint:contextcheck // it is a child of ctx
	select {
	case outcome := <-done:
		return s.settle(outcome) //nolint:contextcheck // as above
	case <-s.ended:
	}
	// A handler that waits in Receive returns, and the final error is written.
	_ = s.controller.SetReadDeadline(longAgo) // an error means that a middleware hides the method
	timer := time.NewTimer(cutDelay)
	defer timer.Stop()
	select {
	case outcome := <-done:
		return s.settle(outcome) //nolint:contextcheck // as above
	case <-timer.C:
		s.leave()
		return s.final(s.denied()) //nolint:contextcheck // as above
	}
}

// settle ends the call as the handler did, unless the guard has ended the stream.
func (s *stream) settle(outcome apart.Outcome) error {
	err := outcome.Settle()
	s.fields.write(s.StreamingHandlerConn)
	if denied := s.denied(); denied != nil {
		return s.final(denied)
	}
	return err //nolint:wrapcheck // connect reads the code of an *Error
}

// leave waits until the handler has left the connection, which it does not use again then.
// It makes writes fail if the handler waits in Send for a client that does not read. Over
// HTTP/2 this resets the stream, so that the client is told, too.
func (s *stream) leave() {
	if !s.sending.TryLock() {
		s.limitWrites(longAgo)
		s.sending.Lock()
	}
	s.sending.Unlock()
	for _, lock := range []*sync.Mutex{&s.receiving, &s.fields.mu} {
		lock.Lock()
		lock.Unlock() //nolint:staticcheck // the section is empty: it only waits
	}
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// limitWrites makes writes fail from then on.
func (s *stream) limitWrites(then time.Time) {
	_ = s.controller.SetWriteDeadline(then) // an error means that a middleware hides the method
}

// final prepares the connection for the final error, which connect-go writes when the
// call returns.
func (s *stream) final(denied error) error {
	s.challenge()
	s.limitWrites(time.Now().Add(cutDelay))
	s.linger()
	return denied
}

// linger makes net/http wait a little before it closes a connection of HTTP/1.1, so that a
// client that is still sending can read the answer. MaxBytesReader asks for that.
func (s *stream) linger() {
	if s.call.request.ProtoMajor == 1 {
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(s.call.writer, io.NopCloser(strings.NewReader("--")), 1)) // fails by design
	}
}

// denied returns the error for the client if the guard has ended the stream, and nil
// otherwise.
func (s *stream) denied() error {
	if denial := s.held.Denial(); denial != nil {
		return finalError(s.held.Context(), denial, s.Peer().Protocol)
	}
	return nil
}

// challenge writes the challenge into the header of an answer of gRPC, which has no place
// for it at the end. It has no effect if something was sent.
func (s *stream) challenge() {
	if s.Peer().Protocol != connect.ProtocolGRPC {
		return
	}
	for _, challenge := range s.held.Denial().Challenges {
		s.StreamingHandlerConn.ResponseHeader().Add(challengeField, challenge)
	}
}

// Receive returns the refusal if the guard has ended the stream. It keeps the messages
// with new tokens from the handler.
func (s *stream) Receive(message any) error {
	for {
		err := s.use(&s.receiving, func() error { return s.StreamingHandlerConn.Receive(message) })
		if denied := s.denied(); denied != nil {
			return denied
		}
		if err != nil || !s.renew(message) {
			return err
		}
	}
}

// Send returns the refusal if the guard has ended the stream, and sends nothing then.
func (s *stream) Send(message any) error {
	err := s.use(&s.sending, func() error {
		s.fields.writeHeader(s.StreamingHandlerConn)
		return s.StreamingHandlerConn.Send(message)
	})
	if err == nil {
		return nil
	}
	if denied := s.denied(); denied != nil {
		return denied
	}
	return err
}

// use calls a method of the connection with lock locked, unless the guard has ended the
// stream. It asks before it locks, too: leave resets the stream if it finds a lock locked.
func (s *stream) use(lock *sync.Mutex, method func() error) error {
	if denied := s.denied(); denied != nil {
		return denied
	}
	lock.Lock()
	defer lock.Unlock()
	if denied := s.denied(); denied != nil {
		return denied
	}
	return method()
}

// renew reports whether message has a new token, and gives that to the guard. If it is
// refused, the stream goes on with the old one until that ends.
func (s *stream) renew(message any) bool {
	authorization, ok := s.call.gate.renewal(s.call.procedure, message)
	if !ok {
		return false
	}
	ctx := s.held.Context()
	p, err := middleware.Credentials([]string{authorization}, nil)
	if err != nil {
		_ = s.call.route.Refuse(ctx, err) // for the hooks
		return true
	}
	p.Certificate = s.call.permitted.Presentation.Certificate
	_ = s.held.Renew(ctx, p, s.call.permitted.Operation) // the hooks get the denial
	return true
}

// renewal calls the hook. Where it panics, the message is an ordinary one.
func (g *Gate) renewal(procedure string, message any) (authorization string, ok bool) {
	if g.renewToken == nil {
		return "", false
	}
	defer hook.Recover()
	return g.renewToken(procedure, message)
}
