package grpcauth_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
)

// soon is the bound on the end of a stream after its reason: a second, and some for busy
// machines.
const soon = 2 * time.Second

// wait waits for a value of c.
func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(10 * time.Second):
		t.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

// handling is a handler of a stream that blocks in one way until it is freed.
type handling struct {
	started  chan struct{} // it blocks
	freed    chan error    // what freed it
	cause    chan error    // of its context
	released chan struct{} // ends a deaf handler
}

func newHandling() *handling {
	return &handling{started: make(chan struct{}), freed: make(chan error, 1), cause: make(chan error, 1), released: make(chan struct{})}
}

// blocks are the ways to block.
var blocks = map[string]func(h *handling, stream grpc.ServerStream) error{
	"Recv": func(h *handling, stream grpc.ServerStream) error {
		close(h.started)
		return stream.RecvMsg(new(text))
	},
	"Send": func(h *handling, stream grpc.ServerStream) error {
		message := wrapperspb.String(strings.Repeat("x", 32<<10))
		for i := 0; ; i++ {
			if err := stream.SendMsg(message); err != nil {
				return err
			}
			if i == 1 {
				close(h.started) // soon the window is full
			}
		}
	},
	"context": func(h *handling, stream grpc.ServerStream) error {
		close(h.started)
		<-stream.Context().Done()
		return stream.Context().Err()
	},
	"deaf": func(h *handling, _ grpc.ServerStream) error {
		close(h.started)
		<-h.released
		return nil
	},
}

// serveWith returns a service whose streams block in this way.
func (h *handling) serveWith(block func(h *handling, stream grpc.ServerStream) error) *service {
	return &service{stream: func(_ string, stream grpc.ServerStream) error {
		if err := stream.RecvMsg(new(text)); err != nil { // the first message
			return err
		}
		err := block(h, stream)
		h.cause <- context.Cause(stream.Context())
		h.freed <- err
		return err
	}}
}

// serveHTTP serves the server of a over net/http, and returns a client for it.
func (a *api) serveHTTP(handler http.Handler) *grpc.ClientConn {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		a.t.Fatal(err)
	}
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Handler: handler, Protocols: &protocols, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	a.t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
	return dial(a.t, listener.Addr().String())
}

// hideTransport hides the WriteStatus of the transport's stream, as transports other than
// those of grpc-go do.
func hideTransport(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	type hidden struct{ grpc.ServerTransportStream }
	ctx := stream.Context()
	ctx = grpc.NewContextWithServerTransportStream(ctx, hidden{grpc.ServerTransportStreamFromContext(ctx)})
	return handler(server, &streamWith{stream, ctx})
}

// streamWith is a stream with another context.
type streamWith struct {
	grpc.ServerStream

	ctx context.Context
}

func (s *streamWith) Context() context.Context { return s.ctx }

// forbidKeys makes the guard refuse every token of the issuer from now on.
func (a *api) forbidKeys() {
	a.t.Helper()
	if err := a.guard.Validator().ForbidKey(a.t.Context(), a.URL(), jwkscache.KeyName{KeyID: a.SigningKey()}); err != nil {
		a.t.Fatal(err)
	}
}

// checkEnd checks the end of a stream whose key was withdrawn.
func checkEnd(t *testing.T, stream grpc.ClientStream, err error) {
	t.Helper()
	details, _ := info(t, err)
	if status.Code(err) != codes.Unauthenticated || details.GetReason() != "INVALID_TOKEN" || status.Convert(err).Message() != "the access token is invalid" {
		t.Errorf("the client got %v, %v", err, details)
	}
	header, _ := stream.Header() // over net/http
	if challenges := slices.Concat(header["www-authenticate"], stream.Trailer()["www-authenticate"]); len(challenges) != 1 || !strings.Contains(challenges[0], `error="invalid_token"`) {
		t.Errorf("challenges %q", challenges)
	}
}

// TestStreamsEnd covers R-GR-07 and A18 of the situations: a stream ends within a second
// with the class, whatever its handler does, and the handler is freed with the denial as the
// cause of its context. It covers the transport of grpc-go, net/http, and transports that
// cannot write a status by themselves.
func TestStreamsEnd(t *testing.T) {
	t.Parallel()
	for _, transport := range []string{"grpc", "net/http", "other"} {
		for _, method := range []string{methodUp, methodWatch, methodChat} {
			for name, block := range blocks {
				if name == "Send" && method == methodUp || name == "Recv" && method == methodWatch {
					continue // such a method has one message
				}
				t.Run(transport+method+" "+name, func(t *testing.T) {
					t.Parallel()
					endWhile(t, transport, method, name, block)
				})
			}
		}
	}
}

func endWhile(t *testing.T, transport, method, name string, block func(*handling, grpc.ServerStream) error) {
	t.Helper()
	h := newHandling()
	s := setup{service: h.serveWith(block)}
	if transport == "other" {
		s.before = []grpc.ServerOption{grpc.ChainStreamInterceptor(hideTransport)}
	}
	a := start(t, s)
	if transport == "net/http" {
		a.client = a.serveHTTP(a.gate.Handler(a.server))
	}
	stream := a.open(a.with("authorization", a.bearer("read")), method)
	if err := stream.SendMsg(wrapperspb.String("hello")); err != nil {
		t.Fatal(err)
	}
	if method == methodWatch {
		_ = stream.CloseSend()
	}
	wait(t, "the handler starts", h.started)
	a.forbidKeys()
	began := time.Now()
	if name == "Send" { // a client that does not read: the handler is freed first
		if err := wait(t, "the handler is freed", h.freed); status.Code(err) != codes.Unauthenticated {
			t.Errorf("SendMsg returned %v", err)
		}
	}
	var err error
	for err == nil {
		err = stream.RecvMsg(new(text))
	}
	if passed := time.Since(began); passed > soon {
		t.Errorf("the stream ended after %v", passed)
	}
	if name != "Send" || transport == "grpc" {
		checkEnd(t, stream, err)
	} else if status.Code(err) == codes.OK {
		t.Error("the stream ended without an error")
	}
	close(h.released)
	denial := new(middleware.Denial)
	if cause := wait(t, "the handler returns", h.cause); !errors.As(cause, &denial) || denial.Class != middleware.ClassInvalidToken {
		t.Errorf("the cause of the context is %v", cause)
	}
	if name != "Send" {
		if freed := wait(t, "the handler returns", h.freed); name == "Recv" && status.Code(freed) != codes.Unauthenticated {
			t.Errorf("RecvMsg returned %v", freed)
		}
	}
	a.gone()
}

// gone waits until no stream is held, and the server has stopped in peace.
func (a *api) gone() {
	a.t.Helper()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		a.server.GracefulStop()
	}()
	t, ok := a.t.(*testing.T)
	if !ok {
		return
	}
	wait(t, "the server stops", stopped)
	for began := time.Now(); a.guard.LongRequests() != (middleware.LongStatus{}) && time.Since(began) < soon; {
		runtime.Gosched() // a handler in a goroutine of its own may still be returning
	}
	if long := a.guard.LongRequests(); long.Open != 0 || long.Overdue != 0 {
		t.Errorf("held requests: %+v", long)
	}
}

// goroutines waits until no more than limit goroutines run.
func goroutines(t *testing.T, limit int) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for ticks := time.Tick(10 * time.Millisecond); runtime.NumGoroutine() > limit; {
		select {
		case <-ticks:
		case <-deadline:
			all := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, want %d:\n%s", runtime.NumGoroutine(), limit, all[:runtime.Stack(all, true)])
		}
	}
}
