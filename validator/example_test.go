package validator_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

func Example() {
	jwks, err := os.ReadFile("../examples/verify/jwks.json")
	if err != nil {
		log.Fatal(err)
	}
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:       "https://issuer.example",
		Audiences: []string{"https://api.example"},
		Keys:      jwkscache.Static(jwks),
	}}})
	if err != nil {
		log.Fatal(err) // every fault of the configuration, each with its mend
	}
	token, err := v.Validate(context.Background(), validator.Presentation{
		Scheme: validator.Bearer,
		Token:  "swordfish",
	})
	if errors.Is(err, validator.MalformedToken) {
		fmt.Println(validator.ReasonOf(err), token.HasScope("orders:read"))
	}
	// Output: malformed_token false
}
