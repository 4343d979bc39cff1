// Command grpc is a gRPC API protected by Sallyport. Its policies stand in
// proto/orders/v1/orders.proto, beside the methods. It works with every issuer that
// publishes its metadata:
//
//	ISSUER=https://login.example.com AUDIENCE=https://api.example.com \
//		CERTIFICATE=server.pem KEY=server-key.pem go run ./examples/grpc
//
// The client beside it watches orders.
package main

import (
	"context"
	"log"
	"net"
	"os"
	"os/signal"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthgrpc "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
	"github.com/sallyport-auth/sallyport/protopolicy"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	transport, err := credentials.NewServerTLSFromFile(os.Getenv("CERTIFICATE"), os.Getenv("KEY"))
	if err != nil {
		log.Fatal(err) //nolint:gocritic // nothing to stop yet
	}
	guard, err := middleware.For(validator.Issuer{
		URL:       os.Getenv("ISSUER"),
		Audiences: []string{os.Getenv("AUDIENCE")},
	})
	if err != nil {
		log.Fatal(err)
	}
	ready := health.NewServer()
	server, err := newServer(guard, ready, transport)
	if err != nil {
		log.Fatal(err)
	}
	address := os.Getenv("ADDR")
	if address == "" {
		address = "localhost:8443"
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	go func() { _ = guard.Run(ctx) }() // refreshes the issuer's keys
	go reportReady(ctx, guard, ready)
	go stopWith(ctx, server, ready)
	log.Printf("listening on %q", address) //nolint:gosec // quoted
	if err := server.Serve(listener); err != nil {
		log.Fatal(err)
	}
}

// newServer returns the server with all its services. It fails if a method has no policy.
func newServer(guard *middleware.Guard, ready *health.Server, transport credentials.TransportCredentials) (*grpc.Server, error) {
	methods, err := protopolicy.Methods(ordersv1.File_orders_v1_orders_proto.Services().ByName("OrderService"))
	if err != nil {
		return nil, err
	}
	gate, err := grpcauth.New(guard, methods, grpcauth.Health(scopes.Public()), grpcauth.Reflection(scopes.All("orders:admin")))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(append(gate.ServerOptions(), grpc.Creds(transport))...)
	ordersv1.RegisterOrderServiceServer(server, newOrders())
	healthgrpc.RegisterHealthServer(server, ready)
	reflection.Register(server)
	return server, gate.Covers(server)
}

// reportReady tells the health service whether the issuer's keys are known, until ctx
// ends.
func reportReady(ctx context.Context, guard *middleware.Guard, ready *health.Server) {
	if err := guard.Warm(ctx); err != nil {
		log.Printf("not ready yet, will try again: %v", err)
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		state := healthgrpc.HealthCheckResponse_SERVING
		if guard.Ready() != nil {
			state = healthgrpc.HealthCheckResponse_NOT_SERVING
		}
		ready.SetServingStatus("", state)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// stopWith stops the server when ctx ends. Calls have five seconds to end; streams go on
// for as long as their token, so they are cut off then.
func stopWith(ctx context.Context, server *grpc.Server, ready *health.Server) {
	<-ctx.Done()
	ready.Shutdown()
	cut := time.AfterFunc(5*time.Second, server.Stop)
	defer cut.Stop()
	server.GracefulStop()
}
