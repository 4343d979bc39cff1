package validator_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// chainTexts are the texts of err and of all its causes, under the verbs of fmt and in a log.
func chainTexts(err error) string {
	var b strings.Builder
	handler := slog.NewJSONHandler(&b, nil)
	for ; err != nil; err = errors.Unwrap(err) {
		for _, verb := range []string{"%v", "%+v", "%#v", "%q", "%x"} {
			fmt.Fprintf(&b, verb+"\n", err)
		}
		slog.New(handler).Error("refused", "cause", err)
	}
	return b.String()
}

// wantCause checks that a refusal says what was found, on one line of printable ASCII and
// §, and shows none of the secrets. It returns what it says.
func wantCause(t *testing.T, err error, secrets ...string) cause.Details {
	t.Helper()
	found, ok := cause.Of(err)
	if !ok {
		t.Errorf("%v has no cause with details: %v", err, causeOf(err))
		return cause.Details{}
	}
	d := found.Details()
	if d.Found == "" {
		t.Errorf("%v does not say what was found", found)
	}
	for _, c := range d.Found + d.Wanted + d.Mend {
		if (c < ' ' || c > '~') && !strings.ContainsRune("§−…", c) {
			t.Errorf("%q has the character %q", d, c)
		}
	}
	if piece := issuertest.Shows(chainTexts(err), secrets...); piece != "" {
		t.Errorf("%v shows %q", found, piece)
	}
	return d
}

// TestCausesOfTheCorpus (R-OB-01, R-OB-07): every refusal of the attack corpus has a cause
// that says what was found, and shows no 12 bytes of the token.
func TestCausesOfTheCorpus(t *testing.T) {
	corpus := readCorpus(t)
	refused := 0
	for i := range corpus.Cases {
		of := &corpus.Cases[i]
		v, err := validator.New(corpus.config(t, of))
		if errors.Is(err, jose.ErrNotJWKS) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		text := of.text()
		_, err = v.Validate(clock.At(t.Context(), time.Unix(corpus.Configs[of.Config].Now, 0)), bearer(text))
		if err == nil {
			continue
		}
		refused++
		t.Run(of.ID, func(t *testing.T) {
			d := wantCause(t, err, issuertest.SecretsOf(text)...)
			t.Logf("%s: %s: found %s, wanted %s; %s", of.Name, validator.ReasonOf(err), d.Found, d.Wanted, d.Mend)
		})
	}
	if refused < 200 {
		t.Errorf("only %d cases were refused", refused)
	}
}

// TestCauses (R-OB-07): what the cause of each check says.
func TestCauses(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Claims = rules{{Name: "org", Equals: "one"}}
	config.Issuers[0].Tenant = validator.TenantRule{Claim: "tenant", Owned: []string{"acme", "globex"}}
	config.Issuers[0].Mappings = []validator.Mapping{{Claim: []string{"scp"}, To: validator.ToScope}, {Claim: []string{"realm", "roles"}, To: validator.ToRole}}
	v, legacy := issuertest.Validator(t, config), issuertest.Validator(t, legacyConfig())
	good := baseClaims.with("org", `"one"`).with("tenant", `"acme"`)
	header := testKey.header()
	signed := func(header object, claims object) string { return testKey.Sign(header.text(), claims.text()) }
	expect(t, v, bearer(signed(header, good)), 0, "", "")
	demanding := func(d validator.Demands) validator.Presentation {
		p := bearer(signed(header, good))
		p.Demands = d
		return p
	}
	bound := good.with("cnf", `{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I","x-secret":"s"}`)
	legacyClaims := baseClaims.with("token_use", `"access"`)
	for _, row := range []struct {
		name                string
		v                   *validator.Validator
		p                   validator.Presentation
		offset              time.Duration
		found, wanted, mend string
	}{
		{"no credentials", v, validator.Presentation{}, 0, "no credentials", "Authorization: Bearer", ""},
		{"another scheme", v, validator.Presentation{Scheme: validator.OtherScheme}, 0, "credentials of another scheme", "Authorization: Bearer", "Bearer and a space"},
		{"DPoP", v, validator.Presentation{Scheme: validator.DPoP}, 0, "Authorization: DPoP", "Authorization: Bearer", ""},
		{"too large", v, bearer(strings.Repeat("a", 16385)), 0, "16385 bytes", "at most 16384", "Config.MaxTokenBytes"},
		{"a space", v, bearer("abc def"), 0, "white space at byte 3", "letters, digits", ""},
		{"no token", v, bearer(""), 0, "no token", "", ""},
		{"an opaque token", v, bearer("abcdef"), 0, "1 segment", "3", "Issuer.Opaque"},
		{"two segments", v, bearer("abc.def"), 0, "2 segments", "3", ""},
		{"five segments", v, bearer("a.b.c.d.e"), 0, "5 segments", "3", ""},
		{"no signature", v, bearer("abc.def."), 0, "no signature", "", "sign its tokens"},
		{"padding", v, bearer("e30.e+==.AAAA"), 0, "", "", ""},
		{"base64", v, bearer("e30.e/0.AAAA"), 0, "the payload has + or / at byte 1", "", "as the issuer wrote it"},
		{"cut base64", v, bearer("e30.e30.AAAAA"), 0, "the signature has a length of 5", "", ""},
		{"unused bits", v, bearer("e31.e30.AAAA"), 0, "the header ends in unused bits", "", ""},
		{"header JSON", v, bearer(b64(`{"alg":"ES256","alg":1}`) + ".e30.AAAA"), 0, `the member "alg" twice, at byte 15`, "one JSON object", ""},
		{"crit", v, bearer(signed(header.with("crit", `["secret"]`), good)), 0, "crit, which is an array", "no crit", ""},
		{"kid", v, bearer(signed(header.with("kid", `1`), good)), 0, "kid, which is a number", "a string", ""},
		{"payload JSON", v, bearer(testKey.Sign(header.text(), `{"iss":"a","exp":1,"exp":2}`)), 0, `the member "exp" twice, at byte 19`, "one JSON object", ""},
		{"payload UTF-8", v, bearer(testKey.Sign(header.text(), "{\"iss\":\"\xff\"}")), 0, "not UTF-8, or a character outside of a string, at byte 8", "", ""},
		{"iss", v, bearer(signed(header, good.with("iss", `"https://evil.example\r\n\u001b[31m"`))), 0, `iss "https://evil.example\r\n\x1b[31m" (not verified)`, `"https://as.example.com"`, "Config.Issuers"},
		{"iss with a slash", v, bearer(signed(header, good.with("iss", `"https://as.example.com/"`))), 0, `iss "https://as.example.com/" (not verified)`, `"https://as.example.com"`, "a slash at the end"},
		{"iss of http", v, bearer(signed(header, good.with("iss", `"http://as.example.com"`))), 0, `iss "http://as.example.com"`, "", "the scheme"},
		{"no iss", v, bearer(signed(header, good.without("iss"))), 0, "no iss (not verified)", "", ""},
		{"iss, a number", v, bearer(signed(header, good.with("iss", `1`))), 0, "iss, which is a number", "", ""},
		{"alg", v, bearer(signed(header.with("alg", `"HS256"`), good)), 0, `alg "HS256"`, "one of RS256 PS256 ES256 EdDSA", ""},
		{"alg that could be allowed", v, bearer(signed(header.with("alg", `"ES384"`), good)), 0, `alg "ES384"`, "one of RS256", "add ES384 to Issuer.Algorithms"},
		{"no alg", v, bearer(signed(header.without("alg"), good)), 0, "no alg", "", ""},
		{"typ", v, bearer(signed(header.with("typ", `"JWT"`), good)), 0, `typ "JWT"`, "at+jwt", "ProfileLegacy"},
		{"no typ", v, bearer(signed(header.without("typ"), good)), 0, "no typ", "at+jwt", "ProfileLegacy"},
		{"typ of an ID token", legacy, bearer(signed(header.with("typ", `"logout+jwt"`), legacyClaims)), 0, `typ "logout+jwt"`, "at+jwt, JWT or no typ", ""},
		{"unknown kid", v, bearer(signed(header.with("kid", `"k9"`), good)), 0, `kid "k9"`, `the only key: kid "k1"`, "publish the key"},
		{"the kid's algorithm", v, bearer(signed(header.with("alg", `"RS256"`), good)), 0, `alg "RS256" and kid "k1"`, "EdDSA", ""},
		{"signature", v, bearer(foreignKey.token(good)), 0, `a signature of 64 bytes that the key with kid "k1" for EdDSA does not verify`, "", "another key signed it"},
		{"short signature", v, bearer(b64(header.text()) + "." + b64(good.text()) + ".AAAA"), 0, "a signature of 3 bytes", "64 bytes", ""},
		{"exp, a string", v, bearer(signed(header, good.with("exp", `"1700003600"`))), 0, "exp, which is a string", "a number from 0 to 2^53", ""},
		{"exp, too large", v, bearer(signed(header, good.with("exp", `1e400`))), 0, `exp "1e400"`, "a number from 0 to 2^53", ""},
		{"sub, a number", v, bearer(signed(header, good.with("sub", `4711`))), 0, "sub, which is a number", "a string that is not empty", ""},
		{"empty sub", v, bearer(signed(header, good.with("sub", `""`))), 0, "sub, which is empty", "", ""},
		{"sub with a control character", v, bearer(signed(header, good.with("sub", `"a\u0000"`))), 0, "sub with a control character", "", ""},
		{"aud, an object", v, bearer(signed(header, good.with("aud", `{}`))), 0, "aud, which is an object", "a string or an array of strings", ""},
		{"aud with a number", v, bearer(signed(header, good.with("aud", `["a",1]`))), 0, "aud with a number as element 1", "", ""},
		{"scope", v, bearer(signed(header, good.with("scope", `"a  b"`))), 0, `scope "a  b"`, "single spaces", ""},
		{"act", v, bearer(signed(header, good.with("act", `{"sub":1}`))), 0, "act.sub, which is a number", "", ""},
		{"replica", v, bearer(signed(header.with("sub", `"x"`), good)), 0, "another sub in the header", "", ""},
		{"missing claims", v, bearer(signed(header, good.without("jti").without("iat"))), 0, "no iat, no jti", "exp, sub, client_id, iat, jti", "ProfileLegacy"},
		{"ID token", legacy, bearer(testKey.untyped(baseClaims.with("nonce", `"n"`).with("at_hash", `"h"`))), 0, "the claims nonce, at_hash", "an access token", "its access token"},
		{"logout token", legacy, bearer(signed(header, legacyClaims.with("events", `{}`))), 0, "the claims events", "an access token", "its access token"},
		{"kind of token", legacy, bearer(signed(header, baseClaims.with("token_use", `"ID"`))), 0, `token_use "id"`, "an access token", "its access token"},
		{"marker", legacy, bearer(signed(header, baseClaims.with("token_use", `"other"`))), 0, "token_use, a string of 5 bytes", `token_use, a string equal to "access"`, ""},
		{"expired", v, bearer(signed(header, good)), 3665 * time.Second, "exp 1700003600, 65 s ago", "at most 30 s ago", "clock"},
		{"iat ahead", v, bearer(signed(header, good.with("iat", "1700000600"))), 0, "iat 1700000600, 600 s ahead", "at most 30 s ahead", "clock"},
		{"nbf ahead", v, bearer(signed(header, good.with("nbf", "1700000600"))), 0, "nbf 1700000600, 600 s ahead", "at most 30 s ahead", "clock"},
		{"auth_time ahead", v, bearer(signed(header, good.with("auth_time", "1700000600"))), 0, "auth_time 1700000600, 600 s ahead", "", "clock"},
		{"aud", v, bearer(signed(header, good.with("aud", `["https://other.example","b","c","d","e"]`))), 0, `aud "https://other.example", "b", "c", "d" and 1 more`, `"https://api.example.com"`, "Issuer.Audiences"},
		{"no aud", v, bearer(signed(header, good.without("aud"))), 0, "no aud", `"https://api.example.com"`, ""},
		{"declared claim", v, bearer(signed(header, good.without("org"))), 0, "no org", `org, a string equal to "one"`, ""},
		{"tenant", v, bearer(signed(header, good.with("tenant", `"initech"`))), 0, `tenant "initech"`, `one of "acme", "globex"`, "Issuer.Tenant.Owned"},
		{"mapped scope", v, bearer(signed(header, good.with("scp", `["a\"b"]`))), 0, `scp with "a\"b"`, "a scope token", ""},
		{"mapped type", v, bearer(signed(header, good.with("scp", `1`))), 0, "scp, which is a number", "a string or an array of strings", ""},
		{"mapped role", v, bearer(signed(header, good.with("realm", `{"roles":["secret\u0000"]}`))), 0, "realm.roles with a value of 7 bytes", "a role", ""},
		{"bound", v, bearer(signed(header, bound)), 0, "cnf with jkt", "no cnf", ""},
		{"audience of the route", v, demanding(validator.Demands{Audiences: []string{"https://route.example"}}), 0, `aud "https://api.example.com"`, `"https://route.example"`, "Issuer.Audiences"},
		{"lifetime", v, demanding(validator.Demands{MaxLifetime: time.Minute}), 0, "exp − iat 3660 s", "at most 60 s", ""},
		{"age", v, demanding(validator.Demands{MaxTokenAge: time.Second}), 0, "iat 60 s ago", "at most 1 s ago", ""},
		{"unbound", v, demanding(validator.Demands{SenderConstrained: true}), 0, "no cnf", "cnf", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := row.v.Validate(at(row.offset), row.p)
			if err == nil {
				t.Fatal("accepted")
			}
			d := wantCause(t, err, issuertest.SecretsOf(row.p.Token)...)
			if !strings.Contains(d.Found, row.found) || !strings.Contains(d.Wanted, row.wanted) || !strings.Contains(d.Mend, row.mend) {
				t.Errorf("%s: found %s; wanted %s; mend %s", validator.ReasonOf(err), d.Found, d.Wanted, d.Mend)
			}
		})
	}
}

// TestCauseOfKeyOrder: an RSA key without alg is bound to the first RSA algorithm, and the
// cause of a token of another one says so.
func TestCauseOfKeyOrder(t *testing.T) {
	key := rsaSigner(jose.PS256, "rsa")
	config := baseConfig()
	config.Issuers[0].Keys = jwkscache.Static(jwks(key.jwk().without("alg")))
	for name, header := range map[string]object{"with kid": key.header(), "without kid": key.header().without("kid")} {
		_, err := issuertest.Validator(t, config).Validate(at(0), bearer(key.Sign(header.text(), baseClaims.text())))
		if d := wantCause(t, err); !strings.Contains(d.Mend, "put PS256 first in Issuer.Algorithms") {
			t.Errorf("%s: %v", name, causeOf(err))
		}
	}
	config.Issuers[0].Algorithms = []jose.Algorithm{jose.PS256, jose.RS256}
	expect(t, issuertest.Validator(t, config), bearer(key.token(baseClaims)), 0, "", "")
}
