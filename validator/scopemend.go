package validator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// scopeClaims are claims in which large issuers put scopes, besides scope.
var scopeClaims = []string{"scp", "permissions", "scopes"}

// ScopeMend returns what an operator can do about a token that lacks one of the wanted
// scopes. It says so if the token has scopes in a claim that no Mapping of its issuer
// reads, or one of wanted that the issuer may not grant. It is for texts that people
// read, and parses the claims. It returns "" for a nil or zero Token.
func (t *Token) ScopeMend(wanted []string) string {
	if t == nil || t.facts == nil {
		return ""
	}
	f := *t.facts
	members, _ := strictjson.ParseObject(f.payload, strictjson.Checked, nil) // parsed before, so it is no error
	for _, claim := range scopeClaims {
		v := jwtclaims.Lookup(members, claim)
		if (v.Kind() == strictjson.String || v.Kind() == strictjson.Array) && !slices.Contains(f.terms.mapped, claim) {
			return fmt.Sprintf("the token has %s, and no Mapping of the issuer reads it: add one to Issuer.Mappings, or take a preset of package providers", claim)
		}
	}
	asked := scopeText(jwtclaims.Lookup(members, claimScope))
	for _, scope := range wanted {
		if slices.Contains(strings.Fields(asked), scope) && !f.terms.grants.has(scope) {
			return fmt.Sprintf("the token has scope %s, and Issuer.Grants does not: add it there if the issuer may grant it", cause.Quote(scope))
		}
	}
	if strings.TrimSpace(asked) == "" && f.claims.roles != "" {
		return "the token has roles and no scope, as an application gets them at Entra ID: let the route permit scopes.Roles, or let the client ask the issuer for the scope"
	}
	if strings.TrimSpace(asked) == "" {
		return "let the client ask the issuer for the scope"
	}
	return "let the client ask the issuer for the scope; if another scope of the token includes it, say so in Config.Hierarchy"
}

// mappedClaims returns the claims at the top level that mappings make scopes of.
func mappedClaims(mappings []Mapping) []string {
	var claims []string
	for i := range mappings {
		if m := &mappings[i]; m.To == ToScope && len(m.Claim) == 1 {
			claims = append(claims, m.Claim[0])
		}
	}
	return claims
}
