package validator_test

import (
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestOrder gives tokens faults of two neighbouring steps of the package comment,
// and wants the earlier one reported (R-AT-14, R-JS-18).
func TestOrder(t *testing.T) {
	config := baseConfig()
	config.MaxTokenBytes = 2048
	config.Issuers[0].Claims = rules{{Name: "tenant", Equals: "one"}}
	config.Issuers[0].Tenant = validator.TenantRule{Claim: "org_id", Owned: []string{"org-1"}}
	config.Issuers[0].Mappings = oktaMappings
	v := issuertest.Validator(t, config)
	good := baseClaims.with("tenant", `"one"`).with("org_id", `"org-1"`)
	header := testKey.header()
	other := header.with("alg", `"ES384"`)
	expect(t, v, bearer(testKey.token(good)), 0, "", "")

	for _, row := range []struct {
		name  string
		p     validator.Presentation
		want  validator.Reason
		cause string
	}{
		{"no credentials before size", validator.Presentation{Token: strings.Repeat(" ", 2049)}, validator.NoCredentials, ""},
		{"scheme before size", validator.Presentation{Scheme: validator.DPoP, Token: strings.Repeat(" ", 2049)}, validator.BindingMismatch, ""},
		{"size before grammar", bearer(strings.Repeat(" ", 2049)), validator.TooLarge, ""},
		{"grammar before form", bearer("a b"), validator.MalformedRequest, ""},
		{"form before payload", bearer(testKey.Sign(header.with("crit", `["x"]`).text(), "not JSON")), validator.MalformedToken, "crit"},
		{"payload before issuer", bearer(testKey.Sign(header.text(), `{"iss":"https://unknown.example.com"`)), validator.MalformedToken, "payload"},
		{"issuer before algorithm", bearer(testKey.Sign(other.text(), good.with("iss", `"x"`).text())), validator.UnknownIssuer, ""},
		{"algorithm before type", bearer(testKey.Sign(other.with("typ", `"JWT"`).text(), good.text())), validator.AlgorithmNotAllowed, "issuer's list"},
		{"type before key", bearer(testKey.Sign(header.with("typ", `"JWT"`).with("kid", `"x"`).text(), good.text())), validator.WrongType, ""},
		{"key before signature", bearer(foreignKey.Sign(header.with("kid", `"x"`).text(), good.text())), validator.UnknownKey, ""},
		{"signature before claims", bearer(foreignKey.token(good.with("exp", "1"))), validator.BadSignature, ""},
		{"claim types before replicas", bearer(testKey.Sign(header.with("aud", `"x"`).text(), good.with("sub", "1").text())), validator.BadClaims, "JSON type"},
		{"replicas before required", bearer(testKey.Sign(header.with("aud", `"x"`).text(), good.without("sub").text())), validator.BadClaims, "replicates"},
		{"required before expiry", bearer(testKey.token(good.without("jti").with("exp", "1"))), validator.BadClaims, "is missing"},
		{"expiry before nbf", bearer(testKey.token(good.with("exp", "1").with("nbf", "1800000000"))), validator.Expired, ""},
		{"nbf before iat", bearer(testKey.token(good.with("nbf", "1800000000").with("iat", "1800000000"))), validator.NotYetValid, "nbf"},
		{"iat before auth_time", bearer(testKey.token(good.with("iat", "1800000000").with("auth_time", "1800000000"))), validator.NotYetValid, "iat"},
		{"times before audience", bearer(testKey.token(good.with("auth_time", "1800000000").with("aud", `"x"`))), validator.NotYetValid, "auth_time"},
		{"audience before declared claims", bearer(testKey.token(good.with("aud", `"x"`).without("tenant"))), validator.WrongAudience, ""},
		{"declared claims before binding", bearer(testKey.token(good.without("tenant").with("cnf", `{}`))), validator.BadClaims, "declares"},
		{"declared claims before the tenant", bearer(testKey.token(good.without("tenant").without("org_id"))), validator.BadClaims, "declares"},
		{"tenant before mappings", bearer(testKey.token(good.without("org_id").with("groups", "1"))), validator.BadClaims, "tenant"},
		{"mappings before binding", bearer(testKey.token(good.with("groups", "1").with("cnf", `{}`))), validator.BadClaims, "mapped"},
		{"binding before demands", demanding(testKey.token(good.with("cnf", `{}`))), validator.BindingMismatch, ""},
		{"demands last", demanding(testKey.token(good)), validator.WrongAudience, "the route demands"},
	} {
		t.Run(row.name, func(t *testing.T) { expect(t, v, row.p, 0, row.want, row.cause) })
	}
}

// demanding is a presentation at a route that no token here opens.
func demanding(token string) validator.Presentation {
	p := bearer(token)
	p.Demands.Audiences = []string{"https://route.example.com"}
	return p
}

// TestUnverifiedIsNotUsed: of a token whose signature is bad nothing but iss
// has effect on the verdict (R-JS-18, R-AT-08).
func TestUnverifiedIsNotUsed(t *testing.T) {
	for name, v := range map[string]*validator.Validator{"strict": issuertest.Validator(t, baseConfig()), "legacy": issuertest.Validator(t, legacyConfig())} {
		for _, m := range []member{
			{"sub", `1`},
			{"sub", `"\u0000"`},
			{"exp", `1`},
			{"exp", `"x"`},
			{"nbf", `1800000000`},
			{"aud", `"x"`},
			{"aud", `{}`},
			{"scope", `"a  b"`},
			{"act", `1`},
			{"cnf", `{}`},
			{"nonce", `"n"`},
			{"token_use", `"id"`},
			{"events", `{}`},
			{"amr", `1`},
		} {
			t.Run(name+m.name+m.raw, func(t *testing.T) {
				p := demanding(foreignKey.token(baseClaims.with(m.name, m.raw)))
				expect(t, v, p, 0, validator.BadSignature, "")
			})
		}
		for _, claim := range baseClaims[1:] {
			expect(t, v, bearer(foreignKey.token(baseClaims.without(claim.name))), 0, validator.BadSignature, "")
		}
		expect(t, v, bearer(foreignKey.token(baseClaims.without("iss"))), 0, validator.UnknownIssuer, "")
	}
}

// TestSignedBytes: the signature covers the received bytes of both segments
// (R-JS-18, R-AT-08).
func TestSignedBytes(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	token := testKey.token(baseClaims)
	parts := strings.Split(token, ".")
	header := testKey.header().with("x", "1")
	for name, changed := range map[string]string{
		"payload":           parts[0] + "." + b64(baseClaims.with("sub", `"root"`).text()) + "." + parts[2],
		"payload, same":     parts[0] + "." + b64(" "+baseClaims.text()) + "." + parts[2],
		"header":            b64(header.text()) + "." + parts[1] + "." + parts[2],
		"header, same":      b64(testKey.header().text()+" ") + "." + parts[1] + "." + parts[2],
		"other signature":   parts[0] + "." + parts[1] + "." + b64(strings.Repeat("\x00", 64)),
		"short signature":   parts[0] + "." + parts[1] + "." + b64("x"),
		"signature of half": parts[0] + "." + parts[1] + "." + b64(string(testKey.Signature(parts[0]))),
	} {
		t.Run(name, func(t *testing.T) { expect(t, v, bearer(changed), 0, validator.BadSignature, "") })
	}
	// White space inside the signed JSON is the issuer's business.
	expect(t, v, bearer(testKey.Sign(" "+testKey.header().text(), "\n"+baseClaims.text()+"\t")), 0, "", "")
}

// TestForm: what is refused before anything is looked up, and that the words
// of RFC 6750 decide between request and token (R-JS-01, R-JS-02, R-JS-13,
// R-JS-15, R-OP-07).
func TestForm(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	good := testKey.token(baseClaims)
	header, claims := testKey.header().text(), baseClaims.text()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, row := range []struct {
		name, token string
		want        validator.Reason
	}{
		{"empty", "", validator.MalformedRequest},
		{"padding only", "==", validator.MalformedRequest},
		{"padding inside", "a=b", validator.MalformedRequest},
		{"a space", good[:10] + " " + good[10:], validator.MalformedRequest},
		{"a line break at the end", good + "\n", validator.MalformedRequest},
		{"a quote", `"` + good + `"`, validator.MalformedRequest},
		{"a comma", good + ",", validator.MalformedRequest},
		{"a control character", good + "\x00", validator.MalformedRequest},
		{"DEL", good + "\x7f", validator.MalformedRequest},
		{"not ASCII", good + "é", validator.MalformedRequest},
		{"JSON serialisation", `{"payload":"e30","signatures":[]}`, validator.MalformedRequest},
		{"bounds of the alphabet", "@", validator.MalformedRequest},
		{"bounds of the alphabet", "[", validator.MalformedRequest},
		{"bounds of the alphabet", "`", validator.MalformedRequest},
		{"bounds of the alphabet", "{", validator.MalformedRequest},
		{"bounds of the alphabet", ":", validator.MalformedRequest},

		{"alphabet of token68", "AZaz09-._~+/==", validator.MalformedToken},
		{"a slash", "/", validator.MalformedToken},
		{"a zero", "0", validator.MalformedToken},
		{"padded", good + "=", validator.MalformedToken},
		{"opaque", "mF_9.B5f-4.1JqM~+/", validator.MalformedToken},
		{"two segments", "e30.e30", validator.MalformedToken},
		{"four segments", good + ".e30", validator.MalformedToken},
		{"five segments", "e30.e30.e30.e30.e30", validator.MalformedToken},
		{"no signature", good[:strings.LastIndex(good, ".")+1], validator.MalformedToken},
		{"header is no object", testKey.Sign(`["alg"]`, claims), validator.MalformedToken},
		{"header with b64", testKey.Sign(testKey.header().with("b64", "true").text(), claims), validator.MalformedToken},
		{"kid is a number", testKey.Sign(testKey.header().with("kid", "1").text(), claims), validator.MalformedToken},
		{"payload is no object", testKey.Sign(header, `[]`), validator.MalformedToken},
		{"payload is a string", testKey.Sign(header, `"iss"`), validator.MalformedToken},
		{"payload with a duplicate", testKey.Sign(header, strings.Replace(claims, "{", `{"sub":"x",`, 1)), validator.MalformedToken},
		{"payload with a nested duplicate", testKey.Sign(header, baseClaims.with("x", `{"a":1,"a":2}`).text()), validator.MalformedToken},
		{"payload with a hidden duplicate", testKey.Sign(header, strings.Replace(claims, "{", `{"s\u0075b":"x",`, 1)), validator.MalformedToken},
		{"payload with trailing bytes", testKey.Sign(header, claims+"x"), validator.MalformedToken},
		{"two payloads", testKey.Sign(header, claims+claims), validator.MalformedToken},
		{"payload with a byte order mark", testKey.Sign(header, "\ufeff"+claims), validator.MalformedToken},
		{"payload in invalid UTF-8", testKey.Sign(header, baseClaims.with("x", "\"\xff\"").text()), validator.MalformedToken},
		{"payload 64 deep", testKey.Sign(header, baseClaims.with("x", deep(63)).text()), ""},
		{"payload 65 deep", testKey.Sign(header, baseClaims.with("x", deep(64)).text()), validator.TooLarge},
		{"header 17 deep", testKey.Sign(testKey.header().with("x", deep(16)).text(), claims), validator.MalformedToken},
	} {
		t.Run(row.name, func(t *testing.T) { expect(t, v, bearer(row.token), 0, row.want, "") })
	}
}

// TestAlgorithmInHeader (R-JS-03, R-JS-04, R-JS-05, R-JS-06): compared, never
// followed.
func TestAlgorithmInHeader(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Algorithms = []jose.Algorithm{jose.EdDSA, jose.ES256}
	v := issuertest.Validator(t, config)
	for _, alg := range []string{
		`"none"`, `"None"`, `"NONE"`, `"nOnE"`, `""`, `"eddsa"`, `"EDDSA"`, `"EdDSA "`, `"HS256"`, `"HS512"`, `"RS256"`, `"Ed448"`, `"dir"`,
		`null`, `1`, `["EdDSA"]`, `{"EdDSA":1}`,
	} {
		header := testKey.header().with("alg", alg)
		expect(t, v, bearer(testKey.Sign(header.text(), baseClaims.text())), 0, validator.AlgorithmNotAllowed, "issuer's list")
	}
	expect(t, v, bearer(testKey.Sign(testKey.header().without("alg").text(), baseClaims.text())), 0, validator.AlgorithmNotAllowed, "issuer's list")
	expect(t, v, bearer(testKey.Sign(testKey.header().with("alg", `"ES256"`).text(), baseClaims.text())), 0, validator.AlgorithmNotAllowed, "jose: ")
}
