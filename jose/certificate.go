package jose

import (
	"crypto/x509"
	"encoding/base64"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

var errX5C = unusable("the first x5c certificate has another key (RFC 7517 §4.7); let the issuer publish the certificate of the key, or none")

// firstCertificate returns the text of the first certificate of an x5c member
// (RFC 7517 §4.7). It returns "" if the member is not an array, or its first
// element is not a string. A string in place of the array is accepted.
func firstCertificate(x5c strictjson.Value) string {
	for element := range x5c.Elements() {
		x5c = element
		break
	}
	text, _ := x5c.Text()
	return text
}

// checkCertificate compares public with the key of the first x5c certificate,
// which is given as text. The certificate adds no trust. So one that cannot be
// read is ignored; one that can be read must not have another key.
func checkCertificate(text string, public publicKey) error {
	certificate := readCertificate(text)
	if certificate == nil || certificate.PublicKey == nil { // nil for a key type that package x509 does not know
		return nil
	}
	if !public.Equal(certificate.PublicKey) {
		return errX5C
	}
	return nil
}

// readCertificate parses an x5c element, or returns nil. RFC 7517 requires DER in
// base64. PEM, white space, the base64url alphabet and missing padding are
// accepted too.
func readCertificate(text string) *x509.Certificate {
	if _, armoured, found := strings.Cut(text, "-----BEGIN "); found {
		_, armoured, _ = strings.Cut(armoured, "-----")
		text, _, _ = strings.Cut(armoured, "-----END")
	}
	text = strings.TrimRight(strings.Join(strings.Fields(text), ""), "=")
	der, err := base64.RawStdEncoding.DecodeString(base64Alphabet.Replace(text))
	if err != nil {
		return nil
	}
	certificate, _ := x509.ParseCertificate(der) // nil if it cannot be read
	return certificate
}

// base64Alphabet replaces the two characters of base64url that base64 does not
// have.
var base64Alphabet = strings.NewReplacer("-", "+", "_", "/")
