package testissuer_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

func showOrders(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "orders") }

func TestOrders(t *testing.T) {
	issuer := testissuer.New(t)
	guard, err := middleware.For(validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}})
	if err != nil {
		t.Fatal(err)
	}
	api := guard.Require(scopes.All("orders:read"), http.HandlerFunc(showOrders))
	for status, token := range map[int]testissuer.Token{
		http.StatusOK:           {Scope: "orders:read"},
		http.StatusForbidden:    {Scope: "orders:write"},
		http.StatusUnauthorized: {Scope: "orders:read", Lifetime: -time.Hour},
	} {
		request := httptest.NewRequest("GET", "/orders", nil)
		request.Header.Set("Authorization", "Bearer "+issuer.Sign(token))
		response := httptest.NewRecorder()
		api.ServeHTTP(response, request)
		if response.Code != status {
			t.Errorf("status %d, want %d: %s", response.Code, status, response.Body)
		}
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
