// Command with is a gateway in a program of its own, with package gatewayauth.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
	"github.com/sallyport-auth/sallyport/middleware/gatewayauth/internal/orders"
)

// main serves a gateway in front of the server at the address in the first argument. It
// writes its own address and ends with its standard input.
func main() {
	gateway, err := gatewayauth.New(gatewayauth.Config{})
	check(err)
	mux := runtime.NewServeMux(gateway.ServeMuxOptions()...)
	insecurely := grpc.WithTransportCredentials(insecure.NewCredentials())
	check(orders.RegisterOrdersHandlerFromEndpoint(context.Background(), mux, os.Args[1], []grpc.DialOption{insecurely}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	fmt.Println(listener.Addr())
	go func() { check(http.Serve(listener, mux)) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
