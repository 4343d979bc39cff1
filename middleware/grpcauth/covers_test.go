package grpcauth_test

import (
	"context"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// newGate returns a gate for tables.
func newGate(t *testing.T, tables ...grpcauth.Methods) *grpcauth.Gate {
	t.Helper()
	gate, err := grpcauth.New(issuertest.New(t).Guard(t, middleware.Config{}), tables...)
	if err != nil {
		t.Fatal(err)
	}
	return gate
}

// checkFaults checks that err has one line for each want, and that each line has the text.
func checkFaults(t *testing.T, err error, want ...string) {
	t.Helper()
	var lines []string
	if err != nil {
		lines = strings.Split(err.Error(), "\n")
	}
	if len(lines) != len(want) {
		t.Errorf("%d faults, want %d: %v", len(lines), len(want), err)
		return
	}
	for i, line := range lines {
		if !strings.Contains(line, want[i]) {
			t.Errorf("fault %q, want one with %q", line, want[i])
		}
	}
}

// TestCovers covers R-GR-08, A2 and A3 of the situations: methods without a policy,
// policies without a method, and kinds of methods whose interceptor was not taken.
func TestCovers(t *testing.T) {
	register := func(options ...grpc.ServerOption) *grpc.Server {
		server := grpc.NewServer(options...)
		server.RegisterService(description(), new(service))
		return server
	}
	t.Run("complete", func(t *testing.T) {
		gate := newGate(t, policies())
		checkFaults(t, gate.Covers(register(gate.ServerOptions()...)))
	})
	t.Run("a misspelt method", func(t *testing.T) {
		table := policies()
		delete(table, methodWatch)
		table["/svc.S/watch"] = scopes.Public()
		gate := newGate(t, table)
		checkFaults(t, gate.Covers(register(gate.ServerOptions()...)), "/svc.S/Watch has no policy", "/svc.S/watch has a policy, and no service")
	})
	t.Run("unary only", func(t *testing.T) {
		gate := newGate(t, policies())
		checkFaults(t, gate.Covers(register(grpc.ChainUnaryInterceptor(gate.Unary()))), "/svc.S/Chat is a stream", "/svc.S/Up is a stream", "/svc.S/Watch is a stream")
	})
	t.Run("streams only", func(t *testing.T) {
		gate := newGate(t, policies())
		checkFaults(t, gate.Covers(register(grpc.ChainStreamInterceptor(gate.Stream()))), "/svc.S/Get is unary")
	})
	t.Run("both by hand", func(t *testing.T) {
		gate := newGate(t, policies())
		checkFaults(t, gate.Covers(register(grpc.ChainUnaryInterceptor(gate.Unary()), grpc.ChainStreamInterceptor(gate.Stream()))))
	})
	services := func(server *grpc.Server) *grpc.Server {
		reflection.Register(server)
		grpc_health_v1.RegisterHealthServer(server, health.NewServer())
		return server
	}
	t.Run("parts of health and reflection", func(t *testing.T) {
		gate := newGate(t, policies(), grpcauth.Methods{
			"/grpc.health.v1.Health/Check":                                  scopes.Public(),
			"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":     scopes.Authenticated(),
			"/grpc.reflection.v1beta.ServerReflection/ServerReflectionInfo": scopes.Authenticated(),
		})
		checkFaults(t, gate.Covers(services(register(gate.ServerOptions()...))),
			"/grpc.health.v1.Health/List has no policy", "/grpc.health.v1.Health/Watch has no policy",
			"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo has no policy",
			"/grpc.reflection.v1beta.ServerReflection/ServerReflectionInfo has a policy")
	})
	t.Run("all of health and reflection", func(t *testing.T) {
		gate := newGate(t, policies(), grpcauth.Health(scopes.Public()), grpcauth.Reflection(scopes.Authenticated()))
		checkFaults(t, gate.Covers(services(register(gate.ServerOptions()...))))
	})
	t.Run("one version of reflection", func(t *testing.T) {
		gate := newGate(t, policies(), grpcauth.Reflection(scopes.Authenticated()))
		server := register(gate.ServerOptions()...)
		reflection.RegisterV1(server)
		checkFaults(t, gate.Covers(server))
	})
	t.Run("no reflection", func(t *testing.T) {
		gate := newGate(t, policies(), grpcauth.Reflection(scopes.Authenticated()))
		checkFaults(t, gate.Covers(register(gate.ServerOptions()...)), "/grpc.reflection.v1.", "/grpc.reflection.v1alpha.")
	})
	t.Run("a proxy", func(t *testing.T) {
		table := policies()
		table["/other.S/Get"] = scopes.Authenticated()
		gate, err := grpcauth.NewGate(grpcauth.Config{
			Guard: issuertest.New(t).Guard(t, middleware.Config{}), Methods: table,
			Unknown: func(any, grpc.ServerStream) error { return nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		checkFaults(t, gate.Covers(register(gate.ServerOptions()...)))
	})
	t.Run("no server", func(t *testing.T) {
		checkFaults(t, newGate(t, policies()).Covers(nil), "there is no server")
		checkFaults(t, newGate(t, policies()).Covers((*grpc.Server)(nil)), "there is no server")
	})
	t.Run("zero gates", func(t *testing.T) {
		for _, gate := range []*grpcauth.Gate{nil, {}} {
			if err := gate.Covers(register(gate.ServerOptions()...)); err == nil || strings.Count(err.Error(), "has no policy") != 4 {
				t.Errorf("%v", err)
			}
		}
	})
}

// TestFaults checks that a constructor reports all faults of a configuration at once.
func TestFaults(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	good := grpcauth.Methods{methodGet: scopes.Public()}
	for name, row := range map[string]struct {
		config grpcauth.Config
		want   []string
	}{
		"nothing":    {grpcauth.Config{}, []string{"Guard is nil"}},
		"no methods": {grpcauth.Config{Guard: guard}, []string{"Methods is empty"}},
		"names": {grpcauth.Config{Guard: guard, Methods: grpcauth.Methods{
			"": scopes.Public(), "S/M": scopes.Public(), "/S": scopes.Public(), "/S/": scopes.Public(), "//M": scopes.Public(), "/S/M/": scopes.Public(),
			"/S//M": scopes.Public(), "/S/M N": scopes.Public(), "/S/\x00": scopes.Public(), "/S/*": scopes.Public(), "/\xff/M": scopes.Public(),
		}}, []string{`""`, `"//M"`, `"/S"`, `"/S/"`, `"/S/\x00"`, `"/S//M"`, `"/S/M N"`, `"/S/M/"`, `"/\xff/M"`, `"S/M"`}},
		"policies": {grpcauth.Config{Guard: guard, Methods: grpcauth.Methods{"/S/M": {}, "/S/N": scopes.TenantFrom("tenant")}}, []string{"/S/M", "{tenant}"}},
		"keys":     {grpcauth.Config{Guard: guard, Methods: good, RemoveKeys: []string{"x-token", "", "a b"}}, []string{"RemoveKeys[1]", "RemoveKeys[2]"}},
		"both":     {grpcauth.Config{Guard: guard, Methods: good, RemoveKeys: []string{"x"}, InsecureKeepCredentials: true}, []string{"RemoveKeys is set"}},
		"good":     {grpcauth.Config{Guard: guard, Methods: good}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := grpcauth.NewGate(row.config)
			checkFaults(t, err, row.want...)
			for _, f := range validator.Faults(err) {
				if f.Path == "" || f.Mend == "" {
					t.Errorf("%#v", f)
				}
			}
		})
	}
	if _, err := grpcauth.New(guard, grpcauth.Health(scopes.Public()), good, grpcauth.Health(scopes.Authenticated())); err == nil || strings.Count(err.Error(), "is in several tables") != 3 {
		t.Errorf("methods in two tables: %v", err)
	}
	if _, err := grpcauth.New(new(middleware.Guard), good); err == nil {
		t.Error("a Guard that was not made is accepted")
	}
}

// TestZeroGate checks that gates that were not made refuse every call.
func TestZeroGate(t *testing.T) {
	for _, gate := range []*grpcauth.Gate{nil, {}} {
		server := grpc.NewServer(gate.ServerOptions()...)
		server.RegisterService(description(), &service{get: func(context.Context, *text) (*text, error) {
			t.Error("the handler ran")
			return nil, nil //nolint:nilnil // the test has failed
		}})
		a := &api{t: t, client: dial(t, serve(t, server))}
		proof := a.with("authorization", "DPoP a", "dpop", "p")
		for _, got := range []answer{a.get(a.with()), a.get(proof), a.stream(a.with(), methodChat), a.stream(proof, methodChat), a.stream(a.with(), "/no.S/M")} {
			if code := grpcCode(got.err); code != "Unavailable" {
				t.Errorf("%v", got.err)
			}
		}
	}
}
