package middleware_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// capture is a handler that keeps the text of each line.
type capture struct {
	more  chan struct{} // may get a value after a line; may be nil
	mu    sync.Mutex
	lines []string
}

func (c *capture) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }
func (c *capture) WithAttrs([]slog.Attr) slog.Handler               { panic("not used") }
func (c *capture) WithGroup(string) slog.Handler                    { panic("not used") }

func (c *capture) Handle(_ context.Context, record slog.Record) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%v %s", record.Level, record.Message)
	record.Attrs(func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%s", a.Key, a.Value)
		return true
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lines = append(c.lines, b.String())
	select {
	case c.more <- struct{}{}:
	default:
	}
	return nil
}

// await waits for a line with this text.
func (c *capture) await(t *testing.T, text string) {
	t.Helper()
	missing := time.After(time.Minute)
	for !slices.ContainsFunc(c.all(), func(line string) bool { return strings.Contains(line, text) }) {
		select {
		case <-c.more:
		case <-missing:
			t.Fatalf("no line has %q:\n%s", text, strings.Join(c.all(), "\n"))
		}
	}
}

func (c *capture) all() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.lines...)
}

// flush waits until the lines of guard are written.
func flush(tb testing.TB, guard *middleware.Guard) {
	tb.Helper()
	over, cancel := context.WithCancel(context.Background())
	cancel()
	if err := guard.Run(over); err != nil {
		tb.Error(err)
	}
}

// planted is a misconfiguration, or a mistake of a client, in front of the quick start.
type planted struct {
	name string
	// issuer is the configuration of the issuer.
	issuer testissuer.Config
	// plant changes the issuer and the configuration of the API.
	plant func(is *issuertest.Issuer, config *validator.Issuer)
	// token returns the token. nil: a good one.
	token func(is *issuertest.Issuer) string
	// request changes the request, which has the token.
	request func(r *http.Request)
	// want are texts of one of the first five lines.
	want []string
	// fault is set if the constructor reports want, and there are no lines.
	fault bool
}

func sign(token testissuer.Token) func(*issuertest.Issuer) string {
	return func(is *issuertest.Issuer) string {
		if token.Scope == "" {
			token.Scope = "orders:read"
		}
		return is.Sign(token)
	}
}

// at returns a token whose claims are times from now on.
func at(times map[string]time.Duration) func(*issuertest.Issuer) string {
	return func(is *issuertest.Issuer) string {
		c := issuertest.Claims{}
		for name, ahead := range times {
			c[name] = time.Now().Add(ahead).Unix()
		}
		return claims(c)(is)
	}
}

func claims(c issuertest.Claims) func(*issuertest.Issuer) string {
	return sign(testissuer.Token{Claims: c})
}

func keySet(b testissuer.Behaviour) func(*issuertest.Issuer, *validator.Issuer) {
	return func(is *issuertest.Issuer, _ *validator.Issuer) { is.Behave(testissuer.JWKS, b) }
}

func changeMetadata(change func(map[string]any)) func(*issuertest.Issuer, *validator.Issuer) {
	return func(is *issuertest.Issuer, _ *validator.Issuer) {
		is.Metadata(testissuer.OAuthMetadata, change)
		is.Metadata(testissuer.OpenIDMetadata, change)
	}
}

func everyDocument(b testissuer.Behaviour) func(*issuertest.Issuer, *validator.Issuer) {
	return func(is *issuertest.Issuer, _ *validator.Issuer) {
		is.Behave(testissuer.OAuthMetadata, b)
		is.Behave(testissuer.OpenIDMetadata, b)
	}
}

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[name] = values }
}

// asked makes the issuer one that is asked about opaque tokens.
func asked(change func(is *issuertest.Issuer, client *introspect.Client)) func(*issuertest.Issuer, *validator.Issuer) {
	return func(is *issuertest.Issuer, config *validator.Issuer) {
		*config = is.OpaqueConfig()
		change(is, config.Opaque)
	}
}

func opaqueToken(is *issuertest.Issuer) string {
	return is.Opaque(testissuer.Token{Scope: "orders:read"})
}

var html = testissuer.Behaviour{Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<html>sign in</html>")}

var plantedInMemory = []planted{
	// The issuer and its documents.
	{
		name: "slash too many", plant: func(_ *issuertest.Issuer, c *validator.Issuer) { c.URL += "/" },
		want: []string{`"https://issuer.test"`, `"https://issuer.test/"`, "slash at the end", "set Issuer.URL"},
	},
	{
		name: "slash missing", plant: changeMetadata(func(m map[string]any) { m["issuer"] = "https://issuer.test/" }),
		want: []string{`"https://issuer.test/"`, `"https://issuer.test"`, "differ in the slash at the end", "set Issuer.URL"},
	},
	{
		name: "slash too many in the tokens", plant: func(is *issuertest.Issuer, c *validator.Issuer) { c.Keys = jwkscache.Static(is.JWKS()) },
		token: claims(issuertest.Claims{"iss": "https://issuer.test/"}), want: []string{"unknown_issuer", `"https://issuer.test/"`, `"https://issuer.test"`, "slash", "set Issuer.URL"},
	},
	{
		name: "issuer of another environment", token: claims(issuertest.Claims{"iss": "https://staging.test"}),
		want: []string{"unknown_issuer", `"https://staging.test"`, `"https://issuer.test"`, "environment"},
	},
	{
		name: "http issuer", plant: func(_ *issuertest.Issuer, c *validator.Issuer) { c.URL = "http://issuer.example" }, fault: true,
		want: []string{"URL", `"http://issuer.example"`, "https"},
	},
	{
		name: "no audience", plant: func(_ *issuertest.Issuer, c *validator.Issuer) { c.Audiences = nil }, fault: true,
		want: []string{"Audiences", "is empty", "list the identifiers"},
	},
	{
		name: "metadata of another issuer", plant: changeMetadata(func(m map[string]any) { m["issuer"] = "https://other.test" }),
		want: []string{`"https://other.test"`, `"https://issuer.test"`, "set Issuer.URL"},
	},
	{name: "metadata 404", plant: everyDocument(testissuer.Behaviour{Status: 404}), want: []string{"/.well-known/", "answered 404", "check Issuer.URL", "jwkscache.URL"}},
	{name: "metadata is a page", plant: everyDocument(html), want: []string{"/.well-known/", "Content-Type", "check Issuer.URL"}},
	{name: "metadata without jwks_uri", plant: changeMetadata(func(m map[string]any) { delete(m, "jwks_uri") }), want: []string{"no jwks_uri", "set Issuer.Keys to jwkscache.URL"}},
	{name: "metadata redirects", plant: everyDocument(testissuer.Behaviour{Redirect: "https://login.test/"}), want: []string{"redirects are not followed", "Issuer.Keys"}},
	{name: "issuer is down", plant: func(is *issuertest.Issuer, _ *validator.Issuer) { is.Down(true) }, want: []string{"https://issuer.test", "cannot be fetched", "/.well-known/", "whether the issuer answers"}},

	// Its keys.
	{name: "JWKS 404", plant: keySet(testissuer.Behaviour{Status: 404}), want: []string{"/jwks", "answered 404", "nothing is there", "Issuer.Keys"}},
	{name: "JWKS 403", plant: keySet(testissuer.Behaviour{Status: 403}), want: []string{"answered 403", "without credentials"}},
	{name: "JWKS 500", plant: keySet(testissuer.Behaviour{Status: 500}), want: []string{"answered 500", "the issuer fails", "next_try_in=1s"}},
	{name: "JWKS is a page", plant: keySet(html), want: []string{"/jwks", "Content-Type", "check Issuer.URL"}},
	{name: "JWKS empty", plant: keySet(testissuer.Behaviour{Body: []byte(`{"keys":[]}`)}), want: []string{"no key that can be used", "the set is empty", "algorithms=RS256", "let the issuer publish its keys"}},
	{name: "JWKS is another document", plant: keySet(testissuer.Behaviour{Body: []byte(`{"issuer":"https://issuer.test"}`)}), want: []string{"no JWK Set", "no member keys", "name the URL of the key set"}},
	{name: "JWKS cannot be read", plant: keySet(testissuer.Behaviour{Body: []byte(`{"keys":[}`)}), want: []string{"JWK Set", "name the URL of the key set"}},
	{name: "JWKS is huge", plant: keySet(testissuer.Behaviour{Body: []byte(strings.Repeat(" ", 2<<20))}), want: []string{"too large", "KeyLimits.DocumentBytes"}},
	{name: "JWKS redirects", plant: keySet(testissuer.Behaviour{Redirect: "https://cdn.test/keys"}), want: []string{"redirects are not followed", "Issuer.Keys"}},
	{name: "JWKS is slow", plant: keySet(testissuer.Behaviour{Delay: time.Minute}), want: []string{"cannot be fetched", "too slow", "network"}},
	{name: "key for encryption", plant: func(is *issuertest.Issuer, _ *validator.Issuer) {
		is.Use(is.AddKey(testissuer.Key{ID: "enc-1", Members: map[string]any{"use": "enc"}}))
	}, want: []string{"enc-1", "use"}},
	{name: "only a key for encryption", plant: func(is *issuertest.Issuer, _ *validator.Issuer) {
		is.Use(is.AddKey(testissuer.Key{ID: "enc-1", Members: map[string]any{"use": "enc"}}))
		is.Retire("key-1")
	}, want: []string{"no key that can be used", `"enc-1"`, "use", "see not_used"}},
	{
		name: "no key fits", plant: func(_ *issuertest.Issuer, c *validator.Issuer) { c.Algorithms = []jose.Algorithm{jose.RS256} },
		want: []string{"algorithm_not_allowed", `"ES256"`, "RS256", "add ES256 to Issuer.Algorithms"},
	},
	{name: "PS256 tokens, RSA key without alg", issuer: testissuer.Config{Algorithm: jose.RS256}, plant: func(is *issuertest.Issuer, _ *validator.Issuer) {
		is.Use(is.AddKey(testissuer.Key{ID: "rsa", Algorithm: jose.RS256, Members: map[string]any{"alg": nil}}))
	}, token: sign(testissuer.Token{Algorithm: jose.PS256}), want: []string{"algorithm_not_allowed", `"PS256"`, "put PS256 first in Issuer.Algorithms"}},
	{
		name: "six keys, no kid", plant: func(is *issuertest.Issuer, _ *validator.Issuer) {
			for range 5 {
				is.AddKey(testissuer.Key{})
			}
		},
		token: sign(testissuer.Token{Header: map[string]any{"kid": nil}}), want: []string{"unknown_key", "no kid", "6 keys", "let the issuer write kid"},
	},
	{name: "key of another environment", token: sign(testissuer.Token{Forgery: testissuer.ForeignKey}), want: []string{"bad_signature", `"key-1"`, "another key signed it"}},
	{name: "Run not called", want: []string{"neither Warm nor Run", "go Run(ctx)"}},

	// The tokens.
	{
		name: "clock of the API is behind", token: at(map[string]time.Duration{"iat": 10 * time.Minute, "nbf": 10 * time.Minute, "exp": 15 * time.Minute}),
		want: []string{"not_yet_valid", "600 s", "clock"},
	},
	{
		name: "clock of the API is ahead", token: at(map[string]time.Duration{"iat": -15 * time.Minute, "exp": -10 * time.Minute}),
		want: []string{"expired", "600 s", "clock"},
	},
	{name: "expired", token: sign(testissuer.Token{Lifetime: -time.Hour}), want: []string{"expired", "3600 s"}},
	{name: "nbf ahead", token: at(map[string]time.Duration{"nbf": time.Hour, "exp": 2 * time.Hour}), want: []string{"not_yet_valid", "nbf", "3600 s"}},
	{name: "wrong audience", token: claims(issuertest.Claims{"aud": "https://orders.test"}), want: []string{"wrong_audience", `"https://orders.test"`, `"https://api.test"`, "Issuer.Audiences"}},
	{name: "no audience in the token", token: claims(issuertest.Claims{"aud": nil}), want: []string{"wrong_audience", "no aud", `"https://api.test"`, "Issuer.Audiences"}},
	{
		name: "ID token", token: sign(testissuer.Token{Header: map[string]any{"typ": "JWT"}, Claims: issuertest.Claims{"nonce": "n", "aud": "client-1"}}),
		want: []string{"wrong_type", `"JWT"`, "at+jwt", "ProfileLegacy"},
	},
	{name: "refresh token", token: sign(testissuer.Token{Header: map[string]any{"typ": "rt+jwt"}}), want: []string{"wrong_type", `"rt+jwt"`, "at+jwt"}},
	{name: "issuer before RFC 9068", token: sign(testissuer.Token{Header: map[string]any{"typ": nil}}), want: []string{"wrong_type", "no typ", "at+jwt", "ProfileLegacy"}},
	{name: "HS256", token: sign(testissuer.Token{Forgery: testissuer.HMACWithPublicKey}), want: []string{"algorithm_not_allowed", `"HS256"`, "RS256"}},
	{name: "none", token: sign(testissuer.Token{Forgery: testissuer.NoneAlgorithm}), want: []string{"malformed_token", "signature", "let the issuer sign"}},
	{name: "no client_id", token: claims(issuertest.Claims{"client_id": nil}), want: []string{"bad_claims", "no client_id", "ProfileLegacy"}},
	{name: "no scope", token: claims(issuertest.Claims{"scope": nil}), want: []string{"insufficient_scope", `"orders:read"`}},
	{name: "token too large", token: claims(issuertest.Claims{"groups": strings.Repeat("g", 20000)}), want: []string{"too_large", "16384", "MaxTokenBytes"}},
	{name: "bound token", token: claims(issuertest.Claims{"cnf": map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}), want: []string{"binding_mismatch", "cnf with jkt", "not bound"}},
	{name: "opaque token, no introspection", token: func(*issuertest.Issuer) string { return "9f86d081884c7d659a2feaa0c55ad015" }, want: []string{"malformed_token", "1 segment", "Issuer.Opaque"}},
	{name: "encrypted token", token: func(*issuertest.Issuer) string { return "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d" }, want: []string{"malformed_token", "5 segments", "wanted 3"}},

	{
		name: "unknown kid", plant: func(is *issuertest.Issuer, _ *validator.Issuer) {
			is.AddKey(testissuer.Key{ID: "new", Unpublished: true})
		},
		token: sign(testissuer.Token{Key: "new"}), want: []string{"unknown_key", `"new"`, `"key-1"`, "let the issuer publish the key"},
	},
	{name: "scp and no mapping", token: claims(issuertest.Claims{"scope": nil, "scp": []string{"orders:read"}}), want: []string{"insufficient_scope", `"orders:read"`, "scp", "Mappings"}},
	{name: "other scope", token: sign(testissuer.Token{Scope: "profile"}), want: []string{"insufficient_scope", `"orders:read"`, `"profile"`}},
	{name: "no hierarchy", token: sign(testissuer.Token{Scope: "orders"}), want: []string{"insufficient_scope", `"orders:read"`, `"orders"`, "Hierarchy"}},

	// The request.
	{name: "token in the URL", request: func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "access_token=secret" }, want: []string{"access_token", "query", "send Authorization: Bearer"}},
	{name: "two Authorization fields", request: header("Authorization", "Bearer a", "Bearer b"), want: []string{"malformed_request", "Authorization", "one"}},
	{name: "Basic", request: header("Authorization", "Basic dXNlcjpwYXNz"), want: []string{"no_credentials", "another scheme", "Authorization: Bearer"}},
	{name: "DPoP", request: func(r *http.Request) {
		r.Header.Set("Authorization", "DPoP"+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer"))
	}, want: []string{"DPoP", "Authorization: Bearer"}},
	{name: "no scheme", request: func(r *http.Request) {
		r.Header.Set("Authorization", strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	}, want: []string{"Authorization", "Bearer"}},
	{name: "no credentials", request: func(r *http.Request) { r.Header.Del("Authorization") }, want: []string{"no_credentials", "no credentials", "Authorization: Bearer"}},

	// Introspection.
	{
		name: "introspection 401", plant: asked(func(is *issuertest.Issuer, _ *introspect.Client) {
			is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 401})
		}), token: opaqueToken,
		want: []string{"answered 401", "refuses the credentials", "check Client.ID and Client.Authentication"},
	},
	{
		name: "introspection 403", plant: asked(func(is *issuertest.Issuer, _ *introspect.Client) {
			is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 403})
		}), token: opaqueToken,
		want: []string{"answered 403", "may not introspect", "register it"},
	},
	{
		name: "introspection 404", plant: asked(func(is *issuertest.Issuer, _ *introspect.Client) {
			is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 404})
		}), token: opaqueToken,
		want: []string{"answered 404", "nothing at this URL", "check Client.Endpoint"},
	},
	{
		name: "introspection 429", plant: asked(func(is *issuertest.Issuer, _ *introspect.Client) {
			is.Behave(testissuer.Introspection, testissuer.Behaviour{Status: 429})
		}), token: opaqueToken,
		want: []string{"answered 429", "too many requests", "Cache.TTL"},
	},
	{
		name: "introspection is a page", plant: asked(func(is *issuertest.Issuer, _ *introspect.Client) { is.Behave(testissuer.Introspection, html) }), token: opaqueToken,
		want: []string{"not_an_answer", "Content-Type", "check that Issuer.Opaque.Endpoint"},
	},
	{name: "introspection is slow", plant: asked(func(is *issuertest.Issuer, _ *introspect.Client) {
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Minute})
	}), token: opaqueToken, want: []string{"timed_out", "too slow", "Limits.Timeout"}},
	{name: "wrong client secret", plant: asked(func(_ *issuertest.Issuer, c *introspect.Client) {
		c.Authentication = introspect.ClientSecretBasic{Secret: introspect.SecretText("other-secret")}
	}), token: opaqueToken, want: []string{"credentials_refused", "invalid_client", "check Client.ID and Client.Authentication"}},
	{
		name: "signed answers, and the issuer does not sign", issuer: testissuer.Config{Clients: []testissuer.Client{{ID: testissuer.ClientID, Secret: testissuer.ClientSecret}}},
		plant: asked(func(_ *issuertest.Issuer, c *introspect.Client) { c.Signed = true }), token: opaqueToken, want: []string{"untrusted_answer", "sign", "RFC 9701", "leave Signed out"},
	},
	{name: "no introspection_endpoint", plant: asked(func(is *issuertest.Issuer, c *introspect.Client) {
		c.Endpoint = ""
		changeMetadata(func(m map[string]any) { delete(m, "introspection_endpoint") })(is, nil)
	}), token: opaqueToken, want: []string{"no introspection_endpoint", "Issuer.Opaque.Endpoint"}},
	{
		name: "token is not active", plant: asked(func(*issuertest.Issuer, *introspect.Client) {}), token: func(*issuertest.Issuer) string { return "unknown-token" },
		want: []string{"inactive", "active"},
	},
}

// explain sends the request of the row to the quick start, and returns the first lines.
// settle waits until fetches are logged, which end after the requests that wait for them.
func (p *planted) explain(t *testing.T, is *issuertest.Issuer, settle func(*capture)) []string {
	t.Helper()
	config := validator.Issuer{URL: is.URL(), Audiences: []string{issuertest.Audience}, HTTPClient: is.Client()}
	if p.plant != nil {
		p.plant(is, &config)
	}
	log := &capture{more: make(chan struct{}, 1)}
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{config}, Logger: slog.New(log)})
	if p.fault {
		return []string{fmt.Sprint(err)}
	}
	if err != nil {
		t.Fatal(err)
	}
	guard := issuertest.Guard(t, middleware.Config{Validator: v})
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), func(http.ResponseWriter, *http.Request) {})
	token := sign(testissuer.Token{})
	if p.token != nil {
		token = p.token
	}
	r := httptest.NewRequest(http.MethodGet, "/orders/1", nil)
	text := token(is)
	r.Header.Set("Authorization", "Bearer "+text)
	if p.request != nil {
		p.request(r)
	}
	mux.ServeHTTP(httptest.NewRecorder(), r)
	settle(log)
	flush(t, guard)
	lines := log.all()
	for _, line := range lines {
		if len(text) >= 40 && strings.Contains(line, text[len(text)-20:]) {
			t.Errorf("a line has a part of the token: %s", line)
		}
	}
	return lines[:min(5, len(lines))]
}

// check reports whether one of the lines has all texts.
func (p *planted) check(t *testing.T, lines []string) {
	t.Helper()
	best := 0
	for _, line := range lines {
		found := 0
		for _, text := range p.want {
			if strings.Contains(line, text) {
				found++
			}
		}
		if found == len(p.want) {
			return
		}
		best = max(best, found)
	}
	t.Errorf("no line has %q (the best has %d):\n%s", p.want, best, strings.Join(lines, "\n"))
}

// TestPlanted covers R-OB-06 and A2: each of more than forty mistakes that newcomers make
// is explained by one of the first five lines that the quick start logs, with nothing
// configured but the logger: what was found, what was wanted, and what to do.
func TestPlanted(t *testing.T) {
	for _, p := range plantedInMemory {
		t.Run(p.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p.check(t, p.explain(t, issuertest.Start(t, p.issuer), func(*capture) { synctest.Wait() }))
			})
		})
	}
	if len(plantedInMemory) < 40 {
		t.Errorf("%d rows", len(plantedInMemory))
	}
}

// TestPlantedOnTheNetwork is TestPlanted for what needs sockets.
func TestPlantedOnTheNetwork(t *testing.T) {
	failed := func(log *capture) { log.await(t, "cannot be fetched") }
	t.Run("unknown authority", func(t *testing.T) {
		p := planted{
			plant: func(_ *issuertest.Issuer, c *validator.Issuer) { c.HTTPClient = nil },
			want:  []string{"unknown authority", "Issuer.HTTPClient", "RootCAs"},
		}
		p.check(t, p.explain(t, issuertest.StartTLS(t), failed))
	})
	t.Run("connection refused", func(t *testing.T) {
		closed, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		url := "http://" + closed.Addr().String()
		closed.Close()
		p := planted{
			plant: func(_ *issuertest.Issuer, c *validator.Issuer) { c.URL, c.HTTPClient = url, nil },
			token: claims(issuertest.Claims{"iss": url}),
			want:  []string{url, "refused", "check the port", "may be reached from here"},
		}
		p.check(t, p.explain(t, issuertest.Loopback(t), failed))
	})
}
