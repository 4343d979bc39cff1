package scopes_test

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"maps"
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

var testKey = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))

var testValidator = sync.OnceValue(func() *validator.Validator {
	public := base64.RawURLEncoding.EncodeToString(testKey[ed25519.SeedSize:])
	keys := []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"` + public + `"}]}`)
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{
		{
			URL: mainIssuer, Audiences: []string{"https://api.example"}, Keys: jwkscache.Static(keys),
			Grants:      []string{validator.AllScopes},
			Mappings:    []validator.Mapping{{Claim: []string{"roles"}, To: validator.ToRole}},
			Tenant:      validator.TenantRule{Claim: "tenant", Owned: []string{"acme", "globex"}},
			MultiFactor: []string{"mfa"},
		},
		{
			URL: legacyIssuer, Audiences: []string{"https://api.example"}, Keys: jwkscache.Static(keys),
			Grants: []string{validator.AllScopes}, Profile: validator.ProfileLegacy,
			Marker: []validator.ClaimRule{{Name: "marker", Type: validator.ClaimBoolean, Equals: "true"}},
		},
	}})
	if err != nil {
		panic(err)
	}
	return v
})
