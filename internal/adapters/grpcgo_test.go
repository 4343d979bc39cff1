package adapters

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
	"github.com/sallyport-auth/sallyport/scopes"
)

// dial returns a connection of grpc-go to a server of net/http.
func dial(t *testing.T, url string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// dialConnect returns a connection of grpc-go to handlers of Connect.
func dialConnect(t *testing.T, guard *middleware.Guard, rows []row) *grpc.ClientConn {
	t.Helper()
	return dial(t, serve(t, connectHandler(t, guard, rows)))
}

// TestStreamOfConnect covers R-GR-07: a client of grpc-go gets the class when a stream of a
// Connect handler ends with its token, whether the handler waits in Receive, on its
// context, sends, or ignores its context.
func TestStreamOfConnect(t *testing.T) {
	const procedure = "/adapters.v1.Streams/Chat"
	type bidi = connect.BidiStream[wrapperspb.StringValue, wrapperspb.StringValue]
	resume := make(chan struct{})
	defer close(resume)
	for name, handler := range map[string]func(context.Context, *bidi) error{
		"in Receive": func(_ context.Context, stream *bidi) error {
			for {
				if _, err := stream.Receive(); err != nil {
					return err
				}
			}
		},
		"on the context": func(ctx context.Context, _ *bidi) error { <-ctx.Done(); return ctx.Err() },
		"on nothing":     func(context.Context, *bidi) error { <-resume; return nil },
		"in Send": func(_ context.Context, stream *bidi) error {
			for {
				if err := stream.Send(wrapperspb.String(strings.Repeat("x", 1<<10))); err != nil {
					return err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := issuertest.New(t)
			guard := issuer.Guard(t, middleware.Config{})
			gate, err := connectauth.New(guard, connectauth.Procedures{procedure: scopes.All("chat")})
			if err != nil {
				t.Fatal(err)
			}
			started := make(chan context.Context, 1)
			conn := dial(t, serve(t, gate.Handler(connect.NewBidiStreamHandler(procedure, func(ctx context.Context, stream *bidi) error {
				started <- ctx
				return handler(ctx, stream)
			}, connect.WithInterceptors(gate.Interceptor())))))
			ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+issuer.Token(issuertest.Claims{"scope": "chat"}))
			stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, procedure)
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.SendMsg(wrapperspb.String("?")); err != nil {
				t.Fatal(err)
			}
			_, key := middleware.TokenFrom(<-started).Key()
			if err := guard.Validator().ForbidKey(t.Context(), issuer.URL(), key); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			for err == nil {
				err = stream.RecvMsg(new(wrapperspb.StringValue))
			}
			if took := time.Since(began); took > 1500*time.Millisecond { // one second, on a machine that does other work
				t.Errorf("it ended after %v", took)
			}
			st := status.Convert(err)
			if err == io.EOF || st.Code() != codes.Unauthenticated || st.Message() != "the access token is invalid" || len(st.Details()) != 1 { //nolint:errorlint // RecvMsg returns it as it is
				t.Fatalf("the client got %v, %v", err, st.Details())
			}
			if info, ok := st.Details()[0].(*errdetails.ErrorInfo); !ok || info.GetReason() != "INVALID_TOKEN" {
				t.Errorf("details %v", st.Details())
			}
		})
	}
}

// TestRetryOfConnect covers R-GR-05: a client of grpc-go with a retry policy for UNAVAILABLE waits
// as long as a refusal of a Connect handler says.
func TestRetryOfConnect(t *testing.T) {
	issuers, told := newIssuers(t), new(decisions)
	guard := issuers.guard(t, middleware.Config{Trace: told.trace()})
	gate, err := connectauth.New(guard, connectauth.Procedures{method(0): scopes.Authenticated()})
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, gate.Handler(http.NotFoundHandler()))
	conn, err := grpc.NewClient(strings.TrimPrefix(url, "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(`{"methodConfig": [{
		"name": [{}],
		"retryPolicy": {"maxAttempts": 2, "initialBackoff": "0.001s", "maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}
	}]}`))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer down_"+strings.Repeat("a", 40))
	err = conn.Invoke(ctx, method(0), new(wrapperspb.StringValue), new(wrapperspb.StringValue))
	attempts := told.taken()
	if status.Code(err) != codes.Unavailable || len(attempts) != 2 {
		t.Fatalf("%v after %d attempts", err, len(attempts))
	}
	if pause := attempts[1].Start.Sub(attempts[0].Start); pause < attempts[0].Denial.RetryAfter {
		t.Errorf("the second attempt came after %v, before %v", pause, attempts[0].Denial.RetryAfter)
	}
}
