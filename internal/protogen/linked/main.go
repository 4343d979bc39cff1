// Command linked links sallyport/v1/policy.proto together with the options of other
// libraries, and prints how many options of methods and of services there are. A program
// in which two options have the same number does not start.
package main

import (
	"fmt"

	_ "buf.build/go/protovalidate"
	_ "github.com/gogo/protobuf/gogoproto"
	_ "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv2/options"
	_ "go.etcd.io/etcd/client/v3"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/sallyport-auth/sallyport/protopolicy"
)

func main() {
	types := protoregistry.GlobalTypes
	fmt.Printf("options of methods: %d, of services: %d\n", types.NumExtensionsByMessage("google.protobuf.MethodOptions"), types.NumExtensionsByMessage("google.protobuf.ServiceOptions"))
}
