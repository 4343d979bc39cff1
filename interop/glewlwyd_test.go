package interop_test

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/interop/fositeserver"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// schemaOfGlewlwyd is the database schema that the package of Debian brings.
const schemaOfGlewlwyd = "/usr/share/doc/glewlwyd/database/init.sqlite3.sql.gz"

// glewlwyd is a running Glewlwyd.
type glewlwyd struct {
	*process
	oauth

	dir, base string
	issuer    string
	admin     *http.Client // with the session of the administrator
	keys      []map[string]any
}

// startGlewlwyd starts Glewlwyd with a new database and configures it through its own API,
// or skips the test if it is not installed.
func startGlewlwyd(t *testing.T) *glewlwyd {
	t.Helper()
	for _, program := range []string{"glewlwyd", "sqlite3"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("NOT RUN: Glewlwyd needs the program %s: apt-get install glewlwyd sqlite3", program)
		}
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	g := &glewlwyd{dir: t.TempDir(), base: "http://127.0.0.1:" + port, admin: &http.Client{Jar: jar}}
	g.issuer = g.base + "/api/oidc"
	g.oauth = oauth{
		authorize: g.issuer + "/auth", token: g.issuer + "/token", revoke: g.issuer + "/revoke", introspect: g.issuer + "/introspect",
		redirect: fositeserver.RedirectURI,
	}
	g.makeDatabase(t)
	config, err := os.ReadFile(filepath.Join("glewlwyd", "glewlwyd.conf"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("PORT", port, "DIR", g.dir).Replace(string(config))
	if err := os.WriteFile(filepath.Join(g.dir, "glewlwyd.conf"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g.restart(t)
	g.configure(t)
	return g
}

// restart starts the server, with what the database has.
func (g *glewlwyd) restart(t *testing.T) {
	t.Helper()
	g.process = start(t, exec.Command("glewlwyd", "--config-file="+filepath.Join(g.dir, "glewlwyd.conf")))
	eventually(t, startLimit, "Glewlwyd answers", func() bool {
		g.mustRun(t)
		response, err := new(http.Client).Get(g.base + "/config")
		if err != nil {
			return false
		}
		return response.Body.Close() == nil
	})
}

func (g *glewlwyd) makeDatabase(t *testing.T) {
	t.Helper()
	file, err := os.Open(schemaOfGlewlwyd)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	schema, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sqlite3", filepath.Join(g.dir, "glewlwyd.db"))
	cmd.Stdin = schema
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// api calls the administrator's API.
func (g *glewlwyd) api(t *testing.T, method, path string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, g.base+"/api"+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if got := send(t, g.admin, request); got.status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, got.status, got.body)
	}
}

// configure adds scopes, a user, clients and the plugin for OpenID Connect.
func (g *glewlwyd) configure(t *testing.T) {
	t.Helper()
	type object = map[string]any
	g.api(t, http.MethodPost, "/auth/", object{"username": "admin", "password": "password"}) // of every new database
	for _, scope := range []string{"read", "introspect"} {
		g.api(t, http.MethodPost, "/scope/", object{
			"name": scope, "display_name": scope, "password_required": true, "scheme": object{}, "scheme_required": object{},
		})
	}
	g.api(t, http.MethodPost, "/user/", object{
		"username": "alice", "password": "alice-password", "name": "Alice", "enabled": true, "scope": []string{"openid", "read", "g_profile"},
	})
	client := func(id string, scopes []string, grants ...string) {
		g.api(t, http.MethodPost, "/client/", object{
			"client_id": id, "name": id, "confidential": true, "enabled": true, "client_secret": secretOf(id), "password": secretOf(id),
			"scope": scopes, "authorization_type": grants, "redirect_uri": []string{g.redirect},
			"token_endpoint_auth_method": []string{"client_secret_basic"},
			"resource":                   []string{fositeserver.Audience, fositeserver.OtherAudience},
		})
	}
	client("cc", []string{"read"}, "client_credentials")
	client("rs", []string{"introspect"}, "client_credentials")
	client("web", []string{}, "code", "refresh_token")
	g.keys = []map[string]any{newSigningKey(t)}
	g.api(t, http.MethodPost, "/mod/plugin/", g.plugin(t))
}

// rotate makes a new key in front of the others.
func (g *glewlwyd) rotate(t *testing.T) {
	t.Helper()
	g.keys = append([]map[string]any{newSigningKey(t)}, g.keys...)
	g.api(t, http.MethodPut, "/mod/plugin/oidc", g.plugin(t))
	g.api(t, http.MethodPut, "/mod/plugin/oidc/reset", nil)
}

// plugin returns the configuration of the plugin for OpenID Connect. Clients that have a
// token with the scope introspect may introspect every token.
func (g *glewlwyd) plugin(t *testing.T) map[string]any {
	t.Helper()
	keys, err := json.Marshal(map[string]any{"keys": g.keys})
	if err != nil {
		t.Fatal(err)
	}
	audiences := []string{fositeserver.Audience, fositeserver.OtherAudience}
	return map[string]any{
		"module": "oidc", "name": "oidc", "display_name": "oidc", "order_rank": 0, "readonly": false, "enabled": true,
		"parameters": map[string]any{
			"iss": g.issuer, "jwt-type": "rsa", "jwt-key-size": "256", "jwks-private": string(keys), "jwks-show": true,
			"access-token-duration": 300, "refresh-token-duration": 3600, "code-duration": 60,
			"refresh-token-rolling": true, "refresh-token-one-use": "always",
			"allow-non-oidc": true, "auth-type-code-enabled": true, "auth-type-client-enabled": true, "auth-type-refresh-enabled": true,
			"auth-type-token-enabled": false, "auth-type-password-enabled": false, "auth-type-device-enabled": false,
			"auth-type-none-enabled": false, "auth-type-implicit-enabled": false,
			"pkce-allowed": true, "pkce-required": true, "pkce-method-plain-allowed": false, "subject-type": "public",
			"introspection-revocation-allowed": true, "introspection-revocation-allow-target-client": true,
			"introspection-revocation-auth-scope": []string{"introspect"},
			"resource-allowed":                    true, "resource-scope": map[string]any{"read": audiences, "openid": audiences},
			"resource-client-property": "resource", "resource-scope-and-client-property": false,
			"oauth-dpop-allowed": true, "oauth-dpop-iat-duration": 60,
			"client-pubkey-parameter": "pubkey", "client-jwks-parameter": "jwks", "client-jwks_uri-parameter": "jwks_uri",
			"allowed-scope": []string{"openid", "read"}, "scopes": []string{}, "claims": []string{},
			"name-claim": "no", "email-claim": "no", "scope-claim": "no", "address-claim": map[string]any{"type": "no"},
			"request-parameter-allow": false, "encrypt-out-token-allow": false, "pushed-request-allowed": false,
			"session-management-allowed": false, "back-channel-logout-allowed": false, "front-channel-logout-allowed": false,
		},
	}
}

// newSigningKey returns a private JWK.
func newSigningKey(t *testing.T) map[string]any {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	number := func(n *big.Int) string { return base64.RawURLEncoding.EncodeToString(n.Bytes()) }
	return map[string]any{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": rand.Text(),
		"n": number(key.N), "e": number(big.NewInt(int64(key.E))), "d": number(key.D),
		"p": number(key.Primes[0]), "q": number(key.Primes[1]),
		"dp": number(key.Precomputed.Dp), "dq": number(key.Precomputed.Dq), "qi": number(key.Precomputed.Qinv),
	}
}

// forUser returns the tokens of the user alice, who logs in and consents.
func (g *glewlwyd) forUser(t *testing.T) (access, refresh string) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	alice := &glewlwyd{base: g.base, admin: &http.Client{Jar: jar}}
	alice.api(t, http.MethodPost, "/auth/", map[string]any{"username": "alice", "password": "alice-password"})
	alice.api(t, http.MethodPut, "/auth/grant/web", map[string]any{"scope": "openid read"})
	return g.oauth.with(jar).forUser(t, url.Values{"scope": {"openid read"}, "resource": {fositeserver.Audience}, "g_continue": {""}})
}

// introspectAsAPI returns what the server says of a token to the client "rs", with a token of
// its own as credentials.
func (g *glewlwyd) introspectAsAPI(t *testing.T, token, accept string) answer {
	t.Helper()
	header := http.Header{"Authorization": {"Bearer " + g.forItself(t, "rs", "introspect")}}
	if accept != "" {
		header.Set("Accept", accept)
	}
	return post(t, new(http.Client), g.introspect, "", url.Values{"token": {token}}, header)
}

func TestGlewlwydAnswers(t *testing.T) {
	g := startGlewlwyd(t)
	jwt := g.forItself(t, "cc", "read", "resource", fositeserver.Audience)
	if got := g.introspectAsAPI(t, jwt, ""); !got.active(t) || got.member(t, "token_type") != "bearer" || got.member(t, "aud") != fositeserver.Audience {
		t.Errorf("a good token: %s", got.body)
	}
	if got := g.introspectAs(t, "rs", jwt); !got.active(t) {
		t.Errorf("a good token, to a client with its secret: %s", got.body)
	}
	_, refresh := g.forUser(t)
	if got := g.introspectAsAPI(t, refresh, ""); !got.active(t) || got.member(t, "token_type") != "refresh_token" {
		t.Errorf("a refresh token: %s", got.body)
	}
	g.rotate(t)
	g.revokeToken(t, jwt)
	if g.introspectAsAPI(t, jwt, "").active(t) {
		t.Error("a revoked token is active")
	}
	got := g.introspectAsAPI(t, jwt, "application/token-introspection+jwt")
	if got.status != http.StatusBadRequest || len(bytes.TrimSpace(got.body)) > 0 {
		t.Errorf("a signed answer about a revoked token: %d %s", got.status, got.body)
	}
	other := g.forItself(t, "cc", "read", "resource", fositeserver.Audience)
	signed := g.introspectAsAPI(t, other, "application/token-introspection+jwt")
	if kind := signed.header.Get("Content-Type"); kind != "application/token-introspection+jwt" {
		t.Errorf("a signed answer is of type %q: %s", kind, signed.body)
	}
	g.kill()
	g.restart(t)
	if got := g.introspectAsAPI(t, other, ""); !got.active(t) {
		t.Errorf("a token from before the restart: %s", got.body)
	}
}

// hybridIssuer is the configuration for Glewlwyd. All its tokens are JWTs, about which it can
// be asked.
func (g *glewlwyd) hybridIssuer(as introspect.Authentication) validator.Issuer {
	return validator.Issuer{
		URL:          g.issuer,
		Audiences:    []string{fositeserver.Audience},
		Keys:         jwkscache.Discovered(),
		ActiveWithin: shortTTL,
		Opaque:       &introspect.Client{ID: "rs", Authentication: as, Cache: introspect.Cache{TTL: shortTTL}},
	}
}

// bearer authenticates with a token that the API gets for itself.
func (g *glewlwyd) bearer() introspect.Bearer {
	return introspect.Bearer{Authentication: introspect.ClientSecretBasic{Secret: secret("rs")}, Scope: "introspect"}
}

// TestGlewlwyd runs the tests that can share a server.
func TestGlewlwyd(t *testing.T) {
	g := startGlewlwyd(t)
	t.Run("hybrid", func(t *testing.T) { g.testHybrid(t, g.bearer()) })
	t.Run("hybrid, basic", func(t *testing.T) { g.testHybrid(t, introspect.ClientSecretBasic{Secret: secret("rs")}) })
	t.Run("opaque", func(t *testing.T) { g.testOpaque(t) })
	t.Run("signed", func(t *testing.T) { g.testSigned(t) })
	t.Run("wrong secret", func(t *testing.T) { g.testWrongSecret(t) })
}

// testHybrid covers R-IN-19: JWTs are validated locally, and the server is asked whether
// they were revoked.
func (g *glewlwyd) testHybrid(t *testing.T, as introspect.Authentication) {
	a := newAPI(t, g.hybridIssuer(as))
	good := g.jwt(t)
	a.expect("a good JWT", good, want{source: validator.Introspected})
	a.expect("the same JWT again", good, want{source: validator.Cached})
	a.expect("a JWT of another API", g.forItself(t, "cc", "read", "resource", fositeserver.OtherAudience), want{reason: validator.WrongAudience})
	access, refresh := g.forUser(t)
	if d := a.expect("a JWT of a user", access, want{}); d.Client != "web" {
		t.Errorf("the token is of %q", d.Client)
	}
	if status, d := a.get("/read", refresh); status != http.StatusUnauthorized {
		t.Errorf("a refresh token: status %d, %v", status, d.Denial)
	}
	g.rotate(t)
	a.expect("a JWT of a new key", g.jwt(t), want{source: validator.Introspected})
	a.expectRevoked(good, func() { g.revokeToken(t, good) })
	revoked := g.jwt(t)
	a.expectAt("/fresh", "a JWT on a route that asks for every request", revoked, want{source: validator.Introspected})
	g.revokeToken(t, revoked)
	a.expectAt("/fresh", "the JWT, revoked a moment ago", revoked, want{reason: validator.Inactive})
}

func (g *glewlwyd) jwt(t *testing.T) string {
	t.Helper()
	return g.forItself(t, "cc", "read", "resource", fositeserver.Audience)
}

// testOpaque covers R-IN-03 and R-IN-07: without Keys, its JWTs are opaque tokens too. With
// the hint access_token it finds no refresh tokens, and without a hint it tells what they
// are.
func (g *glewlwyd) testOpaque(t *testing.T) {
	issuer := g.hybridIssuer(g.bearer())
	issuer.Keys, issuer.ActiveWithin = nil, 0
	a := newAPI(t, issuer)
	good := g.jwt(t)
	a.expect("a good JWT", good, want{source: validator.Introspected})
	access, refresh := g.forUser(t)
	a.expect("a JWT of a user", access, want{})
	a.expect("a refresh token", refresh, want{reason: validator.Inactive})
	unhinted := *issuer.Opaque
	unhinted.Hint, issuer.Opaque = introspect.NoHint, &unhinted
	newAPI(t, issuer).expect("a refresh token, asked about without a hint", refresh, want{reason: validator.WrongType})
	a.expect("garbage", "garbage", want{reason: validator.Inactive})
	a.expectRevoked(good, func() { g.revokeToken(t, good) })
}

// testSigned covers R-IN-16 and R-IN-17: the aud of its signed answers is that of the token,
// and an answer about a token that is not active is a status of 400 without a body.
func (g *glewlwyd) testSigned(t *testing.T) {
	issuer := g.hybridIssuer(g.bearer())
	issuer.Keys, issuer.ActiveWithin = nil, 0
	issuer.Opaque.Signed = true
	strict := newAPI(t, issuer)
	strict.expect("a good JWT, strictly", g.jwt(t), want{reason: validator.Unavailable, kind: introspect.UntrustedAnswer})
	revoked := g.jwt(t)
	g.revokeToken(t, revoked)
	strict.expect("a revoked JWT, strictly", revoked, want{reason: validator.Unavailable, kind: introspect.RequestRefused})

	client := *issuer.Opaque
	client.AnswerAudiences, client.InactiveErrors = []string{fositeserver.Audience}, []string{""}
	issuer.Opaque = &client
	a := newAPI(t, issuer)
	a.expect("a good JWT", g.jwt(t), want{source: validator.Introspected})
	a.expect("a revoked JWT", revoked, want{reason: validator.Inactive})
	g.rotate(t)
	good := g.jwt(t)
	a.expect("a JWT after the keys were exchanged", good, want{source: validator.Introspected})
	a.expectRevoked(good, func() { g.revokeToken(t, good) })
}

// testWrongSecret covers R-IN-12.
func (g *glewlwyd) testWrongSecret(t *testing.T) {
	basic := introspect.ClientSecretBasic{Secret: introspect.SecretText("wrong")}
	refused := want{reason: validator.Unavailable}
	for kind, as := range map[introspect.Kind]introspect.Authentication{
		introspect.CredentialsRefused: basic,
		introspect.NoCredentials:      introspect.Bearer{Authentication: basic, Scope: "introspect"},
	} {
		refused.kind = kind
		newAPI(t, g.hybridIssuer(as)).expect("a wrong secret", g.jwt(t), refused)
	}
}

// TestGlewlwydOutage covers R-IN-11 and R-IN-12. This server remembers its tokens in a
// database, so that those from before the restart are good again.
func TestGlewlwydOutage(t *testing.T) {
	g := startGlewlwyd(t)
	issuer := g.hybridIssuer(g.bearer())
	issuer.Opaque.Cache.TTL, issuer.ActiveWithin = outageTTL, outageTTL
	a := newAPI(t, issuer)
	before := g.jwt(t)
	a.expectOutage(g.jwt(t), before, g.kill, func() { g.restart(t) }, func() string { return before }, want{})
}
