package validator_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
)

// TestMultiFactor (R-SU-05): amr counts only as the issuer's configuration says,
// value by value.
func TestMultiFactor(t *testing.T) {
	for _, row := range []struct {
		name    string
		methods []string
		amr     string // "" for an absent claim
		want    bool
	}{
		{"nothing configured", nil, `["mfa"]`, false},
		{"listed", []string{"mfa"}, `["mfa"]`, true},
		{"listed beside others", []string{"mfa", "hwk"}, `["pwd","hwk"]`, true},
		{"with an escape", []string{"mfa"}, `["\u006dfa"]`, true},
		{"not listed", []string{"mfa"}, `["pwd","otp"]`, false},
		{"another case", []string{"mfa"}, `["MFA"]`, false},
		{"several words", []string{"mfa"}, `["pwd mfa"]`, false},
		{"empty", []string{"mfa"}, `[]`, false},
		{"absent", []string{"mfa"}, "", false},
		{"a string", []string{"mfa"}, `"mfa"`, false},
		{"beside a number", []string{"mfa"}, `["mfa",1]`, false},
		{"beside an empty string", []string{"mfa"}, `["mfa",""]`, false},
		{"beside a control character", []string{"mfa"}, `["mfa","\n"]`, false},
		{"objects", []string{"mfa"}, `[{"method":"mfa","timestamp":1}]`, false},
		{"an object", []string{"mfa"}, `{"mfa":true}`, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := baseConfig()
			config.Issuers[0].MultiFactor = row.methods
			claims := baseClaims.with("acr", `"mfa"`).with("AMR", `["mfa"]`)
			if row.amr != "" {
				claims = claims.with("amr", row.amr)
			}
			token := cached(at(0), t, issuertest.Validator(t, config), bearer(testKey.token(claims)))
			if token.MultiFactor() != row.want {
				t.Errorf("MultiFactor is %t", token.MultiFactor())
			}
		})
	}
}
