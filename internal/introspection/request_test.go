package introspection

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
)

// privatePEM returns a private key in PKCS#8.
func privatePEM(tb testing.TB, key any) string {
	tb.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// TestRequest checks that a request is a POST of a form, that the token is not in its
// URL, and that it has exactly the parameters and credentials of its method (R-IN-01,
// R-IN-02; servers refuse requests with credentials in two places).
func TestRequest(t *testing.T) {
	key := testkey.NewPrivate(jose.ES256)
	secret := introspect.SecretText("s=cret")
	for name, test := range map[string]struct {
		authentication introspect.Authentication
		parameters     []string // beside token and token_type_hint
		authorization  string   // the beginning
	}{
		"basic":        {introspect.ClientSecretBasic{Secret: secret}, nil, "Basic " + base64.StdEncoding.EncodeToString([]byte("api:s%3Dcret"))},
		"a pointer":    {&introspect.ClientSecretBasic{Secret: secret}, nil, "Basic " + base64.StdEncoding.EncodeToString([]byte("api:s%3Dcret"))},
		"raw":          {introspect.ClientSecretBasic{Secret: secret, Raw: true}, nil, "Basic " + base64.StdEncoding.EncodeToString([]byte("api:s=cret"))},
		"post":         {introspect.ClientSecretPost{Secret: secret}, []string{"client_id", "client_secret"}, ""},
		"private key":  {introspect.PrivateKeyJWT{Signer: key}, []string{"client_assertion", "client_assertion_type", "client_id"}, ""},
		"as PEM":       {introspect.PrivateKeyJWT{Key: introspect.SecretText(privatePEM(t, key))}, []string{"client_assertion", "client_assertion_type", "client_id"}, ""},
		"certificate":  {certificateOf(t, "api"), []string{"client_id"}, ""},
		"access token": {introspect.Bearer{Authentication: introspect.ClientSecretBasic{Secret: secret}, TokenEndpoint: "/token"}, nil, "Bearer " + canaries.bearer},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, func(w http.ResponseWriter, r received) {
				if r.url.Path == "/token" {
					say(w, 200, `{"access_token":"`+canaries.bearer+`","token_type":"bearer","expires_in":60}`)
					return
				}
				say(w, 200, activeBody)
			})
			if bearer, ok := test.authentication.(introspect.Bearer); ok {
				bearer.TokenEndpoint = s.URL + bearer.TokenEndpoint
				test.authentication = bearer
			}
			a := s.asking(t, func(c *introspect.Client) { c.Authentication = test.authentication })
			if a.kind != "" || !a.answer.Active || a.requests != 1 || a.status != 200 {
				t.Fatalf("%+v", a)
			}
			got := s.got()[s.count()-1]
			want := append([]string{"token", "token_type_hint"}, test.parameters...)
			slices.Sort(want)
			if found := slices.Sorted(maps.Keys(got.form)); !slices.Equal(found, want) {
				t.Errorf("parameters %q, want %q", found, want)
			}
			if got.method != http.MethodPost || got.url.String() != "/introspect" || got.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
				t.Errorf("%s %s with %s", got.method, got.url, got.header.Get("Content-Type"))
			}
			if got.form.Get("token") != canaries.token || got.form.Get("token_type_hint") != "access_token" {
				t.Errorf("%v", got.form)
			}
			if authorization := got.header.Get("Authorization"); authorization != test.authorization {
				t.Errorf("Authorization %q", authorization)
			}
			fields := slices.Sorted(maps.Keys(got.header))
			allowed := []string{"Accept", "Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "User-Agent"}
			if slices.ContainsFunc(fields, func(f string) bool { return !slices.Contains(allowed, f) }) {
				t.Errorf("fields %q", fields)
			}
		})
	}
}

// TestHint checks token_type_hint: one server demands it, one refuses any, and there is
// no second attempt with another one (R-IN-01).
func TestHint(t *testing.T) {
	for hint, want := range map[string][]string{"": {"access_token"}, introspect.NoHint: nil, "urn:x": {"urn:x"}} {
		s := serve(t, saying(400, `{"error":"unsupported_token_type"}`))
		a := s.asking(t, func(c *introspect.Client) { c.Hint = hint })
		if got := s.got(); len(got) != 1 || !slices.Equal(got[0].form["token_type_hint"], want) || a.kind != introspect.RequestRefused {
			t.Errorf("%q: %v, %v", hint, got, a)
		}
	}
}

// TestRawIsNeverTried checks that a server that compares credentials as they come gets
// one request in the form that is configured, and that the cause names the setting only
// if the form makes a difference.
func TestRawIsNeverTried(t *testing.T) {
	for _, test := range []struct {
		secret string
		raw    bool
		hint   string
	}{
		{"a+b", false, "set ClientSecretBasic.Raw"},
		{"a~b", false, "set ClientSecretBasic.Raw"},
		{"a*b-c._d", false, ""},
		{"a%2Bb", true, "unset Raw"},
		{"ab", true, ""},
	} {
		s := serve(t, saying(401, `{"error":"invalid_client"}`))
		a := s.asking(t, func(c *introspect.Client) {
			c.Authentication = introspect.ClientSecretBasic{Secret: introspect.SecretText(test.secret), Raw: test.raw}
		})
		text := a.err.Error()
		if a.kind != introspect.CredentialsRefused || s.count() != 1 || a.requests != 1 {
			t.Errorf("%q: %+v after %d requests", test.secret, a, s.count())
		}
		if strings.Contains(text, "Raw") != (test.hint != "") || !strings.Contains(text, test.hint) || strings.Contains(text, test.secret) {
			t.Errorf("%q: %s", test.secret, text)
		}
	}
}

// TestFormEncoding checks the encoding of ID and secret, which the server reads as the
// value of a form (RFC 6749 §2.3.1 and appendix B).
func TestFormEncoding(t *testing.T) {
	for text, want := range map[string]string{
		"plain-._*": "plain-._*", "a b": "a+b", "a+b&c=d%:~": "a%2Bb%26c%3Dd%25%3A%7E", "é": "%C3%A9",
	} {
		got := formEncoded(text)
		back, err := url.QueryUnescape(got)
		if got != want || back != text || err != nil {
			t.Errorf("%q: %q, which is %q", text, got, back)
		}
	}
}

// TestFormsAreNotShared checks that a repeated or concurrent request has only its own
// parameters.
func TestFormsAreNotShared(t *testing.T) {
	s := serve(t, nil)
	client := s.client()
	client.Authentication = introspect.ClientSecretPost{Secret: introspect.SecretText(canaries.secret)}
	x := exchanging(t, client, s.binding())
	for _, token := range []string{"one", "two"} {
		x.ask(context.Background(), Question{Token: token})
	}
	got := s.got()
	if !slices.Equal(got[0].form["token"], []string{"one"}) || !slices.Equal(got[1].form["token"], []string{"two"}) || len(got[1].form["client_secret"]) != 1 {
		t.Errorf("%v", got)
	}
}

// TestOwnTransport checks that without an HTTPClient the connections are kept, as many
// as requests may be under way, and that HTTP/2 is used where the server has it.
func TestOwnTransport(t *testing.T) {
	s := unstarted(t, nil)
	s.Start()
	client := s.client()
	client.Limits.Concurrency = 7
	x := exchanging(t, client, Binding{Issuer: issuerURL})
	if transport := newTransport(x.binding, client.Limits).(*http.Transport); transport.MaxIdleConnsPerHost != 7 || !transport.ForceAttemptHTTP2 {
		t.Errorf("%+v", transport)
	}
	for range 5 {
		if a := x.ask(context.Background(), Question{Token: "t"}); a.kind != "" {
			t.Fatal(a.err)
		}
	}
	remotes := map[string]bool{}
	for _, r := range s.got() {
		remotes[r.remote] = true
	}
	if len(remotes) != 1 {
		t.Errorf("%d connections", len(remotes))
	}
}

// certificateOf returns the authentication by a new self-signed client certificate.
func certificateOf(tb testing.TB, name string) introspect.TLSClientAuth {
	tb.Helper()
	certificate, key := selfSigned(tb, name, nil)
	return introspect.TLSClientAuth{Certificate: introspect.SecretText(certificate), Key: introspect.SecretText(key)}
}
