package connectauth

import (
	"github.com/sallyport-auth/sallyport/scopes"
)

// Names of the services that gRPC defines.
const (
	healthService          = "grpc.health.v1.Health"
	reflectionService      = "grpc.reflection.v1.ServerReflection"
	reflectionAlphaService = "grpc.reflection.v1alpha.ServerReflection"
)

// knownServices maps the services that gRPC defines to their methods. Handlers of
// Connect have these services under other descriptors. The value of a method says
// whether it is a stream.
var knownServices = map[string]map[string]bool{
	healthService:          {"Check": false, "List": false, "Watch": true},
	reflectionService:      {"ServerReflectionInfo": true},
	reflectionAlphaService: {"ServerReflectionInfo": true},
}

// Health returns policy for all procedures of the health service
// (connectrpc.com/grpchealth). Watch is a stream without end: under [scopes.Public] it
// ends after LongRequests.MaxAnonymous of the Guard's Config.
func Health(policy scopes.Policy) Procedures { return known(policy, healthService) }

// Reflection returns policy for all procedures of both versions of the reflection
// service (connectrpc.com/grpcreflect). Reflection shows the names of all services and
// their methods to callers that the policy permits.
func Reflection(policy scopes.Policy) Procedures {
	return known(policy, reflectionService, reflectionAlphaService)
}

func known(policy scopes.Policy, services ...string) Procedures {
	procedures := make(Procedures)
	for _, service := range services {
		for method := range knownServices[service] {
			procedures["/"+service+"/"+method] = policy
		}
	}
	return procedures
}
