package connectauth_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
)

// TestCredentialsStayHere covers R-GR-09: a handler that copies its header to a call of
// another service does not send it the credentials of the caller, unless the
// configuration says so. The header in front of the Gate is not changed.
func TestCredentialsStayHere(t *testing.T) {
	issuer := issuertest.New(t)
	token := issuer.Token(issuertest.Claims{"scope": "orders:read"})
	sent := http.Header{
		"Authorization": {"Bearer " + token}, "Grpcgateway-Authorization": {"Bearer " + token}, "X-Api-Key": {"secret"}, "X-Trace": {"kept"},
		"Content-Type": {"application/json"},
	}
	for _, test := range []struct {
		name   string
		config connectauth.Config
		kept   []string
	}{
		{"by default", connectauth.Config{}, []string{"X-Api-Key", "X-Trace"}},
		{"with further fields", connectauth.Config{RemoveFields: []string{"x-api-key"}}, []string{"X-Trace"}},
		{"kept", connectauth.Config{InsecureKeepCredentials: true}, []string{"Authorization", "Grpcgateway-Authorization", "X-Api-Key", "X-Trace"}},
		{"kept, with further fields", connectauth.Config{InsecureKeepCredentials: true, RemoveFields: []string{"X-API-Key"}}, []string{"Authorization", "Grpcgateway-Authorization", "X-Trace"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.config.Guard, test.config.Procedures = issuer.Guard(t, middleware.Config{}), policies()
			gate, err := connectauth.NewGate(test.config)
			if err != nil {
				t.Fatal(err)
			}
			var got http.Header
			service := &orders{get: func(_ context.Context, r *connect.Request[text]) (*connect.Response[text], error) {
				got = r.Header()
				return connect.NewResponse(new(text)), nil
			}}
			_, handler := connectauth.Gated(gate, newOrders)(service)
			r := httptest.NewRequest(http.MethodPost, getOrder, strings.NewReader(`"?"`))
			r.Header = sent.Clone()
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			if w.Code != http.StatusOK {
				t.Fatal(w.Code, w.Body)
			}
			maps.DeleteFunc(got, func(name string, _ []string) bool { return name == "Content-Type" || name == "Host" })
			if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, test.kept) {
				t.Errorf("the handler got %q, want %q", names, test.kept)
			}
			if !maps.EqualFunc(r.Header, sent, slices.Equal[[]string]) {
				t.Errorf("the header in front of the Gate became %v", r.Header)
			}
		})
	}
}
