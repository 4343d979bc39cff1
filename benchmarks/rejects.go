package benchmarks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// Reject is a token that must be refused, at the price of what is measured.
type Reject struct {
	Name  string
	Token string
	Want  validator.Reason
	// Early: refused before the signature is checked.
	Early bool
}

// Rejects are tokens under m, which is of RS256.
func Rejects(m *Material) ([]Reject, error) {
	now := time.Now()
	header, claims := m.Header(), Claims(now)
	var failed error
	sign := func(header, payload string) string {
		token, err := m.Sign(header, payload)
		if err != nil {
			failed = err
		}
		return token
	}
	member := func(value string) string { return `{"x":` + value + "," + claims[1:] }
	nested := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	cut := strings.LastIndexByte(m.Token, '.')
	other := strings.Replace(claims, "web-shop", "web-chop", 1)
	rejects := []Reject{
		{"no JWS at all", strings.Repeat("a", len(m.Token)), validator.MalformedToken, true},
		{"not base64url", m.Token[:cut+1] + "+" + m.Token[cut+2:], validator.MalformedToken, true},
		{"payload is not JSON", sign(header, claims[1:]), validator.MalformedToken, true},
		{"unknown issuer", sign(header, strings.Replace(claims, "/realms/main", "/realms/evil", 1)), validator.UnknownIssuer, true},
		{"alg none", encode([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + encode([]byte(claims)) + ".AA", validator.AlgorithmNotAllowed, true},
		{"alg HS256", sign(strings.Replace(header, "RS256", "HS256", 1), claims), validator.AlgorithmNotAllowed, true},
		{"type JWT", sign(strings.Replace(header, "at+jwt", "JWT", 1), claims), validator.WrongType, true},
		{"unknown kid", sign(strings.Replace(header, m.KeyID, "rsa-key-2026-11-b", 1), claims), validator.UnknownKey, true},
		{"1 MB token", strings.Repeat("a", 1<<20), validator.TooLarge, true},
		{"10 000 dots", strings.Repeat(".", 10_000), validator.MalformedToken, true},
		{"header 100 deep", sign(strings.Replace(header, "{", `{"x":`+nested+",", 1), claims), validator.MalformedToken, true},
		{"payload 100 deep", sign(header, member(nested)), validator.MalformedToken, true},
		{"16 KB of escapes, unknown issuer", sign(header, `{"iss":"x","x":"`+strings.Repeat(`\u0061`, 1900)+`"}`), validator.UnknownIssuer, true},
		{"bad signature", strings.Join([]string{
			encode([]byte(header)), encode([]byte(other)), m.Token[cut+1:],
		}, "."), validator.BadSignature, false},
		{"expired", sign(header, Claims(now.Add(-2*time.Hour))), validator.Expired, false},
		{"wrong audience", sign(header, strings.ReplaceAll(claims, "api.example.com", "api.example.org")), validator.WrongAudience, false},
	}
	return rejects, failed
}

// RejectMaterial is what [Rejects] takes.
func RejectMaterial() (*Material, error) { return NewMaterial(jose.RS256) }

// Run makes the function that judges the token, and fails if it is not refused
// for the reason expected.
func (r Reject) Run(v *validator.Validator) func() error {
	ctx := context.Background()
	return func() error {
		_, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: r.Token})
		if validator.ReasonOf(err) != r.Want {
			return fmt.Errorf("benchmarks: %s: not refused as %s: %w", r.Name, string(r.Want), err)
		}
		return nil
	}
}
