package issuerkeys_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

const issuer = "https://issuer.example"

func encode(b []byte) string { return testkey.Encode(b) }

// newKey returns a key and its JWK.
func newKey(kid string) testkey.Key { return testkey.New(jose.EdDSA, kid) }

// sign returns a token signed by key.
func sign(t *testing.T, key testkey.Key, header string) *jose.Unverified {
	t.Helper()
	u, err := jose.ParseCompact(key.Sign(header, "{}"))
	if err != nil {
		t.Fatal(err)
	}
	return &u
}

func open(t *testing.T, source jwkscache.Source, algorithms ...jose.Algorithm) *issuerkeys.Keys {
	t.Helper()
	keys, err := issuerkeys.Open(source, issuerkeys.Binding{Issuer: issuer, Algorithms: algorithms})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// TestStatic covers R-JK-01: the keys of an issuer are those of its own document,
// which is copied.
func TestStatic(t *testing.T) {
	key := newKey("a")
	document := []byte(`{"keys":[` + key.JWK() + `,{"kty":"oct","kid":"s","k":"AA"}]}`)
	source := jwkscache.Static(document)
	clear(document)
	keys := open(t, source, jose.EdDSA)

	token := sign(t, key, `{"alg":"EdDSA","kid":"a"}`)
	found, err := keys.Find(t.Context(), time.Now(), token.UnverifiedHeader())
	if err != nil || len(found.Keys) != 1 {
		t.Fatalf("found %d keys, %v", len(found.Keys), err)
	}
	if err := found.Keys[0].Verify(token); err != nil {
		t.Error(err)
	}
	for header, want := range map[string]error{
		`{"alg":"EdDSA","kid":"b"}`: jose.ErrUnknownKey,
		`{"alg":"ES256","kid":"a"}`: jose.ErrAlgorithm,
		`{"alg":"HS256","kid":"s"}`: jose.ErrAlgorithm,
	} {
		if found, err := keys.Find(t.Context(), time.Now(), sign(t, key, header).UnverifiedHeader()); len(found.Keys) != 0 || !errors.Is(err, want) {
			t.Errorf("%s: %d keys, %v, want %v", header, len(found.Keys), err, want)
		}
	}
	ignored := keys.Ignored()
	if len(ignored) != 1 || ignored[0].Index != 1 || ignored[0].KeyID != "s" || !ignored[0].Private || !errors.Is(ignored[0].Reason, jose.ErrUnusableKey) {
		t.Errorf("ignored %+v", ignored)
	}
}

// TestStaticIssuersAreApart covers R-JK-02: one source opened for two issuers, and
// two sources with one kid.
func TestStaticIssuersAreApart(t *testing.T) {
	keyA, keyB := newKey("k"), newKey("k")
	a := open(t, jwkscache.Static(testkey.Set(keyA)), jose.EdDSA)
	b := open(t, jwkscache.Static(testkey.Set(keyB)), jose.EdDSA)
	for _, row := range []struct {
		keys *issuerkeys.Keys
		key  testkey.Key
		want error
	}{{a, keyA, nil}, {b, keyB, nil}, {a, keyB, jose.ErrSignature}, {b, keyA, jose.ErrSignature}} {
		token := sign(t, row.key, `{"alg":"EdDSA","kid":"k"}`)
		found, err := row.keys.Find(t.Context(), time.Now(), token.UnverifiedHeader())
		if err != nil || len(found.Keys) != 1 {
			t.Fatalf("found %d keys, %v", len(found.Keys), err)
		}
		if err := found.Keys[0].Verify(token); !errors.Is(err, row.want) {
			t.Errorf("error %v, want %v", err, row.want)
		}
	}
}

// TestStaticAlgorithms covers R-JS-07: the RSA keys of a set are bound to the
// algorithms of the issuer that the source is opened for.
func TestStaticAlgorithms(t *testing.T) {
	modulus := make([]byte, 256)
	modulus[0], modulus[255] = 0x80, 1
	source := jwkscache.Static([]byte(`{"keys":[{"kty":"RSA","e":"AQAB","n":"` + encode(modulus) + `"}]}`))
	key := newKey("")
	header := sign(t, key, `{"alg":"PS256"}`).UnverifiedHeader()
	for _, row := range []struct {
		list []jose.Algorithm
		want error
	}{
		{[]jose.Algorithm{jose.PS256, jose.RS256}, nil},
		{[]jose.Algorithm{jose.RS256, jose.PS256}, jose.ErrUnknownKey},
		{[]jose.Algorithm{jose.ES256}, jose.ErrUnknownKey},
	} {
		if _, err := open(t, source, row.list...).Find(t.Context(), time.Now(), header); !errors.Is(err, row.want) {
			t.Errorf("%v: error %v, want %v", row.list, err, row.want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	binding := issuerkeys.Binding{Issuer: issuer, Algorithms: []jose.Algorithm{jose.EdDSA}}
	keys, err := issuerkeys.Open(nil, binding)
	if keys != nil || err == nil || err.Error() != "jwkscache: Keys is no source of keys; use a source of package jwkscache" {
		t.Errorf("no source: %v, %v", keys, err)
	}
	for _, document := range []string{"", "{}", "[]", `{"keys":null}`, `{"keys":[],"keys":[]}`} {
		keys, err := issuerkeys.Open(jwkscache.Static([]byte(document)), binding)
		if keys != nil || !errors.Is(err, jose.ErrNotJWKS) {
			t.Fatalf("%q: %v, %v", document, keys, err)
		}
		if text := err.Error(); !strings.HasPrefix(text, "jwkscache: Keys has a document that cannot be used: ") {
			t.Errorf("%q: %s", document, text)
		}
	}
	// A set without usable keys is no error: its tokens are refused.
	empty := open(t, jwkscache.Static([]byte(`{"keys":[]}`)), jose.EdDSA)
	key := newKey("a")
	if _, err := empty.Find(t.Context(), time.Now(), sign(t, key, `{"alg":"EdDSA","kid":"a"}`).UnverifiedHeader()); !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("empty set: %v", err)
	}
}

func TestDiscoveredNeedsLocate(t *testing.T) {
	if _, err := issuerkeys.Open(jwkscache.Discovered(), issuerkeys.Binding{}); err == nil {
		t.Error("opened without Locate")
	}
}
