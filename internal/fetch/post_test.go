package fetch

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Secrets of a request, which no error may hold.
const (
	secretToken    = "SECRET-TOKEN"
	secretPassword = "SECRET-PASSWORD"
)

var secretForm = Form(url.Values{"token": {secretToken}})

func post(c *Client, target string) (*Document, error) {
	return c.Post(context.Background(), Request{
		URL: target, Accept: JSON, MediaTypes: []string{JSON},
		Header: http.Header{"Authorization": {"Basic " + secretPassword}, "Idempotency-Key": {"1"}},
	}, secretForm)
}

// TestPost checks what is sent and what is returned.
func TestPost(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		want := http.Header{
			"Accept": {"application/token-introspection+jwt"}, "Accept-Encoding": {"identity"}, "User-Agent": {"sallyport"},
			"Authorization": {"Basic x"}, "Content-Type": {"application/x-www-form-urlencoded"}, "Content-Length": {"13"},
		}
		body, err := io.ReadAll(r.Body)
		if r.Method != http.MethodPost || !maps.EqualFunc(r.Header, want, slices.Equal) || string(body) != "token=a+b%26c" || err != nil {
			t.Errorf("%s %v %q, %v", r.Method, r.Header, body, err)
		}
		w.Header().Set("Content-Type", "Application/Token-Introspection+JWT; v=1")
		_, _ = w.Write([]byte("a.b.c"))
	})
	header := http.Header{"Authorization": {"Basic x"}, "Accept": {"text/html"}, "Content-Type": {"text/html"}}
	document, err := New(Config{}).Post(context.Background(), Request{
		URL: server.URL, Accept: "application/token-introspection+jwt", IfNoneMatch: `"1"`, Header: header,
		MediaTypes: []string{"application/token-introspection+jwt"},
	}, Form(url.Values{"token": {"a b&c"}}))
	if err != nil || string(document.Body) != "a.b.c" || document.MediaType != "application/token-introspection+jwt" || document.NotModified {
		t.Errorf("%+v, %v", document, err)
	}
	if len(header) != 3 || header.Get("Accept") != "text/html" {
		t.Errorf("the caller's header became %v", header)
	}
	for _, body := range []Body{{}, {MediaType: JSON}, {Bytes: []byte("{}")}} {
		if _, err := New(Config{}).Post(context.Background(), Request{URL: server.URL}, body); !errors.Is(err, ErrBody) {
			t.Errorf("%+v: %v", body, err)
		}
	}
}

// TestMediaTypes checks that only the media types that the caller accepts are read.
func TestMediaTypes(t *testing.T) {
	for _, test := range []struct {
		accepted []string
		found    string
		ok       bool
	}{
		{[]string{"application/a+jwt", JSON}, "application/json", true},
		{[]string{"application/a+jwt"}, "application/a+jwt", true},
		{[]string{"Application/A+JWT"}, "application/a+jwt", true},
		{[]string{"application/a+jwt"}, "application/json", false},
		{[]string{JSON}, "application/problem+json", false},
		{[]string{StructuredJSON}, "application/problem+json", true},
		{[]string{StructuredJSON}, "application/json", false},
		{[]string{StructuredJSON}, "application/+json", false},
		{[]string{StructuredJSON}, "message/global-headers+json", false},
		{[]string{"text*"}, "text", false},
		{[]string{"*"}, "text/html", true},
		{[]string{"*"}, "", false},
		{[]string{AnyMediaType}, "text/html", true},
		{[]string{AnyMediaType}, "", true},
		{[]string{AnyMediaType}, "application/json", true},
		{[]string{""}, "", false},
		{nil, "application/json", false},
	} {
		header := http.Header{"Content-Type": {test.found}}
		client := New(Config{HTTPClient: answering(header, strings.NewReader("{}"))})
		document, err := client.Get(context.Background(), Request{URL: "https://issuer.example", MediaTypes: test.accepted})
		if (err == nil) != test.ok || !test.ok && !errors.Is(err, ErrMediaType) || test.ok && document.MediaType != test.found {
			t.Errorf("%v of %v: %v, %v", test.found, test.accepted, document, err)
		}
	}
}

// TestPostBounds checks that the bounds of a GET are those of a POST.
func TestPostBounds(t *testing.T) {
	var elsewhere atomic.Int32
	other := serve(t, func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	redirect := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) }
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    error
	}{
		"a document":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, nil},
		"too large":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, MaxBytes+1)) }, ErrTooLarge},
		"redirect 301": {redirect(301), ErrRedirect},
		"redirect 302": {redirect(302), ErrRedirect},
		"redirect 303": {redirect(303), ErrRedirect},
		"redirect 307": {redirect(307), ErrRedirect},
		"redirect 308": {redirect(308), ErrRedirect},
		"not modified": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, ErrStatus},
		"compressed":   {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "gzip") }, ErrEncoding},
		"HTML":         {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") }, ErrMediaType},
	} {
		if _, err := post(New(Config{}), serve(t, test.handler).URL); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if elsewhere.Load() != 0 {
		t.Error("a redirect was followed")
	}
	for _, target := range []string{"http://issuer.example", "https://u:p@issuer.example", "ftp://issuer.example"} {
		if _, err := post(New(Config{}), target); !errors.Is(err, ErrURL) {
			t.Errorf("%s: %v", target, err)
		}
	}
	if _, err := post(New(Config{}), "https://169.254.169.254"); err == nil || !strings.Contains(err.Error(), ErrAddress.Error()) || !errors.Is(err, ErrAddress) {
		t.Errorf("a metadata address: %v", err)
	}
}

func TestPostTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hanging := transportFunc(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		start := time.Now()
		_, err := post(New(Config{HTTPClient: &http.Client{Transport: hanging}}), "https://issuer.example")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != Timeout {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// TestPostIsSentOnce checks that a POST whose connection ends after the server
// read it is not sent again, where net/http would repeat a request that may be.
func TestPostIsSentOnce(t *testing.T) {
	var posts atomic.Int32
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if r.Method == http.MethodPost && posts.Add(1) > 1 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_ = conn.Close()
			return
		}
		_, _ = w.Write([]byte("{}"))
	})
	c := New(Config{})
	if _, err := post(c, server.URL); err != nil {
		t.Fatal(err)
	}
	if _, err := post(c, server.URL); err == nil {
		t.Error("an answer came from nowhere")
	}
	if n := posts.Load(); n != 2 {
		t.Errorf("the server got %d requests of two", n)
	}
}

// TestPostCannotBeRepeated checks that no transport is given what it needs to send
// a body again, as net/http does for HTTP/2 streams that a server refuses.
func TestPostCannotBeRepeated(t *testing.T) {
	called := 0
	transport := transportFunc(func(r *http.Request) (*http.Response, error) {
		called++
		if r.GetBody != nil || r.Body == nil || r.Body == http.NoBody || r.ContentLength != int64(len(secretForm.Bytes)) {
			t.Errorf("%v, %d bytes", r.Body, r.ContentLength)
		}
		return nil, errors.New("refused")
	})
	if _, err := post(New(Config{HTTPClient: &http.Client{Transport: transport}}), "https://issuer.example"); err == nil || called != 1 {
		t.Errorf("%d calls, %v", called, err)
	}
}

// TestPostErrorsHoldNoSecrets checks that, whatever a server sends back, no
// error quotes the body, the credentials or the answer.
func TestPostErrorsHoldNoSecrets(t *testing.T) {
	const secrets = secretToken + " " + secretPassword
	for name, answer := range map[string]string{
		"not HTTP":               secrets + "\r\n\r\n",
		"a malformed status":     "HTTP/1.1 " + secrets + "\r\n\r\n",
		"a malformed field":      "HTTP/1.1 200 OK\r\n" + secrets + "\r\n\r\n",
		"a malformed length":     "HTTP/1.1 200 OK\r\nContent-Length: " + secrets + "\r\n\r\n",
		"a malformed coding":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secrets + "\r\n\r\n",
		"a malformed trailer":    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + secrets + "\r\n\r\n",
		"a media type":           "HTTP/1.1 200 OK\r\nContent-Type: text/html; " + secretToken + "=" + secretPassword + "\r\nContent-Length: 0\r\n\r\n",
		"a content coding":       "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: " + secretToken + "\r\nContent-Length: 0\r\n\r\n",
		"a refusal":              "HTTP/1.1 400 " + secrets + "\r\nContent-Type: application/json; " + secretToken + "=1\r\nContent-Length: 27\r\n\r\n" + secrets,
		"a redirect":             "HTTP/1.1 302 Found\r\nLocation: https://" + secretToken + ".example/" + secretPassword + "\r\nContent-Length: 0\r\n\r\n",
		"a redirect, 307":        "HTTP/1.1 307 Found\r\nLocation: https://" + secretToken + ".example/" + secretPassword + "\r\nContent-Length: 0\r\n\r\n",
		"a redirect to no URL":   "HTTP/1.1 302 Found\r\nLocation: ://" + secretToken + "\r\nContent-Length: 0\r\n\r\n",
		"less than is announced": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n" + secrets,
	} {
		t.Run(name, func(t *testing.T) {
			target := answeringRaw(t, answer)
			_, err := post(New(Config{}), target)
			if err == nil || strings.Contains(err.Error(), "SECRET") || !strings.Contains(err.Error(), target) {
				t.Errorf("%v", err)
			}
			header := http.Header{"Authorization": {secretPassword}}
			_, err = New(Config{}).Get(context.Background(), Request{URL: answeringRaw(t, answer), MediaTypes: []string{JSON}, Header: header})
			if err == nil || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("GET: %v", err)
			}
		})
	}
}

// TestPrivateMediaTypes checks that errors of a POST, and of a GET with fields of
// the caller, name the media type of an answer only if it is a common one or one
// that the caller accepts. The server may have put the token into any other.
func TestPrivateMediaTypes(t *testing.T) {
	const secret, other = "secret-token", "another media type"
	for _, test := range []struct {
		status      int
		found, want string
	}{
		{200, "text/html", "text/html"},
		{200, "application/problem+xml", other},
		{200, "application/" + secret, other},
		{200, secret + "/html", other},
		{200, "application/own" + secret, other},
		{401, "application/problem+json", "application/problem+json"},
		{401, "application/own", "application/own"},
		{401, "application/" + secret, other},
		{401, "application/" + secret + "+json", other},
		{401, "", ""},
	} {
		transport := transportFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: test.status, Header: http.Header{"Content-Type": {test.found}}, Body: http.NoBody, Request: r}, nil
		})
		client := New(Config{HTTPClient: &http.Client{Transport: transport}})
		request := Request{URL: "https://issuer.example", MediaTypes: []string{StructuredJSON, "application/own"}}
		_, err := client.Get(t.Context(), request)
		if got := namedType(err); got != test.found {
			t.Errorf("GET: %q of %q: %v", got, test.found, err)
		}
		_, posted := client.Post(t.Context(), request, secretForm)
		request.Header = http.Header{"Authorization": {secretPassword}}
		_, authorized := client.Get(t.Context(), request)
		for name, err := range map[string]error{"POST": posted, "GET with Authorization": authorized} {
			if got := namedType(err); got != test.want || strings.Contains(err.Error(), secret) {
				t.Errorf("%s: %q, want %q: %v", name, got, test.want, err)
			}
		}
	}
}

// namedType returns the media type that a [StatusError] or an [ErrMediaType] names.
func namedType(err error) string {
	if refused, ok := errors.AsType[*StatusError](err); ok {
		return refused.MediaType
	}
	_, named, _ := strings.Cut(fmt.Sprint(err), ErrMediaType.Error()+": it is ")
	named, _, _ = strings.Cut(named, ";")
	return named
}

// answeringRaw starts a server that reads one request and answers with those
// bytes, and returns its URL.
func answeringRaw(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err == nil {
			_, _ = io.Copy(io.Discard, request.Body)
		}
		_, _ = io.WriteString(conn, answer)
	}()
	return "http://" + listener.Addr().String()
}

// TestPostStatus checks that an answer is described by its status, media type
// and length.
func TestPostStatus(t *testing.T) {
	for _, test := range []struct {
		header http.Header
		length int64
		want   string
	}{
		{http.Header{"Content-Type": {"application/json"}}, 27, "answered 401 with application/json of 27 bytes"},
		{http.Header{"Content-Type": {"text/html; x=y"}}, -1, "answered 401 with text/html of unknown length"},
		{http.Header{}, 0, "answered 401 with no readable media type of 0 bytes"},
		{http.Header{"Content-Type": {strings.Repeat("x", 200) + "/y"}}, 0, "answered 401 with no readable media type of 0 bytes"},
	} {
		client := &http.Client{Transport: transportFunc(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 401, Header: test.header, ContentLength: test.length, Body: http.NoBody, Request: r}, nil
		})}
		_, err := post(New(Config{HTTPClient: client}), "https://issuer.example")
		status, ok := errors.AsType[*StatusError](err)
		if !ok || status.Code != 401 || status.Length != test.length || err.Error() != "fetch: status is not 200: https://issuer.example "+test.want {
			t.Errorf("%v, want %s", err, test.want)
		}
	}
}

// TestNetworkErrorsAreKept checks that an error of the network still says what
// failed, for a POST too.
func TestNetworkErrorsAreKept(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	unknown := &net.DNSError{Err: "no such host", Name: "issuer.example"}
	untrusted := &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
	for text, cause := range map[string]error{
		"connection refused": refused,
		"no such host":       unknown,
		"unknown authority":  untrusted,
		"context canceled":   context.Canceled,
		"unexpected EOF":     io.ErrUnexpectedEOF,
		errExchange.Error():  errors.New(secretToken),
		"deadline exceeded":  context.DeadlineExceeded,
		"EOF":                fmt.Errorf("%s: %w", secretToken, io.EOF),
	} {
		client := &http.Client{Transport: transportFunc(func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf(secretToken+": %w", cause) })}
		_, err := post(New(Config{HTTPClient: client}), "https://issuer.example")
		if err == nil || !strings.Contains(err.Error(), text) || strings.Contains(err.Error(), secretToken) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestErrorsNameTheURLOnce checks that an error names the URL once, also where
// net/http names it too.
func TestErrorsNameTheURLOnce(t *testing.T) {
	const target = "https://issuer.example/keys"
	client := New(Config{HTTPClient: &http.Client{Transport: transportFunc(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })}})
	for name, send := range map[string]func(*Client, string) (*Document, error){"GET": get, "POST": post} {
		if _, err := send(client, target); err == nil || strings.Count(err.Error(), target) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
