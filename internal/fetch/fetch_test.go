package fetch

import (
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// serve starts a server on loopback that answers with handler. Answers are JSON
// unless handler sets another type.
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
	return c.Get(context.Background(), Request{URL: target, Accept: JSON, MediaTypes: []string{JSON, StructuredJSON}})
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

// TestBounds covers R-JK-04 and R-DI-05: an answer must be one small document with
// status 200.
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
		{"redirect that names no target", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTemporaryRedirect) }, ErrStatus},
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

// TestMaxBytes covers the size of R-JK-04 with the limit of a Config.
func TestMaxBytes(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{12}")) })
	for limit, want := range map[int64]error{3: ErrTooLarge, 4: nil, MaxBytes + 1: nil} {
		document, err := get(New(Config{MaxBytes: limit}), server.URL)
		if !errors.Is(err, want) || want == nil && string(document.Body) != "{12}" {
			t.Errorf("with a limit of %d: %v", limit, err)
		}
	}
}

// TestEndlessBody covers R-JK-04: with any transport, one byte more than the limit
// is read, and no more.
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

// TestHeaderFlood covers R-JK-04: an answer with more than 64 KiB of fields is an
// error.
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

// TestNoDecompression checks that a small answer cannot become a large one, because
// no transport decompresses it.
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

// TestFields covers R-DI-05: an answer must be JSON that is not encoded.
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

// TestStatusBeforeFields checks that the error of an error page is its status, not
// its type.
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

// TestIfNoneMatch checks which entity tags are sent, and that status 304 is accepted
// only as an answer to one of them.
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

// TestModified checks that a new document is returned although an entity tag was
// sent.
func TestModified(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != `"1"` {
			t.Errorf("request %v", r.Header)
		}
		w.Header().Set("ETag", `"2"`)
		_, _ = w.Write([]byte("{}"))
	})
	document, err := New(Config{}).Get(context.Background(), Request{URL: server.URL, MediaTypes: []string{JSON}, IfNoneMatch: `"1"`})
	if err != nil || document.NotModified || string(document.Body) != "{}" || document.Header.Get("ETag") != `"2"` {
		t.Errorf("%+v, %v", document, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// answering returns a client whose transport answers with status 200. A nil header
// means JSON.
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

// TestRedirectWithOwnClient checks that only the transport of a caller's client is
// used.
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
