package gatewayauth_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
	"github.com/sallyport-auth/sallyport/middleware/gatewayauth/internal/orders"
)

// newGateway is the recipe of docs/grpc-gateway.md.
func newGateway(ctx context.Context, server string, dial ...grpc.DialOption) (http.Handler, error) {
	gateway, err := gatewayauth.New(gatewayauth.Config{})
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux(gateway.ServeMuxOptions()...)
	return mux, orders.RegisterOrdersHandlerFromEndpoint(ctx, mux, server, dial)
}

// TestRecipe shows that the recipe passes its smoke test and serves calls.
func TestRecipe(t *testing.T) {
	b := newBackend(t)
	handler, err := newGateway(t.Context(), b.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	url := serve(t, handler)
	if wrong := smoke(t, url, "/v1/orders/1"); wrong != "" {
		t.Error(wrong)
	}
	if got := call(t, http.MethodGet, url+"/v1/orders/1", "", b.signed()...); got.status != http.StatusOK {
		t.Errorf("%+v", got)
	}
}
