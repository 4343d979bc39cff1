package validator_test

import (
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestIssuers shows what a Validator tells of its configuration.
func TestIssuers(t *testing.T) {
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
		{URL: "https://b.example/", Audiences: []string{"x", "y"}, Grants: []string{validator.AllScopes}},
		{URL: "https://a.example", Audiences: []string{"z"}, Grants: []string{validator.AllScopes}},
	}})
	if got := v.Issuers(); !slices.Equal(got, []string{"https://b.example/", "https://a.example"}) {
		t.Errorf("%q", got)
	}
	v.Audiences("https://b.example/")[0] = "changed"
	if got := v.Audiences("https://b.example/"); !slices.Equal(got, []string{"x", "y"}) {
		t.Errorf("%q", got)
	}
	if got := v.Audiences("https://b.example"); got != nil {
		t.Errorf("of nobody: %q", got)
	}
	if new(validator.Validator).Audiences("x") != nil || len(new(validator.Validator).Issuers()) != 0 {
		t.Error("a Validator that was not made has issuers")
	}
	resolving := issuertest.Validator(t, validator.Config{ResolveIssuer: newDirectory().find})
	if v.ResolvesIssuers() || new(validator.Validator).ResolvesIssuers() || !resolving.ResolvesIssuers() || len(resolving.Issuers()) != 0 {
		t.Error("only Config.ResolveIssuer finds further issuers")
	}
}
