package connectauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
)

// TestForms covers R-GR-06 and R-CH-01 for Connect: the form of a refusal follows the
// Content-Type of the request, and what is no request of the three protocols gets the
// answer of the HTTP guard.
func TestForms(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	service := new(orders)
	handler := mounted(t, guard, service)
	plain := httptest.NewRecorder()
	guard.Require(policies()[getOrder], http.NotFoundHandler()).ServeHTTP(plain, httptest.NewRequest(http.MethodPost, getOrder, nil))
	const challenge = `Bearer realm="api", scope="orders:read"`
	for _, test := range []struct {
		name, method, target, kind, version string
		status                              int
		wantKind, wantBody, grpcStatus      string
		challenges                          int // in the header
	}{
		{name: "gRPC", kind: "application/grpc", status: 200, wantKind: "application/grpc", grpcStatus: "16", challenges: 1},
		{name: "gRPC with a codec", kind: "application/grpc+json", status: 200, wantKind: "application/grpc+json", grpcStatus: "16", challenges: 1},
		{name: "gRPC with parameters", kind: "Application/GRPC+proto; charset=utf-8", status: 200, wantKind: "application/grpc+proto", grpcStatus: "16", challenges: 1},
		{name: "gRPC-Web", kind: "application/grpc-web+proto", status: 200, wantKind: "application/grpc-web+proto", grpcStatus: "16", challenges: 1},
		{name: "gRPC-Web without a codec", kind: "application/grpc-web", status: 200, wantKind: "application/grpc-web", grpcStatus: "16", challenges: 1},
		{name: "gRPC-Web as text", kind: "application/grpc-web-text", status: 200, wantKind: "application/grpc-web-text", grpcStatus: "16", challenges: 1},
		{name: "gRPC-Web as text with a codec", kind: "application/grpc-web-text+proto", status: 200, wantKind: "application/grpc-web-text+proto", grpcStatus: "16", challenges: 1},
		{name: "Connect, JSON", kind: "application/json", status: 401, wantKind: "application/json", wantBody: `{"code":"unauthenticated"`, challenges: 1},
		{name: "Connect, JSON with charset", kind: "application/json; charset=UTF-8", status: 401, wantKind: "application/json", wantBody: `{"code":"unauthenticated"`, challenges: 1},
		{name: "Connect, protobuf", kind: "application/proto", status: 401, wantKind: "application/json", wantBody: `{"code":"unauthenticated"`, challenges: 1},
		{name: "Connect, a codec of the user", kind: "application/cbor", version: "1", status: 401, wantKind: "application/json", wantBody: `{"code":"unauthenticated"`, challenges: 1},
		{name: "Connect, GET", method: http.MethodGet, target: getOrder + "?connect=v1&encoding=json&message=%7B%7D", status: 401, wantKind: "application/json", wantBody: `{"code":"unauthenticated"`, challenges: 1},
		{name: "Connect, stream", kind: "application/connect+proto", status: 200, wantKind: "application/connect+proto", wantBody: `"code":"unauthenticated"`},
		{name: "Connect, stream with JSON", kind: "application/connect+json", status: 200, wantKind: "application/connect+json", wantBody: `"Www-Authenticate":["Bearer realm=`},
		{name: "GET of a browser", method: http.MethodGet, target: getOrder, status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "GET with half a query", method: http.MethodGet, target: getOrder + "?encoding=json", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "a form", kind: "application/x-www-form-urlencoded", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "a codec of the user without the version", kind: "application/cbor", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "text", kind: "text/plain", version: "1", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "text like gRPC", kind: "text/grpc", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "almost gRPC", kind: "application/grpcx", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "no type", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "two types", kind: "application/grpc", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "a malformed type", kind: "application/", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
		{name: "PUT", method: http.MethodPut, kind: "application/json", status: 401, wantKind: "application/problem+json", wantBody: plain.Body.String(), challenges: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			method, target := test.method, test.target
			if method == "" {
				method = http.MethodPost
			}
			if target == "" {
				target = getOrder
			}
			body := &countingBody{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
			r := httptest.NewRequest(method, target, body)
			if test.kind != "" {
				r.Header.Set("Content-Type", test.kind)
			}
			if test.name == "two types" {
				r.Header.Add("Content-Type", "text/plain")
			}
			if test.version != "" {
				r.Header.Set("Connect-Protocol-Version", test.version)
			}
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			answer := w.Result()
			if w.Code != test.status || answer.Header.Get("Content-Type") != test.wantKind || answer.Header.Get("Grpc-Status") != test.grpcStatus {
				t.Errorf("status %d, type %q, grpc-status %q", w.Code, answer.Header.Get("Content-Type"), answer.Header.Get("Grpc-Status"))
			}
			if got := w.Body.String(); !strings.Contains(got, test.wantBody) || test.wantBody == "" && got != "" {
				t.Errorf("body %q, want %q", got, test.wantBody)
			}
			if got := answer.Header.Values("WWW-Authenticate"); len(got) != test.challenges || len(got) > 0 && method != http.MethodPut && got[0] != challenge {
				t.Errorf("challenges %q", got)
			}
			if answer.Header.Get("Cache-Control") != "no-store" {
				t.Error("may be stored")
			}
			if read := body.read.Load(); read != 0 {
				t.Errorf("%d bytes of the body were read", read)
			}
		})
	}
	if ran := service.ran.Load(); ran != 0 {
		t.Errorf("%d calls reached the handler", ran)
	}
}

// countingBody counts the bytes that are read.
type countingBody struct {
	io.Reader

	read atomic.Int64
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.read.Add(int64(n))
	return n, err
}

// TestMethods covers R-GR-08: methods other than POST and GET reach no handler, with or
// without a token, also on a public procedure; with a token the answer names the methods
// that are allowed.
func TestMethods(t *testing.T) {
	issuer := issuertest.New(t)
	reached := 0
	handler := gateOf(t, issuer.Guard(t, middleware.Config{})).Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	token := issuer.Token(issuertest.Claims{"scope": "orders:read orders:write"})
	for _, procedure := range []string{getOrder, listShops, chat, "/orders.v1.OrderService/None"} {
		for _, method := range []string{http.MethodOptions, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodTrace, "post", "PROPFIND"} {
			for _, authorization := range []string{"", "Bearer " + token} {
				r := httptest.NewRequest(http.MethodPost, procedure, nil)
				r.Method = method
				r.Header.Set("Content-Type", "application/grpc")
				if authorization != "" {
					r.Header.Set("Authorization", authorization)
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				want := http.StatusUnauthorized
				if authorization != "" {
					want = http.StatusMethodNotAllowed
					if strings.HasSuffix(procedure, "/None") {
						want = http.StatusNotFound
					}
				}
				if w.Code != want || want == http.StatusMethodNotAllowed && w.Header().Get("Allow") != "GET, POST" {
					t.Errorf("%s %s: %d, Allow %q", method, procedure, w.Code, w.Header().Get("Allow"))
				}
			}
		}
	}
	if reached != 0 {
		t.Errorf("%d requests reached the handler", reached)
	}
}
