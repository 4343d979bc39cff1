package validator_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// newSigningIssuer returns an issuer whose answers are signed, and name audiences.
func newSigningIssuer(t *testing.T, audiences []string, changes ...func(*validator.Issuer)) *opaqueIssuer {
	t.Helper()
	is := issuertest.Start(t, testissuer.Config{Clients: []testissuer.Client{{
		ID: testissuer.ClientID, Secret: testissuer.ClientSecret, Signed: true, AnswerAudiences: audiences,
	}}})
	signed := func(config *validator.Issuer) { config.Opaque.Signed = true }
	config := is.OpaqueConfig(append([]func(*validator.Issuer){signed}, changes...)...)
	return &opaqueIssuer{is, issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})}
}

// TestSignedAnswers (R-IN-16, R-IN-17, R-IN-18) judges signed answers that are wrong. None is a verdict on the token, and the next good one counts.
func TestSignedAnswers(t *testing.T) {
	for fault, want := range map[testissuer.Fault]introspect.Kind{
		0: "", testissuer.SignedAudienceArray: "",
		testissuer.SignedTypeMissing: introspect.UntrustedAnswer, testissuer.SignedTypeAccess: introspect.UntrustedAnswer, testissuer.SignedTypeJWT: introspect.UntrustedAnswer,
		testissuer.SignedNone: introspect.UntrustedAnswer, testissuer.SignedHMAC: introspect.UntrustedAnswer, testissuer.SignedTampered: introspect.UntrustedAnswer,
		testissuer.SignedOtherKey: introspect.UntrustedAnswer, testissuer.SignedUnknownKey: introspect.UntrustedAnswer,
		testissuer.SignedIssuerOther: introspect.UntrustedAnswer, testissuer.SignedIssuerMissing: introspect.UntrustedAnswer,
		testissuer.SignedAudienceOther: introspect.UntrustedAnswer, testissuer.SignedAudienceMissing: introspect.UntrustedAnswer,
		testissuer.SignedTimeMissing: introspect.UntrustedAnswer, testissuer.SignedTimeOld: introspect.UntrustedAnswer, testissuer.SignedTimeFuture: introspect.UntrustedAnswer,
		testissuer.SignedAnswerMissing: introspect.UntrustedAnswer, testissuer.SignedAnswerTwice: introspect.UntrustedAnswer,
		testissuer.SignedNot: introspect.UntrustedAnswer, testissuer.SignedOldForm: introspect.UntrustedAnswer, testissuer.SignedMember: introspect.UntrustedAnswer,
		testissuer.SignedEncrypted: introspect.UntrustedAnswer,
	} {
		synctest.Test(t, func(t *testing.T) {
			is := newSigningIssuer(t, nil)
			token := is.Opaque(testissuer.Token{Fault: fault})
			done := is.v.Inspect(t.Context(), issuertest.Bearer(token))
			if accepted := done.Reason == ""; accepted != (want == "") || !accepted && (done.Reason != validator.Unavailable || !errors.Is(done.Err, want)) {
				t.Errorf("fault %d: %q (%v), want %q", fault, done.Reason, causeOf(done.Err), want)
			}
			is.Answer(token, 0)
			if _, err := is.v.Validate(t.Context(), issuertest.Bearer(token)); err != nil {
				t.Errorf("fault %d, mended: %v", fault, causeOf(err))
			}
		})
	}
	for _, fault := range []testissuer.Fault{testissuer.SignedActiveAbove, testissuer.SignedContradiction} {
		is := newSigningIssuer(t, nil)
		p := issuertest.Bearer(is.Opaque(testissuer.Token{Fault: fault}))
		wantVerdict(t, "active is outside of token_introspection", is.v, p, validator.Inactive, validator.Introspected, "")
	}
}

// TestOlderForms (R-IN-16): JWT answers of the times before RFC 9701 are not taken, and the cause says what came. The media type counts in any case, and
// its parameters do not.
func TestOlderForms(t *testing.T) {
	for fault, cause := range map[testissuer.Fault]string{
		testissuer.SignedOldForm: "application/jwt, which is not RFC 9701", testissuer.SignedMember: "unsigned", testissuer.SignedNot: "unsigned",
	} {
		is := newSigningIssuer(t, nil)
		wantVerdict(t, cause, is.v, issuertest.Bearer(is.Opaque(testissuer.Token{Fault: fault})), validator.Unavailable, "", cause)
	}
	is := newSigningIssuer(t, nil)
	is.Behave(testissuer.Introspection, testissuer.Behaviour{Header: http.Header{"Content-Type": {"Application/Token-Introspection+JWT; charset=utf-8"}}})
	wantVerdict(t, "another spelling of the type", is.v, is.OpaqueBearer(nil), "", validator.Introspected, "")
}

// TestErrorsInSignedMode (R-IN-12, R-IN-16): where signed answers are asked for, errors still come as JSON, and keep their kind. Only a status of 200 is judged by its type.
func TestErrorsInSignedMode(t *testing.T) {
	for _, row := range []struct {
		status int
		body   string
		want   introspect.Kind
		cause  string
	}{
		{401, `{"error":"invalid_client"}`, introspect.CredentialsRefused, "invalid_client"},
		{403, `{"error":"unauthorized_client"}`, introspect.CredentialsRefused, "unauthorized_client"},
		{429, `{"error":"temporarily_unavailable"}`, introspect.Throttled, "429"},
		{500, `{"error":"server_error"}`, introspect.ServerError, "500"},
		{200, `{"active":true,"aud":"https://api.test","token_type":"Bearer"}`, introspect.UntrustedAnswer, "unsigned"},
		{200, `{"active":false}`, introspect.UntrustedAnswer, "unsigned"},
	} {
		is := newSigningIssuer(t, nil)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: row.status, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(row.body)})
		done := is.v.Inspect(t.Context(), is.OpaqueBearer(nil))
		if done.Reason != validator.Unavailable || !errors.Is(done.Err, row.want) || !strings.Contains(causeText(done.Err), row.cause) {
			t.Errorf("%d %s: %q (%v), want %q", row.status, row.body, done.Reason, causeOf(done.Err), row.want)
		}
	}
}

// TestBothAudiences (R-IN-06, R-IN-17): the aud of a signed answer is this API as a client of the server, and the aud inside is that of the token. Both are
// checked, and neither stands in for the other.
func TestBothAudiences(t *testing.T) {
	const other = "https://other.test"
	known := func(names ...string) func(*validator.Issuer) {
		return func(config *validator.Issuer) { config.Opaque.AnswerAudiences = names }
	}
	asConfigured := func(*validator.Issuer) {}
	for _, row := range []struct {
		name   string
		outer  []string
		inner  any
		change func(*validator.Issuer)
		want   validator.Reason
	}{
		{"both right", []string{testissuer.ClientID}, issuertest.Audience, asConfigured, ""},
		{"both right, in arrays", []string{other, testissuer.ClientID}, []string{other, issuertest.Audience}, asConfigured, ""},
		{"the outer one wrong", []string{other}, issuertest.Audience, asConfigured, validator.Unavailable},
		{"the inner one wrong", []string{testissuer.ClientID}, other, asConfigured, validator.WrongAudience},
		{"both wrong", []string{other}, other, asConfigured, validator.Unavailable},
		{"the API outside", []string{issuertest.Audience}, issuertest.Audience, asConfigured, validator.Unavailable},
		{"the API outside, as configured", []string{issuertest.Audience}, issuertest.Audience, known(issuertest.Audience), ""},
		{"the client outside, and another is configured", []string{testissuer.ClientID}, issuertest.Audience, known(issuertest.Audience), validator.Unavailable},
		{"the client inside", []string{testissuer.ClientID}, testissuer.ClientID, asConfigured, validator.WrongAudience},
		{"the API outside only", []string{testissuer.ClientID, issuertest.Audience}, other, asConfigured, validator.WrongAudience},
	} {
		is := newSigningIssuer(t, row.outer, row.change)
		_, err := is.v.Validate(t.Context(), is.OpaqueBearer(issuertest.Claims{"aud": row.inner}))
		if validator.ReasonOf(err) != row.want || row.want == validator.Unavailable && !errors.Is(err, introspect.UntrustedAnswer) {
			t.Errorf("%s: %v, want %q", row.name, causeOf(err), row.want)
		}
	}
}
