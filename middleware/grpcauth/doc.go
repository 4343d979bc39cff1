// Package grpcauth guards the methods of a gRPC server with the policies of package
// scopes: a [Gate] looks every call up by its full method, validates the token of its
// metadata, asks the policy, and refuses with the status of the class.
//
//	gate, err := grpcauth.New(guard, grpcauth.Methods{
//		"/orders.v1.Orders/Get": scopes.All("orders:read"),
//	}, grpcauth.Health(scopes.Public()))
//	server := grpc.NewServer(gate.ServerOptions()...)
//	// register the services
//	err = gate.Covers(server) // names every method without a policy
//
// The token is read from the metadata key authorization only, by the rules of HTTP. A
// method that is not listed is refused. The handler finds the token with
// [middleware.TokenFrom], and its metadata has no credentials.
//
// Not done here: rate limits, and calls that do not come through the server, such as
// those of a grpc-gateway that was registered in process.
package grpcauth
