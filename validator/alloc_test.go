package validator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestAllocations (R-OP-07): what an attacker without a signature can make us
// allocate does not grow with what is sent, beyond the limits of claims. A refusal and
// its cause take three allocations or four; the text of the cause takes none until it
// is printed.
func TestAllocations(t *testing.T) {
	config := baseConfig()
	config.MaxTokenBytes = 1 << 20
	config.Issuers[0].Algorithms = []jose.Algorithm{jose.EdDSA}
	v := issuertest.Validator(t, config)
	deep := strings.Repeat("[", 100) + strings.Repeat("]", 100)
	wide := strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000)
	big := `"` + strings.Repeat("a", 500_000) + `"`
	other := testKey.header().with("alg", `"RS256"`)
	for _, row := range []struct {
		name  string
		token string
		want  validator.Reason
		most  float64
	}{
		{"1 MB and a byte", strings.Repeat("a", 1<<20+1), validator.TooLarge, 3},
		{"1 MB of dots and a byte", strings.Repeat(".", 1<<20+1), validator.TooLarge, 3},
		{"10 000 dots", strings.Repeat(".", 10_000), validator.MalformedToken, 3},
		{"1 MB of dots", strings.Repeat(".", 1<<20), validator.MalformedToken, 3},
		{"1 MB without a dot", strings.Repeat("a", 1<<20), validator.MalformedToken, 3},
		{"1 MB that is no token68", strings.Repeat("a", 1<<20-1) + " ", validator.MalformedRequest, 5},
		{"JWE", strings.Repeat("a.", 4) + strings.Repeat("a", 1<<19), validator.MalformedToken, 3},
		{"header 100 deep", testKey.Sign(testKey.header().with("x", deep).text(), baseClaims.text()), validator.MalformedToken, 40},
		{"payload 100 deep", testKey.Sign(testKey.header().text(), baseClaims.with("x", deep).text()), validator.TooLarge, 40},
		{"payload 5000 objects deep", testKey.Sign(testKey.header().text(), wide), validator.TooLarge, 200},
		{"payload of 5000 claims", testKey.Sign(testKey.header().text(), many(5000)), validator.TooLarge, 4200},
		{"payload of 5000 objects", testKey.Sign(testKey.header().text(), baseClaims.with("x", "["+strings.Repeat(`{"a":1},`, 5000)+"0]").text()), validator.TooLarge, 40},
		{"an array of 100 000", testKey.Sign(testKey.header().text(), baseClaims.with("iss", "["+strings.Repeat("1,", 100_000)+"0]").text()), validator.UnknownIssuer, 10},
		{"unknown issuer", testKey.token(baseClaims.with("iss", `"https://attacker.example"`)), validator.UnknownIssuer, 8},
		{"unknown issuer of 500 kB", testKey.token(baseClaims.with("iss", big)), validator.UnknownIssuer, 8},
		{"algorithm not allowed", testKey.Sign(other.text(), baseClaims.text()), validator.AlgorithmNotAllowed, 8},
		{"algorithm not allowed, 500 kB", testKey.Sign(other.text(), baseClaims.with("x", big).text()), validator.AlgorithmNotAllowed, 8},
		{"wrong type", testKey.Sign(testKey.header().with("typ", big).text(), baseClaims.text()), validator.WrongType, 8},
		{"unknown key", testKey.Sign(testKey.header().with("kid", big).text(), baseClaims.text()), validator.UnknownKey, 11},
		{"bad signature", foreignKey.token(baseClaims), validator.BadSignature, 10},
	} {
		t.Run(row.name, func(t *testing.T) {
			ctx, p := at(0), bearer(row.token)
			expect(t, v, p, 0, row.want, "")
			got := testing.AllocsPerRun(20, func() { _, _ = v.Validate(ctx, p) })
			t.Logf("%v allocations for %d bytes", got, len(row.token))
			if got > row.most {
				t.Errorf("%v allocations, want at most %v", got, row.most)
			}
		})
	}
}

// many returns an object of n members.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"c%d":0`, i)
	}
	return "{" + b.String()[1:] + "}"
}

// BenchmarkRefusals is what is refused before the signature is checked, and
// costs as much as all the rest of judging a token.
func BenchmarkRefusals(b *testing.B) {
	v := issuertest.Validator(b, baseConfig())
	ctx := at(0)
	for _, row := range []struct {
		name  string
		token string
	}{
		{"no JWS", strings.Repeat("a", 700)},
		{"payload", testKey.Sign(testKey.header().text(), baseClaims.text()[1:])},
		{"unknown issuer", testKey.token(baseClaims.with("iss", `"https://attacker.example"`))},
		{"algorithm", testKey.Sign(testKey.header().with("alg", `"none"`).text(), baseClaims.text())},
		{"unknown key", testKey.Sign(testKey.header().with("kid", `"k9"`).text(), baseClaims.text())},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = v.Validate(ctx, bearer(row.token))
			}
		})
	}
}
