package main

import (
	"flag"
	"os"
	"testing"

	"github.com/sallyport-auth/sallyport/validator"
)

var update = flag.Bool("update", false, "write the contract anew")

// TestContract fails if a route needs something else than contract.json says.
func TestContract(t *testing.T) {
	mux, _, err := newAPI(validator.Issuer{URL: "https://login.example.com", Audiences: []string{"https://api.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		text, err := mux.Contract().JSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("contract.json", text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	contract := mux.Contract()
	committed, err := os.ReadFile("contract.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := contract.Drift(committed); err != nil {
		t.Error(err)
	}
}
