package jose_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// TestParseAlgorithm covers R-JS-04 and R-JS-12 for the names of algorithms in a
// configuration.
func TestParseAlgorithm(t *testing.T) {
	for _, a := range all {
		got, err := jose.ParseAlgorithm(a.String())
		if err != nil || got != a || !a.Valid() {
			t.Errorf("ParseAlgorithm(%q) = %v, %v", a, got, err)
		}
	}
	if got, err := jose.ParseAlgorithm("Ed25519"); err != nil || got != jose.EdDSA {
		t.Errorf("ParseAlgorithm(Ed25519) = %v, %v", got, err)
	}
	for _, name := range []string{
		"", " ", "none", "None", "nOnE", "NONE", "HS256", "HS384", "HS512", "es256", "ES256 ", " ES256", "ES256K", "ES521",
		"Ed448", "eddsa", "ed25519", "RSA-OAEP", "RSA1_5", "A256GCM", "dir", "invalid", "RS2560", "PS", "0", "*",
	} {
		got, err := jose.ParseAlgorithm(name)
		if got != 0 {
			t.Errorf("ParseAlgorithm(%q) = %v", name, got)
		}
		expect(t, err, jose.ErrAlgorithm, "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA Ed25519")
	}
}

func TestAlgorithmText(t *testing.T) {
	names := make([]string, 0, len(all))
	for _, a := range all {
		names = append(names, a.String())
	}
	if got := strings.Join(names, " "); got != "RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA" {
		t.Errorf("names %s", got)
	}
	for _, a := range []jose.Algorithm{0, jose.EdDSA + 1, 255} {
		if a.Valid() || a.String() != "invalid" {
			t.Errorf("%d is %s", a, a)
		}
		if text, err := a.MarshalText(); err == nil {
			t.Errorf("%d marshals as %q", a, text)
		} else {
			expect(t, err, jose.ErrAlgorithm, "")
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	var back []jose.Algorithm
	if err := json.Unmarshal(text, &back); err != nil || len(back) != len(all) || back[9] != jose.EdDSA || back[0] != jose.RS256 {
		t.Errorf("%s reads as %v, %v", text, back, err)
	}
	a := jose.ES256
	if err := a.UnmarshalText([]byte("none")); err == nil || a != jose.ES256 {
		t.Errorf("none unmarshals as %v, %v", a, err)
	} else {
		expect(t, err, jose.ErrAlgorithm, `"none"`)
	}
}
