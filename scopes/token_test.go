package scopes_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	mainIssuer   = "https://issuer.example"
	legacyIssuer = "https://legacy.example"
	testNow      = 1700000000
)

// claims are those of a token; nil takes one away.
type claims map[string]any

// at is a context whose clock stands at testNow and offset.
func at(offset time.Duration) context.Context {
	return clock.At(context.Background(), time.Unix(testNow, 0).Add(offset))
}

// decide asks the policy at testNow.
func decide(policy scopes.Policy, token *validator.Token) *scopes.Refusal {
	return policy.Decide(at(0), token, scopes.Operation{})
}

// permitted is the reason for not refusing.
const permitted = validator.Reason("")

// row is one decision at testNow. The fields of want but its Reason are
// compared for every refusal.
type row struct {
	policy    scopes.Policy
	claims    claims
	operation scopes.Operation
	want      scopes.Refusal // Reason permitted: none
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

// same compares what a challenge would tell.
func same(t *testing.T, policy string, of any, got *scopes.Refusal, want scopes.Refusal) {
	t.Helper()
	if got == nil {
		got = &scopes.Refusal{Reason: permitted}
	}
	if got.Reason != want.Reason || !slices.Equal(got.Scopes, want.Scopes) ||
		!slices.Equal(got.ACRValues, want.ACRValues) || got.MaxAge != want.MaxAge {
		t.Errorf("%s of %v: %q %q %q %s, want %q %q %q %s", policy, of,
			got.Reason, got.Scopes, got.ACRValues, got.MaxAge, want.Reason, want.Scopes, want.ACRValues, want.MaxAge)
	}
}

// refused is a refusal that tells nothing but its class.
func refused(reason validator.Reason) scopes.Refusal { return scopes.Refusal{Reason: reason} }

// faults checks that each policy denies and tells all of these.
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
				t.Errorf("%q is not told: %v", want, err)
			}
		}
		if refusal := decide(policy, minted(t, "a b")); refusal == nil || refusal.Reason != validator.Forbidden {
			t.Errorf("a policy with a fault answers %v: %v", refusal, err)
		}
	}
}

// minted gives a validated token with this scope claim.
func minted(tb testing.TB, scope string) *validator.Token {
	tb.Helper()
	return mint(tb, claims{"scope": scope})
}

// mint gives a validated token with these claims beside those that every token
// needs; nothing else can make one. An iss of legacyIssuer makes a legacy one.
func mint(tb testing.TB, with claims) *validator.Token {
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
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"EdDSA","typ":"at+jwt"}`)) + "." + encode(payload)
	token, err := testValidator().Validate(at(0), validator.Presentation{
		Scheme: validator.Bearer,
		Token:  input + "." + encode(ed25519.Sign(testKey, []byte(input))),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// countedACRs are the acr values of the main issuer that tests ask for or have.
var countedACRs = []string{"gold", "silver", "bronze", "urn:gold", "2", "3", "Silver", "urn:gold silver", "silve", "a"}

var testKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

var testValidator = sync.OnceValue(func() *validator.Validator {
	public := base64.RawURLEncoding.EncodeToString(testKey[ed25519.SeedSize:])
	keys := []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + public + `"}]}`)
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{
		{
			URL: mainIssuer, Audiences: []string{"https://api.example"}, Keys: jwkscache.Static(keys),
			Grants:      []string{validator.AllScopes},
			Mappings:    []validator.Mapping{{Claim: []string{"roles"}, To: validator.ToRole}},
			Roles:       []string{validator.AllRoles},
			ACRs:        countedACRs,
			Tenant:      validator.TenantRule{Claim: "tenant", Owned: []string{"acme", "globex"}},
			MultiFactor: []string{"mfa"},
		},
		{
			URL: legacyIssuer, Audiences: []string{"https://api.example"}, Keys: jwkscache.Static(keys),
			Grants: []string{validator.AllScopes}, Profile: validator.ProfileLegacy,
			Marker: []validator.ClaimRule{{Name: "marker", Type: validator.ClaimBoolean, Equals: "true"}}, ACRs: []string{"gold"},
		},
	}})
	if err != nil {
		panic(err)
	}
	return v
})
