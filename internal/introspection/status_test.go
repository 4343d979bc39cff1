package introspection

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/introspect"
)

// TestStatuses checks what an answer with another status than 200 means, whatever its
// body says: nothing could be determined (R-IN-11), and 401 and 403 are about the
// credentials of this API (R-IN-12). The cause has the status and a known error code,
// and nothing else of the body.
func TestStatuses(t *testing.T) {
	const html = "<html>CANARY-BODY</html>"
	for _, test := range []struct {
		status int
		body   string
		kind   introspect.Kind
		cause  string
	}{
		{400, `{"error":"invalid_request","error_description":"CANARY-BODY"}`, introspect.RequestRefused, "answered 400: invalid_request: it refuses the request; if it answers so for tokens that it has forgotten, name the code in Client.InactiveErrors"},
		{400, `{"error":"unsupported_token_type"}`, introspect.RequestRefused, "the server does not introspect JWTs"},
		{400, "", introspect.RequestRefused, "answered 400: no code"},
		{400, `{"error":"CANARY-BODY"}`, introspect.RequestRefused, "answered 400: no code"},
		{401, activeBody, introspect.CredentialsRefused, "answered 401: no code"},
		{401, `{"error":"invalid_client"}`, introspect.CredentialsRefused, "answered 401: invalid_client: it refuses the credentials"},
		{403, `{"error":"unauthorized_client"}`, introspect.CredentialsRefused, "answered 403: unauthorized_client: this API may not introspect"},
		{403, html, introspect.CredentialsRefused, "answered 403: no code"},
		{404, html, introspect.RequestRefused, "nothing at this URL"},
		{405, "", introspect.RequestRefused, "answered 405: it does not take the method POST"},
		{418, activeBody, introspect.RequestRefused, "answered 418"},
		{429, activeBody, introspect.Throttled, "answered 429"},
		{500, activeBody, introspect.ServerError, "answered 500"},
		{503, activeBody, introspect.ServerError, "answered 503"},
		{599, activeBody, introspect.ServerError, "answered 599"},
		{201, activeBody, introspect.NotAnAnswer, "answered 201"},
		{204, "", introspect.NotAnAnswer, "answered 204"},
		{206, activeBody, introspect.NotAnAnswer, "answered 206"},
		{301, activeBody, introspect.RequestRefused, "answered 301: redirects are not followed"},
		{302, activeBody, introspect.RequestRefused, "answered 302: redirects are not followed"},
		{303, activeBody, introspect.RequestRefused, "answered 303: redirects are not followed"},
		{307, activeBody, introspect.RequestRefused, "answered 307: redirects are not followed"},
		{308, activeBody, introspect.RequestRefused, "answered 308: redirects are not followed"},
		{304, "", introspect.RequestRefused, "answered 304"},
	} {
		s := serve(t, func(w http.ResponseWriter, _ received) {
			w.Header().Set("Location", "/elsewhere")
			if test.body == html {
				w.Header().Set("Content-Type", "text/html")
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, html)
				return
			}
			say(w, test.status, test.body)
		})
		a := s.asking(t)
		if a.kind != test.kind || a.status != test.status || s.count() != 1 || a.answer.Active {
			t.Errorf("%d %s: %+v after %d requests", test.status, test.body, a, s.count())
			continue
		}
		text := a.err.Error()
		if !strings.Contains(text, test.cause) || !strings.HasPrefix(text, s.URL+"/introspect ") || strings.Contains(text, "CANARY") {
			t.Errorf("%d %s: %s", test.status, test.body, text)
		}
	}
}

// TestCodeInField checks that the error code of a bearer token's refusal is named (RFC
// 6750 §3).
func TestCodeInField(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ received) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="CANARY-REALM", error="insufficient_scope"`)
		w.WriteHeader(403)
	})
	if text := s.asking(t).err.Error(); !strings.Contains(text, "403: insufficient_scope:") || strings.Contains(text, "CANARY") {
		t.Error(text)
	}
}

// TestRetryAfter checks that an answer that asks to wait is Throttled, and that 401 and
// 403 stay what they are.
func TestRetryAfter(t *testing.T) {
	for status, want := range map[int]introspect.Kind{
		400: introspect.Throttled, 404: introspect.Throttled, 429: introspect.Throttled, 500: introspect.Throttled, 503: introspect.Throttled,
		401: introspect.CredentialsRefused, 403: introspect.CredentialsRefused,
	} {
		s := serve(t, func(w http.ResponseWriter, _ received) {
			w.Header().Set("Retry-After", "7")
			say(w, status, "{}")
		})
		if a := s.asking(t); a.kind != want || a.retryAfter != 7*time.Second {
			t.Errorf("%d: %+v", status, a)
		}
	}
	s := serve(t, func(w http.ResponseWriter, _ received) {
		w.Header().Set("Retry-After", "7")
		say(w, 200, activeBody)
	})
	if a := s.asking(t); a.kind != "" || a.retryAfter != 0 {
		t.Errorf("%+v", a)
	}
}

// TestInactiveErrors checks a server that forgets expired tokens and answers 400 for
// them: that means inactive for the codes that are configured, and for no other status.
func TestInactiveErrors(t *testing.T) {
	long := `{"error":"invalid_token","x":"` + strings.Repeat("x", errorBytes) + `"}`
	for _, test := range []struct {
		declared []string
		status   int
		body     string
		inactive bool
	}{
		{nil, 400, "", false},
		{nil, 400, `{"error":"invalid_token"}`, false},
		{[]string{"invalid_token"}, 400, `{"error":"invalid_token"}`, true},
		{[]string{"invalid_token"}, 400, `{"error":"invalid_client"}`, false},
		{[]string{"invalid_token"}, 400, "", false},
		{[]string{"invalid_token"}, 400, long, false},
		{[]string{""}, 400, "", true},
		{[]string{""}, 400, `{"error":"invalid_client"}`, false},
		{[]string{""}, 400, strings.Repeat("x", errorBytes+1), false},
		{[]string{"", "invalid_token"}, 400, `{"error":"invalid_token"}`, true},
		{[]string{"invalid_token", ""}, 401, `{"error":"invalid_token"}`, false},
		{[]string{"invalid_token", ""}, 403, `{"error":"invalid_token"}`, false},
		{[]string{"invalid_token", ""}, 404, `{"error":"invalid_token"}`, false},
		{[]string{"invalid_token", ""}, 500, `{"error":"invalid_token"}`, false},
		{[]string{"invalid_token", ""}, 302, `{"error":"invalid_token"}`, false},
	} {
		s := serve(t, saying(test.status, test.body))
		a := s.asking(t, func(c *introspect.Client) { c.InactiveErrors = test.declared })
		if (a.kind == "") != test.inactive || a.answer.Active || a.answer.Odd != nil {
			t.Errorf("%q, %d %.40s: %+v", test.declared, test.status, test.body, a)
		}
	}
	cut := serve(t, func(w http.ResponseWriter, _ received) {
		w.Header().Set("Content-Length", "100")
		say(w, 400, "")
	})
	if a := cut.asking(t, func(c *introspect.Client) { c.InactiveErrors = []string{""} }); a.kind == "" {
		t.Error("a body that was cut counts as one without a code")
	}
}

// TestTLS checks that a certificate for another host, one of an unknown authority, an
// expired one, an old version of TLS and a port without TLS are TLSFailed, that the
// cause has the host and the reason, and that nothing was sent (R-IN-02).
func TestTLS(t *testing.T) {
	own := func(change func(*x509.Certificate)) func(*server) *x509.CertPool {
		return func(s *server) *x509.CertPool {
			certificate, key := selfSigned(t, "as.test", change)
			pair, err := tls.X509KeyPair([]byte(certificate), []byte(key))
			if err != nil {
				t.Fatal(err)
			}
			s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
			pool := x509.NewCertPool()
			pool.AddCert(pair.Leaf)
			return pool
		}
	}
	for name, test := range map[string]struct {
		prepare func(*server) *x509.CertPool
		plain   bool
		cause   string
	}{
		"another host": {own(func(c *x509.Certificate) {
			c.IPAddresses, c.DNSNames = nil, []string{strings.Repeat("CANARY\n", 20)}
		}), false, `not valid for "127.0.0.1" but for `},
		"unknown authority": {func(*server) *x509.CertPool { return x509.NewCertPool() }, false, "signed by an unknown authority; Issuer.HTTPClient is where"},
		"expired":           {own(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), false, "has expired or is not yet valid"},
		"old version": {func(s *server) *x509.CertPool {
			pool := own(nil)(s)
			s.TLS.MaxVersion = tls.VersionTLS11
			s.TLS.MinVersion = tls.VersionTLS10
			return pool
		}, false, "protocol version not supported"},
		"no TLS": {func(*server) *x509.CertPool { return x509.NewCertPool() }, true, "does not speak TLS on this port"},
	} {
		t.Run(name, func(t *testing.T) {
			s := unstarted(t, nil)
			s.EnableHTTP2 = false
			pool := test.prepare(s)
			if test.plain {
				s.Start()
			} else {
				s.StartTLS()
			}
			transport := fetch.NewTransport()
			transport.TLSClientConfig.RootCAs = pool
			client := s.client()
			client.Endpoint = "https://" + s.Listener.Addr().String() + "/introspect?" + canaries.query
			a := exchanging(t, client, Binding{Issuer: issuerURL, HTTPClient: &http.Client{Transport: transport}}).ask(t.Context(), Question{Token: canaries.token})
			if a.kind != introspect.TLSFailed || s.count() != 0 {
				t.Fatalf("%+v after %d requests", a, s.count())
			}
			text := a.err.Error()
			if !strings.Contains(text, test.cause) || !strings.Contains(text, s.Listener.Addr().String()+"/introspect: ") || len(text) > 400 ||
				strings.Contains(text, canaries.query) || strings.Contains(text, "\n") {
				t.Error(text)
			}
		})
	}
}

// TestUnreachable checks failures of the network: refused connections, unknown hosts,
// forbidden addresses, connections that end before or in an answer, and time (R-IN-11).
func TestUnreachable(t *testing.T) {
	raw := func(t *testing.T, talk func(net.Conn)) string {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		go func() {
			for {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				talk(conn)
			}
		}()
		return "http://" + listener.Addr().String() + "/introspect"
	}
	answering := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, text)
			_ = conn.Close()
		}
	}
	closed := raw(t, func(net.Conn) {})
	refusing, _ := net.Listen("tcp", "127.0.0.1:0")
	_ = refusing.Close()
	for name, test := range map[string]struct {
		endpoint string
		kind     introspect.Kind
	}{
		"refused":           {"http://" + refusing.Addr().String() + "/introspect", introspect.Unreachable},
		"unknown host":      {"https://nowhere.invalid/introspect", introspect.Unreachable},
		"forbidden address": {"https://169.254.169.254/introspect", introspect.Unreachable},
		"silent":            {closed, introspect.TimedOut},
		"no answer":         {raw(t, answering("")), introspect.Unreachable},
		"no HTTP":           {raw(t, answering("CANARY-BODY\r\n\r\n")), introspect.Unreachable},
		"cut":               {raw(t, answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"+activeBody)), introspect.Unreachable},
		"cut chunks":        {raw(t, answering("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"+"44\r\n"+activeBody)), introspect.Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			client := introspect.Client{
				Endpoint: test.endpoint + "?" + canaries.query, ID: apiID, Limits: introspect.Limits{Timeout: 300 * time.Millisecond},
				Authentication: introspect.ClientSecretPost{Secret: introspect.SecretText(canaries.secret)},
			}
			a := exchanging(t, client, Binding{Issuer: issuerURL}).ask(t.Context(), Question{Token: canaries.token})
			if a.kind != test.kind || a.requests != 1 {
				t.Fatalf("%+v", a)
			}
			text := a.err.Error()
			if !strings.Contains(text, test.endpoint) || strings.Contains(text, "CANARY") {
				t.Error(text)
			}
		})
	}
}

// TestStatusTable checks that each status has a row, and that rows for one status come
// before those for many.
func TestStatusTable(t *testing.T) {
	for status := 100; status <= 999; status++ {
		i := slices.IndexFunc(statuses[:], func(o statusRow) bool { return o.from <= status && status <= o.to })
		single := slices.IndexFunc(statuses[:], func(o statusRow) bool { return o.from == status && status == o.to })
		if i < 0 || single >= 0 && i != single {
			t.Errorf("%d: row %d, and the row for it alone is %d", status, i, single)
		}
	}
}
