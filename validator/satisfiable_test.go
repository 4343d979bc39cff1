package validator_test

import (
	"context"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
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
	resolving := validator.Config{Issuers: issuers, ResolveIssuer: func(context.Context, string) (validator.Issuer, error) {
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
		{"nobody's, with ResolveIssuer", resolving, validator.Demands{Audiences: []string{"https://four.example"}}, ""},
		{"bound", resolving, validator.Demands{SenderConstrained: true}, "no binding can be checked"},
		{"others", configured, validator.Demands{MaxLifetime: 1, MaxTokenAge: 1, SoleAudience: true}, ""},
	} {
		err := issuertest.Validator(t, test.config).CanMeet(test.demands)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	if err := new(validator.Validator).CanMeet(validator.Demands{Audiences: []string{"a"}}); err != nil {
		t.Errorf("a zero Validator: %v", err)
	}
}

// TestCanMeetACR shows which acr values no token of the configured issuers has.
func TestCanMeetACR(t *testing.T) {
	keys := jwkscache.Static([]byte(`{"keys":[]}`))
	issuer := func(url string, acrs []string) validator.Issuer {
		return validator.Issuer{URL: url, Audiences: []string{"https://api.example"}, Keys: keys, Grants: []string{"read"}, ACRs: acrs}
	}
	resolve := func(context.Context, string) (validator.Issuer, error) {
		return validator.Issuer{}, validator.ErrUnknownIssuer
	}
	one := func(acrs []string) []validator.Issuer { return []validator.Issuer{issuer("https://a.example", acrs)} }
	two := func(a, b []string) []validator.Issuer { return append(one(a), issuer("https://b.example", b)) }
	for _, test := range []struct {
		name   string
		config validator.Config
		values []string
		meets  bool
	}{
		{"nothing", validator.Config{Issuers: one([]string{})}, nil, true},
		{"all count", validator.Config{Issuers: one(nil)}, []string{"gold"}, true},
		{"listed", validator.Config{Issuers: one([]string{"silver", "gold"})}, []string{"platinum", "gold"}, true},
		{"not listed", validator.Config{Issuers: one([]string{"gold"})}, []string{"platinum", "Gold"}, false},
		{"none counts", validator.Config{Issuers: one([]string{})}, []string{"gold"}, false},
		{"two without a list", validator.Config{Issuers: two(nil, nil)}, []string{"gold"}, false},
		{"listed of the second", validator.Config{Issuers: two(nil, []string{"gold"})}, []string{"gold"}, true},
		{"with ResolveIssuer", validator.Config{Issuers: one(nil), ResolveIssuer: resolve}, []string{"gold"}, true},
	} {
		err := issuertest.Validator(t, test.config).CanMeetACR(test.values)
		if (err == nil) != test.meets || err != nil && !strings.Contains(err.Error(), "ACRs of the issuers") {
			t.Errorf("%s: %v, want an error: %v", test.name, err, !test.meets)
		}
	}
	if err := new(validator.Validator).CanMeetACR([]string{"gold"}); err != nil {
		t.Errorf("a zero Validator: %v", err)
	}
}
