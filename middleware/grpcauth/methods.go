package grpcauth

import (
	"maps"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/scopes"
)

// Methods maps full methods to their policies. A key is a full method, such as
// "/orders.v1.Orders/Get"; generated code has a constant for each one. It is compared byte
// for byte with the path of a call. There are no patterns.
type Methods map[string]scopes.Policy

// Health returns policy for every method of the health service (grpc.health.v1), also for
// those that watch. Kubernetes and load balancers call it without a token:
// Health(scopes.Public()).
func Health(policy scopes.Policy) Methods {
	return methodsOf(policy, &grpc_health_v1.Health_ServiceDesc)
}

// reflectionServices are the versions of the reflection service.
func reflectionServices() []*grpc.ServiceDesc {
	return []*grpc.ServiceDesc{&grpc_reflection_v1.ServerReflection_ServiceDesc, &grpc_reflection_v1alpha.ServerReflection_ServiceDesc}
}

// Reflection returns policy for every method of the reflection service in all its
// versions. Reflection shows every service of the server, also those that only
// administrators may call.
func Reflection(policy scopes.Policy) Methods { return methodsOf(policy, reflectionServices()...) }

// methodsOf returns policy for every method of the services.
func methodsOf(policy scopes.Policy, services ...*grpc.ServiceDesc) Methods {
	all := make(Methods)
	for _, service := range services {
		for i := range service.Methods {
			all[fullMethod(service.ServiceName, service.Methods[i].MethodName)] = policy
		}
		for i := range service.Streams {
			all[fullMethod(service.ServiceName, service.Streams[i].StreamName)] = policy
		}
	}
	return all
}

func fullMethod(service, method string) string { return "/" + service + "/" + method }

// Join returns the methods of all tables. It is an error if a method is in several of
// them, because one policy would replace the other.
func Join(tables ...Methods) (Methods, error) {
	all := make(Methods)
	faults := fault.In("grpcauth")
	for _, table := range tables {
		for _, method := range slices.Sorted(maps.Keys(table)) {
			if _, listed := all[method]; listed {
				faults.Atf("Methods[%q]", method).Add("is in several tables", "leave it out of all but one")
			}
			all[method] = table[method]
		}
	}
	if err := faults.Err(); err != nil {
		return nil, err
	}
	return all, nil
}

// isFullMethod reports whether text has the form /service/method.
func isFullMethod(text string) bool {
	service, method, ok := strings.Cut(strings.TrimPrefix(text, "/"), "/")
	return ok && text[0] == '/' && isName(service) && isName(method)
}

// isName reports whether text can name a service or a method. gRPC does not demand a name
// of protobuf.
func isName(text string) bool {
	return text != "" && strings.IndexFunc(text, func(c rune) bool {
		return c == '/' || c == unicode.ReplacementChar || !unicode.IsGraphic(c) || unicode.IsSpace(c)
	}) < 0
}
