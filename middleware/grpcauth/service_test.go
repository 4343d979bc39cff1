package grpcauth_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// Full methods of the service under test: one of each kind.
const (
	methodGet   = "/svc.S/Get"   // unary
	methodUp    = "/svc.S/Up"    // client stream
	methodWatch = "/svc.S/Watch" // server stream
	methodChat  = "/svc.S/Chat"  // bidirectional
)

type text = wrapperspb.StringValue

// service is the implementation of svc.S. A nil function answers at once.
type service struct {
	get    func(ctx context.Context, in *text) (*text, error)
	stream func(method string, stream grpc.ServerStream) error // of all three kinds
}

// description is what generated code has.
func description() *grpc.ServiceDesc {
	stream := func(server any, stream grpc.ServerStream) error {
		s, _ := server.(*service)
		method, _ := grpc.Method(stream.Context())
		if s.stream == nil {
			return nil
		}
		return s.stream(method, stream)
	}
	return &grpc.ServiceDesc{
		ServiceName: "svc.S",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "Get", Handler: serveGet}},
		Streams: []grpc.StreamDesc{
			{StreamName: "Up", Handler: stream, ClientStreams: true},
			{StreamName: "Watch", Handler: stream, ServerStreams: true},
			{StreamName: "Chat", Handler: stream, ClientStreams: true, ServerStreams: true},
		},
	}
}

// serveGet is the handler that generated code has for a unary method.
func serveGet(server any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) { //nolint:revive // the signature is that of grpc
	in := new(text)
	if err := decode(in); err != nil {
		return nil, err
	}
	handler := func(ctx context.Context, message any) (any, error) {
		s, _ := server.(*service)
		in, _ := message.(*text)
		if s.get == nil {
			return wrapperspb.String(in.GetValue()), nil
		}
		return s.get(ctx, in)
	}
	if interceptor == nil {
		return handler(ctx, in)
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: server, FullMethod: methodGet}, handler)
}

// policies has the scope read for every method of the service.
func policies() grpcauth.Methods {
	read := scopes.All("read")
	return grpcauth.Methods{methodGet: read, methodUp: read, methodWatch: read, methodChat: read}
}

// api is a server behind a gate, on a loopback address, with a client.
type api struct {
	*issuertest.Issuer

	t      testing.TB
	guard  *middleware.Guard
	gate   *grpcauth.Gate
	server *grpc.Server
	addr   string
	client *grpc.ClientConn
}

// setup is what a test changes of an api.
type setup struct {
	guard   middleware.Config
	leeway  validator.Leeway
	gate    grpcauth.Config // Guard is set; no Methods: policies
	service *service        // nil: answers at once
	before  []grpc.ServerOption
	after   []grpc.ServerOption
	dial    []grpc.DialOption // nil: without TLS
}

// start starts an api, which is stopped when the test ends.
func start(tb testing.TB, s setup) *api {
	tb.Helper()
	a := &api{Issuer: issuertest.Loopback(tb), t: tb}
	if s.guard.Validator == nil {
		s.guard.Validator = issuertest.Validator(tb, validator.Config{Issuers: []validator.Issuer{a.Config()}, Leeway: s.leeway})
	}
	a.guard = issuertest.Guard(tb, s.guard)
	s.gate.Guard = a.guard
	if s.gate.Methods == nil {
		s.gate.Methods = policies()
	}
	gate, err := grpcauth.NewGate(s.gate)
	if err != nil {
		tb.Fatal(err)
	}
	a.gate = gate
	options := append(append(append([]grpc.ServerOption{}, s.before...), gate.ServerOptions()...), s.after...)
	a.server = grpc.NewServer(options...)
	if s.service == nil {
		s.service = new(service)
	}
	a.server.RegisterService(description(), s.service)
	a.addr = serve(tb, a.server)
	a.client = dial(tb, a.addr, s.dial...)
	return a
}

// serve starts server on a loopback address, and stops it when the test ends.
func serve(tb testing.TB, server *grpc.Server) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	tb.Cleanup(func() {
		server.Stop()
		<-done
	})
	return listener.Addr().String()
}

// dial returns a client, which is closed when the test ends.
func dial(tb testing.TB, addr string, options ...grpc.DialOption) *grpc.ClientConn {
	tb.Helper()
	if options == nil {
		options = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	client, err := grpc.NewClient("passthrough:///"+addr, options...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

// bearer returns a token with these scopes as a client presents it.
func (a *api) bearer(scope string) string { return "Bearer " + a.Sign(testissuer.Token{Scope: scope}) }

// with returns the context of a call with these pairs of metadata.
func (a *api) with(pairs ...string) context.Context {
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	a.t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, pairs...)
}

// answer is what a client got.
type answer struct {
	out     string
	err     error
	header  metadata.MD
	trailer metadata.MD
}

// get calls Get.
func (a *api) get(ctx context.Context) answer {
	var got answer
	var out text
	got.err = a.client.Invoke(ctx, methodGet, wrapperspb.String("hello"), &out, grpc.Header(&got.header), grpc.Trailer(&got.trailer))
	got.out = out.GetValue()
	return got
}

// open opens a stream of one of the three kinds.
func (a *api) open(ctx context.Context, method string) grpc.ClientStream {
	a.t.Helper()
	stream, err := a.client.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		a.t.Fatal(err)
	}
	return stream
}

// stream opens a stream, sends one message, closes its side, and reads to the end.
func (a *api) stream(ctx context.Context, method string) answer {
	a.t.Helper()
	var got answer
	stream, err := a.client.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, method)
	if err != nil {
		got.err = err
		return got
	}
	_ = stream.SendMsg(wrapperspb.String("hello")) // the error is that of RecvMsg
	_ = stream.CloseSend()
	var out text
	for got.err = stream.RecvMsg(&out); got.err == nil; got.err = stream.RecvMsg(&out) {
		got.out += out.GetValue()
	}
	got.trailer = stream.Trailer()
	return got
}

// grpcCode returns the name of the code of an error.
func grpcCode(err error) string { return status.Code(err).String() }
