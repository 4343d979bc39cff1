// Command connect is a Connect API protected by Sallyport: the three protocols Connect,
// gRPC and gRPC-Web over one handler. Its policies stand in
// examples/grpc/proto/orders/v1/orders.proto, beside the methods. It works with every
// issuer that publishes its metadata:
//
//	ISSUER=https://login.example.com AUDIENCE=https://api.example.com \
//		CERTIFICATE=server.pem KEY=server-key.pem APP=https://app.example.com go run ./examples/connect
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"connectrpc.com/grpchealth"
	"connectrpc.com/grpcreflect"
	"github.com/rs/cors"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/connectauth"
	"github.com/sallyport-auth/sallyport/protopolicy"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	guard, err := middleware.For(validator.Issuer{
		URL:       os.Getenv("ISSUER"),
		Audiences: []string{os.Getenv("AUDIENCE")},
	})
	if err != nil {
		log.Fatal(err) //nolint:gocritic // nothing to stop yet
	}
	api, err := newAPI(guard)
	if err != nil {
		log.Fatal(err)
	}
	address := os.Getenv("ADDR")
	if address == "" {
		address = "localhost:8443"
	}
	server := &http.Server{
		Addr: address, Handler: browsers(os.Getenv("APP"), api),
		ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
	}
	go func() { _ = guard.Run(ctx) }() // refreshes the issuer's keys
	go func() {
		<-ctx.Done()
		cut := time.AfterFunc(5*time.Second, func() { _ = server.Close() }) // streams go on for as long as their token
		defer cut.Stop()
		_ = server.Shutdown(context.WithoutCancel(ctx))
	}()
	log.Printf("listening on %q", address) //nolint:gosec // quoted
	if err := server.ListenAndServeTLS(os.Getenv("CERTIFICATE"), os.Getenv("KEY")); err != nil {
		log.Print(err)
	}
}

// newAPI returns the handler of all services. It fails if a method has no policy.
func newAPI(guard *middleware.Guard) (http.Handler, error) {
	methods, err := protopolicy.Methods(ordersv1.File_orders_v1_orders_proto.Services().ByName("OrderService"))
	if err != nil {
		return nil, err
	}
	gate, err := connectauth.New(guard, methods, connectauth.Health(scopes.Public()), connectauth.Reflection(scopes.All("orders:admin")))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle(connectauth.Gated(gate, newOrderServiceHandler)(newOrders()))
	mux.Handle(connectauth.Gated(gate, grpchealth.NewHandler)(&health{guard}))
	reflector := grpcreflect.NewStaticReflector("orders.v1.OrderService")
	mux.Handle(connectauth.Gated(gate, grpcreflect.NewHandlerV1)(reflector))
	mux.Handle(connectauth.Gated(gate, grpcreflect.NewHandlerV1Alpha)(reflector))
	return mux, gate.Covers()
}

// health reports whether tokens can be checked.
type health struct{ guard *middleware.Guard }

// Check answers for the server as a whole and for each service alike.
func (h *health) Check(context.Context, *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	status := grpchealth.StatusServing
	if h.guard.Ready() != nil {
		status = grpchealth.StatusNotServing
	}
	return &grpchealth.CheckResponse{Status: status}, nil
}

// browsers lets scripts of app call the API and read its refusals. It answers preflights,
// which have no token, so it stands in front of the gate.
func browsers(app string, api http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowedOrigins: []string{app},
		AllowedMethods: []string{http.MethodGet, http.MethodPost},
		AllowedHeaders: []string{
			"Authorization", "Content-Type",
			"Connect-Protocol-Version", "Connect-Timeout-Ms", // Connect
			"Grpc-Timeout", "X-Grpc-Web", "X-User-Agent", // gRPC-Web
		},
		ExposedHeaders: []string{
			"WWW-Authenticate", "Retry-After",
			"Grpc-Status", "Grpc-Message", "Grpc-Status-Details-Bin", // gRPC-Web
		},
		MaxAge: 7200, // seconds
	}).Handler(api)
}
