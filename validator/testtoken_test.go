package validator_test

import (
	"context"
	_ "crypto/sha512" // for the hashes of 384 and 512 bits
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	testIssuer   = "https://as.example.com"
	testAudience = "https://api.example.com"
	testNow      = 1700000000
)

// at is a context whose clock stands at testNow and offset.
func at(offset time.Duration) context.Context {
	return clock.At(context.Background(), time.Unix(testNow, 0).Add(offset))
}

// object is a JSON object as text, member by member, so that a test can also
// write what no encoder would.
type object []member

type member struct{ name, raw string }

// with sets a member to a JSON text, in its place if it is there already.
func (o object) with(name, raw string) object {
	next := make(object, 0, len(o)+1)
	found := false
	for _, m := range o {
		if m.name == name {
			m.raw, found = raw, true
		}
		next = append(next, m)
	}
	if !found {
		next = append(next, member{name, raw})
	}
	return next
}

func (o object) without(names ...string) object {
	var next object
	for _, m := range o {
		keep := true
		for _, name := range names {
			keep = keep && m.name != name
		}
		if keep {
			next = append(next, m)
		}
	}
	return next
}

func (o object) text() string {
	members := make([]string, 0, len(o))
	for _, m := range o {
		members = append(members, strconv.Quote(m.name)+":"+m.raw)
	}
	return "{" + strings.Join(members, ",") + "}"
}

// baseClaims are those of a good token (RFC 9068 §2.2).
var baseClaims = object{
	{"iss", `"` + testIssuer + `"`},
	{"sub", `"user-1"`},
	{"aud", `"` + testAudience + `"`},
	{"exp", "1700003600"},
	{"iat", "1699999940"},
	{"jti", `"jti-0001"`},
	{"client_id", `"client-1"`},
	{"scope", `"read write"`},
}

// signer is a key of a test issuer.
type signer struct{ testkey.Key }

func keyOf(alg jose.Algorithm, kid, label string) *signer {
	return &signer{testkey.Of(alg, label).WithID(kid)}
}

// edSigner returns an Ed25519 key, the same in every process: fuzzing runs in
// several.
func edSigner(kid, label string) *signer { return keyOf(jose.EdDSA, kid, label) }

// rsaSigner returns a key for alg. All have one RSA key.
func rsaSigner(alg jose.Algorithm, kid string) *signer { return keyOf(alg, kid, "rsa") }

// The keys.
var (
	testKey    = edSigner("k1", "sallyport test key")
	foreignKey = edSigner("k1", "sallyport test key of another issuer") // the same kid
)

func ec256Key() *signer { return keyOf(jose.ES256, "ec256", "ec") }

func ec384Key() *signer { return keyOf(jose.ES384, "ec384", "ec") }

// header is the one of a good token.
func (s *signer) header() object {
	return object{{"alg", strconv.Quote(s.Algorithm.String())}, {"typ", `"at+jwt"`}, {"kid", strconv.Quote(s.ID)}}
}

// token signs an object under the signer's own header.
func (s *signer) token(claims object) string { return s.Sign(s.header().text(), claims.text()) }

// untyped signs an object under a header that does not say what it is.
func (s *signer) untyped(claims object) string {
	return s.Sign(s.header().with("typ", `"JWT"`).text(), claims.text())
}

// jwk is the public JWK.
func (s *signer) jwk() object {
	var jwk object
	for name, value := range s.Members() {
		jwk = append(jwk, member{name, strconv.Quote(value)})
	}
	slices.SortFunc(jwk, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return jwk
}

func b64(text string) string { return testkey.Encode([]byte(text)) }

// jwks is a JWK Set document.
func jwks(keys ...object) []byte {
	texts := make([]string, 0, len(keys))
	for _, key := range keys {
		texts = append(texts, key.text())
	}
	return []byte(`{"keys":[` + strings.Join(texts, ",") + `]}`)
}

func keysOf(signers ...*signer) jwkscache.Source { return jwkscache.Static(jwksOf(signers...)) }

// jwksOf returns the JWK Set of signers.
func jwksOf(signers ...*signer) []byte {
	keys := make([]object, 0, len(signers))
	for _, s := range signers {
		keys = append(keys, s.jwk())
	}
	return jwks(keys...)
}

// baseConfig accepts tokens of testKey with baseClaims.
func baseConfig() validator.Config {
	return validator.Config{Issuers: []validator.Issuer{{
		URL:       testIssuer,
		Audiences: []string{testAudience},
		Keys:      keysOf(testKey),
	}}}
}

// allScopes are the grants of an issuer beside others, where a test is about
// something else.
var allScopes = []string{validator.AllScopes}

// legacyConfig is baseConfig for an issuer without at+jwt.
func legacyConfig() validator.Config {
	config := baseConfig()
	config.Issuers[0].Profile = validator.ProfileLegacy
	config.Issuers[0].Marker = []validator.ClaimRule{{Name: "token_use", Equals: "access"}}
	return config
}

func bearer(token string) validator.Presentation {
	return issuertest.Bearer(token)
}

// expect validates p at testNow and offset, and compares the reason ("" means
// accepted) and, if cause is not empty, what the cause says.
func expect(
	tb testing.TB, v *validator.Validator, p validator.Presentation, offset time.Duration, want validator.Reason, cause string,
) *validator.Token {
	tb.Helper()
	token, err := v.Validate(at(offset), p)
	if got := validator.ReasonOf(err); got != want {
		tb.Fatalf("reason %q (cause: %v), want %q", string(got), causeOf(err), string(want))
	}
	if (token == nil) != (err != nil) {
		tb.Fatalf("token is nil: %t, error: %v", token == nil, err)
	}
	if want == "" {
		return token
	}
	if got := fmt.Sprint(causeOf(err)); !strings.Contains(got, cause) {
		tb.Fatalf("cause is %q, want one about %q", got, cause)
	}
	return nil
}

// causeOf is the cause of a refusal.
func causeOf(err error) error {
	if refusal, ok := err.(*validator.Error); ok { //nolint:errorlint // Validate answers with an *Error itself, and a test says so
		return refusal.Unwrap()
	}
	return err
}
