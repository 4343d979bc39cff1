// Package gatewayauth writes the refusals of a gRPC server behind grpc-gateway as the
// HTTP answers of package middleware, and forwards credentials to the server as they
// came.
//
// By default, grpc-gateway writes the message of the status into WWW-Authenticate,
// does not forward the challenge of the server, and answers 500 if the program does not
// link the types of the details. It also drops an Authorization field that is not
// printable, so that the call seems anonymous. Make the gateway with the options of
// this package instead:
//
//	gateway, err := gatewayauth.New(gatewayauth.Config{})
//	…
//	mux := runtime.NewServeMux(gateway.ServeMuxOptions()...)
//
// The package decides nothing: the gate of the server does. A service that is
// registered by RegisterXHandlerServer is called in the program of the gateway, past
// every interceptor. Register it by RegisterXHandler or RegisterXHandlerClient, or put a
// middleware.Guard in front of the gateway.
package gatewayauth
