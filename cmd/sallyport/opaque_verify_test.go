package main

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCachedAnswerEnds covers R-IN-13: a cached answer ends when the exp that it names is
// past, with its leeway, however long answers may be used.
func TestCachedAnswerEnds(t *testing.T) {
	const start = 1700000000
	endpoint := newCounted(t, map[string]string{presented: activeAnswer(`"read"`, start+30)})
	config := strings.Replace(vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, "leeway: {expiry: 60s}\n"), "ttl: 30s", "ttl: 300s", 1)
	loaded, err := load(filepath.Join(folder(t, map[string]string{"sallyport.yaml": config, "secret.txt": canary}), "sallyport.yaml"), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		after  int64
		accept bool
		reason validator.Reason
	}{{0, true, ""}, {29, true, ""}, {30 + 60 + 1, false, validator.Expired}} {
		in := &input{presentation: validator.Presentation{Scheme: validator.Bearer, Token: presented}}
		got := loaded.verdict(clock.At(t.Context(), time.Unix(start+test.after, 0)), in)
		if got.Accept != test.accept || !got.Accept && got.Reason != test.reason {
			t.Errorf("after %d s: %+v %+v", test.after, got, got.refusal)
		}
	}
}

// TestTrouble covers R-IN-11 and R-IN-12: an endpoint that gives no verdict is 503. The
// cause is told once, in words of the file, without secrets and without the answer.
func TestTrouble(t *testing.T) {
	for _, test := range []struct {
		name    string
		answer  introspectionCase
		members string
		want    []string // in standard error
	}{
		{"refused", introspectionCase{Status: 401, ContentType: "application/json", Body: `{"error":"invalid_client"}`}, "", []string{
			"credentials_refused", "401", "opaque.client.id", "opaque.auth",
		}},
		{"not allowed", introspectionCase{Status: 403, ContentType: "text/html", Body: "<html>" + canary}, "", []string{"credentials_refused", "403"}},
		{"bad request", introspectionCase{Status: 400, ContentType: "application/json", Body: `{"error":"invalid_request"}`}, "", []string{
			"request_refused", "400", "opaque.inactive_errors",
		}},
		{"not found", introspectionCase{Status: 404}, "", []string{"request_refused", "404", "opaque.endpoint"}},
		{"throttled", introspectionCase{Status: 429, Body: canary}, "", []string{"throttled", "429"}},
		{"broken", introspectionCase{Status: 500, Body: canary}, "", []string{"server_error", "500"}},
		{"HTML", introspectionCase{Status: 200, ContentType: "text/html", Body: "<html>" + canary}, "", []string{"not_an_answer"}},
		{"no object", introspectionCase{Status: 200, ContentType: "application/json", Body: `["` + canary + `"]`}, "", []string{"not_an_answer"}},
		{"unsigned", introspectionCase{Status: 200, ContentType: "application/json", Body: activeAnswer(`"read"`, 1700000600)}, "      signed: true\n      keys: {file: jwks.json}\n", []string{
			"untrusted_answer", "opaque.signed",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			endpoint := httptest.NewServer(&test.answer)
			defer endpoint.Close()
			config := vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, test.members)
			in := []string{line(t, map[string]any{"token": presented}), line(t, map[string]any{"token": "another-one"})}
			if test.name == "throttled" { // the second token is not asked about, which is another cause
				in = in[:1]
			}
			got, stderr := judged(t, config, map[string]string{"jwks.json": read(t, samples+"/jwks.json")}, in)
			checkTrouble(t, got, stderr, test.want)
		})
	}
}

// checkTrouble checks verdicts for an endpoint that gives no verdict, and that standard
// error tells these words, once.
func checkTrouble(t *testing.T, got []verdictOf, stderr string, want []string) {
	t.Helper()
	for _, v := range got {
		if v.String() != "unavailable 503" || len(v.Challenges) != 0 {
			t.Errorf("verdict %v with challenges %q", v, v.Challenges)
		}
	}
	const begin = `sallyport: validator: issuer "https://as.example.com": introspect: `
	for _, word := range append(want, begin) {
		if !strings.Contains(stderr, word) {
			t.Errorf("%q is not told: %s", word, stderr)
		}
	}
	if strings.Count(stderr, begin) != 1 {
		t.Errorf("there is more than one cause: %s", stderr)
	}
	checkWords(t, stderr)
}

// checkWords checks that a text for operators has no names of Go.
func checkWords(t *testing.T, text string) {
	t.Helper()
	for _, name := range []string{"Client.", "Issuer.", "ClientSecret", "PrivateKeyJWT", "TLSClientAuth", "HTTPClient", "Limits", "nil", "Config"} {
		if strings.Contains(text, name) {
			t.Errorf("%s is a name of Go: %s", name, text)
		}
	}
}

// TestNoEndpoint checks an issuer that cannot be reached, and one without the endpoint in
// its metadata.
func TestNoEndpoint(t *testing.T) {
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	config := vectorConfig("https://as.example.com", "https://api.example.com", closed.URL+"/introspect?"+canary, "")
	got, stderr := judged(t, config, map[string]string{}, []string{line(t, map[string]any{"token": presented})})
	checkTrouble(t, got, stderr, []string{"unreachable"})

	var issuer *httptest.Server
	issuer = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":"%s/jwks"}`, issuer.URL, issuer.URL)
	}))
	defer issuer.Close()
	config = strings.Replace(vectorConfig(issuer.URL, "https://api.example.com", "X", ""), "      endpoint: X\n", "", 1)
	got, stderr = judged(t, config, map[string]string{}, []string{line(t, map[string]any{"token": presented})})
	checkTrouble(t, got, strings.ReplaceAll(stderr, issuer.URL, "https://as.example.com"), []string{"no_endpoint", "opaque.endpoint"})
}

// TestSelection covers R-IN-03, R-IN-19 and R-OP-01: which tokens are asked about, and
// where.
func TestSelection(t *testing.T) {
	jwt, bad := token(t, "good, RS256"), token(t, "good, RS256")+"A"
	answer := strings.NewReplacer("as.example.com", "issuer.example", "api.example.com", "api.example", "client-1", "shop").Replace(activeAnswer(`"read"`, 1700000600))
	for _, test := range []struct {
		name, members string
		tokens        map[string]string // verdicts by token
		calls         int64
	}{
		{"opaque only", "", map[string]string{presented: "accept", jwt: "accept", bad: "accept", "a.b.c.d.e": "inactive 401"}, 4},
		{"hybrid", "    keys: {file: jwks.json}\n", map[string]string{presented: "accept", jwt: "accept", bad: "bad_signature 401", "x.y.z": "inactive 401"}, 2},
		{"JWTs that must be active", "    keys: {file: jwks.json}\n    active_within: 30s\n", map[string]string{jwt: "accept", bad: "bad_signature 401"}, 1},
		{"prefix", "      prefix: op\n    keys: {file: jwks.json}\n", map[string]string{presented: "accept", jwt: "accept"}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			endpoint := newCounted(t, map[string]string{presented: answer, jwt: answer, bad: answer})
			config := vectorConfig("https://issuer.example", "https://api.example", endpoint.URL, test.members)
			var lines []string
			for text := range test.tokens {
				lines = append(lines, line(t, map[string]any{"name": text, "token": text}))
			}
			dir := folder(t, map[string]string{"sallyport.yaml": config, "secret.txt": canary, "jwks.json": read(t, samples+"/jwks.json")})
			got := invoke(t, strings.Join(lines, ""), "verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime)
			for _, v := range verdictsIn(t, got.out) {
				if v.String() != test.tokens[v.Name] {
					t.Errorf("%s: %v, want %s\n%s", v.Name, v, test.tokens[v.Name], got.err)
				}
			}
			if calls := endpoint.calls.Load(); calls != test.calls {
				t.Errorf("%d requests, want %d", calls, test.calls)
			}
		})
	}
}

// recorded is an introspection endpoint that keeps the last request.
type recorded struct {
	mu      sync.Mutex
	header  http.Header
	form    map[string][]string
	clients int // certificates of the client
}

func (r *recorded) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = request.ParseForm()
	r.header, r.form, r.clients = request.Header, request.PostForm, 0
	if request.TLS != nil {
		r.clients = len(request.TLS.PeerCertificates)
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, activeAnswer(`"read"`, 1700000600))
}

// TestMethods covers R-IN-01 and R-IN-02: what each method of the file sends.
func TestMethods(t *testing.T) {
	key := testkey.NewPrivate(jose.ES256)
	files := map[string]string{"key.pem": pkcs8(key), "cert.pem": selfSigned(key), "odd.txt": canary + "/+:\n"}
	for _, test := range []struct {
		client string
		check  func(*recorded) bool
	}{
		{"client: {id: 'a b', secret_file: odd.txt}", func(r *recorded) bool {
			return r.header.Get("Authorization") == basicField("a+b", canary+"%2F%2B%3A") && len(r.form) == 2
		}},
		{"client: {id: 'a b', secret_file: odd.txt}\n      raw: true\n      hint: none", func(r *recorded) bool {
			return r.header.Get("Authorization") == basicField("a b", canary+"/+:") && len(r.form) == 1
		}},
		{"client: {id: api, secret_file: secret.txt}\n      auth: post\n      hint: jwt", func(r *recorded) bool {
			return fmt.Sprint(r.form["client_secret"], r.form["client_id"], r.form["token_type_hint"]) == "["+canary+"] [api] [jwt]" && r.header.Get("Authorization") == ""
		}},
		{"client: {id: api, private_key_file: key.pem, key_id: k1}\n      auth: private_key_jwt", func(r *recorded) bool {
			return len(r.form["client_assertion"]) == 1 && r.header.Get("Authorization") == ""
		}},
		{"client: {id: api, certificate_file: cert.pem, key_file: key.pem}\n      auth: tls", func(r *recorded) bool {
			return r.clients == 1 && fmt.Sprint(r.form["client_id"]) == "[api]"
		}},
		{"client: {id: api, certificate_file: cert.pem, key_file: key.pem}\n      auth: self_signed_tls", func(r *recorded) bool {
			return r.clients == 1 && fmt.Sprint(r.form["client_id"]) == "[api]"
		}},
	} {
		endpoint := new(recorded)
		server := httptest.NewUnstartedServer(endpoint)
		server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		server.StartTLS()
		files["ca.pem"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		config := vectorConfig("https://as.example.com", "https://api.example.com", server.URL, "    ca_file: ca.pem\n")
		config = strings.Replace(strings.Replace(config, "client: {id: api, secret_file: secret.txt}", test.client, 1), "      auth: basic\n", "", 1)
		got, stderr := judged(t, config, files, []string{line(t, map[string]any{"token": presented})})
		if got[0].String() != "accept" || !test.check(endpoint) || fmt.Sprint(endpoint.form["token"]) != "["+presented+"]" {
			t.Errorf("%s: %v, %v %v\n%s", test.client, got[0], endpoint.header, endpoint.form, stderr)
		}
		server.Close()
	}
}

func basicField(id, secret string) string {
	r := &http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, secret)
	return r.Header.Get("Authorization")
}

// TestPrivateAuthority checks an endpoint whose certificate no system root signed: the
// cause names the key that trusts it.
func TestPrivateAuthority(t *testing.T) {
	server := httptest.NewUnstartedServer(new(recorded))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	config := vectorConfig("https://as.example.com", "https://api.example.com", server.URL, "")
	got, stderr := judged(t, config, map[string]string{}, []string{line(t, map[string]any{"token": presented})})
	checkTrouble(t, got, stderr, []string{"tls_failed", "ca_file", "unknown authority"})
}

// TestInactiveErrors checks that the codes in the file, and no others, mean that a token
// is not active.
func TestInactiveErrors(t *testing.T) {
	for body, want := range map[string]string{`{"error":"invalid_token"}`: "inactive 401", ``: "inactive 401", `{"error":"invalid_client"}`: "unavailable 503"} {
		endpoint := httptest.NewServer(&introspectionCase{Status: 400, ContentType: "application/json", Body: body})
		config := vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, "      inactive_errors: ['', invalid_token]\n")
		got, stderr := judged(t, config, map[string]string{}, []string{line(t, map[string]any{"token": presented})})
		endpoint.Close()
		if got[0].String() != want {
			t.Errorf("%s: %v, want %s\n%s", body, got[0], want, stderr)
		}
	}
}

// TestAnswerRules checks the keys that allow answers that are refused by default.
func TestAnswerRules(t *testing.T) {
	full := activeAnswer(`"read"`, 1700000600)
	for _, test := range []struct{ body, without, members string }{
		{strings.Replace(full, `"aud":"https://api.example.com",`, "", 1), "wrong_audience 401", "filters_audience: true"},
		{activeAnswer(`["read"]`, 1700000600), "bad_claims 401", "scope_lists: true"},
		{strings.Replace(full, `"Bearer"`, `"access"`, 1), "wrong_type 401", "token_types: [access]"},
		{strings.Replace(full, `"token_type":"Bearer"`, `"use":"access"`, 1), "wrong_type 401", "marker: [{name: use, equals: access}]"},
	} {
		endpoint := newCounted(t, map[string]string{presented: test.body})
		for members, want := range map[string]string{"": test.without, "      " + test.members + "\n": "accept"} {
			config := vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, members)
			got, stderr := judged(t, config, map[string]string{}, []string{line(t, map[string]any{"token": presented})})
			if got[0].String() != want {
				t.Errorf("%q %s: %v, want %s\n%s", members, test.body, got[0], want, stderr)
			}
		}
	}
}

// TestRoutesOfIssuers covers the keys of routes about opaque tokens: which issuer is
// asked, which is never another one (CVE-2026-33496), and how old its answer may be.
func TestRoutesOfIssuers(t *testing.T) {
	a := newCounted(t, map[string]string{presented: strings.Replace(activeAnswer(`"read"`, 1700000600), "as.example.com", "a.example", 1)})
	b := newCounted(t, map[string]string{})
	ofA := vectorConfig("https://a.example", "https://api.example.com", a.URL, all)
	ofB := strings.Replace(vectorConfig("https://b.example", "https://api.example.com", b.URL, all), "issuers:\n", "", 1)
	config := ofA + ofB + `routes:
  GET /a: {scopes: {all: [read]}, opaque_issuer: https://a.example}
  GET /b: {scopes: {all: [read]}, opaque_issuer: https://b.example}
  GET /fresh: {scopes: {all: [read]}, opaque_issuer: https://a.example, active_within: 10s}
  GET /each: {scopes: {all: [read]}, opaque_issuer: https://a.example, active_within: each_request}
  GET /none: {scopes: {all: [read]}}
`
	var lines []string
	for _, route := range []string{"GET /a", "GET /b", "GET /a", "GET /fresh", "GET /each", "GET /each", "GET /none"} {
		lines = append(lines, line(t, map[string]any{"token": presented, "route": route}))
	}
	got, stderr := judged(t, config, map[string]string{}, lines)
	want := strings.Join([]string{"accept", "inactive 401", "accept", "accept", "accept", "accept", "unknown_issuer 401"}, ", ")
	if text := joined(got); text != want || a.calls.Load() != 3 || b.calls.Load() != 1 {
		t.Errorf("%s, %d and %d requests, want %s, 3 and 1\n%s", text, a.calls.Load(), b.calls.Load(), want, stderr)
	}
}

// joined returns the texts of verdicts.
func joined(verdicts []verdictOf) string {
	var texts []string
	for _, v := range verdicts {
		texts = append(texts, v.String())
	}
	return strings.Join(texts, ", ")
}
