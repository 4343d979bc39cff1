package validator_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestOptionalClaims (R-SU-03): claims that most routes do not need count as absent if
// they cannot be read, and the Token says what was found.
func TestOptionalClaims(t *testing.T) {
	for _, row := range []struct{ claim, raw, found string }{
		{"acr", `1`, "acr, which is a number"},
		{"acr", `true`, "acr, which is a boolean"},
		{"acr", `null`, "acr, which is null"},
		{"acr", `["gold"]`, "acr, which is an array"},
		{"acr", `{"value":"gold"}`, "acr, which is an object"},
		{"acr", `""`, "acr, which is empty"},
		{"acr", `"a\nb"`, "acr with a control character"},
		{"acr", `"a\u0085"`, "acr with a control character"},
		{"amr", `"pwd"`, "amr, which is a string"},
		{"amr", `1`, "amr, which is a number"},
		{"amr", `null`, "amr, which is null"},
		{"amr", `{}`, "amr, which is an object"},
		{"amr", `[{"method":"password","timestamp":1}]`, "amr with an object as element 0"},
		{"amr", `["pwd",1]`, "amr with a number as element 1"},
		{"amr", `["pwd",null]`, "amr with null as element 1"},
		{"amr", `[["pwd"]]`, "amr with an array as element 0"},
		{"amr", `["pwd",""]`, "amr with an empty string as element 1"},
		{"amr", `["a\nb"]`, "amr with a control character"},
		{"auth_time", `"1700000000"`, "auth_time, which is a string"},
		{"auth_time", `"2023-11-14T22:13:20Z"`, "auth_time, which is a string"},
		{"auth_time", `""`, "auth_time, which is a string"},
		{"auth_time", `true`, "auth_time, which is a boolean"},
		{"auth_time", `null`, "auth_time, which is null"},
		{"auth_time", `[1]`, "auth_time, which is an array"},
		{"auth_time", `{}`, "auth_time, which is an object"},
		{"auth_time", `-1`, `auth_time "-1"`},
		{"auth_time", `-1e400`, `auth_time "-1e400"`},
		{"sid", `1`, "sid, which is a number"},
		{"sid", `""`, "sid, which is empty"},
		{"sid", `"a\nb"`, "sid with a control character"},
	} {
		t.Run(row.claim+" "+row.raw, func(t *testing.T) {
			claims := baseClaims.with("acr", `"gold"`).with("amr", `["mfa"]`).with("auth_time", "1700000000").with("sid", `"s"`).with(row.claim, row.raw)
			config := baseConfig()
			config.Issuers[0].MultiFactor = []string{"mfa"}
			v := issuertest.Validator(t, config)
			token := cached(at(0), t, v, bearer(testKey.token(claims)))
			present := map[string]bool{
				"acr": token.ACR() != "", "amr": token.AMR() != nil || token.MultiFactor(), "auth_time": !token.AuthTime().IsZero(), "sid": token.SessionID() != "",
			}
			for claim, found := range present {
				if found != (claim != row.claim) {
					t.Errorf("%s is there: %t", claim, found)
				}
				want := ""
				if claim == row.claim {
					want = row.found
				}
				if got := token.Unreadable(claim); got != want {
					t.Errorf("Unreadable(%q) is %q, want %q", claim, got, want)
				}
			}
			p := bearer(testKey.token(claims))
			for _, judged := range v.Explain(at(0), p, v.Inspect(at(0), p)) {
				if judged.Check == "claims" && !strings.Contains(judged.Found, row.found+", counts as absent") {
					t.Errorf("explained as %q", judged.Found)
				}
			}
		})
	}
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims.with("jti", `"a"`).with("name", `1`))), 0, "", "")
	for _, claim := range []string{"acr", "sub", "jti", "name", ""} {
		if got := token.Unreadable(claim); got != "" {
			t.Errorf("Unreadable(%q) is %q", claim, got)
		}
	}
	if new(validator.Token).Unreadable("acr") != "" || (*validator.Token)(nil).Unreadable("acr") != "" {
		t.Error("a zero Token has a claim")
	}
}

// TestAuthTimeAhead (R-SU-03): an auth_time that lies ahead is refused, however it is
// written.
func TestAuthTimeAhead(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for raw, want := range map[string]validator.Reason{
		"1700000031": validator.NotYetValid, "1.7000001e9": validator.NotYetValid, "9007199254740992": validator.NotYetValid,
		"9007199254740993": validator.BadClaims, "1e300": validator.BadClaims, "1e400": validator.BadClaims,
	} {
		expect(t, v, bearer(testKey.token(baseClaims.with("auth_time", raw))), 0, want, "")
	}
}
