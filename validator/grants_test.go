package validator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// granting is baseConfig with these grants.
func granting(grants ...string) validator.Config {
	config := baseConfig()
	config.Issuers[0].Grants = grants
	return config
}

// TestGrants (R-SC-07): scopes that the issuer may not grant are not there,
// whatever the token says.
func TestGrants(t *testing.T) {
	for _, row := range []struct {
		grants []string
		scope  string
		want   []string
	}{
		{nil, "b a c", []string{"b", "a", "c"}},
		{allScopes, "b a c", []string{"b", "a", "c"}},
		{[]string{"a", "b", "c", "d"}, "b a c", []string{"b", "a", "c"}},
		{[]string{"a", "c"}, "b a c", []string{"a", "c"}},
		{[]string{"b"}, "b a c", []string{"b"}},
		{[]string{"d"}, "b a c", nil},
		{[]string{}, "b a c", nil},
		{[]string{}, "", nil},
		{[]string{"a"}, "A a: aa a.b", nil},
		{[]string{"a:b"}, "a b a:b:c", nil},
		{[]string{"a"}, "a a", []string{"a"}},
		{[]string{"a"}, "a b a", []string{"a"}},
		{nil, "a b a b c", []string{"a", "b", "c"}},
		{nil, "all scopes", []string{"all", "scopes"}},
	} {
		t.Run(fmt.Sprint(row.grants, row.scope), func(t *testing.T) {
			token := expect(t, issuertest.Validator(t, granting(row.grants...)), bearer(testKey.token(baseClaims.with("scope", strconv.Quote(row.scope)))), 0, "", "")
			if got := token.Scopes(); !slices.Equal(got, row.want) {
				t.Errorf("scopes are %q, want %q", got, row.want)
			}
			for _, scope := range append(strings.Fields(row.scope), row.grants...) {
				if token.HasScope(scope) != slices.Contains(row.want, scope) {
					t.Errorf("HasScope(%q) is %t", scope, token.HasScope(scope))
				}
			}
		})
	}
}

// TestHasScope compares whole tokens (R-SC-02).
func TestHasScope(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	token := expect(t, v, bearer(testKey.token(baseClaims.with("scope", `"read write:all * orders"`))), 0, "", "")
	for _, scope := range []string{"read", "write:all", "*", "orders"} {
		if !token.HasScope(scope) {
			t.Errorf("HasScope(%q) is false", scope)
		}
	}
	for _, scope := range []string{
		"", " ", "READ", "rea", "reads", "ead", "read ", " read", "read write:all", "write:all * orders", "read write:all * orders", "orders\n", "write", "write:", "all", "order", "orders ", "admin",
	} {
		if token.HasScope(scope) {
			t.Errorf("HasScope(%q) is true", scope)
		}
	}
	if token := expect(t, v, bearer(testKey.token(baseClaims.without("scope").with("scp", `"read"`))), 0, "", ""); token.HasScope("read") {
		t.Error("scp gives a scope")
	}
}

// TestOtherIssuersScope (R-SC-07): the same string of an issuer that may not
// grant it is nothing.
func TestOtherIssuersScope(t *testing.T) {
	const other = "https://partner.example.net"
	config := granting("orders:read", "orders:write")
	config.Issuers = append(config.Issuers, validator.Issuer{
		URL: other, Audiences: []string{testAudience}, Keys: keysOf(foreignKey), Grants: []string{"catalog:read"},
		Mappings: []validator.Mapping{{Claim: []string{"permissions"}, To: validator.ToScope}},
	})
	v := issuertest.Validator(t, config)
	claims := baseClaims.with("scope", `"orders:write catalog:read"`).with("permissions", `["orders:read","catalog:read"]`)
	ours := expect(t, v, bearer(testKey.token(claims)), 0, "", "")
	theirs := expect(t, v, bearer(foreignKey.token(claims.with("iss", `"`+other+`"`))), 0, "", "")
	if got := ours.Scopes(); !slices.Equal(got, []string{"orders:write"}) {
		t.Errorf("ours are %q", got)
	}
	if got := theirs.Scopes(); !slices.Equal(got, []string{"catalog:read"}) || theirs.HasScope("orders:read") || theirs.HasScope("orders:write") {
		t.Errorf("theirs are %q", got)
	}
}

// TestGrantsRequired (R-SC-07, R-OP-01): who shares an API with other issuers
// says what it may grant, and every one that does not is told.
func TestGrantsRequired(t *testing.T) {
	second := baseConfig().Issuers[0]
	second.URL = "https://second.example.com"
	find := func(context.Context, string) (validator.Issuer, error) {
		return validator.Issuer{}, validator.ErrUnknownIssuer
	}
	for _, row := range []struct {
		name   string
		change func(*validator.Config)
		want   []string
	}{
		{"one", func(*validator.Config) {}, nil},
		{"two", func(c *validator.Config) { c.Issuers = append(c.Issuers, second) }, []string{
			"Issuers[0].Grants is missing", "Issuers[1].Grants is missing",
		}},
		{"two, one says", func(c *validator.Config) {
			c.Issuers = append(c.Issuers, second)
			c.Issuers[0].Grants = []string{}
		}, []string{"Issuers[1].Grants is missing"}},
		{"two, both say", func(c *validator.Config) {
			c.Issuers = append(c.Issuers, second)
			c.Issuers[0].Grants, c.Issuers[1].Grants = allScopes, []string{"a"}
		}, nil},
		{"with ResolveIssuer", func(c *validator.Config) { c.ResolveIssuer = find }, []string{
			"Issuers[0].Grants is missing", "list the scopes that this issuer may grant, or AllScopes",
		}},
		{"ResolveIssuer alone", func(c *validator.Config) { c.Issuers, c.ResolveIssuer = nil, find }, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			config := baseConfig()
			row.change(&config)
			_, err := validator.New(config)
			if (err != nil) != (row.want != nil) {
				t.Fatalf("error: %v", err)
			}
			for _, want := range row.want {
				if strings.Count(err.Error(), want) != 1 {
					t.Errorf("%q is not told once: %v", want, err)
				}
			}
		})
	}
}

// TestResolvedGrants (R-SC-07): what ResolveIssuer answers needs grants, too, and they
// are the resolved issuer's own.
func TestResolvedGrants(t *testing.T) {
	v, d := resolvingTwo(t, 0)
	grant := func(url string, grants []string) {
		d.set(url, answering(validator.Issuer{URL: url, Audiences: []string{testAudience}, Keys: resolvedKeys, Grants: grants}))
		v.ForgetIssuer(url)
	}
	a, b := bearer(testKey.token(baseClaims.with("iss", `"`+resolvedA+`"`))), bearer(testKey.token(baseClaims.with("iss", `"`+resolvedB+`"`)))
	grant(resolvedA, []string{"read"})
	grant(resolvedB, []string{"write"})
	if token := accepts(at(0), t, v, a); !slices.Equal(token.Scopes(), []string{"read"}) {
		t.Errorf("A has %q", token.Scopes())
	}
	if token := accepts(at(0), t, v, b); !slices.Equal(token.Scopes(), []string{"write"}) {
		t.Errorf("B has %q", token.Scopes())
	}
	grant(resolvedA, []string{"write"}) // and what was kept of its tokens is not believed
	if token := accepts(at(0), t, v, a); !slices.Equal(token.Scopes(), []string{"write"}) {
		t.Errorf("A has %q", token.Scopes())
	}
	grant(resolvedA, nil)
	_, err := v.Validate(at(0), a)
	if !errors.Is(err, validator.Unavailable) || !strings.Contains(fmt.Sprint(causeOf(err)), `ResolveIssuer("`+resolvedA+`").Grants is missing`) {
		t.Errorf("%v, %v", err, causeOf(err))
	}
}

// someMappings are of each kind.
var someMappings = []validator.Mapping{
	{Claim: []string{"scp"}, To: validator.ToScope},
	{Claim: []string{"o", "roles"}, To: validator.ToRole},
	{Claim: []string{"groups"}, To: validator.ToScope, Values: map[string][]string{"admin": {"a", "b"}, "c": {"read"}}},
	{Claim: []string{"roles"}, To: validator.ToRole, Values: map[string][]string{"a": {"boss"}}},
}

// TestGrantsOnly (R-SC-07): no claims, whatever they are called and look like,
// yield a scope that stands neither in scope nor in a mapped claim, nor one that
// may not be granted, nor a role that is not mapped; and what does is there. The
// claims are read by encoding/json for comparison. FuzzClaims asks the same of
// any claims.
func TestGrantsOnly(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "b", "a:b", "ab", "c", "admin", "read"}
	list := func() (all []string) {
		for range r.IntN(5) {
			all = append(all, words[r.IntN(len(words))])
		}
		return all
	}
	value := func() string {
		if r.IntN(2) == 0 {
			return strconv.Quote(strings.Join(list(), " "))
		}
		return strings.ReplaceAll(fmt.Sprintf("%q", list()), " ", ",")
	}
	names := []string{"scp", "roles", "groups", "permissions", "entitlements"}
	kinds := map[string]validator.Config{"nothing": baseConfig(), "grants": granting("a", "a:b", "read"), "mapped": baseConfig(), "both": granting("b", "admin")}
	kinds["mapped"].Issuers[0].Mappings, kinds["both"].Issuers[0].Mappings = someMappings, someMappings
	validators := map[string]*validator.Validator{}
	for kind := range kinds {
		validators[kind] = issuertest.Validator(t, kinds[kind])
	}
	for range 1000 {
		claims := baseClaims.with("scope", strconv.Quote(strings.Join(list(), " ")))
		inner := object{}
		for _, name := range names {
			if r.IntN(2) == 0 {
				claims = claims.with(name, value())
			}
			if r.IntN(2) == 0 {
				inner = inner.with(name, value())
			}
		}
		if r.IntN(2) == 0 {
			claims = claims.with("o", inner.text())
		}
		for kind, config := range kinds {
			token := expect(t, validators[kind], bearer(testKey.token(claims)), 0, "", "")
			var read map[string]any
			if err := json.Unmarshal([]byte(claims.text()), &read); err != nil {
				t.Fatal(err)
			}
			scopes, roles := expected(&config.Issuers[0], read)
			if !slices.Equal(token.Scopes(), scopes) || !slices.Equal(token.Roles(), roles) {
				t.Fatalf("%s: scopes %q, roles %q, want %q, %q: %s", kind, token.Scopes(), token.Roles(), scopes, roles, claims.text())
			}
			for _, word := range append(words, "boss", "o", "") {
				if token.HasScope(word) != slices.Contains(scopes, word) || token.HasRole(word) != slices.Contains(roles, word) {
					t.Fatalf("%s: %q is a scope: %t, a role: %t: %s", kind, word, token.HasScope(word), token.HasRole(word), claims.text())
				}
			}
		}
	}
}

// expected are the scopes and roles that claims have under a configuration.
func expected(issuer *validator.Issuer, claims map[string]any) (scopes, roles []string) {
	put := func(list *[]string, word string) {
		if !slices.Contains(*list, word) {
			*list = append(*list, word)
		}
	}
	values := func(v any) (all []string) {
		switch v := v.(type) {
		case string:
			if v != "" {
				return strings.Split(v, " ")
			}
		case []any:
			for _, element := range v {
				all = append(all, element.(string))
			}
		}
		return all
	}
	for _, scope := range values(claims["scope"]) {
		put(&scopes, scope)
	}
	for _, m := range issuer.Mappings {
		var v any = claims
		for _, name := range m.Claim {
			v = v.(map[string]any)[name]
			if v == nil {
				break
			}
		}
		for _, word := range values(v) {
			meanings := []string{word}
			if m.Values != nil {
				meanings = m.Values[word]
			}
			for _, meaning := range meanings {
				if m.To == validator.ToScope {
					put(&scopes, meaning)
				} else {
					put(&roles, meaning)
				}
			}
		}
	}
	if issuer.Grants != nil && !slices.Equal(issuer.Grants, allScopes) {
		scopes = slices.DeleteFunc(scopes, func(s string) bool { return !slices.Contains(issuer.Grants, s) })
	}
	return scopes, roles
}

// TestUnrestrictedIsFree: an issuer without restrictions, or one that does not
// exceed them, costs no memory.
func TestUnrestrictedIsFree(t *testing.T) {
	config := baseConfig()
	config.Cache.Off = true
	restricted := granting("read", "write", "other")
	restricted.Cache.Off = true
	restricted.Issuers[0].Tenant = validator.TenantRule{Fixed: "one"}
	restricted.Issuers[0].MultiFactor = []string{"mfa"}
	ctx, p := at(0), bearer(testKey.token(baseClaims))
	allocations := func(config validator.Config) float64 {
		v := issuertest.Validator(t, config)
		return testing.AllocsPerRun(100, func() { _, _ = v.Validate(ctx, p) })
	}
	if plain, n := allocations(config), allocations(restricted); n != plain {
		t.Errorf("%v allocations, %v without restrictions", n, plain)
	}
}
