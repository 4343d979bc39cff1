package connectauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
)

// TestPaths covers R-GR-08: only the exact path of a listed procedure reaches a handler,
// with a token and without, also where the procedure is public, and whatever the handler
// behind the Gate would serve.
func TestPaths(t *testing.T) {
	issuer := issuertest.New(t)
	var reached []string
	handler := gateOf(t, issuer.Guard(t, middleware.Config{})).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		reached = append(reached, r.RequestURI)
	}))
	token := issuer.Token(issuertest.Claims{"scope": "orders:read orders:write"})
	for _, procedure := range []string{getOrder, listShops} {
		service, method := "/"+orderService, strings.TrimPrefix(procedure, "/"+orderService+"/")
		for _, target := range []string{
			service[1:] + "/" + method, "/" + procedure, "//" + procedure, procedure + "/", service + "//" + method, strings.ToLower(service) + "/" + method,
			service + "/" + strings.ToLower(method), strings.ToUpper(service) + "/" + method, procedure + "?x", procedure + "?", procedure + "?x=1",
			service + "%2F" + method, service + "%2f" + method, "/%6frders.v1.OrderService/" + method, procedure + "%20", procedure + "%00", procedure + ";x", procedure + ".",
			"/./" + procedure[1:], "/x/.." + procedure, service + "/./" + method, service + "/x/../" + method, service + "/", service, "/", "", "*",
			"/v1" + procedure, service + "/None", "/orders.v1.Order/" + method, procedure + "#x",
		} {
			for _, kind := range []string{"application/grpc", "application/grpc-web+proto", "application/json", "application/connect+proto"} {
				for _, authorization := range []string{"", "Bearer " + token} {
					r := httptest.NewRequest(http.MethodPost, "/", nil)
					r.RequestURI = target
					r.URL, _ = url.Parse(target)
					if r.URL == nil {
						r.URL = &url.URL{Path: target}
					}
					if strings.HasPrefix(target, "//") {
						r.URL = &url.URL{Path: target} // as net/http parses it
					}
					if strings.HasSuffix(target, "#x") {
						r.URL = &url.URL{Path: target}
					}
					r.Header.Set("Content-Type", kind)
					if authorization != "" {
						r.Header.Set("Authorization", authorization)
					}
					w := httptest.NewRecorder()
					handler.ServeHTTP(w, r)
					want := "16"
					if authorization != "" {
						want = "12" // UNIMPLEMENTED
					}
					if strings.HasPrefix(kind, "application/grpc") && w.Header().Get("Grpc-Status") != want {
						t.Errorf("%q: status %q, want %s", target, w.Header().Get("Grpc-Status"), want)
					}
				}
			}
		}
		r := httptest.NewRequest(http.MethodPost, procedure, nil)
		r.Header.Set("Authorization", "Bearer "+token)
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
	if fmt.Sprint(reached) != fmt.Sprint([]string{getOrder, listShops}) {
		t.Errorf("requests reached the handler: %q", reached)
	}
}

// TestUnlisted covers R-GR-08: a procedure without a policy is refused in every protocol,
// although its handler is there.
func TestUnlisted(t *testing.T) {
	issuer := issuertest.New(t)
	procedures := policies()
	delete(procedures, placeOrder)
	delete(procedures, upload)
	gate, err := connectauth.New(issuer.Guard(t, middleware.Config{}), procedures)
	if err != nil {
		t.Fatal(err)
	}
	service := new(orders)
	mux := http.NewServeMux()
	mux.Handle(connectauth.Gated(gate, newOrders)(service))
	target := listen(t, mux)
	token := issuer.Token(issuertest.Claims{"scope": "orders:read orders:write"})
	for _, d := range dialects() {
		for _, procedure := range []string{placeOrder, upload} {
			for presented, want := range map[string]connect.Code{"": connect.CodeUnauthenticated, token: connect.CodeUnimplemented} {
				_, err := do(t.Context(), dial(t, d, target, procedure, presented), procedure)
				if connect.CodeOf(err) != want {
					t.Errorf("%s %s: %v, want %v", d.name, procedure, err, want)
				}
			}
		}
	}
	if ran := service.ran.Load(); ran != 0 {
		t.Errorf("%d calls reached the handler", ran)
	}
}

// TestInterceptorAlone covers R-GR-08: the Interceptor refuses calls that did not come
// through the Handler of its Gate, or came there as another procedure.
func TestInterceptorAlone(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	gate, other := gateOf(t, guard), gateOf(t, guard)
	token := issuer.Token(issuertest.Claims{"scope": "orders:read orders:write", "acr": "mfa"})
	for _, test := range []struct {
		name string
		wrap func(http.Handler) http.Handler
	}{
		{"no handler", func(next http.Handler) http.Handler { return next }},
		{"the handler of another Gate", other.Handler},
		{"the HTTP guard", guard.Middleware(policies()[getOrder])},
		{"rewritten behind the handler", func(next http.Handler) http.Handler {
			return gate.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.URL.Path = shift(r.URL.Path)
				next.ServeHTTP(w, r)
			}))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			service := new(orders)
			_, handler := newOrders(service, connect.WithInterceptors(gate.Interceptor()))
			target := listen(t, test.wrap(handler))
			for _, d := range dialects() {
				for procedure := range policies() {
					if procedure == chat && d.http == 1 || shift(procedure) == chat && d.http == 1 {
						continue
					}
					_, err := do(t.Context(), dial(t, d, target, procedure, token), procedure)
					if err == nil {
						t.Errorf("%s %s: no error", d.name, procedure)
					}
				}
			}
			if ran := service.ran.Load(); ran != 0 {
				t.Errorf("%d calls reached the service", ran)
			}
		})
	}
}

// shift returns another procedure of the same kind, where there is one.
func shift(procedure string) string {
	switch procedure {
	case listShops:
		return placeOrder
	case getOrder:
		return shipOrder
	case watch:
		return upload
	default:
		return watch
	}
}

// TestClientInterceptor checks that the Interceptor does nothing for clients.
func TestClientInterceptor(t *testing.T) {
	issuer := issuertest.New(t)
	gate := gateOf(t, issuer.Guard(t, middleware.Config{}))
	service := new(orders)
	_, handler := newOrders(service)
	target := listen(t, handler)
	for _, procedure := range []string{getOrder, watch} {
		c := connect.NewClient[text, text](client(t, 2), target+procedure, connect.WithInterceptors(gate.Interceptor()))
		if _, err := do(context.Background(), c, procedure); err != nil {
			t.Errorf("%s: %v", procedure, err)
		}
	}
}
