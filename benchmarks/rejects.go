package benchmarks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// Reject is a token that must be refused, at the price of what is measured.
type Reject struct {
	Name  string
	Token string
	Want  validator.Reason
	// Early means that the token is refused before the signature is checked.
	Early bool
	// Strict means that other libraries accept the token, or read it differently.
	Strict bool
	// Compared means that the refusal is measured for every subject.
	Compared bool
	// Slow says why the refusal costs more than the budget for early refusals.
	Slow string
}

const slowJSON = "escapes and deep nesting are left to the strict JSON library, after the fast scan gave up"

// Rejects returns tokens of m, whose algorithm is RS256.
func Rejects(m *Material) ([]Reject, error) {
	now := time.Now()
	header, claims := m.Header(), Claims(now, 0)
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
	cut := strings.LastIndexByte(m.good, '.')
	other := strings.Replace(claims, "web-shop", "web-chop", 1)
	expiry := fmt.Sprintf(`"exp":%d,`, now.Add(time.Hour).Unix())
	rejects := []Reject{
		{Name: "no JWS at all", Token: strings.Repeat("a", len(m.good)), Want: validator.MalformedToken, Early: true},
		{Name: "not base64url", Token: m.good[:cut+1] + "+" + m.good[cut+2:], Want: validator.MalformedToken, Early: true},
		{Name: "payload is not JSON", Token: sign(header, claims[1:]), Want: validator.MalformedToken, Early: true},
		{Name: "unknown issuer", Token: sign(header, strings.Replace(claims, "/realms/main", "/realms/evil", 1)), Want: validator.UnknownIssuer, Early: true},
		{Name: "alg none", Token: encode([]byte(`{"alg":"none","typ":"at+jwt"}`)) + "." + encode([]byte(claims)) + ".AA", Want: validator.AlgorithmNotAllowed, Early: true},
		{Name: "alg HS256", Token: m.forge(claims), Want: validator.AlgorithmNotAllowed, Early: true},
		{Name: "type JWT", Token: sign(strings.Replace(header, "at+jwt", "JWT", 1), claims), Want: validator.WrongType, Early: true, Strict: true},
		{Name: "unknown kid", Token: sign(strings.Replace(header, m.KeyID, "rsa-key-2026-11-b", 1), claims), Want: validator.UnknownKey, Early: true, Compared: true},
		{Name: "1 MB token", Token: strings.Repeat("a", 1<<20), Want: validator.TooLarge, Early: true},
		{Name: "10 000 dots", Token: strings.Repeat(".", 10_000), Want: validator.MalformedToken, Early: true, Slow: "10 000 bytes are read to the end to tell a JWE from nonsense"},
		{Name: "header 100 deep", Token: sign(strings.Replace(header, "{", `{"x":`+nested+",", 1), claims), Want: validator.MalformedToken, Early: true, Strict: true, Slow: slowJSON},
		{Name: "payload 100 deep", Token: sign(header, member(nested)), Want: validator.TooLarge, Early: true, Strict: true, Slow: slowJSON},
		{Name: "16 KB of escapes, unknown issuer", Token: sign(header, `{"iss":"x","x":"`+strings.Repeat(`\u0061`, 1900)+`"}`), Want: validator.UnknownIssuer, Early: true, Slow: slowJSON + ", all of its 11 KB"},
		{Name: "bad signature", Token: strings.Join([]string{
			encode([]byte(header)), encode([]byte(other)), m.good[cut+1:],
		}, "."), Want: validator.BadSignature, Compared: true},
		{Name: "expired", Token: sign(header, Claims(now.Add(-2*time.Hour), 0)), Want: validator.Expired, Compared: true},
		{Name: "no expiry", Token: sign(header, strings.Replace(claims, expiry, "", 1)), Want: validator.BadClaims},
		{Name: "wrong audience", Token: sign(header, strings.ReplaceAll(claims, "api.example.com", "api.example.org")), Want: validator.WrongAudience},
	}
	return rejects, failed
}

// Run returns a function that validates the token with Sallyport. It fails unless the
// token is refused for the expected reason.
func (r Reject) Run(v *validator.Validator) Run {
	ctx := context.Background()
	return func(int) error {
		_, err := v.Validate(ctx, validator.Presentation{Scheme: validator.Bearer, Token: r.Token})
		if validator.ReasonOf(err) != r.Want {
			return fmt.Errorf("benchmarks: %s: not refused as %s: %w", r.Name, string(r.Want), err)
		}
		return nil
	}
}

// RunBy returns a function that validates the token with a subject. It fails unless
// the token is refused.
func (r Reject) RunBy(subject Subject, m *Material) (Run, error) {
	judge, err := subject.Prepare(m.With(r.Token))
	if err != nil {
		return nil, err
	}
	return func(i int) error {
		if judge(i) == nil {
			return fmt.Errorf("benchmarks: %s accepts a token that it must refuse: %s", subject.Name, r.Name)
		}
		return nil
	}, nil
}
