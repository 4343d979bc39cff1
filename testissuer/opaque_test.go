package testissuer_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

func TestOpaque(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{Audience: "urn:api"})
	a, b := issuer.Opaque(testissuer.Token{}), issuer.Opaque(testissuer.Token{Prefix: "at_"})
	if a == b || len(a) < 26 || len(b) != len(a)+3 || !strings.HasPrefix(b, "at_") || strings.Contains(a, ".") {
		t.Errorf("%q, %q", a, b)
	}
	if m := object(t, ask(t, issuer, a).body); m["aud"] != "urn:api" || m["scope"] != nil {
		t.Errorf("%v", m)
	}
	text := issuer.Opaque(testissuer.Token{Prefix: "p", Text: "a b.c+é", Claims: map[string]any{
		"sub": nil, "token_type": "DPoP", "cnf": map[string]any{"jkt": "x"}, "aud": []string{},
	}})
	m := object(t, ask(t, issuer, text).body)
	if _, has := m["sub"]; has || text != "pa b.c+é" || m["token_type"] != "DPoP" || !equal(m["aud"], []any{}) || !equal(m["cnf"], members{"jkt": "x"}) {
		t.Errorf("%q: %v", text, m)
	}
	raw := issuer.Opaque(testissuer.Token{RawClaims: `{"active": true, "x": 1e2, "x": 2`})
	if body := ask(t, issuer, raw).body; body != `{"active": true, "x": 1e2, "x": 2` {
		t.Error(body)
	}
	if body := ask(t, issuer, issuer.Opaque(testissuer.Token{RawClaims: `{"active":true,"exp":1}`})).body; body != `{"active":true,"exp":1}` {
		t.Errorf("an exact answer whose exp is past: %s", body)
	}
	looksLikeJWT := issuer.Opaque(testissuer.Token{Text: issuer.Sign(testissuer.Token{Claims: map[string]any{"sub": "x"}})})
	if m := object(t, ask(t, issuer, looksLikeJWT).body); m["sub"] != "user-1" {
		t.Errorf("an opaque token that looks like a JWT: %v", m)
	}
	tests := map[string]testissuer.Token{
		"Header": {Header: map[string]any{}}, "RawHeader": {RawHeader: "x"}, "Key": {Key: "key-1"},
		"Algorithm": {Algorithm: jose.ES256}, "Forgery": {Forgery: testissuer.Tampered},
	}
	for name, token := range tests {
		if text := panics(t, func() { issuer.Opaque(token) }); !strings.Contains(text, "are for Sign") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if text := panics(t, func() { issuer.Opaque(testissuer.Token{Text: a}) }); !strings.Contains(text, "there is a token") {
		t.Error(text)
	}
	for _, token := range []testissuer.Token{{Text: "x"}, {Prefix: "x"}} {
		if text := panics(t, func() { issuer.Sign(token) }); !strings.Contains(text, "are for Opaque") {
			t.Error(text)
		}
	}
}

// TestTimesOfTokens checks exp and nbf to the second, of opaque tokens and of JWTs, and
// tokens whose exp is missing or no number.
func TestTimesOfTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		begin := time.Now().Unix() + 10
		for _, issue := range []func(testissuer.Token) string{issuer.Opaque, issuer.Sign} {
			token := issue(testissuer.Token{Lifetime: time.Duration(begin+20-time.Now().Unix()) * time.Second, Claims: map[string]any{"nbf": begin}})
			endless := issue(testissuer.Token{Claims: map[string]any{"exp": nil}})
			odd := issue(testissuer.Token{Claims: map[string]any{"exp": "x"}})
			for _, step := range []struct {
				at     int64
				active bool
			}{{begin - 1, false}, {begin, true}, {begin + 19, true}, {begin + 20, false}} {
				time.Sleep(time.Until(time.Unix(step.at, 0)))
				if isActive(t, issuer, token) != step.active {
					t.Errorf("at %d, want active %t", step.at-begin, step.active)
				}
			}
			time.Sleep(24 * time.Hour)
			if !isActive(t, issuer, endless) || !isActive(t, issuer, odd) {
				t.Error("a token without a number as exp has expired")
			}
			begin = time.Now().Unix() + 10
		}
	})
}

// TestIntrospectionOverLoopback checks all three endpoints over sockets, with and
// without TLS.
func TestIntrospectionOverLoopback(t *testing.T) {
	for name, config := range map[string]testissuer.Config{"http": {URL: "/tenant"}, "https": {TLS: true}} {
		issuer := start(t, config)
		token := issuer.Opaque(testissuer.Token{})
		if !isActive(t, issuer, token) || granted(t, issuer, nil)["access_token"] == nil {
			t.Errorf("%s: no good answers", name)
		}
		post(t, issuer, form{url: issuer.RevocationURL(), values: url.Values{"token": {token}}})
		if isActive(t, issuer, token) {
			t.Errorf("%s: active after revocation", name)
		}
		issuer.Down(true)
		if a, err := send(t, issuer, form{values: url.Values{"token": {token}}}); err == nil {
			t.Errorf("%s: answered %v while down", name, a)
		}
		issuer.Down(false)
		if a := ask(t, issuer, token); a.status != http.StatusOK {
			t.Errorf("%s: %v", name, a)
		}
	}
}
