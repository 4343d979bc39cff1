package connectauth

import (
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// Covers returns an error that names
//
//   - every method of a mounted service that has no policy, and every policy that has
//     no method in one
//   - the methods whose calls are not checked, or whose streams do not end with their
//     token, because Handler or Interceptor was never called
//   - every mounted service whose methods are not known
//
// The mounted services are those that [Gated] made and those whose paths, such as
// "/orders.v1.OrderService/", or names are given here. Their descriptors are those of
// Config.Services and of the generated code in the program. A policy of [Health] or
// [Reflection] needs no method. Call Covers at start-up, after everything is mounted.
func (g *Gate) Covers(paths ...string) error {
	faults := fault.In("connectauth")
	if g == nil {
		faults.At("Gate").Add("is nil", "check the error of New")
		return faults.Err()
	}
	g.mu.Lock()
	paths = append(slices.Clone(g.mounted), paths...)
	g.mu.Unlock()
	methods := make(map[string]bool) // of mounted services; the value says whether it is a stream
	mounted := make(map[string]bool)
	for _, path := range paths {
		service := strings.Trim(path, "/")
		if mounted[service] {
			continue
		}
		mounted[service] = true
		found := g.methodsOf(service)
		if found == nil {
			faults.At("/"+service).Add("has no descriptor in this program, so its methods are not known",
				"import the generated code of the service, or add its descriptor to Config.Services")
		}
		maps.Copy(methods, found)
	}
	for _, method := range slices.Sorted(maps.Keys(methods)) {
		if g.routes[method] == nil {
			faults.At(method).Add("has no policy; its calls are refused", "add it to Config.Procedures, or set its option in the .proto file")
		}
	}
	for _, procedure := range slices.Sorted(maps.Keys(g.routes)) {
		g.checkMethod(procedure, methods, mounted, faults)
	}
	g.checkHalves(methods, faults)
	return faults.Err()
}

// checkMethod adds the fault of a policy that no method needs.
func (g *Gate) checkMethod(procedure string, methods, mounted map[string]bool, faults fault.List) {
	service, _, _ := strings.Cut(procedure[1:], "/")
	switch _, exists := methods[procedure]; {
	case exists:
	case isKnown(procedure):
	case mounted[service] && g.methodsOf(service) != nil:
		faults.At(procedure).Add("has a policy, and the service has no such method", "correct the name, or remove it from Config.Procedures")
	case !mounted[service]:
		faults.At(procedure).Add("has a policy, and its service is not mounted", "mount it with connectauth.Gated, or give its path to Covers")
	}
}

// checkHalves adds the faults of halves that were never taken.
func (g *Gate) checkHalves(methods map[string]bool, faults fault.List) {
	all := slices.Sorted(maps.Keys(methods))
	if len(all) == 0 {
		return
	}
	if !g.handling.Load() {
		faults.At("Handler").Addf("put Gate.Handler in front of the handlers", "was never called; nothing checks the calls of %s", strings.Join(all, ", "))
	}
	if g.intercepting.Load() {
		return
	}
	streams := slices.DeleteFunc(slices.Clone(all), func(method string) bool { return !methods[method] })
	if len(streams) > 0 {
		faults.At("Interceptor").Addf("give Gate.Interceptor to the handlers with connect.WithInterceptors",
			"was never called; the streams of %s do not end with their token", strings.Join(streams, ", "))
	} else {
		faults.At("Interceptor").Addf("give Gate.Interceptor to the handlers with connect.WithInterceptors",
			"was never called; nothing notices calls of %s that do not come through Handler", strings.Join(all, ", "))
	}
}

// methodsOf returns the procedures of a service, each with whether it is a stream, or nil
// if they are not known.
func (g *Gate) methodsOf(service string) map[string]bool {
	descriptor := g.services[service]
	if descriptor == nil {
		found, _ := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(service))
		descriptor, _ = found.(protoreflect.ServiceDescriptor)
	}
	known := knownServices[service]
	if descriptor == nil && known == nil {
		return nil
	}
	methods := make(map[string]bool)
	if descriptor == nil {
		for method, stream := range known {
			methods["/"+service+"/"+method] = stream
		}
		return methods
	}
	for i := range descriptor.Methods().Len() {
		method := descriptor.Methods().Get(i)
		methods["/"+service+"/"+string(method.Name())] = method.IsStreamingClient() || method.IsStreamingServer()
	}
	return methods
}

// isKnown reports whether procedure is of a service that gRPC defines.
func isKnown(procedure string) bool {
	service, method, _ := strings.Cut(procedure[1:], "/")
	_, known := knownServices[service][method]
	return known
}
