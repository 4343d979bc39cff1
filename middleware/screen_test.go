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

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// presented is a presentation of an Authorization field.
func presented(authorization string) validator.Presentation {
	return validator.Presentation{Scheme: validator.Bearer, Token: strings.TrimPrefix(authorization, "Bearer ")}
}

// overriding runs a request for another method than its own the way frameworks
// do, if it is let to.
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
// public route, cannot make a handler act for another method than was judged.
// The caller's request stays as it was.
func TestMethodOverride(t *testing.T) {
	issuer := testissuer.New(t)
	guard := guardFor(t, issuer, middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	read := "Bearer " + issuer.Sign(testissuer.Token{Scope: "read"})
	var ran string
	doors := map[string]http.Handler{
		"Require":  guard.Require(scopes.All("read"), overriding(&ran)),
		"Optional": guard.Optional(scopes.All("read"), overriding(&ran)),
		"Public":   guard.Require(scopes.Public(), overriding(&ran)),
	}
	mux := guard.NewMux()
	mux.Handle("GET /orders", scopes.All("read"), overriding(&ran))
	mux.Handle("DELETE /orders", scopes.All("write"), overriding(&ran))
	doors["Mux"] = mux
	for name, door := range doors {
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
			if response := serve(door, r); response.StatusCode != 200 || ran != http.MethodGet && !strings.Contains(row.left, "method") {
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

// TestMethodOverrideInForms shows that a query that was parsed before is no way
// around, and that a form's body is left alone.
func TestMethodOverrideInForms(t *testing.T) {
	guard := guardFor(t, testissuer.New(t), middleware.Config{})
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

// TestMethodOverrideTarget: the request target of what a handler sees agrees with
// its URL, and is not invented where there was none.
func TestMethodOverrideTarget(t *testing.T) {
	guard := guardFor(t, testissuer.New(t), middleware.Config{})
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

// TestOverrideFields covers R-BT-15: what would exchange the method or the path
// that was judged reaches no handler, from no proxy, since those pass on what they
// do not know.
func TestOverrideFields(t *testing.T) {
	guard := guardFor(t, testissuer.New(t), middleware.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
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

// TestForwardingFields covers R-BT-11: what a proxy vouches for reaches a handler
// only from a trusted one, in whatever spelling.
func TestForwardingFields(t *testing.T) {
	issuer := testissuer.New(t)
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	fields := []string{
		"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Client-Cert",
		"x-forwarded-for", "X-Real-Ip", "X-Original-Host", "X-Original-For", "Client-Cert", "Client-Cert-Chain", "X-Client-Cert",
		"Ssl-Client-Cert", "Ssl-Client-Verify", "X-Ssl-Client-Cert", "X-Arr-Clientcert", "X-Amzn-Mtls-Clientcert",
	}
	// What a proxy did not set, because it would spell it otherwise.
	foreign := []string{"X_forwarded_for", "Ssl_client_verify", "X-Forwarded_host", "X.real.ip"}
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
		guard := guardFor(t, issuer, middleware.Config{TrustedProxies: row.proxies})
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = row.peer
		for _, name := range slices.Concat(fields, foreign, others) {
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
		for _, name := range foreign {
			if _, there := seen[name]; there {
				t.Errorf("%q, %v: %s reaches the handler", row.peer, row.proxies, name)
			}
		}
		for _, name := range others {
			if _, there := seen[name]; !there {
				t.Errorf("%q: %q is gone", row.peer, name)
			}
		}
		if len(r.Header) != len(fields)+len(foreign)+len(others) {
			t.Errorf("%q: the caller's request was changed", row.peer)
		}
	}
}

// TestOperation shows what a hook learns of the request, with a ServeMux and
// without.
func TestOperation(t *testing.T) {
	issuer := testissuer.New(t)
	guard := guardFor(t, issuer, middleware.Config{})
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

// TestRequireAllocates holds what passes to the allocations that the token in
// the context costs: what a handler may not see costs nothing if it is not there.
func TestRequireAllocates(t *testing.T) {
	issuer := testissuer.New(t)
	for name, config := range map[string]middleware.Config{
		"default": {},
		"full": {
			ExposeHeaders: false, ResourceMetadata: metadataURL, PublicURL: "https://api.test",
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		},
	} {
		h := guardFor(t, issuer, config).Require(scopes.All("read"), http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		r := request("Bearer " + issuer.Sign(testissuer.Token{Scope: "read"}))
		r.URL = &url.URL{Path: "/orders", RawQuery: "page=2&size=10"}
		for _, name := range []string{"Accept", "Accept-Encoding", "User-Agent", "Content-Type", "X-Request-Id"} {
			r.Header.Set(name, "x")
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > requireAllocations {
			t.Errorf("%s: %v allocations, want %d", name, n, requireAllocations)
		}
	}
}

// requireAllocations are the context that holds the token and the request that
// holds the context.
const requireAllocations = 2

// BenchmarkRequire is what a request costs whose token was seen before.
func BenchmarkRequire(b *testing.B) {
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true})
	if err != nil {
		b.Fatal(err)
	}
	defer issuer.Close()
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: issuer.URL(), Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(issuer.JWKS()),
	}}})
	if err != nil {
		b.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{Validator: v})
	if err != nil {
		b.Fatal(err)
	}
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
			for b.Loop() {
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}
