package testissuer_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// outcome returns what an answer says: "active", "inactive" or the error.
func outcome(tb testing.TB, a answer) string {
	tb.Helper()
	m := object(tb, a.body)
	if code, ok := m["error"].(string); ok {
		if want := map[string]int{"invalid_client": 401}[code]; a.status != max(want, 400) || m["error_description"] == "" {
			tb.Errorf("%v", a)
		}
		return code
	}
	if a.status != http.StatusOK {
		tb.Errorf("%v", a)
	}
	if m["active"] == true {
		return "active"
	}
	return "inactive"
}

const (
	denied    = "invalid_client"
	malformed = "invalid_request"
)

// TestSecrets checks the three ways to send a secret, and what is refused (RFC 6749
// §2.3).
func TestSecrets(t *testing.T) {
	const secret = "a+b=c:d%/é"
	issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{
		{ID: "basic:1", Secret: secret},
		{ID: "raw", Secret: secret, Raw: true},
		{ID: "post", Secret: secret, Post: true},
		{ID: "key", Key: testkey.Of(jose.ES256, "a").Private.Public()},
	}})
	encoded, id := url.QueryEscape(secret), url.QueryEscape("basic:1")
	token := issuer.Opaque(testissuer.Token{})
	tests := []struct {
		name   string
		field  string
		values url.Values
		want   string
	}{
		{name: "none", want: denied},
		{name: "ID alone", values: url.Values{"client_id": {"post"}}, want: denied},
		{name: "basic", field: basic(id, encoded), want: "active"},
		{name: "basic, lower case", field: strings.Replace(basic(id, encoded), "Basic", "basic", 1), want: "active"},
		{name: "basic with client_id", field: basic(id, encoded), values: url.Values{"client_id": {"basic:1"}}, want: "active"},
		{name: "basic with another client_id", field: basic(id, encoded), values: url.Values{"client_id": {"post"}}, want: denied},
		{name: "basic, not encoded", field: basic(id, secret), want: denied},
		{name: "basic, wrong secret", field: basic(id, encoded+"x"), want: denied},
		{name: "basic, no secret", field: basic(id, ""), want: denied},
		{name: "basic, unknown client", field: basic("x", encoded), want: denied},
		{name: "basic of a client with a key", field: basic("key", ""), want: denied},
		{name: "basic, encoded badly", field: basic(id, "%"), want: denied},
		{name: "no base64", field: "Basic !", want: denied},
		{name: "another scheme", field: "Digest x", want: denied},
		{name: "another scheme with these credentials", field: strings.Replace(basic(id, encoded), "Basic", "Digest", 1), want: denied},
		{name: "raw", field: basic("raw", secret), want: "active"},
		{name: "raw, encoded", field: basic("raw", encoded), want: denied},
		{name: "post", values: url.Values{"client_id": {"post"}, "client_secret": {secret}}, want: "active"},
		{name: "post, wrong secret", values: url.Values{"client_id": {"post"}, "client_secret": {"x"}}, want: denied},
		{name: "post, wrong client", values: url.Values{"client_id": {"x"}, "client_secret": {secret}}, want: denied},
		{name: "post without client", values: url.Values{"client_secret": {secret}}, want: denied},
		{name: "post in place of basic", values: url.Values{"client_id": {"basic:1"}, "client_secret": {secret}}, want: denied},
		{name: "basic in place of post", field: basic("post", encoded), want: denied},
		{name: "basic and post", field: basic("post", encoded), values: url.Values{"client_id": {"post"}, "client_secret": {secret}}, want: malformed},
		{name: "post and assertion", values: url.Values{"client_id": {"post"}, "client_secret": {secret}, "client_assertion": {"x"}}, want: malformed},
		{name: "bearer", field: "Bearer " + token, want: denied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := form{public: true, values: url.Values{"token": {token}}, header: http.Header{}}
			maps.Copy(f.values, tt.values)
			if tt.field != "" {
				f.header.Set("Authorization", tt.field)
			}
			a := post(t, issuer, f)
			if got := outcome(t, a); got != tt.want {
				t.Errorf("%s, want %s: %s", got, tt.want, a.body)
			}
			scheme, _, _ := strings.Cut(a.header.Get("WWW-Authenticate"), " ")
			if want := map[bool]string{true: "Bearer", false: "Basic"}[tt.name == "bearer"]; tt.want == denied && tt.field != "" && scheme != want {
				t.Errorf("challenge %q", a.header.Get("WWW-Authenticate"))
			}
			for _, url := range []string{issuer.RevocationURL(), issuer.TokenURL()} {
				if f.url = url; (post(t, issuer, f).status == http.StatusUnauthorized) != (tt.want == denied) {
					t.Errorf("%s answers otherwise", url)
				}
			}
			token = issuer.Opaque(testissuer.Token{}) // the revocation may have worked
		})
	}
	f := form{values: url.Values{"token": {token}}, header: http.Header{"Authorization": {basic(id, encoded), basic(id, encoded)}}}
	if got := outcome(t, post(t, issuer, f)); got != malformed {
		t.Errorf("two fields: %s", got)
	}
}

// TestNoClients checks that an empty list of clients means none.
func TestNoClients(t *testing.T) {
	issuer := inMemory(t, testissuer.Config{Clients: []testissuer.Client{}})
	if got := outcome(t, ask(t, issuer, "x")); got != denied {
		t.Error(got)
	}
}

// TestClientsAreCopied checks that the caller's list can be changed.
func TestClientsAreCopied(t *testing.T) {
	clients := []testissuer.Client{{ID: "api", Secret: testissuer.ClientSecret, Signed: true, AnswerAudiences: []string{"a"}}}
	issuer := inMemory(t, testissuer.Config{Clients: clients})
	clients[0].AnswerAudiences[0], clients[0].Secret = "b", "b"
	if aud := askSigned(t, issuer, "x")["aud"]; aud != "a" {
		t.Errorf("aud %v", aud)
	}
}

// certificate returns a new certificate and its key. It is self-signed if signer is
// nil.
func certificate(t *testing.T, signer *tls.Certificate, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
	}
	change(template)
	parent, key := template, any(private)
	if signer != nil {
		parent, key = signer.Leaf, signer.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, private.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	chain := [][]byte{der}
	if signer != nil {
		chain = append(chain, signer.Certificate...)
	}
	return tls.Certificate{Certificate: chain, PrivateKey: private, Leaf: leaf}
}

func authority(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, x509.KeyUsageCertSign }

// TestCertificates checks client certificates (RFC 8705 §2).
func TestCertificates(t *testing.T) {
	root := certificate(t, nil, authority)
	middle := certificate(t, &root, authority)
	leaf := certificate(t, &middle, func(*x509.Certificate) {})
	own := certificate(t, nil, func(*x509.Certificate) {})
	expired := certificate(t, &root, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	issuer := start(t, testissuer.Config{TLS: true, Clients: []testissuer.Client{
		{ID: "signed", Certificate: root.Leaf}, {ID: "own", Certificate: own.Leaf}, {ID: "secret", Secret: "x"},
	}})
	token := issuer.Opaque(testissuer.Token{})
	tests := []struct {
		name, id    string
		certificate *tls.Certificate
		want        string
	}{
		{"signed by the registered one", "signed", &leaf, "active"},
		{"registered itself", "own", &own, "active"},
		{"of another client", "own", &leaf, denied},
		{"not registered", "signed", &own, denied},
		{"expired", "signed", &expired, denied},
		{"none", "own", nil, denied},
		{"without client_id", "", &own, denied},
		{"of a client with a secret", "secret", &own, denied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			transport := issuer.Transport().(*http.Transport).Clone()
			defer transport.CloseIdleConnections()
			if tt.certificate != nil {
				transport.TLSClientConfig.Certificates = []tls.Certificate{*tt.certificate}
			}
			f := form{public: true, values: url.Values{"token": {token}}, client: &http.Client{Transport: transport}}
			if tt.id != "" {
				f.values.Set("client_id", tt.id)
			}
			if got := outcome(t, post(t, issuer, f)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
	if methods := object(t, get(t, issuer, issuer.URL()+"/.well-known/openid-configuration").body)["introspection_endpoint_auth_methods_supported"]; len(methods.([]any)) != 3 || methods.([]any)[1] != "self_signed_tls_client_auth" || methods.([]any)[2] != "tls_client_auth" {
		t.Errorf("methods %v", methods)
	}
}

func TestClientFaults(t *testing.T) {
	public := testkey.Of(jose.ES256, "a").Private.Public()
	own := certificate(t, nil, func(*x509.Certificate) {})
	tests := []struct {
		client testissuer.Client
		want   string
	}{
		{testissuer.Client{Secret: "x"}, "Clients[1].ID is empty"},
		{testissuer.Client{ID: "a", Secret: "x"}, "Clients[1].ID is empty or that of another client"},
		{testissuer.Client{ID: "b"}, "Clients[1] has not exactly one way"},
		{testissuer.Client{ID: "b", Secret: "x", Key: public}, "Clients[1] has not exactly one way"},
		{testissuer.Client{ID: "b", Key: public, Raw: true}, "Raw or Post without Secret"},
		{testissuer.Client{ID: "b", Secret: "x", Raw: true, Post: true}, "Raw or Post without Secret, or both"},
		{testissuer.Client{ID: "b", Secret: "x", Ahead: 1}, "Audiences or Ahead without Key"},
		{testissuer.Client{ID: "b", Secret: "x", Audiences: []string{"x"}}, "Audiences or Ahead without Key"},
		{testissuer.Client{ID: "b", Key: "x"}, "Clients[1].Key is a string"},
		{testissuer.Client{ID: "b", Certificate: own.Leaf}, "Clients[1].Certificate is set, and the issuer serves no TLS"},
		{testissuer.Client{ID: "b", Secret: "x", BearerLifetime: -1}, "Clients[1].BearerLifetime is negative"},
		{testissuer.Client{ID: "b", Secret: "x", AnswerAudiences: []string{"x"}}, "Clients[1].AnswerAudiences is empty, or set without Signed"},
		{testissuer.Client{ID: "b", Secret: "x", Signed: true, AnswerAudiences: []string{}}, "Clients[1].AnswerAudiences is empty"},
	}
	for _, tt := range tests {
		_, err := testissuer.Start(testissuer.Config{InMemory: true, URL: "https://as.test", Clients: []testissuer.Client{{ID: "a", Secret: "x"}, tt.client}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
}
