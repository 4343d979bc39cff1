package benchmarks

import (
	"context"
	"fmt"

	auth0grpc "github.com/auth0/go-jwt-middleware/v3/integrations/grpc"
	"github.com/golang-jwt/jwt/v5"
	"github.com/grpc-ecosystem/go-grpc-middleware/v2/interceptors/auth"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// Door is one way to validate the token of a gRPC call, in an interceptor.
type Door struct {
	Name   string
	Module string // see [Subject]
	// Checks and Adapter are as those of a Subject.
	Checks, Adapter string
	// Type and Ours are as those of a Subject.
	Type, Ours bool
	// Prepare does what an application does once at its start. The interceptor will get
	// the tokens of m in turn: again and again if seen is true, and otherwise so many
	// that each one is new.
	Prepare func(m *Material, seen bool) (grpc.UnaryServerInterceptor, error)
}

// Doors are the interceptors that are compared. The first is that of Sallyport.
var Doors = []Door{
	{
		Name: "Sallyport", Type: true, Ours: true,
		Checks:  "RFC 9068 in full; the scope of the method; the handler's metadata has no credentials",
		Prepare: prepareGate,
	},
	{
		Name: "go-grpc-middleware + golang-jwt + keyfunc, registered claims", Module: "github.com/grpc-ecosystem/go-grpc-middleware/v2",
		Checks:  "alg, signature, iss, aud, exp, iat, nbf; registered claims decoded; the first of several tokens; not scopes",
		Adapter: "typ", Type: true,
		Prepare: prepareGRPCMiddleware(func() jwt.Claims { return &jwt.RegisteredClaims{} }),
	},
	{
		Name: "go-grpc-middleware + golang-jwt + keyfunc, map claims", Module: "github.com/grpc-ecosystem/go-grpc-middleware/v2",
		Checks:  "alg, signature, iss, aud, exp, iat, nbf; all claims decoded; the first of several tokens; not scopes",
		Adapter: "typ", Type: true,
		Prepare: prepareGRPCMiddleware(func() jwt.Claims { return jwt.MapClaims{} }),
	},
	{
		Name: "auth0/go-jwt-middleware v3, integrations/grpc", Module: "github.com/auth0/go-jwt-middleware/v3",
		Checks:  "alg, signature, iss, aud, exp if there is one, iat, nbf; all claims decoded, twice; not typ; not scopes; an unknown kid is INTERNAL",
		Prepare: prepareAuth0GRPC,
	},
}

// Nothing is an interceptor that only calls the handler. What it costs shows how exact the
// measurement is.
var Nothing = Door{
	Name:   "an interceptor that checks nothing",
	Checks: "nothing",
	Prepare: func(*Material, bool) (grpc.UnaryServerInterceptor, error) {
		return func(ctx context.Context, in any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			return handler(ctx, in)
		}, nil
	},
}

// prepareGate prepares grpcauth with one method. Its cache holds all tokens if they will
// be seen again, and else the fewest possible.
func prepareGate(m *Material, seen bool) (grpc.UnaryServerInterceptor, error) {
	v, err := newValidator(m, func(c *validator.Config) {
		if seen {
			c.Cache.Entries = max(1000, 2*len(m.Tokens))
		}
	})
	if err != nil {
		return nil, err
	}
	guard, err := middleware.New(middleware.Config{Validator: v})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	gate, err := grpcauth.New(guard, grpcauth.Methods{callMethod: scopes.All("orders:read")})
	if err != nil {
		return nil, fmt.Errorf("benchmarks: %w", err)
	}
	return gate.Unary(), nil
}

type claimsKey struct{}

// prepareGRPCMiddleware prepares the interceptor of go-grpc-middleware with a function as
// in its documentation.
func prepareGRPCMiddleware(claims func() jwt.Claims) func(m *Material, seen bool) (grpc.UnaryServerInterceptor, error) {
	return func(m *Material, _ bool) (grpc.UnaryServerInterceptor, error) {
		parse, err := golangJWTParser(m, claims)
		if err != nil {
			return nil, err
		}
		return auth.UnaryServerInterceptor(func(ctx context.Context) (context.Context, error) {
			token, err := auth.AuthFromMD(ctx, "bearer")
			if err != nil {
				return nil, err
			}
			parsed, err := parse(token)
			if err != nil {
				return nil, status.Error(codes.Unauthenticated, "the token is invalid")
			}
			return context.WithValue(ctx, claimsKey{}, parsed.Claims), nil
		}), nil
	}
}

// prepareAuth0GRPC prepares the interceptor of auth0, with keys that are known.
func prepareAuth0GRPC(m *Material, _ bool) (grpc.UnaryServerInterceptor, error) {
	v, err := newAuth0v3(m)
	if err != nil {
		return nil, err
	}
	interceptor, err := auth0grpc.New(auth0grpc.WithValidator(v))
	if err != nil {
		return nil, fmt.Errorf("benchmarks: auth0 gRPC: %w", err)
	}
	return interceptor.UnaryServerInterceptor(), nil
}
