package grpcauth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/validator"
)

// get2 calls Get without metadata.
func (a *api) get2(options ...grpc.CallOption) error {
	ctx, cancel := context.WithTimeout(a.t.Context(), 20*time.Second)
	defer cancel()
	return a.client.Invoke(ctx, methodGet, wrapperspb.String("hello"), new(text), options...)
}

// certificates returns self-signed certificates of a server and a client.
func certificates(t *testing.T) (server, client tls.Certificate) {
	t.Helper()
	made := func() tls.Certificate {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
	}
	return made(), made()
}

// trusting returns the options of a client that trusts the server's certificate and shows
// its own ones.
func trusting(server tls.Certificate, own ...tls.Certificate) []grpc.DialOption {
	roots := x509.NewCertPool()
	roots.AddCert(server.Leaf)
	return []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, Certificates: own, MinVersion: tls.VersionTLS13}))}
}

// TestBoundTokens covers R-GR-02 and item 4 of the part: tokens that are bound to a
// certificate or a key are refused, also with that certificate or with a proof, since
// proofs are not checked yet. The same caller with an unbound token passes.
func TestBoundTokens(t *testing.T) {
	server, client := certificates(t)
	pool := x509.NewCertPool()
	pool.AddCert(client.Leaf)
	var decisions recorded
	a := start(t, setup{
		guard: middleware.Config{Trace: decisions.trace()},
		before: []grpc.ServerOption{grpc.Creds(credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{server}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool, MinVersion: tls.VersionTLS13,
		}))},
		dial: trusting(server, client),
	})
	thumbprint := sha256.Sum256(client.Leaf.Raw)
	toCertificate := a.Token(issuertest.Claims{"scope": "read", "cnf": map[string]any{"x5t#S256": base64.RawURLEncoding.EncodeToString(thumbprint[:])}})
	toKey := a.Token(issuertest.Claims{"scope": "read", "cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}})
	for name, row := range map[string]struct {
		pairs []string
		want  validator.Reason
	}{
		"unbound":                         {[]string{"authorization", a.bearer("read")}, ""},
		"bound to the certificate":        {[]string{"authorization", "Bearer " + toCertificate}, validator.BindingMismatch},
		"bound to a key":                  {[]string{"authorization", "Bearer " + toKey}, validator.BindingMismatch},
		"bound to a key, as DPoP":         {[]string{"authorization", "DPoP " + toKey, "dpop", "proof"}, validator.BindingMismatch},
		"bound to a key, two proofs":      {[]string{"authorization", "DPoP " + toKey, "dpop", "proof", "dpop", "proof"}, validator.BindingMismatch},
		"an unbound token with a proof":   {[]string{"authorization", a.bearer("read"), "dpop", "proof"}, ""},
		"a proof without a token":         {[]string{"dpop", "proof"}, validator.NoCredentials},
		"as DPoP without a proof":         {[]string{"authorization", "DPoP " + toKey}, validator.BindingMismatch},
		"as DPoP, not bound":              {[]string{"authorization", strings.Replace(a.bearer("read"), "Bearer", "DPoP", 1), "dpop", "proof"}, validator.BindingMismatch},
		"bound to a key, proof as Bearer": {[]string{"authorization", "Bearer " + toKey, "dpop", "proof"}, validator.BindingMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			got := a.get(a.with(row.pairs...))
			all := decisions.take()
			if len(all) != 1 {
				t.Fatalf("%d decisions", len(all))
			}
			if row.want == "" {
				if got.err != nil {
					t.Errorf("%v", got.err)
				}
				return
			}
			if status.Code(got.err) != codes.Unauthenticated || all[0].Denial.Reason != row.want {
				t.Errorf("%v, decided %v", got.err, all[0].Denial.Reason)
			}
		})
	}
}
