package adapters

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
)

// seen is what a client sees of the answer to a call. A front fills in what its
// transport has.
type seen struct {
	passed     bool
	subject    string // of the token, as the handler sees it; "none" without one
	status     int    // of HTTP; 0: the transport has none
	code       uint32 // of gRPC; 0: the transport has none
	denial     *middleware.Denial
	challenges []string
	retryAfter time.Duration
}

// front is a server behind an adapter with a client. The operation of row number i is
// called method(i), and stream(i) where it answers by a stream.
type front struct {
	name      string
	transport string // of the Decisions
	call      func(t *testing.T, i int, fields [][2]string) seen
}

const service = "adapters.v1.Rows"

func method(i int) string { return fmt.Sprintf("/%s/Row%d", service, i) }
func stream(i int) string { return method(i) + "Stream" }

// policies returns the policies of all methods of rows that have one.
func policies(rows []row) map[string]scopes.Policy {
	all := make(map[string]scopes.Policy)
	for i := range rows {
		if !rows[i].unlisted {
			all[method(i)], all[stream(i)] = rows[i].policy, rows[i].policy
		}
	}
	return all
}

// ran counts the calls that reached a handler.
var ran atomic.Int64

// subject returns what every handler answers.
func subject(ctx context.Context) string {
	ran.Add(1)
	if token := middleware.TokenFrom(ctx); token != nil {
		return token.Subject()
	}
	return "none"
}

// httpFront is a Mux of package middleware.
func httpFront(t *testing.T, guard *middleware.Guard, rows []row) front {
	t.Helper()
	mux := guard.NewMux()
	for i := range rows {
		if !rows[i].unlisted {
			mux.HandleFunc("POST "+method(i), rows[i].policy, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, subject(r.Context()))
			})
		}
	}
	url := serve(t, mux)
	return front{"net/http", "http", func(t *testing.T, i int, fields [][2]string) seen {
		t.Helper()
		return request(t, http.MethodPost, url+method(i), fields)
	}}
}

// serve serves handler over HTTP/1.1 and, without TLS, HTTP/2.
func serve(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// client returns an HTTP client that uses one version of HTTP.
func client(t *testing.T, major int) *http.Client {
	t.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(major == 1)
	transport.Protocols.SetUnencryptedHTTP2(major == 2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: time.Minute}
}

// request sends a request and returns what a client of HTTP sees.
func request(t *testing.T, method, url string, fields [][2]string) seen {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range fields {
		r.Header.Add(field[0], field[1])
	}
	response, err := client(t, 1).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	s := seen{passed: response.StatusCode == http.StatusOK, status: response.StatusCode, challenges: response.Header.Values("WWW-Authenticate")}
	s.retryAfter, _ = time.ParseDuration(response.Header.Get("Retry-After") + "s")
	if s.passed {
		s.subject = string(body)
	}
	return s
}

// grpcServer starts a gRPC server behind the gate of package grpcauth, and returns a
// connection to it.
func grpcServer(t *testing.T, guard *middleware.Guard, rows []row) *grpc.ClientConn {
	t.Helper()
	gate, err := grpcauth.New(guard, policies(rows))
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(gate.ServerOptions()...)
	desc := grpc.ServiceDesc{ServiceName: service, HandlerType: (*any)(nil)}
	for i := range rows {
		name := fmt.Sprintf("Row%d", i)
		desc.Methods = append(desc.Methods, grpc.MethodDesc{MethodName: name, Handler: func(_ any, ctx context.Context, decode func(any) error, intercept grpc.UnaryServerInterceptor) (any, error) {
			message := new(emptypb.Empty)
			if err := decode(message); err != nil {
				return nil, err
			}
			info := &grpc.UnaryServerInfo{FullMethod: method(i)}
			return intercept(ctx, message, info, func(ctx context.Context, _ any) (any, error) { return wrapperspb.String(subject(ctx)), nil })
		}})
		desc.Streams = append(desc.Streams, grpc.StreamDesc{StreamName: name + "Stream", ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			if err := s.RecvMsg(new(emptypb.Empty)); err != nil {
				return err
			}
			return s.SendMsg(wrapperspb.String(subject(s.Context())))
		}})
	}
	server.RegisterService(&desc, struct{}{})
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

// grpcFronts are the unary and the streaming methods of a server, called by a client of
// grpc-go.
func grpcFronts(conn *grpc.ClientConn, name, transport string) []front {
	outgoing := func(ctx context.Context, fields [][2]string) context.Context {
		md := metadata.MD{}
		for _, field := range fields {
			md.Append(field[0], field[1])
		}
		return metadata.NewOutgoingContext(ctx, md)
	}
	return []front{
		{name + ", unary", transport, func(t *testing.T, i int, fields [][2]string) seen {
			t.Helper()
			answer, trailer := new(wrapperspb.StringValue), metadata.MD{}
			err := conn.Invoke(outgoing(t.Context(), fields), method(i), new(emptypb.Empty), answer, grpc.Trailer(&trailer))
			return grpcSeen(t, answer.GetValue(), trailer, err)
		}},
		{name + ", stream", transport, func(t *testing.T, i int, fields [][2]string) seen {
			t.Helper()
			answer := new(wrapperspb.StringValue)
			s, err := newStream(outgoing(t.Context(), fields), conn, i)
			if err != nil {
				t.Fatal(err)
			}
			err = s.RecvMsg(answer)
			if err == nil {
				if end := s.RecvMsg(new(wrapperspb.StringValue)); end != io.EOF { //nolint:errorlint // RecvMsg returns it as it is
					err = end
				}
			}
			return grpcSeen(t, answer.GetValue(), s.Trailer(), err)
		}},
	}
}

// newStream calls the streaming method of row i.
func newStream(ctx context.Context, conn *grpc.ClientConn, i int) (grpc.ClientStream, error) {
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, stream(i))
	if err != nil {
		return nil, err
	}
	if err := s.SendMsg(new(emptypb.Empty)); err != nil && err != io.EOF { //nolint:errorlint // SendMsg returns it as it is
		return nil, err
	}
	return s, s.CloseSend()
}

// grpcSeen returns what a client of gRPC sees.
func grpcSeen(t *testing.T, answer string, trailer metadata.MD, err error) seen {
	t.Helper()
	if err == nil {
		return seen{passed: true, subject: answer}
	}
	st := status.Convert(err)
	s := seen{code: uint32(st.Code()), challenges: trailer["www-authenticate"]}
	for _, detail := range st.Details() {
		s.detail(t, detail)
	}
	return s
}

// detail reads a detail of an error.
func (s *seen) detail(t *testing.T, detail any) {
	t.Helper()
	switch detail := detail.(type) {
	case *errdetails.ErrorInfo:
		d, ok := middleware.ParseErrorInfo(detail.GetReason(), detail.GetMetadata(), 0)
		if !ok || detail.GetDomain() != middleware.ErrorDomain || s.denial != nil {
			t.Errorf("details: %v", detail)
		}
		s.denial = d
	case *errdetails.RetryInfo:
		s.retryAfter = detail.GetRetryDelay().AsDuration()
	default:
		t.Errorf("a detail of type %T", detail)
	}
}
