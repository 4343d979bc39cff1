package adapters

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	grpcprom "github.com/grpc-ecosystem/go-grpc-middleware/providers/prometheus"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/metrics"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

const (
	ordersService = "adapters.v1.Orders"
	getMethod     = "/" + ordersService + "/Get"
	watchMethod   = "/" + ordersService + "/Watch"
)

// withMetrics returns a Guard whose series are in a registry.
func withMetrics(t *testing.T, issuer *issuertest.Issuer) (*middleware.Guard, *prometheus.Registry) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	trace, err := metrics.New(registry)
	if err != nil {
		t.Fatal(err)
	}
	return issuer.Guard(t, middleware.Config{Trace: trace}), registry
}

// values returns the counters and gauges of a family by the values of the labels that are
// named.
func values(t *testing.T, registry *prometheus.Registry, family string, labels ...string) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sums := make(map[string]float64)
	for _, f := range families {
		if f.GetName() != family {
			continue
		}
		for _, m := range f.GetMetric() {
			var key strings.Builder
			for _, label := range labels {
				for _, pair := range m.GetLabel() {
					if pair.GetName() == label {
						key.WriteString(pair.GetValue() + " ")
					}
				}
			}
			sums[key.String()] += m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return sums
}

// seriesOf returns the number of series.
func seriesOf(t *testing.T, registry *prometheus.Registry) int {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range families {
		n += len(f.GetMetric())
	}
	return n
}

// TestFloodOfCalls (R-OB-07, A9) checks that random methods of gRPC and Connect, with random
// tokens and metadata, add no series.
func TestFloodOfCalls(t *testing.T) {
	issuer := issuertest.New(t)
	guard, registry := withMetrics(t, issuer)
	gate, err := grpcauth.New(guard, grpcauth.Methods{getMethod: scopes.All("read")})
	if err != nil {
		t.Fatal(err)
	}
	connectGate, err := connectauth.New(guard, connectauth.Procedures{getMethod: scopes.All("read")})
	if err != nil {
		t.Fatal(err)
	}
	procedures := http.NewServeMux()
	procedures.Handle(getMethod, connect.NewUnaryHandler(getMethod, func(context.Context, *connect.Request[emptypb.Empty]) (*connect.Response[emptypb.Empty], error) {
		return connect.NewResponse(new(emptypb.Empty)), nil
	}, connect.WithInterceptors(connectGate.Interceptor())))
	handler, unary := connectGate.Handler(procedures), gate.Unary()
	good := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})
	random := func() string { return fmt.Sprintf("x%x", rand.Uint64()) }
	methods := []func() string{func() string { return getMethod }, func() string { return "/" + ordersService + "/" + random() }, func() string { return "/" + random() + "/" + random() }, random}
	tokens := []func() string{
		func() string { return "" }, func() string { return good }, random, func() string { return "Bearer " + random() },
		func() string {
			return "Bearer " + issuer.Sign(testissuer.Token{Header: map[string]any{"kid": random()}})
		},
		func() string {
			return "Bearer " + issuer.Sign(testissuer.Token{Claims: map[string]any{"iss": "https://" + random() + ".test"}})
		},
	}
	call := func(method, token string) {
		fields := metadata.Pairs(":authority", random()+".test", random(), random())
		r := httptest.NewRequest(http.MethodPost, "http://"+random()+".test/", http.NoBody)
		r.URL.Path = "/" + method[min(1, len(method)-1):]
		r.Header.Set("Content-Type", []string{"application/proto", "application/grpc", "application/grpc-web", random()}[rand.N(4)])
		if token != "" {
			fields.Set("authorization", token)
			r.Header.Set("Authorization", token)
		}
		_, _ = unary(metadata.NewIncomingContext(t.Context(), fields), nil, &grpc.UnaryServerInfo{FullMethod: method}, func(context.Context, any) (any, error) { return "", nil })
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	for range 20 {
		for _, method := range methods {
			for _, token := range tokens {
				call(method(), token())
			}
		}
	}
	before := seriesOf(t, registry)
	for range 5000 {
		call(methods[rand.N(len(methods))](), tokens[rand.N(len(tokens))]())
	}
	if after := seriesOf(t, registry); after != before {
		t.Errorf("%d series, %d before: %v", after, before, values(t, registry, "sallyport_route_decisions_total", "transport", "route", "outcome", "reason"))
	}
	routes := values(t, registry, "sallyport_route_decisions_total", "transport", "route")
	for _, route := range []string{"grpc " + getMethod + " ", "grpc unlisted ", "connect " + getMethod + " "} {
		if routes[route] == 0 {
			t.Errorf("no decisions of %q: %v", route, routes)
		}
	}
	runtime.KeepAlive(guard)
}

// ordersDescription is a service with a unary method, and a stream that ends with its
// context.
func ordersDescription() *grpc.ServiceDesc {
	get := func(_ any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
		in := new(emptypb.Empty)
		if err := decode(in); err != nil {
			return nil, err
		}
		return interceptor(ctx, in, &grpc.UnaryServerInfo{FullMethod: getMethod}, func(context.Context, any) (any, error) { return in, nil })
	}
	watch := func(_ any, stream grpc.ServerStream) error {
		if err := stream.SendMsg(wrapperspb.String("begun")); err != nil {
			return err
		}
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	return &grpc.ServiceDesc{
		ServiceName: ordersService, HandlerType: (*any)(nil),
		Methods: []grpc.MethodDesc{{MethodName: "Get", Handler: get}},
		Streams: []grpc.StreamDesc{{StreamName: "Watch", Handler: watch, ServerStreams: true}},
	}
}

// serverBehind is the recipe of docs/metrics.md for grpc-go.
func serverBehind(gate *grpcauth.Gate, methods grpcauth.Methods, calls *grpcprom.ServerMetrics) *grpc.Server {
	streams := calls.StreamServerInterceptor()
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(calls.UnaryServerInterceptor()), // first, so that it sees what the gate answers
		grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if _, known := methods[info.FullMethod]; !known { // a name that a client made up
				return handler(server, stream)
			}
			return streams(server, stream, info, handler)
		}),
	}
	return grpc.NewServer(append(options, gate.ServerOptions()...)...)
}

// TestInFrontOfGate (A6) checks the recipe for grpc-go: the collector of go-grpc-middleware
// in front of the gate counts each refusal once, with its code, and streams that the gate
// ends as Unauthenticated.
func TestInFrontOfGate(t *testing.T) {
	issuer := issuertest.New(t)
	guard, registry := withMetrics(t, issuer)
	methods := grpcauth.Methods{getMethod: scopes.All("read"), watchMethod: scopes.All("read")}
	gate, err := grpcauth.New(guard, methods)
	if err != nil {
		t.Fatal(err)
	}
	calls := grpcprom.NewServerMetrics()
	registry.MustRegister(calls)
	server := serverBehind(gate, methods, calls)
	server.RegisterService(ordersDescription(), nil)
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	as := func(token string) context.Context {
		if token == "" {
			return t.Context()
		}
		return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
	}
	rise := func(before, after map[string]float64) map[string]float64 {
		risen := make(map[string]float64)
		for key, n := range after {
			if n != before[key] {
				risen[key] = n - before[key]
			}
		}
		return risen
	}
	theirs := func() map[string]float64 { return values(t, registry, "grpc_server_handled_total", "grpc_code") }
	ours := func() map[string]float64 {
		return values(t, registry, "sallyport_decisions_total", "outcome", "reason")
	}
	for _, row := range []struct {
		name, token, method string
		code                codes.Code
		decision            string
	}{
		{"passes", issuer.Sign(testissuer.Token{Scope: "read"}), getMethod, codes.OK, "allowed none "},
		{"no token", "", getMethod, codes.Unauthenticated, "denied no_credentials "},
		{"malformed", "a", getMethod, codes.Unauthenticated, "denied malformed_token "},
		{"lacks a scope", issuer.Sign(testissuer.Token{}), getMethod, codes.PermissionDenied, "denied insufficient_scope "},
	} {
		wasTheirs, wasOurs := theirs(), ours()
		if err := conn.Invoke(as(row.token), row.method, new(emptypb.Empty), new(emptypb.Empty)); status.Code(err) != row.code {
			t.Errorf("%s: %v", row.name, err)
		}
		if risen := rise(wasTheirs, theirs()); len(risen) != 1 || risen[row.code.String()+" "] != 1 {
			t.Errorf("%s: the collector counts %v", row.name, risen)
		}
		if risen := rise(wasOurs, ours()); len(risen) != 1 || risen[row.decision] != 1 {
			t.Errorf("%s: sallyport counts %v", row.name, risen)
		}
	}

	before, wasOurs := seriesOf(t, registry), ours()
	for i := range 20 {
		if err := conn.Invoke(as(""), fmt.Sprintf("/made.up.v1/M%d", i), new(emptypb.Empty), new(emptypb.Empty)); status.Code(err) != codes.Unauthenticated {
			t.Errorf("unknown method: %v", err)
		}
	}
	if n, risen := seriesOf(t, registry)-before, rise(wasOurs, ours()); n > 1 || risen["denied no_credentials "] != 20 { // one for the route "unlisted"
		t.Errorf("unknown methods add %d series; sallyport counts %v", n, risen)
	}

	wasTheirs := theirs()
	token := issuer.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"exp": time.Now().Add(-28 * time.Second).Unix()}}) // within the leeway
	stream, err := conn.NewStream(as(token), &grpc.StreamDesc{ServerStreams: true}, watchMethod)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(new(emptypb.Empty)); err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = stream.RecvMsg(new(wrapperspb.StringValue))
	}
	if status.Code(err) != codes.Unauthenticated {
		t.Fatalf("the stream ends with %v", err)
	}
	server.GracefulStop() // the collector has counted when the handlers have returned
	if risen := rise(wasTheirs, theirs()); risen["Unauthenticated "] != 1 {
		t.Errorf("the collector counts %v for a stream whose token expired", risen)
	}
	ended := func() float64 {
		return values(t, registry, "sallyport_held_requests_ended_total", "reason")["expired "]
	}
	for began := time.Now(); ended() != 1 && time.Since(began) < time.Minute; { // hooks of ends have a goroutine of their own
		runtime.Gosched()
	}
	if n := ended(); n != 1 {
		t.Errorf("sallyport counts %v ends because of expiry", n)
	}
	runtime.KeepAlive(guard)
}
