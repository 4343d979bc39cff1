package middleware

import "github.com/sallyport-auth/sallyport/validator"

// AnyValidator returns a Validator for tests that validate no token.
func AnyValidator() *validator.Validator {
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{URL: "https://issuer.test", Audiences: []string{"https://api.test"}}}})
	if err != nil {
		panic(err)
	}
	return v
}
