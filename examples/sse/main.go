// Command sse is an API whose orders are watched as server-sent events that end when the
// token does. Its settings come from the environment:
//
//	ISSUER=https://login.example.com AUDIENCE=https://api.example.com go run ./examples/sse
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
	api, guard, err := newAPI(validator.Issuer{URL: os.Getenv("ISSUER"), Audiences: []string{os.Getenv("AUDIENCE")}}, middleware.LongRequests{}, time.Second)
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
		_ = server.Close() // Shutdown would wait for the streams
	}()
	log.Printf("listening on %q", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-finished
}

// newAPI returns the handler and the guard that protects it. There is an order every so
// often.
func newAPI(issuer validator.Issuer, long middleware.LongRequests, every time.Duration) (*middleware.Mux, *middleware.Guard, error) {
	tokens, err := validator.New(validator.Config{Issuers: []validator.Issuer{issuer}})
	if err != nil {
		return nil, nil, err
	}
	guard, err := middleware.New(middleware.Config{Validator: tokens, LongRequests: long})
	if err != nil {
		return nil, nil, err
	}
	mux := guard.NewMux()
	mux.Handle("GET /orders/events", scopes.All("read"), guard.EndWithToken(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		watch(w, r, every)
	})))
	return mux, guard, nil
}

// watch sends an event for each order until the request ends. Each has an id, with which
// a client that comes back with a new token goes on where it was (Last-Event-ID).
func watch(w http.ResponseWriter, r *http.Request, every time.Duration) {
	var last int
	_, _ = fmt.Sscan(r.Header.Get("Last-Event-ID"), &last) // none or not a number: from the beginning
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	controller := http.NewResponseController(w)
	held := middleware.HeldFrom(r.Context())
	ending := held.Ending()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		var err error
		select {
		case <-r.Context().Done():
			// The guard ended the request, or the client has gone. A client that has the
			// class knows whether a new token helps.
			if denial := held.Denial(); denial != nil {
				_, _ = fmt.Fprintf(w, "event: end\ndata: %s\n\n", denial.Class)
			}
			return
		case <-ending:
			ending = nil
			_, err = fmt.Fprintf(w, "event: ending\ndata: %s\n\n", held.Ends().UTC().Format(time.RFC3339))
		case <-ticker.C:
			last++
			_, err = fmt.Fprintf(w, "id: %d\ndata: order %d\n\n", last, last)
		}
		if err != nil || controller.Flush() != nil {
			return
		}
	}
}
