package grpcauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestPresentation covers R-GR-01 and R-GR-11: what the validator gets of a call: token and
// proofs, the certificate that TLS has verified, and for DPoP the method POST and the URL
// that the client called.
func TestPresentation(t *testing.T) {
	const method = "/svc.S/Get"
	leaf := &x509.Certificate{}
	verifiedTLS := credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}, VerifiedChains: [][]*x509.Certificate{{leaf}}}}
	unverifiedTLS := credentials.TLSInfo{State: tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}}
	for name, row := range map[string]struct {
		config      middleware.Config
		md          metadata.MD
		auth        credentials.AuthInfo
		scheme      validator.Scheme
		proofs      []string
		url         string
		certificate bool
		refused     bool
	}{
		"bearer":                    {md: metadata.MD{"authorization": {"Bearer a"}}, scheme: validator.Bearer},
		"bearer over TLS":           {md: metadata.MD{"authorization": {"Bearer a"}}, auth: verifiedTLS, scheme: validator.Bearer, certificate: true},
		"certificate not verified":  {md: metadata.MD{"authorization": {"Bearer a"}}, auth: unverifiedTLS, scheme: validator.Bearer},
		"DPoP":                      {md: metadata.MD{"authorization": {"DPoP a"}, "dpop": {"p"}, ":authority": {"api.example:8443"}}, auth: unverifiedTLS, scheme: validator.DPoP, proofs: []string{"p"}, url: "https://api.example:8443/svc.S/Get"},
		"DPoP without TLS":          {md: metadata.MD{"authorization": {"DPoP a"}, "dpop": {"p", "q"}, ":authority": {"api.example"}}, scheme: validator.DPoP, proofs: []string{"p", "q"}, url: "http://api.example/svc.S/Get"},
		"DPoP with a public URL":    {config: middleware.Config{PublicURL: "https://public.example"}, md: metadata.MD{"authorization": {"DPoP a"}, "dpop": {"p"}, ":authority": {"10.0.0.1"}}, scheme: validator.DPoP, proofs: []string{"p"}, url: "https://public.example/svc.S/Get"},
		"DPoP behind a proxy":       {config: middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, md: metadata.MD{"authorization": {"DPoP a"}, "dpop": {"p"}, ":authority": {"10.0.0.1"}, "x-forwarded-proto": {"https"}, "x-forwarded-host": {"proxied.example"}, "x-forwarded-for": {"192.0.2.1"}}, scheme: validator.DPoP, proofs: []string{"p"}, url: "https://proxied.example/svc.S/Get"},
		"DPoP behind anybody":       {md: metadata.MD{"authorization": {"DPoP a"}, "dpop": {"p"}, ":authority": {"10.0.0.1"}, "x-forwarded-proto": {"https"}, "x-forwarded-host": {"evil.example"}}, scheme: validator.DPoP, proofs: []string{"p"}, url: "http://10.0.0.1/svc.S/Get"},
		"DPoP without an authority": {md: metadata.MD{"authorization": {"DPoP a"}, "dpop": {"p"}}, scheme: validator.DPoP, refused: true},
		"two spellings":             {md: metadata.MD{"authorization": {"Bearer a"}, "Authorization": {"Bearer a"}}, refused: true},
		"another spelling":          {md: metadata.MD{"AUTHORIZATION": {"Bearer a"}, "DPoP": {"p"}}, scheme: validator.Bearer, proofs: []string{"p"}},
		"no values":                 {md: metadata.MD{"authorization": {}}, scheme: validator.OtherScheme},
		"nothing":                   {md: metadata.MD{"user-agent": {"x"}}},
		"no metadata":               {},
	} {
		t.Run(name, func(t *testing.T) {
			row.config.Validator = issuertest.New(t).Validator(t)
			g, err := New(issuertest.Guard(t, row.config), Methods{method: scopes.Authenticated()})
			if err != nil {
				t.Fatal(err)
			}
			if g.key == nil {
				t.Fatal("the key of the metadata was not found")
			}
			ctx := peer.NewContext(t.Context(), &peer.Peer{Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, AuthInfo: row.auth})
			if row.md != nil {
				ctx = metadata.NewIncomingContext(ctx, row.md)
			}
			var p validator.Presentation
			err = g.present(ctx, method, &p)
			if (err != nil) != row.refused {
				t.Fatalf("error %v", err)
			}
			if row.refused {
				if validator.ReasonOf(err) != validator.MalformedRequest {
					t.Errorf("refused with %v", err)
				}
				return
			}
			url := ""
			if p.URL != nil {
				url = p.URL.String()
			}
			if p.Scheme != row.scheme || !slices.Equal(p.Proofs, row.proofs) || url != row.url || (p.Method == "POST") != (url != "") || (p.Certificate == leaf) != row.certificate {
				t.Errorf("%v %q %q %q %v", p.Scheme, p.Proofs, p.Method, url, p.Certificate != nil)
			}
		})
	}
}

// TestMetadataWithoutKey checks that credentials do not reach handlers either if the key
// under which grpc keeps metadata is not known.
func TestMetadataWithoutKey(t *testing.T) {
	g, err := New(issuertest.New(t).Guard(t, middleware.Config{}), Methods{"/svc.S/Get": scopes.Authenticated()})
	if err != nil {
		t.Fatal(err)
	}
	known := g.key
	for _, key := range []any{known, nil} {
		g.key = key
		ctx := metadata.NewIncomingContext(t.Context(), metadata.MD{"authorization": {"Bearer a"}, "x": {"1"}})
		var p validator.Presentation
		if err := g.present(ctx, "/svc.S/Get", &p); err != nil || p.Token != "a" {
			t.Errorf("%v %v", p, err)
		}
		md, ok := metadata.FromIncomingContext(g.withMetadata(ctx))
		if !ok || len(md) != 1 || len(md["x"]) != 1 {
			t.Errorf("metadata %v", md)
		}
		if md, ok := metadata.FromIncomingContext(g.withMetadata(t.Context())); ok {
			t.Errorf("metadata from nowhere: %v", md)
		}
		if values := metadata.ValueFromIncomingContext(g.withMetadata(ctx), "authorization"); values != nil {
			t.Errorf("credentials %q", values)
		}
		if value := g.withMetadata(context.WithValue(ctx, recorder{}, "v")).Value(recorder{}); value != "v" {
			t.Errorf("other values are lost: %v", value)
		}
	}
}
