package validator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestScopeLists (R-SC-01): scope may be an array of scope tokens if the configuration says
// so, and only then.
func TestScopeLists(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].ScopeLists = true
	v := issuertest.Validator(t, config)
	for _, row := range []struct {
		scope string
		want  []string
		cause string // "" if it is accepted
	}{
		{`["read","write"]`, []string{"read", "write"}, ""},
		{`["read"]`, []string{"read"}, ""},
		{`[ "re\u0061d" , "write" ]`, []string{"read", "write"}, ""},
		{`["read","write","read"]`, []string{"read", "write"}, ""},
		{`[]`, []string{}, ""},
		{`"read write"`, []string{"read", "write"}, ""},
		{`""`, []string{}, ""},
		{`["read write"]`, nil, `scope with "read write" as element 0; wanted scope tokens`},
		{`["read",""]`, nil, `scope with "" as element 1`},
		{`["read"," "]`, nil, `scope with " " as element 1`},
		{`["read","a\nb"]`, nil, "as element 1"},
		{`["read","\"a\""]`, nil, "as element 1"},
		{`["read","é"]`, nil, "as element 1"},
		{`["read",1]`, nil, "scope with a number as element 1"},
		{`["read",null]`, nil, "scope with null as element 1"},
		{`["read",["write"]]`, nil, "scope with an array as element 1"},
		{`[{"scope":"read"}]`, nil, "scope with an object as element 0"},
		{`"read  write"`, nil, "scope tokens separated by single spaces"},
		{`{"read":true}`, nil, "wrong JSON type"},
		{`1`, nil, "wrong JSON type"},
		{`null`, nil, "wrong JSON type"},
	} {
		t.Run(row.scope, func(t *testing.T) {
			p := bearer(testKey.token(baseClaims.with("scope", row.scope)))
			if row.cause != "" {
				expect(t, v, p, 0, validator.BadClaims, row.cause)
				return
			}
			token := cached(at(0), t, v, p)
			if got := token.Scopes(); !slices.Equal(got, row.want) {
				t.Errorf("Scopes is %q, want %q", got, row.want)
			}
			for _, scope := range row.want {
				if !token.HasScope(scope) {
					t.Errorf("HasScope(%q) is false", scope)
				}
			}
		})
	}
	expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims.with("scope", `["read"]`))), 0,
		validator.BadClaims, `found scope "read", which is an array; wanted a string; let the issuer write scope as a string, or set Issuer.ScopeLists`)
}

// TestScopeListsAndGrants (R-CL-17): scopes of an array are bounded by Grants, too, and the
// operator is told of those that are not granted.
func TestScopeListsAndGrants(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].ScopeLists, config.Issuers[0].Grants = true, []string{"read"}
	token := cached(at(0), t, issuertest.Validator(t, config), bearer(testKey.token(baseClaims.with("scope", `["admin","read"]`))))
	if got := token.Scopes(); !slices.Equal(got, []string{"read"}) || token.HasScope("admin") {
		t.Errorf("Scopes is %q", got)
	}
	if mend := token.ScopeMend([]string{"admin"}); !strings.Contains(mend, `the token has scope "admin", and Issuer.Grants does not`) {
		t.Error(mend)
	}
}

// TestScopeListsOfAnswers: ScopeLists of the Issuer holds for answers, too, and that of
// Answers for nothing else.
func TestScopeListsOfAnswers(t *testing.T) {
	for _, row := range []struct{ issuer, answers, jwt, answer bool }{
		{false, false, false, false}, {true, false, true, true}, {false, true, false, true}, {true, true, true, true},
	} {
		is := issuertest.New(t)
		config := is.HybridConfig()
		config.ScopeLists, config.Answers.ScopeLists, config.Opaque.Prefix = row.issuer, row.answers, "opaque_"
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
		claims := issuertest.Claims{"scope": []string{"a", "b"}}
		for token, accepted := range map[string]bool{
			is.Token(claims): row.jwt, is.Opaque(testissuer.Token{Claims: claims, Prefix: "opaque_"}): row.answer,
		} {
			_, err := v.Validate(t.Context(), issuertest.Bearer(token))
			if (err == nil) != accepted {
				t.Errorf("%+v: %v (%v)", row, err, causeOf(err))
			}
			if field := "set Issuer.Answers.ScopeLists"; err != nil && strings.HasPrefix(token, "opaque_") != strings.Contains(fmt.Sprint(causeOf(err)), field) {
				t.Errorf("%+v: %v", row, causeOf(err))
			}
		}
	}
}

// TestScopeListsOfJWTsAskedAbout (R-IN-09): an answer takes scopes away from an array.
func TestScopeListsOfJWTsAskedAbout(t *testing.T) {
	for answer, want := range map[string][]string{
		`{"active":true}`:                               {"a", "b", "c"},
		`{"active":true,"scope":"c a d"}`:               {"a", "c"},
		`{"active":true,"scope":["b","d"]}`:             {"b"},
		`{"active":true,"scope":[]}`:                    {},
		`{"active":true,"scope":""}`:                    {},
		`{"active":true,"scope":["b"],"scp":["a","x"]}`: {"b"},
	} {
		is := issuertest.New(t)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.HybridConfig(func(c *validator.Issuer) {
			c.ScopeLists, c.ActiveWithin = true, validator.EachRequest
		})}})
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(answer)})
		token, err := v.Validate(t.Context(), is.Bearer(issuertest.Claims{"scope": []string{"a", "b", "c"}}))
		if err != nil || !slices.Equal(token.Scopes(), want) {
			t.Errorf("%s: %v (%v), want %q", answer, token.Scopes(), causeOf(err), want)
		}
	}
}
