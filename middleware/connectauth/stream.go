package connectauth

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/middleware"
)

// cutDelay is how long a handler has to return after its stream has to end, and then the
// final error to be written. Together with two periods of checks it stays below a second.
const cutDelay = 300 * time.Millisecond

// stream is a stream that ends when its token does.
type stream struct {
	connect.StreamingHandlerConn

	call       *call
	held       *middleware.Held
	controller *http.ResponseController

	mu    sync.Mutex
	over  bool // the handler has returned; the connection may serve another request
	timer *time.Timer
}

// stream calls next for a stream, and ends it when the token ends.
func (c *call) stream(ctx context.Context, conn connect.StreamingHandlerConn, next connect.StreamingHandlerFunc) error {
	c.body.watched.Store(true)
	s := &stream{StreamingHandlerConn: conn, call: c, controller: http.NewResponseController(c.writer)}
	s.held = c.route.Hold(ctx, c.permitted.Verdict, middleware.Holding{
		Presentation: c.permitted.Presentation, Operation: c.permitted.Operation, Ended: s.ended,
	})
	defer s.release()
	err := next(s.held.Context(), s)         //nolint:contextcheck // it is a child of ctx
	if denied := s.denied(); denied != nil { //nolint:contextcheck // as above
		s.challenge()
		s.limitWrites(time.Now().Add(cutDelay))
		s.linger()
		return denied
	}
	return err
}

// ended makes reads of the request fail, so that a handler that waits in Receive returns
// and the final error is written. Soon it cuts the stream of one that does not return.
func (s *stream) ended(*middleware.Denial) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	_ = s.controller.SetReadDeadline(longAgo) // an error means that a middleware hides the method
	s.timer = time.AfterFunc(cutDelay, s.cut)
}

// cut makes writes fail, in case the handler waits in Send for a client that does not
// read. Over HTTP/2 this resets the stream, so that the client of a handler that ignores
// its context is told, too. Over HTTP/1.1 such a client reads the final error when the
// handler returns: there is a new deadline then.
func (s *stream) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.limitWrites(longAgo)
}

// longAgo is a deadline that has passed.
var longAgo = time.Unix(1, 0)

// limitWrites makes writes fail from then on.
func (s *stream) limitWrites(then time.Time) {
	_ = s.controller.SetWriteDeadline(then) // an error means that a middleware hides the method
}

// linger makes net/http wait a little before it closes a connection of HTTP/1.1, so that a
// client that is still sending can read the answer. MaxBytesReader asks for that.
func (s *stream) linger() {
	if s.call.request.ProtoMajor == 1 {
		_, _ = io.Copy(io.Discard, http.MaxBytesReader(s.call.writer, io.NopCloser(strings.NewReader("--")), 1)) // fails by design
	}
}

// release ends the watch, before the handler returns to the server.
func (s *stream) release() {
	s.held.Release()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.timer != nil {
		s.timer.Stop()
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
		s.ResponseHeader().Add(challengeField, challenge)
	}
}

// Receive returns the refusal if the guard has ended the stream. It keeps the messages
// with new tokens from the handler.
func (s *stream) Receive(message any) error {
	for {
		if denied := s.denied(); denied != nil {
			return denied
		}
		err := s.StreamingHandlerConn.Receive(message)
		if denied := s.denied(); denied != nil {
			return denied
		}
		if err != nil || !s.renew(message) {
			return err //nolint:wrapcheck // handlers compare with io.EOF
		}
	}
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

// Send returns the refusal if the guard has ended the stream, and sends nothing then.
func (s *stream) Send(message any) error {
	if denied := s.denied(); denied != nil {
		return denied
	}
	err := s.StreamingHandlerConn.Send(message)
	if err == nil {
		return nil
	}
	if denied := s.denied(); denied != nil {
		return denied
	}
	return err //nolint:wrapcheck // as in Receive
}
