package providers_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// variant is the issuer of a preset without one of its rules.
type variant struct {
	name   string
	issuer validator.Issuer
}

// TestEveryRule takes each rule out of each preset. The verdict on one of the tokens of
// the provider, or what Token answers, must then be another.
func TestEveryRule(t *testing.T) {
	for _, p := range all() {
		t.Run(p.name, func(t *testing.T) {
			var tokens []string
			for i := range p.shapes {
				tokens = append(tokens, p.shapes[i].sign(t))
			}
			want := p.outcomes(t, tokens)
			for _, v := range p.variants() {
				p.issuer = v.issuer
				if slices.Equal(p.outcomes(t, tokens), want) {
					t.Errorf("no token shows that %s is there", v.name)
				}
			}
		})
	}
}

// outcomes returns the verdict on each token, with what Token answers.
func (p *provider) outcomes(t *testing.T, tokens []string) []string {
	t.Helper()
	guard := p.guard(t)
	var all []string
	for _, token := range tokens {
		all = append(all, outcome(t, guard, token))
	}
	return all
}

func outcome(t *testing.T, guard *middleware.Guard, token string) string {
	t.Helper()
	verdict := check(t, guard, scopes.Authenticated(), token)
	if denial := verdict.Denial(); denial != nil {
		return string(denial.Reason)
	}
	got := verdict.Token()
	return fmt.Sprint(got.Subject(), got.ClientID(), got.Scopes(), got.Roles(), got.Tenant(), callerOf(got))
}

// variants returns the issuer without each of its rules.
func (p *provider) variants() []variant {
	var all []variant
	add := func(name string, change func(*validator.Issuer)) {
		is := p.issuer
		is.Marker, is.OtherTokens, is.Claims = slices.Clone(is.Marker), slices.Clone(is.OtherTokens), slices.Clone(is.Claims)
		is.Mappings, is.KeyIssuers = slices.Clone(is.Mappings), slices.Clone(is.KeyIssuers)
		change(&is)
		all = append(all, variant{name, is})
	}
	for name, of := range map[string]func(*validator.Issuer) *[]validator.ClaimRule{
		"Marker":      func(c *validator.Issuer) *[]validator.ClaimRule { return &c.Marker },
		"OtherTokens": func(c *validator.Issuer) *[]validator.ClaimRule { return &c.OtherTokens },
		"Claims":      func(c *validator.Issuer) *[]validator.ClaimRule { return &c.Claims },
	} {
		for i, rule := range *of(&p.issuer) {
			isOther := validator.ClaimRule{Name: "iss", Equals: p.issuer.URL} // a marker that every token has
			if name == "Marker" && rule.Name == "iss" {
				continue // so has this one
			}
			add(fmt.Sprintf("%s[%d]", name, i), func(c *validator.Issuer) {
				rules := of(c)
				if name == "Marker" {
					(*rules)[i] = isOther
				} else {
					*rules = slices.Delete(*rules, i, i+1)
				}
			})
			if len(rule.AnyOf) < 2 {
				continue
			}
			for j := range rule.AnyOf {
				add(fmt.Sprintf("%s[%d].AnyOf[%d]", name, i, j), func(c *validator.Issuer) {
					rules := *of(c)
					rules[i].AnyOf = slices.Delete(slices.Clone(rules[i].AnyOf), j, j+1)
				})
			}
		}
	}
	for i := range p.issuer.Mappings {
		add(fmt.Sprintf("Mappings[%d]", i), func(c *validator.Issuer) { c.Mappings = slices.Delete(c.Mappings, i, i+1) })
	}
	for i := range p.issuer.KeyIssuers {
		add(fmt.Sprintf("KeyIssuers[%d]", i), func(c *validator.Issuer) { c.KeyIssuers = slices.Delete(c.KeyIssuers, i, i+1) })
	}
	for name, field := range map[string]struct {
		isSet bool
		clear func(*validator.Issuer)
	}{
		"KeyIssuers":      {p.issuer.KeyIssuers != nil, func(c *validator.Issuer) { c.KeyIssuers = nil }},
		"ScopeLists":      {p.issuer.ScopeLists, func(c *validator.Issuer) { c.ScopeLists = false }},
		"SubjectOptional": {p.issuer.SubjectOptional, func(c *validator.Issuer) { c.SubjectOptional = false }},
		"Tenant":          {p.issuer.Tenant.Claim != "", func(c *validator.Issuer) { c.Tenant = validator.TenantRule{} }},
		"ClientClaim":     {p.issuer.ClientClaim != "", func(c *validator.Issuer) { c.ClientClaim = "" }},
		"ClientOnly":      {p.issuer.ClientOnly.Name != "", func(c *validator.Issuer) { c.ClientOnly = validator.ClaimRule{} }},
		"User":            {p.issuer.User.Name != "", func(c *validator.Issuer) { c.User = validator.ClaimRule{} }},
	} {
		if field.isSet {
			add(name, field.clear)
		}
	}
	return all
}
