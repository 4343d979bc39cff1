package introspection

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

// verified checks an assertion with the public key of key, as a server does.
func verified(t *testing.T, assertion string, key crypto.Signer, a jose.Algorithm) []strictjson.Member {
	t.Helper()
	jwk, err := strictjson.Marshal(testkey.PublicJWK(key.Public()))
	if err != nil {
		t.Fatal(err)
	}
	public, err := jose.ParseKey([]byte(strings.TrimSuffix(jwk, "}")+`,"alg":"`+a.String()+`"}`), []jose.Algorithm{a})
	if err != nil {
		t.Fatal(err)
	}
	unverified, err := jose.ParseCompact(assertion)
	if err != nil {
		t.Fatal(err)
	}
	if err := public.Verify(&unverified); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	members, err := strictjson.ParseObject(unverified.UnverifiedPayload(), strictjson.TokenLimits, nil)
	if err != nil {
		t.Fatal(err)
	}
	return members
}

func pemOf(kind string, der []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestAssertion checks the assertions of all algorithms and forms of keys: aud is one
// string and the issuer byte for byte, iat is not ahead, there is no nbf, exp is a
// minute ahead, and jti differs for each request (R-IN-02, RFC 7523 §3).
func TestAssertion(t *testing.T) {
	rsaKey, p256, p384, p521, ed := testkey.NewPrivate(jose.RS256), testkey.NewPrivate(jose.ES256), testkey.NewPrivate(jose.ES384), testkey.NewPrivate(jose.ES512), testkey.NewPrivate(jose.EdDSA)
	ec, err := x509.MarshalECPrivateKey(p256.(*ecdsa.PrivateKey))
	sec1 := pemOf("EC PARAMETERS", []byte{6, 8}, nil) + pemOf("EC PRIVATE KEY", ec, err)
	pkcs1 := pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey.(*rsa.PrivateKey)), nil)
	for name, test := range map[string]struct {
		configured introspect.PrivateKeyJWT
		key        crypto.Signer
		algorithm  jose.Algorithm
	}{
		"RSA":       {introspect.PrivateKeyJWT{Signer: rsaKey}, rsaKey, jose.RS256},
		"PS256":     {introspect.PrivateKeyJWT{Signer: rsaKey, Algorithm: jose.PS256}, rsaKey, jose.PS256},
		"PS512":     {introspect.PrivateKeyJWT{Signer: rsaKey, Algorithm: jose.PS512}, rsaKey, jose.PS512},
		"RS384":     {introspect.PrivateKeyJWT{Signer: rsaKey, Algorithm: jose.RS384}, rsaKey, jose.RS384},
		"P-256":     {introspect.PrivateKeyJWT{Signer: p256}, p256, jose.ES256},
		"P-384":     {introspect.PrivateKeyJWT{Signer: p384}, p384, jose.ES384},
		"P-521":     {introspect.PrivateKeyJWT{Signer: p521, Algorithm: jose.ES512}, p521, jose.ES512},
		"Ed25519":   {introspect.PrivateKeyJWT{Signer: ed}, ed, jose.EdDSA},
		"PKCS 8":    {introspect.PrivateKeyJWT{Key: introspect.SecretText(privatePEM(t, ed))}, ed, jose.EdDSA},
		"PKCS 1":    {introspect.PrivateKeyJWT{Key: introspect.SecretText(pkcs1), Algorithm: jose.PS256}, rsaKey, jose.PS256},
		"SEC 1":     {introspect.PrivateKeyJWT{Key: introspect.SecretText(sec1)}, p256, jose.ES256},
		"with kid":  {introspect.PrivateKeyJWT{Signer: p256, KeyID: "k1"}, p256, jose.ES256},
		"other aud": {introspect.PrivateKeyJWT{Signer: p256, Audience: "https://as.example/token"}, p256, jose.ES256},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, nil)
			client, b := s.client(), s.binding()
			client.Authentication = test.configured
			b.Issuer = issuerURL + "/a/"
			x := exchanging(t, client, b)
			seen := map[string]bool{}
			for range 2 {
				if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" {
					t.Fatal(a.err)
				}
				form := s.got()[s.count()-1].form
				if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Get("client_id") != apiID {
					t.Errorf("%v", form)
				}
				assertion := form.Get("client_assertion")
				members := verified(t, assertion, test.key, test.algorithm)
				want := map[string]string{"iss": `"api"`, "sub": `"api"`, "aud": `"` + orText(test.configured.Audience, b.Issuer) + `"`, "nbf": ""}
				for name, raw := range want {
					if got := claims.Lookup(members, name).Raw(); got != raw {
						t.Errorf("%s is %s, want %s", name, got, raw)
					}
				}
				issued, _ := claims.Date(claims.Lookup(members, "iat"))
				expiry, _ := claims.Date(claims.Lookup(members, "exp"))
				if ahead := time.Until(issued); ahead > 0 || ahead < -10*time.Second || expiry.Sub(issued) != time.Minute {
					t.Errorf("iat %v, exp %v", issued, expiry)
				}
				seen[claims.Lookup(members, "jti").Raw()] = true
				header, _ := base64.RawURLEncoding.DecodeString(assertion[:strings.IndexByte(assertion, '.')])
				if strings.Contains(string(header), "kid") != (test.configured.KeyID != "") {
					t.Errorf("header %s", header)
				}
			}
			if len(seen) != 2 || seen[""] {
				t.Errorf("jti %v", seen)
			}
		})
	}
}

// TestUnusableKeys checks that a key that cannot sign is NoCredentials, that nothing is
// sent, and that the cause quotes nothing of the key.
func TestUnusableKeys(t *testing.T) {
	small := pemOf("PRIVATE KEY", []byte("CANARY-KEY"), nil)
	p256 := privatePEM(t, testkey.NewPrivate(jose.ES256))
	certificate, _ := selfSigned(t, "a", nil)
	for name, test := range map[string]introspect.PrivateKeyJWT{
		"no PEM":          {Key: introspect.SecretText("CANARY-KEY")},
		"broken":          {Key: introspect.SecretText(small)},
		"encrypted":       {Key: introspect.SecretText(pemOf("ENCRYPTED PRIVATE KEY", []byte("CANARY-KEY"), nil))},
		"a certificate":   {Key: introspect.SecretText(certificate)},
		"other algorithm": {Key: introspect.SecretText(p256), Algorithm: jose.RS256},
		"other curve":     {Key: introspect.SecretText(p256), Algorithm: jose.ES384},
	} {
		s := serve(t, nil)
		a := s.asking(t, func(c *introspect.Client) { c.Authentication = test })
		if a.kind != introspect.NoCredentials || a.requests != 0 || a.reached || s.count() != 0 || strings.Contains(a.err.Error(), "CANARY") {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// TestRepeatedAssertion checks that a repeated request has an assertion of its own.
func TestRepeatedAssertion(t *testing.T) {
	closing := 0
	s := unstarted(t, func(w http.ResponseWriter, _ received) {
		if closing++; closing == 2 {
			panic(http.ErrAbortHandler) // the connection ends without an answer
		}
		say(w, 200, activeBody)
	})
	s.EnableHTTP2 = false
	s.StartTLS()
	client := s.client()
	client.Authentication = introspect.PrivateKeyJWT{Signer: testkey.NewPrivate(jose.ES256)}
	x := exchanging(t, client, s.binding())
	x.ask(t.Context(), Question{Token: "t"})
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" || a.requests != 2 {
		t.Fatalf("%+v", a)
	}
	got := s.got()
	if len(got) != 3 || got[1].form.Get("client_assertion") == got[2].form.Get("client_assertion") || got[1].form.Get("token") != got[2].form.Get("token") {
		t.Errorf("%d requests", len(got))
	}
}
