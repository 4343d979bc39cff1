package gatewayauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
)

// signed is a call that the gate permits.
func (b *backend) signed() []string {
	return []string{"Authorization", "Bearer " + b.issuer.Token(map[string]any{"scope": "orders:read orders:write"})}
}

// detailed returns an error with details, given as messages or as an Any.
func detailed(t *testing.T, code codes.Code, message string, details ...any) error {
	t.Helper()
	proto := &spb.Status{Code: int32(code), Message: message}
	for _, detail := range details {
		wrapped, ok := detail.(*anypb.Any)
		if !ok {
			var err error
			if wrapped, err = anypb.New(detail.(*errdetails.ErrorInfo)); err != nil {
				t.Fatal(err)
			}
		}
		proto.Details = append(proto.Details, wrapped)
	}
	return status.ErrorProto(proto)
}

// unlinked is a detail of a type that the test does not link.
var unlinked = &anypb.Any{TypeUrl: "type.googleapis.com/example.Unlinked", Value: []byte{8, 1}}

const (
	plain = `Bearer realm="api"`
	ours  = middleware.ErrorDomain
)

// TestErrorsOfHandlers has errors that are no refusals of a gate: they keep the answer of the default handlers, but for WWW-Authenticate and for details
// that cannot be rendered.
func TestErrorsOfHandlers(t *testing.T) {
	b := newBackend(t)
	front := b.front(t, gatewayauth.Config{})
	info := func(domain, reason string, metadata map[string]string) *errdetails.ErrorInfo {
		return &errdetails.ErrorInfo{Domain: domain, Reason: reason, Metadata: metadata}
	}
	realm := map[string]string{"realm": "other"}
	for _, row := range []struct {
		name      string
		err       error
		status    int
		challenge []string
		body      string
	}{
		{"16", status.Error(codes.Unauthenticated, "log in, please"), 401, []string{plain}, `{"code":16, "message":"log in, please", "details":[]}`},
		{"16 without message", status.Error(codes.Unauthenticated, ""), 401, []string{plain}, `{"code":16, "message":"", "details":[]}`},
		{"7", status.Error(codes.PermissionDenied, "no"), 403, nil, `{"code":7, "message":"no", "details":[]}`},
		{"5", status.Error(codes.NotFound, "none"), 404, nil, `{"code":5, "message":"none", "details":[]}`},
		{"no status", errors.New("odd"), 500, nil, `{"code":2, "message":"odd", "details":[]}`},
		{"16, unlinked", detailed(t, codes.Unauthenticated, "m", unlinked), 401, []string{plain}, `{"code":16, "message":"m", "details":[]}`},
		{"14, unlinked", detailed(t, codes.Unavailable, "m", unlinked), 503, nil, `{"code":14, "message":"m", "details":[]}`},
		{"16, some unlinked", detailed(t, codes.Unauthenticated, "m", unlinked, info("a.test", "R", nil), unlinked), 401, []string{plain}, `{"code":16, "message":"m", "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo", "reason":"R", "domain":"a.test", "metadata":{}}]}`},
		{"16, other domain", detailed(t, codes.Unauthenticated, "m", info("a.test", "EXPIRED_TOKEN", realm)), 401, []string{plain}, `{"code":16, "message":"m", "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo", "reason":"EXPIRED_TOKEN", "domain":"a.test", "metadata":{"realm":"other"}}]}`},
		{"16, our domain with an unknown reason", detailed(t, codes.Unauthenticated, "m", info(ours, "NEW", realm)), 401, []string{plain}, `{"code":16, "message":"m", "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo", "reason":"NEW", "domain":"` + ours + `", "metadata":{"realm":"other"}}]}`},
		{"16, our domain with bad metadata", detailed(t, codes.Unauthenticated, "m", info(ours, "EXPIRED_TOKEN", map[string]string{"realm": "\n"})), 401, []string{plain}, `{"code":16, "message":"m", "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo", "reason":"EXPIRED_TOKEN", "domain":"` + ours + `", "metadata":{"realm":"\n"}}]}`},
		{"a refusal whose code an interceptor changed", detailed(t, codes.Internal, "m", info(ours, "EXPIRED_TOKEN", realm)), 500, nil, `{"code":13, "message":"m", "details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo", "reason":"EXPIRED_TOKEN", "domain":"` + ours + `", "metadata":{"realm":"other"}}]}`},
		{"a refusal of another program", detailed(t, codes.Unauthenticated, "m", unlinked, info(ours, "EXPIRED_TOKEN", realm)), 401, []string{`Bearer realm="other", error="invalid_token", error_description="The access token expired"`}, `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"},
		{"a refusal that is not a message", detailed(t, codes.Unauthenticated, "m", &anypb.Any{TypeUrl: "type.googleapis.com/google.rpc.ErrorInfo", Value: []byte{255}}), 401, []string{plain}, `{"code":16, "message":"m", "details":[]}`},
	} {
		b.fails = row.err
		got := call(t, http.MethodGet, front+"/v1/orders/1", "", b.signed()...)
		body, want := compact(got.body), compact(row.body)
		if got.status != row.status || !slices.Equal(got.header["Www-Authenticate"], row.challenge) || body != want {
			t.Errorf("%s: %d %q %s, want %d %q %s", row.name, got.status, got.header, body, row.status, row.challenge, want)
		}
		if strings.HasPrefix(want, `{"code":`) { // otherwise it is a refusal
			want = `{"error":` + want + "}\n"
		}
		got = call(t, http.MethodGet, front+"/v1/orders/1/watch", "", b.signed()...)
		if got.status != row.status || !slices.Equal(got.header["Www-Authenticate"], row.challenge) || compact(got.body) != want {
			t.Errorf("%s, stream: %+v, want %s", row.name, got, want)
		}
	}
}

// TestOwnErrorHandlers shows that the handlers of the configuration get all errors
// but refusals.
func TestOwnErrorHandlers(t *testing.T) {
	b := newBackend(t)
	front := b.front(t, gatewayauth.Config{
		Realm: "orders",
		ErrorHandler: func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
			if status.Code(err) == codes.Aborted {
				w.Header().Set("WWW-Authenticate", "Negotiate")
			}
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, status.Convert(err).Message())
		},
		StreamErrorHandler: func(context.Context, error) *status.Status { return status.New(codes.DataLoss, "own") },
	})
	b.fails = status.Error(codes.FailedPrecondition, "m")
	if got := call(t, http.MethodGet, front+"/v1/orders/1", "", b.signed()...); got.status != 401 || got.header.Get("WWW-Authenticate") != `Bearer realm="orders"` || got.body != "m" {
		t.Errorf("%+v", got)
	}
	b.fails = status.Error(codes.Aborted, "m")
	if got := call(t, http.MethodGet, front+"/v1/orders/1", "", b.signed()...); got.status != 401 || got.header.Get("WWW-Authenticate") != "Negotiate" {
		t.Errorf("a challenge of the handler: %+v", got)
	}
	if got := call(t, http.MethodGet, front+"/v1/orders/1/watch", "", b.signed()...); got.status != 500 || !strings.Contains(got.body, "own") {
		t.Errorf("stream: %+v", got)
	}
	for _, path := range []string{"/v1/orders/1", "/v1/orders/1/watch"} {
		if got := call(t, http.MethodGet, front+path, ""); got.status != 401 || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s, refused: %+v", path, got)
		}
	}
}

// recorded returns the answer of HandleError alone.
func recorded(g *gatewayauth.Gateway, method string, err error, prepared http.Header) answer {
	mux := runtime.NewServeMux()
	w := httptest.NewRecorder()
	maps.Copy(w.Header(), prepared)
	g.HandleError(context.Background(), mux, new(runtime.JSONPb), w, httptest.NewRequest(method, "/", nil), err)
	return answer{status: w.Code, header: w.Result().Header, body: w.Body.String()}
}

// TestHandleError has answers that the gateway itself does not produce.
func TestHandleError(t *testing.T) {
	refused := detailed(t, codes.Unauthenticated, "m", &errdetails.ErrorInfo{Domain: ours, Reason: "INVALID_TOKEN", Metadata: map[string]string{"realm": "api"}})
	const invalid = `Bearer realm="api", error="invalid_token", error_description="The access token is invalid"`
	g, err := gatewayauth.New(gatewayauth.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if got := recorded(g, http.MethodHead, refused, nil); got.status != 401 || got.body != "" || got.header.Get("WWW-Authenticate") != invalid {
		t.Errorf("HEAD: %+v", got)
	}
	prepared := http.Header{
		"Www-Authenticate": {"a", "b"}, "Trailer": {"Grpc-Trailer-A"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"3"}, "Grpc-Metadata-Www-Authenticate": {"a"},
		"Grpc-Metadata-X": {"a"}, "Vary": {"Origin"}, "Access-Control-Allow-Origin": {"https://a.test"},
	}
	got := recorded(g, http.MethodGet, fmt.Errorf("outer: %w", refused), prepared)
	if want := (http.Header{
		"Www-Authenticate": {invalid}, "Cache-Control": {"no-store"}, "Content-Type": {"application/problem+json"},
		"Vary": {"Origin"}, "Access-Control-Allow-Origin": {"https://a.test"},
	}); fmt.Sprint(got.header) != fmt.Sprint(want) {
		t.Errorf("prepared fields: %v, want %v", got.header, want)
	}
	outage, err := status.New(codes.Unavailable, "m").WithDetails(
		&errdetails.RetryInfo{RetryDelay: durationpb.New(7 * time.Second)}, &errdetails.ErrorInfo{Domain: ours, Reason: "UNAVAILABLE"}, &errdetails.LocalizedMessage{},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got := recorded(g, http.MethodGet, outage.Err(), nil); got.status != 503 || got.header.Get("Retry-After") != "7" {
		t.Errorf("details in another order: %+v", got)
	}
	info, err := anypb.New(&errdetails.ErrorInfo{Domain: ours, Reason: "INVALID_TOKEN", Metadata: map[string]string{"realm": "other"}})
	if err != nil {
		t.Fatal(err)
	}
	info.Value = append(info.Value, 0xff) // the rest of it is no message
	if got := recorded(g, http.MethodGet, detailed(t, codes.Unauthenticated, "m", info), nil); got.header.Get("WWW-Authenticate") != plain {
		t.Errorf("a detail that ends in the middle: %+v", got)
	}
	custom := &runtime.HTTPStatusError{HTTPStatus: http.StatusForbidden, Err: status.Error(codes.Unauthenticated, "m")}
	if got := recorded(g, http.MethodGet, custom, nil); got.status != 403 || got.header.Get("WWW-Authenticate") != plain {
		t.Errorf("another status: %+v", got)
	}
	for _, g := range []*gatewayauth.Gateway{nil, {}} {
		if got := recorded(g, http.MethodGet, status.Error(codes.Unauthenticated, "m"), nil); got.header.Get("WWW-Authenticate") != plain {
			t.Errorf("a Gateway that New did not make: %+v", got)
		}
		if got := recorded(g, http.MethodGet, refused, nil); got.header.Get("WWW-Authenticate") != invalid {
			t.Errorf("a Gateway that New did not make: %+v", got)
		}
	}
}

// TestDefaultHandlers shows what grpc-gateway does without this package, as
// docs/grpc-gateway.md says, so that a change there is noticed.
func TestDefaultHandlers(t *testing.T) {
	b := newBackend(t)
	front := b.bare(t)
	got := call(t, http.MethodGet, front+"/v1/orders/1", "")
	if got.status != 401 || got.header.Get("WWW-Authenticate") != "refused: NO_CREDENTIALS" || got.header.Get("Cache-Control") != "" || !strings.Contains(compact(got.body), `"code":16`) {
		t.Errorf("refused: %+v", got)
	}
	if got := call(t, http.MethodGet, front+"/v1/orders/1/watch", ""); got.status != 401 || got.header.Get("WWW-Authenticate") != "" || !strings.Contains(compact(got.body), `{"error":{"code":16`) {
		t.Errorf("refused, stream: %+v", got)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, front+"/v1/orders/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("TE", "trailers")
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadAll(response.Body); err == nil || !strings.Contains(err.Error(), "Grpc-Trailer-Grpc-Status-Details-Bin") {
		t.Errorf("a client that accepts trailers: %v", err)
	}
	if got := call(t, http.MethodGet, front+"/v1/browse/1", "", "Authorization", "Bearer \xff", "Dpop", "abc"); got.status != 200 {
		t.Errorf("credentials that are not printable: %+v", got)
	}
	legacy := b.bare(t, runtime.WithIncomingHeaderMatcher(runtime.LegacyHeaderMatcher))
	if got := call(t, http.MethodGet, legacy+"/v1/orders/1", "", append(b.signed(), "Grpc-Metadata-Authorization", "Bearer a")...); got.status != 401 {
		t.Errorf("a second token: %+v", got)
	}
	if got := call(t, http.MethodGet, front+"/v1/orders/1", "", b.signed()...); got.status != 200 || got.header.Get("Cache-Control") != "" {
		t.Errorf("permitted: %+v", got)
	}
}
