package testissuer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// Config is what an [Issuer] is started with. The zero value is good: plain
// http on a loopback address, and one ES256 key.
type Config struct {
	// URL is the issuer identifier: an http or https URL without query and
	// fragment. Empty means the address listened on, or https://issuer.test
	// with InMemory. A path alone, such as "/tenant/1", is added to that.
	//
	// With another host than the one listened on, only [Issuer.Client] and
	// [Issuer.Transport] reach the issuer. https implies TLS.
	URL string
	// TLS serves https on loopback, with a certificate made at the start.
	// Refused with InMemory and with an http URL.
	TLS bool
	// InMemory opens no socket: only [Issuer.Client] and [Issuer.Transport]
	// reach the issuer, over [net.Pipe]. Nothing is encrypted there, not
	// even under an https URL.
	InMemory bool
	// Algorithm is that of the first key, and of further keys that name
	// none. 0 means ES256; RSA keys take long to make.
	Algorithm jose.Algorithm
	// Audience is the aud of tokens that say nothing else. Empty means
	// https://api.test.
	Audience string
	// CacheControl is the field of that name in answers with the JWK Set.
	// Empty means none.
	CacheControl string
	// ETag serves the JWK Set with a strong ETag of its bytes, and honours
	// If-None-Match with 304 (RFC 9110 §13.1.2). An answer whose [Behaviour]
	// has a Status, Body or Redirect has no ETag, and is no 304.
	ETag bool
}

const (
	defaultHost     = "https://issuer.test"
	defaultAudience = "https://api.test"
)

// Issuer is an authorization server for tests. It is made by [New] or [Start].
type Issuer struct {
	config      Config // with its defaults filled in
	paths       map[string]Endpoint
	certificate *x509.Certificate
	gate        *gate
	server      *http.Server
	transport   *http.Transport

	closing chan struct{}
	running sync.WaitGroup // the server's loop and the handlers

	mu         sync.Mutex // never held while waiting or in the caller's code
	closed     bool
	keys       []*key
	signing    *key
	ids        map[string]bool // of keys, and of those about to be added
	extraJWKs  []string
	metadata   map[Endpoint][]byte
	behaviours map[Endpoint]Behaviour
	requests   map[Endpoint]int
}

// New starts an issuer with the zero [Config] and closes it when the test ends.
// It fails the test if that is not possible. For another Config, and inside a
// testing/synctest bubble, use [Start].
func New(tb testing.TB) *Issuer {
	tb.Helper()
	issuer, err := Start(Config{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(issuer.Close)
	return issuer
}

// Start starts an issuer, which the caller must Close. It needs no test, so
// that demonstrations can use it too. The error tells every fault of c, or that
// no loopback address can be listened on.
func Start(c Config) (*Issuer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	g, err := open(c.InMemory)
	if err != nil {
		return nil, fmt.Errorf("testissuer: %w", err)
	}
	secure := c.TLS || strings.HasPrefix(c.URL, "https:")
	if c.Algorithm == 0 {
		c.Algorithm = jose.ES256
	}
	if c.Audience == "" {
		c.Audience = defaultAudience
	}
	if c.URL == "" || strings.HasPrefix(c.URL, "/") {
		c.URL = g.base(c.InMemory, secure) + c.URL
	}
	i := &Issuer{
		config:     c,
		gate:       g,
		closing:    make(chan struct{}),
		ids:        make(map[string]bool),
		metadata:   make(map[Endpoint][]byte),
		behaviours: make(map[Endpoint]Behaviour),
		requests:   make(map[Endpoint]int),
	}
	if err := i.start(secure && !c.InMemory); err != nil {
		_ = g.Close()
		return nil, err
	}
	return i, nil
}

// check reports every fault of c.
func (c *Config) check() error {
	var faults []error
	if c.Algorithm != 0 && !c.Algorithm.Valid() {
		faults = append(faults, errors.New("testissuer: Algorithm is not one of package jose's constants"))
	}
	if c.TLS && c.InMemory {
		faults = append(faults, errors.New("testissuer: TLS and InMemory exclude each other; an https URL needs no TLS in memory"))
	}
	if c.URL == "" {
		return errors.Join(faults...)
	}
	u, err := url.Parse(c.URL)
	path := strings.HasPrefix(c.URL, "/") && !strings.HasPrefix(c.URL, "//")
	switch {
	case err != nil || strings.ContainsAny(c.URL, "?#") || u.User != nil:
		faults = append(faults, fmt.Errorf("testissuer: URL %q must be a URL without user, query and fragment", c.URL))
	case !path && (u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https"):
		faults = append(faults, fmt.Errorf("testissuer: URL %q must be http or https with a host, or a path", c.URL))
	case c.TLS && u.Scheme == "http":
		faults = append(faults, fmt.Errorf("testissuer: URL %q is http, and TLS is set", c.URL))
	}
	return errors.Join(faults...)
}

// start makes the first key and begins to serve.
func (i *Issuer) start(secure bool) error {
	u, err := url.Parse(i.config.URL)
	if err != nil {
		return fmt.Errorf("testissuer: URL: %w", err)
	}
	i.paths = pathsOf(u)
	var listener net.Listener = i.gate
	i.transport = i.gate.transport(u)
	if secure {
		listener, i.certificate, err = secured(i.gate, u.Hostname(), i.transport)
		if err != nil {
			return fmt.Errorf("testissuer: certificate: %w", err)
		}
	}
	i.Use(i.AddKey(Key{}))
	i.server = &http.Server{
		Handler:           http.HandlerFunc(i.serve),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // failed handshakes are what tests are about
	}
	i.running.Go(func() { _ = i.server.Serve(listener) }) // it always ends with http.ErrServerClosed
	return nil
}

// Close cuts every connection and waits until the server has ended. What was
// signed before still verifies, and [Issuer.Sign] goes on working.
//
// RSA keys are made anew only when there is no closed issuer whose keys can be
// used again: they take long. Issuers that are open at the same time never
// share a key.
func (i *Issuer) Close() {
	i.mu.Lock()
	if i.closed {
		i.mu.Unlock()
		i.running.Wait()
		return
	}
	i.closed = true
	keys := i.keys
	i.mu.Unlock()

	close(i.closing)
	_ = i.server.Close()
	i.transport.CloseIdleConnections()
	i.running.Wait()
	for _, k := range keys {
		recycle(k.private)
	}
}

// URL is the issuer identifier, the iss of its tokens.
func (i *Issuer) URL() string { return i.config.URL }

// JWKSURL is where the JWK Set is served, the jwks_uri of the metadata.
func (i *Issuer) JWKSURL() string { return i.at("/jwks.json") }

// at is an address below the issuer's.
func (i *Issuer) at(path string) string { return strings.TrimSuffix(i.config.URL, "/") + path }

// Client is an HTTP client over [Issuer.Transport], without a timeout.
func (i *Issuer) Client() *http.Client { return &http.Client{Transport: i.transport} }

// Transport reaches the issuer under its URL, whatever host that names, and
// trusts its certificate. Other hosts are dialled as usual, without a proxy; in
// memory they cannot be reached. It is an [*http.Transport].
func (i *Issuer) Transport() http.RoundTripper { return i.transport }

// Certificate is the certificate that other clients must trust, or nil if the
// issuer does not serve TLS.
func (i *Issuer) Certificate() *x509.Certificate { return i.certificate }

// Down cuts every connection and each new one as it is made, until it is called
// with false. Requests that are lost this way are not counted.
func (i *Issuer) Down(down bool) { i.gate.setDown(down) }
