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
	"github.com/sallyport-auth/sallyport/internal/issuertest"
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
	guard := issuertest.Guard(t, middleware.Config{Validator: issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{{
		URL: "https://issuer.example", Audiences: []string{"https://api.example"}, Keys: jwkscache.Static(jwks),
	}}})})
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

// routeOf makes a route of the guard.
func routeOf(t *testing.T, guard *middleware.Guard, policy scopes.Policy) *middleware.Route {
	t.Helper()
	route, err := guard.Route("GET /", policy)
	if err != nil {
		t.Fatal(err)
	}
	return route
}

// denials returns hooks that call report for each refusal.
func denials(report func(context.Context, *middleware.Denial)) *middleware.Trace {
	return &middleware.Trace{Decided: func(ctx context.Context, d middleware.Decision) {
		if d.Denial != nil {
			report(ctx, d.Denial)
		}
	}}
}

// TestCheck covers R-SC-09: the token is checked before the policy, and the answer to
// an invalid token names no scope.
func TestCheck(t *testing.T) {
	ctx := clock.At(context.Background(), time.Unix(1700000000, 0))
	for _, test := range []struct {
		token  string
		policy scopes.Policy
		want   validator.Reason // "": passes
	}{
		{"good, RS256", scopes.All("orders:read"), ""},
		{"good, RS256", scopes.All("orders:write"), validator.InsufficientScope},
		{"expired", scopes.All("orders:read"), validator.Expired},
		{"expired", scopes.All("orders:write"), validator.Expired},
	} {
		guard, presentation := sample(t, test.token)
		verdict := routeOf(t, guard, test.policy).Check(ctx, presentation, scopes.Operation{})
		token, denial := verdict.Token(), verdict.Denial()
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

// TestFor shows that For reports faults of the issuers.
func TestFor(t *testing.T) {
	if _, err := middleware.For(validator.Issuer{URL: "https://issuer.example"}); err == nil || !strings.Contains(err.Error(), "Audiences is empty") {
		t.Errorf("%v", err)
	}
}

// TestCheckPublic shows that a public route looks at no credentials.
func TestCheckPublic(t *testing.T) {
	guard, presentation := sample(t, "expired")
	verdict := routeOf(t, guard, scopes.Public()).Check(context.Background(), presentation, scopes.Operation{})
	if verdict.Token() != nil || verdict.Denial() != nil {
		t.Errorf("token %v, denial %v", verdict.Token(), verdict.Denial())
	}
}
