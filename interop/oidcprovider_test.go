package interop_test

import (
	"crypto/tls"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// The audiences of oidc-provider/server.mjs.
const (
	opaqueAPI = "https://api.example/opaque"
	jwtAPI    = "https://api.example/jwt"
	otherAPI  = "https://api.example/other"
)

// nodeModules is the variable with the node_modules folder of oidc-provider, if it is not
// beside server.mjs.
const nodeModules = "SALLYPORT_NODE_MODULES"

// oidcProvider is a running oidc-provider.
type oidcProvider struct {
	*process
	oauth

	pki    pki
	issuer string
	mtls   string // the same endpoints behind TLS that asks for a client certificate
}

// startOIDCProvider starts oidc-provider, or skips the test if Node or the modules are not
// there.
func startOIDCProvider(t *testing.T) *oidcProvider {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("NOT RUN: oidc-provider needs Node: no program node in PATH")
	}
	modules := os.Getenv(nodeModules)
	if modules == "" {
		modules = filepath.Join("oidc-provider", "node_modules")
	}
	if modules, err = filepath.Abs(modules); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "oidc-provider", "package.json")); err != nil {
		t.Skipf("NOT RUN: oidc-provider is not installed: run npm ci in interop/oidc-provider, or set %s", nodeModules)
	}
	p := &oidcProvider{pki: newPKI(t)}
	p.run(t, node, scriptBeside(t, modules), "0", "0")
	return p
}

// scriptBeside returns a copy of server.mjs beside the modules: Node looks for modules
// beside the script that imports them, and nowhere else.
func scriptBeside(t *testing.T, modules string) string {
	t.Helper()
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join("oidc-provider", "server.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "server.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "server.mjs")
}

func (p *oidcProvider) run(t *testing.T, node, script, port, mtlsPort string) {
	t.Helper()
	cmd := exec.Command(node, script)
	cmd.Env = append(os.Environ(), "PKI="+p.pki.dir, "PORT="+port, "MTLS_PORT="+mtlsPort, "NODE_NO_WARNINGS=1")
	p.process = start(t, cmd)
	var ready struct{ Issuer, MTLS string }
	p.readiness(t, &ready)
	p.issuer, p.mtls = ready.Issuer, ready.MTLS
	p.oauth = oauth{
		authorize: p.issuer + "/auth", token: p.issuer + "/token",
		revoke: p.issuer + "/token/revocation", introspect: p.issuer + "/token/introspection",
		redirect: "http://127.0.0.1/callback",
	}
}

// restart starts the server again, on the same ports and without its tokens.
func (p *oidcProvider) restart(t *testing.T) {
	t.Helper()
	plain, err := url.Parse(p.issuer)
	if err != nil {
		t.Fatal(err)
	}
	mtls, err := url.Parse(p.mtls)
	if err != nil {
		t.Fatal(err)
	}
	p.run(t, p.cmd.Path, p.cmd.Args[1], plain.Port(), mtls.Port())
}

// rotate makes new keys; the old ones stay published if keep is set.
func (p *oidcProvider) rotate(t *testing.T, keep bool) {
	t.Helper()
	body := `{"keep":false}`
	if keep {
		body = `{"keep":true}`
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.issuer+"/_control/rotate", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if got := send(t, new(http.Client), request); got.status != http.StatusOK {
		t.Fatalf("rotation: %d", got.status)
	}
}

// tlsClient returns a client that trusts the server and shows a certificate of the PKI. With
// tls.Config.Certificates, Go would not show one that none of the server's CAs signed.
func (p *oidcProvider) tlsClient(t *testing.T, certificate string) *http.Client {
	t.Helper()
	config := &tls.Config{RootCAs: p.pki.roots, MinVersion: tls.VersionTLS12}
	if certificate != "" {
		pair := p.pki.certificate(t, certificate)
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config}}
}

// boundToKey returns an opaque token that is bound to a DPoP key (RFC 9449).
func (p *oidcProvider) boundToKey(t *testing.T) string {
	t.Helper()
	key := testkey.New(jose.ES256, "")
	proof := key.Sign(
		`{"typ":"dpop+jwt","alg":"ES256","jwk":`+key.JWK()+`}`,
		`{"jti":"1","htm":"POST","htu":"`+p.token+`","iat":`+strconv.FormatInt(time.Now().Unix(), 10)+`}`)
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}, "resource": {opaqueAPI}}
	return post(t, new(http.Client), p.token, "cc-dpop", form, http.Header{"Dpop": {proof}}).member(t, "access_token")
}

// boundToCertificate returns an opaque token that is bound to a client certificate
// (RFC 8705).
func (p *oidcProvider) boundToCertificate(t *testing.T) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}, "resource": {opaqueAPI}, "client_id": {"cc-mtls"}}
	return post(t, p.tlsClient(t, "client"), p.mtls+"/token", "", form, nil).member(t, "access_token")
}

func TestOIDCProviderAnswers(t *testing.T) {
	p := startOIDCProvider(t)
	opaque := p.forItself(t, "cc", "read", "resource", opaqueAPI)
	if got := p.introspectAs(t, "rs", opaque); !got.active(t) || got.member(t, "token_type") != "Bearer" || got.member(t, "aud") != opaqueAPI {
		t.Errorf("a good token: %s", got.body)
	}
	if got := p.introspectAs(t, "nosy", opaque); got.active(t) {
		t.Errorf("a client that may not ask: %s", got.body)
	}
	access, refresh := p.forUser(t, url.Values{"scope": {"openid offline_access read"}, "resource": {opaqueAPI}, "prompt": {"consent"}})
	if got := p.introspectAs(t, "rs", access); !got.active(t) || got.member(t, "sub") != "alice" {
		t.Errorf("a token of a user: %s", got.body)
	}
	if got := p.introspectAs(t, "rs", refresh); !got.active(t) || strings.Contains(string(got.body), "token_type") {
		t.Errorf("a refresh token: %s", got.body)
	}
	jwt := p.forItself(t, "cc", "read", "resource", jwtAPI)
	if got := p.introspectAs(t, "rs", jwt); got.status != http.StatusBadRequest || got.member(t, "error") != "unsupported_token_type" {
		t.Errorf("a JWT: %d %s", got.status, got.body)
	}
	for name, bound := range map[string]string{"jkt": p.boundToKey(t), "x5t#S256": p.boundToCertificate(t)} {
		if got := p.introspectAs(t, "rs", bound); !got.active(t) || !strings.Contains(string(got.body), name) {
			t.Errorf("a bound token: %s", got.body)
		}
	}
	header := http.Header{"Accept": {"application/token-introspection+jwt"}}
	signed := post(t, new(http.Client), p.introspect, "rs-signed", url.Values{"token": {opaque}}, header)
	if kind := signed.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/token-introspection+jwt") {
		t.Errorf("a signed answer is of type %q: %s", kind, signed.body)
	}
	p.rotate(t, true)
	p.revokeToken(t, opaque)
	if p.introspectAs(t, "rs", opaque).active(t) {
		t.Error("a revoked token is active")
	}
	p.kill()
	if _, err := new(http.Client).Get(p.issuer); err == nil {
		t.Error("the server answers after it was killed")
	}
	p.restart(t)
	if again := p.forItself(t, "cc", "read", "resource", opaqueAPI); !p.introspectAs(t, "rs", again).active(t) {
		t.Error("a token of the server that was started again is not active")
	}
}

// opaqueIssuer is the configuration for oidc-provider: nothing but how this API
// authenticates.
func (p *oidcProvider) opaqueIssuer(id string, as introspect.Authentication) validator.Issuer {
	return validator.Issuer{
		URL:       p.issuer,
		Audiences: []string{opaqueAPI},
		Opaque:    &introspect.Client{ID: id, Authentication: as, Cache: introspect.Cache{TTL: shortTTL}},
	}
}

func secret(client string) introspect.Secret { return introspect.SecretText(secretOf(client)) }

// TestOIDCProvider runs the tests that can share a server.
func TestOIDCProvider(t *testing.T) {
	p := startOIDCProvider(t)
	t.Run("opaque", func(t *testing.T) { p.testOpaque(t) })
	t.Run("authentication", func(t *testing.T) { p.testAuthentication(t) })
	t.Run("refused authentication", func(t *testing.T) { p.testRefusedAuthentication(t) })
	t.Run("signed", func(t *testing.T) { p.testSigned(t) })
	t.Run("JWT", func(t *testing.T) { p.testJWT(t) })
	t.Run("hybrid", func(t *testing.T) { p.testHybrid(t) })
}

// testOpaque covers R-IN-01, R-IN-06, R-IN-07 and R-IN-09.
func (p *oidcProvider) testOpaque(t *testing.T) {
	a := newAPI(t, p.opaqueIssuer("rs", introspect.ClientSecretBasic{Secret: secret("rs")}))
	good := p.forItself(t, "cc", "read", "resource", opaqueAPI)
	a.expect("a good token", good, want{source: validator.Introspected})
	a.expect("the same token again", good, want{source: validator.Cached})
	a.expectAt("/write", "a token without the scope", good, want{reason: validator.InsufficientScope})
	a.expect("a token of another API", p.forItself(t, "cc", "read", "resource", otherAPI), want{reason: validator.WrongAudience})
	a.expect("garbage", "garbage", want{reason: validator.Inactive})
	access, refresh := p.forUser(t, url.Values{"scope": {"openid offline_access read"}, "resource": {opaqueAPI}, "prompt": {"consent"}})
	if d := a.expect("a token of a user", access, want{}); d.Token.Subject() != "alice" || d.Client != "web" {
		t.Errorf("the token is of %q and %q", d.Token.Subject(), d.Client)
	}
	a.expect("a refresh token", refresh, want{reason: validator.WrongType})
	a.expect("a token that is bound to a DPoP key", p.boundToKey(t), want{reason: validator.BindingMismatch})
	a.expect("a token that is bound to a certificate", p.boundToCertificate(t), want{reason: validator.BindingMismatch})
	a.expectRevoked(good, func() { p.revokeToken(t, good) })
}

// testAuthentication covers R-IN-02: each method by which an API can authenticate.
func (p *oidcProvider) testAuthentication(t *testing.T) {
	certificate := func(name string) introspect.TLSClientAuth {
		return introspect.TLSClientAuth{Certificate: introspect.SecretFile(p.pki.path(name + ".crt")), Key: introspect.SecretFile(p.pki.path(name + ".key"))}
	}
	good := p.forItself(t, "cc", "read", "resource", opaqueAPI)
	for id, as := range map[string]introspect.Authentication{
		"rs":      introspect.ClientSecretBasic{Secret: secret("rs")},
		"rs-post": introspect.ClientSecretPost{Secret: secret("rs-post")},
		"rs-key":  introspect.PrivateKeyJWT{Key: introspect.SecretFile(p.pki.path("assertion.key")), KeyID: "assertion"},
		"rs-tls":  certificate("trusted"),
		"rs-self": certificate("client"),
	} {
		issuer := p.opaqueIssuer(id, as)
		if _, ok := as.(introspect.TLSClientAuth); ok {
			issuer.Opaque.Endpoint = p.mtls + "/token/introspection"
			issuer.HTTPClient = p.tlsClient(t, "")
		}
		newAPI(t, issuer).expect("a good token, asked about by "+id, good, want{source: validator.Introspected})
	}
}

// testRefusedAuthentication covers R-IN-12: this API's own fault is never told as one of the
// token, except by a server that answers "not active" to those that may not ask.
func (p *oidcProvider) testRefusedAuthentication(t *testing.T) {
	good := p.forItself(t, "cc", "read", "resource", opaqueAPI)
	refused := want{reason: validator.Unavailable, kind: introspect.CredentialsRefused}
	wrong := p.opaqueIssuer("rs", introspect.ClientSecretBasic{Secret: introspect.SecretText("wrong")})
	newAPI(t, wrong).expect("a wrong secret", good, refused)
	untrusted := p.opaqueIssuer("rs-tls", introspect.TLSClientAuth{
		Certificate: introspect.SecretFile(p.pki.path("client.crt")), Key: introspect.SecretFile(p.pki.path("client.key")),
	})
	untrusted.Opaque.Endpoint, untrusted.HTTPClient = p.mtls+"/token/introspection", p.tlsClient(t, "")
	newAPI(t, untrusted).expect("a certificate that is not trusted", good, refused)
	untrusted.HTTPClient = nil
	newAPI(t, untrusted).expect("a server whose CA is not configured", good, want{reason: validator.Unavailable, kind: introspect.TLSFailed})
	nosy := p.opaqueIssuer("nosy", introspect.ClientSecretBasic{Secret: secret("nosy")})
	newAPI(t, nosy).expect("a client that may not ask", good, want{reason: validator.Inactive})
}

// testSigned covers R-IN-16, R-IN-17 and R-IN-18, while the server exchanges its keys.
func (p *oidcProvider) testSigned(t *testing.T) {
	issuer := p.opaqueIssuer("rs-signed", introspect.ClientSecretBasic{Secret: secret("rs-signed")})
	issuer.Opaque.Signed = true
	a := newAPI(t, issuer)
	token := func() string { return p.forItself(t, "cc", "read", "resource", opaqueAPI) }
	good := token()
	a.expect("a good token", good, want{source: validator.Introspected})
	a.expect("garbage", "garbage", want{reason: validator.Inactive})
	a.expect("a token of another API", p.forItself(t, "cc", "read", "resource", otherAPI), want{reason: validator.WrongAudience})
	for _, keep := range []bool{true, false} {
		p.rotate(t, keep)
		a.expect("a token after the keys were exchanged", token(), want{source: validator.Introspected})
	}
	revoked := token()
	a.expectRevoked(revoked, func() { p.revokeToken(t, revoked) })
}

// testJWT covers R-IN-19: JWTs of the same server, validated locally.
func (p *oidcProvider) testJWT(t *testing.T) {
	a := newAPI(t, validator.Issuer{URL: p.issuer, Audiences: []string{jwtAPI}})
	token := func() string { return p.forItself(t, "cc", "read", "resource", jwtAPI) }
	a.expect("a good JWT", token(), want{source: validator.Verified})
	p.rotate(t, true)
	a.expect("a JWT of a new key", token(), want{source: validator.Verified})
	if status, d := a.get("/read", p.forItself(t, "cc", "read", "resource", opaqueAPI)); status != http.StatusUnauthorized {
		t.Errorf("an opaque token: status %d, %v", status, d.Denial.Cause())
	}
}

// testHybrid covers R-IN-11: a server that does not introspect JWTs gives no verdict on
// them, and that is no fault of the token.
func (p *oidcProvider) testHybrid(t *testing.T) {
	issuer := p.opaqueIssuer("rs", introspect.ClientSecretBasic{Secret: secret("rs")})
	issuer.Audiences = []string{jwtAPI, opaqueAPI}
	issuer.Keys = jwkscache.Discovered()
	a := newAPI(t, issuer)
	jwt := p.forItself(t, "cc", "read", "resource", jwtAPI)
	a.expect("a JWT on a route that does not ask", jwt, want{source: validator.Verified})
	a.expectAt("/fresh", "a JWT on a route that asks", jwt,
		want{reason: validator.Unavailable, kind: introspect.RequestRefused, cause: "does not introspect JWTs"})
	opaque := p.forItself(t, "cc", "read", "resource", opaqueAPI)
	a.expectAt("/fresh", "an opaque token", opaque, want{source: validator.Introspected})
	a.expect("a tampered JWT", jwt[:len(jwt)-8]+"AAAAAAAA", want{reason: validator.BadSignature})
}

// TestOIDCProviderOutage covers R-IN-11 and R-IN-12. The tokens of the server are gone after
// the restart, so that it rightly calls those from before inactive.
func TestOIDCProviderOutage(t *testing.T) {
	p := startOIDCProvider(t)
	issuer := p.opaqueIssuer("rs", introspect.ClientSecretBasic{Secret: secret("rs")})
	issuer.Opaque.Cache.TTL = outageTTL
	a := newAPI(t, issuer)
	token := func() string { return p.forItself(t, "cc", "read", "resource", opaqueAPI) }
	a.expectOutage(token(), token(), p.kill, func() { p.restart(t) }, token, want{reason: validator.Inactive})
}
