package grpcauth

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// errNoServer is what [Gate.Covers] returns without a server.
var errNoServer = errors.New("grpcauth: Covers: there is no server; make it with grpc.NewServer, and register the services first")

// ServiceInfoProvider is a server that lists its services: [grpc.Server], or one of
// package xds.
type ServiceInfoProvider interface {
	GetServiceInfo() map[string]grpc.ServiceInfo
}

// Covers compares the table with the methods of a server, on which all services are
// registered. Call it before the server serves. The error joins all faults:
//
//   - a method without a policy; all its calls would be refused
//   - a policy for a method that no service has, such as a misspelt one. With
//     Config.Unknown that is none. The versions of the reflection service count as one.
//   - a method whose interceptor was never taken from the gate, by ServerOptions, Unary or
//     Stream
//
// It cannot see whether the server was made with what was taken.
func (g *Gate) Covers(server ServiceInfoProvider) error {
	services, err := servicesOf(server)
	if err != nil {
		return err
	}
	faults := fault.In("grpcauth")
	registered := make(map[string]bool)
	for _, service := range slices.Sorted(maps.Keys(services)) {
		methods := services[service].Methods
		slices.SortFunc(methods, func(a, b grpc.MethodInfo) int { return strings.Compare(a.Name, b.Name) })
		for _, m := range methods {
			name := fullMethod(service, m.Name)
			registered[name] = true
			g.checkMethod(name, m.IsClientStream || m.IsServerStream, faults.At(name))
		}
	}
	if g == nil || g.unknown != nil {
		return faults.Err()
	}
	for _, name := range slices.Sorted(maps.Keys(g.methods)) {
		if !registered[name] && !isOtherReflection(name, services) {
			faults.At(name).Add("has a policy, and no service has this method", "correct the name, register the service before Covers is called, or leave the policy out")
		}
	}
	return faults.Err()
}

// servicesOf returns the services of a server. A nil pointer is no server.
func servicesOf(server ServiceInfoProvider) (services map[string]grpc.ServiceInfo, err error) {
	if server == nil {
		return nil, errNoServer
	}
	defer func() {
		if recover() != nil {
			services, err = nil, errNoServer
		}
	}()
	return server.GetServiceInfo(), nil
}

// checkMethod adds the faults of a registered method.
func (g *Gate) checkMethod(name string, streams bool, faults fault.List) {
	switch {
	case g == nil || g.methods[name] == nil:
		faults.Add("has no policy; all its calls would be refused", "add it to Methods, or set its option in the .proto file")
	case streams && !g.stream.Load():
		faults.Add("is a stream, and the interceptor for streams was not taken from the gate; its calls would not be checked", "make the server with ServerOptions")
	case !streams && !g.unary.Load():
		faults.Add("is unary, and the interceptor for unary calls was not taken from the gate; its calls would not be checked", "make the server with ServerOptions")
	}
}

// isOtherReflection reports whether name is a method of a version of the reflection
// service that is not registered, while another version is.
func isOtherReflection(name string, services map[string]grpc.ServiceInfo) bool {
	own, other := false, false
	for _, service := range reflectionServices() {
		if strings.HasPrefix(name, "/"+service.ServiceName+"/") {
			own = true
		} else if _, registered := services[service.ServiceName]; registered {
			other = true
		}
	}
	return own && other
}
