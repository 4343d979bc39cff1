package connectauth_test

import (
	"context"
	"net/http"
	"testing"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
)

// TestOtherHasInterceptor covers A1 and A3 of the situations: the Interceptor was given to
// another handler, which Covers cannot see. A stream without it would not end with its
// token, so it fails at its first message.
func TestOtherHasInterceptor(t *testing.T) {
	is := issuertest.Loopback(t)
	gate := gateOf(t, is.Guard(t, middleware.Config{}))
	_ = gate.Interceptor() // for the handler of another service
	o := &orders{upload: func(_ context.Context, stream *connect.ClientStream[text]) (*connect.Response[text], error) {
		for stream.Receive() {
			t.Error("a message reached the handler")
		}
		return connect.NewResponse(wrapperspb.String("")), stream.Err()
	}}
	mux := http.NewServeMux()
	mux.Handle(newOrders(o))
	url, token := listen(t, gate.Handler(mux)), is.Token(issuertest.Claims{"scope": "orders:read orders:write"})
	for _, d := range dialects() {
		for _, procedure := range []string{watch, upload, chat} {
			if procedure == chat && d.http == 1 {
				continue // needs HTTP/2
			}
			_, err := do(t.Context(), dial(t, d, url, procedure, token), procedure)
			if connect.CodeOf(err) != connect.CodeUnavailable {
				t.Errorf("%s%s: %v", d.name, procedure, err)
			}
		}
	}
}
