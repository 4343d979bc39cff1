// Command websocket is an API whose orders are watched over WebSockets that end when the
// token does. A client that renews its token in time stays connected. Its settings come
// from the environment, see README.md:
//
//	ISSUER=https://login.example.com AUDIENCE=https://api.example.com go run ./examples/websocket
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	api, guard, err := newAPI(middleware.Config{}, validator.Issuer{URL: os.Getenv("ISSUER"), Audiences: []string{os.Getenv("AUDIENCE")}},
		&feed{every: time.Second, order: func(n int) string { return fmt.Sprintf("order %d", n) }})
	if err != nil {
		log.Fatal(err) //nolint:gocritic // nothing to stop yet
	}
	if err := guard.Warm(ctx); err != nil {
		log.Printf("not ready yet, will try again: %v", err)
	}
	go func() { _ = guard.Run(ctx) }()
	server := &http.Server{Addr: "localhost:8080", Handler: api, ReadHeaderTimeout: 5 * time.Second}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		<-ctx.Done()
		_ = server.Close() // Shutdown does not know of WebSockets
	}()
	log.Printf("listening on %q", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-finished
}

// newAPI returns the handler and the guard that protects it.
func newAPI(config middleware.Config, issuer validator.Issuer, orders *feed) (*middleware.Mux, *middleware.Guard, error) {
	var err error
	config.Validator, err = validator.New(validator.Config{Issuers: []validator.Issuer{issuer}})
	if err != nil {
		return nil, nil, err
	}
	guard, err := middleware.New(config)
	if err != nil {
		return nil, nil, err
	}
	mux := guard.NewMux()
	mux.Handle("GET /orders/watch", scopes.All("read"), guard.EndWithToken(orders))
	return mux, guard, nil
}
