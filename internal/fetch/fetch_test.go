package fetch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serve starts a server on loopback that answers with handler.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

func get(c *Client, target string) (*Document, error) {
	return c.Get(context.Background(), target, "application/json")
}

func TestGet(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") != "application/json" || r.Header.Get("Cookie") != "" || r.Method != http.MethodGet {
			t.Errorf("request %s %v", r.Method, r.Header)
		}
		w.Header().Set("Cache-Control", "max-age=7")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"}) // not to be sent back
		_, _ = w.Write([]byte("{}"))
	})
	c := New(Config{})
	for range 2 {
		document, err := get(c, server.URL)
		if err != nil || string(document.Body) != "{}" || document.Header.Get("Cache-Control") != "max-age=7" {
			t.Fatalf("%+v, %v", document, err)
		}
	}
}

// TestBounds covers R-JK-04 and R-DI-05: what does not come
// as one small document with status 200 is an error.
func TestBounds(t *testing.T) {
	var target atomic.Int32
	elsewhere := serve(t, func(http.ResponseWriter, *http.Request) { target.Add(1) })
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    error
	}{
		{"just fits", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, MaxBytes)) }, nil},
		{"one byte more", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, MaxBytes+1)) }, ErrTooLarge},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}, ErrTooLarge},
		{"cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "10")
			_, _ = w.Write([]byte("{}"))
		}, io.ErrUnexpectedEOF},
		{"not found", http.NotFound, ErrStatus},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, ErrStatus},
		{"error with a document", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte("{}"))
		}, ErrStatus},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, ErrRedirect},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := serve(t, test.handler)
			if _, err := get(New(Config{}), server.URL); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
	if target.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

// TestCompressedStaysCompressed shows that a small response cannot become a
// large one here.
func TestCompressedStaysCompressed(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("asked for %s", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write([]byte("\x1f\x8b..."))
	})
	document, err := get(New(Config{}), server.URL)
	if err != nil || !bytes.HasPrefix(document.Body, []byte("\x1f\x8b")) {
		t.Errorf("%v, %v", document, err)
	}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// blocked is a transport that never answers.
var blocked = transportFunc(func(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
})

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{HTTPClient: &http.Client{Transport: blocked}})
		start := time.Now()
		if _, err := get(c, "https://issuer.example"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		if took := time.Since(start); took != Timeout {
			t.Errorf("gave up after %v, want %v", took, Timeout)
		}
	})
}

func TestCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c := New(Config{HTTPClient: &http.Client{Transport: blocked}})
		start := time.Now()
		if _, err := c.Get(ctx, "https://issuer.example", ""); err == nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestRedirectWithOwnClient shows that a caller's client brings its transport
// and nothing else.
func TestRedirectWithOwnClient(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) })
	c := New(Config{HTTPClient: &http.Client{
		Transport:     server.Client().Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return nil },
	}})
	if _, err := get(c, server.URL); !errors.Is(err, ErrRedirect) {
		t.Errorf("%v", err)
	}
}

// TestNoEnvironmentProxy shows that a proxy, which would connect past the
// address checks, is not taken from the environment.
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

// TestTLS covers R-JK-03: the certificate is verified, and old versions are
// not spoken.
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

// TestAllowed covers the addresses of R-JK-04 as narrowed by the design:
// private networks are allowed, link-local and metadata addresses are not, in
// any spelling.
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

// TestDialer shows that the addresses are checked where connections are made.
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
	control := dialer().ControlContext
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
