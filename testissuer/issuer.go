package testissuer

import (
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jose"
)

// Config configures an [Issuer]. The zero value is valid: plain http on a loopback
// address, and one ES256 key.
type Config struct {
	// URL is the issuer identifier: an http or https URL without query and
	// fragment. Empty means the address that the issuer listens on, or
	// https://issuer.test with InMemory. A path alone, such as "/tenant/1", is
	// added to that.
	//
	// If the URL names another host than that address, only [Issuer.Client]
	// and [Issuer.Transport] reach the issuer. https implies TLS.
	URL string
	// TLS serves https on a loopback address, with a new certificate. It is
	// refused with InMemory and with an http URL.
	TLS bool
	// InMemory opens no socket: only [Issuer.Client] and [Issuer.Transport]
	// reach the issuer, over [net.Pipe]. Nothing is encrypted, even if URL is
	// https.
	InMemory bool
	// Algorithm is the algorithm of the first key, and of keys added without
	// one. 0 means ES256; RSA keys take long to make.
	Algorithm jose.Algorithm
	// Audience is the aud of tokens, unless [Token] changes it. Empty means
	// https://api.test.
	Audience string
	// CacheControl is the Cache-Control field of answers with the JWK Set.
	// Empty means none.
	CacheControl string
	// ETag serves the JWK Set with a strong ETag of its bytes, and answers a
	// matching If-None-Match with 304 (RFC 9110 §13.1.2). An answer whose
	// [Behaviour] has a Status, Body or Redirect has no ETag, and is never a
	// 304.
	ETag bool
	// Clients are the clients of the issuer, such as APIs that introspect
	// tokens. nil means one, with [ClientID] and [ClientSecret]. An empty list
	// means none.
	Clients []Client
}

const defaultAudience = "https://api.test"

// Issuer is an authorization server for tests. [New] or [Start] makes it.
type Issuer struct {
	config      Config // with its defaults
	keys        *keyring
	site        *site
	certificate *x509.Certificate
	gate        *gate
	server      *http.Server
	transport   *http.Transport
	running     sync.WaitGroup // the loop of the server
}

// New starts an issuer with the zero [Config] and closes it when the test ends. The
// test fails if the issuer cannot start. For another Config, and in a
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
// demonstrations can use it too. The error names every fault of c, or says why the
// issuer cannot listen.
func Start(c Config) (*Issuer, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	g, err := open(c.InMemory)
	if err != nil {
		return nil, fmt.Errorf("testissuer: %w", err)
	}
	secure := c.secure()
	if c.Algorithm == 0 {
		c.Algorithm = jose.ES256
	}
	if c.Audience == "" {
		c.Audience = defaultAudience
	}
	if c.URL == "" || strings.HasPrefix(c.URL, "/") {
		c.URL = g.base(c.InMemory, secure) + c.URL
	}
	i := &Issuer{config: c, gate: g, keys: &keyring{ids: make(map[string]bool)}}
	i.site = &site{
		url: c.URL, keys: i.keys, tokens: newRegistry(i.keys), clients: clientsOf(c.Clients), cacheControl: c.CacheControl, tagged: c.ETag,
		closing:    make(chan struct{}),
		metadata:   make(map[Endpoint][]byte),
		behaviours: make(map[Endpoint]Behaviour),
		requests:   make(map[Endpoint]int),
		forms:      make(map[Endpoint][]Request),
	}
	if err := i.start(secure && !c.InMemory); err != nil {
		_ = g.Close()
		return nil, err
	}
	return i, nil
}

// secure reports whether the URL of the issuer is https. In memory, it also is by
// default, without TLS.
func (c *Config) secure() bool { return c.TLS || strings.HasPrefix(c.URL, "https:") }

// check returns all faults of c.
func (c *Config) check() error {
	faults := fault.In("testissuer")
	if c.Algorithm != 0 && !c.Algorithm.Valid() {
		faults.At("Algorithm").Add("is unknown", "use a constant of package jose")
	}
	if c.TLS && c.InMemory {
		faults.At("TLS").Add("is set together with InMemory", "leave it out; in memory, an https URL needs no TLS")
	}
	checkClients(c.Clients, c.secure() && !c.InMemory, faults)
	if c.URL == "" {
		return faults.Err()
	}
	at := faults.At("URL")
	u, err := url.Parse(c.URL)
	path := strings.HasPrefix(c.URL, "/") && !strings.HasPrefix(c.URL, "//")
	switch {
	case err != nil || strings.ContainsAny(c.URL, "?#") || u.User != nil:
		at.Addf("use a URL without user, query and fragment", "is %q", c.URL)
	case !path && (u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https"):
		at.Addf("use http or https with a host, or a path", "is %q", c.URL)
	case c.TLS && u.Scheme == "http":
		at.Addf("use https, or leave TLS out", "is %q, and TLS is set", c.URL)
	}
	return faults.Err()
}

// start makes the first key and begins to serve.
func (i *Issuer) start(secure bool) error {
	u := must(url.Parse(i.config.URL)) // it was checked
	i.site.paths = pathsOf(u)
	var listener net.Listener = i.gate
	i.transport = i.gate.transport(u)
	if secure {
		var err error
		listener, i.certificate, err = secured(i.gate, u.Hostname(), i.transport)
		if err != nil {
			return fmt.Errorf("testissuer: certificate: %w", err)
		}
	}
	i.Use(i.AddKey(Key{}))
	i.server = &http.Server{
		Handler:           i.site,
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // tests provoke failed handshakes
	}
	i.running.Go(func() { _ = i.server.Serve(listener) }) // the error is always http.ErrServerClosed
	return nil
}

// Close cuts every connection and waits until the server has ended. Tokens that
// were signed before still verify, and [Issuer.Sign] still works.
//
// Issuers that are started later may use the RSA keys of a closed one again,
// because RSA keys take long to make. Issuers that are open at the same time never
// have a key in common.
func (i *Issuer) Close() {
	if !i.site.close() {
		i.wait()
		return
	}
	_ = i.server.Close()
	i.transport.CloseIdleConnections()
	i.wait()
	i.keys.recycle()
}

// wait waits until the server and all requests have ended.
func (i *Issuer) wait() {
	i.running.Wait()
	i.site.running.Wait()
}

// Format writes the type and the URL under every verb, and not the secrets of clients.
func (i *Issuer) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%T(%s)", i, i.config.URL) // fmt writes <nil> for a nil pointer by itself
}

// URL returns the issuer identifier, which is the iss of its tokens.
func (i *Issuer) URL() string { return i.config.URL }

// JWKSURL returns the URL of the JWK Set, which is the jwks_uri of the metadata.
func (i *Issuer) JWKSURL() string { return i.site.below(jwksPath) }

// IntrospectionURL returns the URL of the introspection endpoint.
func (i *Issuer) IntrospectionURL() string { return i.site.below(introspectionPath) }

// RevocationURL returns the URL of the revocation endpoint.
func (i *Issuer) RevocationURL() string { return i.site.below(revocationPath) }

// TokenURL returns the URL of the token endpoint.
func (i *Issuer) TokenURL() string { return i.site.below(tokenPath) }

// Client returns an HTTP client that uses [Issuer.Transport], without a timeout.
func (i *Issuer) Client() *http.Client { return &http.Client{Transport: i.transport} }

// Transport returns an [*http.Transport] that reaches the issuer by its URL,
// whatever host that names, and trusts its certificate. It dials other hosts as
// usual, without a proxy. Of an issuer in memory, it reaches no other host.
func (i *Issuer) Transport() http.RoundTripper { return i.transport }

// Certificate returns the certificate that other clients must trust, or nil if the
// issuer does not serve TLS.
func (i *Issuer) Certificate() *x509.Certificate { return i.certificate }

// Down cuts every connection, and each new one as it is made, until Down(false) is
// called. [Issuer.Requests] does not count requests that are lost this way.
func (i *Issuer) Down(down bool) { i.gate.setDown(down) }

// Behave makes an endpoint behave like b from the next request on. The zero
// Behaviour makes it answer as it should.
func (i *Issuer) Behave(e Endpoint, b Behaviour) { i.site.behave(e, b) }

// Requests returns how many requests the endpoint has received, including those
// that are not answered yet.
func (i *Issuer) Requests(e Endpoint) int { return i.site.count(e) }

// Metadata changes one metadata document. It calls change once with the members of
// the good document, and change may set, replace and delete members. Each endpoint
// has its own document. A nil change restores the good one.
func (i *Issuer) Metadata(e Endpoint, change func(members map[string]any)) {
	i.site.setMetadata(e, change)
}

// Received returns the latest 1000 requests that arrived at [Introspection],
// [Revocation] or [TokenEndpoint], the oldest first. It leaves out requests that are
// not POST.
func (i *Issuer) Received(e Endpoint) []Request { return i.site.received(e) }

// Sign returns the token in compact serialisation. The issuer also answers
// introspections of the token.
func (i *Issuer) Sign(t Token) string {
	if t.Text != "" || t.Prefix != "" {
		panic("testissuer: Sign: Text and Prefix are for Opaque")
	}
	t.Fault.check()
	token := t.sign(i.keys.key(t.Key), i.config.URL, i.config.Audience)
	if t.Fault != 0 {
		i.site.tokens.setFault(token, t.Fault)
	}
	return token
}

// Opaque returns a new opaque token, which has no meaning without introspection. Its
// introspection response has active true, token_type "Bearer" and the claims that
// [Issuer.Sign] would write into a JWT, until it expires or is revoked. The fields of
// t that are about a signature must be zero.
func (i *Issuer) Opaque(t Token) string {
	return i.site.tokens.issue(&t, i.config.URL, i.config.Audience)
}

// Revoke revokes an opaque token, or a JWT that the issuer signed: its introspection
// response has active false from the next request on.
func (i *Issuer) Revoke(token string) {
	if !i.site.tokens.revoke(token) {
		panic("testissuer: Revoke: the issuer did not issue this token")
	}
}

// Answer sets the Fault with which the introspection endpoint answers about a token from
// the next request on, whether the issuer issued the token or not. It replaces the
// Fault of the [Token]. 0 removes it. The token "" stands for all tokens that the
// issuer does not know.
func (i *Issuer) Answer(token string, f Fault) { i.site.tokens.setFault(token, f) }

// AddKey makes a key, publishes it and returns its ID. The issuer still signs with
// the key that it used before; see [Issuer.Use].
func (i *Issuer) AddKey(k Key) string {
	if k.Algorithm == 0 {
		k.Algorithm = i.config.Algorithm
	}
	return i.keys.add(k)
}

// Rotate adds a key with the algorithm of the signing key, signs with it from now
// on, and returns its ID. The earlier key stays published, because tokens signed
// with it may still be in use; see [Issuer.Retire].
func (i *Issuer) Rotate() string {
	id := i.AddKey(Key{Algorithm: i.keys.key("").algorithm})
	i.Use(id)
	return id
}

// SigningKey returns the ID of the key that signs.
func (i *Issuer) SigningKey() string { return i.keys.key("").id }

// Use makes a key, published or not, the one that signs.
func (i *Issuer) Use(id string) { i.keys.change(id, func(k *key) { i.keys.signing = k }) }

// Publish puts a key into the JWK Set.
func (i *Issuer) Publish(id string) { i.keys.change(id, func(k *key) { k.published = true }) }

// Retire removes a key from the JWK Set. The key can still sign.
func (i *Issuer) Retire(id string) { i.keys.change(id, func(k *key) { k.published = false }) }

// ExtraJWKs puts JSON texts into the JWK Set, before the issuer's own keys: keys of
// unknown types, private keys, broken keys. They replace those of an earlier call.
func (i *Issuer) ExtraJWKs(texts ...string) { i.keys.setExtra(texts) }

// JWKS returns the JWK Set that is published now. [Issuer.Behave] has no effect on
// it.
func (i *Issuer) JWKS() []byte { return i.keys.jwks() }
