package validator_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestResolvedFaultNamesItself checks that the fault of a resolved configuration is
// returned as it is, since it names the issuer, and that other errors name
// ResolveIssuer.
func TestResolvedFaultNamesItself(t *testing.T) {
	d := newDirectory()
	d.set(resolvedA, answering(validator.Issuer{URL: resolvedA, Keys: resolvedKeys})) // without Audiences
	d.set(resolvedB, failing(errors.New("the database is down")))
	v := issuertest.Validator(t, validator.Config{ResolveIssuer: d.find})
	for url, want := range map[string]string{
		resolvedA: `validator: ResolveIssuer("` + resolvedA + `").`,
		resolvedB: "validator: ResolveIssuer: the database is down",
	} {
		err := v.ForbidKey(t.Context(), url, jwkscache.KeyName{KeyID: "k"})
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
