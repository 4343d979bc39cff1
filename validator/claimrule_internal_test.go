package validator

import (
	"fmt"
	"slices"
	"testing"

	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// ruleTypes has a rule of each type, with the text that a cause has of it.
var ruleTypes = map[string]ClaimRule{
	"x, a string that is not empty":           {Name: "x"},
	`x, a string equal to "a"`:                {Name: "x", Equals: "a"},
	"x, an array of strings":                  {Name: "x", Type: ClaimStrings},
	`x, an array of strings with "a"`:         {Name: "x", Type: ClaimStrings, Equals: "a"},
	`x, a boolean equal to "true"`:            {Name: "x", Type: ClaimBoolean, Equals: "true"},
	"x, an object":                            {Name: "x", Type: ClaimObject},
	`x, an object with the member "a"`:        {Name: "x", Type: ClaimObject, Equals: "a"},
	"x, an object; or y, an array of strings": {AnyOf: []ClaimRule{{Name: "x", Type: ClaimObject}, {Name: "y", Type: ClaimStrings}}},
}

// TestDescribedRules checks the text of rules in causes.
func TestDescribedRules(t *testing.T) {
	for want, rule := range ruleTypes {
		if got := rule.described(); got != want {
			t.Errorf("%+v: %s, want %s", rule, got, want)
		}
	}
}

// TestIsValid checks that Token.Matches takes no rule that New refuses.
func TestIsValid(t *testing.T) {
	for _, rule := range ruleTypes {
		if !rule.isValid() {
			t.Errorf("%+v is not valid", rule)
		}
	}
	for _, rule := range []ClaimRule{
		{},
		{Equals: "a"},
		{Name: "x", Type: ClaimObject + 1},
		{Name: "x", Type: ClaimBoolean},
		{Name: "exp"},
		{AnyOf: []ClaimRule{}},
		{AnyOf: []ClaimRule{{}}},
		{AnyOf: []ClaimRule{{Name: "x"}}, Name: "y"},
		{AnyOf: []ClaimRule{{AnyOf: []ClaimRule{{Name: "x"}}}}},
	} {
		if rule.isValid() {
			t.Errorf("%+v is valid", rule)
		}
	}
}

// TestImplies checks which rules match only tokens that another one matches, and which
// match none of them.
func TestImplies(t *testing.T) {
	either := func(rules ...ClaimRule) ClaimRule { return ClaimRule{AnyOf: rules} }
	x, a, b := ClaimRule{Name: "x"}, ClaimRule{Name: "x", Equals: "a"}, ClaimRule{Name: "x", Equals: "b"}
	list, element := ClaimRule{Name: "x", Type: ClaimStrings}, ClaimRule{Name: "x", Type: ClaimStrings, Equals: "a"}
	y := ClaimRule{Name: "y"}
	for _, row := range []struct {
		rule, other       ClaimRule
		implies, excludes bool
	}{
		{x, x, true, false},
		{a, x, true, false},
		{x, a, false, false},
		{a, a, true, false},
		{a, b, false, true},
		{x, y, false, false},
		{a, y, false, false},
		{x, list, false, true},
		{list, x, false, true},
		{a, element, false, true},
		{element, list, true, false},
		{list, element, false, false},
		{element, ClaimRule{Name: "x", Type: ClaimStrings, Equals: "b"}, false, false},
		{either(a, b), x, true, false},
		{either(a, y), x, false, false},
		{a, either(y, x), true, false},
		{a, either(y, b), false, false},
		{either(a, b), list, false, true},
		{a, either(list, b), false, true},
	} {
		if got := row.rule.implies(row.other); got != row.implies {
			t.Errorf("%+v implies %+v: %t", row.rule, row.other, got)
		}
		if got := row.rule.excludes(row.other); got != row.excludes {
			t.Errorf("%+v excludes %+v: %t", row.rule, row.other, got)
		}
	}
}

// TestIsInEveryToken checks which claims every accepted token has.
func TestIsInEveryToken(t *testing.T) {
	for profile, want := range map[Profile][]string{
		ProfileRFC9068: {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"}, ProfileLegacy: {"iss", "exp", "aud", "sub"},
	} {
		validated, asked := Issuer{Profile: profile, Keys: jwkscache.URL("")}, Issuer{Profile: profile, Opaque: new(introspect.Client)}
		for _, name := range []string{"iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", "active"} {
			if got := validated.isInEveryToken(name); got != slices.Contains(want, name) {
				t.Errorf("profile %d, %s: %t", profile, name, got)
			}
			if got := asked.isInEveryToken(name); got != (name == "active") {
				t.Errorf("profile %d, answers, %s: %t", profile, name, got)
			}
		}
	}
}

// TestDerivedBytes checks that a scope that was an array counts as text of its own.
func TestDerivedBytes(t *testing.T) {
	for lists, want := range map[bool]int{false: 0, true: 3} {
		v, err := New(Config{Issuers: []Issuer{{
			URL: "https://issuer.test", Audiences: []string{"a"}, Keys: jwkscache.Static(testkey.Set(testkey.New(jose.ES256, "k"))), ScopeLists: lists,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if got := v.issuers[0].derivedBytes(&tokenClaims{scope: "a b"}); got != want {
			t.Errorf("ScopeLists %t: %d bytes", lists, got)
		}
	}
}

// TestClaimKind checks which refusal each error of the readers of claims has.
func TestClaimKind(t *testing.T) {
	for err, want := range map[error]*Error{
		jwtclaims.ErrControl: errClaimControl, jwtclaims.ErrDate: errClaimDate, jwtclaims.ErrScope: errScopeSyntax,
		jwtclaims.ErrAudienceType: errAudienceType, jwtclaims.ErrType: errClaimType,
	} {
		if got := claimKind(fmt.Errorf("a: %w", err)); got != want {
			t.Errorf("%v: %v, want %v", err, got, want)
		}
	}
}
