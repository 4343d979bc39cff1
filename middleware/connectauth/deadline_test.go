package connectauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCallerLeaves covers R-GR-05: a call whose deadline passes while the token is checked is
// neither refused nor part of an outage. The deadline is the one that the client sent, so
// this holds over HTTP/1.1 too, where a server does not notice that a client has gone.
func TestCallerLeaves(t *testing.T) {
	issuer := issuertest.New(t)
	var decided []middleware.Decision
	guard := issuer.Guard(t, middleware.Config{Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) { decided = append(decided, d) }}})
	slow := scopes.Check("slow", 10*time.Second, func(ctx context.Context, _ *validator.Token, _ scopes.Operation) error {
		<-ctx.Done()
		return ctx.Err()
	})
	gate, err := connectauth.New(guard, connectauth.Procedures{getOrder: slow})
	if err != nil {
		t.Fatal(err)
	}
	service := new(orders)
	_, handler := connectauth.Gated(gate, newOrders)(service)
	for _, test := range []struct {
		name, kind, field, value string
		canceled                 bool // the client leaves without a deadline
		status                   int
		code                     string
	}{
		{name: "Connect", kind: "application/json", field: "Connect-Timeout-Ms", value: "50", status: 504, code: "deadline_exceeded"},
		{name: "Connect, a client that leaves", kind: "application/json", canceled: true, status: 499, code: "canceled"},
		{name: "gRPC", kind: "application/grpc", field: "Grpc-Timeout", value: "50m", status: 200, code: "4"},
		{name: "gRPC in microseconds", kind: "application/grpc", field: "Grpc-Timeout", value: "50000u", status: 200, code: "4"},
		{name: "gRPC-Web", kind: "application/grpc-web", field: "Grpc-Timeout", value: "50000000n", status: 200, code: "4"},
		{name: "gRPC, a client that leaves", kind: "application/grpc", canceled: true, status: 200, code: "1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			decided = nil
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.canceled {
				cancel()
			}
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, getOrder, strings.NewReader("x"))
			r.Header = http.Header{"Content-Type": {test.kind}, "Authorization": {"Bearer " + issuer.Token(nil)}}
			if test.field != "" {
				r.Header.Set(test.field, test.value)
			}
			w := httptest.NewRecorder()
			began := time.Now()
			handler.ServeHTTP(w, r)
			code := w.Header().Get("Grpc-Status")
			if code == "" && strings.Contains(w.Body.String(), `"code":"`+test.code+`"`) {
				code = test.code
			}
			if w.Code != test.status || code != test.code || time.Since(began) > 5*time.Second {
				t.Errorf("status %d, code %q, body %s, after %v", w.Code, code, w.Body, time.Since(began))
			}
			if len(decided) != 1 || decided[0].Denial.Class != middleware.ClassCanceled {
				t.Errorf("decided %+v", decided)
			}
		})
	}
	if ran := service.ran.Load(); ran != 0 {
		t.Errorf("%d calls reached the handler", ran)
	}
}

// TestDeadline checks that handlers get the deadline of the client, once, and that a
// timeout that cannot be read is left to them.
func TestDeadline(t *testing.T) {
	issuer := issuertest.New(t)
	gate := gateOf(t, issuer.Guard(t, middleware.Config{}))
	for _, test := range []struct {
		field, value string
		want         time.Duration // 0: none
	}{
		{"Grpc-Timeout", "1H", time.Hour},
		{"Grpc-Timeout", "90M", 90 * time.Minute},
		{"Grpc-Timeout", "99999999S", 99999999 * time.Second},
		{"Grpc-Timeout", "3600000m", time.Hour},
		{"Connect-Timeout-Ms", "3600000", time.Hour},
		{"Connect-Timeout-Ms", "9999999999", 9999999999 * time.Millisecond},
		{"Grpc-Timeout", "99999999H", 0},
		{"Grpc-Timeout", "123456789S", 0},
		{"Grpc-Timeout", "1", 0},
		{"Grpc-Timeout", "S", 0},
		{"Grpc-Timeout", "", 0},
		{"Grpc-Timeout", "-1S", 0},
		{"Grpc-Timeout", "1s", 0},
		{"Grpc-Timeout", "+1S", 0},
		{"Connect-Timeout-Ms", "-1", 0},
		{"Connect-Timeout-Ms", "x", 0},
		{"Connect-Timeout-Ms", "12345678901", 0},
		{"Connect-Timeout-Ms", "", 0},
	} {
		var request *http.Request
		handler := gate.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { request = r }))
		r := httptest.NewRequest(http.MethodPost, listShops, nil)
		r.Header.Set(test.field, test.value)
		began := time.Now()
		handler.ServeHTTP(httptest.NewRecorder(), r)
		deadline, ok := request.Context().Deadline()
		if ok != (test.want > 0) || ok && (deadline.Before(began.Add(test.want)) || deadline.After(time.Now().Add(test.want))) {
			t.Errorf("%s: %s: deadline %v, %t", test.field, test.value, deadline.Sub(began), ok)
		}
		if kept := request.Header.Values(test.field); (len(kept) > 0) == ok {
			t.Errorf("%s: %s: the handler got %q", test.field, test.value, kept)
		}
		if r.Header.Get(test.field) != test.value {
			t.Error("the header in front of the Gate changed")
		}
	}
}

// TestBinaryCredentials covers R-GR-01: credentials in a field whose values are binary are
// refused in every protocol, also for callers who need none, but not on a public procedure.
func TestBinaryCredentials(t *testing.T) {
	issuer := issuertest.New(t)
	url := listen(t, mounted(t, issuer.Guard(t, middleware.Config{}), new(orders)))
	token := issuer.Token(issuertest.Claims{"scope": "orders:read orders:write"})
	for _, d := range dialects() {
		for _, field := range []string{"Authorization-Bin", "Dpop-Bin"} {
			for _, presented := range []string{"", token} {
				for procedure, want := range map[string]string{getOrder: "INVALID_REQUEST", watch: "INVALID_REQUEST", chat: "INVALID_REQUEST", listShops: ""} {
					if procedure == chat && d.http == 1 {
						continue
					}
					c := connect.NewClient[text, text](client(t, d.http), url+procedure, append([]connect.ClientOption{connect.WithInterceptors(bearer(presented), binary(field))}, d.options...)...)
					_, err := do(t.Context(), c, procedure)
					if want == "" {
						if err != nil {
							t.Errorf("%s %s: %v", d.name, procedure, err)
						}
						continue
					}
					if info, _ := info(t, err); connect.CodeOf(err) != connect.CodeUnauthenticated || info.GetReason() != want {
						t.Errorf("%s %s %s: %v", d.name, procedure, field, err)
					}
				}
			}
		}
	}
}

// binary is an interceptor of clients that sends a field.
type binary string

func (b binary) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		r.Header().Set(string(b), "QmVhcmVyIHg")
		return next(ctx, r)
	}
}

func (b binary) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		conn.RequestHeader().Set(string(b), "QmVhcmVyIHg")
		return conn
	}
}

func (binary) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}
