package validator

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestTranslated: an error of a room below that the table does not hold was
// not a verdict, and gives Unavailable.
func TestTranslated(t *testing.T) {
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
		refused := translated(row.err)
		if refused.Reason() != row.want || refused.Unwrap() != row.err { //nolint:errorlint // the very error is kept
			t.Errorf("%v: %q with cause %v, want %q", row.err, refused.Reason(), refused.Unwrap(), row.want)
		}
	}
	seen := map[error]bool{}
	for _, row := range reasons {
		if seen[row.err] || texts[row.reason] == "" {
			t.Errorf("%v stands twice in the table, or %q is no reason", row.err, row.reason)
		}
		seen[row.err] = true
	}
}

// fakeKeys answers with what it holds. Nothing but Find may be asked.
type fakeKeys struct {
	jwkscache.Keys

	keys []*jose.Key
	err  error
	ctx  context.Context // what Find was called with
}

func (k *fakeKeys) Find(ctx context.Context, _ jose.Header) ([]*jose.Key, error) {
	k.ctx = ctx
	return k.keys, k.err
}

// fakeIssuer is a Validator for one issuer with the keys given.
func fakeIssuer(keys *fakeKeys) *Validator {
	is := &issuer{url: "https://as.example.com", keys: keys}
	is.allowed[jose.EdDSA] = true
	return &Validator{issuers: []*issuer{is}, byURL: map[string]*issuer{is.url: is}, maxBytes: defaultTokenBytes}
}

// unsigned is a token up to the look-up of its key.
const unsigned = "eyJhbGciOiJFZERTQSIsInR5cCI6ImF0K2p3dCJ9.eyJpc3MiOiJodHRwczovL2FzLmV4YW1wbGUuY29tIn0.AAAA"

// TestKeysUnavailable: what keys cannot answer is refused, and which way
// depends on whether they answered.
func TestKeysUnavailable(t *testing.T) {
	type key string
	ctx := context.WithValue(context.Background(), key("request"), 1)
	for _, row := range []struct {
		name string
		keys fakeKeys
		want Reason
	}{
		{"error", fakeKeys{err: errors.New("connection refused")}, Unavailable},
		{"cancelled", fakeKeys{err: context.Canceled}, Unavailable},
		{"unknown", fakeKeys{err: jose.ErrUnknownKey}, UnknownKey},
		{"error beside keys", fakeKeys{keys: []*jose.Key{{}}, err: context.Canceled}, Unavailable},
		{"none, without an error", fakeKeys{}, Unavailable},
		{"nil key", fakeKeys{keys: []*jose.Key{nil}}, UnknownKey},
		{"zero key", fakeKeys{keys: []*jose.Key{{}, {}}}, UnknownKey},
	} {
		t.Run(row.name, func(t *testing.T) {
			token, err := fakeIssuer(&row.keys).Validate(ctx, Presentation{Scheme: Bearer, Token: unsigned})
			if token != nil || !errors.Is(err, row.want) || ReasonOf(err) != row.want {
				t.Errorf("%v, %v, want %q", token, err, row.want)
			}
			if row.keys.err != nil && !errors.Is(err, row.keys.err) {
				t.Errorf("the cause is lost: %v", err)
			}
			if row.keys.ctx != ctx {
				t.Error("Find did not get the request's context")
			}
		})
	}
}

// TestUnknownRuleType: a rule of a type that New would refuse holds nothing.
func TestUnknownRuleType(t *testing.T) {
	for _, member := range []string{`"x"`, `true`, `["x"]`} {
		members := parsed(t, `{"r":`+member+`}`)
		if rule := (ClaimRule{Name: "r", Type: ClaimBoolean + 1}); rule.holds(members) {
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
