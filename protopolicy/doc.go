// Package protopolicy reads the policies of gRPC and Connect methods from the options
// of sallyport/v1/policy.proto, so that a policy stands beside its method in the .proto
// file:
//
//	service OrderService {
//	  option (sallyport.v1.default_policy) = {all: "orders:read"};
//
//	  rpc GetOrder(GetOrderRequest) returns (GetOrderResponse);
//	  rpc CreateOrder(CreateOrderRequest) returns (CreateOrderResponse) {
//	    option (sallyport.v1.policy) = {all: "orders:write"};
//	  }
//	}
//
// The folder proto of this module is what compilers need to find the file:
//
//	protoc -I . -I "$(go list -m -f '{{.Dir}}' github.com/sallyport-auth/sallyport/protopolicy)/proto" …
//
// With buf, list that folder, or a copy of it, as a module of buf.yaml.
//
// A method with an option has that policy. It replaces the default of the service and
// is not joined with it. A method without an option has the default of its service. If
// the service has none either, the method has no policy: [Methods] leaves it out, an
// adapter denies it, and the check of the adapter at start names it.
package protopolicy
