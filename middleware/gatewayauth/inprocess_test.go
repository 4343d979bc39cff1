package gatewayauth_test

import (
	"net/http"
	"testing"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
	"github.com/sallyport-auth/sallyport/middleware/gatewayauth/internal/orders"
)

// patterns are the HTTP patterns of the methods that a gateway can call in process.
var patterns = map[string]string{
	"Get":    "GET /v1/orders/{id}",
	"Create": "POST /v1/orders",
	"Delete": "DELETE /v1/orders/{id}",
	"Status": "GET /v1/status/{id}",
	"Browse": "GET /v1/browse/{id}",
}

// requests are requests of these methods.
var requests = map[string][2]string{
	"Get":    {http.MethodGet, "/v1/orders/1"},
	"Create": {http.MethodPost, "/v1/orders"},
	"Delete": {http.MethodDelete, "/v1/orders/1"},
	"Status": {http.MethodGet, "/v1/status/1"},
	"Browse": {http.MethodGet, "/v1/browse/1"},
}

// inProcess returns a gateway that calls the service of b directly, past the gate.
func (b *backend) inProcess(t *testing.T) *runtime.ServeMux {
	t.Helper()
	gateway, err := gatewayauth.New(gatewayauth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	mux := runtime.NewServeMux(gateway.ServeMuxOptions()...)
	if err := orders.RegisterOrdersHandlerServer(t.Context(), mux, b); err != nil {
		t.Fatal(err)
	}
	return mux
}

// TestInProcessWithoutGuard covers R-GR-08 where no interceptor runs: handlers that ask
// the token find none, even if the request has one, and refuse.
func TestInProcessWithoutGuard(t *testing.T) {
	b := newBackend(t)
	front := serve(t, b.inProcess(t))
	for _, method := range []string{"Get", "Create", "Delete"} {
		got := call(t, requests[method][0], front+requests[method][1], "{}", b.signed()...)
		if got.status != http.StatusForbidden {
			t.Errorf("%s: %+v", method, got)
		}
	}
	if n := len(b.denials) + len(b.gate.seen); n != 0 || b.calls.Load() != 0 {
		t.Errorf("the gate was asked %d times, the handlers answered %d calls", n, b.calls.Load())
	}
}

// TestInProcessBehindGuard covers R-GR-06 and R-GR-08: with the policies of the methods
// on the HTTP patterns, a guard in front of the gateway decides and answers as the gate of
// the server does, for every method and every kind of caller.
func TestInProcessBehindGuard(t *testing.T) {
	b := newBackend(t)
	guarded, inside := b.guard.NewMux(), b.inProcess(t)
	for method, pattern := range patterns {
		guarded.Handle(pattern, policies()[method], inside)
	}
	direct, front := serve(t, guarded), b.front(t, gatewayauth.Config{})
	bearer := func(claims map[string]any) []string {
		return []string{"Authorization", "Bearer " + b.issuer.Token(claims)}
	}
	callers := map[string][]string{
		"nobody":    nil,
		"reader":    bearer(map[string]any{"scope": "orders:read"}),
		"writer":    bearer(map[string]any{"scope": "orders:read orders:write"}),
		"admin":     bearer(map[string]any{"scope": "orders:admin"}),
		"admin+mfa": bearer(map[string]any{"scope": "orders:admin", "acr": "urn:mfa"}),
		"expired":   bearer(map[string]any{"scope": "orders:read", "exp": 1}),
		"forged":    {"Authorization", "Bearer a.b.c"},
		"basic":     {"Authorization", "Basic dTpw"},
		"malformed": {"Authorization", "Bearer a b"},
		"twice":     {"Authorization", "Bearer a", "Authorization", "Bearer a"},
	}
	passed := 0
	for method, request := range requests {
		for name, fields := range callers {
			before := b.calls.Load()
			one := call(t, request[0], direct+request[1], "{}", fields...)
			byGuard := b.calls.Load() - before
			other := call(t, request[0], front+request[1], "{}", fields...)
			byGate := b.calls.Load() - before - byGuard
			if one.status != other.status || one.header.Get("WWW-Authenticate") != other.header.Get("WWW-Authenticate") || one.body != other.body || byGuard != byGate {
				t.Errorf("%s by %s: %d %q %s in process, %d %q %s by the gate", method, name,
					one.status, one.header["Www-Authenticate"], one.body, other.status, other.header["Www-Authenticate"], other.body)
			}
			passed += int(byGuard)
		}
	}
	// Get by 2, Create by 1, Delete by 1, Status by all 10, Browse by 2 and by nobody
	if passed != 17 {
		t.Errorf("%d calls passed", passed)
	}
}

// TestMethodOverride covers R-BT-15: a form that asks the gateway for another method
// than the guard saw does not get it.
func TestMethodOverride(t *testing.T) {
	b := newBackend(t)
	guarded, inside := b.guard.NewMux(), b.inProcess(t)
	guarded.Handle("POST /v1/orders/{id}", policies()["Get"], inside) // weaker than that of DELETE
	guarded.Handle(patterns["Delete"], policies()["Delete"], inside)
	fields := append(b.signed(), "X-Http-Method-Override", "DELETE", "Content-Type", "application/x-www-form-urlencoded")
	if got := call(t, http.MethodPost, serve(t, guarded)+"/v1/orders/1", "", fields...); got.status != http.StatusOK {
		t.Errorf("the request is not served by Get, which a form may call by POST: %+v", got)
	}
	if got := call(t, http.MethodPost, serve(t, inside)+"/v1/orders/1", "", fields...); got.status != http.StatusForbidden {
		t.Errorf("without a guard, DELETE is not called; the test shows nothing: %+v", got)
	}
}
