package validator_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/validator"
)

// TestClientOnly (R-CL-13, DESIGN D7): by default, sub equal to client_id; with a
// rule, that and the marker. What cannot be told is no user.
func TestClientOnly(t *testing.T) {
	gty := validator.ClaimRule{Name: "gty", Equals: "client-credentials"} // Auth0
	idtyp := validator.ClaimRule{Name: "idtyp", Equals: "app"}            // Entra ID
	service := validator.ClaimRule{Name: "service", Type: validator.ClaimBoolean, Equals: "true"}
	client := baseClaims.with("sub", `"client-1"`)
	nobody := legacyClaims // has no client_id
	for _, row := range []struct {
		name   string
		legacy bool
		rule   validator.ClaimRule
		claims object
		want   bool
	}{
		{"user", false, validator.ClaimRule{}, baseClaims, false},
		{"client", false, validator.ClaimRule{}, client, true},
		{"sub is like client_id", false, validator.ClaimRule{}, baseClaims.with("sub", `"Client-1"`), false},
		{"sub is azp", false, validator.ClaimRule{}, baseClaims.with("azp", `"user-1"`), false},
		{"a marker without a rule", false, validator.ClaimRule{}, baseClaims.with("gty", `"client-credentials"`), false},

		{"rule, user", false, gty, baseClaims, false},
		{"rule, marker", false, gty, baseClaims.with("sub", `"client-1@clients"`).with("gty", `"client-credentials"`), true},
		{"rule, another value", false, gty, baseClaims.with("gty", `"password"`), false},
		{"rule, another type", false, gty, baseClaims.with("gty", `["client-credentials"]`), false},
		{"rule, sub is client_id", false, gty, client, true},
		{"rule, sub is client_id and another value", false, idtyp, client.with("idtyp", `"user"`), true},
		{"boolean rule", false, service, baseClaims.with("service", `true`), true},
		{"boolean rule, false", false, service, baseClaims.with("service", `false`), false},

		{"legacy without client_id", true, validator.ClaimRule{}, nobody, true},
		{"legacy with client_id, user", true, validator.ClaimRule{}, nobody.with("client_id", `"client-1"`), false},
		{"legacy with client_id, client", true, validator.ClaimRule{}, nobody.with("client_id", `"user-1"`), true},
		{"legacy rule, user", true, idtyp, nobody.with("idtyp", `"user"`), false},
		{"legacy rule, absent", true, idtyp, nobody, false},
		{"legacy rule, marker", true, idtyp, nobody.with("idtyp", `"app"`), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := baseConfig()
			if row.legacy {
				config = legacyConfig()
			}
			config.Issuers[0].ClientOnly = row.rule
			token := cached(at(0), t, newValidator(t, config), bearer(testKey.token(row.claims)))
			if token.ClientOnly() != row.want {
				t.Errorf("ClientOnly is %t", token.ClientOnly())
			}
		})
	}
}

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
	} {
		t.Run(row.name, func(t *testing.T) {
			config := baseConfig()
			config.Issuers[0].MultiFactor = row.methods
			claims := baseClaims.with("acr", `"mfa"`).with("AMR", `["mfa"]`)
			if row.amr != "" {
				claims = claims.with("amr", row.amr)
			}
			token := cached(at(0), t, newValidator(t, config), bearer(testKey.token(claims)))
			if token.MultiFactor() != row.want {
				t.Errorf("MultiFactor is %t", token.MultiFactor())
			}
		})
	}
	config := baseConfig()
	config.Issuers[0].MultiFactor = []string{"mfa"}
	expect(t, newValidator(t, config), bearer(testKey.token(baseClaims.with("amr", `"mfa"`))), 0, validator.BadClaims, "wrong JSON type")
}
