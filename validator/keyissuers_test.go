package validator_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// foreignKeyIssuer returns an issuer with a key of its own, with which it signs, and one
// of another issuer.
func foreignKeyIssuer(t *testing.T) *issuertest.Issuer {
	t.Helper()
	is := issuertest.New(t)
	is.AddKey(testissuer.Key{ID: "own", Members: map[string]any{"issuer": "https://own.test"}})
	is.AddKey(testissuer.Key{ID: "foreign", Members: map[string]any{"issuer": "https://foreign.test"}})
	is.Use("own")
	return is
}

// TestKeyIssuers covers R-JK-02 for a JWK Set of several issuers, for configured and for
// resolved issuers: a key of another issuer verifies nothing, and the operator is told.
func TestKeyIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := foreignKeyIssuer(t)
		own := func(c *validator.Issuer) { c.KeyIssuers = []string{"https://own.test"} }
		d := newDirectory()
		d.set(is.URL(), answering(is.Config(own, grantAll)))
		for name, v := range map[string]*validator.Validator{
			"static": is.Validator(t, own), "fetched": is.Validator(t, is.Fetched, own), "resolved": resolving(t, d, 0, nil),
		} {
			is.Use("own")
			wantReason(t, name+", own", reasonFor(t, v, is, testissuer.Token{}), "")
			is.Use("foreign")
			wantReason(t, name+", foreign", reasonFor(t, v, is, testissuer.Token{}), validator.UnknownKey)
			_, err := v.Validate(t.Context(), bearer(is.Sign(testissuer.Token{})))
			if cause := causeOf(err); cause == nil || !strings.Contains(cause.Error(), `its issuer is "https://foreign.test", which is not one of Issuer.KeyIssuers`) {
				t.Errorf("%s: the cause is %s", name, cause)
			}
		}
		if warnings := strings.Join(is.Validator(t, own).Warnings(), "\n"); !strings.Contains(warnings, `(kid "foreign") is not used`) {
			t.Error(warnings)
		}
		is.Use("foreign")
		wantReason(t, "not looked at", reasonFor(t, is.Validator(t), is, testissuer.Token{}), "")
	})
}
