package fetch

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

// TestNoEnvironmentProxy checks that no proxy is taken from the environment, because
// a proxy connects without the address checks.
func TestNoEnvironmentProxy(t *testing.T) {
	var proxied atomic.Int32
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("HTTPS_PROXY", proxy.URL)
	transport, ok := New(Config{}).http.Transport.(*http.Transport)
	if !ok || transport.Proxy != nil {
		t.Error("the transport has a proxy")
	}
	if _, err := get(New(Config{InsecureAllowHTTP: true}), "http://issuer.invalid"); err == nil || proxied.Load() != 0 {
		t.Errorf("%v, proxied %d", err, proxied.Load())
	}
}

// TestTLS covers R-JK-03: the certificate is verified, and old versions are refused.
func TestTLS(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	if _, err := get(New(Config{}), server.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown certificate: %v", err)
	}
	if _, err := get(New(Config{HTTPClient: server.Client()}), server.URL); !errors.Is(err, ErrStatus) {
		t.Errorf("a trusted certificate: %v", err)
	}
	transport, _ := New(Config{}).http.Transport.(*http.Transport)
	const tls12 = 0x0303
	if transport.TLSClientConfig.MinVersion != tls12 || transport.TLSClientConfig.InsecureSkipVerify {
		t.Errorf("%+v", transport.TLSClientConfig)
	}
}

// TestCheckURL covers R-JK-03 and R-DI-04.
func TestCheckURL(t *testing.T) {
	for _, target := range []string{
		"https://issuer.example", "https://issuer.example/a?b", "https://10.0.0.1:8443/", "https://localhost",
		"http://localhost:8080/", "http://127.0.0.1/", "http://127.9.9.9/", "http://[::1]:80/",
	} {
		if _, err := CheckURL(target, false); err != nil {
			t.Errorf("%s: %v", target, err)
		}
	}
	for _, target := range []string{
		"", "issuer.example", "//issuer.example", "https://", "https://:443/", "https://a@issuer.example", "https://a:b@issuer.example",
		"https://issuer.example#a", "ftp://issuer.example", "file:///etc/passwd", "data:,x", "https:issuer.example",
		"http://issuer.example", "http://10.0.0.1", "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://[::2]",
		"https://issuer.example/%zz",
	} {
		if _, err := CheckURL(target, false); !errors.Is(err, ErrURL) {
			t.Errorf("%s: %v, want ErrURL", target, err)
		}
		if _, err := get(New(Config{}), target); !errors.Is(err, ErrURL) {
			t.Errorf("Get %s: %v, want ErrURL", target, err)
		}
	}
	if _, err := CheckURL("http://issuer.example", true); err != nil {
		t.Errorf("InsecureAllowHTTP: %v", err)
	}
	if _, err := CheckURL("ftp://issuer.example", true); err == nil {
		t.Error("InsecureAllowHTTP opens other schemes")
	}
}

// TestAllowed covers the addresses of R-JK-04 as the design restricts them: private
// networks are allowed, link-local and metadata addresses are refused in any form.
func TestAllowed(t *testing.T) {
	for _, ip := range []string{
		"127.0.0.1", "::1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "93.184.216.34", "2606:2800:220:1::1",
		"fd12:3456::1", "2606:2800::5efe:10.0.0.1", "2606:2800::1:5efe:a9fe:a9fe", "2606:2800::1000:5efe:a9fe:a9fe",
		"2606:2800::5efd:a9fe:a9fe", "2606:2800::5dfe:a9fe:a9fe", "::ffff:10.0.0.1", "64:ff9b::5db8:d822",
	} {
		if !allowed(netip.MustParseAddr(ip)) {
			t.Errorf("%s is refused", ip)
		}
	}
	for _, ip := range []string{
		"169.254.169.254", "169.254.0.1", "169.254.170.2", "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "239.1.1.1",
		"100.100.100.200", "168.63.129.16", "192.0.0.192",
		"::", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "ff02::1", "fd00:ec2::254", "fd20:ce::254", "fd00:c1::a9fe:a9fe",
		"::ffff:169.254.169.254", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::1",
		"64:ff9b::6464:64c8", "64:ff9b:1:a9fe:a9:fe00:101:101", "::ffff:0:169.254.169.254", "2001:0:a9fe:a9fe::1",
		"2606:2800::5efe:169.254.169.254", "2606:2800::200:5efe:169.254.169.254", "fd00:42::42",
	} {
		if allowed(netip.MustParseAddr(ip)) {
			t.Errorf("%s is allowed", ip)
		}
	}
}

// TestDialer checks that addresses are checked when connections are made.
func TestDialer(t *testing.T) {
	for _, target := range []string{
		"https://169.254.169.254/latest/meta-data", "https://[::ffff:169.254.169.254]/", "https://[fe80::1]/", "https://100.100.100.200/",
	} {
		if _, err := get(New(Config{}), target); !errors.Is(err, ErrAddress) {
			t.Errorf("%s: %v, want ErrAddress", target, err)
		}
	}
	ownClient := New(Config{HTTPClient: &http.Client{}}) // without a transport of its own
	if _, err := get(ownClient, "https://169.254.169.254/"); !errors.Is(err, ErrAddress) {
		t.Errorf("a client without a transport: %v, want ErrAddress", err)
	}
	control := dialer(Timeout).ControlContext
	ctx := context.Background()
	for _, test := range []struct {
		ctx     context.Context
		address string
		want    error
	}{
		{ctx, "10.0.0.1:443", nil},
		{ctx, "127.0.0.1:443", nil},
		{ctx, "169.254.169.254:80", ErrAddress},
		{ctx, "no address", ErrAddress},
		{onlyLoopback(ctx), "127.0.0.1:80", nil},
		{onlyLoopback(ctx), "[::1]:80", nil},
		{onlyLoopback(ctx), "10.0.0.1:80", ErrAddress},
	} {
		if err := control(test.ctx, "tcp", test.address, nil); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", test.address, err, test.want)
		}
	}
}

// TestOnlyLoopback covers R-JK-03: localhost is this machine, also where plain http
// to other hosts is allowed.
func TestOnlyLoopback(t *testing.T) {
	for target, want := range map[string]bool{
		"http://localhost/": true, "http://127.0.0.1:8080/": true, "http://issuer.example/": false, "https://localhost/": false,
	} {
		var marked bool
		client := &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			marked = r.Context().Value(loopbackKey{}) != nil
			return nil, io.EOF
		})}
		if _, err := get(New(Config{HTTPClient: client, InsecureAllowHTTP: true}), target); !errors.Is(err, io.EOF) || marked != want {
			t.Errorf("%s: only loopback is %t, %v", target, marked, err)
		}
	}
}

// TestSharedTransport checks that Clients with one transport share its connections.
func TestSharedTransport(t *testing.T) {
	var connections atomic.Int32
	server := httptest.NewUnstartedServer(asJSON(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	transport := NewTransport()
	for range 3 {
		if _, err := get(New(Config{HTTPClient: &http.Client{Transport: transport}}), server.URL); err != nil {
			t.Fatal(err)
		}
	}
	if connections.Load() != 1 {
		t.Errorf("%d connections", connections.Load())
	}
}
