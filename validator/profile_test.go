package validator_test

import (
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestType (R-AT-01): typ is at+jwt or application/at+jwt, as a media type
// without parameters.
func TestType(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for _, typ := range []string{
		`"at+jwt"`, `"at+JWT"`, `"AT+JWT"`, `"application/at+jwt"`, `"Application/At+Jwt"`, `"at\u002bjwt"`,
	} {
		t.Run(typ, func(t *testing.T) {
			expect(t, v, bearer(testKey.Sign(testKey.header().with("typ", typ).text(), baseClaims.text())), 0, "", "")
		})
	}
	for _, typ := range []string{
		`"JWT"`, `"jwt"`, `""`, `"at"`, `"jwt+at"`, `"at+jwt;"`, `"at+jwt; charset=utf-8"`, `"at+jwt "`, `" at+jwt"`, `"at+jwt\u0000"`,
		`"at jwt"`, `"at%2Bjwt"`, `"xat+jwt"`, `"at+jwts"`, `"text/at+jwt"`, `"application/application/at+jwt"`, `"/at+jwt"`, `"application/jwt"`,
		`"ａt+jwt"`, `null`, `1`, `true`, `["at+jwt"]`, `{"at+jwt":1}`,
	} {
		t.Run(typ, func(t *testing.T) {
			expect(t, v, bearer(testKey.Sign(testKey.header().with("typ", typ).text(), baseClaims.text())), 0, validator.WrongType, "typ is not at+jwt")
		})
	}
	t.Run("absent", func(t *testing.T) {
		header := testKey.header().without("typ")
		expect(t, v, bearer(testKey.Sign(header.text(), baseClaims.text())), 0, validator.WrongType, "typ is not at+jwt")
		expect(t, v, bearer(testKey.Sign(header.with("TYP", `"at+jwt"`).text(), baseClaims.text())), 0, validator.WrongType, "typ is not at+jwt")
		expect(t, v, bearer(testKey.Sign(header.with("cty", `"at+jwt"`).text(), baseClaims.text())), 0, validator.WrongType, "typ is not at+jwt")
		expect(t, v, bearer(testKey.Sign(header.text(), baseClaims.with("typ", `"at+jwt"`).text())), 0, validator.WrongType, "typ is not at+jwt")
	})
}

// tokenKinds are the other JWTs that one issuer signs with one key, each with
// all claims of an access token besides its own.
var tokenKinds = []struct {
	name   string
	typ    string // raw; "" for none
	claims object
	legacy string // what refuses it under the legacy profile
}{
	{"ID token", `"JWT"`, object{{"nonce", `"n"`}, {"azp", `"client-1"`}}, "of ID tokens"},
	{"logout token", `"logout+jwt"`, object{{"events", `{"http://schemas.openid.net/event/backchannel-logout":{}}`}}, "typ is neither"},
	{"SET", `"secevent+jwt"`, object{{"events", `{}`}}, "typ is neither"},
	{"introspection response", `"token-introspection+jwt"`, object{{"token_introspection", `{"active":true}`}}, "typ is neither"},
	{"DPoP proof", `"dpop+jwt"`, object{{"htm", `"GET"`}, {"htu", `"https://api.example.com/"`}}, "typ is neither"},
	{"status list", `"statuslist+jwt"`, object{{"status_list", `{"bits":1,"lst":"eNrbuRgAAhcBXQ"}`}}, "typ is neither"},
	{"request object", `"oauth-authz-req+jwt"`, object{{"response_type", `"code"`}}, "typ is neither"},
	{"client assertion", `"client-authentication+jwt"`, nil, "typ is neither"},
	{"client assertion of old", `"JWT"`, nil, "marker does not match"},
	{"UserInfo response", "", object{{"email", `"user@example.com"`}}, "marker does not match"},
	{"entity statement", `"entity-statement+jwt"`, object{{"jwks", `{"keys":[]}`}}, "typ is neither"},
}

// TestTokenKinds (R-AT-02): none of them is an access token, although issuer,
// key, audience and required claims are right.
func TestTokenKinds(t *testing.T) {
	strict, legacy := issuertest.Validator(t, baseConfig()), issuertest.Validator(t, legacyConfig())
	for _, kind := range tokenKinds {
		t.Run(kind.name, func(t *testing.T) {
			header := testKey.header().without("typ")
			if kind.typ != "" {
				header = header.with("typ", kind.typ)
			}
			claims := slices.Concat(baseClaims, kind.claims)
			token := testKey.Sign(header.text(), claims.text())
			expect(t, strict, bearer(token), 0, validator.WrongType, "typ is not at+jwt")
			expect(t, legacy, bearer(token), 0, validator.WrongType, kind.legacy)
		})
	}
}

// TestKeyIsNoType (R-AT-12): which key signed says nothing about the type.
func TestKeyIsNoType(t *testing.T) {
	second := edSigner("k2", "a second key of the issuer")
	config := baseConfig()
	config.Issuers[0].Keys = keysOf(testKey, second)
	v := issuertest.Validator(t, config)
	for _, key := range []*signer{testKey, second} {
		expect(t, v, bearer(key.token(baseClaims)), 0, "", "")
		expect(t, v, bearer(key.Sign(key.header().with("typ", `"JWT"`).text(), baseClaims.text())), 0, validator.WrongType, "")
	}
}

// legacyClaims are those of an access token of a legacyConfig issuer.
var legacyClaims = baseClaims.without("client_id", "jti", "iat", "scope").with("token_use", `"access"`)

// TestLegacyType (R-AT-04).
func TestLegacyType(t *testing.T) {
	v := issuertest.Validator(t, legacyConfig())
	for typ, want := range map[string]validator.Reason{
		"": "", `"JWT"`: "", `"jwt"`: "", `"application/jwt"`: "", `"at+jwt"`: "", `"application/at+JWT"`: "",
		`"logout+jwt"`: validator.WrongType, `""`: validator.WrongType, `"JWT "`: validator.WrongType,
		`null`: validator.WrongType, `1`: validator.WrongType, `["JWT"]`: validator.WrongType,
	} {
		t.Run(typ, func(t *testing.T) {
			header := testKey.header().without("typ")
			if typ != "" {
				header = header.with("typ", typ)
			}
			expect(t, v, bearer(testKey.Sign(header.text(), legacyClaims.text())), 0, want, "typ is neither at+jwt nor JWT nor absent")
		})
	}
}

// TestLegacyClaims (R-AT-03, R-AT-04): what is required, and what tells an ID
// token. What looks like an ID token is refused, unless the value of a marker or typ tells
// an access token.
func TestLegacyClaims(t *testing.T) {
	config := legacyConfig()
	config.Issuers[0].Audiences = append(config.Issuers[0].Audiences, "client-1", "client-2")
	exact := issuertest.Validator(t, config)
	config.Issuers[0].Marker = rules{{Name: "gate"}}
	present := issuertest.Validator(t, config)
	const (
		idToken = "a claim of ID tokens or logout tokens"
		own     = "only the client itself"
		mark    = "marker does not match"
		says    = "a claim says that the token is no access token"
	)
	const wrongType = validator.WrongType
	good := legacyClaims.with("gate", `"x"`)
	aud1 := good.with("aud", `"client-1"`)
	for _, row := range []struct {
		name    string
		claims  object
		present validator.Reason // with a marker that a claim is there
		exact   validator.Reason // with a marker that a claim has a value
		typed   validator.Reason // and with the header at+jwt
		cause   string
	}{
		{"base", good, "", "", "", ""},
		{"without iss", good.without("iss"), validator.UnknownIssuer, validator.UnknownIssuer, validator.UnknownIssuer, ""},
		{"without exp", good.without("exp"), validator.BadClaims, validator.BadClaims, validator.BadClaims, "is missing (RFC 9068 §2.2)"},
		{"without sub", good.without("sub"), validator.BadClaims, validator.BadClaims, validator.BadClaims, "is missing (RFC 9068 §2.2)"},
		{"without aud", good.without("aud"), validator.WrongAudience, validator.WrongAudience, validator.WrongAudience, "aud is missing"},
		{"a client_id of the wrong type", good.with("client_id", `7`), validator.BadClaims, validator.BadClaims, validator.BadClaims, "wrong JSON type"},
		{"an iat ahead", good.with("iat", `1700000031`), validator.NotYetValid, validator.NotYetValid, validator.NotYetValid, "iat"},

		{"nonce", good.with("nonce", `"n"`), wrongType, "", "", idToken},
		{"nonce null", good.with("nonce", `null`), wrongType, "", "", idToken},
		{"at_hash", good.with("at_hash", `"h"`), wrongType, "", "", idToken},
		{"c_hash", good.with("c_hash", `"h"`), wrongType, "", "", idToken},
		{"s_hash", good.with("s_hash", `"h"`), wrongType, "", "", idToken},
		{"events", good.with("events", `{}`), wrongType, wrongType, wrongType, idToken},
		{"events null", good.with("events", `null`), wrongType, wrongType, wrongType, idToken},
		{"events and nonce", good.with("events", `{}`).with("nonce", `"n"`), wrongType, wrongType, wrongType, idToken},
		{"Nonce is another claim", good.with("Nonce", `"n"`), "", "", "", ""},

		{"aud is client_id", aud1.with("client_id", `"client-1"`), wrongType, "", "", own},
		{"aud is azp", aud1.with("azp", `"client-1"`), wrongType, "", "", own},
		{"aud is azp, and nonce", aud1.with("azp", `"client-1"`).with("nonce", `"n"`), wrongType, "", "", idToken},
		{"aud is a list of client_id", good.with("aud", `["client-1"]`).with("client_id", `"client-1"`), wrongType, "", "", own},
		{"aud is a list of azp", good.with("aud", `["client-1"]`).with("azp", `"client-1"`), wrongType, "", "", own},
		{"aud is azp and not client_id", aud1.with("azp", `"client-1"`).with("client_id", `"client-2"`), wrongType, "", "", own},
		{"aud is client_id twice", good.with("aud", `["client-1","client-1"]`).with("client_id", `"client-1"`), wrongType, "", "", own},
		{"aud also names an API", good.with("aud", `["client-1","https://api.example.com"]`).with("client_id", `"client-1"`), "", "", "", ""},
		{"aud names an API first", good.with("aud", `["https://api.example.com","client-1"]`).with("client_id", `"client-1"`), "", "", "", ""},
		{"aud is another client", aud1.with("aud", `"client-2"`).with("client_id", `"client-1"`), "", "", "", ""},
		{"no client to compare", aud1, "", "", "", ""},
		{"no audience to compare", good.with("aud", `[]`), validator.WrongAudience, validator.WrongAudience, validator.WrongAudience, ""},

		{"without markers", good.without("token_use", "gate"), wrongType, wrongType, "", mark},
		{"another value", good.with("token_use", `"other"`).without("gate"), wrongType, wrongType, wrongType, mark},
		{"another value of an ID token", good.with("token_use", `"other"`).without("gate").with("nonce", `"n"`), wrongType, wrongType, wrongType, ""},
		{"marker of an ID token", good.with("token_use", `"id"`), wrongType, wrongType, wrongType, says},
		{"refresh token", good.with("token_use", `"Refresh"`), wrongType, wrongType, wrongType, says},
		{"refresh token of Keycloak", good.with("typ", `"Refresh"`), wrongType, wrongType, wrongType, says},
		{"offline token of Keycloak", good.with("typ", `"Offline"`), wrongType, wrongType, wrongType, says},
		{"ID token of Keycloak", good.with("typ", `"ID"`), wrongType, wrongType, wrongType, says},
		{"marker in another case", good.with("token_use", `"Access"`), "", wrongType, wrongType, mark},
		{"marker longer", good.with("token_use", `"access "`), "", wrongType, wrongType, mark},
		{"marker as list", good.with("token_use", `["access"]`), "", wrongType, wrongType, mark},
		{"marker null", good.with("token_use", `null`), "", wrongType, wrongType, mark},
		{"marker under another name", good.without("token_use").with("Token_use", `"access"`), "", wrongType, "", mark},
		{"marker nested", good.without("token_use").with("x", `{"token_use":"access"}`), "", wrongType, "", mark},
	} {
		t.Run(row.name, func(t *testing.T) {
			untyped := bearer(testKey.untyped(row.claims))
			expect(t, present, untyped, 0, row.present, row.cause)
			expect(t, exact, untyped, 0, row.exact, row.cause)
			expect(t, exact, bearer(testKey.token(row.claims)), 0, row.typed, row.cause)
		})
	}
}

// TestOutweighed (R-AT-03): which rules of a marker outweigh a nonce, and an aud that is
// only the client.
func TestOutweighed(t *testing.T) {
	const strings, boolean, nested = validator.ClaimStrings, validator.ClaimBoolean, validator.ClaimObject
	claims := baseClaims.with("aud", `"client-1"`).with("azp", `"client-1"`).with("nonce", `"n"`).with("typ", `"Bearer"`).with("kinds", `["access","x"]`).
		with("is_access", `true`).with("ext", `{"access":1}`).with("gty", `"code"`).with("org_id", `"org-1"`).with("sub_jwk", `{"kty":"EC"}`)
	for _, row := range []struct {
		name   string
		marker rules
		want   validator.Reason
	}{
		{"a value", rules{{Name: "typ", Equals: "Bearer"}}, ""},
		{"an element", rules{{Name: "kinds", Type: strings, Equals: "access"}}, ""},
		{"a boolean", rules{{Name: "is_access", Type: boolean, Equals: "true"}}, ""},
		{"a value beside presence", rules{{Name: "scope"}, {Name: "gty", Equals: "code"}}, ""},
		{"an alternative with a value", rules{{AnyOf: rules{{Name: "typ", Equals: "DPoP"}, {Name: "typ", Equals: "Bearer"}}}}, ""},
		{"an alternative with a value after one without", rules{{AnyOf: rules{{Name: "scope"}, {Name: "typ", Equals: "Bearer"}}}}, ""},

		{"presence", rules{{Name: "scope"}}, validator.WrongType},
		{"presence of an array", rules{{Name: "kinds", Type: strings}}, validator.WrongType},
		{"presence of an object", rules{{Name: "ext", Type: nested}}, validator.WrongType},
		{"a member of an object", rules{{Name: "ext", Type: nested, Equals: "access"}}, validator.WrongType},
		{"the alternative that holds is presence", rules{{AnyOf: rules{{Name: "gty", Equals: "password"}, {Name: "scope"}}}}, validator.WrongType},
		{"a value that ID tokens share", rules{{Name: "azp", Equals: "client-1"}}, validator.WrongType},
		{"an aud that ID tokens share", rules{{Name: "aud", Equals: "client-1"}}, validator.WrongType},
		{"a client that ID tokens may name", rules{{Name: "client_id", Equals: "client-1"}}, validator.WrongType},
		{"an organization", rules{{Name: "scope"}, {Name: "org_id", Equals: "org-1"}}, validator.WrongType},
		{"a value that does not hold", rules{{Name: "typ", Equals: "DPoP"}}, validator.WrongType},
		{"a value that holds and one that does not", rules{{Name: "typ", Equals: "Bearer"}, {Name: "gty", Equals: "x"}}, validator.WrongType},
		{"a value that holds and a claim that is missing", rules{{Name: "typ", Equals: "Bearer"}, {Name: "permissions"}}, validator.WrongType},
	} {
		config := legacyConfig()
		config.Issuers[0].Audiences, config.Issuers[0].Marker = []string{"client-1"}, row.marker
		v := issuertest.Validator(t, config)
		for name, claims := range map[string]object{"both": claims, "nonce": claims.with("aud", `["client-1","x"]`), "aud": claims.without("nonce")} {
			if _, err := v.Validate(at(0), bearer(testKey.untyped(claims))); validator.ReasonOf(err) != row.want {
				t.Errorf("%s, %s: %q (%v), want %q", row.name, name, validator.ReasonOf(err), causeOf(err), row.want)
			}
		}
		expect(t, v, bearer(testKey.untyped(claims.with("events", `{}`))), 0, validator.WrongType, "")
	}
	for value, want := range map[string]validator.Reason{ // the first ones are in every token of some servers
		"Bearer": validator.WrongType, "bearer": validator.WrongType, "DPoP": validator.WrongType, "dpop": validator.WrongType, "access": "",
	} {
		config := legacyConfig()
		config.Issuers[0].Audiences, config.Issuers[0].Marker = []string{"client-1"}, rules{{Name: "token_type", Equals: value}}
		expect(t, issuertest.Validator(t, config), bearer(testKey.untyped(claims.with("token_type", `"`+value+`"`))), 0, want, "")
	}
	config := legacyConfig()
	config.Issuers[0].Audiences, config.Issuers[0].Marker = []string{"client-1"}, rules{{Name: "scope"}}
	p := bearer(testKey.token(claims))
	v := issuertest.Validator(t, config)
	expect(t, v, p, 0, "", "") // by the header at+jwt
	if j := judgementOf(t, v.Explain(at(0), p, v.Inspect(at(0), p)), "kind of token"); j.Found != "an access token, by typ" {
		t.Errorf("explained as %+v", j)
	}
}

// TestTypedMarkers (R-AT-04): under the legacy profile, a token with the header at+jwt
// need not match the marker, but must not contradict it.
func TestTypedMarkers(t *testing.T) {
	typ := rules{{Name: "typ", Equals: "Bearer"}}
	either := rules{{AnyOf: rules{{Name: "permissions", Type: validator.ClaimStrings}, {Name: "typ", Equals: "Bearer"}}}}
	for _, row := range []struct {
		name   string
		marker rules
		claims object
		want   validator.Reason
	}{
		{"the claim is absent", typ, baseClaims, ""},
		{"the value", typ, baseClaims.with("typ", `"Bearer"`), ""},
		{"another value", typ, baseClaims.with("typ", `"DPoP"`), validator.WrongType},
		{"another type", typ, baseClaims.with("typ", `["Bearer"]`), validator.WrongType},
		{"null", typ, baseClaims.with("typ", `null`), validator.WrongType},
		{"a claim that is to be present is absent", rules{{Name: "gate"}}, baseClaims, ""},
		{"a claim that is to be present has another type", rules{{Name: "gate"}}, baseClaims.with("gate", `1`), ""},
		{"a boolean", rules{{Name: "gate", Type: validator.ClaimBoolean, Equals: "true"}}, baseClaims.with("gate", `false`), validator.WrongType},
		{"no member", rules{{Name: "gate", Type: validator.ClaimObject, Equals: "a"}}, baseClaims.with("gate", `{"b":1}`), validator.WrongType},
		{"no alternative", either, baseClaims, ""},
		{"the other alternative", either, baseClaims.with("permissions", `[]`).with("typ", `"x"`), ""},
		{"no alternative, and one is contradicted", either, baseClaims.with("typ", `"x"`), validator.WrongType},
		{"the second rule is contradicted", rules{{Name: "gate"}, {Name: "typ", Equals: "Bearer"}}, baseClaims.with("typ", `"x"`), validator.WrongType},
	} {
		config := legacyConfig()
		config.Issuers[0].Marker = row.marker
		if _, err := issuertest.Validator(t, config).Validate(at(0), bearer(testKey.token(row.claims))); validator.ReasonOf(err) != row.want {
			t.Errorf("%s: %q (%v), want %q", row.name, validator.ReasonOf(err), causeOf(err), row.want)
		}
	}
}

// TestLegacyMarkers: all of several must match, and the strict profile judges
// none of the legacy signs.
func TestLegacyMarkers(t *testing.T) {
	config := legacyConfig()
	config.Issuers[0].Marker = rules{{Name: "client_id"}, {Name: "scope"}, {Name: "azp", Equals: "gateway"}}
	v := issuertest.Validator(t, config)
	good := baseClaims.with("azp", `"gateway"`)
	expect(t, v, bearer(testKey.untyped(good)), 0, "", "")
	for _, claims := range []object{
		good.without("client_id"), good.without("scope"), good.with("scope", `""`), good.without("azp"), good.with("azp", `"other"`),
	} {
		expect(t, v, bearer(testKey.untyped(claims)), 0, validator.WrongType, "marker")
	}

	config = baseConfig()
	config.Issuers[0].Audiences = []string{"client-1"}
	strict := issuertest.Validator(t, config)
	claims := baseClaims.with("aud", `"client-1"`).with("nonce", `"n"`).with("at_hash", `"h"`)
	expect(t, strict, bearer(testKey.token(claims)), 0, "", "") // at+jwt says what it is
}

// TestRefreshToken: a refresh token that is a JWT is refused (R-AT-13).
func TestRefreshToken(t *testing.T) {
	strict, legacy := issuertest.Validator(t, baseConfig()), issuertest.Validator(t, legacyConfig())
	for _, typ := range []string{`"rt+jwt"`, `"refresh+jwt"`, `"Refresh"`, `"JWT"`} {
		token := testKey.Sign(testKey.header().with("typ", typ).text(), baseClaims.with("typ", `"Refresh"`).text())
		expect(t, strict, bearer(token), 0, validator.WrongType, "typ")
		expect(t, legacy, bearer(token), 0, validator.WrongType, "")
	}
	expect(t, strict, bearer("8xLOxBtZp8"), 0, validator.MalformedToken, "") // an opaque one
}

// TestTwoIssuers: keys and principals are the issuer's own, although kid and
// sub are the same (R-JK-01, R-JK-02, R-CL-12, R-CL-18).
func TestTwoIssuers(t *testing.T) {
	const other = "https://other-as.example.net"
	config := baseConfig()
	config.Issuers[0].Grants = allScopes
	config.Issuers = append(config.Issuers, validator.Issuer{
		URL: other, Audiences: []string{"https://other-api.example.com"}, Keys: keysOf(foreignKey), Grants: allScopes,
		Algorithms: []jose.Algorithm{jose.EdDSA},
	})
	v := issuertest.Validator(t, config)
	otherClaims := baseClaims.with("iss", `"`+other+`"`).with("aud", `"https://other-api.example.com"`)

	first := expect(t, v, bearer(testKey.token(baseClaims)), 0, "", "")
	second := expect(t, v, bearer(foreignKey.token(otherClaims)), 0, "", "")
	if first.Subject() != second.Subject() || first.Issuer() != testIssuer || second.Issuer() != other {
		t.Errorf("principals are (%s, %s) and (%s, %s)", first.Issuer(), first.Subject(), second.Issuer(), second.Subject())
	}
	expect(t, v, bearer(foreignKey.token(baseClaims)), 0, validator.BadSignature, "")
	expect(t, v, bearer(testKey.token(otherClaims)), 0, validator.BadSignature, "")
	// Each issuer has its own audiences and algorithms, too.
	expect(t, v, bearer(testKey.token(baseClaims.with("aud", `"https://other-api.example.com"`))), 0, validator.WrongAudience, "")
	expect(t, v, bearer(foreignKey.token(otherClaims.with("aud", `"`+testAudience+`"`))), 0, validator.WrongAudience, "")
	token := ec256Key().token(otherClaims)
	expect(t, v, bearer(token), 0, validator.AlgorithmNotAllowed, "")
	expect(t, v, bearer(ec256Key().token(baseClaims)), 0, validator.UnknownKey, "")
}

// TestHeaderIsNoKeySource: a key in the header is not used, whatever it is
// (R-JS-14, R-AT-08).
func TestHeaderIsNoKeySource(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	embedded := foreignKey.jwk().text()
	for _, extra := range []member{
		{"jwk", embedded},
		{"jku", `"https://attacker.example/jwks.json"`},
		{"x5u", `"https://attacker.example/cert.pem"`},
		{"x5c", `["AAAA"]`},
		{"x5t", `"AAAA"`},
		{"x5t#S256", `"AAAA"`},
	} {
		header := foreignKey.header().with(extra.name, extra.raw)
		expect(t, v, bearer(foreignKey.Sign(header.text(), baseClaims.text())), 0, validator.BadSignature, "")
		expect(t, v, bearer(foreignKey.Sign(header.without("kid").text(), baseClaims.text())), 0, validator.BadSignature, "")
		expect(t, v, bearer(foreignKey.Sign(header.with("kid", `"other"`).text(), baseClaims.text())), 0, validator.UnknownKey, "")
		good := testKey.header().with(extra.name, extra.raw)
		expect(t, v, bearer(testKey.Sign(good.text(), baseClaims.text())), 0, "", "")
	}
}

// TestSameKidTwice: of several keys of one kid and algorithm each is tried.
func TestSameKidTwice(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Keys = keysOf(testKey, foreignKey)
	v := issuertest.Validator(t, config)
	expect(t, v, bearer(testKey.token(baseClaims)), 0, "", "")
	expect(t, v, bearer(foreignKey.token(baseClaims)), 0, "", "")
	expect(t, v, bearer(edSigner("k1", "a third key").token(baseClaims)), 0, validator.BadSignature, "")
	config.Issuers[0].Keys = jwkscache.Static([]byte(`{"keys":[]}`))
	expect(t, issuertest.Validator(t, config), bearer(testKey.token(baseClaims)), 0, validator.UnknownKey, "")
}
