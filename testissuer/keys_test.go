package testissuer_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// jwks returns the published keys.
func jwks(tb testing.TB, issuer *testissuer.Issuer) (keys []map[string]any) {
	tb.Helper()
	for _, k := range object(tb, string(issuer.JWKS()))["keys"].([]any) {
		keys = append(keys, k.(map[string]any))
	}
	return keys
}

// TestRotation checks a rotation in steps: publish, switch, retire.
func TestRotation(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	first := issuer.Sign(testissuer.Token{})
	next := issuer.AddKey(testissuer.Key{Unpublished: true})
	early := issuer.Sign(testissuer.Token{Key: next})
	expect(t, issuer, early, validator.UnknownKey)
	issuer.Publish(next)
	expect(t, issuer, early, "")
	if header, _ := parts(t, issuer.Sign(testissuer.Token{})); header["kid"] != "key-1" || issuer.SigningKey() != "key-1" {
		t.Errorf("the added key signs already: %v", header)
	}
	issuer.Use(next)
	if header, _ := parts(t, issuer.Sign(testissuer.Token{})); header["kid"] != next || issuer.SigningKey() != next {
		t.Errorf("the key in use does not sign: %v", header)
	}
	expect(t, issuer, first, "")
	issuer.Retire("key-1")
	expect(t, issuer, first, validator.UnknownKey)
	expect(t, issuer, issuer.Sign(testissuer.Token{}), "")
	expect(t, issuer, issuer.Sign(testissuer.Token{Key: "key-1"}), validator.UnknownKey)
	if keys := jwks(t, issuer); len(keys) != 1 || keys[0]["kid"] != next {
		t.Errorf("published are %v", keys)
	}
}

func TestRotate(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	issuer.Use(issuer.AddKey(testissuer.Key{Algorithm: jose.EdDSA}))
	before := issuer.Sign(testissuer.Token{})
	id := issuer.Rotate()
	after := issuer.Sign(testissuer.Token{})
	if header, _ := parts(t, after); header["kid"] != id || header["alg"] != "EdDSA" || id != "key-3" {
		t.Errorf("header %v after rotation to %s", header, id)
	}
	expect(t, issuer, before, "")
	expect(t, issuer, after, "")
}

func TestMembers(t *testing.T) {
	tests := []struct {
		name string
		keys []testissuer.Key // the last one signs
		kid  any              // of the token
		want validator.Reason
	}{
		{name: "named", keys: []testissuer.Key{{ID: "a"}}, kid: "a"},
		{name: "without alg", keys: []testissuer.Key{{Members: map[string]any{"alg": nil}}}, kid: "key-2"},
		{name: "without kid", keys: []testissuer.Key{{Algorithm: jose.EdDSA, Members: map[string]any{"kid": nil}}}},
		{
			name: "kid of another key", keys: []testissuer.Key{{ID: "a"}, {ID: "b", Members: map[string]any{"kid": "a"}}},
			kid: "a",
		},
		{
			name: "two without kid", keys: []testissuer.Key{{Members: map[string]any{"kid": nil}}, {Members: map[string]any{"kid": nil}}},
		},
		{name: "for encryption", keys: []testissuer.Key{{ID: "a", Members: map[string]any{"use": "enc"}}}, kid: "a", want: validator.UnknownKey},
		{name: "kid as a number", keys: []testissuer.Key{{Members: map[string]any{"kid": 1}}}, kid: 1.0, want: validator.MalformedToken},
		{name: "wrong alg", keys: []testissuer.Key{{ID: "a", Members: map[string]any{"alg": "ES384"}}}, kid: "a", want: validator.UnknownKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issuer := inMemory(t, testissuer.Config{})
			for _, k := range tt.keys {
				issuer.Use(issuer.AddKey(k))
			}
			token := issuer.Sign(testissuer.Token{})
			if header, _ := parts(t, token); header["kid"] != tt.kid {
				t.Errorf("kid %v, want %v", header["kid"], tt.kid)
			}
			expect(t, issuer, token, tt.want)
		})
	}
}

func TestPublishedJWK(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	issuer.AddKey(testissuer.Key{ID: "a", Members: map[string]any{"alg": nil, "kid": nil, "use": "x", "extra": []int{1}}})
	keys := jwks(t, issuer)
	if keys[0]["kty"] != "EC" || keys[0]["alg"] != "ES256" || keys[0]["use"] != "sig" || keys[0]["kid"] != "key-1" {
		t.Errorf("JWK %v", keys[0])
	}
	_, alg := keys[1]["alg"]
	_, kid := keys[1]["kid"]
	if alg || kid || keys[1]["use"] != "x" || keys[1]["extra"] == nil {
		t.Errorf("changed JWK %v", keys[1])
	}
}

func TestExtraJWKs(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	issuer.ExtraJWKs(`{"kty":"AKP","alg":"ML-DSA-44"}`)
	issuer.ExtraJWKs(`{"kty":"oct","k":"AAAA","kid":"key-1"}`, `7`)
	set, err := jose.ParseSet(issuer.JWKS(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ignored := set.Ignored()
	if len(ignored) != 2 || !ignored[0].Private || ignored[1].Index != 1 || len(set.Keys()) != 1 {
		t.Errorf("ignored %v, kept %d keys", ignored, len(set.Keys()))
	}
	expect(t, issuer, issuer.Sign(testissuer.Token{}), "")
	issuer.ExtraJWKs()
	if n := len(jwks(t, issuer)); n != 1 {
		t.Errorf("%d keys are left", n)
	}
	issuer.ExtraJWKs(`{`)
	if _, err := jose.ParseSet(issuer.JWKS(), nil); err == nil {
		t.Error("a broken text did not break the set")
	}
}

// TestRSAKeysAreNotShared checks that no two RSA keys of open issuers are the same.
func TestRSAKeysAreNotShared(t *testing.T) {
	first := inMemory(t, testissuer.Config{Algorithm: jose.RS256})
	first.Rotate()
	second := inMemory(t, testissuer.Config{Algorithm: jose.PS256})
	seen := map[any]bool{}
	for _, k := range append(jwks(t, first), jwks(t, second)...) {
		if seen[k["n"]] {
			t.Errorf("key %v is also another key", k["kid"])
		}
		seen[k["n"]] = true
	}
	second.Close()
	second.Close() // must not recycle its key twice
	third := inMemory(t, testissuer.Config{Algorithm: jose.PS256})
	third.Rotate()
	if keys := jwks(t, third); keys[0]["n"] == keys[1]["n"] {
		t.Error("one key was taken twice")
	}
}

func TestKeysPanic(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	for want, f := range map[string]func(){
		`there is a key "key-1" already`: func() { issuer.AddKey(testissuer.Key{ID: "key-1"}) },
		"Algorithm":                      func() { issuer.AddKey(testissuer.Key{Algorithm: 99}) },
		"cannot be written as JSON":      func() { issuer.AddKey(testissuer.Key{Members: map[string]any{"x": func() {}}}) },
		`there is no key "a"`:            func() { issuer.Use("a") },
		`there is no key "b"`:            func() { issuer.Publish("b") },
		`there is no key "c"`:            func() { issuer.Retire("c") },
	} {
		if got := panics(t, f); !strings.Contains(got, want) {
			t.Errorf("panicked with %q, want %q", got, want)
		}
	}
}

// TestNamesAreFree checks that a chosen ID is never one that the test gave.
func TestNamesAreFree(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	issuer.AddKey(testissuer.Key{ID: "key-3"})
	if id := issuer.AddKey(testissuer.Key{}); id != "key-4" {
		t.Errorf("the third key is %s", id)
	}
}

// TestConcurrency uses an issuer concurrently, for the race detector.
func TestConcurrency(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{Algorithm: jose.EdDSA})
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 4 {
				id := issuer.Rotate()
				issuer.Sign(testissuer.Token{Key: id, Scope: "a"})
				issuer.ExtraJWKs(`{}`)
				issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Times: 2, Status: 500})
				issuer.Metadata(testissuer.OAuthMetadata, func(m map[string]any) { m["x"] = issuer.SigningKey() })
				get(t, issuer, issuer.JWKSURL())
				get(t, issuer, issuer.URL()+"/.well-known/oauth-authorization-server")
				issuer.Retire(id)
			}
		})
	}
	group.Wait()
	if n := issuer.Requests(testissuer.JWKS); n != 32 {
		t.Errorf("%d requests counted, want 32", n)
	}
}
