package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectiongrpc "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const audience = "https://api.test"

// api is the example on a loopback address.
type api struct {
	issuer     *testissuer.Issuer
	guard      *middleware.Guard
	connection *grpc.ClientConn
	orders     ordersv1.OrderServiceClient
}

// start serves the example until the test ends.
func start(t *testing.T) *api {
	t.Helper()
	issuer := testissuer.New(t)
	guard, err := middleware.For(validator.Issuer{URL: issuer.URL(), Audiences: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	ready := health.NewServer()
	certificate, pool := localhost(t)
	server, err := newServer(guard, ready, credentials.NewServerTLSFromCert(&certificate))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewClientTLSFromCert(pool, "example.com")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = connection.Close()
		server.Stop()
		<-ended
	})
	if err := guard.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &api{issuer, guard, connection, ordersv1.NewOrderServiceClient(connection)}
}

// localhost returns a certificate for example.com, and who vouches for it.
func localhost(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	donor := httptest.NewTLSServer(nil)
	defer donor.Close()
	pool := x509.NewCertPool()
	pool.AddCert(donor.Certificate())
	return donor.TLS.Certificates[0], pool
}

// with returns a context for calls with a token of that scope.
func (a *api) with(t *testing.T, token testissuer.Token) context.Context {
	t.Helper()
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+a.issuer.Sign(token))
}

// withScope returns a context for calls of a user who has just logged in.
func (a *api) withScope(t *testing.T, scope string) context.Context {
	t.Helper()
	return a.with(t, testissuer.Token{Scope: scope, Claims: map[string]any{"auth_time": time.Now().Unix()}})
}

// reasonOf returns the code of err and the reason of its details.
func reasonOf(err error) string {
	s := status.Convert(err)
	for _, detail := range s.Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return s.Code().String() + " " + info.GetReason()
		}
	}
	return s.Code().String()
}

// TestMethods covers R-GR-02, R-GR-03, R-GR-04 and R-GR-08: each method with each scope,
// and without a token.
func TestMethods(t *testing.T) {
	a := start(t)
	created, err := a.orders.CreateOrder(a.withScope(t, "orders:write"), &ordersv1.CreateOrderRequest{Item: "tea"})
	if err != nil {
		t.Fatal(err)
	}
	id := created.GetOrder().GetId()
	methods := map[string]func(ctx context.Context) error{
		"GetOrder": func(ctx context.Context) error {
			_, err := a.orders.GetOrder(ctx, &ordersv1.GetOrderRequest{Id: id})
			return err
		},
		"CreateOrder": func(ctx context.Context) error {
			_, err := a.orders.CreateOrder(ctx, &ordersv1.CreateOrderRequest{Item: "milk"})
			return err
		},
		"DeleteOrder": func(ctx context.Context) error {
			_, err := a.orders.DeleteOrder(ctx, &ordersv1.DeleteOrderRequest{Id: "none"})
			return err
		},
		"WatchOrders": func(ctx context.Context) error {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			stream, err := a.orders.WatchOrders(ctx, &ordersv1.WatchOrdersRequest{})
			if err != nil {
				return err
			}
			_, err = stream.Recv()
			return err
		},
	}
	const (
		passed = "OK"
		scope  = "PermissionDenied INSUFFICIENT_SCOPE"
		none   = "Unauthenticated NO_CREDENTIALS"
	)
	old := a.with(t, testissuer.Token{Scope: "orders:admin", Claims: map[string]any{"auth_time": time.Now().Add(-time.Hour).Unix()}})
	for _, row := range []struct {
		name string
		ctx  context.Context
		want map[string]string
	}{
		{"no token", t.Context(), map[string]string{"GetOrder": none, "WatchOrders": none, "CreateOrder": none, "DeleteOrder": none}},
		{"expired", a.with(t, testissuer.Token{Scope: "orders:read", Lifetime: -time.Hour}), map[string]string{"GetOrder": "Unauthenticated EXPIRED_TOKEN"}},
		{"read", a.withScope(t, "orders:read"), map[string]string{"GetOrder": passed, "WatchOrders": passed, "CreateOrder": scope, "DeleteOrder": scope}},
		{"write", a.withScope(t, "orders:write"), map[string]string{"GetOrder": scope, "WatchOrders": scope, "CreateOrder": passed, "DeleteOrder": scope}},
		{"admin", a.withScope(t, "orders:admin"), map[string]string{"GetOrder": scope, "WatchOrders": scope, "CreateOrder": scope, "DeleteOrder": "NotFound"}},
		{"admin who logged in an hour ago", old, map[string]string{"DeleteOrder": "Unauthenticated INSUFFICIENT_USER_AUTHENTICATION"}},
	} {
		for method, want := range row.want {
			if got := reasonOf(methods[method](row.ctx)); got != want {
				t.Errorf("%s, %s: %s, want %s", row.name, method, got, want)
			}
		}
	}
}

// TestOwner shows that the orders of another user are not found and not watched, and
// that an admin may delete them.
func TestOwner(t *testing.T) {
	a := start(t)
	created, err := a.orders.CreateOrder(a.withScope(t, "orders:write"), &ordersv1.CreateOrderRequest{Item: "tea"})
	if err != nil {
		t.Fatal(err)
	}
	other := a.with(t, testissuer.Token{Scope: "orders:read orders:write", Claims: map[string]any{"sub": "user-2"}})
	get := &ordersv1.GetOrderRequest{Id: created.GetOrder().GetId()}
	if _, err := a.orders.GetOrder(other, get); status.Code(err) != codes.NotFound {
		t.Errorf("another user: %v", err)
	}
	stream, err := a.orders.WatchOrders(other, &ordersv1.WatchOrdersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.orders.CreateOrder(other, &ordersv1.CreateOrderRequest{Item: "milk"}); err != nil {
		t.Fatal(err)
	}
	if watched, err := stream.Recv(); err != nil || watched.GetOrder().GetItem() != "milk" {
		t.Errorf("another user watches %v, %v", watched, err)
	}
	if _, err := a.orders.DeleteOrder(a.withScope(t, "orders:admin"), &ordersv1.DeleteOrderRequest{Id: get.GetId()}); err != nil {
		t.Error(err)
	}
	if _, err := a.orders.GetOrder(a.withScope(t, "orders:read"), get); status.Code(err) != codes.NotFound {
		t.Errorf("deleted: %v", err)
	}
}

// TestHandlersAlone covers R-GR-08: a call that reaches the handlers without a gate, as
// from a gateway in the same process, is refused by each of them.
func TestHandlersAlone(t *testing.T) {
	var service ordersv1.OrderServiceServer = newOrders()
	ctx := t.Context()
	_, get := service.GetOrder(ctx, &ordersv1.GetOrderRequest{})
	_, create := service.CreateOrder(ctx, &ordersv1.CreateOrderRequest{})
	_, remove := service.DeleteOrder(ctx, &ordersv1.DeleteOrderRequest{})
	watch := service.WatchOrders(&ordersv1.WatchOrdersRequest{}, aloneStream{ctx: ctx})
	for method, err := range map[string]error{"GetOrder": get, "CreateOrder": create, "DeleteOrder": remove, "WatchOrders": watch} {
		if code := status.Code(err); code != codes.Unauthenticated && code != codes.PermissionDenied {
			t.Errorf("%s: %v", method, err)
		}
	}
}

// aloneStream is a stream without a gate.
type aloneStream struct {
	grpc.ServerStreamingServer[ordersv1.WatchOrdersResponse]

	ctx context.Context
}

func (s aloneStream) Context() context.Context { return s.ctx }

// TestHealth covers R-GR-08: every method of the health service needs no token, also
// those that watch.
func TestHealth(t *testing.T) {
	a := start(t)
	client := healthgrpc.NewHealthClient(a.connection)
	if _, err := client.Check(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil {
		t.Errorf("Check: %v", err)
	}
	if _, err := client.List(t.Context(), &healthgrpc.HealthListRequest{}); err != nil {
		t.Errorf("List: %v", err)
	}
	stream, err := client.Watch(t.Context(), &healthgrpc.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Errorf("Watch: %v", err)
	}
}

// TestReadiness shows that the health service says whether the keys are known.
func TestReadiness(t *testing.T) {
	for want, down := range map[healthgrpc.HealthCheckResponse_ServingStatus]bool{
		healthgrpc.HealthCheckResponse_NOT_SERVING: true,
		healthgrpc.HealthCheckResponse_SERVING:     false,
	} {
		issuer := testissuer.New(t)
		issuer.Down(down)
		guard, err := middleware.For(validator.Issuer{URL: issuer.URL(), Audiences: []string{audience}})
		if err != nil {
			t.Fatal(err)
		}
		if err := guard.Warm(t.Context()); (err != nil) != down {
			t.Fatal(err)
		}
		ready := health.NewServer()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // after the first report
		reportReady(ctx, guard, ready)
		if got, err := ready.Check(t.Context(), &healthgrpc.HealthCheckRequest{}); err != nil || got.GetStatus() != want {
			t.Errorf("down %t: %v, %v", down, got, err)
		}
	}
}

// listServices asks reflection as grpcurl does, which tries version v1 and then v1alpha.
// Both have the same messages.
func (a *api) listServices(ctx context.Context, version string) (names []string, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := a.connection.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/grpc.reflection."+version+".ServerReflection/ServerReflectionInfo")
	if err != nil {
		return nil, err
	}
	_ = stream.SendMsg(&reflectiongrpc.ServerReflectionRequest{MessageRequest: &reflectiongrpc.ServerReflectionRequest_ListServices{}})
	answer := &reflectiongrpc.ServerReflectionResponse{}
	err = stream.RecvMsg(answer)
	for _, service := range answer.GetListServicesResponse().GetService() {
		names = append(names, service.GetName())
	}
	return names, err
}

// TestReflection covers R-GR-08: reflection asks its policy, in both versions.
func TestReflection(t *testing.T) {
	a := start(t)
	for _, version := range []string{"v1", "v1alpha"} {
		names, err := a.listServices(a.withScope(t, "orders:admin"), version)
		if err != nil || !slices.Contains(names, "orders.v1.OrderService") {
			t.Errorf("%s, with a token: %q, %v", version, names, err)
		}
		if names, err := a.listServices(t.Context(), version); reasonOf(err) != "Unauthenticated NO_CREDENTIALS" || len(names) > 0 {
			t.Errorf("%s, without a token: %q, %v", version, names, err)
		}
		if names, err := a.listServices(a.withScope(t, "orders:read"), version); reasonOf(err) != "PermissionDenied INSUFFICIENT_SCOPE" || len(names) > 0 {
			t.Errorf("%s, without the scope: %q, %v", version, names, err)
		}
	}
}

// TestWatchEnds covers R-GR-07: the stream ends with the token, within a second.
func TestWatchEnds(t *testing.T) {
	a := start(t)
	// The Validator accepts a token for 30 seconds after it has expired.
	expiring := testissuer.Token{Scope: "orders:read", Lifetime: -28 * time.Second}
	stream, err := a.orders.WatchOrders(a.with(t, expiring), &ordersv1.WatchOrdersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	_, err = stream.Recv()
	if got := reasonOf(err); got != "Unauthenticated EXPIRED_TOKEN" {
		t.Errorf("%s: %v", got, err)
	}
	if took := time.Since(begun); took > 4*time.Second {
		t.Errorf("the stream went on for %v", took)
	}
	challenge := strings.Join(stream.Trailer().Get("www-authenticate"), "\n")
	if !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("challenge %q", challenge)
	}
}

// TestConfigurationFaults shows that newServer needs a Guard.
func TestConfigurationFaults(t *testing.T) {
	if _, err := newServer(nil, health.NewServer(), nil); err == nil {
		t.Error("a server without a guard is made")
	}
}
