package testissuer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
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

// TestExampleTokens contains the one-line examples of the package comment.
func TestExampleTokens(t *testing.T) {
	issuer := testissuer.New(t)
	signed := []string{
		issuer.Sign(testissuer.Token{}),                                                   // good
		issuer.Sign(testissuer.Token{Lifetime: -time.Hour}),                               // expired
		issuer.Sign(testissuer.Token{Claims: map[string]any{"sub": "alice", "jti": nil}}), // no jti
		issuer.Sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}}),               // an ID token's type
		issuer.Sign(testissuer.Token{Forgery: testissuer.ForeignKey}),                     // forged
	}
	want := []validator.Reason{"", validator.Expired, validator.BadClaims, validator.WrongType, validator.BadSignature}
	for at, token := range signed {
		expect(t, issuer, token, want[at])
	}
}

// TestExampleOpaque contains the examples of opaque tokens in the package comment.
func TestExampleOpaque(t *testing.T) {
	issuer := testissuer.New(t)
	token := issuer.Opaque(testissuer.Token{Scope: "orders:read"})
	issuer.Revoke(token)                           // inactive from now on
	issuer.Revoke(issuer.Sign(testissuer.Token{})) // JWTs too
	if isActive(t, issuer, token) {
		t.Error("a revoked token is active")
	}
	faulty := []string{
		issuer.Opaque(testissuer.Token{Fault: testissuer.ActiveString}),      // "active":"true"
		issuer.Opaque(testissuer.Token{Fault: testissuer.RefreshToken}),      // a refresh token
		issuer.Opaque(testissuer.Token{Fault: testissuer.SignedIssuerOther}), // in signed answers
	}
	issuer.Answer("", testissuer.StatusError) // about unknown tokens
	for token, want := range map[string]int{faulty[0]: 200, faulty[1]: 200, faulty[2]: 200, "x": 500} {
		if a := ask(t, issuer, token); a.status != want {
			t.Errorf("%v, want %d", a, want)
		}
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

// The issuer answers an API that introspects a token, before and after its revocation.
func ExampleIssuer_Opaque() {
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
	if err != nil {
		log.Fatal(err)
	}
	defer issuer.Close()
	token := issuer.Opaque(testissuer.Token{Scope: "orders:read", Prefix: "at_"})
	introspect := func() {
		form := url.Values{"token": {token}}
		request, err := http.NewRequest(http.MethodPost, issuer.IntrospectionURL(), strings.NewReader(form.Encode()))
		if err != nil {
			log.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(testissuer.ClientID, testissuer.ClientSecret)
		response, err := issuer.Client().Do(request)
		if err != nil {
			log.Fatal(err)
		}
		defer response.Body.Close()
		var answer struct {
			Active bool
			Scope  string
		}
		if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("active %t, scope %q\n", answer.Active, answer.Scope)
	}
	introspect()
	issuer.Revoke(token)
	introspect()
	for _, request := range issuer.Received(testissuer.Introspection) {
		fmt.Println(request.Client, request.Form.Has("token"))
	}
	// Output:
	// active true, scope "orders:read"
	// active false, scope ""
	// api true
	// api true
}

// The issuer rotates and withdraws its first key. No test is needed for that.
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
