package testissuer_test

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

func TestDiscoveryURLs(t *testing.T) {
	const oauth, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	tests := []struct {
		issuer string
		host   string                         // scheme and host of the issuer
		paths  map[string]testissuer.Endpoint // of the host
		none   []string
	}{
		{
			issuer: "https://as.example", host: "https://as.example",
			paths: map[string]testissuer.Endpoint{
				oauth: testissuer.OAuthMetadata, openID: testissuer.OpenIDMetadata, "/jwks.json": testissuer.JWKS,
			},
			none: []string{"/", oauth + "/", "//jwks.json", "/x/.." + openID},
		},
		{
			issuer: "https://as.example/", host: "https://as.example",
			paths: map[string]testissuer.Endpoint{oauth: testissuer.OAuthMetadata, openID: testissuer.OpenIDMetadata, "/jwks.json": testissuer.JWKS},
		},
		{
			issuer: "https://as.example:8443/tenant/1", host: "https://as.example:8443",
			paths: map[string]testissuer.Endpoint{
				oauth + "/tenant/1":   testissuer.OAuthMetadata,
				"/tenant/1" + openID:  testissuer.OpenIDMetadata,
				openID + "/tenant/1":  testissuer.OpenIDInserted,
				"/tenant/1/jwks.json": testissuer.JWKS,
			},
			none: []string{oauth, openID, "/jwks.json", "/tenant/1" + oauth, "/tenant/%31/jwks.json"},
		},
		{
			issuer: "http://as.example/t%2F1/", host: "http://as.example",
			paths: map[string]testissuer.Endpoint{
				oauth + "/t%2F1": testissuer.OAuthMetadata, "/t%2F1" + openID: testissuer.OpenIDMetadata,
				openID + "/t%2F1": testissuer.OpenIDInserted, "/t%2F1/jwks.json": testissuer.JWKS,
			},
			none: []string{oauth + "/t/1", "/t/1/jwks.json"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.issuer, func(t *testing.T) {
			issuer := inMemory(t, testissuer.Config{URL: tt.issuer})
			if issuer.URL() != tt.issuer {
				t.Errorf("URL is %q", issuer.URL())
			}
			for path, endpoint := range tt.paths {
				a := get(t, issuer, tt.host+path)
				if a.status != http.StatusOK || a.header.Get("Content-Type") != "application/json" || issuer.Requests(endpoint) != 1 {
					t.Errorf("%s: %v, %d requests", path, a, issuer.Requests(endpoint))
				}
				if endpoint == testissuer.JWKS {
					if a.body != string(issuer.JWKS()) || issuer.JWKSURL() != tt.host+path {
						t.Errorf("JWKS at %s, not %s: %s", tt.host+path, issuer.JWKSURL(), a.body)
					}
					continue
				}
				if members := object(t, a.body); members["issuer"] != tt.issuer || members["jwks_uri"] != issuer.JWKSURL() {
					t.Errorf("%s: metadata %v", path, members)
				}
			}
			for _, path := range tt.none {
				if a := get(t, issuer, tt.host+path); a.status != http.StatusNotFound {
					t.Errorf("%s: status %d", path, a.status)
				}
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	issuer.Metadata(testissuer.OAuthMetadata, func(m map[string]any) {
		m["issuer"] = "https://other.test"
		delete(m, "jwks_uri")
	})
	const oauth, openID = "https://issuer.test/.well-known/oauth-authorization-server", "https://issuer.test/.well-known/openid-configuration"
	changed := object(t, get(t, issuer, oauth).body)
	if _, has := changed["jwks_uri"]; has || changed["issuer"] != "https://other.test" {
		t.Errorf("changed metadata %v", changed)
	}
	if other := object(t, get(t, issuer, openID).body); other["issuer"] != issuer.URL() || other["subject_types_supported"] == nil {
		t.Errorf("the other document is %v", other)
	}
	issuer.Metadata(testissuer.OAuthMetadata, nil)
	if restored := object(t, get(t, issuer, oauth).body); restored["issuer"] != issuer.URL() || restored["jwks_uri"] == nil {
		t.Errorf("restored metadata %v", restored)
	}
	panics(t, func() { issuer.Metadata(testissuer.JWKS, nil) })
	panics(t, func() { issuer.Metadata("x", nil) })
	panics(t, func() { issuer.Requests("x") })
}

func TestMethods(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	for method, want := range map[string]int{
		http.MethodGet: http.StatusOK, http.MethodHead: http.StatusOK,
		http.MethodPost: http.StatusMethodNotAllowed, http.MethodDelete: http.StatusMethodNotAllowed,
	} {
		request, err := http.NewRequestWithContext(t.Context(), method, issuer.JWKSURL(), strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := issuer.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || response.StatusCode != want || (len(body) > 0) != (method == http.MethodGet) {
			t.Errorf("%s: status %d, %d bytes, %v", method, response.StatusCode, len(body), err)
		}
	}
}

func TestCacheControl(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{CacheControl: "max-age=60"})
	if got := get(t, issuer, issuer.JWKSURL()).header.Get("Cache-Control"); got != "max-age=60" {
		t.Errorf("Cache-Control %q", got)
	}
	if got := get(t, issuer, issuer.URL()+"/.well-known/openid-configuration").header; got["Cache-Control"] != nil {
		t.Errorf("Cache-Control of the metadata %q", got)
	}
}

func TestLoopback(t *testing.T) {
	tests := []struct {
		name   string
		config testissuer.Config
		prefix string
		suffix string
		direct bool // other clients reach the URL, too
		secure bool
	}{
		{name: "default", prefix: "http://127.0.0.1:", direct: true},
		{name: "path", config: testissuer.Config{URL: "/tenant/1"}, prefix: "http://127.0.0.1:", suffix: "/tenant/1", direct: true},
		{name: "TLS", config: testissuer.Config{TLS: true}, prefix: "https://127.0.0.1:", direct: true, secure: true},
		{name: "TLS and path", config: testissuer.Config{TLS: true, URL: "/"}, prefix: "https://127.0.0.1:", suffix: "/", direct: true, secure: true},
		{name: "host", config: testissuer.Config{URL: "http://as.example/x"}, prefix: "http://as.example/x"},
		{name: "https host", config: testissuer.Config{URL: "https://as.example"}, prefix: "https://as.example", secure: true},
		{name: "https host, said twice", config: testissuer.Config{URL: "https://as.example:1", TLS: true}, prefix: "https://as.example:1", secure: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			issuer := start(t, tt.config)
			if !strings.HasPrefix(issuer.URL(), tt.prefix) || !strings.HasSuffix(issuer.URL(), tt.suffix) {
				t.Fatalf("URL is %q", issuer.URL())
			}
			if a := get(t, issuer, issuer.JWKSURL()); a.body != string(issuer.JWKS()) {
				t.Errorf("answer %v", a)
			}
			if (issuer.Certificate() != nil) != tt.secure {
				t.Errorf("certificate %v", issuer.Certificate())
			}
			if !tt.direct {
				return
			}
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			a, err := fetch(t.Context(), &http.Client{Transport: transport}, issuer.JWKSURL())
			var untrusted *tls.CertificateVerificationError
			if tt.secure != errors.As(err, &untrusted) || !tt.secure && a.status != http.StatusOK {
				t.Errorf("another client: %v, %v", a, err)
			}
		})
	}
}

// TestNew checks that New closes its issuer when the test ends.
func TestNew(t *testing.T) {
	var issuer *testissuer.Issuer
	t.Run("inner", func(t *testing.T) {
		issuer = testissuer.New(t)
		get(t, issuer, issuer.JWKSURL())
		expect(t, issuer, issuer.Sign(testissuer.Token{}), "")
	})
	if _, err := fetch(t.Context(), issuer.Client(), issuer.JWKSURL()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after Close: %v", err)
	}
	expect(t, issuer, issuer.Sign(testissuer.Token{}), "")
}

func TestTransportOfOtherHosts(t *testing.T) {
	other := start(t, testissuer.Config{})
	loopback := start(t, testissuer.Config{URL: "http://as.example"})
	if a := get(t, loopback, other.JWKSURL()); a.body != string(other.JWKS()) {
		t.Errorf("answer %v of another host", a)
	}
	memory := inMemory(t, testissuer.Config{})
	for _, url := range []string{other.JWKSURL(), "https://issuer.test:8443/jwks.json", "http://issuer.test/jwks.json"} {
		if _, err := fetch(t.Context(), memory.Client(), url); err == nil || !strings.Contains(err.Error(), "cannot be reached in memory") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestDown(t *testing.T) {
	for name, config := range map[string]testissuer.Config{
		"in memory": {InMemory: true}, "http": {}, "https": {TLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			issuer := start(t, config)
			get(t, issuer, issuer.JWKSURL()) // leaves a connection
			issuer.Down(true)
			for range 3 {
				if a, err := fetch(t.Context(), issuer.Client(), issuer.JWKSURL()); err == nil {
					t.Errorf("answered %v while down", a)
				}
			}
			if n := issuer.Requests(testissuer.JWKS); n != 1 {
				t.Errorf("%d requests counted", n)
			}
			issuer.Down(false)
			get(t, issuer, issuer.JWKSURL())
		})
	}
}

func TestDownCutsAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, testissuer.Config{})
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Hour})
		began := time.Now()
		time.AfterFunc(time.Minute, func() { issuer.Down(true) })
		if _, err := fetch(t.Context(), issuer.Client(), issuer.JWKSURL()); err == nil || time.Since(began) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

func TestConfigFaults(t *testing.T) {
	tests := []struct {
		config testissuer.Config
		want   []string
	}{
		{testissuer.Config{Algorithm: 99, TLS: true, InMemory: true, URL: "x"}, []string{"Algorithm is unknown", "TLS is set together with InMemory", `URL is "x"; use http or https`}},
		{testissuer.Config{URL: "ftp://as.example"}, []string{"use http or https"}},
		{testissuer.Config{URL: "https://"}, []string{"use http or https"}},
		{testissuer.Config{URL: "//as.example/x"}, []string{"use http or https"}},
		{testissuer.Config{URL: "https://as.example?x"}, []string{"without user, query"}},
		{testissuer.Config{URL: "https://as.example#"}, []string{"without user, query"}},
		{testissuer.Config{URL: "https://u@as.example"}, []string{"without user, query"}},
		{testissuer.Config{URL: "https://as.example/%"}, []string{"without user, query"}},
		{testissuer.Config{URL: "https://bücher.example"}, []string{"certificate"}},
		{testissuer.Config{URL: "http://as.example", TLS: true}, []string{`is "http://as.example", and TLS is set`}},
	}
	for _, tt := range tests {
		issuer, err := testissuer.Start(tt.config)
		if err == nil {
			issuer.Close()
			t.Errorf("%v: no error", tt.config)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v: %q does not contain %q", tt.config, err, want)
			}
		}
	}
}

// TestIssuersAreApart checks that issuers with the same URL and kid share nothing.
func TestIssuersAreApart(t *testing.T) {
	first, second := inMemory(t, testissuer.Config{}), inMemory(t, testissuer.Config{})
	expect(t, second, first.Sign(testissuer.Token{}), validator.BadSignature)
	if a := get(t, second, second.JWKSURL()); a.body == string(first.JWKS()) {
		t.Error("one transport reached the other issuer")
	}
	if first.Requests(testissuer.JWKS) != 0 {
		t.Error("a request was counted by another issuer")
	}
}

func TestTransportCanBeCloned(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{})
	transport := issuer.Transport().(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	if _, err := fetch(t.Context(), &http.Client{Transport: transport}, issuer.JWKSURL()); err != nil {
		t.Error(err)
	}
	if transport.Proxy != nil {
		t.Error("the transport uses a proxy")
	}
	issuer.Close()
	if _, err := fetch(t.Context(), issuer.Client(), issuer.JWKSURL()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
	if len(jwks(t, issuer)) != 1 {
		t.Error("Close removed the keys")
	}
}
