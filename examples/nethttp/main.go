// Command nethttp is an API protected by Sallyport: the quick start of the README as a
// program. It works with every issuer that publishes its metadata and sends access tokens
// of RFC 9068:
//
//	ISSUER=https://login.example.com AUDIENCE=https://api.example.com go run ./examples/nethttp
//
// For the other large providers, PRESET names the preset of package providers:
//
//	PRESET=okta ISSUER=https://dev-1.okta.com/oauth2/default AUDIENCE=api://orders go run ./examples/nethttp
//
// Some presets have other parameters: TENANT_ID; the lists CLIENT_IDS, ACCOUNTS,
// REPOSITORIES, OWNERS and PROJECTS, separated by commas (AUDIENCE too, with a preset); and
// KEYS_FILE, a file with the issuer's keys.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/providers"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	issuer, err := issuerFrom(os.Getenv)
	if err != nil {
		log.Fatal(err) //nolint:gocritic // nothing to stop yet
	}
	api, guard, err := newAPI(issuer)
	if err != nil {
		log.Fatal(err)
	}
	if err := guard.Warm(ctx); err != nil {
		log.Printf("not ready yet, will try again: %v", err)
	}
	go func() { _ = guard.Run(ctx) }() // refreshes the issuer's keys
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

// issuerFrom returns the issuer that the environment names.
func issuerFrom(getenv func(name string) string) (validator.Issuer, error) {
	preset := getenv("PRESET")
	if preset == "" {
		if getenv("ISSUER") == "" || getenv("AUDIENCE") == "" {
			return validator.Issuer{}, errors.New("set ISSUER and AUDIENCE, or PRESET")
		}
		return validator.Issuer{URL: getenv("ISSUER"), Audiences: []string{getenv("AUDIENCE")}}, nil
	}
	list := func(name string) []string {
		if getenv(name) == "" {
			return nil
		}
		return strings.Split(getenv(name), ",")
	}
	parameters := providers.Parameters{
		URL:          getenv("ISSUER"),
		Tenant:       getenv("TENANT_ID"),
		Audiences:    list("AUDIENCE"),
		Clients:      list("CLIENT_IDS"),
		Accounts:     list("ACCOUNTS"),
		Repositories: list("REPOSITORIES"),
		Owners:       list("OWNERS"),
		Projects:     list("PROJECTS"),
	}
	if path := getenv("KEYS_FILE"); path != "" {
		parameters.Keys = jwkscache.File(path)
	}
	return providers.New(preset, parameters)
}

// newAPI returns the handler and the guard that protects it. The file contract.json
// also says what its routes need.
func newAPI(issuers ...validator.Issuer) (*middleware.Mux, *middleware.Guard, error) {
	guard, err := middleware.For(issuers...)
	if err != nil {
		return nil, nil, err
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), showOrder)
	mux.HandleFunc("POST /orders", scopes.All("orders:read", "orders:write"), createOrder)
	mux.Handle("GET /health", scopes.Public(), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if guard.Ready() != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	return mux, guard, nil
}

func showOrder(w http.ResponseWriter, r *http.Request) {
	token := middleware.TokenFrom(r.Context())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = fmt.Fprintf(w, "order %s for %s\n", r.PathValue("id"), token.Subject()) //nolint:gosec // plain text
}

func createOrder(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) }
