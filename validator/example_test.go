package validator_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

func Example() {
	issuer, err := testissuer.Start(testissuer.Config{Audience: "https://api.example"})
	if err != nil {
		log.Fatal(err)
	}
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:       issuer.URL(),
		Audiences: []string{"https://api.example"},
		Keys:      jwkscache.Static(issuer.JWKS()),
	}}})
	if err != nil {
		log.Fatal(err) // every fault of the configuration, each with its mend
	}
	for _, text := range []string{issuer.Sign(testissuer.Token{Scope: "orders:read"}), "swordfish"} {
		token, err := v.Validate(context.Background(), validator.Presentation{Scheme: validator.Bearer, Token: text})
		if errors.Is(err, validator.MalformedToken) {
			fmt.Println(validator.ReasonOf(err))
		}
		fmt.Println(token.HasScope("orders:read"))
	}
	issuer.Close()
	// Output:
	// true
	// malformed_token
	// false
}
