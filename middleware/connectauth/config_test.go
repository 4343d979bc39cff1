package connectauth_test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
	"github.com/sallyport-auth/sallyport/scopes"
)

// paths returns the paths of the faults of err, sorted.
func paths(err error) (all []string) {
	for _, f := range fault.All(err) {
		all = append(all, f.Path)
	}
	slices.Sort(all)
	return all
}

// TestConfigFaults checks that NewGate reports every fault at once.
func TestConfigFaults(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	_, err := connectauth.NewGate(connectauth.Config{
		Guard: guard,
		Procedures: connectauth.Procedures{
			"": scopes.Public(), "/": scopes.Public(), "orders.v1.S/Get": scopes.Public(), "/orders.v1.S/Get/": scopes.Public(), "/orders.v1.S//Get": scopes.Public(),
			"/orders.v1.S": scopes.Public(), "/orders.v1.S/": scopes.Public(), "/orders..S/Get": scopes.Public(), "/orders.v1.S/Get?x": scopes.Public(),
			"/orders.v1.S/*": scopes.Public(), "/orders.v1.S/a.b": scopes.Public(), "//Get": scopes.Public(),
			"/orders.v1.S/Zero": {}, "/orders.v1.S/Tenant": scopes.And(scopes.All("a"), scopes.TenantFrom("tenant")),
			"/orders.v1.S/Good": scopes.Public(),
		},
		Services:     []protoreflect.ServiceDescriptor{nil},
		RemoveFields: []string{"", "a b", "Content-Type", "grpc-timeout", "X-Good"},
	})
	want := []string{
		`Procedures[""]`, `Procedures["/"]`, `Procedures["orders.v1.S/Get"]`, `Procedures["/orders.v1.S/Get/"]`, `Procedures["/orders.v1.S//Get"]`,
		`Procedures["/orders.v1.S"]`, `Procedures["/orders.v1.S/"]`, `Procedures["/orders..S/Get"]`, `Procedures["/orders.v1.S/Get?x"]`,
		`Procedures["/orders.v1.S/*"]`, `Procedures["/orders.v1.S/a.b"]`, `Procedures["//Get"]`,
		`Procedures./orders.v1.S/Zero`, `Procedures["/orders.v1.S/Tenant"]`,
		`Services[0]`, `RemoveFields[0]`, `RemoveFields[1]`, `RemoveFields[2]`, `RemoveFields[3]`,
	}
	slices.Sort(want)
	if got := paths(err); !slices.Equal(got, want) {
		t.Errorf("faults of\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := connectauth.NewGate(connectauth.Config{Guard: guard, InsecureKeepCredentials: true, RemoveFields: []string{"authorization"}, Procedures: policies()}); !slices.Equal(paths(err), []string{"RemoveFields[0]"}) {
		t.Error(err)
	}
	if _, err := connectauth.New(nil, policies()); !slices.Equal(paths(err), []string{"Guard"}) {
		t.Error(err)
	}
	if _, err := connectauth.New(new(middleware.Guard), policies()); err == nil {
		t.Error("a Guard that New did not make")
	}
	if _, err := connectauth.New(guard, policies(), connectauth.Procedures{watch: scopes.Public(), "/orders.v1.S/Get": scopes.Public()}); !slices.Equal(paths(err), []string{`Procedures["` + watch + `"]`}) {
		t.Error(err)
	}
	if _, err := connectauth.New(guard, policies(), connectauth.Health(scopes.Public()), connectauth.Reflection(scopes.All("admin"))); err != nil {
		t.Error(err)
	}
	if _, err := connectauth.New(guard); !slices.Equal(paths(err), []string{"Procedures"}) {
		t.Error(err)
	}
}

// TestCovers covers R-GR-08: methods without a policy, policies without a method, services
// whose methods are not known, and halves that were never taken are named at start-up.
func TestCovers(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	newGate := func(change func(connectauth.Procedures)) *connectauth.Gate {
		procedures := policies()
		change(procedures)
		gate, err := connectauth.NewGate(connectauth.Config{Guard: guard, Procedures: procedures, Services: []protoreflect.ServiceDescriptor{descriptor(t)}})
		if err != nil {
			t.Fatal(err)
		}
		return gate
	}
	unchanged := func(connectauth.Procedures) {}
	mount := func(g *connectauth.Gate) { connectauth.Gated(g, newOrders)(new(orders)) }
	for _, test := range []struct {
		name   string
		change func(connectauth.Procedures)
		mount  func(*connectauth.Gate)
		paths  []string
		want   []string
	}{
		{"all", unchanged, mount, nil, nil},
		{"all, the path is given too", unchanged, mount, []string{"/orders.v1.OrderService/", orderService}, nil},
		{
			"a misspelt key, an unlisted method",
			func(p connectauth.Procedures) {
				delete(p, upload)
				p["/orders.v1.OrderService/UpLoad"] = scopes.Public()
			},
			mount, nil,
			[]string{"/orders.v1.OrderService/UpLoad", upload},
		},
		{
			"a policy of a service that is not mounted",
			func(p connectauth.Procedures) { p["/orders.v1.Order/GetOrder"] = scopes.Public() },
			mount, nil,
			[]string{"/orders.v1.Order/GetOrder"},
		},
		{"a service without a descriptor", unchanged, mount, []string{"/shops.v1.ShopService/"}, []string{"/shops.v1.ShopService"}},
		{
			"the interceptor is missing", unchanged,
			func(g *connectauth.Gate) { g.Handler(http.NotFoundHandler()) },
			[]string{orderService},
			[]string{"Interceptor"},
		},
		{
			"the handler is missing", unchanged,
			func(g *connectauth.Gate) { newOrders(new(orders), connect.WithInterceptors(g.Interceptor())) },
			[]string{orderService},
			[]string{"Handler"},
		},
		{"nothing is mounted", unchanged, func(*connectauth.Gate) {}, nil, []string{chat, getOrder, listShops, placeOrder, shipOrder, upload, watch}},
		{
			"health without a policy", unchanged,
			func(g *connectauth.Gate) {
				mount(g)
				connectauth.Gated(g, grpchealth.NewHandler)(grpchealth.NewStaticChecker())
			},
			nil,
			[]string{"/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/List", "/grpc.health.v1.Health/Watch"},
		},
		{
			"one version of reflection without a policy",
			func(p connectauth.Procedures) {
				p["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"] = scopes.All("admin")
			},
			func(g *connectauth.Gate) {
				mount(g)
				connectauth.Gated(g, grpcreflect.NewHandlerV1)(grpcreflect.NewStaticReflector())
				connectauth.Gated(g, grpcreflect.NewHandlerV1Alpha)(grpcreflect.NewStaticReflector())
			},
			nil,
			[]string{"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"},
		},
		{
			"health and reflection with their helpers",
			func(p connectauth.Procedures) {
				maps.Copy(p, connectauth.Health(scopes.Public()))
				maps.Copy(p, connectauth.Reflection(scopes.All("admin")))
			},
			func(g *connectauth.Gate) {
				mount(g)
				connectauth.Gated(g, grpchealth.NewHandler)(grpchealth.NewStaticChecker())
				connectauth.Gated(g, grpcreflect.NewHandlerV1)(grpcreflect.NewStaticReflector())
			},
			nil, nil,
		},
		{
			"a misspelt method of health",
			func(p connectauth.Procedures) { p["/grpc.health.v1.Health/Cheque"] = scopes.Public() },
			mount, nil,
			[]string{"/grpc.health.v1.Health/Cheque"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			gate := newGate(test.change)
			test.mount(gate)
			if got := paths(gate.Covers(test.paths...)); !slices.Equal(got, test.want) {
				t.Errorf("faults of %q, want %q", got, test.want)
			}
		})
	}
	gate := newGate(unchanged)
	gate.Handler(http.NotFoundHandler())
	if err := gate.Covers(orderService); err == nil || !strings.Contains(err.Error(), chat+", "+upload+", "+watch) || strings.Contains(err.Error(), getOrder) {
		t.Errorf("the fault does not name the streams: %v", err)
	}
}

// TestZeroGate checks that a Gate that NewGate did not make refuses every request.
func TestZeroGate(t *testing.T) {
	service := new(orders)
	gate := new(connectauth.Gate)
	mux := http.NewServeMux()
	mux.Handle(connectauth.Gated(gate, newOrders)(service))
	target := listen(t, mux)
	for _, d := range dialects() {
		for procedure := range policies() {
			if _, err := do(t.Context(), dial(t, d, target, procedure, ""), procedure); err == nil {
				t.Errorf("%s: no error", procedure)
			}
		}
	}
	if ran := service.ran.Load(); ran != 0 {
		t.Errorf("%d calls reached the service", ran)
	}
}

// TestNilGate checks that a program that ignores the error of New does not start, and says
// why.
func TestNilGate(t *testing.T) {
	var gate *connectauth.Gate
	if err := gate.Covers(); err == nil || !strings.Contains(err.Error(), "Gate is nil") {
		t.Errorf("Covers: %v", err)
	}
	for name, use := range map[string]func(){
		"Handler":     func() { gate.Handler(http.NotFoundHandler()) },
		"Interceptor": func() { gate.Interceptor() },
		"Gated":       func() { connectauth.Gated(gate, newOrders)(new(orders)) },
	} {
		func() {
			defer func() {
				if text, _ := recover().(string); !strings.Contains(text, "the Gate is nil") {
					t.Errorf("%s: panics with %q", name, text)
				}
			}()
			use()
		}()
	}
}
