// Command opaque is an API with opaque tokens: it asks the issuer about each token (RFC
// 7662), and uses an answer for a few seconds. Its settings come from the environment, see
// README.md:
//
//	ISSUER=https://login.example.com AUDIENCE=https://api.example.com CLIENT_ID=orders-api CLIENT_SECRET_FILE=secret.txt go run ./examples/opaque
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

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	api, guard, err := newAPI(issuerFrom(os.Getenv))
	if err != nil {
		log.Fatal(err) //nolint:gocritic // nothing to stop yet
	}
	if err := guard.Warm(ctx); err != nil {
		log.Printf("not ready yet, will try again: %v", err)
	}
	go func() { _ = guard.Run(ctx) }()
	address := os.Getenv("ADDR")
	if address == "" {
		address = "localhost:8080"
	}
	server := &http.Server{Addr: address, Handler: api, ReadHeaderTimeout: 5 * time.Second}
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		<-ctx.Done()
		_ = server.Shutdown(context.WithoutCancel(ctx)) // waits for requests to end
	}()
	log.Printf("listening on %q", address) //nolint:gosec // quoted
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
	<-finished
}

// issuerFrom returns the configuration of the issuer, with settings that get returns.
func issuerFrom(get func(name string) string) validator.Issuer {
	issuer := validator.Issuer{
		URL:       get("ISSUER"),
		Audiences: []string{get("AUDIENCE")},
		Opaque: &introspect.Client{
			ID:             get("CLIENT_ID"),
			Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretFile(get("CLIENT_SECRET_FILE"))},
			Prefix:         get("TOKEN_PREFIX"),
			Cache:          introspect.Cache{TTL: 10 * time.Second}, // how long a revoked token may still be accepted
		},
	}
	if claim := get("MARKER"); claim != "" { // for servers that do not say in token_type what a token is
		issuer.Answers.Marker = []validator.ClaimRule{{Name: claim}}
	}
	return issuer
}

// newAPI returns the handler and the guard that protects it.
func newAPI(issuer validator.Issuer) (*middleware.Mux, *middleware.Guard, error) {
	tokens, err := validator.New(validator.Config{
		Issuers: []validator.Issuer{issuer},
		Trace: &validator.Trace{Introspection: &introspect.Trace{
			StateChanged: func(issuer string, state introspect.State) { log.Printf("asking %s: %s", issuer, state) },
		}},
	})
	if err != nil {
		return nil, nil, err
	}
	guard, err := middleware.New(middleware.Config{Validator: tokens, Trace: &middleware.Trace{Decided: logOutage}})
	if err != nil {
		return nil, nil, err
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("read"), showOrder)
	// The issuer is asked for every request that may not be repeated with a revoked token.
	mux.HandleFunc("DELETE /orders/{id}", scopes.And(scopes.All("write"), scopes.FreshlyActive(0)), deleteOrder)
	mux.Handle("GET /health", scopes.Public(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if guard.Ready() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	return mux, guard, nil
}

// logOutage logs why the issuer gave no verdict on a token.
func logOutage(_ context.Context, d middleware.Decision) {
	if d.Kind != "" {
		log.Printf("%s: %v", d.Route, d.Denial.Cause())
	}
}

func showOrder(w http.ResponseWriter, r *http.Request) {
	token := middleware.TokenFrom(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "order %s for the client %s\n", r.PathValue("id"), token.ClientID()) //nolint:gosec // plain text
}

func deleteOrder(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
