package gatewayauth_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
	"github.com/sallyport-auth/sallyport/middleware/gatewayauth/internal/orders"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// policies are those of the methods of the service, by name.
func policies() map[string]scopes.Policy {
	return map[string]scopes.Policy{
		"Get":    scopes.All("orders:read"),
		"Create": scopes.All("orders:read", "orders:write"),
		"Delete": scopes.And(scopes.All("orders:admin"), scopes.ACR("urn:mfa")),
		"Watch":  scopes.All("orders:read"),
		"Status": scopes.Public(),
		"Browse": scopes.Optional(scopes.All("orders:read")),
	}
}

// service is the implementation of the service. Its handlers ask the token.
type service struct {
	orders.UnimplementedOrdersServer

	calls atomic.Int64
	fails error         // what the handlers return, if it is not nil
	sends int           // the messages that Watch sends before it fails
	ended chan struct{} // closed by the test to let Watch fail
}

func (s *service) answer(ctx context.Context, id, scope string) (*orders.Order, error) {
	token := middleware.TokenFrom(ctx)
	if scope != "" && !token.HasScope(scope) {
		return nil, status.Error(codes.PermissionDenied, "the handler wants "+scope)
	}
	s.calls.Add(1)
	return &orders.Order{Id: id, Owner: token.Subject()}, s.fails
}

func (s *service) Get(ctx context.Context, r *orders.OrderRequest) (*orders.Order, error) {
	return s.answer(ctx, r.GetId(), "orders:read")
}

func (s *service) Create(ctx context.Context, o *orders.Order) (*orders.Order, error) {
	return s.answer(ctx, o.GetId(), "orders:write")
}

func (s *service) Delete(ctx context.Context, r *orders.OrderRequest) (*orders.Order, error) {
	return s.answer(ctx, r.GetId(), "orders:admin")
}

func (s *service) Status(ctx context.Context, r *orders.OrderRequest) (*orders.Order, error) {
	return s.answer(ctx, r.GetId(), "")
}

func (s *service) Browse(ctx context.Context, r *orders.OrderRequest) (*orders.Order, error) {
	return s.answer(ctx, r.GetId(), "")
}

func (s *service) Watch(r *orders.OrderRequest, stream grpc.ServerStreamingServer[orders.Order]) error {
	order, err := s.answer(stream.Context(), r.GetId(), "orders:read")
	if order == nil {
		return err
	}
	for range s.sends {
		if err := stream.Send(order); err != nil {
			return err
		}
	}
	if s.ended != nil {
		<-s.ended
	}
	return err
}

// gate is the least that a server needs to ask a Guard. The tests of module
// internal/adapters have the real one.
type gate struct {
	routes map[string]*middleware.Route
	forced atomic.Pointer[middleware.Denial] // the answer to every call, if it is not nil

	mu   sync.Mutex
	seen []metadata.MD
}

func newGate(t *testing.T, guard *middleware.Guard) *gate {
	t.Helper()
	g := &gate{routes: map[string]*middleware.Route{}}
	for name, policy := range policies() {
		full := "/" + orders.Orders_ServiceDesc.ServiceName + "/" + name
		route, err := guard.Over("grpc").Route(full, policy)
		if err != nil {
			t.Fatal(err)
		}
		g.routes[full] = route
	}
	return g
}

// check returns the context of the handler, which has the token, or the error of a
// refused call.
func (g *gate) check(ctx context.Context, method string) (*middleware.Held, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	g.mu.Lock()
	g.seen = append(g.seen, md)
	g.mu.Unlock()
	route := g.routes[method]
	denial := g.forced.Load()
	if denial == nil {
		p, err := middleware.Credentials(md["authorization"], md["dpop"])
		if err != nil && !route.Policy().IsPublic() {
			denial = route.Refuse(ctx, err)
		} else {
			verdict := route.Check(ctx, p, scopes.Operation{})
			if denial = verdict.Denial(); denial == nil {
				return route.Hold(ctx, verdict, middleware.Holding{Presentation: p}), nil
			}
		}
	}
	return nil, errorOf(denial)
}

// errorOf returns the error by which a gate refuses a call.
func errorOf(denial *middleware.Denial) error {
	reason, md := denial.ErrorInfo()
	s, err := status.New(codes.Code(denial.Class.GRPC()), "refused: "+reason).WithDetails(
		&errdetails.ErrorInfo{Domain: middleware.ErrorDomain, Reason: reason, Metadata: md},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(denial.RetryAfter)},
	)
	if err != nil {
		return err
	}
	return s.Err()
}

func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	held, err := g.check(ctx, info.FullMethod)
	if err != nil {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("www-authenticate", "Bearer", "x-secret", "cause"))
		return nil, err
	}
	defer held.Release()
	return handler(held.Context(), req) //nolint:contextcheck // it is a child of ctx
}

func (g *gate) stream(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	held, err := g.check(stream.Context(), info.FullMethod)
	if err != nil {
		stream.SetTrailer(metadata.Pairs("www-authenticate", "Bearer", "x-secret", "cause"))
		return err
	}
	defer held.Release()
	return handler(srv, &checkedStream{ServerStream: stream, ctx: held.Context()})
}

type checkedStream struct {
	grpc.ServerStream

	ctx context.Context
}

func (s *checkedStream) Context() context.Context { return s.ctx }

// backend is a gRPC server behind the gate, on a loopback address.
type backend struct {
	*service

	issuer *issuertest.Issuer
	guard  *middleware.Guard
	gate   *gate
	addr   string

	mu      sync.Mutex
	denials []*middleware.Denial
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{service: new(service), issuer: issuertest.New(t)}
	b.guard = b.issuer.Guard(t, middleware.Config{
		ResourceMetadata: "https://api.test/.well-known/oauth-protected-resource",
		Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.denials = append(b.denials, d.Denial)
		}},
	}, func(c *validator.Issuer) { c.ACRs = []string{"urn:mfa"} })
	b.gate = newGate(t, b.guard)
	server := grpc.NewServer(grpc.ChainUnaryInterceptor(b.gate.unary), grpc.ChainStreamInterceptor(b.gate.stream))
	orders.RegisterOrdersServer(server, b)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() { server.Stop(); <-done })
	b.addr = listener.Addr().String()
	return b
}

// front starts a gateway in front of b, with the options of this package and then more.
func (b *backend) front(t *testing.T, config gatewayauth.Config, more ...runtime.ServeMuxOption) string {
	t.Helper()
	gateway, err := gatewayauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return b.bare(t, append(gateway.ServeMuxOptions(), more...)...)
}

// bare starts a gateway in front of b with these options.
func (b *backend) bare(t *testing.T, options ...runtime.ServeMuxOption) string {
	t.Helper()
	mux := runtime.NewServeMux(options...)
	err := orders.RegisterOrdersHandlerFromEndpoint(t.Context(), mux, b.addr, []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, mux)
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

var client = &http.Client{Transport: &http.Transport{}, Timeout: 30 * time.Second}

// answer is the response to a request.
type answer struct {
	status  int
	header  http.Header
	body    string
	trailer http.Header
}

// call sends a request with these fields, given as names and values.
func call(t *testing.T, method, url, body string, fields ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header[fields[i]] = append(r.Header[fields[i]], fields[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	response.Header.Del("Date")
	response.Header.Del("Content-Length")
	return answer{response.StatusCode, response.Header, string(text), response.Trailer}
}

// compact returns JSON text without the spaces that protojson varies.
func compact(text string) string {
	return strings.NewReplacer(", ", ",", ": ", ":").Replace(text)
}
