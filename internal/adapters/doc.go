// Package adapters compares the adapters of all transports with one another: net/http,
// grpc-go, Connect in its three protocols, and grpc-gateway. The same credentials under
// the same policy must get the same decision, reason, class and challenge from each. It
// contains only tests. It is a module of its own, because it needs the modules of all
// adapters.
package adapters
