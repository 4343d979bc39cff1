package validator_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestScopeMend checks what an operator is told about a token that lacks a scope.
func TestScopeMend(t *testing.T) {
	is := issuertest.New(t)
	granting := func(c *validator.Issuer) { c.Grants = []string{"read"} }
	mapping := func(c *validator.Issuer) {
		c.Mappings = []validator.Mapping{{Claim: []string{"scp"}, To: validator.ToScope}}
	}
	roles := func(c *validator.Issuer) {
		c.Mappings = []validator.Mapping{{Claim: []string{"roles"}, To: validator.ToRole}}
	}
	none := func(*validator.Issuer) {}
	for name, row := range map[string]struct {
		change func(*validator.Issuer)
		claims issuertest.Claims
		want   string
		not    string
	}{
		"a claim that no mapping reads":  {none, issuertest.Claims{"scp": []string{"write"}}, "the token has scp, and no Mapping", ""},
		"a claim that a mapping reads":   {mapping, issuertest.Claims{"scp": "other", "scope": "read"}, "let the client ask the issuer", "no Mapping"},
		"a claim of another type":        {none, issuertest.Claims{"scp": 1, "scope": "read"}, "let the client ask the issuer", "no Mapping"},
		"a scope that is not granted":    {granting, issuertest.Claims{"scope": "read write"}, `the token has scope "write", and Issuer.Grants does not`, ""},
		"a scope that it does not have":  {granting, issuertest.Claims{"scope": "read"}, "if another scope of the token includes it", "Issuer.Grants"},
		"no scope":                       {none, issuertest.Claims{"scope": nil}, "let the client ask the issuer for the scope", "another scope"},
		"roles and no scope":             {roles, issuertest.Claims{"scope": nil, "roles": []string{"Tasks.Read"}}, "let the route permit scopes.Roles", ""},
		"roles and scopes":               {roles, issuertest.Claims{"scope": "read", "roles": []string{"Tasks.Read"}}, "if another scope", "scopes.Roles"},
		"other scopes, and all are ours": {none, issuertest.Claims{"scope": "read"}, "if another scope of the token includes it", ""},
	} {
		t.Run(name, func(t *testing.T) {
			token, err := is.Validator(t, row.change).Validate(t.Context(), is.Bearer(row.claims))
			if err != nil {
				t.Fatal(err)
			}
			got := token.ScopeMend([]string{"write"})
			if !strings.Contains(got, row.want) || row.not != "" && strings.Contains(got, row.not) {
				t.Errorf("%q, want %q and not %q", got, row.want, row.not)
			}
		})
	}
	if got := (*validator.Token)(nil).ScopeMend([]string{"a"}) + new(validator.Token).ScopeMend([]string{"a"}); got != "" {
		t.Errorf("without a token: %q", got)
	}
}
