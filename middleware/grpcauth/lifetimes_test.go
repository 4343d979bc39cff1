package grpcauth_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// expiring returns a token that expires after about this time, and when.
func (a *api) expiring(after time.Duration, claims issuertest.Claims) (string, time.Time) {
	exp := time.Now().Add(after).Truncate(time.Second).Add(time.Second)
	all := issuertest.Claims{"scope": "read", "exp": exp.Unix()}
	maps.Copy(all, claims)
	return "Bearer " + a.Token(all), exp
}

// strictly is a leeway of nothing, so that tests do not wait for it.
var strictly = validator.Leeway{Expiry: validator.NoLeeway}

// TestExpiry covers R-GR-07, the case http-127, and A18 and A19 of the situations: a stream
// ends within a second after its token expired, with the class of an expired token. Streams
// whose tokens have far or absurd expiries go on.
func TestExpiry(t *testing.T) {
	t.Parallel()
	a := start(t, setup{leeway: strictly, service: &service{stream: func(_ string, stream grpc.ServerStream) error { return stream.RecvMsg(new(text)) }}})
	token, exp := a.expiring(time.Second, nil)
	ending := a.open(a.with("authorization", token), methodChat)
	var lasting []grpc.ClientStream
	for _, exp := range []any{int64(253402300799), int64(1<<53 - 1), 9000000000.999} {
		lasting = append(lasting, a.open(a.with("authorization", "Bearer "+a.Token(issuertest.Claims{"scope": "read", "exp": exp})), methodChat))
	}
	err := ending.RecvMsg(new(text))
	if late := time.Since(exp); late < 0 || late > soon {
		t.Errorf("it ended %v after the expiry", late)
	}
	details, retry := info(t, err)
	if status.Code(err) != codes.Unauthenticated || details.GetReason() != "EXPIRED_TOKEN" || retry != nil {
		t.Errorf("%v %v", err, details)
	}
	if challenges := ending.Trailer()["www-authenticate"]; len(challenges) != 1 || !strings.Contains(challenges[0], `error="invalid_token"`) {
		t.Errorf("challenges %q", challenges)
	}
	for _, stream := range lasting {
		_ = stream.SendMsg(wrapperspb.String("end"))
		if err := stream.RecvMsg(new(text)); !errors.Is(err, io.EOF) {
			t.Errorf("a stream with a later expiry: %v", err)
		}
	}
	a.gone()
}

// TestNotice covers A21 of the situations: a handler learns that its stream will end, and
// its last message arrives before the status.
func TestNotice(t *testing.T) {
	t.Parallel()
	a := start(t, setup{
		leeway: strictly, guard: middleware.Config{LongRequests: middleware.LongRequests{Notice: 500 * time.Millisecond}},
		service: &service{stream: func(_ string, stream grpc.ServerStream) error {
			held := middleware.HeldFrom(stream.Context())
			<-held.Ending()
			if _, set := stream.Context().Deadline(); !set { // that of the client, 20 s
				t.Error("the context has lost its deadline")
			}
			if err := stream.SendMsg(wrapperspb.String("until " + held.Ends().UTC().Format(time.RFC3339))); err != nil {
				return err
			}
			<-stream.Context().Done()
			return nil
		}},
	})
	token, exp := a.expiring(time.Second, nil)
	got := a.stream(a.with("authorization", token), methodWatch)
	if got.out != "until "+exp.UTC().Format(time.RFC3339) || status.Code(got.err) != codes.Unauthenticated {
		t.Errorf("%q %v", got.out, got.err)
	}
}

// TestRenew covers A22 of the situations: a new token in a message replaces the old one for
// the accessors of the stream, and the old end does not come. A token of another caller, a
// bad one and one with too few scopes change nothing.
func TestRenew(t *testing.T) {
	t.Parallel()
	var decisions recorded
	a := start(t, setup{
		leeway: strictly, guard: middleware.Config{Trace: decisions.trace()},
		gate: grpcauth.Config{Renew: func(method string, message any) (string, bool) {
			in, _ := message.(*text)
			if method != methodChat || in.GetValue() == "panic" {
				panic("injected")
			}
			return strings.CutPrefix(in.GetValue(), "renew ")
		}},
		service: &service{stream: func(_ string, stream grpc.ServerStream) error {
			var in text
			for err := stream.RecvMsg(&in); ; err = stream.RecvMsg(&in) {
				if err != nil {
					return err
				}
				held := middleware.HeldFrom(stream.Context())
				if held.Token() != middleware.TokenFrom(stream.Context()) {
					t.Error("the accessors differ")
				}
				if err := stream.SendMsg(wrapperspb.String(in.GetValue() + " " + held.Token().ID())); err != nil {
					return err
				}
			}
		}},
	})
	first, exp := a.expiring(time.Second, issuertest.Claims{"jti": "first"})
	stream := a.open(a.with("authorization", first), methodChat)
	say := func(message, want string) {
		t.Helper()
		if err := stream.SendMsg(wrapperspb.String(message)); err != nil {
			t.Fatal(err)
		}
		if want == "" {
			return
		}
		var out text
		if err := stream.RecvMsg(&out); err != nil || out.GetValue() != want {
			t.Fatalf("%q %v, want %q", out.GetValue(), err, want)
		}
	}
	say("hello", "hello first")
	say("panic", "panic first")
	for _, bad := range []string{"", "Bearer", "Bearer abc", "Basic dTpw", a.bearer(""), "Bearer " + a.Token(issuertest.Claims{"scope": "read", "sub": "mallory"})} {
		say("renew "+bad, "")
	}
	say("still", "still first")
	second, next := a.expiring(4*time.Second, issuertest.Claims{"jti": "second", "scope": "read more"})
	say("renew "+second, "")
	say("now", "now second")
	<-time.After(time.Until(exp) + 1500*time.Millisecond)
	say("after the old end", "after the old end second")
	err := stream.RecvMsg(new(text))
	if late := time.Since(next); status.Code(err) != codes.Unauthenticated || late < 0 || late > soon {
		t.Errorf("%v, %v after the new expiry", err, late)
	}
	passed, refused := 0, map[validator.Reason]int{}
	for _, d := range decisions.take() {
		if d.Denial == nil {
			passed++
		} else {
			refused[d.Denial.Reason]++
		}
	}
	if passed != 2 || refused[validator.MalformedRequest] != 2 || refused[validator.MalformedToken] != 1 || refused[validator.NoCredentials] != 1 || refused[validator.InsufficientScope] != 1 || refused[validator.Forbidden] != 1 {
		t.Errorf("%d decisions pass, refused are %v", passed, refused)
	}
}

// TestAnonymousStreams covers A23 of the situations: streams without a token have a longest
// life, and end with a code for which clients come back, with the time to wait.
func TestAnonymousStreams(t *testing.T) {
	t.Parallel()
	table := policies()
	table[methodWatch], table[methodChat] = scopes.Public(), scopes.Optional(scopes.All("read"))
	a := start(t, setup{
		guard:   middleware.Config{LongRequests: middleware.LongRequests{MaxAnonymous: time.Second}},
		gate:    grpcauth.Config{Methods: table},
		service: &service{stream: func(_ string, stream grpc.ServerStream) error { <-stream.Context().Done(); return nil }},
	})
	withToken := a.open(a.with("authorization", a.bearer("read")), methodChat)
	began := time.Now()
	for _, method := range []string{methodWatch, methodChat} {
		got := a.stream(a.with(), method)
		details, retry := info(t, got.err)
		if status.Code(got.err) != codes.Unavailable || details.GetReason() != "UNAVAILABLE" || retry.GetRetryDelay().AsDuration() != time.Second || len(got.trailer["grpc-retry-pushback-ms"]) != 1 {
			t.Errorf("%s: %v %v %v", method, got.err, details, got.trailer)
		}
	}
	if passed := time.Since(began); passed < time.Second || passed > 3*soon {
		t.Errorf("they ended after %v", passed)
	}
	if long := a.guard.LongRequests(); long.Open != 1 {
		t.Errorf("the stream with a token: %+v", long)
	}
	_ = withToken.CloseSend()
}

// TestGracefulStop covers A23 of the situations: public and other streams whose handlers end
// with their context do not hold the server, and nothing is left of them.
func TestGracefulStop(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("streams", func(t *testing.T) {
		table := policies()
		table[methodWatch] = scopes.Public()
		var running sync.WaitGroup
		a := start(t, setup{gate: grpcauth.Config{Methods: table}, service: &service{stream: func(_ string, stream grpc.ServerStream) error {
			running.Done()
			<-stream.Context().Done()
			return stream.Context().Err()
		}}})
		const count = 100
		running.Add(2 * count)
		token := a.bearer("read")
		var cancels []context.CancelFunc
		for range count {
			for _, stream := range []struct {
				method string
				pairs  []string
			}{{methodWatch, nil}, {methodChat, []string{"authorization", token}}} {
				ctx, cancel := context.WithCancel(a.with(stream.pairs...))
				cancels = append(cancels, cancel)
				a.open(ctx, stream.method)
			}
		}
		running.Wait()
		if long := a.guard.LongRequests(); long.Open != 2*count {
			t.Errorf("%+v", long)
		}
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			a.server.GracefulStop()
		}()
		for _, cancel := range cancels {
			cancel()
		}
		wait(t, "GracefulStop", stopped)
		if long := a.guard.LongRequests(); long.Open != 0 || long.Overdue != 0 {
			t.Errorf("%+v", long)
		}
	})
	goroutines(t, before)
}

// TestPeers covers R-GR-07: peers that leave, that close their side, and servers that stop.
// The handler's error and the end of its context are what they are without a gate.
func TestPeers(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, hidden := range []bool{false, true} {
		t.Run("", func(t *testing.T) {
			ended := make(chan error, 1)
			cause := make(chan error, 1)
			s := setup{service: &service{stream: func(_ string, stream grpc.ServerStream) error {
				err := stream.RecvMsg(new(text))
				for err == nil {
					if err = stream.SendMsg(wrapperspb.String("x")); err == nil {
						err = stream.RecvMsg(new(text))
					}
				}
				ended <- err
				cause <- context.Cause(stream.Context())
				if errors.Is(err, io.EOF) {
					return status.Error(codes.DataLoss, "own")
				}
				return err
			}}}
			if hidden {
				s.before = []grpc.ServerOption{grpc.ChainStreamInterceptor(hideTransport)}
			}
			a := start(t, s)
			open := func() (grpc.ClientStream, context.CancelFunc) {
				ctx, cancel := context.WithCancel(a.with("authorization", a.bearer("read")))
				stream := a.open(ctx, methodChat)
				if err := errors.Join(stream.SendMsg(wrapperspb.String("x")), stream.RecvMsg(new(text))); err != nil {
					t.Fatal(err)
				}
				return stream, cancel
			}
			_, cancel := open()
			cancel()
			if err := wait(t, "the peer leaves", ended); status.Code(err) != codes.Canceled {
				t.Errorf("the peer left: %v", err)
			}
			if err := wait(t, "the cause", cause); !errors.Is(err, context.Canceled) {
				t.Errorf("the peer left: %v", err)
			}
			stream, cancel := open()
			defer cancel()
			_ = stream.CloseSend()
			if err := wait(t, "the peer closes its side", ended); !errors.Is(err, io.EOF) {
				t.Errorf("the peer closed its side: %v", err)
			}
			_ = wait(t, "the cause", cause)
			if err := stream.RecvMsg(new(text)); status.Code(err) != codes.DataLoss {
				t.Errorf("the handler's own error: %v", err)
			}
			_, cancel = open()
			defer cancel()
			a.server.Stop()
			if err := wait(t, "the server stops", ended); status.Code(err) != codes.Canceled && status.Code(err) != codes.Unavailable {
				t.Errorf("the server stopped: %v", err)
			}
			_ = wait(t, "the cause", cause)
			if long := a.guard.LongRequests(); long.Overdue != 0 {
				t.Errorf("%+v", long)
			}
		})
	}
	goroutines(t, before)
}

// TestPanics checks that the panic of a handler reaches the interceptors outside the gate on
// the goroutine of the call, and that nothing stays held.
func TestPanics(t *testing.T) {
	for _, hidden := range []bool{false, true} {
		var recovered atomic.Value
		recovering := grpc.ChainStreamInterceptor(func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
			defer func() {
				if cause := recover(); cause != nil {
					recovered.Store(cause)
					err = status.Error(codes.DataLoss, "recovered")
				}
			}()
			return handler(server, stream)
		})
		s := setup{before: []grpc.ServerOption{recovering}, service: &service{stream: func(string, grpc.ServerStream) error { panic("injected") }}}
		if hidden {
			s.before = append(s.before, grpc.ChainStreamInterceptor(hideTransport))
		}
		a := start(t, s)
		if got := a.stream(a.with("authorization", a.bearer("read")), methodChat); status.Code(got.err) != codes.DataLoss || recovered.Load() != "injected" {
			t.Errorf("%v, recovered %v", got.err, recovered.Load())
		}
		if long := a.guard.LongRequests(); long.Open != 0 {
			t.Errorf("%+v", long)
		}
	}
}

// TestReconnects covers A20 of the situations: clients that come back at once with an
// expired token cost no call of the issuer and do not slow others, and each is counted.
func TestReconnects(t *testing.T) {
	var decided atomic.Int64
	a := start(t, setup{leeway: strictly, guard: middleware.Config{Trace: &middleware.Trace{Decided: func(_ context.Context, d middleware.Decision) {
		if d.Denial != nil {
			decided.Add(1)
		}
	}}}})
	dead := "Bearer " + a.Token(issuertest.Claims{"scope": "read", "exp": time.Now().Add(-time.Hour).Unix()})
	token := a.bearer("read")
	const clients, each = 4, 500
	var floods sync.WaitGroup
	for range clients {
		floods.Go(func() {
			for range each {
				if got := a.stream(a.with("authorization", dead), methodChat); status.Code(got.err) != codes.Unauthenticated {
					t.Errorf("%v", got.err)
					return
				}
			}
		})
	}
	var slowest time.Duration
	for range 200 {
		began := time.Now()
		if got := a.get(a.with("authorization", token)); got.err != nil {
			t.Fatal(got.err)
		}
		slowest = max(slowest, time.Since(began))
	}
	floods.Wait()
	if decided.Load() != clients*each {
		t.Errorf("%d refusals are counted, want %d", decided.Load(), clients*each)
	}
	t.Logf("during %d refused streams, the slowest call of another took %v", clients*each, slowest)
}
