package main

import (
	"log"
	"net/http"

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
