package main

import (
	"context"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-auth/sallyport/protopolicy"
	"github.com/sallyport-auth/sallyport/scopes"
)

const root = "../.."

// TestCurrent shows that the committed Go code is what this program writes.
func TestCurrent(t *testing.T) {
	for _, s := range sources {
		files, err := s.generate(t.Context(), root)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != len(s.plugins) {
			t.Errorf("%s: %d plug-ins made %d files", s.file, len(s.plugins), len(files))
		}
		for name, want := range files {
			got, err := os.ReadFile(filepath.Join(root, name))
			if err != nil || string(got) != string(want) {
				t.Errorf("%s is not current (%v): make proto", name, err)
			}
		}
	}
}

// TestAllSources shows that no .proto file of the repository is forgotten.
func TestAllSources(t *testing.T) {
	known := make(map[string]bool)
	for _, s := range sources {
		known[filepath.Join(s.folder, s.file)] = true
	}
	found := 0
	for _, pattern := range []string{"*/proto/*/*/*.proto", "*/*/proto/*/*/*.proto", "*/*/*/proto/*/*/*.proto"} {
		matches, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range matches {
			name, err := filepath.Rel(root, match)
			if err != nil || !known[name] {
				t.Errorf("%s (%v) is not among the sources", name, err)
			}
			found++
		}
	}
	if found != len(sources) {
		t.Errorf("%d files found, of %d sources", found, len(sources))
	}
}

// compiled returns a service that a compiler loads at run time.
func compiled(t *testing.T, body string) (protoreflect.ServiceDescriptor, error) {
	t.Helper()
	shipped, err := os.ReadFile(filepath.Join(root, policyProto, "sallyport/v1/policy.proto"))
	if err != nil {
		t.Fatal(err)
	}
	compiler := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{
			"sallyport/v1/policy.proto": string(shipped),
			"test.proto": `syntax = "proto3"; package test.v1; import "sallyport/v1/policy.proto"; message Empty {}
				service Orders {` + body + `}`,
		}),
	})}
	files, err := compiler.Compile(context.Background(), "test.proto")
	if err != nil {
		return nil, err
	}
	return files[0].Services().Get(0), nil
}

// TestCompiled covers R-GR-08: policies are read from a .proto file that was compiled at run
// time, with the published sallyport/v1/policy.proto.
func TestCompiled(t *testing.T) {
	service, err := compiled(t, `
		option (sallyport.v1.default_policy) = {all: "orders:read"};
		rpc Get(Empty) returns (Empty);
		rpc Watch(Empty) returns (stream Empty) { option (sallyport.v1.policy) = {any: ["orders:watch", "orders:read"], optional: true}; }
		rpc Delete(Empty) returns (Empty) {
			option (sallyport.v1.policy) = {
				all: ["orders:read", "orders:delete"]
				any_of: [{acr: "gold"}, {acr: "silver", max_auth_age: {seconds: 60}}]
				active_within: {}
			};
		}
		rpc Ping(Empty) returns (Empty) { option (sallyport.v1.policy).public = true; }`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := protopolicy.Methods(service)
	want := map[string]scopes.Policy{
		"/test.v1.Orders/Get":   scopes.All("orders:read"),
		"/test.v1.Orders/Watch": scopes.Optional(scopes.Any("orders:watch", "orders:read")),
		"/test.v1.Orders/Delete": scopes.And(scopes.All("orders:read", "orders:delete"), scopes.FreshlyActive(0),
			scopes.Or(scopes.ACR("gold"), scopes.And(scopes.ACR("silver"), scopes.MaxAuthAge(60e9)))),
		"/test.v1.Orders/Ping": scopes.Public(),
	}
	if err != nil || !maps.EqualFunc(got, want, scopes.Policy.Equal) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
}

// TestMisspelt covers R-GR-08: a compiler refuses a field or an option that does not exist,
// so that a policy with a misspelt field never reaches a program.
func TestMisspelt(t *testing.T) {
	for _, body := range []string{
		`rpc Get(Empty) returns (Empty) { option (sallyport.v1.policy) = {alll: "a"}; }`,
		`rpc Get(Empty) returns (Empty) { option (sallyport.v1.default_policy) = {all: "a"}; }`,
		`option (sallyport.v1.policy) = {all: "a"};`,
	} {
		if _, err := compiled(t, body); err == nil {
			t.Errorf("%s compiles", body)
		}
	}
}

// TestLinked shows that a program starts which links our options together with those of
// etcd, gogo/protobuf, protovalidate, grpc-gateway and googleapis.
func TestLinked(t *testing.T) {
	command := exec.CommandContext(t.Context(), "go", "run", "./linked")
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=")
	var progress strings.Builder // what the go tool says of modules that it downloads
	command.Stderr = &progress
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s%s", err, out, progress.String())
	}
	if !strings.HasPrefix(string(out), "options of methods: ") {
		t.Errorf("%s", out)
	}
	t.Logf("%s", out)
}
