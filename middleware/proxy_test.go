package middleware_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// noting is a hook that permits and notes the operation.
func noting(got *[]string) func(context.Context, *validator.Token, scopes.Operation) error {
	return func(_ context.Context, _ *validator.Token, operation scopes.Operation) error {
		*got = append(*got, operation.Name, operation.Value("id"))
		return nil
	}
}

// TestArrival covers R-BT-11: scheme, host and client come from the fields of a
// trusted proxy only, and of them from the first hop from the right that is not
// trusted.
func TestArrival(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{TrustedProxies: []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32"),
	}})
	const proxy, other = "10.0.0.1:1", "192.0.2.9:1"
	for _, row := range []struct {
		name, peer string
		fields     []string // name: value
		want       string   // scheme host client; "" for a refusal
	}{
		{"nothing said", proxy, nil, "http example.com 10.0.0.1"},
		{"not a proxy", other, []string{"X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test"}, "http example.com 192.0.2.9"},
		{"not a proxy, Forwarded", other, []string{"Forwarded: for=1.2.3.4;proto=https;host=evil.test"}, "http example.com 192.0.2.9"},
		{"no address", "@", []string{"X-Forwarded-For: 1.2.3.4"}, "http example.com invalid IP"},

		{"one hop", proxy, []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: HTTPS", "X-Forwarded-Host: api.test:8443"}, "https api.test:8443 192.0.2.1"},
		{"a client's own value", proxy, []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.1"}, "http example.com 192.0.2.1"},
		{"a client's own line", proxy, []string{"X-Forwarded-For: garbage", "X-Forwarded-For: 192.0.2.1"}, "http example.com 192.0.2.1"},
		{"behind a second proxy", proxy, []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.0.0.2"}, "http example.com 192.0.2.1"},
		{"proxies only", proxy, []string{"X-Forwarded-For: 10.0.0.3, 10.0.0.2"}, "http example.com 10.0.0.3"},
		{"with ports", proxy, []string{"X-Forwarded-For: 192.0.2.1:80, [2001:db8::2]:443"}, "http example.com 192.0.2.1"},
		{"IPv6", proxy, []string{"X-Forwarded-For: 2001:db9::1"}, "http example.com 2001:db9::1"},
		{"mapped", proxy, []string{"X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.2"}, "http example.com 192.0.2.1"},
		{"scheme of the hop", proxy, []string{"X-Forwarded-For: 192.0.2.1, 10.0.0.2", "X-Forwarded-Proto: https, http"}, "https example.com 192.0.2.1"},
		{"host of the hop", proxy, []string{"X-Forwarded-For: 1.1.1.1, 192.0.2.1", "X-Forwarded-Host: evil.test, api.test"}, "http api.test 192.0.2.1"},
		{"only a scheme", proxy, []string{"X-Forwarded-Proto: https"}, "https example.com invalid IP"},
		{"no address behind the proxies", proxy, []string{"X-Forwarded-For: unknown, 10.0.0.2"}, ""},
		{"no address", proxy, []string{"X-Forwarded-For: 192.0.2.256"}, ""},
		{"empty member", proxy, []string{"X-Forwarded-For: 192.0.2.1,"}, ""},
		{"empty field", proxy, []string{"X-Forwarded-Proto: "}, ""},
		{"bad scheme", proxy, []string{"X-Forwarded-Proto: javascript"}, ""},
		{"too many schemes", proxy, []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https, http"}, ""},
		{"schemes without hops", proxy, []string{"X-Forwarded-Proto: https, http"}, ""},
		{"too many hops and no address", proxy, []string{"X-Forwarded-For: " + strings.Repeat(",", 100)}, ""},
		{"only many schemes", proxy, []string{"X-Forwarded-Proto: " + strings.Repeat(",", 100)}, ""},
		{"only many hosts", proxy, []string{"X-Forwarded-Host: " + strings.Repeat(",", 100)}, ""},
		{"bad scheme, good host", proxy, []string{"X-Forwarded-Proto: javascript", "X-Forwarded-Host: api.test"}, ""},
		{"host with a path", proxy, []string{"X-Forwarded-Host: api.test/admin?x="}, ""},
		{"host with a user", proxy, []string{"X-Forwarded-Host: a@api.test"}, ""},
		{"host with a bad port", proxy, []string{"X-Forwarded-Host: api.test:65536"}, ""},

		{"Forwarded", proxy, []string{`Forwarded: for=192.0.2.1;proto=https;host="api.test:8443";by=10.0.0.1`}, "https api.test:8443 192.0.2.1"},
		{"Forwarded, names in any case", proxy, []string{`Forwarded: For="[2001:db9::1]:4711";PROTO=http`}, "http example.com 2001:db9::1"},
		{"Forwarded, a client's own", proxy, []string{"Forwarded: for=1.1.1.1;host=evil.test, for=192.0.2.1"}, "http example.com 192.0.2.1"},
		{"Forwarded, two lines", proxy, []string{"Forwarded: for=1.1.1.1;host=evil.test", "Forwarded: for=192.0.2.1;host=api.test"}, "http api.test 192.0.2.1"},
		{"Forwarded, a second proxy", proxy, []string{"Forwarded: for=192.0.2.1;host=api.test,for=10.0.0.2;host=inner"}, "http api.test 192.0.2.1"},
		{"Forwarded, proxies only", proxy, []string{"Forwarded: for=10.0.0.3;host=outer, for=10.0.0.2"}, "http outer 10.0.0.3"},
		{"Forwarded, white space", proxy, []string{"Forwarded: for=192.0.2.1; proto=https"}, ""},
		{"Forwarded, hidden", proxy, []string{"Forwarded: for=1.1.1.1;host=evil.test,for=_hidden;host=api.test"}, "http api.test invalid IP"},
		{"Forwarded, unknown", proxy, []string{`Forwarded: for="unknown:80"`}, "http example.com invalid IP"},
		{"Forwarded, an extension", proxy, []string{`Forwarded: for=192.0.2.1;x="a, b;c\""`}, "http example.com 192.0.2.1"},
		{"Forwarded, twice", proxy, []string{"Forwarded: for=192.0.2.1;For=192.0.2.2"}, ""},
		{"Forwarded, bare IPv6", proxy, []string{`Forwarded: for="2001:db9::1"`}, ""},
		{"Forwarded, unquoted port", proxy, []string{"Forwarded: for=192.0.2.1:80"}, ""},
		{"Forwarded, open quote", proxy, []string{`Forwarded: for="192.0.2.1`}, ""},
		{"Forwarded, no value", proxy, []string{"Forwarded: for="}, ""},
		{"Forwarded, no name", proxy, []string{"Forwarded: =a"}, ""},
		{"Forwarded, no pair", proxy, []string{"Forwarded: for"}, ""},
		{"Forwarded, empty", proxy, []string{"Forwarded: "}, ""},
		{"Forwarded, empty element", proxy, []string{"Forwarded: for=192.0.2.1,"}, ""},
		{"Forwarded, loose end", proxy, []string{"Forwarded: for=192.0.2.1;"}, ""},
		{"Forwarded, a space", proxy, []string{"Forwarded: for=192.0.2.1 proto=https"}, ""},
		{"Forwarded, bad scheme", proxy, []string{"Forwarded: proto=ftp"}, ""},
		{"Forwarded, bad host", proxy, []string{`Forwarded: host="a/b"`}, ""},

		{"WebSocket", proxy, []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: wss"}, "https example.com 192.0.2.1"},
		{"WebSocket without TLS", proxy, []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: ws"}, "http example.com 192.0.2.1"},
		{"WebSocket, upper case", proxy, []string{"X-Forwarded-Proto: WSS"}, "https example.com invalid IP"},
		{"WebSocket of the hop", proxy, []string{"X-Forwarded-For: 192.0.2.1, 10.0.0.2", "X-Forwarded-Proto: wss, ws"}, "https example.com 192.0.2.1"},
		{"WebSocket, Forwarded", proxy, []string{"Forwarded: for=192.0.2.1;proto=wss"}, "https example.com 192.0.2.1"},
		{"WebSocket, Forwarded, without TLS", proxy, []string{`Forwarded: for=192.0.2.1;proto="Ws"`}, "http example.com 192.0.2.1"},
		{"WebSocket, said in both ways", proxy, []string{"Forwarded: for=192.0.2.1;proto=wss", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, "https example.com 192.0.2.1"},
		{"WebSocket, said differently", proxy, []string{"Forwarded: for=192.0.2.1;proto=wss", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: ws"}, ""},
		{"a scheme that is none", proxy, []string{"X-Forwarded-Proto: wsss"}, ""},
		{"HTTP/2 without TLS", proxy, []string{"X-Forwarded-Proto: h2c"}, ""},
		{"not a proxy, WebSocket", other, []string{"X-Forwarded-Proto: wss"}, "http example.com 192.0.2.9"},

		{"both, alike", proxy, []string{"Forwarded: for=192.0.2.1;proto=https", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, "https example.com 192.0.2.1"},
		{"both, another client", proxy, []string{"Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.2"}, ""},
		{"both, only one of the client", proxy, []string{"Forwarded: proto=https", "X-Forwarded-For: 192.0.2.1"}, ""},
		{"both, only the other of the client", proxy, []string{"Forwarded: for=192.0.2.1", "X-Forwarded-Proto: https"}, ""},
		{"both, a host passed on", proxy, []string{"Forwarded: for=192.0.2.1;host=evil.test", "X-Forwarded-For: 192.0.2.1"}, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = row.peer
		for _, field := range row.fields {
			name, value, _ := strings.Cut(field, ":")
			r.Header.Add(name, strings.TrimPrefix(value, " "))
		}
		arrival, err := guard.Arrival(r)
		got := arrival.Scheme + " " + arrival.Host + " " + arrival.Client.String()
		if err != nil {
			got = ""
			if validator.ReasonOf(err) != validator.MalformedRequest || arrival != (middleware.Arrival{}) {
				t.Errorf("%s: %v with %v", row.name, err, arrival)
			}
		}
		if got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
		// What cannot be read is answered with 400 wherever a token is judged.
		want := http.StatusUnauthorized
		if row.want == "" {
			want = http.StatusBadRequest
		}
		if response := serve(guard.Require(scopes.Authenticated(), new(handler)), r); response.StatusCode != want {
			t.Errorf("%s: %d, want %d", row.name, response.StatusCode, want)
		} else if challenge := response.Header.Get("WWW-Authenticate"); want == 400 && challenge != wantRequest {
			t.Errorf("%s: %s", row.name, challenge)
		}
	}
}

// TestPublicURL shows that PublicURL decides scheme and host, whatever fields proxies
// and clients send.
func TestPublicURL(t *testing.T) {
	issuer := issuertest.New(t)
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	r := httptest.NewRequest(http.MethodGet, "/", nil) // from 192.0.2.1
	r.Header.Set("X-Forwarded-Host", "evil.test")
	r.Header.Set("X-Forwarded-Proto", "http")
	arrival, err := issuer.Guard(t, middleware.Config{PublicURL: "https://api.test", TrustedProxies: proxies}).Arrival(r)
	if err != nil || arrival.Scheme != "https" || arrival.Host != "api.test" {
		t.Errorf("%+v, %v", arrival, err)
	}
	// Malformed credentials are refused behind a proxy, too.
	twice := request("Bearer a.b.c", "Bearer a.b.c")
	if response := serve(issuer.Guard(t, middleware.Config{TrustedProxies: proxies}).Require(scopes.Authenticated(), new(handler)), twice); response.StatusCode != 400 {
		t.Errorf("two fields: %d", response.StatusCode)
	}
	plain := issuer.Guard(t, middleware.Config{})
	r.TLS = new(tls.ConnectionState)
	if arrival, err := plain.Arrival(r); err != nil || arrival.Scheme != "https" || arrival.Host != "example.com" {
		t.Errorf("%+v, %v", arrival, err)
	}
	for _, host := range []string{"", "api.test/admin?x=", "a b", "a@b", "[::1", "api.test:", "api.test:x", "a\x10b", "[fe80::1%eth0]"} {
		r.Host = host
		if arrival, err := plain.Arrival(r); err == nil {
			t.Errorf("%q is taken: %+v", host, arrival)
		}
		if response := serve(plain.Require(scopes.Authenticated(), new(handler)), r); response.StatusCode != 401 { // no DPoP, so that the host is not read
			t.Errorf("%q: %d", host, response.StatusCode)
		}
		dpop := r.Clone(t.Context())
		dpop.Header.Set("Authorization", "DPoP abc")
		if response := serve(plain.Require(scopes.Authenticated(), new(handler)), dpop); response.StatusCode != 400 {
			t.Errorf("%q with DPoP: %d", host, response.StatusCode)
		}
	}
	for _, host := range []string{"api.test", "api.test:443", "127.0.0.1:80", "[::1]", "[2001:db8::1]:443", "a_b"} {
		r.Host = host
		if _, err := plain.Arrival(r); err != nil {
			t.Errorf("%q: %v", host, err)
		}
	}
}

// TestPublicURLForwarding covers R-BT-11 with a PublicURL: no scheme or host of a
// proxy is a reason to refuse, and the address of the client is read as strictly as
// without a PublicURL.
func TestPublicURLForwarding(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{
		PublicURL: "https://api.test", TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	long := strings.Repeat("x", 600)
	for _, row := range []struct {
		name   string
		fields []string // name: value
		want   string   // client; "" for a refusal
	}{
		{"nothing said", nil, "10.0.0.1"},
		{"a scheme that is none", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: grpc+tls"}, "192.0.2.1"},
		{"no scheme", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: "}, "192.0.2.1"},
		{"schemes of no hops", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https, http, https"}, "192.0.2.1"},
		{"many schemes", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https" + strings.Repeat(", https", 100)}, "192.0.2.1"},
		{"only many schemes", []string{"X-Forwarded-Proto: https" + strings.Repeat(", https", 100)}, "invalid IP"},
		{"a host that is none", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: api.test/admin?x="}, "192.0.2.1"},
		{"only a host", []string{"X-Forwarded-Host: a b"}, "invalid IP"},
		{"many hosts", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: " + strings.Repeat(",", 100)}, "192.0.2.1"},
		{"Forwarded, a scheme that is none", []string{"Forwarded: for=192.0.2.1;proto=ftp"}, "192.0.2.1"},
		{"Forwarded, no scheme", []string{"Forwarded: for=192.0.2.1;proto="}, "192.0.2.1"},
		{"Forwarded, a scheme without =", []string{"Forwarded: proto;for=192.0.2.1"}, "192.0.2.1"},
		{"Forwarded, a host with a path", []string{`Forwarded: host="a/b";for=192.0.2.1`}, "192.0.2.1"},
		{"Forwarded, a port that is not quoted", []string{"Forwarded: for=192.0.2.1;host=api.test:8443;proto=https"}, "192.0.2.1"},
		{"Forwarded, the same on the left", []string{"Forwarded: host=api.test:8443;for=1.1.1.1, for=192.0.2.1"}, "192.0.2.1"},
		{"Forwarded, white space", []string{"Forwarded: for=192.0.2.1; proto=https; host=api.test"}, "192.0.2.1"},
		{"Forwarded, an open quote", []string{`Forwarded: for=1.1.1.1;host=", for=192.0.2.1;proto=https`}, "192.0.2.1"},
		{"Forwarded, an open quote before another", []string{`Forwarded: for=1.1.1.1;host=", for="192.0.2.1";host="api.test"`}, "192.0.2.1"},
		{"Forwarded, an open quote and a backslash", []string{`Forwarded: for=1.1.1.1;host="\, for="192.0.2.1"`}, "192.0.2.1"},
		{"Forwarded, delimiters in quotes", []string{`Forwarded: for=192.0.2.1;host="a, for=1.1.1.1;x";proto=https`}, "192.0.2.1"},
		{"Forwarded, a delimiter after white space", []string{`Forwarded: for=1.1.1.1;host="a" , for=192.0.2.1`}, "192.0.2.1"},
		{"Forwarded, a semicolon in quotes, and a comma after white space", []string{`Forwarded: for=1.1.1.1;host="a;b" , for=192.0.2.1`}, "192.0.2.1"},
		{"Forwarded, a long host", []string{"Forwarded: host=" + long + ";for=192.0.2.1"}, "192.0.2.1"},
		{"Forwarded, a long host in quotes", []string{`Forwarded: host="` + long + `";for=192.0.2.1`}, "192.0.2.1"},
		{"both, another scheme", []string{"Forwarded: for=192.0.2.1;proto=http", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, "192.0.2.1"},
		{"both, another host", []string{"Forwarded: for=192.0.2.1;host=evil.test", "X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{"both, one only of the scheme", []string{"Forwarded: for=192.0.2.1", "X-Forwarded-Proto: https"}, "192.0.2.1"},
		{"both, the other only of the scheme", []string{"Forwarded: proto=https", "X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{"both, neither of the client", []string{"Forwarded: proto=https", "X-Forwarded-Proto: http"}, "invalid IP"},

		{"both, another client", []string{"Forwarded: for=192.0.2.1", "X-Forwarded-For: 192.0.2.2"}, ""},
		{"both, a hidden client", []string{"Forwarded: for=_x", "X-Forwarded-For: 192.0.2.2"}, ""},
		{"no address", []string{"X-Forwarded-For: unknown"}, ""},
		{"Forwarded, no address", []string{"Forwarded: for=192.0.2.256;host=api.test"}, ""},
		{"Forwarded, the client twice", []string{"Forwarded: for=192.0.2.1;host=a;for=192.0.2.1"}, ""},
		{"Forwarded, the host twice", []string{"Forwarded: for=192.0.2.1;host=a;host=b"}, ""},
		{"Forwarded, a loose end", []string{"Forwarded: host=a;"}, ""},
		{"Forwarded, delimiters in a long host in quotes", []string{`Forwarded: for=192.0.2.1;host="` + long + `, for=192.0.2.2, x"`}, ""},
		{"Forwarded, a client without a quote", []string{`Forwarded: host=a;for="192.0.2.1`}, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		for _, field := range row.fields {
			name, value, _ := strings.Cut(field, ":")
			r.Header.Add(name, strings.TrimPrefix(value, " "))
		}
		arrival, err := guard.Arrival(r)
		if err != nil {
			if row.want != "" || validator.ReasonOf(err) != validator.MalformedRequest {
				t.Errorf("%s: %v", row.name, err)
			}
			continue
		}
		if arrival.Scheme != "https" || arrival.Host != "api.test" || arrival.Client.String() != row.want {
			t.Errorf("%s: %+v, want %q", row.name, arrival, row.want)
		}
	}
}

// TestConfigFaults covers R-OP-01 for the configuration of a Guard.
func TestConfigFaults(t *testing.T) {
	v := middleware.AnyValidator()
	body := func(http.ResponseWriter, *http.Request, *middleware.Denial) {}
	for name, config := range map[string]middleware.Config{
		"ResourceMetadata, http":      {ResourceMetadata: "http://api.test/x"},
		"ResourceMetadata, relative":  {ResourceMetadata: "/.well-known/oauth-protected-resource"},
		"ResourceMetadata, fragment":  {ResourceMetadata: "https://api.test/#"},
		"ResourceMetadata, user":      {ResourceMetadata: "https://a@api.test/"},
		"ResourceMetadata, quotes":    {ResourceMetadata: `https://api.test/"`},
		"ResourceMetadata, space":     {ResourceMetadata: "https://api.test/ "},
		"ResourceMetadata, not ASCII": {ResourceMetadata: "https://api.test/é"},
		"PublicURL, http":             {PublicURL: "http://api.test"},
		"PublicURL, path":             {PublicURL: "https://api.test/v1"},
		"PublicURL, query":            {PublicURL: "https://api.test?"},
		"PublicURL, host":             {PublicURL: "https://api test"},
		"PublicURL, only a host":      {PublicURL: "api.test"},
		"TrustedProxies[0], zero":     {TrustedProxies: make([]netip.Prefix, 1)},
		"TrustedProxies[0], all":      {TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}},
		"TrustedProxies[1], all":      {TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0")}},
		"TrustedProxies[0], mapped":   {TrustedProxies: []netip.Prefix{netip.PrefixFrom(netip.MustParseAddr("::ffff:10.0.0.0"), 104)}},
		"DenialBody":                  {NoBody: true, DenialBody: body},
		"Hierarchy":                   {Hierarchy: scopes.Hierarchy{"a": {"b"}, "b": {"a"}}},
	} {
		config.Validator = v
		field, _, _ := strings.Cut(name, ",")
		if _, err := middleware.New(config); err == nil || !strings.Contains(err.Error(), "middleware: "+field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, config := range map[string]middleware.Config{
		"loopback": {ResourceMetadata: "http://localhost:8080/x", PublicURL: "http://127.0.0.1:8080/"},
		"https":    {ResourceMetadata: "https://api.test/x?y=1", PublicURL: "https://[2001:db8::1]:8443"},
		"proxies":  {TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("::1/128")}},
	} {
		config.Validator = v
		if _, err := middleware.New(config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestUnmadeValidator shows that New refuses a Validator that validator.New did not
// make, and accepts one without configured issuers that has ResolveIssuer.
func TestUnmadeValidator(t *testing.T) {
	for want, v := range map[string]*validator.Validator{
		"middleware: Validator is nil":                        nil,
		"middleware: Validator was not made by validator.New": new(validator.Validator),
	} {
		if guard, err := middleware.New(middleware.Config{Validator: v}); guard != nil || err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, %v, want %q", guard, err, want)
		}
	}
	v := issuertest.Validator(t, validator.Config{ResolveIssuer: func(context.Context, string) (validator.Issuer, error) {
		return validator.Issuer{}, validator.ErrUnknownIssuer
	}})
	if _, err := middleware.New(middleware.Config{Validator: v}); err != nil {
		t.Errorf("a Validator with ResolveIssuer alone: %v", err)
	}
}

// TestHierarchy covers R-SC-06 on routes: under the Guard's hierarchy a broad scope
// implies a narrow one, and never the reverse.
func TestHierarchy(t *testing.T) {
	issuer := issuertest.New(t)
	hierarchy := scopes.Hierarchy{"orders:admin": {"orders:write"}, "orders:write": {"orders:read"}}
	guard := issuer.Guard(t, middleware.Config{Hierarchy: hierarchy})
	hierarchy["orders:read"] = []string{"orders:admin"} // too late
	delete(hierarchy, "orders:write")
	mux := guard.NewMux()
	mux.Handle("GET /orders", scopes.All("orders:read"), new(handler))
	mux.Handle("POST /orders", scopes.All("orders:write"), new(handler))
	for _, row := range []struct {
		method, scope string
		status        int
	}{{"GET", "orders:admin", 200}, {"POST", "orders:admin", 200}, {"POST", "orders:read", 403}, {"GET", "orders:write", 200}, {"HEAD", "orders:write", 200}, {"GET", "orders", 403}} {
		r := request("Bearer " + issuer.Sign(testissuer.Token{Scope: row.scope}))
		r.Method = row.method
		if response := serve(mux, r); response.StatusCode != row.status {
			t.Errorf("%+v: %d", row, response.StatusCode)
		}
	}
}

// TestRoutes covers the report of registered routes in R-SC-04.
func TestRoutes(t *testing.T) {
	mux := issuertest.New(t).Guard(t, middleware.Config{}).NewMux()
	mux.Handle("GET /b", scopes.All("b"), new(handler))
	mux.Handle("/a", scopes.Public(), new(handler))
	func() {
		defer func() { _ = recover() }()
		mux.Handle("/a", scopes.Authenticated(), new(handler)) // conflicts
	}()
	var routes []string
	for name, policy := range mux.Routes() {
		routes = append(routes, name+" "+policy.String())
	}
	if !slices.Equal(routes, []string{`GET /b All("b")`, "/a Public()"}) {
		t.Errorf("%q", routes)
	}
	for range mux.Routes() {
		break // an iteration may stop early
	}
	if policies := mux.Policies(); len(policies) != 2 || !policies[0].Equal(scopes.All("b")) {
		t.Errorf("%v", policies)
	}
}
