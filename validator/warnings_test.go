package validator_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

func TestWarnings(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*validator.Config)
		want   []string
	}{
		{"clean", func(*validator.Config) {}, nil},
		{"legacy", func(c *validator.Config) { *c = legacyConfig() }, []string{`issuer "https://as.example.com": ProfileLegacy`}},
		{"clients in place of an audience", func(c *validator.Config) { *c = cognito() }, []string{"ProfileLegacy", "tokens without aud are accepted by their client"}},
		{"ignored keys", func(c *validator.Config) { c.Issuers[0].Keys = someIgnored() }, []string{
			`issuer "https://as.example.com": keys[0] (kid "enc") is not used: jose: unusable key: use`,
			`issuer "https://as.example.com": keys[2] (kid "leaked\n") is not used: jose: unusable key: the document publishes private`,
		}},
		{"both of the second issuer", func(c *validator.Config) {
			second := legacyConfig().Issuers[0]
			second.URL, second.Keys, second.Grants = "https://second.example.com", someIgnored(), allScopes
			c.Issuers[0].Grants = allScopes
			c.Issuers = append(c.Issuers, second)
		}, []string{`"https://second.example.com": ProfileLegacy`, `"https://second.example.com": keys[0]`, `"https://second.example.com": keys[2]`}},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := baseConfig()
			row.change(&config)
			got := issuertest.Validator(t, config).Warnings()
			if len(got) != len(row.want) {
				t.Fatalf("%d warnings, want %d: %q", len(got), len(row.want), got)
			}
			for i, want := range row.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("warning %q does not say %q", got[i], want)
				}
			}
		})
	}
}

// someIgnored has testKey between two keys that are not used.
func someIgnored() jwkscache.Source {
	return jwkscache.Static(jwks(
		edSigner("enc", "an encryption key").jwk().with("use", `"enc"`),
		testKey.jwk(),
		edSigner("leaked", "a leaked key").jwk().with("kid", `"leaked\n"`).with("d", `"AAAA"`),
	))
}
