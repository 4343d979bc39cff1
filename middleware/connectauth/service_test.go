package connectauth_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
	"github.com/sallyport-auth/sallyport/scopes"
)

// The procedures of the service under test, as generated code names them.
const (
	orderService = "orders.v1.OrderService"

	getOrder   = "/orders.v1.OrderService/GetOrder"   // unary, without side effects
	placeOrder = "/orders.v1.OrderService/PlaceOrder" // unary
	shipOrder  = "/orders.v1.OrderService/ShipOrder"  // unary, with step-up
	listShops  = "/orders.v1.OrderService/ListShops"  // unary, public
	watch      = "/orders.v1.OrderService/Watch"      // server stream
	upload     = "/orders.v1.OrderService/Upload"     // client stream
	chat       = "/orders.v1.OrderService/Chat"       // bidi stream
)

// policies returns the policies of the service.
func policies() connectauth.Procedures {
	return connectauth.Procedures{
		getOrder:   scopes.All("orders:read"),
		placeOrder: scopes.All("orders:write"),
		shipOrder:  scopes.And(scopes.All("orders:write"), scopes.ACR("mfa")),
		listShops:  scopes.Public(),
		watch:      scopes.All("orders:read"),
		upload:     scopes.All("orders:write"),
		chat:       scopes.Optional(scopes.All("orders:write")),
	}
}

// text is the message of every method.
type text = wrapperspb.StringValue

// descriptor returns the descriptor of the service.
func descriptor(tb testing.TB) protoreflect.ServiceDescriptor {
	tb.Helper()
	method := func(name string, client, server bool) *descriptorpb.MethodDescriptorProto {
		return &descriptorpb.MethodDescriptorProto{
			Name: new(name), InputType: new(".google.protobuf.StringValue"), OutputType: new(".google.protobuf.StringValue"),
			ClientStreaming: new(client), ServerStreaming: new(server),
		}
	}
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: new("orders/v1/orders.proto"), Package: new("orders.v1"), Syntax: new("proto3"),
		Dependency: []string{"google/protobuf/wrappers.proto"},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: new("OrderService"), Method: []*descriptorpb.MethodDescriptorProto{
			method("GetOrder", false, false), method("PlaceOrder", false, false), method("ShipOrder", false, false), method("ListShops", false, false),
			method("Watch", false, true), method("Upload", true, false), method("Chat", true, true),
		}}},
	}, fileResolver{wrapperspb.File_google_protobuf_wrappers_proto})
	if err != nil {
		tb.Fatal(err)
	}
	return file.Services().Get(0)
}

// fileResolver finds one file.
type fileResolver struct{ file protoreflect.FileDescriptor }

func (r fileResolver) FindFileByPath(string) (protoreflect.FileDescriptor, error) { return r.file, nil }

func (r fileResolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d := r.file.Messages().ByName(name.Name()); d != nil {
		return d, nil
	}
	return nil, errors.New("not found")
}

// orders is the service. A nil method answers with the subject of the token.
type orders struct {
	ran atomic.Int64 // calls of any method

	get    func(context.Context, *connect.Request[text]) (*connect.Response[text], error)
	watch  func(context.Context, *connect.Request[text], *connect.ServerStream[text]) error
	upload func(context.Context, *connect.ClientStream[text]) (*connect.Response[text], error)
	chat   func(context.Context, *connect.BidiStream[text, text]) error
}

func caller(ctx context.Context) *text {
	return wrapperspb.String("for " + middleware.TokenFrom(ctx).Subject())
}

func (o *orders) unary(ctx context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
	o.ran.Add(1)
	if o.get != nil {
		return o.get(ctx, r)
	}
	return connect.NewResponse(caller(ctx)), nil
}

func (o *orders) serverStream(ctx context.Context, r *connect.Request[text], stream *connect.ServerStream[text]) error {
	o.ran.Add(1)
	if o.watch != nil {
		return o.watch(ctx, r, stream)
	}
	return stream.Send(caller(ctx))
}

func (o *orders) clientStream(ctx context.Context, stream *connect.ClientStream[text]) (*connect.Response[text], error) {
	o.ran.Add(1)
	if o.upload != nil {
		return o.upload(ctx, stream)
	}
	for stream.Receive() {
	}
	return connect.NewResponse(caller(ctx)), stream.Err()
}

func (o *orders) bidiStream(ctx context.Context, stream *connect.BidiStream[text, text]) error {
	o.ran.Add(1)
	if o.chat != nil {
		return o.chat(ctx, stream)
	}
	for {
		if _, err := stream.Receive(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := stream.Send(caller(ctx)); err != nil {
			return err
		}
	}
}

// newOrders has the form of a generated constructor.
func newOrders(o *orders, options ...connect.HandlerOption) (string, http.Handler) {
	mux := http.NewServeMux()
	idempotent := connect.WithHandlerOptions(append([]connect.HandlerOption{connect.WithIdempotency(connect.IdempotencyNoSideEffects)}, options...)...)
	mux.Handle(getOrder, connect.NewUnaryHandler(getOrder, o.unary, idempotent))
	for _, procedure := range []string{placeOrder, shipOrder, listShops} {
		mux.Handle(procedure, connect.NewUnaryHandler(procedure, o.unary, options...))
	}
	mux.Handle(watch, connect.NewServerStreamHandler(watch, o.serverStream, options...))
	mux.Handle(upload, connect.NewClientStreamHandler(upload, o.clientStream, options...))
	mux.Handle(chat, connect.NewBidiStreamHandler(chat, o.bidiStream, options...))
	return "/" + orderService + "/", mux
}

// gateOf returns the Gate of policies for guard.
func gateOf(tb testing.TB, guard *middleware.Guard) *connectauth.Gate {
	tb.Helper()
	gate, err := connectauth.NewGate(connectauth.Config{Guard: guard, Procedures: policies(), Services: []protoreflect.ServiceDescriptor{descriptor(tb)}})
	if err != nil {
		tb.Fatal(err)
	}
	return gate
}

// mounted returns o behind guard.
func mounted(tb testing.TB, guard *middleware.Guard, o *orders) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	mux.Handle(connectauth.Gated(gateOf(tb, guard), newOrders)(o))
	return mux
}

// listen serves handler over HTTP/1.1 and, without TLS, HTTP/2.
func listen(tb testing.TB, handler http.Handler) (url string) {
	tb.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	tb.Cleanup(server.Close)
	return server.URL
}

// client returns an HTTP client that uses one version of HTTP.
func client(tb testing.TB, major int) *http.Client {
	tb.Helper()
	transport := &http.Transport{Protocols: new(http.Protocols), TLSClientConfig: &tls.Config{}, DialContext: new(net.Dialer).DialContext}
	transport.Protocols.SetHTTP1(major == 1)
	transport.Protocols.SetUnencryptedHTTP2(major == 2)
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// dialect is a way in which clients call.
type dialect struct {
	name    string
	http    int
	options []connect.ClientOption
}

func dialects() []dialect {
	return []dialect{
		{"connect over HTTP/1.1", 1, nil},
		{"connect over HTTP/2", 2, nil},
		{"connect with JSON", 1, []connect.ClientOption{connect.WithProtoJSON()}},
		{"connect with gzip", 2, []connect.ClientOption{connect.WithSendGzip()}},
		{"gRPC", 2, []connect.ClientOption{connect.WithGRPC()}},
		{"gRPC with JSON and gzip", 2, []connect.ClientOption{connect.WithGRPC(), connect.WithProtoJSON(), connect.WithSendGzip()}},
		{"gRPC-Web over HTTP/1.1", 1, []connect.ClientOption{connect.WithGRPCWeb()}},
		{"gRPC-Web over HTTP/2", 2, []connect.ClientOption{connect.WithGRPCWeb()}},
	}
}

// dial returns a client for procedure that presents token, or no credentials if it is
// empty.
func dial(tb testing.TB, d dialect, url, procedure, token string) *connect.Client[text, text] {
	tb.Helper()
	return connect.NewClient[text, text](client(tb, d.http), url+procedure, append([]connect.ClientOption{connect.WithInterceptors(bearer(token))}, d.options...)...)
}

// bearer is an interceptor of clients that presents a token.
type bearer string

func (b bearer) set(header http.Header) {
	if b != "" {
		header.Set("Authorization", "Bearer "+string(b))
	}
}

func (b bearer) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		b.set(r.Header())
		return next(ctx, r)
	}
}

func (b bearer) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		b.set(conn.RequestHeader())
		return conn
	}
}

func (bearer) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// do makes one call of any kind and returns the answer.
func do(ctx context.Context, c *connect.Client[text, text], procedure string) (answer string, err error) {
	switch procedure {
	case watch:
		stream, err := c.CallServerStream(ctx, connect.NewRequest(wrapperspb.String("?")))
		if err != nil {
			return "", err
		}
		defer stream.Close()
		for stream.Receive() {
			answer = stream.Msg().GetValue()
		}
		return answer, stream.Err()
	case upload:
		stream := c.CallClientStream(ctx)
		_ = stream.Send(wrapperspb.String("?"))
		response, err := stream.CloseAndReceive()
		if err != nil {
			return "", err
		}
		return response.Msg.GetValue(), nil
	case chat:
		stream := c.CallBidiStream(ctx)
		defer stream.CloseResponse()
		_ = stream.Send(wrapperspb.String("?"))
		_ = stream.CloseRequest()
		for {
			message, err := stream.Receive()
			if errors.Is(err, io.EOF) {
				return answer, nil
			} else if err != nil {
				return "", err
			}
			answer = message.GetValue()
		}
	default:
		response, err := c.CallUnary(ctx, connect.NewRequest(wrapperspb.String("?")))
		if err != nil {
			return "", err
		}
		return response.Msg.GetValue(), nil
	}
}

// info returns the details of err.
func info(tb testing.TB, err error) (info *errdetails.ErrorInfo, retry *errdetails.RetryInfo) {
	tb.Helper()
	failed, ok := errors.AsType[*connect.Error](err)
	if !ok {
		tb.Fatalf("%v is no error of Connect", err)
	}
	for _, detail := range failed.Details() {
		value, err := detail.Value()
		if err != nil {
			tb.Fatal(err)
		}
		switch value := value.(type) {
		case *errdetails.ErrorInfo:
			info = value
		case *errdetails.RetryInfo:
			retry = value
		default:
			tb.Errorf("detail %T", value)
		}
	}
	return info, retry
}
