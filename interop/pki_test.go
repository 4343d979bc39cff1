package interop_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// pki is a folder of keys and certificates for servers and their clients:
//
//   - ca.crt signed server.crt, of 127.0.0.1, and trusted.crt, of a client
//   - client.crt is of a client and signed itself
//   - assertion.key signs client assertions; assertion.pub is its public key
type pki struct {
	dir   string
	roots *x509.CertPool
}

// entity is a certificate with its key.
type entity struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newPKI(t *testing.T) pki {
	t.Helper()
	p := pki{dir: t.TempDir(), roots: x509.NewCertPool()}
	ca := p.issue(t, "ca", nil, &x509.Certificate{
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	p.roots.AddCert(ca.certificate)
	client := x509.Certificate{
		DNSNames: []string{"client.example"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	trusted, self := client, client
	p.issue(t, "trusted", ca, &trusted)
	p.issue(t, "client", nil, &self)
	p.issue(t, "server", ca, &x509.Certificate{
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	assertion := newKey(t)
	p.write(t, "assertion.key", "PRIVATE KEY", pkcs8(t, assertion))
	public, err := x509.MarshalPKIXPublicKey(assertion.Public())
	if err != nil {
		t.Fatal(err)
	}
	p.write(t, "assertion.pub", "PUBLIC KEY", public)
	return p
}

// issue writes name.crt and name.key. by is nil for a certificate that signs itself.
func (p pki) issue(t *testing.T, name string, by *entity, template *x509.Certificate) *entity {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	own := &entity{template, newKey(t)}
	if by == nil {
		by = own
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.certificate, own.key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if own.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	p.write(t, name+".crt", "CERTIFICATE", der)
	p.write(t, name+".key", "PRIVATE KEY", pkcs8(t, own.key))
	return own
}

func (p pki) path(name string) string { return filepath.Join(p.dir, name) }

func (p pki) write(t *testing.T, name, kind string, der []byte) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if err := os.WriteFile(p.path(name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// certificate returns name.crt and name.key for a connection.
func (p pki) certificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(p.path(name+".crt"), p.path(name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pkcs8(t *testing.T, key crypto.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
