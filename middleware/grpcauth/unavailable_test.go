package grpcauth_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// startFetching starts an api whose guard fetches the keys of the issuer.
func startFetching(t *testing.T, trace *middleware.Trace, dial ...grpc.DialOption) (*api, *issuertest.Issuer) {
	t.Helper()
	issuer := issuertest.Loopback(t)
	return start(t, setup{guard: middleware.Config{Validator: issuer.Validator(t, issuer.Fetched), Trace: trace}, dial: dial}), issuer
}

// TestRetries covers R-GR-05 and A15 of the situations: what cannot be determined is
// UNAVAILABLE with the number of the HTTP answer, and a client with a retry policy does not
// come back before.
func TestRetries(t *testing.T) {
	var attempts atomic.Int64
	var second atomic.Int64 // when it came, in ns after the first one
	began := time.Now()
	trace := &middleware.Trace{Decided: func(context.Context, middleware.Decision) {
		if attempts.Add(1) == 2 {
			second.Store(int64(time.Since(began)))
		}
	}}
	a, issuer := startFetching(t, trace, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(`{"methodConfig":[{
		"name":[{}],"retryPolicy":{"maxAttempts":3,"initialBackoff":"0.001s","maxBackoff":"0.001s","backoffMultiplier":1,"retryableStatusCodes":["UNAVAILABLE"]}}]}`))
	issuer.Down(true)
	pairs := []string{"authorization", "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})}
	began = time.Now()
	got := a.get(a.with(pairs...))
	details, retry := info(t, got.err)
	if status.Code(got.err) != codes.Unavailable || details.GetReason() != "UNAVAILABLE" || len(got.trailer["www-authenticate"]) != 0 {
		t.Fatalf("%v %v %v", got.err, details, got.trailer)
	}
	delay := retry.GetRetryDelay().AsDuration()
	if delay < time.Second || delay%time.Second != 0 {
		t.Errorf("retry delay %v", delay)
	}
	if len(got.trailer["grpc-retry-pushback-ms"]) != 1 {
		t.Fatalf("trailer %v", got.trailer)
	}
	pushback, err := strconv.ParseInt(got.trailer["grpc-retry-pushback-ms"][0], 10, 64)
	if err != nil || time.Duration(pushback)*time.Millisecond < delay || time.Duration(pushback)*time.Millisecond >= delay+500*time.Millisecond {
		t.Errorf("pushback %d, delay %v", pushback, delay)
	}
	if attempts.Load() != 3 || time.Duration(second.Load()) < time.Second {
		t.Errorf("%d attempts, the second one after %v", attempts.Load(), time.Duration(second.Load()))
	}
	route, err := a.guard.Route("http", policies()[methodGet])
	if err != nil {
		t.Fatal(err)
	}
	denial := route.Check(t.Context(), issuertest.Bearer(issuer.Sign(testissuer.Token{Scope: "read"})), operation).Denial()
	if _, header, _ := denial.Response(); header.Get("Retry-After") != strconv.Itoa(int(denial.RetryAfter/time.Second)) || denial.RetryAfter > delay {
		t.Errorf("the HTTP answer says %q, gRPC %v", header.Get("Retry-After"), delay)
	}
}

// TestCallersLeave covers A14 of the situations: the deadline and the end of a caller are
// its own, and neither refusals nor outages are counted; an end of ours is an outage. The
// fetch goes on for others.
func TestCallersLeave(t *testing.T) {
	var decisions recorded
	a, issuer := startFetching(t, decisions.trace())
	issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 2 * time.Second})
	token := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})
	ends := map[codes.Code]func(context.Context) (context.Context, context.CancelFunc){
		codes.DeadlineExceeded: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 300*time.Millisecond)
		},
		codes.Canceled: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(300*time.Millisecond, cancel)
			return ctx, cancel
		},
	}
	for want, end := range ends {
		ctx, cancel := end(a.with("authorization", token))
		defer cancel()
		if got := a.get(ctx); status.Code(got.err) != want {
			t.Errorf("unary: %v, want %v", got.err, want)
		}
		ctx, cancel = end(a.with("authorization", token))
		defer cancel()
		if got := a.stream(ctx, methodChat); status.Code(got.err) != want {
			t.Errorf("stream: %v, want %v", got.err, want)
		}
	}
	if got := a.get(a.with("authorization", token)); got.err != nil {
		t.Errorf("a caller that waits: %v", got.err)
	}
	all := decisions.take()
	if len(all) != 5 {
		t.Errorf("%d decisions", len(all))
	}
	for _, d := range all {
		if d.Denial != nil && (d.Denial.Class != middleware.ClassCanceled || d.Denial.Reason != validator.Canceled) {
			t.Errorf("decided %v", d.Denial.Cause())
		}
	}
	if fetches := issuer.Requests(testissuer.JWKS); fetches != 1 {
		t.Errorf("%d fetches", fetches)
	}
}
