package providers_test

import (
	"fmt"
	"log"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/providers"
)

func Example() {
	guard, err := middleware.For(providers.Okta("https://dev-1.okta.com/oauth2/default", "api://orders"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(guard.Validator().Issuers())
	// Output: [https://dev-1.okta.com/oauth2/default]
}
