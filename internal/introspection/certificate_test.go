package introspection

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

// selfSigned returns a certificate and its key in PEM, after change.
func selfSigned(tb testing.TB, name string, change func(*x509.Certificate)) (certificate, key string) {
	tb.Helper()
	private := testkey.NewPrivate(jose.ES256)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, // its own root
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), privatePEM(tb, private)
}

// demanding starts a server that asks for client certificates and calls check with the
// name in the certificate of each request.
func demanding(tb testing.TB, status func(name string) int) *server {
	tb.Helper()
	s := unstarted(tb, func(w http.ResponseWriter, r received) {
		name := ""
		if len(r.tls.PeerCertificates) > 0 {
			name = r.tls.PeerCertificates[0].Subject.CommonName
		}
		say(w, status(name), activeBody)
	})
	s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	s.StartTLS()
	return s
}

// TestCertificate checks that the certificate is sent, self-signed as it is, and that one
// that was replaced is read again when the endpoint refuses it, on a new connection (R-IN-02,
// RFC 8705 §2).
func TestCertificate(t *testing.T) {
	var accepted atomic.Value
	accepted.Store("old")
	s := demanding(t, func(name string) int {
		if name == accepted.Load() {
			return 200
		}
		return 401
	})
	oldCertificate, oldKey := selfSigned(t, "old", nil)
	newCertificate, newKey := selfSigned(t, "new", nil)
	var replaced atomic.Bool
	choose := func(before, after string) introspect.Secret {
		return introspect.SecretFunc(func(context.Context) (string, error) {
			if replaced.Load() {
				return after, nil
			}
			return before, nil
		})
	}
	client := s.client()
	client.Authentication = introspect.TLSClientAuth{Certificate: choose(oldCertificate, newCertificate), Key: choose(oldKey, newKey)}
	x := exchanging(t, client, s.binding())
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" || a.requests != 1 {
		t.Fatalf("%+v", a)
	}
	accepted.Store("new")
	replaced.Store(true)
	x.sender.credential.(*certificate).pair.began = time.Now().Add(-rereadInterval)
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" || a.requests != 2 {
		t.Fatalf("%+v", a)
	}
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" || a.requests != 1 {
		t.Fatalf("%+v", a)
	}
}

// TestCertificateOfTransport checks that a certificate of the HTTPClient is used.
func TestCertificateOfTransport(t *testing.T) {
	s := demanding(t, func(name string) int {
		if name == "own" {
			return 200
		}
		return 401
	})
	certificate, key := selfSigned(t, "own", nil)
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	client, b := s.client(), s.binding()
	client.Authentication = introspect.TLSClientAuth{}
	b.HTTPClient.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{pair}
	if a := exchanging(t, client, b).ask(t.Context(), Question{Token: "t"}); a.kind != "" {
		t.Errorf("%+v", a)
	}
	if form := s.got()[0].form; form.Get("client_id") != apiID {
		t.Errorf("%v", form)
	}
}

// TestExpiredCertificate checks that a certificate that has expired is read again before
// it is used.
func TestExpiredCertificate(t *testing.T) {
	s := demanding(t, func(name string) int {
		if name == "new" {
			return 200
		}
		return 401
	})
	old, oldKey := selfSigned(t, "old", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	fresh, freshKey := selfSigned(t, "new", nil)
	pairs := &secretCache[*tls.Certificate]{read: pairCache(introspect.SecretText(old), introspect.SecretText(oldKey)).read}
	if _, err := pairs.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	pairs.began = time.Now().Add(-rereadInterval)
	pairs.read = pairCache(introspect.SecretText(fresh), introspect.SecretText(freshKey)).read
	client := s.client()
	client.Authentication = certificateOf(t, "any")
	x := exchanging(t, client, s.binding())
	x.sender.credential.(*certificate).pair = pairs
	if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != "" || a.requests != 1 {
		t.Errorf("%+v", a)
	}
}

// TestUnreadableCertificate checks that no request is sent without the certificate.
func TestUnreadableCertificate(t *testing.T) {
	s := demanding(t, func(string) int { return 200 })
	certificate, _ := selfSigned(t, "a", nil)
	_, key := selfSigned(t, "b", nil)
	a := s.asking(t, func(c *introspect.Client) {
		c.Authentication = introspect.TLSClientAuth{Certificate: introspect.SecretText(certificate), Key: introspect.SecretText(key)}
	})
	if a.kind != introspect.NoCredentials || s.count() != 0 || a.requests != 0 {
		t.Errorf("%+v", a)
	}
}
