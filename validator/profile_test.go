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
	{"ID token", `"JWT"`, object{{"nonce", `"n"`}, {"azp", `"client-1"`}}, "only ID tokens"},
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
// token.
func TestLegacyClaims(t *testing.T) {
	config := legacyConfig()
	config.Issuers[0].Audiences = append(config.Issuers[0].Audiences, "client-1", "client-2")
	v := issuertest.Validator(t, config)
	const (
		idToken = "only ID tokens and logout tokens"
		own     = "only the client itself"
		mark    = "marker does not match"
	)
	for _, row := range []struct {
		name   string
		claims object
		want   validator.Reason
		cause  string
	}{
		{"base", legacyClaims, "", ""},
		{"without iss", legacyClaims.without("iss"), validator.UnknownIssuer, ""},
		{"without exp", legacyClaims.without("exp"), validator.BadClaims, "is missing (RFC 9068 §2.2)"},
		{"without sub", legacyClaims.without("sub"), validator.BadClaims, "is missing (RFC 9068 §2.2)"},
		{"without aud", legacyClaims.without("aud"), validator.WrongAudience, "aud is missing"},
		{"a client_id of the wrong type", legacyClaims.with("client_id", `7`), validator.BadClaims, "wrong JSON type"},
		{"an iat ahead", legacyClaims.with("iat", `1700000031`), validator.NotYetValid, "iat"},

		{"nonce", legacyClaims.with("nonce", `"n"`), validator.WrongType, idToken},
		{"nonce null", legacyClaims.with("nonce", `null`), validator.WrongType, idToken},
		{"at_hash", legacyClaims.with("at_hash", `"h"`), validator.WrongType, idToken},
		{"c_hash", legacyClaims.with("c_hash", `"h"`), validator.WrongType, idToken},
		{"s_hash", legacyClaims.with("s_hash", `"h"`), validator.WrongType, idToken},
		{"events", legacyClaims.with("events", `{}`), validator.WrongType, idToken},
		{"Nonce is another claim", legacyClaims.with("Nonce", `"n"`), "", ""},

		{"aud is client_id", legacyClaims.with("aud", `"client-1"`).with("client_id", `"client-1"`), validator.WrongType, own},
		{"aud is azp", legacyClaims.with("aud", `"client-1"`).with("azp", `"client-1"`), validator.WrongType, own},
		{"aud is a list of client_id", legacyClaims.with("aud", `["client-1"]`).with("client_id", `"client-1"`), validator.WrongType, own},
		{"aud is a list of azp", legacyClaims.with("aud", `["client-1"]`).with("azp", `"client-1"`), validator.WrongType, own},
		{"aud is azp and not client_id", legacyClaims.with("aud", `"client-1"`).with("azp", `"client-1"`).with("client_id", `"client-2"`), validator.WrongType, own},
		{"aud is client_id twice", legacyClaims.with("aud", `["client-1","client-1"]`).with("client_id", `"client-1"`), validator.WrongType, own},
		{"aud also names an API", legacyClaims.with("aud", `["client-1","https://api.example.com"]`).with("client_id", `"client-1"`), "", ""},
		{"aud names an API first", legacyClaims.with("aud", `["https://api.example.com","client-1"]`).with("client_id", `"client-1"`), "", ""},
		{"aud is another client", legacyClaims.with("aud", `"client-2"`).with("client_id", `"client-1"`), "", ""},
		{"no client to compare", legacyClaims.with("aud", `"client-1"`), "", ""},
		{"no audience to compare", legacyClaims.with("aud", `[]`), validator.WrongAudience, ""},

		{"without marker", legacyClaims.without("token_use"), validator.WrongType, mark},
		{"marker of an ID token", legacyClaims.with("token_use", `"id"`), validator.WrongType, mark},
		{"refresh token", legacyClaims.with("token_use", `"refresh"`), validator.WrongType, mark},
		{"marker in another case", legacyClaims.with("token_use", `"Access"`), validator.WrongType, mark},
		{"marker longer", legacyClaims.with("token_use", `"access "`), validator.WrongType, mark},
		{"marker as list", legacyClaims.with("token_use", `["access"]`), validator.WrongType, mark},
		{"marker null", legacyClaims.with("token_use", `null`), validator.WrongType, mark},
		{"marker under another name", legacyClaims.without("token_use").with("Token_use", `"access"`), validator.WrongType, mark},
		{"marker nested", legacyClaims.without("token_use").with("x", `{"token_use":"access"}`), validator.WrongType, mark},
	} {
		t.Run(row.name, func(t *testing.T) {
			for _, typ := range []string{`"JWT"`, `"at+jwt"`} { // at+jwt exempts from nothing
				token := testKey.Sign(testKey.header().with("typ", typ).text(), row.claims.text())
				expect(t, v, bearer(token), 0, row.want, row.cause)
			}
		})
	}
}

// TestLegacyMarkers: all of several must match, and the strict profile judges
// none of the legacy signs.
func TestLegacyMarkers(t *testing.T) {
	config := legacyConfig()
	config.Issuers[0].Marker = rules{{Name: "client_id"}, {Name: "scope"}, {Name: "azp", Equals: "gateway"}}
	v := issuertest.Validator(t, config)
	good := baseClaims.with("azp", `"gateway"`)
	expect(t, v, bearer(testKey.token(good)), 0, "", "")
	for _, claims := range []object{
		good.without("client_id"), good.without("scope"), good.with("scope", `""`), good.without("azp"), good.with("azp", `"other"`),
	} {
		expect(t, v, bearer(testKey.token(claims)), 0, validator.WrongType, "marker")
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
