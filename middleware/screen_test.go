package middleware_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// presented is a presentation of an Authorization field.
func presented(authorization string) validator.Presentation {
	return validator.Presentation{Scheme: validator.Bearer, Token: strings.TrimPrefix(authorization, "Bearer ")}
}

// overriding is a handler that takes the method from a header field or parameter, as
// frameworks do.
func overriding(ran *string) http.Handler {
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		*ran = r.Method
		for name, values := range r.Header {
			if strings.Contains(strings.ReplaceAll(strings.ToLower(name), "_", "-"), "method") {
				*ran = values[0]
			}
		}
		for name, values := range r.URL.Query() {
			if strings.EqualFold(name, "_method") {
				*ran = values[0]
			}
		}
		for _, text := range []string{r.FormValue("_method"), r.FormValue("_METHOD")} {
			if text != "" {
				*ran = text
			}
		}
		if _, query, _ := strings.Cut(r.RequestURI, "?"); strings.Contains(strings.ToLower(query), "method") {
			*ran = "as in RequestURI"
		}
	})
}

// TestMethodOverride covers R-SC-05: a client with a read scope, or none on a
// public route, cannot make a handler act for another method than was checked.
// The caller's request stays as it was.
func TestMethodOverride(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	read := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})
	var ran string
	handlers := map[string]http.Handler{
		"Require":  guard.Require(scopes.All("read"), overriding(&ran)),
		"Optional": guard.Require(scopes.Optional(scopes.All("read")), overriding(&ran)),
		"Public":   guard.Require(scopes.Public(), overriding(&ran)),
	}
	mux := guard.NewMux()
	mux.Handle("GET /orders", scopes.All("read"), overriding(&ran))
	mux.Handle("DELETE /orders", scopes.All("write"), overriding(&ran))
	handlers["Mux"] = mux
	for name, guarded := range handlers {
		for _, row := range []struct {
			field, query, left string
		}{
			{"X-Http-Method-Override", "", ""},
			{"X-HTTP-Method-Override", "", ""},
			{"x-http-method-override", "", ""},
			{"X_http_method_override", "", ""},
			{"X-Http-Method", "", ""},
			{"X-Method-Override", "", ""},
			{"", "_method=DELETE", ""},
			{"", "%00bcdefg=1", "%00bcdefg=1"}, // PHP reads a name without any character
			{"", "_METHOD=DELETE&a=1", "a=1"},
			{"", "a=1&_method=DELETE", "a=1"},
			{"", "a=1&%5fmethod=DELETE&b=%5f", "a=1&b=%5f"},
			{"", "a=1;_method=DELETE", "a=1"},
			{"", "_method=DELETE&_method=PUT&&b", "&b"},
			{"X-Method-Override", "_method=PUT&_method", ""},
			{"", "+_method=PUT&%20_method=PUT&.method=PUT&%2Emethod=PUT&_method%00x=PUT&%20.Method", ""},
			{"", "%20method=x&.methods=y&a.method=z&_method%zz=1&-method&_methof", "%20method=x&.methods=y&a.method=z&_method%zz=1&-method&_methof"},
			{"", "_method%00%=PUT&_method%00%zz=PUT&_method%00%4&%5Fmethod%00%%=PUT&+%20.Method%00+%5=PUT&a=1", "a=1"},
			{"", "%=x&%4=y&%zz=%&_method%=1&%_method=2&_%6method=3&+%=4", "%=x&%4=y&%zz=%&_method%=1&%_method=2&_%6method=3&+%=4"},
			{"", "method=x&a_method=y", "method=x&a_method=y"},
			{"", "a=%zz&b", "a=%zz&b"},
		} {
			r := httptest.NewRequest(http.MethodGet, "/orders?"+row.query, nil)
			r.Header.Set("Authorization", read)
			if row.field != "" {
				r.Header[row.field] = []string{"DELETE"}
			}
			before, query := r.Header.Clone(), r.URL.RawQuery
			ran = ""
			if response := serve(guarded, r); response.StatusCode != 200 || ran != http.MethodGet && !strings.Contains(row.left, "method") {
				t.Errorf("%s, %+v: %d, ran as %q", name, row, response.StatusCode, ran)
			}
			if !maps.EqualFunc(before, r.Header, slices.Equal) || r.URL.RawQuery != query {
				t.Errorf("%s, %+v: the caller's request was changed: %v %s", name, row, r.Header, r.URL)
			}
			if row.left == "" {
				continue
			}
			guard.Require(scopes.Public(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.RawQuery != row.left {
					t.Errorf("%s: %q is left of %q", name, r.URL.RawQuery, query)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
		}
	}
}

// TestMethodOverrideInForms shows that _method is removed from a query that was
// parsed before, and that the body of a form is not changed.
func TestMethodOverrideInForms(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	r := httptest.NewRequest(http.MethodPost, "/?_method=DELETE&q=1", strings.NewReader("b=2"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := r.ParseForm(); err != nil {
		t.Fatal(err)
	}
	guard.Require(scopes.Public(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil || r.Form.Get("_method") != "" || r.Form.Get("q") != "1" || r.PostForm.Get("b") != "2" {
			t.Errorf("%v, %v", r.Form, err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	r = httptest.NewRequest(http.MethodPost, "/", strings.NewReader("_method=DELETE"))
	guard.Require(scopes.Public(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); string(body) != "_method=DELETE" {
			t.Errorf("the body was read: %q is left", body)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// TestMethodOverrideTarget shows that RequestURI agrees with the URL of the request
// that a handler gets, and stays empty if it was.
func TestMethodOverrideTarget(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	for target, want := range map[string]string{
		"/orders?_method=PUT": "/orders", "/orders?a=1&_method=PUT": "/orders?a=1", "": "",
	} {
		for _, query := range []string{"_method=PUT", "a=1&_method=PUT"} {
			if target != "" && !strings.HasSuffix(target, "?"+query) {
				continue
			}
			r := httptest.NewRequest(http.MethodGet, "/orders?"+query, nil)
			r.RequestURI = target
			guard.Require(scopes.Public(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.RequestURI != want {
					t.Errorf("%q becomes %q, want %q", target, r.RequestURI, want)
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
		}
	}
}

// TestOverrideFields covers R-BT-15: fields that name another method or path than was
// checked reach no handler, not even from a trusted proxy, because proxies pass on
// such fields unchanged.
func TestOverrideFields(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	for _, peer := range []string{"192.0.2.1:4711", "198.51.100.1:4711"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		for _, name := range []string{
			"X-Http-Method-Override", "X-Http-Method", "X-Method-Override",
			"X-Original-Url", "x_original_url", "X-Original-Uri", "X-Original-Method", "X-Rewrite-Url",
		} {
			r.Header[name] = []string{"x"}
		}
		guard.Require(scopes.Public(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if len(r.Header) != 0 {
				t.Errorf("from %s the handler sees %v", peer, r.Header)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}

// TestForwardingFields covers R-BT-11: fields that a proxy sets reach a handler only
// from a trusted proxy.
func TestForwardingFields(t *testing.T) {
	issuer := issuertest.New(t)
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	fields := []string{
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Client-Cert",
		"x-forwarded-for", "X-Real-Ip", "X-Original-Host", "X-Original-For", "Client-Cert", "Client-Cert-Chain", "X-Client-Cert",
		"Ssl-Client-Cert", "Ssl-Client-Verify", "X-Ssl-Client-Cert", "X-Arr-Clientcert", "X-Amzn-Mtls-Clientcert",
	}
	// Spellings that no proxy uses, so that a client sent them.
	misspelt := []string{"X_forwarded_for", "Ssl_client_verify", "X-Forwarded_host", "X.real.ip"}
	others := []string{"X-Request-Id", "Forward", "Client-Certificate", "X-Real-Ips", "X", ""}
	for _, row := range []struct {
		peer    string
		proxies []netip.Prefix
		trusted bool
	}{
		{"10.1.2.3:4711", proxies, true},
		{"[::ffff:10.1.2.3]:4711", proxies, true},
		{"[2001:db8::1]:4711", proxies, true},
		{"[2001:db8::1%eth0]:4711", proxies, true},
		{"192.0.2.1:4711", proxies, false},
		{"[2001:db9::1]:4711", proxies, false},
		{"10.1.2.3:4711", nil, false},
		{"10.1.2.3", proxies, false},
		{"@", proxies, false},
		{"", proxies, false},
	} {
		guard := issuer.Guard(t, middleware.Config{TrustedProxies: row.proxies})
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = row.peer
		for _, name := range slices.Concat(fields, misspelt, others) {
			r.Header[name] = []string{"x"}
		}
		var seen http.Header
		guard.Require(scopes.Public(), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.Header })).
			ServeHTTP(httptest.NewRecorder(), r)
		for _, name := range fields {
			if _, there := seen[name]; there != row.trusted {
				t.Errorf("%q, %v: %s reaches the handler: %v", row.peer, row.proxies, name, there)
			}
		}
		for _, name := range misspelt {
			if _, there := seen[name]; there {
				t.Errorf("%q, %v: %s reaches the handler", row.peer, row.proxies, name)
			}
		}
		for _, name := range others {
			if _, there := seen[name]; !there {
				t.Errorf("%q: %q is gone", row.peer, name)
			}
		}
		if len(r.Header) != len(fields)+len(misspelt)+len(others) {
			t.Errorf("%q: the caller's request was changed", row.peer)
		}
	}
}

// TestOperation shows the Operation that a hook gets, with a ServeMux and without.
func TestOperation(t *testing.T) {
	issuer := issuertest.New(t)
	guard := issuer.Guard(t, middleware.Config{})
	var got []string
	policy := scopes.Check("notes", 0, noting(&got))
	mux := guard.NewMux()
	mux.Handle("GET /orders/{id}", policy, new(handler))
	for _, h := range []http.Handler{mux, guard.Require(policy, new(handler))} {
		r := httptest.NewRequest(http.MethodGet, "/orders/7?_method=x", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{}))
		if response := serve(h, r); response.StatusCode != 200 {
			t.Errorf("%d", response.StatusCode)
		}
	}
	if want := []string{"GET /orders/{id}", "7", "GET /orders/7", ""}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRequireAllocates shows that a request with a known token costs one allocation if
// nothing has to be removed from it.
func TestRequireAllocates(t *testing.T) {
	issuer := issuertest.New(t)
	for name, config := range map[string]middleware.Config{
		"default": {},
		"full": {
			ExposeHeaders: false, ResourceMetadata: metadataURL, PublicURL: "https://api.test",
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		},
	} {
		h := issuer.Guard(t, config).Require(scopes.All("read"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r := request("Bearer " + issuer.Sign(testissuer.Token{Scope: "read"}))
		r.URL = &url.URL{Path: "/orders", RawQuery: "page=2&size=10"}
		for _, name := range []string{"Accept", "Accept-Encoding", "User-Agent", "Content-Type", "X-Request-Id"} {
			r.Header.Set(name, "x")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if n := testing.AllocsPerRun(100, func() { clear(w.Header()); h.ServeHTTP(w, r) }); n > requireAllocations {
			t.Errorf("%s: %v allocations, want %d", name, n, requireAllocations)
		}
	}
}

// requireAllocations is the number of allocations for a request with a token: one
// that holds the request, its context and the value of Cache-Control.
const requireAllocations = 1

// headerWriter is a ResponseWriter that is used again for each request, so that a
// benchmark does not measure a recorder.
type headerWriter struct{ header http.Header }

func (w *headerWriter) Header() http.Header { return w.header }

func (w *headerWriter) WriteHeader(int) {}

func (w *headerWriter) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkRequire measures requests whose token was seen before.
func BenchmarkRequire(b *testing.B) {
	issuer := issuertest.New(b)
	guard := issuer.Guard(b, middleware.Config{})
	h := guard.Require(scopes.All("read"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for name, token := range map[string]string{"allowed": issuer.Sign(testissuer.Token{Scope: "read"}), "refused": issuer.Sign(testissuer.Token{}), "bare": ""} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/orders?page=2", nil)
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			for _, name := range []string{"Accept", "Accept-Encoding", "User-Agent", "Content-Type", "X-Request-Id"} {
				r.Header.Set(name, "x")
			}
			b.ReportAllocs()
			w := &headerWriter{make(http.Header)}
			for b.Loop() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}
		})
	}
}
