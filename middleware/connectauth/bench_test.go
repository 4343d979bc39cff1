package connectauth_test

import (
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
)

// discard is a ResponseWriter that keeps nothing.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkGate measures what the gate adds to a request whose token was seen before, in
// front of a handler that does nothing.
func BenchmarkGate(b *testing.B) {
	issuer := issuertest.New(b)
	gate := gateOf(b, issuer.Guard(b, middleware.Config{}))
	next := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	guard := issuer.Guard(b, middleware.Config{})
	for name, handler := range map[string]http.Handler{"without": next, "HTTP guard": guard.Require(policies()[getOrder], next), "with": gate.Handler(next)} {
		for _, timeout := range []string{"", "1S"} {
			b.Run(name+" "+timeout, func(b *testing.B) {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, getOrder, nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header = http.Header{
					"Authorization": {"Bearer " + issuer.Token(issuertest.Claims{"scope": "orders:read"})},
					"Content-Type":  {"application/grpc"}, "Te": {"trailers"}, "User-Agent": {"grpc-go/1.85.0"}, "Grpc-Accept-Encoding": {"gzip"},
				}
				if timeout != "" {
					r.Header.Set("Grpc-Timeout", timeout)
				}
				w := &discard{header: make(http.Header)}
				b.ReportAllocs()
				for b.Loop() {
					clear(w.header)
					handler.ServeHTTP(w, r)
				}
			})
		}
	}
}

// BenchmarkUnary measures unary calls over loopback with the gate and without it.
func BenchmarkUnary(b *testing.B) {
	issuer := issuertest.New(b)
	token := issuer.Token(issuertest.Claims{"scope": "orders:read"})
	_, open := newOrders(new(orders))
	_, gated := connectauth.Gated(gateOf(b, issuer.Guard(b, middleware.Config{})), newOrders)(new(orders))
	for _, d := range []dialect{dialects()[1], dialects()[4], dialects()[7]} {
		for name, handler := range map[string]http.Handler{"without": open, "with": gated} {
			b.Run(d.name+"/"+name, func(b *testing.B) {
				c := dial(b, d, listen(b, handler), getOrder, token)
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.CallUnary(b.Context(), connect.NewRequest(wrapperspb.String("?"))); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
