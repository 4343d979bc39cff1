package validator_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestLightweightJWTs (R-IN-03, R-IN-19): an issuer leaves claims out of its JWTs and gives them in the answer. If it is configured without
// Keys, its JWTs are asked about and no key is fetched. With Keys they are refused locally, and the cause says what to set.
func TestLightweightJWTs(t *testing.T) {
	const hint = "set no Issuer.Keys"
	for _, missing := range []string{"sub", "client_id", "jti", "iat", "exp", "aud"} {
		lightweight := issuertest.Claims{missing: nil}
		opaque, hybrid := newOpaqueIssuer(t), newHybridIssuer(t)
		token := opaque.Token(lightweight)
		opaque.Opaque(testissuer.Token{Text: token}) // with all claims
		wantVerdict(t, "opaque only, no "+missing, opaque.v, issuertest.Bearer(token), "", validator.Introspected, "")
		opaque.wantAsked(t, "opaque only, no "+missing, 1)
		if n := opaque.Requests(testissuer.JWKS); n != 0 {
			t.Errorf("opaque only, no %s: %d requests for keys", missing, n)
		}
		want := validator.BadClaims
		if missing == "aud" {
			want = validator.WrongAudience
		}
		wantVerdict(t, "hybrid, no "+missing, hybrid.v, hybrid.Bearer(lightweight), want, "", hint)
		hybrid.wantAsked(t, "hybrid, no "+missing, 0)
		if _, err := hybrid.Validator(t).Validate(t.Context(), hybrid.Bearer(lightweight)); validator.ReasonOf(err) != want || strings.Contains(causeText(err), hint) {
			t.Errorf("JWTs only, no %s: %v", missing, causeOf(err))
		}
	}
	hybrid := newHybridIssuer(t)
	_, err := hybrid.v.Validate(t.Context(), hybrid.Bearer(issuertest.Claims{"aud": "https://other.test"}))
	if validator.ReasonOf(err) != validator.WrongAudience || strings.Contains(causeText(err), hint) {
		t.Errorf("another audience: %v", causeOf(err))
	}
}

// TestServerWithoutJWTs (R-IN-11): a server cannot introspect its own JWTs and calls them all inactive, or answers 400. The verdicts say so, and
// after 1 000 requests there is one warning. There is none if one of the JWTs was active.
func TestServerWithoutJWTs(t *testing.T) {
	for _, row := range []struct {
		name   string
		answer testissuer.Behaviour
		want   validator.Reason
		cause  string
		kind   error
	}{
		{"inactive", testissuer.Behaviour{Body: []byte(`{"active":false}`)}, validator.Inactive, "not active", validator.Inactive},
		{"unsupported", testissuer.Behaviour{Status: 400, Body: []byte(`{"error":"unsupported_token_type"}`)}, validator.Unavailable, "the server does not introspect JWTs", introspect.RequestRefused},
	} {
		for _, oneActive := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				is := newHybridIssuer(t, func(config *validator.Issuer) { config.ActiveWithin = validator.EachRequest })
				if oneActive {
					wantVerdict(t, "active", is.v, is.Bearer(nil), "", validator.Introspected, "")
				}
				is.Behave(testissuer.Introspection, row.answer)
				p := is.Bearer(nil)
				for i := range 1000 {
					if i == 9 && len(is.v.Warnings()) != 0 {
						t.Errorf("%s: a warning after few requests: %q", row.name, is.v.Warnings())
					}
					_, err := is.v.Validate(t.Context(), p)
					if validator.ReasonOf(err) != row.want || !errors.Is(err, row.kind) || !strings.Contains(causeText(err), row.cause) {
						t.Fatalf("%s: %v", row.name, causeOf(err))
					}
				}
				warnings := is.v.Warnings()
				if oneActive && len(warnings) != 0 || !oneActive && (len(warnings) != 1 || !strings.Contains(warnings[0], "1000 JWTs") || !strings.Contains(warnings[0], is.URL())) {
					t.Errorf("%s, one active %t: %q", row.name, oneActive, warnings)
				}
			})
		}
	}
}

// TestFailuresAreNoJWTAnswers: requests that fail say nothing about whether the server introspects JWTs, and neither do those about opaque tokens.
func TestFailuresAreNoJWTAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newHybridIssuer(t)
		for range 50 {
			_, _ = is.v.Validate(t.Context(), within(issuertest.Bearer("unknown"), validator.EachRequest))
		}
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 404})
		for range 50 {
			_, _ = is.v.Validate(t.Context(), within(is.Bearer(nil), validator.EachRequest))
		}
		is.wantAsked(t, "in all", 100)
		if warnings := is.v.Warnings(); len(warnings) != 0 {
			t.Errorf("%q", warnings)
		}
	})
}
