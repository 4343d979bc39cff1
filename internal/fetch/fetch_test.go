package fetch

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serve starts a server on loopback that answers with handler, as JSON unless
// that says otherwise.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(asJSON(handler))
	t.Cleanup(server.Close)
	return server
}

func asJSON(handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		handler(w, r)
	}
}

func get(c *Client, target string) (*Document, error) {
	return c.Get(context.Background(), Request{URL: target, Accept: "application/json"})
}

func TestGet(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		want := http.Header{"Accept": {"application/json"}, "Accept-Encoding": {"identity"}, "User-Agent": {"sallyport"}}
		if r.Method != http.MethodGet || !maps.EqualFunc(r.Header, want, slices.Equal) {
			t.Errorf("request %s %v", r.Method, r.Header)
		}
		w.Header().Set("Cache-Control", "max-age=7")
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"}) // not to be sent back
		_, _ = w.Write([]byte("{}"))
	})
	c := New(Config{})
	for range 2 {
		document, err := get(c, server.URL)
		if err != nil || string(document.Body) != "{}" || document.Header.Get("Cache-Control") != "max-age=7" || document.NotModified {
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
		{"part of a document", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte("{}"))
		}, ErrStatus},
		{"not modified, and not asked", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }, ErrStatus},
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

// TestMaxBytes covers the size of R-JK-04 where a Config names it.
func TestMaxBytes(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{12}")) })
	for limit, want := range map[int64]error{3: ErrTooLarge, 4: nil, MaxBytes + 1: nil} {
		document, err := get(New(Config{MaxBytes: limit}), server.URL)
		if !errors.Is(err, want) || want == nil && string(document.Body) != "{12}" {
			t.Errorf("with a limit of %d: %v", limit, err)
		}
	}
}

// TestEndlessBody covers R-JK-04: whatever the transport is, no more is read
// than one byte over the limit.
func TestEndlessBody(t *testing.T) {
	read := 0
	endless := readerFunc(func(p []byte) (int, error) {
		read += len(p)
		return len(p), nil
	})
	if _, err := get(New(Config{HTTPClient: answering(nil, endless)}), "https://issuer.example"); !errors.Is(err, ErrTooLarge) || read != MaxBytes+1 {
		t.Errorf("%v after %d bytes", err, read)
	}
}

// TestHeaderFlood covers R-JK-04: 64 KiB of fields are read, and not the rest.
func TestHeaderFlood(t *testing.T) {
	for _, version := range []int{1, 2} {
		for size, refused := range map[int]bool{60 << 10: false, 68 << 10: true, 8 << 20: true} {
			server := httptest.NewUnstartedServer(asJSON(func(w http.ResponseWriter, r *http.Request) {
				if r.ProtoMajor != version {
					t.Errorf("HTTP/%d", r.ProtoMajor)
				}
				for range size >> 10 {
					w.Header().Add("X", strings.Repeat("x", 1<<10-len("X: \r\n")))
				}
			}))
			server.EnableHTTP2 = version == 2
			server.StartTLS()
			transport := NewTransport()
			transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			transport.TLSClientConfig.RootCAs.AddCert(server.Certificate())
			if _, err := get(New(Config{HTTPClient: &http.Client{Transport: transport}}), server.URL); (err != nil) != refused {
				t.Errorf("%d bytes over HTTP/%d: %v", size, version, err)
			}
			transport.CloseIdleConnections()
			server.Close()
		}
	}
}

// TestNoDecompression shows that a small answer cannot become a large one, and
// that no one's transport unpacks it before it is judged.
func TestNoDecompression(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		bomb := gzip.NewWriter(w)
		_, _ = bomb.Write(make([]byte, 1<<19))
		_ = bomb.Close()
	})
	for name, client := range map[string]*http.Client{"default": nil, "plain": {Transport: &http.Transport{}}} {
		if _, err := get(New(Config{HTTPClient: client}), server.URL); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s transport: %v, want ErrEncoding", name, err)
		}
	}
	transport, ok := New(Config{}).http.Transport.(*http.Transport)
	if !ok || !transport.DisableCompression {
		t.Error("the default transport unpacks")
	}
}

// TestFields covers R-DI-05: what does not come as JSON is not read as JSON.
func TestFields(t *testing.T) {
	for _, test := range []struct {
		types     []string
		encodings []string
		want      error
	}{
		{[]string{"application/json"}, nil, nil},
		{[]string{"application/jwk-set+json"}, nil, nil},
		{[]string{"Application/JSON ; charset=\"UTF-8\""}, nil, nil},
		{[]string{"application/json;charset=utf-8;charset=utf-8"}, nil, nil},
		{[]string{"application/JWK-Set+JSON;x"}, nil, nil},
		{nil, nil, ErrMediaType},
		{[]string{""}, nil, ErrMediaType},
		{[]string{"text/html; charset=utf-8"}, nil, ErrMediaType},
		{[]string{"text/json"}, nil, ErrMediaType},
		{[]string{"text/x+json"}, nil, ErrMediaType},
		{[]string{"json"}, nil, ErrMediaType},
		{[]string{"application"}, nil, ErrMediaType},
		{[]string{"application/"}, nil, ErrMediaType},
		{[]string{"application/+json"}, nil, ErrMediaType},
		{[]string{"application/jsonp"}, nil, ErrMediaType},
		{[]string{"application/xjson"}, nil, ErrMediaType},
		{[]string{"application/x+json+xml"}, nil, ErrMediaType},
		{[]string{"application/octet-stream"}, nil, ErrMediaType},
		{[]string{"text/html; application/json"}, nil, ErrMediaType},
		{[]string{"application/json, application/x+json"}, nil, ErrMediaType},
		{[]string{"application/json", "text/html"}, nil, ErrMediaType},
		{[]string{"application/json"}, []string{"identity"}, nil},
		{[]string{"application/json"}, []string{"Identity, "}, nil},
		{[]string{"application/json"}, []string{""}, nil},
		{[]string{"application/json"}, []string{"gzip"}, ErrEncoding},
		{[]string{"application/json"}, []string{"br"}, ErrEncoding},
		{[]string{"application/json"}, []string{"identity, x"}, ErrEncoding},
		{[]string{"application/json"}, []string{"identity", "gzip"}, ErrEncoding},
	} {
		header := http.Header{}
		for _, value := range test.types {
			header.Add("Content-Type", value)
		}
		for _, value := range test.encodings {
			header.Add("Content-Encoding", value)
		}
		_, err := get(New(Config{HTTPClient: answering(header, strings.NewReader("{}"))}), "https://issuer.example")
		if !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%q, %q: %v, want %v", test.types, test.encodings, err, test.want)
		}
	}
	flood := http.Header{"Content-Type": {strings.Repeat("x", 1<<15), "y"}}
	_, err := get(New(Config{HTTPClient: answering(flood, http.NoBody)}), "https://issuer.example")
	if !errors.Is(err, ErrMediaType) || len(err.Error()) > 400 {
		t.Errorf("%d bytes of error text: %.400v", len(err.Error()), err)
	}
}

// TestStatusBeforeFields shows that an error page is told by its status.
func TestStatusBeforeFields(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusBadGateway)
	})
	_, err := get(New(Config{}), server.URL)
	status, ok := errors.AsType[*StatusError](err)
	if !ok || status.Code != 502 || !errors.Is(err, ErrStatus) || errors.Is(err, ErrURL) || !strings.Contains(err.Error(), server.URL+" answered 502") {
		t.Errorf("%v", err)
	}
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // whose clock starts on 1 January 2000
		for field, want := range map[string]time.Duration{
			"":                                 0,
			"0":                                0,
			"120":                              2 * time.Minute,
			"007":                              7 * time.Second,
			"9223372036":                       9223372036 * time.Second,
			"9223372037":                       9223372036 * time.Second,
			"9223372036854775807":              9223372036 * time.Second,
			"99999999999999999999999999":       9223372036 * time.Second,
			"99999999999999999999999999x":      0,
			"-1":                               0,
			"+1":                               0,
			"1.5":                              0,
			"1s":                               0,
			"soon":                             0,
			"1, 2":                             0,
			"Sat, 01 Jan 2000 00:01:00 GMT":    time.Minute,
			"Saturday, 01-Jan-00 01:00:00 GMT": time.Hour,
			"Sat Jan  1 00:00:01 2000":         time.Second,
			"Fri, 31 Dec 1999 23:59:59 GMT":    0,
			"Fri, 31 Dec 9999 23:59:59 GMT":    1<<63 - 1,
			"Sat, 32 Jan 2000 00:01:00 GMT":    0,
		} {
			client := &http.Client{Transport: transportFunc(func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {field}}, Body: http.NoBody}, nil
			})}
			_, err := get(New(Config{HTTPClient: client}), "https://issuer.example")
			status, ok := errors.AsType[*StatusError](err)
			if !ok || status.RetryAfter != want {
				t.Errorf("%q: %+v, want %v", field, err, want)
			}
		}
	})
}

// TestIfNoneMatch shows which entity tags are sent, and that only a 304 to one
// of them is an answer.
func TestIfNoneMatch(t *testing.T) {
	long := `"` + strings.Repeat("x", 254) + `"`
	for tag, valid := range map[string]bool{
		`"abc"`: true, `""`: true, `W/"abc"`: true, `W/""`: true, "\"!#~\x80\xff\"": true, `"a,b"`: true, long: true,
		``: false, `abc`: false, `"`: false, `"abc`: false, `abc"`: false, `W/`: false, `W/"`: false, `w/"abc"`: false, `*`: false,
		`"a" "b"`: false, `"a", "b"`: false, `"a b"`: false, `"a"b"`: false, "\"a\tb\"": false, "\"a\x00\"": false, "\"a\x7f\"": false,
		"\"a\r\nX: y\"": false, `W/` + long: false, `W/W/""`: false, ` "abc"`: false,
	} {
		var sent []string
		client := &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			sent = r.Header["If-None-Match"]
			header := http.Header{"Cache-Control": {"max-age=7"}}
			return &http.Response{StatusCode: 304, Header: header, Body: io.NopCloser(strings.NewReader("{}"))}, nil
		})}
		document, err := New(Config{HTTPClient: client}).Get(context.Background(), Request{URL: "https://issuer.example", IfNoneMatch: tag})
		if !valid {
			if sent != nil || !errors.Is(err, ErrStatus) {
				t.Errorf("%q: sent %q, %v", tag, sent, err)
			}
			continue
		}
		if err != nil || !slices.Equal(sent, []string{tag}) || !document.NotModified || document.Body != nil || document.Header.Get("Cache-Control") != "max-age=7" {
			t.Errorf("%q: sent %q, %+v, %v", tag, sent, document, err)
		}
	}
}

// TestModified shows that a new document comes as any other.
func TestModified(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"1"` {
			t.Errorf("request %v", r.Header)
		}
		w.Header().Set("ETag", `"2"`)
		_, _ = w.Write([]byte("{}"))
	})
	document, err := New(Config{}).Get(context.Background(), Request{URL: server.URL, IfNoneMatch: `"1"`})
	if err != nil || document.NotModified || string(document.Body) != "{}" || document.Header.Get("ETag") != `"2"` {
		t.Errorf("%+v, %v", document, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// answering is a client whose transport answers with status 200. A nil header
// is that of JSON.
func answering(header http.Header, body io.Reader) *http.Client {
	if header == nil {
		header = http.Header{"Content-Type": {"application/json"}}
	}
	return &http.Client{Transport: transportFunc(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(body)}, nil
	})}
}

type transportFunc func(*http.Request) (*http.Response, error)

func (f transportFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// blocked is a transport that never answers.
var blocked = transportFunc(func(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
})

func TestTimeout(t *testing.T) {
	for configured, want := range map[time.Duration]time.Duration{0: Timeout, time.Second: time.Second, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c := New(Config{HTTPClient: &http.Client{Transport: blocked}, Timeout: configured})
			start := time.Now()
			if _, err := get(c, "https://issuer.example"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("gave up after %v, want %v", took, want)
			}
		})
	}
}

// TestSlowAnswers covers R-JK-04 with the default transport: a server that is
// slow in any way costs the Timeout and no more.
func TestSlowAnswers(t *testing.T) {
	const fields = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
	for name, answer := range map[string]func(net.Conn){
		"no answer":       func(net.Conn) {},
		"half a field":    func(conn net.Conn) { _, _ = conn.Write([]byte(fields[:30])) },
		"trickled fields": func(conn net.Conn) { trickle(conn, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 100)) },
		"no body":         func(conn net.Conn) { _, _ = conn.Write([]byte(fields)) },
		"trickled body": func(conn net.Conn) {
			_, _ = conn.Write([]byte(fields))
			trickle(conn, strings.Repeat(" ", 1000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var server sync.WaitGroup
				defer server.Wait()
				transport := NewTransport()
				transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					server.Go(func() {
						_, _ = http.ReadRequest(bufio.NewReader(far))
						answer(far)
					})
					return near, nil
				}
				c := New(Config{HTTPClient: &http.Client{Transport: transport}, Timeout: 20 * time.Second})
				start := time.Now()
				if _, err := get(c, "http://localhost"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
				if took := time.Since(start); took != 20*time.Second {
					t.Errorf("gave up after %v", took)
				}
			})
		})
	}
}

// TestConnecting shows that a server which cannot be talked to is given up even
// when a document may take longer.
func TestConnecting(t *testing.T) {
	if dialer().Timeout != Timeout {
		t.Errorf("connecting may take %v", dialer().Timeout)
	}
	synctest.Test(t, func(t *testing.T) {
		transport := NewTransport()
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, far) }()
			return near, nil
		}
		c := New(Config{HTTPClient: &http.Client{Transport: transport}, Timeout: time.Minute})
		start := time.Now()
		if _, err := get(c, "https://issuer.example"); err == nil || time.Since(start) != Timeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// trickle writes a byte a second.
func trickle(conn net.Conn, text string) {
	for at := range text {
		<-time.After(time.Second)
		if _, err := conn.Write([]byte(text[at : at+1])); err != nil {
			return
		}
	}
}

func TestCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c := New(Config{HTTPClient: &http.Client{Transport: blocked}})
		start := time.Now()
		if _, err := c.Get(ctx, Request{URL: "https://issuer.example"}); err == nil || time.Since(start) != time.Second {
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

// TestOnlyLoopback covers R-JK-03: what is called localhost is this machine, also
// where plain http is allowed to others.
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

// TestSharedTransport shows that Clients with one transport share its
// connections.
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
