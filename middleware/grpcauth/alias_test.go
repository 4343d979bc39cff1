package grpcauth_test

import (
	"context"
	"testing"

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

// TestAlias covers R-GR-08: a service that is registered under a second name is checked by
// the name that the client called, although generated code tells interceptors the first.
func TestAlias(t *testing.T) {
	issuer := issuertest.New(t)
	table := policies()
	table[methodGet] = scopes.Public()
	table["/second.S/Get"] = scopes.All("admin")
	gate, err := grpcauth.New(issuer.Guard(t, middleware.Config{}), table)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(gate.ServerOptions()...)
	second := description()
	second.ServiceName, second.Streams = "second.S", nil
	server.RegisterService(description(), new(service))
	server.RegisterService(second, &service{get: func(_ context.Context, in *text) (*text, error) {
		t.Error("the handler ran")
		return in, nil
	}})
	if err := gate.Covers(server); err != nil {
		t.Error(err)
	}
	client := dial(t, serve(t, server))
	if err := client.Invoke(t.Context(), "/second.S/Get", wrapperspb.String("x"), new(text)); status.Code(err) != codes.Unauthenticated {
		t.Errorf("the second name: %v", err)
	}
	if err := client.Invoke(t.Context(), methodGet, wrapperspb.String("x"), new(text)); err != nil {
		t.Errorf("the first name: %v", err)
	}
}

// TestOpenMethods checks what credentials do on methods for callers without any: nothing on
// public ones, and on optional ones they must be good.
func TestOpenMethods(t *testing.T) {
	table := policies()
	table[methodGet], table[methodChat] = scopes.Public(), scopes.Optional(scopes.All("read"))
	a := start(t, setup{gate: grpcauth.Config{Methods: table}, service: &service{
		get: func(ctx context.Context, _ *text) (*text, error) {
			return wrapperspb.String(middleware.TokenFrom(ctx).Subject()), nil
		},
		stream: func(_ string, stream grpc.ServerStream) error {
			return stream.SendMsg(wrapperspb.String("caller " + middleware.TokenFrom(stream.Context()).Subject()))
		},
	}})
	for name, row := range map[string]struct {
		pairs    []string
		optional string // what the optional method answers; empty: it refuses
	}{
		"nothing":          {nil, "caller "},
		"a good token":     {[]string{"authorization", "Bearer " + a.Token(issuertest.Claims{"scope": "read", "sub": "alice"})}, "caller alice"},
		"a bad token":      {[]string{"authorization", "Bearer abc"}, ""},
		"two values":       {[]string{"authorization", "Bearer a", "authorization", "Bearer b"}, ""},
		"a binary key":     {[]string{"authorization-bin", "abc"}, ""},
		"another scheme":   {[]string{"authorization", "Basic dTpw"}, ""},
		"a proof":          {[]string{"dpop", "proof"}, ""},
		"an empty value":   {[]string{"authorization", ""}, ""},
		"too few scopes":   {[]string{"authorization", a.bearer("other")}, ""},
		"an expired token": {[]string{"authorization", "Bearer " + a.Token(issuertest.Claims{"exp": 1})}, ""},
	} {
		if got := a.get(a.with(row.pairs...)); got.err != nil || got.out != "" {
			t.Errorf("%s, public: %q %v", name, got.out, got.err)
		}
		if got := a.stream(a.with(row.pairs...), methodChat); got.out != row.optional || (grpcCode(got.err) == "Unknown") != (row.optional != "") {
			t.Errorf("%s, optional: %q %v", name, got.out, got.err)
		}
	}
}

// TestValue checks that a policy which compares with a value gets it from the message of a
// unary call, and refuses without one.
func TestValue(t *testing.T) {
	table := policies()
	table[methodGet], table[methodChat] = scopes.TenantFrom("tenant"), scopes.TenantFrom("tenant")
	value := func(method string, message any, name string) string {
		in, ok := message.(*text)
		switch {
		case !ok:
			return ""
		case in.GetValue() == "panic" || method != methodGet || name != "tenant":
			panic("injected")
		default:
			return in.GetValue()
		}
	}
	issuer := issuertest.Loopback(t)
	config := issuer.Config()
	config.Tenant = validator.TenantRule{Claim: "tid", Owned: []string{"acme", "other"}}
	a := start(t, setup{guard: middleware.Config{Validator: issuertest.Validator(t, validatorOf(config))}, gate: grpcauth.Config{Methods: table, Value: value}})
	ctx := a.with("authorization", "Bearer "+issuer.Token(issuertest.Claims{"tid": "acme"}))
	for message, want := range map[string]codes.Code{"acme": codes.OK, "other": codes.PermissionDenied, "": codes.PermissionDenied, "panic": codes.Unavailable} {
		if err := a.client.Invoke(ctx, methodGet, wrapperspb.String(message), new(text)); status.Code(err) != want {
			t.Errorf("%q: %v, want %v", message, err, want)
		}
	}
	if got := a.stream(ctx, methodChat); status.Code(got.err) != codes.PermissionDenied {
		t.Errorf("a stream: %v", got.err)
	}
}

// validatorOf returns the configuration of a Validator for one issuer.
func validatorOf(issuer validator.Issuer) validator.Config {
	return validator.Config{Issuers: []validator.Issuer{issuer}}
}
