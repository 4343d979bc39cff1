package validator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// nilError is an error whose method panics for a nil pointer.
type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

// TestIssuerErr: what the function that made an Issuer found is reported, with the faults of
// other issuers. What else is wrong with the Issuer follows from it.
func TestIssuerErr(t *testing.T) {
	for _, row := range []struct {
		err  error
		want []validator.Fault
	}{
		{errors.New("providers: no tenant"), []validator.Fault{{Path: "Issuers[0]", Problem: "providers: no tenant"}}},
		{validator.Fault{Path: "URL", Problem: "has no domain", Mend: "give it"}, []validator.Fault{{Path: "Issuers[0].URL", Problem: "has no domain", Mend: "give it"}}},
		{
			errors.Join(validator.Fault{Problem: "is odd"}, fmt.Errorf("other")), //nolint:perfsprint // any error
			[]validator.Fault{{Path: "Issuers[0]", Problem: "is odd"}, {Path: "Issuers[0]", Problem: "other"}},
		},
		{(*nilError)(nil), []validator.Fault{{Path: "Issuers[0]", Problem: "an error of type *validator_test.nilError whose methods panic"}}},
	} {
		config := granting(allScopes...)
		config.Issuers = append(config.Issuers, validator.Issuer{URL: "https://second.test", Grants: allScopes})
		config.Issuers[0].Err, config.Issuers[0].Audiences, config.Issuers[0].Keys = row.err, nil, jwkscache.URL("ftp://a")
		v, err := validator.New(config)
		faults := validator.Faults(err)
		if v != nil || len(faults) != len(row.want)+1 {
			t.Fatalf("%v: %v", row.want, err)
		}
		for i, want := range append(row.want, validator.Fault{Path: "Issuers[1].Audiences", Problem: "is empty", Mend: faults[len(row.want)].Mend}) {
			if got := faults[i]; got.Path != want.Path || got.Problem != want.Problem || got.Mend != want.Mend {
				t.Errorf("%+v, want %+v", got, want)
			}
		}
	}
}

// TestResolvedIssuerErr: the fault of a resolved issuer refuses its tokens as unavailable.
func TestResolvedIssuerErr(t *testing.T) {
	config := baseConfig()
	answer := config.Issuers[0]
	answer.Grants, answer.Err = allScopes, errors.New("no such tenant")
	config.Issuers, config.ResolveIssuer = nil, func(context.Context, string) (validator.Issuer, error) { return answer, nil }
	v := issuertest.Validator(t, config)
	_, err := v.Validate(at(0), bearer(testKey.token(baseClaims)))
	if validator.ReasonOf(err) != validator.Unavailable || !strings.Contains(fmt.Sprint(causeOf(err)), "no such tenant") {
		t.Errorf("%v: %v", err, causeOf(err))
	}
	answer.Err = nil
	expect(t, issuertest.Validator(t, config), bearer(testKey.token(baseClaims)), 0, "", "")
}
