package middleware_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// sample gives a sample token of examples/verify and a guard for it.
func sample(t *testing.T, name string) (*middleware.Guard, validator.Presentation) {
	t.Helper()
	jwks, err := os.ReadFile("../examples/verify/jwks.json")
	if err != nil {
		t.Fatal(err)
	}
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: "https://issuer.example", Audiences: []string{"https://api.example"}, Keys: jwkscache.Static(jwks),
	}}})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{Validator: v})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := os.ReadFile("../examples/verify/tokens.ndjson")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(tokens)) {
		var s struct{ Name, Token string }
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		if s.Name == name {
			return guard, validator.Presentation{Scheme: validator.Bearer, Token: s.Token}
		}
	}
	t.Fatalf("no sample %q", name)
	return nil, validator.Presentation{}
}

// TestCheck covers R-SC-09: the token is judged first, then the policy, and a
// caller with an invalid token never learns of a scope.
func TestCheck(t *testing.T) {
	ctx := clock.At(context.Background(), time.Unix(1700000000, 0))
	for _, test := range []struct {
		token  string
		policy scopes.Policy
		want   validator.Reason // "": passes
	}{
		{"good, RS256", scopes.All("orders:read"), ""},
		{"good, RS256", scopes.All("orders:write"), validator.InsufficientScope},
		{"good, RS256", scopes.Policy{}, validator.Forbidden},
		{"expired", scopes.All("orders:read"), validator.Expired},
		{"expired", scopes.All("orders:write"), validator.Expired},
	} {
		guard, presentation := sample(t, test.token)
		token, denial := guard.Check(ctx, presentation, test.policy, scopes.Operation{})
		if (token == nil) == (denial == nil) {
			t.Fatalf("%s: token %v, denial %v", test.token, token, denial)
		}
		if test.want == "" {
			if denial != nil {
				t.Errorf("%s: %v", test.token, denial)
			}
			continue
		}
		if denial == nil || denial.Reason != test.want || !errors.Is(denial, test.want) {
			t.Errorf("%s under %v: %v, want %s", test.token, test.policy, denial, test.want)
		}
	}
}

// TestFor shows that faults of the issuers are told by For.
func TestFor(t *testing.T) {
	if _, err := middleware.For(validator.Issuer{URL: "https://issuer.example"}); err == nil || !strings.Contains(err.Error(), "Audiences is empty") {
		t.Errorf("%v", err)
	}
}

// TestCheckPublic shows that a public route looks at no credentials.
func TestCheckPublic(t *testing.T) {
	guard, presentation := sample(t, "expired")
	if token, denial := guard.Check(context.Background(), presentation, scopes.Public(), scopes.Operation{}); token != nil || denial != nil {
		t.Errorf("token %v, denial %v", token, denial)
	}
}
