package testkey_test

import (
	"errors"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// verify verifies token with the keys of the set, and returns the error.
func verify(t *testing.T, set []byte, a jose.Algorithm, token string) error {
	t.Helper()
	parsed, err := jose.ParseSet(set, []jose.Algorithm{a})
	if err != nil {
		t.Fatal(err)
	}
	u, err := jose.ParseCompact(token)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := parsed.Find(u.UnverifiedHeader())
	if err != nil {
		return err
	}
	return keys[0].Verify(&u)
}

func TestSign(t *testing.T) {
	for a := jose.RS256; a.Valid(); a++ {
		k, other := testkey.Of(a, "a"), testkey.Of(a, "b").WithID("a")
		token := k.Sign(`{"alg":"`+a.String()+`","kid":"a"}`, "no claims")
		if err := verify(t, testkey.Set(k), a, token); err != nil {
			t.Errorf("%s: %v", a, err)
		}
		if err := verify(t, testkey.Set(other), a, token); !errors.Is(err, jose.ErrSignature) {
			t.Errorf("%s: the key of another label: %v", a, err)
		}
	}
}

func TestOf(t *testing.T) {
	if testkey.Of(jose.RS256, "a").Private != testkey.Of(jose.PS512, "a").Private {
		t.Error("the RSA algorithms do not share a key")
	}
	if testkey.Of(jose.ES256, "a").Private != testkey.Of(jose.ES256, "a").Private {
		t.Error("a key is made twice")
	}
	if a, b := testkey.New(jose.ES256, "a"), testkey.New(jose.ES256, "a"); a.Private == b.Private || a.ID != "a" {
		t.Error("two new keys are one")
	}
	k := testkey.Of(jose.EdDSA, "a")
	const want = `{"alg":"EdDSA","crv":"Ed25519","kid":"a","kty":"OKP","x":"`
	if text := k.JWK(); text[:len(want)] != want || k.WithID("").Members()["kid"] != "" {
		t.Error(text)
	}
}
