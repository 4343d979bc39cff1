package testissuer

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// gate is the listener of an issuer, on a loopback socket or over pipes. While
// it is down, it cuts every connection.
type gate struct {
	net.Listener

	pipes *pipes // the Listener in memory, or nil

	mu   sync.Mutex
	down bool
	open map[*gatedConn]struct{}
}

// defaultHost is the URL of an issuer in memory.
const defaultHost = "https://issuer.test"

// gatedConn is a connection that its gate can cut.
type gatedConn struct {
	net.Conn

	gate *gate
}

// open returns a gate in memory or on a loopback address.
func open(inMemory bool) (*gate, error) {
	g := &gate{open: make(map[*gatedConn]struct{})}
	if inMemory {
		g.pipes = &pipes{accept: make(chan net.Conn), closed: make(chan struct{})}
		g.Listener = g.pipes
		return g, nil
	}
	var config net.ListenConfig
	var err error
	if g.Listener, err = config.Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
		g.Listener, err = config.Listen(context.Background(), "tcp6", "[::1]:0")
	}
	return g, err
}

// base returns the URL of the address that the gate listens on.
func (g *gate) base(inMemory, secure bool) string {
	switch {
	case inMemory:
		return defaultHost
	case secure:
		return "https://" + g.Addr().String()
	default:
		return "http://" + g.Addr().String()
	}
}

// Accept returns the next connection that the gate admits.
func (g *gate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := g.admit(conn); c != nil {
			return c, nil
		}
		_ = conn.Close()
	}
}

// admit returns conn as a connection of the gate, or nil if the gate is down.
func (g *gate) admit(conn net.Conn) *gatedConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.down {
		return nil
	}
	c := &gatedConn{conn, g}
	g.open[c] = struct{}{}
	return c
}

// setDown closes the gate and cuts its connections, or opens it again.
func (g *gate) setDown(down bool) {
	g.mu.Lock()
	g.down = down
	var cut []net.Conn
	if down {
		for c := range g.open {
			cut = append(cut, c.Conn)
		}
	}
	g.mu.Unlock()
	for _, c := range cut {
		_ = c.Close()
	}
}

// Close closes the connection and removes it from its gate.
func (c *gatedConn) Close() error {
	c.gate.mu.Lock()
	delete(c.gate.open, c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// pipes is a listener in memory. Its dial makes the connections.
type pipes struct {
	accept chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// pipeAddr is the address of a pipe.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }

func (*pipes) Addr() net.Addr { return pipeAddr{} }

// Accept waits for a call of dial and returns the server side of its pipe.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.accept:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and dial.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// dial makes a pipe and returns the client side once the server has accepted it.
func (p *pipes) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	err := net.ErrClosed
	select {
	case p.accept <- server:
		return client, nil
	case <-p.closed:
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = client.Close()
	_ = server.Close()
	return nil, err
}

// transport returns a transport that dials the gate for the host of u. It uses no
// proxy.
func (g *gate) transport(u *url.URL) *http.Transport {
	own := net.JoinHostPort(u.Hostname(), portOf(u))
	if g.pipes != nil {
		dial := func(ctx context.Context, _, address string) (net.Conn, error) {
			if address != own {
				return nil, fmt.Errorf("testissuer: %s cannot be reached in memory; the issuer is %s", address, own)
			}
			return g.pipes.dial(ctx)
		}
		return &http.Transport{DialContext: dial, DialTLSContext: dial}
	}
	var dialer net.Dialer
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == own {
			address = g.Addr().String()
		}
		return dialer.DialContext(ctx, network, address)
	}}
}

// portOf returns the port of u, or the default of its scheme.
func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

// secured returns listener with TLS, and its new certificate for host and the
// loopback names. It makes transport trust the certificate.
func secured(listener net.Listener, host string, transport *http.Transport) (net.Listener, *x509.Certificate, error) {
	private := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(1, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true, // so that a file of trusted roots can have it
		DNSNames:              []string{"localhost"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = append(template.IPAddresses, ip)
	} else {
		template.DNSNames = append(template.DNSNames, host)
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, private.Public(), private)
	if err != nil { // the host is not in ASCII
		return nil, nil, err
	}
	certificate := must(x509.ParseCertificate(der))
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	own := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private, Leaf: certificate}
	return tls.NewListener(listener, &tls.Config{
		Certificates: []tls.Certificate{own},
		ClientAuth:   tls.RequestClientCert, // see Client.Certificate
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}), certificate, nil
}
