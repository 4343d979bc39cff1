package testissuer_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

func decoded(tb testing.TB, text string) string {
	tb.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		tb.Fatal(err)
	}
	return string(b)
}

func TestEveryAlgorithm(t *testing.T) {
	for a := jose.RS256; a <= jose.EdDSA; a++ {
		t.Run(a.String(), func(t *testing.T) {
			issuer := inMemory(t, testissuer.Config{Algorithm: a})
			token, err := validate(t, issuer, issuer.Sign(testissuer.Token{Scope: "read write"}), a)
			if err != nil {
				t.Fatal(err)
			}
			if token.Issuer() != issuer.URL() || token.Subject() != "user-1" || token.ClientID() != "client-1" || !token.HasScope("write") {
				t.Errorf("unexpected token %v", token)
			}
			expect(t, issuer, issuer.Sign(testissuer.Token{Forgery: testissuer.ForeignKey}), validator.BadSignature, a)
			expect(t, issuer, issuer.Sign(testissuer.Token{Forgery: testissuer.Tampered}), validator.BadSignature, a)
		})
	}
}

func TestForgeries(t *testing.T) {
	tests := []struct {
		name       string
		forgery    testissuer.Forgery
		want       validator.Reason
		alg        string // in the header; "" means that of the key
		empty      bool   // the signature is empty
		algorithms []jose.Algorithm
	}{
		{name: "Tampered", forgery: testissuer.Tampered, want: validator.BadSignature},
		{name: "ForeignKey", forgery: testissuer.ForeignKey, want: validator.BadSignature},
		{name: "EmbeddedKey", forgery: testissuer.EmbeddedKey, want: validator.BadSignature},
		{name: "NoneAlgorithm", forgery: testissuer.NoneAlgorithm, want: validator.MalformedToken, alg: "none", empty: true},
		{name: "HMACWithPublicKey", forgery: testissuer.HMACWithPublicKey, want: validator.AlgorithmNotAllowed, alg: "HS256"},
		{name: "EmptySignature", forgery: testissuer.EmptySignature, want: validator.MalformedToken, empty: true},
		{name: "ZeroSignature", forgery: testissuer.ZeroSignature, want: validator.BadSignature},
		{name: "DERSignature", forgery: testissuer.DERSignature, want: validator.BadSignature, algorithms: []jose.Algorithm{jose.ES256, jose.ES384, jose.ES512}},
	}
	for _, tt := range tests {
		algorithms := tt.algorithms
		if algorithms == nil {
			algorithms = []jose.Algorithm{jose.RS256, jose.PS384, jose.ES256, jose.EdDSA}
		}
		for _, a := range algorithms {
			t.Run(fmt.Sprint(tt.name, " ", a), func(t *testing.T) {
				issuer := inMemory(t, testissuer.Config{Algorithm: a})
				token := issuer.Sign(testissuer.Token{Forgery: tt.forgery})
				expect(t, issuer, token, tt.want, a)
				// The rest of the token is good.
				header, _ := parts(t, token)
				alg := tt.alg
				if alg == "" {
					alg = a.String()
				}
				if header["alg"] != alg || header["kid"] != issuer.SigningKey() || header["typ"] != "at+jwt" {
					t.Errorf("header %v, want alg %s and kid %s", header, alg, issuer.SigningKey())
				}
				if strings.HasSuffix(token, ".") != tt.empty {
					t.Errorf("the signature is empty: %t", !tt.empty)
				}
			})
		}
	}
}

// TestEmbeddedKeyVerifies checks that the token verifies with the key in its header.
func TestEmbeddedKeyVerifies(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	token := issuer.Sign(testissuer.Token{Forgery: testissuer.EmbeddedKey})
	header, _ := parts(t, token)
	embedded := fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","x":%q,"y":%q}]}`,
		header["jwk"].(map[string]any)["x"], header["jwk"].(map[string]any)["y"])
	set, err := jose.ParseSet([]byte(embedded), nil)
	if err != nil {
		t.Fatal(err)
	}
	unverified, err := jose.ParseCompact(token)
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Keys()[0].Verify(&unverified); err != nil {
		t.Error(err)
	}
}

func TestDefaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		header, claims := parts(t, issuer.Sign(testissuer.Token{}))
		if want := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "key-1"}; !maps.Equal(header, want) {
			t.Errorf("header %v, want %v", header, want)
		}
		id := claims["jti"]
		delete(claims, "jti")
		now := float64(time.Now().Unix())
		want := map[string]any{
			"iss": "https://issuer.test", "sub": "user-1", "client_id": "client-1", "aud": audience,
			"iat": now, "exp": now + 300,
		}
		if !maps.Equal(claims, want) {
			t.Errorf("claims %v, want %v", claims, want)
		}
		if _, next := parts(t, issuer.Sign(testissuer.Token{})); next["jti"] == id || id == "" {
			t.Errorf("jti %v twice", id)
		}
		_, claims = parts(t, issuer.Sign(testissuer.Token{Lifetime: -time.Hour}))
		if claims["exp"] != now-3600 || claims["iat"] != now-3900 {
			t.Errorf("exp %v and iat %v of an expired token", claims["exp"], claims["iat"])
		}
		other := inMemory(t, testissuer.Config{Audience: "urn:api"})
		if _, claims = parts(t, other.Sign(testissuer.Token{Scope: "a"})); claims["aud"] != "urn:api" || claims["scope"] != "a" {
			t.Errorf("aud %v, scope %v", claims["aud"], claims["scope"])
		}
	})
}

// TestTokens checks that each change of a token leads to the reason for it.
func TestTokens(t *testing.T) {
	members := func(pairs ...any) map[string]any {
		m := map[string]any{}
		for pair := range slices.Chunk(pairs, 2) {
			m[pair[0].(string)] = pair[1]
		}
		return m
	}
	tests := []struct {
		name  string
		token testissuer.Token
		want  validator.Reason
	}{
		{name: "good", token: testissuer.Token{Scope: "a b", Lifetime: time.Hour}},
		{name: "audiences", token: testissuer.Token{Claims: members("aud", []string{"urn:x", audience})}},
		{name: "wrong audience", token: testissuer.Token{Claims: members("aud", "urn:x")}, want: validator.WrongAudience},
		{name: "no exp", token: testissuer.Token{Claims: members("exp", nil)}, want: validator.BadClaims},
		{name: "exp as text", token: testissuer.Token{Claims: members("exp", "never")}, want: validator.BadClaims},
		{name: "expired", token: testissuer.Token{Lifetime: -time.Minute}, want: validator.Expired},
		{name: "not yet valid", token: testissuer.Token{Claims: members("nbf", time.Now().Unix()+3600)}, want: validator.NotYetValid},
		{name: "another issuer", token: testissuer.Token{Claims: members("iss", "https://issuer.test/")}, want: validator.UnknownIssuer},
		{name: "bound", token: testissuer.Token{Claims: members("cnf", members("jkt", "x"))}, want: validator.BindingMismatch},
		{name: "typ", token: testissuer.Token{Header: members("typ", "JWT")}, want: validator.WrongType},
		{name: "no alg", token: testissuer.Token{Header: members("alg", nil)}, want: validator.AlgorithmNotAllowed},
		{name: "unknown kid", token: testissuer.Token{Header: members("kid", "x")}, want: validator.UnknownKey},
		{name: "no kid, one key", token: testissuer.Token{Header: members("kid", nil)}},
		{name: "broken header", token: testissuer.Token{RawHeader: `{"alg":"ES256"`}, want: validator.MalformedToken},
		{name: "broken claims", token: testissuer.Token{RawClaims: `{"iss":"https://issuer.test","iss":"https://issuer.test"}`}, want: validator.MalformedToken},
		{name: "raw claims", token: testissuer.Token{RawClaims: `{"iss":"https://issuer.test"}`}, want: validator.BadClaims},
	}
	issuer := inMemory(t, testissuer.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { expect(t, issuer, issuer.Sign(tt.token), tt.want) })
	}
}

func TestAlgorithmOfToken(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{Algorithm: jose.RS256})
	signed := issuer.Sign(testissuer.Token{Algorithm: jose.PS512})
	expect(t, issuer, signed, validator.AlgorithmNotAllowed, jose.RS256, jose.PS512) // the key decides the algorithm
	issuer.Retire("key-1")
	issuer.AddKey(testissuer.Key{ID: "pss", Algorithm: jose.PS512})
	expect(t, issuer, issuer.Sign(testissuer.Token{Key: "pss"}), "", jose.PS512)

	edwards := inMemory(t, testissuer.Config{Algorithm: jose.EdDSA})
	expect(t, edwards, edwards.Sign(testissuer.Token{Header: map[string]any{"alg": "Ed25519"}}), "")
}

func TestSignPanics(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	edwards := issuer.AddKey(testissuer.Key{Algorithm: jose.EdDSA})
	rsa := issuer.AddKey(testissuer.Key{Algorithm: jose.RS256})
	tests := []struct {
		name  string
		token testissuer.Token
		want  string
	}{
		{"unknown key", testissuer.Token{Key: "x"}, `no key "x"`},
		{"algorithm of another key type", testissuer.Token{Algorithm: jose.RS256}, `key "key-1" of ES256 cannot sign with RS256`},
		{"algorithm that is not RSA", testissuer.Token{Key: rsa, Algorithm: jose.EdDSA}, "of RS256 cannot sign with EdDSA"},
		{"algorithm of another curve", testissuer.Token{Algorithm: jose.ES384}, "cannot sign with ES384"},
		{"DER of EdDSA", testissuer.Token{Key: edwards, Forgery: testissuer.DERSignature}, "needs an ECDSA key"},
		{"unknown forgery", testissuer.Token{Forgery: 99}, "Forgery"},
		{"not JSON", testissuer.Token{Claims: map[string]any{"x": func() {}}}, "cannot be written as JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := panics(t, func() { issuer.Sign(tt.token) }); !strings.Contains(got, tt.want) {
				t.Errorf("panicked with %q, want %q", got, tt.want)
			}
		})
	}
}
