package validator_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestSubjectOptional (R-CL-12, R-CL-13): a token without sub, or with an empty one, is
// accepted if the configuration says so, and is its client's own.
func TestSubjectOptional(t *testing.T) {
	strict, legacy := baseConfig(), legacyConfig()
	strict.Issuers[0].SubjectOptional, legacy.Issuers[0].SubjectOptional = true, true
	markers := legacyConfig()
	markers.Issuers[0].SubjectOptional = true
	markers.Issuers[0].ClientOnly = validator.ClaimRule{Name: "machine"}
	markers.Issuers[0].User = validator.ClaimRule{Name: "uid"}
	for name, row := range map[string]struct {
		config validator.Config
		claims object
	}{
		"RFC 9068": {strict, baseClaims}, "legacy": {legacy, legacyClaims.with("client_id", `"client-1"`)},
		"markers": {markers, legacyClaims.with("client_id", `"client-1"`)},
	} {
		t.Run(name, func(t *testing.T) {
			v := issuertest.Validator(t, row.config)
			for _, claims := range []object{row.claims.without("sub"), row.claims.with("sub", `""`)} {
				token := cached(at(0), t, v, bearer(testKey.token(claims)))
				if token.Subject() != "" || !token.ClientOnly() || token.HasUser() || token.ClientID() != "client-1" {
					t.Errorf("%q, of the client %t, of a user %t, client %q", token.Subject(), token.ClientOnly(), token.HasUser(), token.ClientID())
				}
				if token.Is(testIssuer, "") {
					t.Error("the token is of an empty subject")
				}
			}
			if token := expect(t, v, bearer(testKey.token(row.claims)), 0, "", ""); token.Subject() != "user-1" || token.ClientOnly() {
				t.Errorf("%q, of the client %t", token.Subject(), token.ClientOnly())
			}
			for _, raw := range []string{`null`, `1`, `[]`, `[""]`, `{}`, `false`, `"\n"`} {
				expect(t, v, bearer(testKey.token(row.claims.with("sub", raw))), 0, validator.BadClaims, "")
			}
		})
	}
	for claim := range strings.FieldsSeq("iss aud client_id jti scope sid acr exp typ token_use azp cid tenant") { // the others keep their meaning
		required := legacyConfig()
		p := bearer(testKey.token(legacyClaims.with(claim, `""`)))
		_, want := issuertest.Validator(t, required).Validate(at(0), p)
		if _, err := issuertest.Validator(t, legacy).Validate(at(0), p); validator.ReasonOf(err) != validator.ReasonOf(want) {
			t.Errorf("an empty %s: %q where sub is optional, otherwise %q", claim, validator.ReasonOf(err), validator.ReasonOf(want))
		}
	}
	of := legacyClaims.without("sub").with("client_id", `"client-1"`).with("uid", `"u1"`)
	if token := expect(t, issuertest.Validator(t, markers), bearer(testKey.token(of)), 0, "", ""); token.ClientOnly() || token.HasUser() {
		t.Error("a token with the mark of users and without sub is its client's own, or a user's")
	}
	for name, claims := range map[string]object{
		"no client": legacyClaims.without("sub", "client_id", "azp"), "two clients": legacyClaims.without("sub", "client_id").with("azp", `"a"`).with("cid", `"b"`),
	} {
		token := expect(t, issuertest.Validator(t, legacy), bearer(testKey.token(claims)), 0, "", "")
		if token.Subject()+token.ClientID() != "" || token.ClientOnly() || token.HasUser() {
			t.Errorf("%s: %q of client %q, of the client %t, of a user %t", name, token.Subject(), token.ClientID(), token.ClientOnly(), token.HasUser())
		}
	}
	expect(t, issuertest.Validator(t, strict), bearer(testKey.token(baseClaims.without("sub", "client_id"))), 0, validator.BadClaims, "found no client_id")
	expect(t, issuertest.Validator(t, strict), bearer(testKey.token(baseClaims.without("sub", "jti"))), 0, validator.BadClaims, "found no jti; wanted exp, client_id, iat, jti; ")

	const mend = "let the issuer put sub into its tokens (Keycloak: give the client the scope basic); " +
		"set Issuer.SubjectOptional only if tokens of clients without a user never have sub"
	expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims.without("sub"))), 0, validator.BadClaims, "found no sub; wanted exp, sub, client_id, iat, jti; "+mend)
	expect(t, issuertest.Validator(t, legacyConfig()), bearer(testKey.token(legacyClaims.without("sub"))), 0, validator.BadClaims, mend)
	expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims.with("sub", `""`))), 0, validator.BadClaims, "found sub, which is empty")
}

// TestSubjectOfAnswers (R-IN-09): an answer about a JWT without sub must not name one, and
// the answer about an opaque token may leave it out in any case.
func TestSubjectOfAnswers(t *testing.T) {
	for answer, want := range map[string]validator.Reason{
		`{"active":true}`:                            "",
		`{"active":true,"sub":""}`:                   "",
		`{"active":true,"sub":"user-1"}`:             validator.BadClaims,
		`{"active":true,"sub":null}`:                 validator.BadClaims,
		`{"active":true,"scope":"read","sub":""}`:    "",
		`{"active":true,"scope":"read","sub":"app"}`: validator.BadClaims,
	} {
		is := issuertest.New(t)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.HybridConfig(func(c *validator.Issuer) {
			c.SubjectOptional, c.ActiveWithin = true, validator.EachRequest
		})}})
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(answer)})
		token, err := v.Validate(t.Context(), is.Bearer(issuertest.Claims{"sub": nil, "client_id": "app"}))
		if validator.ReasonOf(err) != want || err == nil && !token.ClientOnly() {
			t.Errorf("%s: %q (%v), want %q", answer, validator.ReasonOf(err), causeOf(err), want)
		}
	}
}
