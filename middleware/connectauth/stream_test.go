package connectauth_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// within is how soon a stream has to end, with some time for a machine that does other work.
const within = time.Second + 500*time.Millisecond

// streaming is a service under test whose streams can be ended.
type streaming struct {
	*issuertest.Issuer

	t       *testing.T
	guard   *middleware.Guard
	service *orders
	url     string
	token   string
	sent    bool                 // the server sends messages of gRPC
	started chan context.Context // a handler has started
	result  chan error           // what a handler returned
	over    chan struct{}        // a handler has returned
}

func newStreaming(t *testing.T) *streaming {
	t.Helper()
	issuer := issuertest.New(t)
	s := &streaming{Issuer: issuer, t: t, service: new(orders), started: make(chan context.Context, 1), result: make(chan error, 1), over: make(chan struct{})}
	s.guard = issuertest.Guard(t, middleware.Config{Validator: issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{issuer.Config()}, Leeway: validator.Leeway{Expiry: validator.NoLeeway},
	}), LongRequests: middleware.LongRequests{MaxAnonymous: time.Second}})
	s.token = issuer.Token(issuertest.Claims{"scope": "orders:read orders:write", "sub": "alice"})
	s.url = listen(t, mounted(t, s.guard, s.service))
	return s
}

// handle makes all streams of the service call h.
func (s *streaming) handle(h func(ctx context.Context, receive func() error, send func() error) error) {
	big := wrapperspb.String(strings.Repeat("x", 32<<10))
	run := func(ctx context.Context, receive, send func() error) error {
		s.started <- ctx
		err := h(ctx, receive, send)
		close(s.over)
		s.result <- err
		return err
	}
	s.service.watch = func(ctx context.Context, _ *connect.Request[text], stream *connect.ServerStream[text]) error {
		return run(ctx, nil, func() error { return stream.Send(big) })
	}
	s.service.upload = func(ctx context.Context, stream *connect.ClientStream[text]) (*connect.Response[text], error) {
		return connect.NewResponse(big), run(ctx, func() error {
			if stream.Receive() {
				return nil
			}
			return errors.Join(stream.Err(), io.EOF)
		}, nil)
	}
	s.service.chat = func(ctx context.Context, stream *connect.BidiStream[text, text]) error {
		return run(ctx, func() error { _, err := stream.Receive(); return err }, func() error { return stream.Send(big) })
	}
}

// end forbids the key of the token.
func (s *streaming) end() time.Time {
	s.t.Helper()
	ctx := s.wait()
	_, key := middleware.TokenFrom(ctx).Key()
	if err := s.guard.Validator().ForbidKey(s.t.Context(), s.URL(), key); err != nil {
		s.t.Fatal(err)
	}
	return time.Now()
}

// wait waits until the handler has started.
func (s *streaming) wait() context.Context {
	s.t.Helper()
	select {
	case ctx := <-s.started:
		return ctx
	case <-time.After(10 * time.Second):
		s.t.Fatal("the handler did not start")
		return nil
	}
}

// returned waits until the handler has returned, and the guard holds no request.
func (s *streaming) returned() error {
	s.t.Helper()
	select {
	case err := <-s.result:
		for s.guard.LongRequests().Open > 0 {
			runtime.Gosched()
		}
		return err
	case <-time.After(10 * time.Second):
		s.t.Fatal("the handler did not return")
		return nil
	}
}

// open starts a stream whose client sends one message and reads in the background.
// The channel gets the error of the client.
func (s *streaming) open(ctx context.Context, d dialect, procedure string) <-chan error {
	c := dial(s.t, d, s.url, procedure, s.token)
	result := make(chan error, 1)
	go func() {
		switch procedure {
		case watch:
			_, err := do(ctx, c, procedure)
			result <- err
		case upload:
			stream := c.CallClientStream(ctx)
			_ = stream.Send(wrapperspb.String("?"))
			if d.http == 1 { // the transport of a client that sends now may close the connection before it has read the answer
				<-s.over
			}
			for d.http == 2 && stream.Send(wrapperspb.String("?")) == nil { // until the server has answered
				time.Sleep(10 * time.Millisecond) // a client that sends all the time
			}
			_, err := stream.CloseAndReceive()
			result <- err
		default:
			stream := c.CallBidiStream(ctx)
			_ = stream.Send(wrapperspb.String("?"))
			var err error
			for err == nil {
				_, err = stream.Receive()
			}
			_ = stream.CloseRequest()
			_ = stream.CloseResponse()
			result <- err
		}
	}()
	return result
}

// failure waits for the error of a client.
func (s *streaming) failure(result <-chan error) error {
	s.t.Helper()
	select {
	case err := <-result:
		return err
	case <-time.After(10 * time.Second):
		s.t.Fatal("the client is not told")
		return nil
	}
}

// wantEnd checks what a client got from a stream that the guard has ended.
func (s *streaming) wantEnd(result <-chan error, began time.Time, reason string) {
	s.t.Helper()
	err := s.failure(result)
	if took := time.Since(began); took > within {
		s.t.Errorf("the client is told after %v", took)
	}
	if connect.CodeOf(err) != connect.CodeUnauthenticated {
		s.t.Fatalf("the client got %v", err)
	}
	info, _ := info(s.t, err)
	failed, _ := errors.AsType[*connect.Error](err)
	// After a message of gRPC there is no place for a challenge.
	if challenges := failed.Meta().Values("WWW-Authenticate"); info.GetReason() != reason || len(challenges) != 1 && (!s.sent || len(challenges) > 0) {
		s.t.Errorf("the client got %v, %q", info, challenges)
	}
}

// TestStreamEnds covers R-GR-07 for Connect: a stream ends within a second after its key is
// forbidden or its token has expired, in every protocol. The client gets the class, the
// context of the handler ends with the Denial as its cause, and a handler that waits in
// Receive or on its context, or sends all the time, returns.
func TestStreamEnds(t *testing.T) {
	t.Parallel()
	receiving := func(_ context.Context, receive, _ func() error) error {
		for {
			if err := receive(); err != nil {
				return err
			}
		}
	}
	waiting := func(ctx context.Context, _, _ func() error) error {
		<-ctx.Done()
		return ctx.Err()
	}
	sending := func(_ context.Context, _, send func() error) error {
		for {
			if err := send(); err != nil {
				return err
			}
		}
	}
	succeeding := func(ctx context.Context, _, _ func() error) error {
		<-ctx.Done()
		return nil
	}
	for _, test := range []struct {
		name       string
		handler    func(ctx context.Context, receive, send func() error) error
		procedures []string
	}{
		{"in Receive", receiving, []string{upload, chat}},
		{"on the context", waiting, []string{watch, upload, chat}},
		{"in Send", sending, []string{watch, chat}},
		{"without an error", succeeding, []string{watch, upload, chat}},
	} {
		for _, procedure := range test.procedures {
			for _, d := range dialects() {
				if procedure == chat && d.http == 1 {
					continue
				}
				t.Run(test.name+procedure+"/"+d.name, func(t *testing.T) {
					t.Parallel()
					s := newStreaming(t)
					var cause error
					s.handle(func(ctx context.Context, receive, send func() error) error {
						err := test.handler(ctx, receive, send)
						cause = context.Cause(ctx)
						return err
					})
					s.sent = strings.HasPrefix(d.name, "gRPC ") || d.name == "gRPC"
					s.sent = s.sent && test.name == "in Send"
					result := s.open(t.Context(), d, procedure)
					s.wantEnd(result, s.end(), "INVALID_TOKEN")
					err := s.returned()
					if denial, ok := errors.AsType[*middleware.Denial](cause); !ok || denial.Class != middleware.ClassInvalidToken {
						t.Errorf("cause %v", cause)
					}
					if test.name != "without an error" && err == nil {
						t.Error("the handler got no error")
					}
				})
			}
		}
	}
}

// TestStreamExpires covers R-GR-07: a stream ends at the expiry of its token, and no
// earlier.
func TestStreamExpires(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newStreaming(t)
			s.token = s.Sign(testissuer.Token{Scope: "orders:read", Lifetime: 2 * time.Second})
			s.handle(func(ctx context.Context, _, _ func() error) error { <-ctx.Done(); return ctx.Err() })
			result := s.open(t.Context(), d, watch)
			exp := middleware.TokenFrom(s.wait()).Expiry()
			s.wantEnd(result, exp, "EXPIRED_TOKEN")
			if time.Now().Before(exp) {
				t.Error("it ended before the token expired")
			}
			_ = s.returned()
		})
	}
}

// TestStreamWithoutToken covers R-GR-05 and R-GR-07: a stream of an anonymous caller ends after
// LongRequests.MaxAnonymous, with UNAVAILABLE and a delay, so that the caller comes back.
func TestStreamWithoutToken(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		if d.http == 1 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newStreaming(t)
			s.handle(func(_ context.Context, receive, _ func() error) error {
				for {
					if err := receive(); err != nil {
						return err
					}
				}
			})
			s.token = ""
			began := time.Now()
			err := s.failure(s.open(t.Context(), d, chat))
			if took := time.Since(began); took < time.Second || took > time.Second+within {
				t.Errorf("it ended after %v", took)
			}
			info, retry := info(t, err)
			if connect.CodeOf(err) != connect.CodeUnavailable || info.GetReason() != "UNAVAILABLE" || retry.GetRetryDelay().AsDuration() != time.Second {
				t.Errorf("%v, %v, %v", err, info, retry)
			}
			failed, _ := errors.AsType[*connect.Error](err)
			want := "1000"
			if len(d.options) == 0 || strings.HasPrefix(d.name, "connect") {
				want = ""
			}
			if got := failed.Meta().Get("Grpc-Retry-Pushback-Ms"); !isPushback(got, want) {
				t.Errorf("pushback %q, want %q", got, want)
			}
			_ = s.returned()
		})
	}
}

// TestStreamPeer covers R-GR-07: a stream whose client is slow, has closed its half or
// cancels the call ends, too.
func TestStreamPeer(t *testing.T) {
	t.Run("a client that does not read", func(t *testing.T) {
		for _, d := range dialects() {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				s := newStreaming(t)
				s.handle(func(_ context.Context, _, send func() error) error {
					for {
						if err := send(); err != nil {
							return err
						}
					}
				})
				c := dial(t, d, s.url, watch, s.token)
				stream, err := c.CallServerStream(t.Context(), connect.NewRequest(wrapperspb.String("?")))
				if err != nil {
					t.Fatal(err)
				}
				defer stream.Close()
				stream.Receive() // and no more
				began := s.end()
				if err := s.returned(); err == nil || time.Since(began) > within {
					t.Errorf("the handler got %v after %v", err, time.Since(began))
				}
				for stream.Receive() {
				}
				if stream.Err() == nil {
					t.Error("the client reads a good end")
				}
			})
		}
	})
	t.Run("a client that has closed its half", func(t *testing.T) {
		for _, d := range dialects() {
			if d.http == 1 {
				continue
			}
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				s := newStreaming(t)
				s.handle(func(ctx context.Context, receive, _ func() error) error {
					err := receive()
					for err == nil {
						err = receive()
					}
					<-ctx.Done()
					return nil
				})
				c := dial(t, d, s.url, chat, s.token)
				stream := c.CallBidiStream(t.Context())
				_ = stream.Send(wrapperspb.String("?"))
				_ = stream.CloseRequest()
				result := make(chan error, 1)
				go func() { _, err := stream.Receive(); result <- err }()
				s.wantEnd(result, s.end(), "INVALID_TOKEN")
				_ = s.returned()
				_ = stream.CloseResponse()
			})
		}
	})
	t.Run("a client that cancels", func(t *testing.T) {
		for _, d := range dialects() {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel()
				s := newStreaming(t)
				var cause error
				s.handle(func(ctx context.Context, _, _ func() error) error {
					<-ctx.Done()
					cause = context.Cause(ctx)
					return ctx.Err()
				})
				ctx, cancel := context.WithCancel(t.Context())
				result := s.open(ctx, d, watch)
				s.wait()
				cancel()
				if err := <-result; connect.CodeOf(err) != connect.CodeCanceled {
					t.Errorf("the client got %v", err)
				}
				_ = s.returned()
				if _, ok := errors.AsType[*middleware.Denial](cause); ok {
					t.Errorf("cause %v", cause)
				}
			})
		}
	})
}

// TestStreamPanic checks that a panic of a handler reaches the interceptors and handlers
// around the Gate, also after the stream had to end.
func TestStreamPanic(t *testing.T) {
	for _, late := range []bool{false, true} {
		s := newStreaming(t)
		service := &orders{watch: func(ctx context.Context, _ *connect.Request[text], _ *connect.ServerStream[text]) error {
			s.started <- ctx
			if late {
				<-ctx.Done()
			}
			panic("of the handler")
		}}
		recovered := make(chan any, 1)
		gated := mounted(t, s.guard, service)
		s.url = listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { recovered <- recover() }()
			gated.ServeHTTP(w, r)
		}))
		result := s.open(t.Context(), dialects()[4], watch)
		if late {
			s.end()
		}
		if got := <-recovered; got != "of the handler" {
			t.Errorf("late %t: recovered %v", late, got)
		}
		if err := <-result; err == nil {
			t.Error("the client reads a good end")
		}
		for s.guard.LongRequests().Open > 0 {
			runtime.Gosched()
		}
	}
}

// TestStreamRenews checks that a handler renews the token of its stream with one that the
// client sends in a message, and that the stream then ends with the new token.
func TestStreamRenews(t *testing.T) {
	t.Parallel()
	for _, d := range dialects() {
		if d.http == 1 {
			continue
		}
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newStreaming(t)
			s.service.chat = func(ctx context.Context, stream *connect.BidiStream[text, text]) error {
				for {
					message, err := stream.Receive()
					if err != nil {
						return err
					}
					answer := "renewed"
					if denial := middleware.HeldFrom(ctx).Renew(ctx, issuertest.Bearer(message.GetValue()), scopes.Operation{}); denial != nil {
						answer = string(denial.Class)
					}
					if err := stream.Send(wrapperspb.String(answer + " " + middleware.TokenFrom(ctx).ID())); err != nil {
						return err
					}
				}
			}
			token := func(id, subject, scope string, lifetime time.Duration) string {
				return s.Sign(testissuer.Token{Scope: scope, Lifetime: lifetime, Claims: issuertest.Claims{"jti": id, "sub": subject}})
			}
			began := time.Now()
			s.sent = d.name == "gRPC" || strings.HasPrefix(d.name, "gRPC ")
			stream := dial(t, d, s.url, chat, token("first", "alice", "orders:write", 2*time.Second)).CallBidiStream(t.Context())
			for _, step := range []struct{ token, want string }{
				{token("second", "mallory", "orders:write", time.Hour), "forbidden first"},
				{token("third", "alice", "orders:read", time.Hour), "insufficient_scope first"},
				{"x", "invalid_token first"},
				{token("fourth", "alice", "orders:write", 4*time.Second), "renewed fourth"},
			} {
				if err := stream.Send(wrapperspb.String(step.token)); err != nil {
					t.Fatal(err)
				}
				if answer, err := stream.Receive(); err != nil || answer.GetValue() != step.want {
					t.Fatalf("%v, %v, want %s", answer, err, step.want)
				}
			}
			result := make(chan error, 1)
			go func() { _, err := stream.Receive(); result <- err }()
			s.wantEnd(result, began.Add(5*time.Second), "EXPIRED_TOKEN")
			if took := time.Since(began); took < 3*time.Second {
				t.Errorf("it ended after %v", took)
			}
			_ = stream.CloseResponse()
		})
	}
}
