package jose

import (
	"crypto/x509"
	"encoding/base64"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var errX5C = unusable("the first x5c certificate has another key (RFC 7517 §4.7)")

// firstCertificate returns the text of the first certificate of an x5c member
// (RFC 7517 §4.7). It returns "" if the member is no array, or its first
// element no string; a string in place of the array is taken as its element.
func firstCertificate(x5c strictjson.Value) string {
	for element := range x5c.Elements() {
		x5c = element
		break
	}
	text, _ := x5c.Text()
	return text
}

// checkCertificate compares the key of the first certificate with the JWK's own.
// The certificate adds no trust, so one that cannot be read is no reason to
// refuse the key; one that can be read must not have another key.
func (k *jwk) checkCertificate(m *material) error {
	certificate := readCertificate(k.certificate)
	if certificate == nil || certificate.PublicKey == nil { // nil is a key type that package x509 does not know
		return nil
	}
	if !m.public.Equal(certificate.PublicKey) {
		return errX5C
	}
	return nil
}

// readCertificate parses an x5c element, or returns nil. RFC 7517 asks for DER
// in base64; PEM armour, white space, the base64url alphabet and missing
// padding are read too.
func readCertificate(text string) *x509.Certificate {
	if _, armoured, found := strings.Cut(text, "-----BEGIN "); found {
		_, armoured, _ = strings.Cut(armoured, "-----")
		text, _, _ = strings.Cut(armoured, "-----END")
	}
	text = strings.TrimRight(strings.Join(strings.Fields(text), ""), "=")
	if text == "" {
		return nil
	}
	der, err := base64.RawStdEncoding.DecodeString(base64Alphabet.Replace(text))
	if err != nil {
		return nil
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil
	}
	return certificate
}

// base64Alphabet turns base64url into base64.
var base64Alphabet = strings.NewReplacer("-", "+", "_", "/")
