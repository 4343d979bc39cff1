package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

// presented is the token of the vectors.
const presented = "opaque-token-1"

// introspectionCase is an answer of an introspection endpoint and what has to come of it.
type introspectionCase struct {
	ID, Name, Expect, Strength string
	Status                     int    `json:"http_status"`
	ContentType                string `json:"content_type"`
	Body                       string
	Recipe                     []struct {
		S string
		N int
	} `json:"body_recipe"`
}

// signed reports whether the case is about signed answers.
func (c *introspectionCase) signed() bool { return strings.HasPrefix(c.Name, "jwt:") }

// ServeHTTP answers as the case says.
func (c *introspectionCase) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = []string{c.ContentType}
	if c.ContentType == "" {
		w.Header()["Content-Type"] = nil // otherwise net/http finds one
	}
	w.WriteHeader(c.Status)
	_, _ = io.WriteString(w, c.Body)
	for _, part := range c.Recipe {
		for range max(part.N, 1) / 1024 {
			_, _ = io.WriteString(w, strings.Repeat(part.S, 1024))
		}
		_, _ = io.WriteString(w, strings.Repeat(part.S, max(part.N, 1)%1024))
	}
}

// introspectionVectors returns the cases about introspection, their issuer and audience,
// and the issuer's keys.
func introspectionVectors(t *testing.T) (cases []introspectionCase, issuer, audience, jwks string) {
	t.Helper()
	var corpus struct {
		JWKS          map[string]struct{ Document string }
		Introspection struct {
			Config struct{ Audience, Issuer, JWKS string }
			Cases  []introspectionCase
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../../testdata/cases-public.json")), &corpus); err != nil {
		t.Fatal(err)
	}
	in := &corpus.Introspection
	return in.Cases, in.Config.Issuer, in.Config.Audience, corpus.JWKS[in.Config.JWKS].Document
}

// vectorConfig returns a configuration whose only issuer is asked at endpoint.
func vectorConfig(issuer, audience, endpoint, more string) string {
	return fmt.Sprintf(`issuers:
  - url: %s
    audiences: [%s]
    opaque:
      endpoint: %s
      client: {id: api, secret_file: secret.txt}
      auth: basic
      cache: {ttl: 30s, negative: 5s}
%s`, issuer, audience, endpoint, more)
}

// verdictOf is an output line.
type verdictOf struct {
	Name       string
	Accept     bool
	Reason     string
	Status     int
	Challenges []string
	Subject    string
	Scopes     []string
	Expires    *int64
}

// String returns accept, or the reason and the status.
func (v verdictOf) String() string {
	if v.Accept {
		return "accept"
	}
	return fmt.Sprintf("%s %d", v.Reason, v.Status)
}

// judged runs verify over lines and returns the verdicts, and standard error. Neither
// may have a secret or a token.
func judged(t *testing.T, config string, files map[string]string, lines []string, args ...string) (verdicts []verdictOf, stderr string) {
	t.Helper()
	files["sallyport.yaml"], files["secret.txt"] = config, canary
	dir := folder(t, files)
	args = append([]string{"verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime}, args...)
	for i := range args {
		args[i] = strings.Replace(args[i], "DIR", dir, 1)
	}
	got := invoke(t, strings.Join(lines, ""), args...)
	if got.status != exitDone {
		t.Fatalf("status %d\n%s%s", got.status, got.out, got.err)
	}
	for _, secret := range []string{canary, presented} {
		if strings.Contains(got.out+got.err, secret) {
			t.Errorf("%s is shown:\n%s%s", secret, got.out, got.err)
		}
	}
	return verdictsIn(t, got.out), got.err
}

// verdictsIn returns the verdicts of an output.
func verdictsIn(t *testing.T, out string) []verdictOf {
	t.Helper()
	var verdicts []verdictOf
	for text := range strings.Lines(out) {
		var v verdictOf
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// TestIntrospectionVectors covers R-IN-04 to R-IN-12 and R-IN-16 to R-IN-18: a process
// for each answer of an introspection endpoint. What says nothing about the token is
// 503. It is 401 only if it is a complete answer without a proper active.
func TestIntrospectionVectors(t *testing.T) {
	cases, issuer, audience, jwks := introspectionVectors(t)
	for _, test := range cases {
		t.Run(test.ID+" "+test.Name, func(t *testing.T) {
			endpoint := httptest.NewServer(&test)
			defer endpoint.Close()
			more, args := "", []string(nil)
			if test.signed() {
				more, args = "      signed: true\n", []string{"--jwks", "DIR/jwks.json"}
			}
			config := vectorConfig(issuer, audience, endpoint.URL+"/introspect", more)
			got, stderr := judged(t, config, map[string]string{"jwks.json": jwks}, []string{line(t, map[string]any{"token": presented})}, args...)
			v := got[0]
			ok := map[string]bool{
				"accept": v.Accept, "reject": v.Status == 401, "error": v.Status == 503 && v.Reason == "unavailable" && strings.Contains(stderr, `issuer "`+issuer+`"`),
			}[test.Expect]
			if !ok && test.Strength != "policy" {
				t.Errorf("%v, want %s\n%s", v, test.Expect, stderr)
			}
		})
	}
}

// publicIntrospection returns the cases of http-public.json about introspection by ID.
func publicIntrospection(t *testing.T) map[string]string {
	t.Helper()
	var public struct {
		Cases []struct{ ID, Area, Name string }
	}
	if err := json.Unmarshal([]byte(read(t, "../../testdata/http-public.json")), &public); err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, c := range public.Cases {
		if c.Area == "introspection" {
			found[c.ID] = c.Name
		}
	}
	return found
}

// activeAnswer returns an active answer for these scopes that ends at expiry.
func activeAnswer(scopes string, expiry int) string {
	return fmt.Sprintf(`{"active":true,"iss":"https://as.example.com","sub":"user-1","aud":"https://api.example.com","exp":%d,"iat":1699999990,`+
		`"client_id":"client-1","scope":%s,"token_type":"Bearer"}`, expiry, scopes)
}

// TestPublicIntrospection runs the cases of http-public.json about introspection.
func TestPublicIntrospection(t *testing.T) {
	table := map[string]struct{ body, want string }{
		"http-108": {activeAnswer(`"read"`, 1700000600), "insufficient_scope 403"},
		"http-109": {`{}`, "inactive 401"},
		"http-112": {activeAnswer(`["read"]`, 1700000600), "bad_claims 401"},
	}
	for id, name := range publicIntrospection(t) {
		test, ok := table[id]
		if !ok {
			t.Errorf("%s %s has no row", id, name)
			continue
		}
		endpoint := httptest.NewServer(&introspectionCase{Status: 200, ContentType: "application/json", Body: test.body})
		config := vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, "routes:\n  GET /admin: {scopes: {all: [admin]}}\n")
		got, stderr := judged(t, config, map[string]string{}, []string{line(t, map[string]any{"token": "opaque", "route": "GET /admin"})})
		endpoint.Close()
		if got[0].String() != test.want {
			t.Errorf("%s %s: %v, want %s\n%s", id, name, got[0], test.want, stderr)
		}
		for _, part := range []string{`error="insufficient_scope"`, `scope="admin"`} {
			if id == "http-108" && !strings.Contains(strings.Join(got[0].Challenges, ""), part) {
				t.Errorf("%s: challenges %q", id, got[0].Challenges)
			}
		}
	}
}

// counted is an introspection endpoint that counts the requests for each token.
type counted struct {
	*httptest.Server

	calls atomic.Int64
}

// newCounted starts an endpoint that answers with answers[token], and that other tokens
// are not active.
func newCounted(t *testing.T, answers map[string]string) *counted {
	t.Helper()
	c := new(counted)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.calls.Add(1)
		answer, ok := answers[r.PostFormValue("token")]
		if !ok {
			answer = `{"active":false}`
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(c.Close)
	return c
}

// TestOpaqueOnce covers R-IN-13 and R-IN-14: many lines with one token cost one request,
// an accepted one and a refused one alike; without a cache each costs one.
func TestOpaqueOnce(t *testing.T) {
	for _, test := range []struct {
		name, ttl, negative string
		calls               int64
	}{
		{"cached", "30s", "5s", 2}, {"not cached", "0s", "0s", 100}, {"negative answers not cached", "30s", "0s", 51},
	} {
		endpoint := newCounted(t, map[string]string{presented: activeAnswer(`"read"`, 1700000600)})
		config := vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, "")
		config = strings.Replace(config, "{ttl: 30s, negative: 5s}", fmt.Sprintf("{ttl: %s, negative: %s}", test.ttl, test.negative), 1)
		lines := slices.Repeat([]string{line(t, map[string]any{"token": presented}), line(t, map[string]any{"token": "another-one"})}, 50)
		got, stderr := judged(t, config, map[string]string{}, lines)
		for i, v := range got {
			if want := []string{"accept", "inactive 401"}[i%2]; v.String() != want {
				t.Fatalf("%s, line %d: %v, want %s\n%s", test.name, i, v, want, stderr)
			}
		}
		if calls := endpoint.calls.Load(); len(got) != 100 || calls != test.calls {
			t.Errorf("%s: %d requests for %d lines, want %d", test.name, calls, len(got), test.calls)
		}
	}
}

// TestOpaqueOutput checks the output for opaque tokens: an expiry that is not known is
// null.
func TestOpaqueOutput(t *testing.T) {
	endpoint := newCounted(t, map[string]string{
		"a": activeAnswer(`"read write"`, 1700000600),
		"b": `{"active":true,"aud":"https://api.example.com","token_type":"Bearer"}`,
	})
	dir := folder(t, map[string]string{
		"sallyport.yaml": vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, ""), "secret.txt": canary,
	})
	got := invoke(t, `{"name":"1","token":"a"}`+"\n"+`{"name":"2","token":"b"}`+"\n"+`{"name":"3","token":"c"}`+"\n", "verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime)
	want := `{"name":"1","accept":true,"issuer":"https://as.example.com","subject":"user-1","client_id":"client-1","scopes":["read","write"],"expires":1700000600}
{"name":"2","accept":true,"issuer":"https://as.example.com","subject":"","client_id":"","scopes":[],"expires":null}
{"name":"3","accept":false,"reason":"inactive","status":401,"challenges":["Bearer realm=\"api\", error=\"invalid_token\", error_description=\"`
	if got.status != exitDone || !strings.HasPrefix(got.out, want) {
		t.Errorf("status %d\n%s%s", got.status, got.out, got.err)
	}
}

// TestCachedScopes covers a cached answer on two routes (CVE-2021-32701): each route
// judges its scopes.
func TestCachedScopes(t *testing.T) {
	endpoint := newCounted(t, map[string]string{presented: activeAnswer(`"read"`, 1700000600)})
	config := vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, "routes:\n  GET /read: {scopes: {all: [read]}}\n  GET /admin: {scopes: {all: [admin]}}\n")
	var lines []string
	for _, route := range []string{"GET /read", "GET /admin", "GET /read"} {
		lines = append(lines, line(t, map[string]any{"token": presented, "route": route}))
	}
	got, _ := judged(t, config, map[string]string{}, lines)
	if text := joined(got); text != "accept, insufficient_scope 403, accept" || endpoint.calls.Load() != 1 {
		t.Errorf("%s, %d requests", text, endpoint.calls.Load())
	}
}

// TestWholeToken covers two tokens that begin alike (CVE-2026-35030): they share no
// answer.
func TestWholeToken(t *testing.T) {
	const begin = "same-first-twenty-characters-and-more-"
	endpoint := newCounted(t, map[string]string{begin + "a": activeAnswer(`"read"`, 1700000600)})
	config := vectorConfig("https://as.example.com", "https://api.example.com", endpoint.URL, "")
	got, _ := judged(t, config, map[string]string{}, []string{line(t, map[string]any{"token": begin + "a"}), line(t, map[string]any{"token": begin + "b"})})
	if text := joined(got); text != "accept, inactive 401" || endpoint.calls.Load() != 2 {
		t.Errorf("%s, %d requests", text, endpoint.calls.Load())
	}
}
