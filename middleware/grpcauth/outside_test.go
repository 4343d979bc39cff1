package grpcauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestOtherInterceptors covers A7 of the situations: the gate works beside the single
// interceptors of a user, chained ones before and after, a stats handler and a tap handle. A
// token that an interceptor outside the gate puts into the context is no token.
func TestOtherInterceptors(t *testing.T) {
	other := issuertest.New(t)
	foreign := other.Guard(t, middleware.Config{})
	outer, err := foreign.Route("outer", policies()[methodGet])
	if err != nil {
		t.Fatal(err)
	}
	var ran atomic.Int64
	unary := func(ctx context.Context, message any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ran.Add(1)
		verdict := outer.Check(ctx, other.Bearer(issuertest.Claims{"scope": "read", "sub": "outer"}), operation)
		return handler(verdict.Context(ctx), message)
	}
	stream := func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ran.Add(1)
		verdict := outer.Check(stream.Context(), other.Bearer(issuertest.Claims{"scope": "read", "sub": "outer"}), operation)
		return handler(server, &streamWith{stream, verdict.Context(stream.Context())})
	}
	single := []grpc.ServerOption{
		grpc.UnaryInterceptor(unary), grpc.StreamInterceptor(stream), grpc.StatsHandler(new(headers)),
		grpc.InTapHandle(func(ctx context.Context, _ *tap.Info) (context.Context, error) { return ctx, nil }),
	}
	for name, s := range map[string]setup{
		"single ones before":  {before: single},
		"single ones after":   {after: single},
		"chained ones before": {before: []grpc.ServerOption{grpc.ChainUnaryInterceptor(unary), grpc.ChainStreamInterceptor(stream)}},
	} {
		t.Run(name, func(t *testing.T) {
			s.gate.Methods = policies()
			var subject atomic.Value
			s.service = &service{
				get: func(ctx context.Context, in *text) (*text, error) {
					subject.Store(middleware.TokenFrom(ctx).Subject())
					return in, nil
				},
				stream: func(_ string, stream grpc.ServerStream) error {
					subject.Store(middleware.TokenFrom(stream.Context()).Subject())
					return nil
				},
			}
			a := start(t, s)
			for _, call := range []func(...string) error{
				func(pairs ...string) error { return a.get(a.with(pairs...)).err },
				func(pairs ...string) error { return a.stream(a.with(pairs...), methodChat).err },
			} {
				ran.Store(0)
				if err := call(); status.Code(err) != codes.Unauthenticated || ran.Load() != 1 {
					t.Errorf("without a token: %v, %d interceptors ran", err, ran.Load())
				}
				token := "Bearer " + a.Token(issuertest.Claims{"scope": "read", "sub": "inner"})
				if err := call("authorization", token); err != nil && !errors.Is(err, io.EOF) || subject.Load() != "inner" {
					t.Errorf("with a token: %v, the handler saw %v", err, subject.Load())
				}
			}
		})
	}
}

// TestWrappedRefusals covers A13 of the situations and R-GR-09: code and details survive
// interceptors that wrap the error, and its text has nothing of the token or the cause.
func TestWrappedRefusals(t *testing.T) {
	wraps := map[string]func(error) error{
		"as it is":    func(err error) error { return err },
		"fmt.Errorf":  func(err error) error { return fmt.Errorf("calling: %w", err) },
		"twice":       func(err error) error { return fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", err)) },
		"joined":      func(err error) error { return errors.Join(errors.New("another"), err) },
		"by status":   func(err error) error { return status.Convert(err).Err() },
		"with %+v":    func(err error) error { return status.Error(status.Code(err), fmt.Sprintf("%+v", err)) },
		"its message": func(err error) error { return status.Error(status.Code(err), err.Error()) },
	}
	for name, wrap := range wraps {
		t.Run(name, func(t *testing.T) {
			var denials atomic.Int64
			observe := func(err error) error {
				denial, ok := errors.AsType[*middleware.Denial](err)
				if ok && denial.Reason == validator.InsufficientScope && errors.Is(err, validator.InsufficientScope) {
					denials.Add(1)
				}
				return wrap(err)
			}
			a := start(t, setup{before: []grpc.ServerOption{
				grpc.UnaryInterceptor(func(ctx context.Context, message any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
					out, err := handler(ctx, message)
					return out, observe(err)
				}),
				grpc.StreamInterceptor(func(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
					return observe(handler(server, stream))
				}),
			}})
			claims := issuertest.Claims{"scope": "canary-scope", "sub": "canary-sub", "client_id": "canary-client", "jti": "canary-jti"}
			ctx := a.with("authorization", "Bearer "+a.Token(claims))
			for _, got := range []answer{a.get(ctx), a.stream(ctx, methodChat)} {
				if status.Code(got.err) != codes.PermissionDenied {
					t.Errorf("%v", got.err)
				}
				message := status.Convert(got.err).Message()
				if strings.Contains(message, "canary") || strings.Contains(message, a.URL()) || strings.Contains(message, a.SigningKey()) || strings.Contains(message, "middleware") || !strings.Contains(message, "the access token lacks a scope") {
					t.Errorf("message %q", message)
				}
				details, _ := info(t, got.err)
				if re := name == "with %+v" || name == "its message"; !re && details.GetReason() != "INSUFFICIENT_SCOPE" {
					t.Errorf("details %v", details)
				}
			}
			if denials.Load() != 2 {
				t.Errorf("%d denials were found", denials.Load())
			}
		})
	}
}

// TestZeroError checks that errors that the gate did not make are those of nothing
// determined.
func TestZeroError(t *testing.T) {
	for _, err := range []*grpcauth.Error{nil, {}} {
		if err.GRPCStatus().Code() != codes.Unavailable || err.Error() == "" || err.Unwrap() != nil {
			t.Errorf("%v %v", err.GRPCStatus(), err)
		}
	}
}
