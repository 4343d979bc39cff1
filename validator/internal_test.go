package validator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestReasonOfLowerErrors checks which Reason an error of the packages below has. One that
// is not in the table says nothing about the token, and means Unavailable.
func TestReasonOfLowerErrors(t *testing.T) {
	for _, row := range []struct {
		err  error
		want Reason
	}{
		{jose.ErrMalformed, MalformedToken},
		{jose.ErrAlgorithm, AlgorithmNotAllowed},
		{jose.ErrUnknownKey, UnknownKey},
		{jose.ErrSignature, BadSignature},
		{fmt.Errorf("jwkscache: keys of an issuer: %w", jose.ErrUnknownKey), UnknownKey},
		{jose.ErrNotJWKS, Unavailable},
		{jose.ErrUnusableKey, Unavailable},
		{context.Canceled, Unavailable},
		{context.DeadlineExceeded, Unavailable},
		{fmt.Errorf("jwkscache: %w", context.DeadlineExceeded), Unavailable},
		{errors.New("jose: bad signature"), Unavailable}, // by identity, never by text
		{nil, Unavailable},
	} {
		refused := refusalFor(row.err)
		if refused.Reason() != row.want || refused.Unwrap() != row.err { //nolint:errorlint // the very error is kept
			t.Errorf("%v: %q with cause %v, want %q", row.err, refused.Reason(), refused.Unwrap(), row.want)
		}
	}
	seen := map[error]bool{}
	for _, row := range reasonTable {
		if seen[row.err] || descriptions[row.reason] == "" {
			t.Errorf("%v is in the table twice, or %q is not a Reason", row.err, row.reason)
		}
		seen[row.err] = true
	}
}

// transport is an http.RoundTripper of one function.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestKeysUnavailable: what keys cannot answer is refused, and which way
// depends on whether they answered.
func TestKeysUnavailable(t *testing.T) {
	refused := errors.New("connection refused")
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	header := http.Header{"Content-Type": {"application/json"}}
	for _, row := range []struct {
		name  string
		ctx   context.Context
		body  string
		err   error
		want  Reason
		cause error
	}{
		{"error", context.Background(), "", refused, Unavailable, refused},
		{"the caller gave up", gone, `{"keys":[]}`, nil, Unavailable, context.Canceled},
		{"no JWK Set", context.Background(), `{}`, nil, Unavailable, jose.ErrNotJWKS},
		{"unknown", context.Background(), `{"keys":[]}`, nil, UnknownKey, jose.ErrUnknownKey},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, err := New(Config{Issuers: []Issuer{{
					URL: "https://as.example.com", Audiences: []string{"a"}, Keys: jwkscache.URL("https://as.example.com/jwks"),
					HTTPClient: &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
						<-time.After(time.Second)
						return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(strings.NewReader(row.body))}, row.err
					})},
				}}})
				if err != nil {
					t.Fatal(err)
				}
				token, err := v.Validate(row.ctx, Presentation{Scheme: Bearer, Token: unsigned})
				if token != nil || !errors.Is(err, row.want) || ReasonOf(err) != row.want || !errors.Is(err, row.cause) {
					t.Errorf("%v, %v, want %q by %v", token, err, row.want, row.cause)
				}
				<-time.After(time.Second) // until the fetch has ended
			})
		})
	}
}

// unsigned is a token up to the look-up of its key.
const unsigned = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIn0.AAAA"

// TestUnknownRuleType: a rule of a type that New would refuse holds nothing.
func TestUnknownRuleType(t *testing.T) {
	for _, member := range []string{`"x"`, `true`, `["x"]`} {
		members := parsed(t, `{"r":`+member+`}`)
		if rule := (ClaimRule{Name: "r", Type: ClaimObject + 1}); rule.holds(members) {
			t.Errorf("holds for %s", member)
		}
	}
}

func parsed(t *testing.T, doc string) []strictjson.Member {
	t.Helper()
	members, err := strictjson.ParseObject(doc, strictjson.TokenLimits, nil)
	if err != nil {
		t.Fatal(err)
	}
	return members
}
