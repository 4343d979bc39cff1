package main

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/boundedfile"
	"github.com/sallyport-auth/sallyport/introspect"
)

// faultySecret stands for a secret after a fault.
var faultySecret = introspect.SecretText("none")

const (
	maxSecretFile = 64 << 10 // bytes that the library reads of a file of a secret
	maxFile       = 16 << 20 // bytes of every other file
)

// file returns the path of a file that the configuration names. Relative paths are
// relative to the folder of the configuration.
func (c converter) file(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.dir, name)
}

// readText reads a regular file that must not be empty. ok is false after a fault.
func (c converter) readText(name string) (text []byte, ok bool) {
	text, err := boundedfile.ReadRegular(c.file(name), maxFile)
	if err != nil {
		c.faults.Addf("", "cannot be read: %w", err)
		return nil, false
	}
	return text, c.checkNotEmpty(name, text)
}

// readSecret reads a file of a secret. The library reads it again when it needs it. The
// name of a file that cannot be read is not shown: it may be the secret itself.
func (c converter) readSecret(name string) (text []byte, ok bool) {
	text, err := boundedfile.ReadRegular(c.file(name), maxSecretFile)
	if failed, isOfFile := errors.AsType[*fs.PathError](err); isOfFile {
		c.faults.Addf("give the path of a file; it is not shown here, because it may be the secret itself", "names a file that cannot be read: %w", failed.Err)
		return nil, false
	}
	return text, c.checkNotEmpty(name, text)
}

// checkNotEmpty checks that the text of a file is not blank, and reports whether it is
// not.
func (c converter) checkNotEmpty(name string, text []byte) (ok bool) {
	if len(bytes.TrimSpace(text)) == 0 {
		c.faults.Addf("", "names the file %s, which is empty", c.file(name))
		return false
	}
	return true
}

// secret returns the secret that this API shares with the issuer.
func (c converter) secret(client *clientFile) introspect.Secret {
	switch {
	case client.SecretFile == "":
		return c.at("secret_env").environment(client.SecretEnv)
	case client.SecretEnv != "":
		c.at("secret_env").faults.Add("is given beside secret_file", "keep one of them")
	default:
		if _, ok := c.at("secret_file").readSecret(client.SecretFile); ok {
			return introspect.SecretFile(c.file(client.SecretFile))
		}
	}
	return faultySecret
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// environment returns the secret in an environment variable. A text that cannot be the
// name of one is not shown: it may be the secret itself.
func (c converter) environment(name string) introspect.Secret {
	if !variable.MatchString(name) {
		c.faults.Add("is not the name of an environment variable", "give a name such as INTROSPECTION_SECRET")
		return faultySecret
	}
	switch value, set := os.LookupEnv(name); {
	case !set:
		c.faults.Addf("set it to the secret", "names the environment variable %s, which is not set", name)
	case strings.TrimSpace(value) == "":
		c.faults.Addf("set it to the secret", "names the environment variable %s, which is empty", name)
	default:
		return introspect.SecretText(value)
	}
	return faultySecret
}

// privateKey returns the private key in a file.
func (c converter) privateKey(name string) introspect.Secret {
	text, ok := c.readSecret(name)
	if !ok || !c.checkKey(name, text) {
		return faultySecret
	}
	return introspect.SecretFile(c.file(name))
}

// checkKey checks that the text of a file has a private key in PEM, and reports whether
// it has. Parts of another type before it do not matter, such as EC PARAMETERS.
func (c converter) checkKey(name string, text []byte) (ok bool) {
	const mend = "give a private key in PEM (PKCS#8, PKCS#1 or SEC 1)"
	block, rest := pem.Decode(text)
	for block != nil && !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		block, rest = pem.Decode(rest)
	}
	switch {
	case block == nil:
		c.faults.Addf(mend, "names the file %s, which has no private key in PEM", c.file(name))
	case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
		c.faults.Addf("decrypt it, and protect the file by its permissions", "names the file %s, whose private key is encrypted", c.file(name))
	case !parsesAsKey(block):
		c.faults.Addf(mend, "names the file %s, whose private key cannot be parsed or cannot sign", c.file(name))
	default:
		return true
	}
	return false
}

// parsesAsKey reports whether block is a private key that can sign.
func parsesAsKey(block *pem.Block) bool {
	var key crypto.PrivateKey
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	_, signs := key.(crypto.Signer)
	return err == nil && signs
}

// certificate returns the client certificate of the TLS methods.
func (c converter) certificate(client *clientFile) introspect.Authentication {
	if !c.checkPair(client.CertificateFile, client.KeyFile) {
		return faultyAuthentication
	}
	return introspect.TLSClientAuth{
		Certificate: introspect.SecretFile(c.file(client.CertificateFile)),
		Key:         introspect.SecretFile(c.file(client.KeyFile)),
	}
}

// checkPair checks that two files have a certificate and its private key in PEM, and
// reports whether they have. Their keys are certificate_file and key_file.
func (c converter) checkPair(certificateFile, keyFile string) (ok bool) {
	ofCertificate, ofKey := c.at("certificate_file"), c.at("key_file")
	certificate, ok := ofCertificate.readSecret(certificateFile)
	ok = ok && ofCertificate.checkCertificates(certificateFile, certificate)
	key, okKey := ofKey.readSecret(keyFile)
	okKey = okKey && ofKey.checkKey(keyFile, key)
	if !ok || !okKey {
		return false
	}
	if _, err := tls.X509KeyPair(certificate, key); err != nil {
		ofKey.faults.Add("does not name the key of the first certificate in certificate_file", "give the two that belong together")
		return false
	}
	return true
}

// checkCertificates checks that the text of a file has certificates in PEM, and reports
// whether it has. Parts of another type do not matter.
func (c converter) checkCertificates(name string, text []byte) (ok bool) {
	const mend = "give certificates in PEM"
	count := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		count++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			c.faults.Addf(mend, "names the file %s, whose certificate %d cannot be parsed", c.file(name), count)
			return false
		}
	}
	if count == 0 {
		c.faults.Addf(mend, "names the file %s, which has no certificate in PEM", c.file(name))
	}
	return count > 0
}
