package introspection

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

// failingSigner is a key whose device does not sign.
type failingSigner struct{ crypto.Signer }

func (failingSigner) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errInjected
}

// TestFailingSigner checks that no request is sent without a signature (R-IN-02).
func TestFailingSigner(t *testing.T) {
	s := serve(t, nil)
	a := s.asking(t, func(c *introspect.Client) {
		c.Authentication = introspect.PrivateKeyJWT{Signer: failingSigner{testkey.NewPrivate(jose.ES256)}}
	})
	if a.kind != introspect.NoCredentials || !errors.Is(a.err, errInjected) || !strings.Contains(a.err.Error(), "cannot be signed") || s.count() != 0 {
		t.Errorf("%+v", a)
	}
}

// TestAssertionTexts checks that text which is not UTF-8 is never signed, whichever part
// of the assertion it is for.
func TestAssertionTexts(t *testing.T) {
	key, err := newSigner(testkey.NewPrivate(jose.ES256), 0)
	if err != nil {
		t.Fatal(err)
	}
	for cause, a := range map[string]*assertion{
		"KeyID cannot be written":           {keyID: "\xff"},
		"ID and Audience cannot be written": {audience: "\xff"},
	} {
		if signed, err := a.sign(key, time.Now()); signed != "" || err == nil || !strings.Contains(err.Error(), cause) {
			t.Errorf("%s: %q, %v", cause, signed, err)
		}
	}
}

// TestKeyTexts checks which texts have no private key that can sign.
func TestKeyTexts(t *testing.T) {
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no PEM":        "x",
		"broken PKCS 8": pemOf("PRIVATE KEY", []byte("x"), nil),
		"broken PKCS 1": pemOf("RSA PRIVATE KEY", []byte("x"), nil),
		"broken SEC 1":  pemOf("EC PRIVATE KEY", []byte("x"), nil),
		"encrypted":     pemOf("ENCRYPTED PRIVATE KEY", []byte("x"), nil),
		"key agreement": privatePEM(t, agreement),
	} {
		if key, err := parseKey(text); key != nil || !errors.Is(err, errNoKey) {
			t.Errorf("%s: %v", name, err)
		}
		s := serve(t, nil)
		a := s.asking(t, func(c *introspect.Client) {
			c.Authentication = introspect.PrivateKeyJWT{Key: introspect.SecretText(text)}
		})
		if a.kind != introspect.NoCredentials || !errors.Is(a.err, errNoKey) || s.count() != 0 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// TestKeyAlgorithms checks that a key signs with no algorithm of another type of key, and
// that a key without a modulus is none.
func TestKeyAlgorithms(t *testing.T) {
	for _, test := range []struct {
		key    crypto.Signer
		wanted jose.Algorithm
		ok     bool
	}{
		{testkey.NewPrivate(jose.RS256), jose.PS384, true},
		{testkey.NewPrivate(jose.RS256), jose.ES256, false},
		{testkey.NewPrivate(jose.RS256), jose.EdDSA, false},
		{testkey.NewPrivate(jose.ES256), jose.PS256, false},
		{testkey.NewPrivate(jose.EdDSA), jose.RS256, false},
	} {
		if s, err := newSigner(test.key, test.wanted); (err == nil) != test.ok || test.ok && s.algorithm != test.wanted {
			t.Errorf("%T, %s: %v", test.key, test.wanted, err)
		}
	}
	if _, err := algorithmOf(&rsa.PublicKey{}); !errors.Is(err, errKeyType) {
		t.Error(err)
	}
}

// TestSignatureForms checks what a signer may return for an ECDSA key: one ASN.1 sequence
// of two positive integers that fit (RFC 7518 §3.4).
func TestSignatureForms(t *testing.T) {
	const size = 32
	large := new(big.Int).Lsh(big.NewInt(1), 8*size)
	largest := new(big.Int).Sub(large, big.NewInt(1))
	pair := func(r, s *big.Int, more ...byte) []byte {
		der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil {
			t.Fatal(err)
		}
		return append(der, more...)
	}
	one, zero, negative := big.NewInt(1), big.NewInt(0), big.NewInt(-1)
	for name, test := range map[string]struct {
		signature []byte
		ok        bool
	}{
		"small":       {pair(one, one), true},
		"largest":     {pair(largest, largest), true},
		"nothing":     {nil, false},
		"no ASN.1":    {make([]byte, 2*size), false},
		"a byte more": {pair(one, one, 0), false},
		"R is 0":      {pair(zero, one), false},
		"S is 0":      {pair(one, zero), false},
		"R below 0":   {pair(negative, one), false},
		"S below 0":   {pair(one, negative), false},
		"large R":     {pair(large, one), false},
		"large S":     {pair(one, large), false},
	} {
		out, err := fixedLength(test.signature, size)
		if test.ok != (err == nil) || test.ok != (len(out) == 2*size) || err != nil && !errors.Is(err, errSignature) {
			t.Errorf("%s: %x, %v", name, out, err)
		}
	}
	s := signer{otherForm{testkey.NewPrivate(jose.ES256).(*ecdsa.PrivateKey)}, jose.ES256}
	if signature, err := s.sign("x"); signature != nil || !errors.Is(err, errSignature) {
		t.Errorf("%x, %v", signature, err)
	}
}

// otherForm is a key whose device returns signatures in another form.
type otherForm struct{ *ecdsa.PrivateKey }

func (otherForm) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return []byte("x"), nil }
