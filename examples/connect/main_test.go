package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	audience = "https://api.test"
	app      = "https://app.test"
)

// start serves the example until the test ends.
func start(t *testing.T) (*testissuer.Issuer, *httptest.Server) {
	t.Helper()
	issuer := testissuer.New(t)
	guard, err := middleware.For(validator.Issuer{URL: issuer.URL(), Audiences: []string{audience}})
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	api, err := newAPI(guard)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(browsers(app, api))
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return issuer, server
}

// call calls a unary method.
func call[Request, Response any](ctx context.Context, server *httptest.Server, procedure, token string, message *Request, options ...connect.ClientOption) (*Response, error) {
	request := connect.NewRequest(message)
	if token != "" {
		request.Header().Set("Authorization", "Bearer "+token)
	}
	response, err := connect.NewClient[Request, Response](server.Client(), server.URL+procedure, options...).CallUnary(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.Msg, nil
}

// TestExample checks that the example decides by the policies of the .proto file, in all
// three protocols.
func TestExample(t *testing.T) {
	issuer, server := start(t)
	writer := issuer.Sign(testissuer.Token{Scope: "orders:read orders:write"})
	reader := issuer.Sign(testissuer.Token{Scope: "orders:read"})
	for name, protocol := range map[string][]connect.ClientOption{"Connect": nil, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()}} {
		t.Run(name, func(t *testing.T) {
			create := func(token string) (*ordersv1.CreateOrderResponse, error) {
				return call[ordersv1.CreateOrderRequest, ordersv1.CreateOrderResponse](t.Context(), server, ordersv1.OrderService_CreateOrder_FullMethodName, token, &ordersv1.CreateOrderRequest{Item: "tea"}, protocol...)
			}
			for token, want := range map[string]connect.Code{"": connect.CodeUnauthenticated, "x": connect.CodeUnauthenticated, reader: connect.CodePermissionDenied} {
				if _, err := create(token); connect.CodeOf(err) != want {
					t.Errorf("create: %v, want %v", err, want)
				}
			}
			created, err := create(writer)
			if err != nil {
				t.Fatal(err)
			}
			got, err := call[ordersv1.GetOrderRequest, ordersv1.GetOrderResponse](t.Context(), server, ordersv1.OrderService_GetOrder_FullMethodName, reader, &ordersv1.GetOrderRequest{Id: created.GetOrder().GetId()}, protocol...)
			if err != nil || got.GetOrder().GetItem() != "tea" {
				t.Errorf("get: %v, %v", got, err)
			}
			_, err = call[ordersv1.DeleteOrderRequest, ordersv1.DeleteOrderResponse](t.Context(), server, ordersv1.OrderService_DeleteOrder_FullMethodName, writer, &ordersv1.DeleteOrderRequest{Id: created.GetOrder().GetId()}, protocol...)
			if connect.CodeOf(err) != connect.CodeUnauthenticated { // the user did not log in lately
				t.Errorf("delete: %v", err)
			}
			request := connect.NewRequest(new(ordersv1.WatchOrdersRequest))
			request.Header().Set("Authorization", "Bearer "+reader)
			stream, err := connect.NewClient[ordersv1.WatchOrdersRequest, ordersv1.WatchOrdersResponse](server.Client(), server.URL+ordersv1.OrderService_WatchOrders_FullMethodName, protocol...).CallServerStream(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			if !stream.Receive() || stream.Msg().GetOrder().GetItem() != "tea" {
				t.Errorf("watch: %v, %v", stream.Msg(), stream.Err())
			}
			_ = stream.Close()
			if _, err := call[emptypb.Empty, emptypb.Empty](t.Context(), server, "/grpc.health.v1.Health/Check", "", new(emptypb.Empty), protocol...); err != nil {
				t.Errorf("health: %v", err)
			}
		})
	}
}

// TestBrowsers checks that a page of the application can call the API and read a refusal,
// and that another page cannot.
func TestBrowsers(t *testing.T) {
	_, server := start(t)
	for _, origin := range []string{app, "https://evil.test"} {
		for _, method := range []string{http.MethodOptions, http.MethodPost} {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+ordersv1.OrderService_GetOrder_FullMethodName, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{
				"Origin": {origin}, "Content-Type": {"application/json"},
				"Access-Control-Request-Method": {http.MethodPost}, "Access-Control-Request-Headers": {"authorization,connect-protocol-version,content-type"},
			}
			response, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			want := origin
			if origin != app {
				want = ""
			}
			if got := response.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s from %s: allowed for %q", method, origin, got)
			}
			if method == http.MethodPost && response.StatusCode != http.StatusUnauthorized {
				t.Errorf("from %s: status %d", origin, response.StatusCode)
			}
			if method == http.MethodPost && origin == app && !strings.Contains(response.Header.Get("Access-Control-Expose-Headers"), "Www-Authenticate") {
				t.Errorf("exposed are %q", response.Header.Values("Access-Control-Expose-Headers"))
			}
		}
	}
}
