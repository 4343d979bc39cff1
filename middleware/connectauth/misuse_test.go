package connectauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestStreamWithoutInterceptor covers R-GR-07: calls of a stream are refused if nothing would
// end it, and calls of other methods are not.
func TestStreamWithoutInterceptor(t *testing.T) {
	issuer := issuertest.New(t)
	gate := gateOf(t, issuer.Guard(t, middleware.Config{}))
	service := new(orders)
	_, handler := newOrders(service)
	url := listen(t, gate.Handler(handler))
	token := issuer.Token(issuertest.Claims{"scope": "orders:read orders:write"})
	for _, d := range dialects() {
		for _, procedure := range []string{watch, upload, chat} {
			if procedure == chat && d.http == 1 {
				continue
			}
			if _, err := do(t.Context(), dial(t, d, url, procedure, token), procedure); connect.CodeOf(err) != connect.CodeUnavailable {
				t.Errorf("%s %s: %v", d.name, procedure, err)
			}
		}
	}
	if ran := service.ran.Load(); ran != 0 {
		t.Errorf("%d streams reached the handler", ran)
	}
	if _, err := do(t.Context(), dial(t, dialects()[0], url, getOrder, token), getOrder); err != nil {
		t.Error(err)
	}
}

// wrapping is an interceptor that changes errors, as those for logs do.
type wrapping func(error) error

func (w wrapping) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		response, err := next(ctx, r)
		return response, w(err)
	}
}

func (wrapping) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (w wrapping) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error { return w(next(ctx, conn)) }
}

// TestWrapped covers R-GR-09: interceptors that wrap errors change neither code nor details of
// the end of a stream, on either side of the Gate's, and the client reads a constant text
// without the cause.
func TestWrapped(t *testing.T) {
	const secret = "canary"
	for name, wrap := range map[string]wrapping{
		"wrapped": func(err error) error {
			if err == nil {
				return nil
			}
			return fmt.Errorf(secret+": %w", err)
		},
		"joined": func(err error) error {
			if err == nil {
				return nil
			}
			return errors.Join(errors.New(secret), err)
		},
		"replaced": func(error) error { return errors.New(secret) },
	} {
		for _, outside := range []bool{false, true} {
			if outside && name == "replaced" {
				continue // what is outside has the last word
			}
			for _, d := range []dialect{dialects()[0], dialects()[4], dialects()[6]} {
				t.Run(fmt.Sprintf("%s, outside %t, %s", name, outside, d.name), func(t *testing.T) {
					s := newStreaming(t)
					s.handle(func(ctx context.Context, _, _ func() error) error { <-ctx.Done(); return ctx.Err() })
					gate := gateOf(t, s.guard)
					interceptors := []connect.Interceptor{gate.Interceptor(), wrap}
					if outside {
						interceptors = []connect.Interceptor{wrap, gate.Interceptor()}
					}
					_, handler := newOrders(s.service, connect.WithInterceptors(interceptors...))
					s.url = listen(t, gate.Handler(handler))
					s.sent = d.name == "gRPC"
					result := s.open(t.Context(), d, watch)
					s.end()
					err := s.failure(result)
					info, _ := info(t, err)
					if connect.CodeOf(err) != connect.CodeUnauthenticated || info.GetReason() != "INVALID_TOKEN" || !strings.HasSuffix(err.Error(), ": the access token is invalid") {
						t.Errorf("the client got %v, %v", err, info)
					}
					_ = s.returned()
				})
			}
		}
	}
}

// TestRenewHook checks that a message with a new token renews the stream and does not reach
// the handler, that a refused one changes nothing, and that a panic of the hook makes the
// message an ordinary one.
func TestRenewHook(t *testing.T) {
	t.Parallel()
	s := newStreaming(t)
	gate, err := connectauth.NewGate(connectauth.Config{
		Guard: s.guard, Procedures: policies(), Services: []protoreflect.ServiceDescriptor{descriptor(t)},
		Renew: func(procedure string, message any) (string, bool) {
			value := message.(*text).GetValue()
			if value == "panic" || procedure != chat {
				panic(value)
			}
			return strings.CutPrefix(value, "renew ")
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.service.chat = func(ctx context.Context, stream *connect.BidiStream[text, text]) error {
		for {
			message, err := stream.Receive()
			if err != nil {
				return err
			}
			if err := stream.Send(wrapperspb.String(message.GetValue() + " " + middleware.TokenFrom(ctx).ID())); err != nil {
				return err
			}
		}
	}
	mux := http.NewServeMux()
	mux.Handle(connectauth.Gated(gate, newOrders)(s.service))
	s.url = listen(t, mux)
	token := func(id, subject string) string {
		return s.Sign(testissuer.Token{Scope: "orders:write", Lifetime: time.Hour, Claims: issuertest.Claims{"jti": id, "sub": subject}})
	}
	stream := dial(t, dialects()[4], s.url, chat, token("first", "alice")).CallBidiStream(t.Context())
	for _, message := range []string{
		"panic", "renew Bearer " + token("second", "mallory"), "renew Basic x", "renew malformed", "renew Bearer " + token("third", "alice"), "last",
	} {
		if err := stream.Send(wrapperspb.String(message)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"panic first", "last third"} {
		if answer, err := stream.Receive(); err != nil || answer.GetValue() != want {
			t.Fatalf("%v, %v, want %s", answer, err, want)
		}
	}
	_ = stream.CloseRequest()
	_ = stream.CloseResponse()
}
