package scopes_test

import (
	"context"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	mainIssuer   = "https://issuer.example"
	legacyIssuer = "https://legacy.example"
	testNow      = 1700000000
)

// claims are the claims of a token. A nil value removes a claim.
type claims map[string]any

// at returns a context whose clock is at testNow plus offset.
func at(offset time.Duration) context.Context {
	return clock.At(context.Background(), time.Unix(testNow, 0).Add(offset))
}

// decide decides the policy at testNow.
func decide(policy scopes.Policy, token *validator.Token) *scopes.Refusal {
	return policy.Decide(at(0), token, scopes.Operation{})
}

// permitted is the Reason in tables if there is no refusal.
const permitted = validator.Reason("")

// row is one decision at testNow.
type row struct {
	policy    scopes.Policy
	claims    claims
	operation scopes.Operation
	want      scopes.Refusal // zero: permitted
}

func check(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		if err := r.policy.Err(); err != nil {
			t.Errorf("%v: %v", r.claims, err)
			continue
		}
		token := mint(t, r.claims)
		same(t, r.policy.String(), r.claims, r.policy.Decide(at(0), token, r.operation), r.want)
		if e := r.policy.Explain(at(0), token, r.operation); e.Permits != (r.want.Reason == permitted) {
			t.Errorf("%v of %v is explained otherwise:\n%v", r.policy, r.claims, e)
		}
	}
}

// same fails the test unless got and want tell a client the same.
func same(t *testing.T, policy string, of any, got *scopes.Refusal, want scopes.Refusal) {
	t.Helper()
	if got == nil {
		got = &scopes.Refusal{Reason: permitted}
	}
	if got.Reason != want.Reason || !slices.Equal(got.Scopes, want.Scopes) ||
		!slices.Equal(got.ACRValues, want.ACRValues) || got.MaxAuthAge != want.MaxAuthAge {
		t.Errorf("%s of %v: %q %q %q %s, want %q %q %q %s", policy, of,
			got.Reason, got.Scopes, got.ACRValues, got.MaxAuthAge, want.Reason, want.Scopes, want.ACRValues, want.MaxAuthAge)
	}
}

// refused returns a Refusal with a Reason and nothing else.
func refused(reason validator.Reason) scopes.Refusal { return scopes.Refusal{Reason: reason} }

// faults fails the test unless each policy denies, and its faults contain the texts of
// the key, which are joined by " & ".
func faults(t *testing.T, of map[string]scopes.Policy) {
	t.Helper()
	for wants, policy := range of {
		err := policy.Err()
		if err == nil {
			t.Errorf("%v has no fault, want %s", policy, wants)
			continue
		}
		for want := range strings.SplitSeq(wants, " & ") {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in %v", want, err)
			}
		}
		if refusal := decide(policy, minted(t, "a b")); refusal == nil || refusal.Reason != validator.Forbidden {
			t.Errorf("a policy with a fault answers %v: %v", refusal, err)
		}
	}
}

// hookFunc is a hook of [scopes.Check].
type hookFunc = func(context.Context, *validator.Token, scopes.Operation) error

// route returns one route, as [scopes.NewContract] takes them.
func route(name string, policy scopes.Policy) iter.Seq2[string, scopes.Policy] {
	return func(yield func(string, scopes.Policy) bool) { yield(name, policy) }
}

// minted returns a validated token with this scope claim.
func minted(tb testing.TB, scope string) *validator.Token {
	tb.Helper()
	return mint(tb, claims{"scope": scope})
}

// mint returns a validated token with these claims and those that every token needs. If
// iss is legacyIssuer, the token is validated by the legacy profile.
func mint(tb testing.TB, with claims) *validator.Token {
	tb.Helper()
	token, err := testValidator().Validate(at(0), issuertest.Bearer(signed(tb, with)))
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// signed returns a token with these claims and those that every token needs.
func signed(tb testing.TB, with claims) string {
	tb.Helper()
	all := claims{
		"iss": mainIssuer, "aud": "https://api.example", "sub": "user", "client_id": "client",
		"jti": "j", "iat": testNow - 60, "exp": testNow + 3600, "marker": true, "tenant": "acme",
	}
	maps.Copy(all, with)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		tb.Fatal(err)
	}
	return testKey.Sign(`{"alg":"EdDSA","typ":"at+jwt"}`, string(payload))
}

// countedACRs are the acr values that count at mainIssuer.
var countedACRs = []string{"gold", "silver", "bronze", "urn:gold", "2", "3", "Silver", "urn:gold silver", "silve", "a"}

var testKey = testkey.Of(jose.EdDSA, "scopes")

var testValidator = sync.OnceValue(func() *validator.Validator {
	keys := jwkscache.Static(testkey.Set(testKey))
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{
		{
			URL: mainIssuer, Audiences: []string{"https://api.example"}, Keys: keys,
			Grants:      []string{validator.AllScopes},
			Mappings:    []validator.Mapping{{Claim: []string{"roles"}, To: validator.ToRole}},
			Roles:       []string{validator.AllRoles},
			ACRs:        countedACRs,
			Tenant:      validator.TenantRule{Claim: "tenant", Owned: []string{"acme", "globex"}},
			MultiFactor: []string{"mfa"},
		},
		{
			URL: legacyIssuer, Audiences: []string{"https://api.example"}, Keys: keys,
			Grants: []string{validator.AllScopes}, Profile: validator.ProfileLegacy,
			Marker: []validator.ClaimRule{{Name: "marker", Type: validator.ClaimBoolean, Equals: "true"}}, ACRs: []string{"gold"},
		},
	}})
	if err != nil {
		panic(err)
	}
	return v
})
