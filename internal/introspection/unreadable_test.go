package introspection

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/introspect"
)

// unreadable is a secret that cannot be read.
func unreadable() introspect.Secret {
	return introspect.SecretFunc(func(context.Context) (string, error) { return "", errInjected })
}

// TestUnreadable checks that with every method a secret that cannot be read is
// NoCredentials with its cause, and that no request is sent without it (R-IN-02).
func TestUnreadable(t *testing.T) {
	certificate, key := selfSigned(t, "a", nil)
	for name, authentication := range map[string]introspect.Authentication{
		"basic":           introspect.ClientSecretBasic{Secret: unreadable()},
		"post":            introspect.ClientSecretPost{Secret: unreadable()},
		"private key":     introspect.PrivateKeyJWT{Key: unreadable()},
		"certificate":     introspect.TLSClientAuth{Certificate: unreadable(), Key: introspect.SecretText(key)},
		"certificate key": introspect.TLSClientAuth{Certificate: introspect.SecretText(certificate), Key: unreadable()},
		"bearer":          introspect.Bearer{Authentication: introspect.ClientSecretPost{Secret: unreadable()}, TokenEndpoint: issuerURL + "/token"},
	} {
		s := serve(t, nil)
		a := s.asking(t, func(c *introspect.Client) { c.Authentication = authentication })
		if a.kind != introspect.NoCredentials || !errors.Is(a.err, errInjected) || a.requests != 0 || s.count() != 0 {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

// TestNoCertificateYet checks that nothing is sent before there is a certificate.
func TestNoCertificateYet(t *testing.T) {
	s := serve(t, nil)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	pooled := &certifiedTransport{base: s.Client().Transport.(*http.Transport)}
	for name, transport := range map[string]http.RoundTripper{"pooled": pooled, "alone": pooled.WithoutPool()} {
		if response, err := transport.RoundTrip(request); !errors.Is(err, errNoCertificate) {
			t.Errorf("%s: %v, %v", name, response, err)
		}
	}
	pooled.CloseIdleConnections()
	if s.count() != 0 {
		t.Errorf("%d requests", s.count())
	}
}

// TestCertificateIsKept checks that requests with the same certificate share a connection,
// and that one which is refused is not repeated if there is no other certificate.
func TestCertificateIsKept(t *testing.T) {
	s := demanding(t, func(string) int { return 401 })
	own := s.client()
	own.Authentication = certificateOf(t, "api")
	there, b := s.client(), s.binding()
	there.Authentication = introspect.TLSClientAuth{}
	certificate, key := selfSigned(t, "api", nil)
	b.HTTPClient = withCertificate(t, b.HTTPClient, certificate, key)
	for name, x := range map[string]*exchange{"here": exchanging(t, own, s.binding()), "there": exchanging(t, there, b)} {
		before := s.count()
		for range 3 {
			if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != introspect.CredentialsRefused || a.requests != 1 {
				t.Errorf("%s: %+v", name, a)
			}
		}
		remotes := map[string]bool{}
		for _, r := range s.got()[before:] {
			remotes[r.remote] = true
		}
		if len(remotes) != 1 || s.count()-before != 3 {
			t.Errorf("%s: %d connections for %d requests", name, len(remotes), s.count()-before)
		}
	}
}

// withCertificate returns a client like c whose transport has a client certificate.
func withCertificate(t *testing.T, c *http.Client, certificate, key string) *http.Client {
	t.Helper()
	pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	transport := c.Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	return &http.Client{Transport: transport}
}

// TestAlert checks a server that ends the handshake because of the client certificate: it
// is read again and the request repeated, for a certificate only, and for nothing else
// that goes wrong on the way.
func TestAlert(t *testing.T) {
	var accepted atomic.Value
	accepted.Store("new")
	s := unstarted(t, nil)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12, VerifyConnection: func(c tls.ConnectionState) error {
		if c.PeerCertificates[0].Subject.CommonName != accepted.Load() {
			return errInjected
		}
		return nil
	}}
	s.StartTLS()
	refusing, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = refusing.Close()
	oldCertificate, oldKey := selfSigned(t, "old", nil)
	newCertificate, newKey := selfSigned(t, "new", nil)
	type chooser func(before, after string) introspect.Secret
	certified := func(choose chooser) introspect.Authentication {
		return introspect.TLSClientAuth{Certificate: choose(oldCertificate, newCertificate), Key: choose(oldKey, newKey)}
	}
	for name, test := range map[string]struct {
		authentication func(chooser) introspect.Authentication
		endpoint       string
		kind           introspect.Kind
		requests       int
		readAgain      bool
	}{
		"a certificate":         {certified, s.URL, "", 2, true},
		"another failure":       {certified, "https://" + refusing.Addr().String(), introspect.Unreachable, 1, false},
		"that of the transport": {func(chooser) introspect.Authentication { return introspect.TLSClientAuth{} }, s.URL, introspect.TLSFailed, 1, false},
		"a secret makes no handshake": {func(choose chooser) introspect.Authentication {
			return introspect.ClientSecretPost{Secret: choose("old", "new")}
		}, s.URL, introspect.TLSFailed, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			var replaced, readAgain bool
			choose := func(before, after string) introspect.Secret {
				return introspect.SecretFunc(func(context.Context) (string, error) {
					if replaced {
						readAgain = true
						return after, nil
					}
					return before, nil
				})
			}
			client, b := s.client(), s.binding()
			client.Endpoint, client.Authentication = test.endpoint, test.authentication(choose)
			b.HTTPClient = withCertificate(t, b.HTTPClient, oldCertificate, oldKey)
			x := exchanging(t, client, b)
			switch c := x.sender.credential.(type) { // both were read long ago
			case *certificate:
				if c.pair != nil {
					readLongAgo(t, c.pair)
				}
			case *post:
				readLongAgo(t, c.secret)
			}
			replaced = true
			a := x.ask(t.Context(), Question{Token: "t"})
			if a.kind != test.kind || a.requests != test.requests || readAgain != test.readAgain {
				t.Errorf("%+v, read again: %t", a, readAgain)
			}
		})
	}
}

// readLongAgo reads a secret as if that had been long enough ago to read it again.
func readLongAgo[T any](t *testing.T, c *secretCache[T]) {
	t.Helper()
	if _, err := c.get(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.began = c.began.Add(-rereadInterval)
}

// TestKnownSecret checks that a secret which is another one already is not read again.
func TestKnownSecret(t *testing.T) {
	reads := 0
	c := &secretCache[int]{read: func(context.Context) (int, string, error) {
		reads++
		return reads, "text", nil
	}}
	readLongAgo(t, c)
	if !c.renew(t.Context(), 0) || reads != 1 {
		t.Errorf("%d readings", reads)
	}
	if c.renew(t.Context(), 1) || reads != 2 {
		t.Errorf("%d readings of the text that was refused", reads)
	}
}

// TestKnownAccessToken checks that a refused access token that was replaced already costs
// no wait for the renewal that is under way.
func TestKnownAccessToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bearer{token: accessToken{version: 2}, flight: detached.NewFlight()}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		if !b.renew(ctx, 1) || time.Since(start) != 0 {
			t.Errorf("renewed after %v", time.Since(start))
		}
	})
}

// TestStuckRenewal checks that renewals that never end do not gather goroutines.
func TestStuckRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var calls atomic.Int32
		b := inMemory((&tokenServer{}).answer).binding()
		b.Endpoints = func(context.Context) (Endpoints, error) {
			calls.Add(1)
			<-release
			return Endpoints{}, errInjected
		}
		x := exchanging(t, memoryClient(introspect.Bearer{Authentication: introspect.ClientSecretPost{Secret: introspect.SecretText("s")}}), b)
		for range 10 {
			if a := x.ask(t.Context(), Question{Token: "t"}); a.kind != introspect.NoCredentials {
				t.Errorf("%+v", a)
			}
			time.Sleep(2 * maxCooldown)
		}
		if calls.Load() != maxLate {
			t.Errorf("%d renewals", calls.Load())
		}
		close(release)
	})
}

// TestEmptyAccessToken checks that an answer of the token endpoint without a token is
// NoCredentials, and that no request is sent with it.
func TestEmptyAccessToken(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r received) {
		if r.url.Path == "/token" {
			say(w, 200, `{"access_token":"","token_type":"Bearer"}`)
			return
		}
		say(w, 200, activeBody)
	})
	a := s.asking(t, func(c *introspect.Client) {
		c.Authentication = introspect.Bearer{TokenEndpoint: s.URL + "/token", Authentication: introspect.ClientSecretPost{Secret: introspect.SecretText("s")}}
	})
	if a.kind != introspect.NoCredentials || !errors.Is(a.err, errTokenAnswer) || s.count() != 1 {
		t.Errorf("%+v after %d requests", a, s.count())
	}
}
