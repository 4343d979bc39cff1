package validator_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestClaimRules: each type, and no conversion between them (R-CL-14), as the
// issuer's configuration declares them and as a policy asks for them.
func TestClaimRules(t *testing.T) {
	const list, boolean, nested = validator.ClaimStrings, validator.ClaimBoolean, validator.ClaimObject
	for _, row := range []struct {
		rule   validator.ClaimRule
		holds  []string
		breaks []string
	}{
		{
			validator.ClaimRule{Name: "r"},
			[]string{`"x"`, `" "`, `"\u0000"`},
			[]string{`""`, `["x"]`, `1`, `true`, `null`, `{}`},
		},
		{
			validator.ClaimRule{Name: "r", Equals: "x y"},
			[]string{`"x y"`, `"\u0078 y"`},
			[]string{`"x"`, `"x y "`, `"X y"`, `"x  y"`, `""`, `["x y"]`, `null`},
		},
		{
			validator.ClaimRule{Name: "r", Equals: "true"},
			[]string{`"true"`},
			[]string{`true`, `["true"]`},
		},
		{
			validator.ClaimRule{Name: "r", Type: list},
			[]string{`["x"]`, `["","x"]`, `["x","y"]`, `[]`, `[ ]`},
			[]string{`[""]`, `"x"`, `{"x":1}`, `["x",1]`, `[1,"x"]`, `[["x"]]`, `[null]`, `1`, `null`},
		},
		{
			validator.ClaimRule{Name: "r", Type: list, Equals: "x"},
			[]string{`["x"]`, `["y","x","z"]`, `["x","x"]`, `["\u0078"]`},
			[]string{`[]`, `["y"]`, `["X"]`, `["x "]`, `"x"`, `["x",null]`, `[false,"x"]`, `[["x"]]`, `["y z","yx"]`},
		},
		{
			validator.ClaimRule{Name: "r", Type: boolean, Equals: "true"},
			[]string{`true`},
			[]string{`false`, `"true"`, `1`, `null`, `[true]`, `{}`},
		},
		{
			validator.ClaimRule{Name: "r", Type: boolean, Equals: "false"},
			[]string{`false`},
			[]string{`true`, `"false"`, `0`, `null`, `""`, `[]`},
		},
		{
			validator.ClaimRule{Name: "r", Type: nested},
			[]string{`{}`, `{ }`, `{"x":1}`, `{"x":{"y":[]}}`},
			[]string{`[]`, `[{}]`, `"x"`, `"{}"`, `1`, `true`, `null`},
		},
		{
			validator.ClaimRule{Name: "r", Type: nested, Equals: "x"},
			[]string{`{"x":1}`, `{"y":{"z":"}"},"x":[]}`, `{"\u0078":false}`, `{ "y" : 1 , "x" : "" }`},
			[]string{`{}`, `{"X":1}`, `{"y":{"x":1}}`, `{"x":null}`, `{"y":"x"}`, `["x"]`, `"x"`, `null`},
		},
		{
			validator.ClaimRule{AnyOf: rules{{Name: "r", Equals: "x"}, {Name: "r", Type: list, Equals: "y"}, {Name: "r", Type: boolean, Equals: "true"}}},
			[]string{`"x"`, `["y"]`, `true`},
			[]string{`"y"`, `["x"]`, `false`, `""`, `[]`, `{}`, `null`},
		},
	} {
		plain := issuertest.Validator(t, baseConfig())
		for _, raw := range row.holds {
			if token := expect(t, plain, bearer(testKey.token(baseClaims.with("r", raw))), 0, "", ""); !token.Satisfies(row.rule) {
				t.Errorf("%+v is not satisfied by %s", row.rule, raw)
			}
		}
		for _, claims := range append(each("r", row.breaks), baseClaims, baseClaims.with("R", row.holds[0]), baseClaims.with("o", `{"r":`+row.holds[0]+`}`)) {
			if token := expect(t, plain, bearer(testKey.token(claims)), 0, "", ""); token.Satisfies(row.rule) {
				t.Errorf("%+v is satisfied by %s", row.rule, claims.text())
			}
		}
		strict := baseConfig()
		strict.Issuers[0].Claims = rules{{Name: "jti"}, row.rule}
		legacy := baseConfig()
		legacy.Issuers[0].Profile = validator.ProfileLegacy
		legacy.Issuers[0].Marker = rules{{Name: "client_id"}, row.rule}
		for _, of := range []struct {
			v     *validator.Validator
			want  validator.Reason
			cause string
		}{
			{issuertest.Validator(t, strict), validator.BadClaims, "configuration declares"},
			{issuertest.Validator(t, legacy), validator.WrongType, "marker"},
		} {
			sign := testKey.token
			if of.want == validator.WrongType {
				sign = testKey.untyped
			}
			for _, raw := range row.holds {
				expect(t, of.v, bearer(sign(baseClaims.with("r", raw))), 0, "", "")
			}
			for _, raw := range row.breaks {
				t.Run(strings.Join([]string{row.rule.Equals, raw}, " "), func(t *testing.T) {
					expect(t, of.v, bearer(sign(baseClaims.with("r", raw))), 0, of.want, of.cause)
				})
			}
			expect(t, of.v, bearer(sign(baseClaims)), 0, of.want, of.cause)
			expect(t, of.v, bearer(sign(baseClaims.with("R", row.holds[0]))), 0, of.want, of.cause)
		}
	}
}

// each are baseClaims with each of these values of a claim.
func each(name string, values []string) []object {
	all := make([]object, 0, len(values))
	for _, raw := range values {
		all = append(all, baseClaims.with(name, raw))
	}
	return all
}

// TestFaultyRules: a rule that New would refuse is satisfied by no token, not
// even by one that lacks the claim.
func TestFaultyRules(t *testing.T) {
	claims := baseClaims.with("", `"x"`).with("a", `"x"`).with("b", `true`).with("realm_access", `"x"`)
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(claims)), 0, "", "")
	for _, row := range []struct {
		rule validator.ClaimRule
		want string
	}{
		{validator.ClaimRule{}, "Name is empty"},
		{validator.ClaimRule{Equals: "x"}, "Name is empty"},
		{validator.ClaimRule{Name: "a", Type: 4}, "Type 4 does not exist"},
		{validator.ClaimRule{Name: "b", Type: validator.ClaimBoolean}, `Equals "" is not a value of the boolean claim "b"`},
		{validator.ClaimRule{Name: "missing", Type: validator.ClaimBoolean}, `Equals "" is not a value of the boolean claim "missing"`},
		{validator.ClaimRule{Name: "b", Type: validator.ClaimBoolean, Equals: "1"}, `Equals "1" is not a value of the boolean claim "b"; give "true" or "false"`},
		{validator.ClaimRule{Name: "realm_access", Equals: "x"}, `Type is a string, and the claim "realm_access" is an object in every token`},
		{validator.ClaimRule{AnyOf: rules{}}, "AnyOf is empty, so that no token matches"},
		{validator.ClaimRule{Name: "a", AnyOf: rules{}}, "AnyOf is set beside Name, Type or Equals"},
		{validator.ClaimRule{Name: "a", AnyOf: rules{{Name: "a"}}}, "AnyOf is set beside Name, Type or Equals"},
		{validator.ClaimRule{Type: validator.ClaimBoolean, AnyOf: rules{{Name: "a"}}}, "AnyOf is set beside Name, Type or Equals"},
		{validator.ClaimRule{Equals: "x", AnyOf: rules{{Name: "a"}}}, "AnyOf is set beside Name, Type or Equals"},
		{validator.ClaimRule{AnyOf: rules{{Name: "a"}, {}}}, "AnyOf[1].Name is empty"},
		{validator.ClaimRule{AnyOf: rules{{Name: "b", Type: validator.ClaimBoolean}, {Name: "a"}}}, `AnyOf[0].Equals "" is not a value of the boolean claim "b"`},
		{validator.ClaimRule{AnyOf: rules{{Name: "a"}, {AnyOf: rules{{Name: "a"}}}}}, "AnyOf[1].AnyOf is inside another AnyOf"},
		{validator.ClaimRule{AnyOf: rules{{Name: "a"}, {Name: "a", AnyOf: rules{}}}}, "AnyOf[1].AnyOf is inside another AnyOf"},
	} {
		if err := row.rule.Err(); err == nil || !strings.HasPrefix(err.Error(), "validator: ") || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v, want %s", row.rule, err, row.want)
		}
		if token.Satisfies(row.rule) {
			t.Errorf("%+v is satisfied", row.rule)
		}
	}
	good := validator.ClaimRule{Name: "a", Equals: "x"}
	if good.Err() != nil || !token.Satisfies(good) {
		t.Error("a good rule is not satisfied")
	}
	for _, worthless := range []*validator.Token{nil, {}} {
		if worthless.Satisfies(good) || worthless.Satisfies(validator.ClaimRule{Name: "missing", Type: validator.ClaimBoolean}) {
			t.Error("a worthless token satisfies")
		}
	}
}

// TestDate (R-CL-10, R-CL-14): a date of any name is a NumericDate or none.
func TestDate(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for raw, want := range map[string]time.Time{
		`1700000000`: time.Unix(1700000000, 0), `1700000000.5`: time.Unix(1700000000, 5e8), `1.7e9`: time.Unix(1700000000, 0),
		`0`: time.Unix(0, 0), `9007199254740992`: time.Unix(1<<53, 0),
		`9007199254740993`: {}, `-1`: {}, `1e400`: {}, `"1700000000"`: {}, `true`: {}, `null`: {}, `[1700000000]`: {}, `{}`: {},
	} {
		claims := baseClaims.with("consented_at", raw).with("o", `{"other":1700000000}`)
		token := expect(t, v, bearer(testKey.token(claims)), 0, "", "")
		got, ok := token.Date("consented_at")
		if !got.Equal(want) || ok == want.IsZero() {
			t.Errorf("%s is %v, %t", raw, got, ok)
		}
		for _, name := range []string{"other", "Consented_at", "", "iss"} {
			if got, ok := token.Date(name); ok || !got.IsZero() {
				t.Errorf("%q is %v", name, got)
			}
		}
	}
	for _, worthless := range []*validator.Token{nil, {}} {
		if _, ok := worthless.Date("exp"); ok {
			t.Error("a worthless token has a date")
		}
	}
}

// TestQuestionsTakeNoMemory: what a policy asks of a token.
func TestQuestionsTakeNoMemory(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Mappings = keycloakMappings("api")
	claims := fullClaims.with("realm_access", `{"roles":["a","b"]}`).with("member", `true`)
	token := expect(t, issuertest.Validator(t, config), bearer(testKey.token(claims)), 0, "", "")
	rules := rules{
		{Name: "tenant"},
		{Name: "roles", Type: validator.ClaimStrings, Equals: "b"},
		{Name: "member", Type: validator.ClaimBoolean, Equals: "true"},
		{Name: "realm_access", Type: validator.ClaimObject, Equals: "roles"},
		{AnyOf: []validator.ClaimRule{{Name: "absent"}, {Name: "tenant"}}},
	}
	n := testing.AllocsPerRun(100, func() {
		_, dated := token.Date("nbf")
		yes := token.HasScope("write") && token.HasRole("b") && dated && token.Tenant() == "" && !token.ClientOnly() && !token.MultiFactor()
		for _, rule := range rules {
			yes = yes && token.Satisfies(rule)
		}
		if !yes || token.HasScope("no") || token.HasRole("no") {
			t.Error("a wrong answer")
		}
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
