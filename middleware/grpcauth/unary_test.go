package grpcauth_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// info returns the ErrorInfo and the RetryInfo of a status; either may be nil.
func info(tb testing.TB, err error) (*errdetails.ErrorInfo, *errdetails.RetryInfo) {
	tb.Helper()
	var i *errdetails.ErrorInfo
	var r *errdetails.RetryInfo
	for _, detail := range status.Convert(err).Details() {
		switch d := detail.(type) {
		case *errdetails.ErrorInfo:
			i = d
		case *errdetails.RetryInfo:
			r = d
		default:
			tb.Errorf("detail %T", d)
		}
	}
	return i, r
}

// recorded are the Decisions of a Guard.
type recorded struct {
	mu  sync.Mutex
	all []middleware.Decision
}

func (r *recorded) trace() *middleware.Trace {
	return &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, d)
	}}
}

func (r *recorded) take() []middleware.Decision {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.all
	r.all = nil
	return all
}

// TestRefusals covers R-GR-01, R-GR-02, R-GR-03, R-GR-04, R-GR-07, R-GR-08 and A11 of the
// situations: code, ErrorInfo, challenge, message and Decision of every way to be refused,
// for unary calls and for the three kinds of streams, whose handlers do not run.
func TestRefusals(t *testing.T) {
	var decisions recorded
	var ran sync.Map
	a := start(t, setup{
		guard: middleware.Config{Trace: decisions.trace()},
		service: &service{
			get:    func(_ context.Context, in *text) (*text, error) { ran.Store(methodGet, true); return in, nil },
			stream: func(method string, _ grpc.ServerStream) error { ran.Store(method, true); return nil },
		},
	})
	good := a.bearer("other read")
	for _, row := range []struct {
		name   string
		pairs  []string
		code   codes.Code
		reason string
		want   validator.Reason
		cause  string // part of the cause
	}{
		{name: "good", pairs: []string{"authorization", good}},
		{name: "good in other spelling", pairs: []string{"Authorization", strings.Replace(good, "Bearer ", "bEARER   ", 1)}},
		{name: "no token", code: codes.Unauthenticated, reason: "NO_CREDENTIALS", want: validator.NoCredentials},
		{name: "another scheme", pairs: []string{"authorization", "Basic dTpw"}, code: codes.Unauthenticated, reason: "NO_CREDENTIALS", want: validator.NoCredentials},
		{name: "malformed", pairs: []string{"authorization", "Bearer"}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest},
		{name: "empty", pairs: []string{"authorization", ""}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest},
		{name: "two values", pairs: []string{"authorization", good, "authorization", "Bearer bad"}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest, cause: "2 Authorization fields"},
		{name: "two values, bad first", pairs: []string{"authorization", "Bearer bad", "authorization", good}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest, cause: "gateway"},
		{name: "two equal values", pairs: []string{"authorization", good, "authorization", good}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest, cause: "2 Authorization fields"},
		{name: "three values", pairs: []string{"authorization", good, "authorization", good, "authorization", good}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest, cause: "3 Authorization fields"},
		{name: "binary key", pairs: []string{"authorization-bin", good}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest, cause: "binary key"},
		{name: "binary key beside a good one", pairs: []string{"authorization", good, "authorization-bin", good}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest, cause: "binary key"},
		{name: "binary proof", pairs: []string{"authorization", good, "dpop-bin", "x"}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.MalformedRequest, cause: "binary key"},
		{name: "a key of another service", pairs: []string{"x-authorization", good}, code: codes.Unauthenticated, reason: "NO_CREDENTIALS", want: validator.NoCredentials},
		{name: "the key of a gateway", pairs: []string{"grpcgateway-authorization", good}, code: codes.Unauthenticated, reason: "NO_CREDENTIALS", want: validator.NoCredentials},
		{name: "not a token", pairs: []string{"authorization", "Bearer abc"}, code: codes.Unauthenticated, reason: "INVALID_TOKEN", want: validator.MalformedToken},
		{name: "foreign key", pairs: []string{"authorization", "Bearer " + a.Sign(testissuer.Token{Scope: "read", Forgery: testissuer.ForeignKey})}, code: codes.Unauthenticated, reason: "INVALID_TOKEN", want: validator.BadSignature},
		{name: "expired", pairs: []string{"authorization", "Bearer " + a.Token(issuertest.Claims{"exp": 1})}, code: codes.Unauthenticated, reason: "EXPIRED_TOKEN", want: validator.Expired},
		{name: "bound to a key", pairs: []string{"authorization", "Bearer " + a.Token(issuertest.Claims{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}})}, code: codes.Unauthenticated, reason: "INVALID_TOKEN", want: validator.BindingMismatch},
		{name: "a scope is missing", pairs: []string{"authorization", a.bearer("plain")}, code: codes.PermissionDenied, reason: "INSUFFICIENT_SCOPE", want: validator.InsufficientScope},
		{name: "too large", pairs: []string{"authorization", "Bearer " + strings.Repeat("a", 17<<10)}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.TooLarge},
		{name: "far too large", pairs: []string{"authorization", "Bearer " + strings.Repeat("a", 60<<10)}, code: codes.Unauthenticated, reason: "INVALID_REQUEST", want: validator.TooLarge},
	} {
		for _, method := range []string{methodGet, methodUp, methodWatch, methodChat} {
			t.Run(row.name+method, func(t *testing.T) {
				ran.Clear()
				var got answer
				if method == methodGet {
					got = a.get(a.with(row.pairs...))
				} else if got = a.stream(a.with(row.pairs...), method); errors.Is(got.err, io.EOF) {
					got.err = nil
				}
				if status.Code(got.err) != row.code {
					t.Fatalf("%v, want %v", got.err, row.code)
				}
				if _, handled := ran.Load(method); handled != (row.code == codes.OK) {
					t.Errorf("handler ran: %v", handled)
				}
				all := decisions.take()
				if len(all) != 1 || all[0].Route != method || all[0].Transport != "grpc" || (all[0].Denial == nil) != (row.code == codes.OK) {
					t.Fatalf("decisions %+v", all)
				}
				if row.code == codes.OK {
					return
				}
				if d := all[0].Denial; d.Reason != row.want || !strings.Contains(d.Cause().Error(), row.cause) {
					t.Errorf("decided %v: %v", d.Reason, d.Cause())
				}
				details, retry := info(t, got.err)
				if details.GetReason() != row.reason || details.GetDomain() != middleware.ErrorDomain || retry != nil {
					t.Errorf("details %v %v", details, retry)
				}
				if challenges := got.trailer["www-authenticate"]; len(challenges) != 1 || !strings.HasPrefix(challenges[0], `Bearer realm="api"`) {
					t.Errorf("challenges %q", challenges)
				}
				if len(got.trailer["grpc-retry-pushback-ms"]) != 0 {
					t.Error("a token fault has a pushback")
				}
			})
		}
	}
}

// TestStepUp covers R-GR-04: the acr values and the age that a step-up needs are in the
// ErrorInfo and in the challenge.
func TestStepUp(t *testing.T) {
	a := start(t, setup{gate: grpcauth.Config{Methods: grpcauth.Methods{
		methodGet: scopes.ACR("gold", "silver"), methodChat: scopes.MaxAuthAge(5 * time.Minute),
	}}})
	got := a.get(a.with("authorization", a.bearer("read")))
	details, _ := info(t, got.err)
	if status.Code(got.err) != codes.Unauthenticated || details.GetReason() != "INSUFFICIENT_USER_AUTHENTICATION" || details.GetMetadata()["acrValues"] != "gold silver" {
		t.Errorf("%v: %v", got.err, details)
	}
	if challenges := got.trailer["www-authenticate"]; len(challenges) != 1 || !strings.Contains(challenges[0], `acr_values="gold silver"`) {
		t.Errorf("challenges %q", challenges)
	}
	got = a.stream(a.with("authorization", a.bearer("read")), methodChat)
	details, _ = info(t, got.err)
	if status.Code(got.err) != codes.Unauthenticated || details.GetMetadata()["maxAge"] != "300" || !strings.Contains(got.trailer["www-authenticate"][0], `max_age="300"`) {
		t.Errorf("%v: %v %v", got.err, details, got.trailer)
	}
}
