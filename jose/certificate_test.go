package jose_test

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// selfSigned returns a certificate of key in the base64 of x5c.
func selfSigned(t *testing.T, key crypto.Signer) string {
	t.Helper()
	return base64.StdEncoding.EncodeToString(certificateOf(t, key))
}

// serial is the serial number of every certificate in these tests.
const serial = "\x7f\x11\x22\x33\x44\x55\x66\x77"

// certificateOf returns a self-signed certificate of key in DER.
func certificateOf(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: new(big.Int).SetBytes([]byte(serial))}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// patched returns der with the first occurrence of old replaced, in base64.
func patched(t *testing.T, der []byte, old, replacement string) string {
	t.Helper()
	if !bytes.Contains(der, []byte(old)) {
		t.Fatalf("the certificate has no %x", old)
	}
	return base64.StdEncoding.EncodeToString(bytes.Replace(der, []byte(old), []byte(replacement), 1))
}

// TestCertificate covers R-JK-18: a key is ignored if its first x5c certificate can
// be read and has another key. A certificate that cannot be read is ignored itself.
func TestCertificate(t *testing.T) {
	const (
		rsaEncryption = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00" // with its NULL
		rsaPSS        = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x05\x00"
		p256Curve     = "\x2a\x86\x48\xce\x3d\x03\x01\x07"
		p192Curve     = "\x2a\x86\x48\xce\x3d\x03\x01\x01"
	)
	negative := "\xff" + serial[1:]
	r, ec, ed := public(rsaKey()), public(p256Key()), public(edKey())
	ownDER, otherDER := certificateOf(t, rsaKey()), certificateOf(t, otherRSAKey())
	own, other := base64.StdEncoding.EncodeToString(ownDER), base64.StdEncoding.EncodeToString(otherDER)
	armoured := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	whole := certificateOf(t, testkey.NewPrivate(jose.ES256)) // its base64 has no incomplete group at its end
	for len(whole)%3 != 0 {
		whole = certificateOf(t, testkey.NewPrivate(jose.ES256))
	}
	wrapped := func(text string) string { return text[:64] + "\r\n " + text[64:] + "\n" }
	first := func(certificates ...any) any { return certificates }
	tests := []struct {
		name   string
		key    jwk
		x5c    any
		usable bool
	}{
		{"own", r, first(own), true},
		{"own EC", ec, first(selfSigned(t, p256Key())), true},
		{"own Ed25519", ed, first(selfSigned(t, edKey())), true},
		{"own, with its chain", r, first(own, other), true},
		{"own, with a chain that cannot be read", r, first(own, "%%%", nil), true},
		{"of another key", r, first(other), false},
		{"of another key, for EC", ec, first(other), false},
		{"of another key of the same curve", ec, first(selfSigned(t, testkey.NewPrivate(jose.ES256))), false},
		{"of another key, for Ed25519", ed, first(selfSigned(t, testkey.NewPrivate(jose.EdDSA))), false},
		{"own second", r, first(other, own), false},

		// What package x509 refuses.
		{"negative serial number", r, first(patched(t, ownDER, serial, negative)), true},
		{"negative serial number, EC", ec, first(patched(t, certificateOf(t, p256Key()), serial, negative)), true},
		{"negative serial number, Ed25519", ed, first(patched(t, certificateOf(t, edKey()), serial, negative)), true},
		{"unsupported curve", ec, first(patched(t, certificateOf(t, p256Key()), p256Curve, p192Curve)), true},
		{"unknown key type", r, first(patched(t, ownDER, rsaEncryption, rsaPSS)), true},
		{"trailing data", r, first(base64.StdEncoding.EncodeToString(append(bytes.Clone(ownDER), 0, 0, 0))), true},
		{"cut off", r, first(own[:400]), true},
		{"garbage", r, first("AAAA"), true},
		{"no base64", r, first("%%%"), true},
		{"no base64 after a certificate", ec, first(base64.StdEncoding.EncodeToString(whole) + "%%%"), true},
		{"base64 in the middle of nothing", r, first("https://issuer.example/cert.pem"), true},

		// Strings that are not DER in base64.
		{"base64url", r, first(base64.RawURLEncoding.EncodeToString(ownDER)), true},
		{"base64url of another key", r, first(base64.RawURLEncoding.EncodeToString(otherDER)), false},
		{"no padding", r, first(strings.TrimRight(own, "=")), true},
		{"no padding, of another key", r, first(strings.TrimRight(other, "=")), false},
		{"line breaks", r, first(wrapped(own)), true},
		{"line breaks, of another key", r, first(wrapped(other)), false},
		{"blanks around", r, first(" " + own + "\t"), true},
		{"blanks around, of another key", r, first(" " + other + "\t"), false},
		{"PEM", r, first(armoured(ownDER)), true},
		{"PEM of another key", r, first(armoured(otherDER)), false},
		{"PEM on one line", r, first(strings.ReplaceAll(armoured(ownDER), "\n", "")), true},
		{"PEM on one line, of another key", r, first(strings.ReplaceAll(armoured(otherDER), "\n", " ")), false},
		{"PEM chain", r, first(armoured(ownDER) + armoured(otherDER)), true},
		{"PEM without an end", r, first("-----BEGIN CERTIFICATE-----"), true},
		{"PEM without a head", r, first("-----BEGIN "), true},

		// Values that are not a list of strings.
		{"null", r, nil, true},
		{"empty", r, first(), true},
		{"empty string", r, first(""), true},
		{"blank string", r, first(" \n"), true},
		{"padding alone", r, first("=="), true},
		{"null inside", r, first(nil), true},
		{"null before own", r, first(nil, own), true},
		{"numbers", r, first(1, 2), true},
		{"list inside", r, first(first(other)), true},
		{"object", r, jwk{"0": other}, true},
		{"number", r, 1, true},
		{"string", r, own, true},
		{"string of another key", r, other, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			set := parseSet(t, all, tt.key.with("x5c", tt.x5c).String())
			if usable := len(set.Keys()) == 1; usable != tt.usable {
				t.Fatalf("usable: %v; ignored %+v", usable, set.Ignored())
			}
			if !tt.usable {
				expect(t, set.Ignored()[0].Reason, jose.ErrUnusableKey, "x5c certificate has another key")
			}
		})
	}
}

// TestOtherCertificateMembers covers R-JK-18: x5t and x5u are not read.
func TestOtherCertificateMembers(t *testing.T) {
	for _, name := range []string{"x5t", "x5t#S256", "x5u"} {
		for _, value := range []any{nil, 1, "", "AAAA", []any{nil}, jwk{}} {
			key := public(p256Key()).with(name, value).String()
			if set := parseSet(t, all, key); len(set.Keys()) != 1 {
				t.Errorf("%s: %+v", key, set.Ignored())
			}
		}
	}
}
