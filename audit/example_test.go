package audit_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/audit"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/redact"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// check ends the example if there is an error.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// guardOf returns a Guard for tokens of an issuer, with hooks.
func guardOf(issuer *testissuer.Issuer, trace *middleware.Trace) *middleware.Guard {
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{URL: issuer.URL(), Audiences: []string{"https://api.example.com"}}}})
	check(err)
	guard, err := middleware.New(middleware.Config{Validator: v, Trace: trace})
	check(err)
	return guard
}

// timeless leaves out the time of records.
func timeless(groups []string, attr slog.Attr) slog.Attr {
	if attr.Key == slog.TimeKey && len(groups) == 0 {
		return slog.Attr{}
	}
	return attr
}

// A refusal is one record.
func Example() {
	issuer, err := testissuer.Start(testissuer.Config{Audience: "https://api.example.com"})
	check(err)
	defer issuer.Close()
	audits, err := audit.New(audit.Config{Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: timeless}))})
	check(err)
	mux := guardOf(issuer, audits.Trace()).NewMux()
	mux.Handle("GET /orders/{id}", scopes.All("orders:read"), http.NotFoundHandler())
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/orders/7", nil))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(audits.Close(ctx))
	// Output:
	// level=INFO msg="access denied" schema=1 event=denial outcome=denied reason=no_credentials class=no_credentials route="GET /orders/{id}" transport=http scheme=none
}

type decisionKey struct{}

// accessLog writes a line for each request, also for those that the guard behind it refuses.
func accessLog(logger *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var decided atomic.Pointer[middleware.Decision]
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), decisionKey{}, &decided)))
		attrs := []any{"method", r.Method, "url", redact.URL(r.URL)}
		if d := decided.Load(); d != nil {
			attrs = append(attrs, "route", d.Route, "allowed", d.Denial == nil, "client", d.Client)
		}
		logger.InfoContext(r.Context(), "request", attrs...)
	})
}

// noteDecision is the hook that tells accessLog what the guard decided.
func noteDecision(ctx context.Context, d middleware.Decision) {
	if decided, ok := ctx.Value(decisionKey{}).(*atomic.Pointer[middleware.Decision]); ok {
		decided.Store(&d)
	}
}

// An access log in front of the guard knows the caller.
func Example_accessLog() {
	issuer, err := testissuer.Start(testissuer.Config{Audience: "https://api.example.com"})
	check(err)
	defer issuer.Close()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: timeless}))
	guard := guardOf(issuer, &middleware.Trace{Decided: noteDecision})
	mux := guard.NewMux()
	mux.Handle("GET /orders/{id}", scopes.All("orders:read"), http.NotFoundHandler())
	served := accessLog(logger, mux)
	r := httptest.NewRequest(http.MethodGet, "/orders/7?access_token=secret&page=2", nil)
	served.ServeHTTP(httptest.NewRecorder(), r)
	r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{Scope: "orders:read"}))
	served.ServeHTTP(httptest.NewRecorder(), r)
	// Output:
	// level=INFO msg=request method=GET url="/orders/7?access_token=[redacted]&page=2" route="GET /orders/{id}" allowed=false client=""
	// level=INFO msg=request method=GET url="/orders/7?access_token=[redacted]&page=2" route="GET /orders/{id}" allowed=true client=client-1
}

type requestIDKey struct{}

// withRequestID gives each request an id.
func withRequestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := fmt.Sprintf("%016x", nextID.Add(1))
		w.Header().Set("X-Request-ID", id)
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

var nextID atomic.Uint64

// Records have the id that middleware in front of the guard has put into the context.
func ExampleConfig_requestID() {
	issuer, err := testissuer.Start(testissuer.Config{Audience: "https://api.example.com"})
	check(err)
	defer issuer.Close()
	var out strings.Builder
	audits, err := audit.New(audit.Config{
		Logger: slog.New(slog.NewTextHandler(&out, nil)),
		RequestID: func(ctx context.Context) string {
			id, _ := ctx.Value(requestIDKey{}).(string)
			return id
		},
	})
	check(err)
	guard := guardOf(issuer, audits.Trace())
	served := withRequestID(guard.Require(scopes.Authenticated(), http.NotFoundHandler()))
	served.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	check(audits.Close(ctx))
	fmt.Println(strings.Contains(out.String(), "request_id=0000000000000001"))
	// Output: true
}
