package scopes_test

import (
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestDemandsOfIntrospection covers R-IN-03 and R-IN-13: what a policy demands of the
// issuer's answers goes to validation, and prints as what was written.
func TestDemandsOfIntrospection(t *testing.T) {
	for _, row := range []struct {
		policy scopes.Policy
		text   string
		within time.Duration
		issuer string
	}{
		{scopes.FreshlyActive(10 * time.Second), "FreshlyActive(10s)", 10 * time.Second, ""},
		{scopes.FreshlyActive(0), "FreshlyActive(0s)", validator.EachRequest, ""},
		{scopes.OpaqueIssuer("https://as.example"), `OpaqueIssuer("https://as.example")`, 0, "https://as.example"},
		{scopes.Optional(scopes.FreshlyActive(1)), "Optional(FreshlyActive(1ns))", 1, ""},
	} {
		if err := row.policy.Err(); err != nil {
			t.Errorf("%s: %v", row.text, err)
		}
		if demands := row.policy.Demands(); row.policy.String() != row.text || demands.ActiveWithin != row.within || demands.OpaqueIssuer != row.issuer {
			t.Errorf("%v demands %+v, want %s", row.policy, demands, row.text)
		}
	}
	if scopes.FreshlyActive(0).Equal(scopes.FreshlyActive(1)) || scopes.OpaqueIssuer("a").Equal(scopes.OpaqueIssuer("b")) {
		t.Error("different demands are equal")
	}
	faults(t, map[string]scopes.Policy{
		"FreshlyActive is -1ns; use a positive age, or 0 to ask for each request": scopes.FreshlyActive(validator.EachRequest),
		"OpaqueIssuer has an empty URL":                                           scopes.OpaqueIssuer(""),
		`And has OpaqueIssuer parts for "a" and for "b"; name one issuer`:         scopes.And(scopes.OpaqueIssuer("a"), scopes.OpaqueIssuer("b")),
		"Or[0] is FreshlyActive(0s), and a limit that has an alternative":         scopes.Or(scopes.FreshlyActive(0), scopes.All("a")),
		`Or[1] is OpaqueIssuer("a"), and a limit that`:                            scopes.Or(scopes.All("a"), scopes.OpaqueIssuer("a")),
	})
}
