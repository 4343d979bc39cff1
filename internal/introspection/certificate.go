package introspection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

// certificate authenticates by the client certificate of the connection (RFC 8705 §2).
type certificate struct {
	id        string
	pair      *secretCache[*tls.Certificate] // nil: the transport has a certificate of its own
	transport *certifiedTransport
}

func (c *certificate) authenticate(ctx context.Context, m *message) (int, error) {
	m.form.Set("client_id", c.id)
	if c.pair == nil {
		return 0, nil
	}
	pair, err := c.pair.get(ctx)
	if err == nil && time.Now().After(pair.value.Leaf.NotAfter) {
		c.pair.renew(ctx, pair.version)
		pair, err = c.pair.get(ctx)
	}
	if err != nil {
		return 0, fmt.Errorf("the client certificate cannot be read: %w", err)
	}
	c.transport.use(pair)
	return pair.version, nil
}

func (c *certificate) renew(ctx context.Context, version int) bool {
	return c.pair != nil && c.pair.renew(ctx, version)
}

func (c *certificate) methods() []string {
	return []string{"tls_client_auth", "self_signed_tls_client_auth"}
}
func (c *certificate) hint() string { return "" }

// pairCache returns a cache of a certificate and its key.
func pairCache(certificate, key introspect.Secret) *secretCache[*tls.Certificate] {
	return &secretCache[*tls.Certificate]{read: func(ctx context.Context) (*tls.Certificate, string, error) {
		chain, err := certificate.Read(ctx)
		if err != nil {
			return nil, "", err
		}
		private, err := key.Read(ctx)
		if err != nil {
			return nil, "", err
		}
		pair, err := tls.X509KeyPair([]byte(chain), []byte(private)) // its errors quote no key
		return &pair, chain + private, err
	}}
}

var errNoCertificate = errors.New("introspection: there is no client certificate yet")

// certifiedTransport sends requests on connections with the client certificate that
// was set last. Connections with an earlier one end when their requests do.
type certifiedTransport struct {
	base    *http.Transport // is copied, and sends nothing
	mu      sync.Mutex
	version int // of the certificate of current
	current atomic.Pointer[http.Transport]
}

// use sets the certificate, unless it or a later one is set already.
func (t *certifiedTransport) use(pair held[*tls.Certificate]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if pair.version <= t.version {
		return
	}
	next := t.base.Clone()
	if next.TLSClientConfig == nil {
		next.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	next.TLSClientConfig.ClientSessionCache = nil // a session would go on with the earlier certificate
	next.TLSClientConfig.Certificates = nil
	next.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.value, nil }
	t.version = pair.version
	if last := t.current.Swap(next); last != nil {
		last.CloseIdleConnections()
	}
}

// RoundTrip sends a request.
func (t *certifiedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	current := t.current.Load()
	if current == nil {
		return nil, errNoCertificate
	}
	return current.RoundTrip(r)
}

// WithoutPool returns a transport that sends each request on a connection of its own.
func (t *certifiedTransport) WithoutPool() http.RoundTripper { return unpooledTransport{t} }

// unpooledTransport is a certifiedTransport without a pool of connections.
type unpooledTransport struct{ pooled *certifiedTransport }

// RoundTrip sends a request.
func (t unpooledTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	current := t.pooled.current.Load()
	if current == nil {
		return nil, errNoCertificate
	}
	alone := current.Clone()
	alone.DisableKeepAlives = true
	return alone.RoundTrip(r)
}

// CloseIdleConnections closes the connections that are not in use.
func (t *certifiedTransport) CloseIdleConnections() {
	if current := t.current.Load(); current != nil {
		current.CloseIdleConnections()
	}
}
