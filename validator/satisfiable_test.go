package validator_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCanMeet shows which demands no token of the configured issuers meets.
func TestCanMeet(t *testing.T) {
	keys := jwkscache.Static([]byte(`{"keys":[]}`))
	issuers := []validator.Issuer{
		{URL: "https://a.example", Audiences: []string{"https://one.example", "https://two.example"}, Keys: keys, Grants: []string{"read"}},
		{URL: "https://b.example", Audiences: []string{"https://three.example"}, Keys: keys, Grants: []string{"read"}},
	}
	configured := validator.Config{Issuers: issuers}
	resolving := validator.Config{Issuers: issuers, Tenants: func(context.Context, string) (validator.Issuer, error) {
		return validator.Issuer{}, validator.ErrUnknownIssuer
	}}
	for _, test := range []struct {
		name    string
		config  validator.Config
		demands validator.Demands
		want    string // in the error
	}{
		{"nothing", configured, validator.Demands{}, ""},
		{"an audience of the second", configured, validator.Demands{Audiences: []string{"https://three.example"}}, ""},
		{"one of two", configured, validator.Demands{Audiences: []string{"https://four.example", "https://two.example"}}, ""},
		{"nobody's", configured, validator.Demands{Audiences: []string{"https://four.example"}}, `["https://four.example"]`},
		{"another spelling", configured, validator.Demands{Audiences: []string{"https://one.example/"}}, "no configured issuer"},
		{"an issuer's URL", configured, validator.Demands{Audiences: []string{"https://a.example"}}, "no configured issuer"},
		{"nobody's, with Tenants", resolving, validator.Demands{Audiences: []string{"https://four.example"}}, ""},
		{"bound", resolving, validator.Demands{SenderConstrained: true}, "no binding can be checked"},
		{"others", configured, validator.Demands{MaxLifetime: 1, MaxAge: 1, SoleAudience: true}, ""},
	} {
		v, err := validator.New(test.config)
		if err != nil {
			t.Fatal(err)
		}
		err = v.CanMeet(test.demands)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if err := new(validator.Validator).CanMeet(validator.Demands{Audiences: []string{"a"}}); err != nil {
		t.Errorf("a zero Validator: %v", err)
	}
}
