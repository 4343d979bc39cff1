package validator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/misuse"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestOtherTokens (R-AT-02, R-AT-13): a token with the mark of another token is refused
// under every profile, whatever else it has.
func TestOtherTokens(t *testing.T) {
	for _, row := range []struct {
		name   string
		rule   validator.ClaimRule
		marks  []string // values of the claim r
		others []string
	}{
		{
			"presence",
			validator.ClaimRule{Name: "r"},
			[]string{`"x"`, `""`, `1`, `true`, `false`, `null`, `[]`, `{}`},
			nil,
		},
		{
			"presence of an array",
			validator.ClaimRule{Name: "r", Type: validator.ClaimStrings},
			[]string{`"x"`, `[]`, `null`, `{}`},
			nil,
		},
		{
			"a value",
			validator.ClaimRule{Name: "r", Equals: "x"},
			[]string{`"x"`, `"\u0078"`, `["x"]`, `["y","x"]`, `[1,"x",null]`, `{"x":null}`, `{"y":1,"x":{}}`},
			[]string{`"X"`, `"xx"`, `""`, `["y"]`, `[["x"]]`, `[{"x":1}]`, `{"y":"x"}`, `{}`, `[]`, `1`, `true`, `null`},
		},
		{
			"a boolean",
			validator.ClaimRule{Name: "r", Type: validator.ClaimBoolean, Equals: "true"},
			[]string{`true`, `"true"`, `["true"]`},
			[]string{`false`, `1`, `null`, `[true]`, `"false"`},
		},
		{
			"a member",
			validator.ClaimRule{Name: "r", Type: validator.ClaimObject, Equals: "x"},
			[]string{`{"x":1}`, `{"x":null}`, `"x"`},
			[]string{`{"X":1}`, `{}`, `null`},
		},
		{
			"alternatives",
			validator.ClaimRule{AnyOf: rules{{Name: "q"}, {Name: "r", Equals: "x"}, {Name: "r", Equals: "y"}}},
			[]string{`"x"`, `["y"]`},
			[]string{`"z"`, `1`},
		},
	} {
		strict, legacy := baseConfig(), legacyConfig()
		strict.Issuers[0].OtherTokens = rules{{Name: "unused"}, row.rule}
		legacy.Issuers[0].OtherTokens = strict.Issuers[0].OtherTokens
		for _, of := range []struct {
			v    *validator.Validator
			sign func(object) string
		}{
			{issuertest.Validator(t, strict), testKey.token}, {issuertest.Validator(t, legacy), testKey.token}, {issuertest.Validator(t, legacy), testKey.untyped},
		} {
			good := baseClaims.with("token_use", `"access"`)
			for _, raw := range row.marks {
				_, err := of.v.Validate(at(0), bearer(of.sign(good.with("r", raw))))
				if validator.ReasonOf(err) != validator.WrongType || misuse.Of(causeOf(err)) != misuse.OtherToken || !strings.Contains(causeOf(err).Error(), "Issuer.OtherTokens") {
					t.Errorf("%s, %s: %v", row.name, raw, causeOf(err))
				}
			}
			for _, claims := range append(each("r", row.others), good, good.with("R", row.marks[0]), good.with("o", `{"r":`+row.marks[0]+`}`)) {
				expect(t, of.v, bearer(of.sign(claims.with("token_use", `"access"`))), 0, "", "")
			}
		}
	}
}

// TestOtherTokensOfAnswers: the answer about a JWT that was asked about is judged by
// OtherTokens, too.
func TestOtherTokensOfAnswers(t *testing.T) {
	for name, row := range map[string]struct {
		said validator.Reason
		rule validator.ClaimRule
	}{
		"another value": {"", validator.ClaimRule{Name: "purpose", Equals: "login"}},
		"the value":     {validator.WrongType, validator.ClaimRule{Name: "purpose", Equals: "api"}},
	} {
		is := newHybridIssuer(t, func(c *validator.Issuer) { c.OtherTokens = rules{row.rule} })
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(`{"active":true,"purpose":"api"}`)})
		wantVerdict(t, name, is.v, within(is.Bearer(nil), time.Minute), row.said, validator.Introspected, "")
	}
}

// TestOtherTokenCauses: what the cause of a refusal shows.
func TestOtherTokenCauses(t *testing.T) {
	for _, row := range []struct {
		rule         validator.ClaimRule
		raw          string
		found, hides string
	}{
		{validator.ClaimRule{Name: "r"}, `"secret"`, "r, a string of 6 bytes", "secret"},
		{validator.ClaimRule{Name: "r"}, `null`, "r, which is null", ""},
		{validator.ClaimRule{Name: "r", Equals: "x"}, `["x","secret"]`, `r with "x"`, "secret"},
		{validator.ClaimRule{AnyOf: rules{{Name: "q"}, {Name: "r", Equals: "x"}}}, `"x"`, `r with "x"`, ""},
	} {
		config := baseConfig()
		config.Issuers[0].OtherTokens = rules{row.rule}
		_, err := issuertest.Validator(t, config).Validate(at(0), bearer(testKey.token(baseClaims.with("r", row.raw))))
		d := wantCause(t, err)
		if d.Found != row.found || d.Wanted != "an access token" || !strings.Contains(d.Mend, "Issuer.OtherTokens") {
			t.Errorf("%v, %s: found %s; wanted %s; mend %s", row.rule, row.raw, d.Found, d.Wanted, d.Mend)
		}
		if row.hides != "" && strings.Contains(chainTexts(err), row.hides) {
			t.Errorf("%v shows the value of the claim", causeOf(err))
		}
	}
}
