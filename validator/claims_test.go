package validator_test

import (
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestBase: what all other tests deviate from is accepted.
func TestBase(t *testing.T) {
	token := expect(t, issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims)), 0, "", "")
	if token.Issuer() != testIssuer || token.Subject() != "user-1" || token.ClientID() != "client-1" || token.ID() != "jti-0001" {
		t.Errorf("token is %v", token)
	}
}

// TestRequiredClaims deletes each claim that RFC 9068 §2.2 requires, and makes
// each null (R-AT-10, R-CL-12, R-CL-02, R-CL-03, R-CL-06, R-CL-08).
func TestRequiredClaims(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for _, row := range []struct {
		name  string
		want  validator.Reason
		cause string
	}{
		{"iss", validator.UnknownIssuer, "iss is missing"},
		{"exp", validator.BadClaims, "is missing (RFC 9068 §2.2)"},
		{"aud", validator.WrongAudience, "aud is missing"},
		{"sub", validator.BadClaims, "is missing (RFC 9068 §2.2)"},
		{"client_id", validator.BadClaims, "is missing (RFC 9068 §2.2)"},
		{"iat", validator.BadClaims, "is missing (RFC 9068 §2.2)"},
		{"jti", validator.BadClaims, "is missing (RFC 9068 §2.2)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			expect(t, v, bearer(testKey.token(baseClaims.without(row.name))), 0, row.want, row.cause)
			want := validator.BadClaims
			if row.name == "iss" {
				want = validator.UnknownIssuer
			}
			expect(t, v, bearer(testKey.token(baseClaims.with(row.name, "null"))), 0, want, "")
		})
	}
}

// TestIssuerVariants: iss is compared byte for byte (R-CL-01, R-CL-02,
// R-AT-06).
func TestIssuerVariants(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Grants = allScopes
	second := config.Issuers[0]
	second.URL = "https://as.example.com/tenant"
	third := config.Issuers[0]
	third.URL = "https://\u00e9.example.com" // composed
	config.Issuers = append(config.Issuers, second, third)
	v := issuertest.Validator(t, config)
	for _, iss := range []string{
		`"https://as.example.com"`, `"https:\/\/as.example.com"`, `"\u0068ttps://as.example.com"`, // one string in JSON
		`"https://as.example.com/tenant"`, `"https://é.example.com"`,
	} {
		expect(t, v, bearer(testKey.token(baseClaims.with("iss", iss))), 0, "", "")
	}
	for _, iss := range []string{
		`"https://as.example.com/"`, `"https://AS.example.com"`, `"HTTPS://as.example.com"`, `"https://as.example.com:443"`,
		`"http://as.example.com"`, `"https://as.example.com/%74enant"`, `"https://as.example.com/tenant/"`,
		`"https://as.example.com/Tenant"`, `"https://as.example.com/tenant2"`, `"https://as.example.com/."`,
		`"https://e\u0301.example.com"`, `"https://xn--9ca.example.com"`, // decomposed, punycode
		`" https://as.example.com"`, `"https://as.example.com "`, `"https://as.example.com\u0000"`, `"as.example.com"`,
		`"https://as.example.co"`, `"https://as.example.com.evil.example"`, `"https://evil.example/https://as.example.com"`,
		`"https://*.example.com"`, `"https://as.example.com/.*"`, `"https://unknown.example.com"`, `""`,
		`["https://as.example.com"]`, `{"https://as.example.com":1}`, `1`, `true`, `null`,
	} {
		t.Run(iss, func(t *testing.T) {
			expect(t, v, bearer(testKey.token(baseClaims.with("iss", iss))), 0, validator.UnknownIssuer, "iss is missing, not a string")
		})
	}
}

// TestAudienceForms (R-CL-03, R-CL-04, R-AT-07).
func TestAudienceForms(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Audiences = []string{testAudience, "api-2"}
	v := issuertest.Validator(t, config)
	for _, row := range []struct {
		aud  string
		want validator.Reason
		list []string
	}{
		{`"https://api.example.com"`, "", []string{testAudience}},
		{`"api-2"`, "", []string{"api-2"}},
		{`["https://api.example.com"]`, "", []string{testAudience}},
		{`["x","https://api.example.com"]`, "", []string{"x", testAudience}},
		{`[ "x" , "y\u0061" ,"api-2" ]`, "", []string{"x", "ya", "api-2"}},
		{`"api\u002d2"`, "", []string{"api-2"}},

		{`[]`, validator.WrongAudience, nil},
		{`["x","y"]`, validator.WrongAudience, nil},
		{`"https://api.example.com/"`, validator.WrongAudience, nil},
		{`"https://API.example.com"`, validator.WrongAudience, nil},
		{`"https://api.example.com.evil"`, validator.WrongAudience, nil},
		{`"https://api.example.co"`, validator.WrongAudience, nil},
		{`"xhttps://api.example.com"`, validator.WrongAudience, nil},
		{`"https://api.example.com api-2"`, validator.WrongAudience, nil},
		{`"https://api.example.com,api-2"`, validator.WrongAudience, nil},
		{`"*"`, validator.WrongAudience, nil},
		{`"https://*.example.com"`, validator.WrongAudience, nil},

		{`""`, validator.BadClaims, nil},
		{`["https://api.example.com",""]`, validator.BadClaims, nil},
		{`["https://api.example.com",1]`, validator.BadClaims, nil},
		{`["https://api.example.com",null]`, validator.BadClaims, nil},
		{`["https://api.example.com",["x"]]`, validator.BadClaims, nil},
		{`[["https://api.example.com"]]`, validator.BadClaims, nil},
		{`{"https://api.example.com":true}`, validator.BadClaims, nil},
		{`1`, validator.BadClaims, nil},
		{`true`, validator.BadClaims, nil},
		{`null`, validator.BadClaims, nil},
	} {
		t.Run(row.aud, func(t *testing.T) {
			token := expect(t, v, bearer(testKey.token(baseClaims.with("aud", row.aud))), 0, row.want, "")
			if got := token.Audience(); !slices.Equal(got, row.list) {
				t.Errorf("Audience is %q, want %q", got, row.list)
			}
		})
	}
	for _, aud := range []string{`{"https://api.example.com":true}`, `1`, `true`, `null`} {
		expect(t, v, bearer(testKey.token(baseClaims.with("aud", aud))), 0, validator.BadClaims, "aud is neither a string nor an array")
	}
}

// identifiers are the claims that name something or somebody.
var identifiers = []string{"sub", "client_id", "azp", "jti"}

// TestClaimTypes gives each claim all JSON types but its own: nothing is
// converted (R-CL-14). [TestOptionalClaims] has the claims that then count as absent.
func TestClaimTypes(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	notString := []string{`1`, `1.5`, `true`, `false`, `null`, `["user-1"]`, `[]`, `{}`, `{"a":"b"}`}
	type check struct {
		claim, raw, cause string
	}
	var checks []check
	for _, claim := range identifiers {
		for _, raw := range append(notString, `""`) {
			checks = append(checks, check{claim, raw, "wrong JSON type, or is an empty string"})
		}
	}
	for _, raw := range notString {
		cause := "wrong JSON type"
		if raw[0] == '[' {
			cause = "or set Issuer.ScopeLists"
		}
		checks = append(checks, check{"scope", raw, cause})
	}
	for _, claim := range []string{"exp", "iat", "nbf"} {
		for _, raw := range []string{`"1700000000"`, `""`, `true`, `false`, `null`, `[1700000000]`, `{}`} {
			checks = append(checks, check{claim, raw, "NumericDate"})
		}
	}
	for _, raw := range []string{`"user"`, `1`, `true`, `null`, `["user"]`, `[]`} {
		checks = append(checks, check{"act", raw, "act is not an object"})
	}
	for _, c := range checks {
		t.Run(c.claim+" "+c.raw, func(t *testing.T) {
			expect(t, v, bearer(testKey.token(baseClaims.with(c.claim, c.raw))), 0, validator.BadClaims, c.cause)
		})
	}
}

// TestControlCharacters puts a control character into each identifier
// (R-CL-16).
func TestControlCharacters(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	forms := map[string]string{
		"aud": `["https://api.example.com",%s]`,
		"act": `{"sub":%s}`, "act of client": `{"client_id":%s}`, "act of issuer": `{"iss":%s}`,
	}
	for _, claim := range identifiers {
		forms[claim] = "%s"
	}
	escapes := []string{`\u0000`, `\t`, `\n`, `\r`, `\u001b`, `\u001f`, `\u007f`, "\u007f", `\u0080`, `\u0085`, "\u0085", `\u009f`}
	harmless := []string{` `, `~`, `\u00a0`, `é`, `\u00e9`, `\"`, `\\`, `\ud83d\ude00`, "\U0001f600"}
	for claim, form := range forms {
		name := claim
		if len(name) > 3 && name[:3] == "act" {
			name = "act"
		}
		for _, text := range escapes {
			t.Run(claim+strconv.Quote(text), func(t *testing.T) {
				claims := baseClaims.with(name, fmt.Sprintf(form, `"a`+text+`b"`))
				expect(t, v, bearer(testKey.token(claims)), 0, validator.BadClaims, "")
			})
		}
		for _, text := range harmless {
			t.Run(claim+strconv.Quote(text), func(t *testing.T) {
				expect(t, v, bearer(testKey.token(baseClaims.with(name, fmt.Sprintf(form, `"a`+text+`b"`)))), 0, "", "")
			})
		}
	}
}

// TestScopeGrammar (R-SC-01): scope-token = 1*( %x21 / %x23-5B / %x5D-7E ).
func TestScopeGrammar(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for _, row := range []struct {
		scope string
		want  []string // nil: refused
	}{
		{`""`, []string{}},
		{`"read"`, []string{"read"}},
		{`"write read"`, []string{"write", "read"}},
		{`"a b c"`, []string{"a", "b", "c"}},
		{`"!#$%&'()*+,-./:;<=>?@[]^_` + "`" + `{|}~"`, []string{"!#$%&'()*+,-./:;<=>?@[]^_`{|}~"}},
		{`"a\u0020b"`, []string{"a", "b"}},
		{`"\/a"`, []string{"/a"}},

		{`" "`, nil},
		{`" read"`, nil},
		{`"read "`, nil},
		{`"read  write"`, nil},
		{`"read\twrite"`, nil},
		{`"read\nwrite"`, nil},
		{`"read\u0000"`, nil},
		{`"\u001f"`, nil},
		{`"read \"write\""`, nil},
		{`"read\\write"`, nil},
		{`"read\u007f"`, nil},
		{`"réad"`, nil},
		{`"read\u00a0write"`, nil},
		{`["read"]`, nil},
		{`1`, nil},
	} {
		t.Run(row.scope, func(t *testing.T) {
			want := validator.BadClaims
			if row.want != nil {
				want = ""
			}
			token := expect(t, v, bearer(testKey.token(baseClaims.with("scope", row.scope))), 0, want, "")
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
	for _, scope := range []string{`" "`, `"read "`, `"read  write"`, `"read\twrite"`, `"read \"write\""`, `"réad"`} {
		expect(t, v, bearer(testKey.token(baseClaims.with("scope", scope))), 0, validator.BadClaims, "scope is not a list of scope tokens")
	}
	if token := expect(t, v, bearer(testKey.token(baseClaims.without("scope"))), 0, "", ""); len(token.Scopes()) != 0 {
		t.Errorf("no scope gives %q", token.Scopes())
	}
}

// TestActor (R-SC-16): the outermost actor only, and nothing but identifiers
// counts in it.
func TestActor(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for _, row := range []struct {
		act  string
		want validator.Party
		ok   bool
	}{
		{`{}`, validator.Party{}, true},
		{`{"sub":"admin"}`, validator.Party{Subject: "admin"}, true},
		{`{"iss":"https://i","sub":"s","client_id":"c"}`, validator.Party{Issuer: "https://i", Subject: "s", ClientID: "c"}, true},
		{`{"sub":"outer","act":{"sub":"inner","iss":"x","client_id":"y"}}`, validator.Party{Subject: "outer"}, true},
		{`{"act":{"sub":"inner"}}`, validator.Party{}, true},
		{`{"sub":"s","act":"history is not read"}`, validator.Party{Subject: "s"}, true},
		{`{"sub":"s","exp":1,"nbf":9999999999,"aud":"other","scope":"a  b","cnf":{"jkt":"x"},"SUB":1}`, validator.Party{Subject: "s"}, true},
		{`{"sub":1}`, validator.Party{}, false},
		{`{"sub":""}`, validator.Party{}, false},
		{`{"sub":null}`, validator.Party{}, false},
		{`{"iss":["a"]}`, validator.Party{}, false},
		{`{"client_id":{}}`, validator.Party{}, false},
		{`{"sub":"good","client_id":true}`, validator.Party{}, false},
	} {
		t.Run(row.act, func(t *testing.T) {
			want := validator.BadClaims
			if row.ok {
				want = ""
			}
			token := expect(t, v, bearer(testKey.token(baseClaims.with("act", row.act))), 0, want, "act is not an object with strings")
			actor, ok := token.Actor()
			if ok != row.ok || actor.Issuer != row.want.Issuer || actor.Subject != row.want.Subject || actor.ClientID != row.want.ClientID {
				t.Errorf("Actor is %v, %t; want %v, %t", actor, ok, row.want, row.ok)
			}
			if row.ok && (token.Subject() != "user-1" || !token.HasScope("read") || token.Expiry().Unix() != 1700003600) {
				t.Error("the actor has effect on the token")
			}
		})
	}
	token := expect(t, v, bearer(testKey.token(baseClaims.with("may_act", `{"sub":"admin"}`))), 0, "", "")
	if _, ok := token.Actor(); ok {
		t.Error("may_act makes an actor")
	}
	if _, ok := expect(t, v, bearer(testKey.token(baseClaims)), 0, "", "").Actor(); ok {
		t.Error("an actor without act")
	}
}

// TestUnknownClaims are ignored, and so are names that differ in case
// (R-CL-14, R-JS-16).
func TestUnknownClaims(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	claims := baseClaims
	for _, name := range []string{"EXP", "Exp", "ISS", "Sub", "AUD", "NBF", "Scope", "CNF", "x5t#S256", "", "unknown", "cnf ", "ſub"} {
		claims = append(claims, member{name, `[{"a":null}]`})
	}
	token := expect(t, v, bearer(testKey.token(claims)), 0, "", "")
	if token.Subject() != "user-1" || token.Expiry().Unix() != 1700003600 || !token.HasScope("write") {
		t.Errorf("token is %v", token)
	}
	for _, name := range []string{"exp", "sub", "client_id", "iat", "jti"} {
		upper := string(name[0]-'a'+'A') + name[1:]
		claims := baseClaims.without(name).with(upper, "1700003600")
		expect(t, v, bearer(testKey.token(claims)), 0, validator.BadClaims, "is missing")
	}
}

// TestReplicatedClaims: iss, sub and aud in the header must be those of the
// payload (R-CL-15).
func TestReplicatedClaims(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	const other = "the header replicates"
	for _, row := range []struct {
		name, raw string
		want      validator.Reason
	}{
		{"iss", `"https://as.example.com"`, ""},
		{"sub", `"user-1"`, ""},
		{"aud", `"https://api.example.com"`, ""},
		{"jti", `"other"`, ""}, // only the three may be replicated so
		{"exp", `1`, ""},
		{"iss", `"https://other-as.example.com"`, validator.BadClaims},
		{"iss", `""`, validator.BadClaims},
		{"iss", `null`, validator.BadClaims},
		{"iss", `["https://as.example.com"]`, validator.BadClaims},
		{"sub", `"user-2"`, validator.BadClaims},
		{"sub", `"user-1 "`, validator.BadClaims},
		{"sub", `1`, validator.BadClaims},
		{"aud", `"https://other-api.example.com"`, validator.BadClaims},
		{"aud", `["https://api.example.com"]`, validator.BadClaims},
		{"aud", `["https://api.example.com","x"]`, validator.BadClaims},
		{"aud", `false`, validator.BadClaims},
	} {
		t.Run(row.name+" "+row.raw, func(t *testing.T) {
			header := testKey.header().with(row.name, row.raw)
			expect(t, v, bearer(testKey.Sign(header.text(), baseClaims.text())), 0, row.want, other)
		})
	}
	// A replica of a claim that the payload lacks is none.
	for _, name := range []string{"sub", "aud"} {
		header := testKey.header().with(name, `"x"`)
		expect(t, v, bearer(testKey.Sign(header.text(), baseClaims.without(name).text())), 0, validator.BadClaims, other)
	}
	header := testKey.header().with("iss", `"`+testIssuer+`"`)
	expect(t, v, bearer(testKey.Sign(header.text(), baseClaims.without("iss").text())), 0, validator.UnknownIssuer, "")
}
