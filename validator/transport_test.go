package validator_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// tlsIssuer is an issuer on a loopback address whose certificate only its own clients
// trust. It serves metadata, a key set and introspection.
type tlsIssuer struct {
	*httptest.Server

	url       string // its issuer
	keys      atomic.Pointer[[]byte]
	mu        sync.Mutex
	protocols []string // of the requests, by path
}

// startTLS starts an issuer. change changes its TLS configuration and may be nil.
func startTLS(t *testing.T, http2 bool, change func(*tls.Config)) *tlsIssuer {
	t.Helper()
	is := new(tlsIssuer)
	is.publish(testKey)
	is.Server = httptest.NewUnstartedServer(is)
	is.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	is.EnableHTTP2 = http2
	is.TLS = new(tls.Config)
	if change != nil {
		change(is.TLS)
	}
	is.StartTLS()
	t.Cleanup(is.Close)
	is.url = is.URL
	return is
}

func (is *tlsIssuer) publish(key *signer) {
	keys := jwksOf(key)
	is.keys.Store(&keys)
}

func (is *tlsIssuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	is.mu.Lock()
	is.protocols = append(is.protocols, r.URL.Path+" "+r.Proto)
	is.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"introspection_endpoint":%q}`, is.url, is.url+"/jwks", is.url+"/introspect")
	case "/jwks":
		_, _ = w.Write(*is.keys.Load())
	case "/introspect":
		_, _ = io.WriteString(w, `{"active":true,"token_type":"Bearer",`+baseClaims.with("iss", `"`+is.url+`"`).with("exp", "4102444800").with("iat", "1699999940").text()[1:])
	case "/hang":
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// used returns the protocols that the requests for path had.
func (is *tlsIssuer) used(path string) (protocols []string) {
	is.mu.Lock()
	defer is.mu.Unlock()
	for _, entry := range is.protocols {
		if protocol, found := strings.CutPrefix(entry, path+" "); found && !slices.Contains(protocols, protocol) {
			protocols = append(protocols, protocol)
		}
	}
	return protocols
}

// roots trusts the certificate of the issuer.
func (is *tlsIssuer) roots() *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AddCert(is.Certificate())
	return roots
}

// token returns a token of the issuer that is good now.
func (is *tlsIssuer) token(key *signer) validator.Presentation {
	now := time.Now().Unix()
	return bearer(key.token(baseClaims.with("iss", `"`+is.url+`"`).with("iat", fmt.Sprint(now)).with("exp", fmt.Sprint(now+300))))
}

// through returns a Validator that reaches the issuer by transport. change may be nil.
func (is *tlsIssuer) through(t *testing.T, transport http.RoundTripper, change func(*validator.Issuer)) *validator.Validator {
	t.Helper()
	config := validator.Issuer{URL: is.url, Audiences: []string{testAudience}, KeyLimits: jwkscache.Limits{FetchTimeout: time.Second, MetadataTimeout: time.Second}}
	if transport != nil {
		config.HTTPClient = &http.Client{Transport: transport}
	}
	if change != nil {
		change(&config)
	}
	return issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
}

// lineChannel passes on what is written to it.
type lineChannel chan string

func (c lineChannel) Write(line []byte) (int, error) {
	c <- string(line)
	return len(line), nil
}

// logOf returns the line that the log has about keys which cannot be fetched through
// transport.
func (is *tlsIssuer) logOf(t *testing.T, transport http.RoundTripper) string {
	t.Helper()
	lines := make(lineChannel, 100)
	v := issuertest.Validator(t, validator.Config{
		Issuers: []validator.Issuer{{URL: is.url, Audiences: []string{testAudience}, HTTPClient: &http.Client{Transport: transport}}},
		Logger:  slog.New(slog.NewTextHandler(lines, nil)),
	})
	if err := v.Warm(t.Context()); err == nil {
		t.Error("Warm reports nothing")
	}
	for {
		select {
		case line := <-lines:
			if strings.Contains(line, "cannot be fetched") {
				return line
			}
		case <-time.After(10 * time.Second):
			t.Fatal("there is no line")
		}
	}
}

// opaqueAt is a change: the tokens are opaque, and the metadata name the endpoint.
func opaqueAt(c *validator.Issuer) {
	c.Opaque = &introspect.Client{ID: "api", Authentication: introspect.ClientSecretBasic{Secret: introspect.SecretText("s")}}
}

// protocolName is how a request shows its protocol.
func protocolName(http2 bool) string {
	if http2 {
		return "HTTP/2.0"
	}
	return "HTTP/1.1"
}

// TestPrivateAuthority covers R-JK-03: certificates of a private authority are accepted if
// the transport trusts it, over HTTP/1.1 and HTTP/2, for metadata, keys and introspection,
// and refused otherwise with an error that says so.
func TestPrivateAuthority(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		is := startTLS(t, http2, nil)
		own := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: is.roots(), MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: http2}
		ours := validator.NewTransport()
		ours.TLSClientConfig.RootCAs = is.roots()
		for name, transport := range map[string]*http.Transport{"ours": ours, "own": own} {
			if err := is.through(t, transport, nil).Warm(t.Context()); err != nil {
				t.Errorf("%s, HTTP/2 %t: %v", name, http2, err)
			}
			v := is.through(t, transport, opaqueAt)
			if _, err := v.Validate(t.Context(), bearer("opaque")); err != nil {
				t.Errorf("%s, HTTP/2 %t: %v", name, http2, causeOf(err))
			}
			transport.CloseIdleConnections()
		}
		for _, path := range []string{"/.well-known/oauth-authorization-server", "/jwks", "/introspect"} {
			if used := is.used(path); !slices.Equal(used, []string{protocolName(http2)}) {
				t.Errorf("%s was asked for by %q", path, used)
			}
		}
		distrusting := validator.NewTransport()
		distrusting.TLSClientConfig.RootCAs = x509.NewCertPool()
		v := is.through(t, distrusting, nil)
		if err := v.Warm(t.Context()); err == nil || !strings.Contains(err.Error(), "signed by an unknown authority") {
			t.Errorf("HTTP/2 %t: %v", http2, err)
		}
		if _, err := v.Validate(t.Context(), is.token(testKey)); validator.ReasonOf(err) != validator.Unavailable {
			t.Errorf("HTTP/2 %t: %v", http2, err)
		}
		if lines := is.logOf(t, distrusting); !strings.Contains(lines, "a client that trusts the private authority (tls.Config.RootCAs)") {
			t.Errorf("HTTP/2 %t: %s", http2, lines)
		}
	}
}

// TestClientCertificateOfIssuers: a client certificate in the transport is sent to all
// endpoints of the issuer. Without one, the error says that the server refused the
// handshake.
func TestClientCertificateOfIssuers(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			var certificate tls.Certificate
			var read atomic.Int32
			is := startTLS(t, http2, func(c *tls.Config) {
				c.MinVersion, c.MaxVersion = version, version
				c.ClientAuth = tls.RequireAnyClientCert
				c.VerifyConnection = func(s tls.ConnectionState) error {
					if !s.PeerCertificates[0].Equal(certificate.Leaf) {
						return errors.New("another certificate")
					}
					return nil
				}
			})
			certificate = is.TLS.Certificates[0] // any will do
			for name, change := range map[string]func(*tls.Config){
				"Certificates": func(c *tls.Config) { c.Certificates = []tls.Certificate{certificate} },
				"GetClientCertificate": func(c *tls.Config) {
					c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { read.Add(1); return &certificate, nil }
				},
			} {
				transport := validator.NewTransport()
				transport.TLSClientConfig.RootCAs = is.roots()
				change(transport.TLSClientConfig)
				v := is.through(t, transport, nil)
				if _, err := v.Validate(t.Context(), is.token(testKey)); err != nil {
					t.Errorf("%s, HTTP/2 %t, TLS %x: %v", name, http2, version, causeOf(err))
				}
				if _, err := is.through(t, transport, opaqueAt).Validate(t.Context(), bearer("opaque")); err != nil {
					t.Errorf("%s, HTTP/2 %t, TLS %x: %v", name, http2, version, causeOf(err))
				}
				transport.CloseIdleConnections()
			}
			if read.Load() == 0 {
				t.Error("the certificate was not read")
			}
			without := validator.NewTransport()
			without.TLSClientConfig.RootCAs = is.roots()
			for want, ask := range map[string]func() string{
				"the TLS handshake failed: the server refused it: ":                                func() string { return fmt.Sprint(is.through(t, without, nil).Warm(t.Context())) },
				"a client certificate, give it one by Issuer.HTTPClient (tls.Config.Certificates)": func() string { return is.logOf(t, without) },
			} {
				if found := untilContains(want, ask); !strings.Contains(found, want) {
					t.Errorf("HTTP/2 %t, TLS %x: %s", http2, version, found)
				}
			}
		}
	}
}

// untilContains returns the first text of ask that contains want, or its twentieth. Over TLS
// 1.3 a client writes before the server refuses it, and then often finds the connection
// closed instead of the reason.
func untilContains(want string, ask func() string) (found string) {
	for range 20 {
		if found = ask(); strings.Contains(found, want) {
			break
		}
	}
	return found
}

// withToken is a transport that sends a token to one host, as Kubernetes wants it for its
// metadata and keys.
type withToken struct {
	http.RoundTripper

	host, token string
}

func (w withToken) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == w.host {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+w.token)
	}
	return w.RoundTripper.RoundTrip(r)
}

// TestTokenForMetadata: a transport of the program can send a token to an issuer whose
// metadata and keys are not public. Without one, the mend says so.
func TestTokenForMetadata(t *testing.T) {
	is := startTLS(t, true, nil)
	serve := is.Config.Handler
	is.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer canary" {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		serve.ServeHTTP(w, r)
	})
	transport := validator.NewTransport()
	transport.TLSClientConfig.RootCAs = is.roots()
	defer transport.CloseIdleConnections()
	v := is.through(t, withToken{transport, is.Listener.Addr().String(), "canary"}, nil)
	if _, err := v.Validate(t.Context(), is.token(testKey)); err != nil {
		t.Error(causeOf(err))
	}
	if line := is.logOf(t, transport); !strings.Contains(line, "answered 401") || !strings.Contains(line, "add them in the transport of Issuer.HTTPClient") {
		t.Error(line)
	}
}

// connectProxy is a proxy on a loopback address. It connects all hosts to one server.
type connectProxy struct {
	*httptest.Server

	mu     sync.Mutex
	asked  []string // method, host and credentials
	status int      // of its answers, or 0 if it connects
}

func startProxy(t *testing.T, to string) *connectProxy {
	t.Helper()
	p := new(connectProxy)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+r.Host+" "+r.Header.Get("Proxy-Authorization"))
		status := p.status
		p.mu.Unlock()
		if status != 0 || r.Method != http.MethodConnect {
			http.Error(w, "refused", max(status, http.StatusBadRequest))
			return
		}
		far, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", to)
		if err != nil {
			http.Error(w, "unreachable", http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_ = far.Close()
			return
		}
		_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
		_, _ = io.Copy(near, far)
		_ = near.Close()
	}))
	t.Cleanup(p.Close)
	return p
}

// TestProxyOnPurpose: no proxy of the environment is used, and one that the transport has
// is. The connection to the issuer is TLS all the same, and no error has the password of the
// proxy.
func TestProxyOnPurpose(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		is := startTLS(t, http2, nil)
		is.url = "https://example.com" // what the certificate is for; nobody connects there
		proxy := startProxy(t, is.Listener.Addr().String())
		for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "ALL_PROXY"} {
			t.Setenv(name, proxy.URL)
		}
		var dialled []string
		alone := validator.NewTransport()
		alone.DialContext = func(_ context.Context, _, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return nil, errors.New("no network")
		}
		if err := is.through(t, alone, func(c *validator.Issuer) { c.Keys = jwkscache.URL("https://example.com/jwks") }).Warm(t.Context()); err == nil {
			t.Error("Warm reports nothing")
		}
		if !slices.Equal(dialled, []string{"example.com:443"}) || len(proxy.asked) != 0 {
			t.Errorf("connected to %q; the proxy was asked for %q", dialled, proxy.asked)
		}

		at, err := url.Parse(proxy.URL)
		if err != nil {
			t.Fatal(err)
		}
		at.User = url.UserPassword("api", "canary")
		through := validator.NewTransport()
		through.TLSClientConfig.RootCAs = is.roots()
		through.Proxy = http.ProxyURL(at)
		v := is.through(t, through, nil)
		if _, err := v.Validate(t.Context(), is.token(testKey)); err != nil {
			t.Errorf("HTTP/2 %t: %v", http2, causeOf(err))
		}
		if _, err := is.through(t, through, opaqueAt).Validate(t.Context(), bearer("opaque")); err != nil {
			t.Errorf("HTTP/2 %t: %v", http2, causeOf(err))
		}
		proxy.mu.Lock()
		if asked := slices.Compact(slices.Clone(proxy.asked)); !slices.Equal(asked, []string{"CONNECT example.com:443 Basic YXBpOmNhbmFyeQ=="}) {
			t.Errorf("the proxy was asked for %q", asked)
		}
		proxy.status = http.StatusProxyAuthRequired
		proxy.mu.Unlock()
		if used := is.used("/jwks"); !slices.Equal(used, []string{protocolName(http2)}) {
			t.Errorf("the keys were asked for by %q", used)
		}
		through.CloseIdleConnections()
		err = is.through(t, through, nil).Warm(t.Context())
		if err == nil || !strings.Contains(err.Error(), "Proxy Authentication Required") || strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "YXBp") {
			t.Errorf("HTTP/2 %t: %v", http2, err)
		}
		proxy.Close()
		if err = is.through(t, through, nil).Warm(t.Context()); err == nil || !strings.Contains(err.Error(), "proxyconnect") || strings.Contains(err.Error(), "canary") {
			t.Errorf("HTTP/2 %t: %v", http2, err)
		}
	}
}

// middlebox passes connections on, and can forget those that it has: their packets vanish
// in both directions, as behind a NAT that has lost its state. New ones work.
type middlebox struct {
	listener net.Listener

	mu        sync.Mutex
	forgotten []*atomic.Bool
}

func startMiddlebox(t *testing.T, to string) *middlebox {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &middlebox{listener: listener}
	var mu sync.Mutex
	var open []net.Conn
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		defer mu.Unlock()
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", to)
			if err != nil {
				_ = near.Close()
				continue
			}
			mu.Lock()
			open = append(open, near, far)
			mu.Unlock()
			forgotten := new(atomic.Bool)
			m.mu.Lock()
			m.forgotten = append(m.forgotten, forgotten)
			m.mu.Unlock()
			go pump(far, near, forgotten)
			go pump(near, far, forgotten)
		}
	}()
	return m
}

// pump passes bytes on until the connection is forgotten, and drops them from then on.
func pump(to io.Writer, from io.Reader, forgotten *atomic.Bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return // and no end is passed on
		}
		if !forgotten.Load() {
			_, _ = to.Write(buffer[:n])
		}
	}
}

// forget forgets the present connections.
func (m *middlebox) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, forgotten := range m.forgotten {
		forgotten.Store(true)
	}
}

func (m *middlebox) connections() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.forgotten)
}

// hidden hides all methods of a transport but RoundTrip.
type hidden struct{ http.RoundTripper }

// TestForgottenConnection: after a NAT or a load balancer has forgotten the connection, a
// key that was rotated meanwhile is found within seconds, over HTTP/1.1 and HTTP/2, by the
// default transport and by one of the program, also while that has a stream of its own on the
// same connection.
func TestForgottenConnection(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name         string
		own, wrapped bool
		busy         bool // the program has a stream on the connection
	}{{name: "ours"}, {name: "own", own: true}, {name: "own, wrapped", own: true, wrapped: true}, {name: "own and busy", own: true, busy: true}} {
		for _, http2 := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, HTTP/2 %t", row.name, http2), func(t *testing.T) {
				t.Parallel()
				is := startTLS(t, http2, nil)
				box := startMiddlebox(t, is.Listener.Addr().String())
				is.url = "https://" + box.listener.Addr().String()
				transport := validator.NewTransport()
				if row.own {
					transport = &http.Transport{TLSClientConfig: new(tls.Config), ForceAttemptHTTP2: http2}
				}
				transport.TLSClientConfig.RootCAs = is.roots()
				defer transport.CloseIdleConnections()
				var client http.RoundTripper = transport
				if row.wrapped {
					client = hidden{transport}
				}
				v := is.through(t, client, func(c *validator.Issuer) { c.Keys = jwkscache.URL(is.url + "/jwks") })
				if _, err := v.Validate(t.Context(), is.token(testKey)); err != nil {
					t.Fatal(causeOf(err))
				}
				if row.busy {
					request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, is.url+"/hang", http.NoBody)
					if err != nil {
						t.Fatal(err)
					}
					response, err := transport.RoundTrip(request)
					if err != nil {
						t.Fatal(err)
					}
					defer response.Body.Close()
				}
				before := box.connections()
				box.forget()
				rotated := edSigner("k2", "rotated")
				is.publish(rotated)
				start := time.Now()
				tick := time.NewTicker(50 * time.Millisecond)
				defer tick.Stop()
				for {
					_, err := v.Validate(t.Context(), is.token(rotated))
					if err == nil {
						break
					}
					if time.Since(start) > 20*time.Second {
						t.Fatalf("not found after 20 s: %v", causeOf(err))
					}
					<-tick.C
				}
				if after := box.connections(); after == before {
					t.Error("there was no other connection")
				}
				t.Logf("found after %v", time.Since(start).Round(10*time.Millisecond))
			})
		}
	}
}
