package jose_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestCausesOfAlgorithms checks what errors say of alg, and that the order of algorithms is
// the mend only for RSA.
func TestCausesOfAlgorithms(t *testing.T) {
	const order = "first in Issuer.Algorithms"
	key := public(testkey.NewPrivate(jose.RS256)).with("kid", "a")
	bound, unbound := parseSet(t, all, key.with("alg", "RS256").String()), parseSet(t, all, key.without("alg").String())
	curve := parseSet(t, all, public(testkey.NewPrivate(jose.ES256)).with("kid", "a").without("alg").String())
	for name, row := range map[string]struct {
		set    *jose.Set
		header string
		found  string
		order  bool
	}{
		"none":                         {unbound, `{"kid":"a"}`, "no alg", false},
		"a number":                     {unbound, `{"alg":1,"kid":"a"}`, "alg, which is a number", false},
		"another one of RSA":           {unbound, `{"alg":"PS256","kid":"a"}`, `alg "PS256"`, true},
		"another one of RSA, with alg": {bound, `{"alg":"PS256","kid":"a"}`, `alg "PS256"`, false},
		"of RSA, and another key":      {curve, `{"alg":"PS256","kid":"a"}`, `alg "PS256"`, false},
		"another type of key":          {unbound, `{"alg":"ES256","kid":"a"}`, `alg "ES256"`, false},
	} {
		_, err := row.set.Find(parse(t, unsigned(row.header)).UnverifiedHeader())
		if err == nil || !strings.Contains(err.Error(), row.found) || strings.Contains(err.Error(), order) != row.order {
			t.Errorf("%s: %v, want %s, and the order as the mend: %t", name, err, row.found, row.order)
		}
	}
}
