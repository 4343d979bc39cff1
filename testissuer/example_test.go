package testissuer_test

import (
	"context"
	"fmt"
	"log"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

func TestOrders(t *testing.T) {
	issuer := testissuer.New(t)
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: issuer.URL(), Audiences: []string{"https://api.test"},
		Keys: jwkscache.Static(issuer.JWKS()),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	signed := issuer.Sign(testissuer.Token{Scope: "orders:read"})
	token, err := v.Validate(t.Context(), validator.Presentation{Scheme: validator.Bearer, Token: signed})
	if err != nil || !token.HasScope("orders:read") {
		t.Errorf("the token is refused (%v) or lacks the scope: %v", err, token)
	}
}

// TestExampleTokens holds the one-line examples of the package comment.
func TestExampleTokens(t *testing.T) {
	issuer := testissuer.New(t)
	signed := []string{
		issuer.Sign(testissuer.Token{}),                                                   // good
		issuer.Sign(testissuer.Token{Lifetime: -time.Hour}),                               // expired
		issuer.Sign(testissuer.Token{Claims: map[string]any{"sub": "alice", "jti": nil}}), // no jti
		issuer.Sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}}),               // an ID token's type
		issuer.Sign(testissuer.Token{Fault: testissuer.ForeignKey}),                       // forged
	}
	want := []validator.Reason{"", validator.Expired, validator.BadClaims, validator.WrongType, validator.BadSignature}
	for at, token := range signed {
		expect(t, issuer, token, want[at])
	}
}

func TestExampleBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		defer issuer.Close()
		// …
	})
}

// A demonstration without a test: the issuer rotates, and withdraws its first
// key.
func ExampleStart() {
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	before := issuer.SigningKey()
	token := issuer.Sign(testissuer.Token{})
	issuer.Rotate()
	issuer.Retire(before)

	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:       issuer.URL(),
		Audiences: []string{"https://api.test"},
		Keys:      jwkscache.Static(issuer.JWKS()),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	_, err = v.Validate(context.Background(), validator.Presentation{Scheme: validator.Bearer, Token: token})
	fmt.Println(validator.ReasonOf(err))
	issuer.Close()
	// Output: unknown_key
}
