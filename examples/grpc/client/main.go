// Command client watches the orders of examples/grpc. It gets its tokens by client
// credentials:
//
//	TOKEN_URL=https://login.example.com/token CLIENT_ID=… CLIENT_SECRET_FILE=… \
//		AUTHORITY=ca.pem ADDR=localhost:8443 go run ./examples/grpc/client
package main

import (
	"context"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sallyport-auth/sallyport/examples/grpc/ordersv1"
	"github.com/sallyport-auth/sallyport/middleware/grpcauth"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	secret, err := os.ReadFile(os.Getenv("CLIENT_SECRET_FILE"))
	if err != nil {
		log.Fatal(err) //nolint:gocritic // nothing to stop yet
	}
	issuer := clientcredentials.Config{
		ClientID:     os.Getenv("CLIENT_ID"),
		ClientSecret: strings.TrimSpace(string(secret)),
		TokenURL:     os.Getenv("TOKEN_URL"),
		Scopes:       []string{"orders:read"},
	}
	transport, err := credentials.NewClientTLSFromFile(os.Getenv("AUTHORITY"), "")
	if err != nil {
		log.Fatal(err)
	}
	w, connection, err := dial(os.Getenv("ADDR"), transport, asking(func() (*oauth2.Token, error) { return issuer.Token(ctx) }))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()                                                                            //nolint:errcheck // the program ends
	w.show = func(order *ordersv1.Order) { log.Printf("order %q: %q", order.GetId(), order.GetItem()) } //nolint:gosec // quoted
	log.Print(w.watch(ctx))
}

// asking is a function as a source of tokens.
type asking func() (*oauth2.Token, error)

// Token calls the function.
func (f asking) Token() (*oauth2.Token, error) { return f() }

// dial returns a watcher of the API at address, and its connection. issuer is asked for a
// token whenever the watcher needs another one.
func dial(address string, transport credentials.TransportCredentials, issuer oauth2.TokenSource) (*watcher, *grpc.ClientConn, error) {
	tokens := &renewable{source: issuer}
	connection, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(grpcauth.Credentials(tokens)),
	)
	if err != nil {
		return nil, nil, err
	}
	return &watcher{client: ordersv1.NewOrderServiceClient(connection), tokens: tokens, pause: pause}, connection, nil
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
