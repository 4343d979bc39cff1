package main

import (
	"context"
	"errors"
	"log"
	"log/slog"
	"net/http"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// The quick start of the README.
func Example() { //nolint:testableexamples // it serves for ever
	guard, err := middleware.For(validator.Issuer{
		URL:       "https://login.example.com",
		Audiences: []string{"https://api.example.com"},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), showOrder)
	log.Fatal(http.ListenAndServe(":8080", mux))
}

// observed is the README's guard that tells why.
func observed(issuers []validator.Issuer) (*middleware.Guard, error) {
	v, err := validator.New(validator.Config{
		Issuers: issuers,
		Trace: &validator.Trace{Keys: &jwkscache.Trace{FetchDone: func(issuer string, done jwkscache.FetchDone) {
			slog.Info("keys", "issuer", issuer, "cause", done.Cause, "usable", done.Keys, "err", done.Err)
		}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{
		Validator: v,
		Trace: &middleware.Trace{Denied: func(ctx context.Context, d *middleware.Denial) {
			slog.InfoContext(ctx, "denied", "reason", string(d.Reason), "cause", d.Unwrap(), "detail", errors.Unwrap(d.Unwrap()))
		}},
	})
	return guard, err
}

func TestObserved(t *testing.T) {
	if _, err := observed([]validator.Issuer{{URL: "https://login.example.com", Audiences: []string{"https://api.example.com"}}}); err != nil {
		t.Error(err)
	}
}
