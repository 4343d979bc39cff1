package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

const minimal = `issuers:
  - url: https://issuer.example
    audiences: [https://api.example]
    keys: {file: jwks.json}
`

// TestConfigFaults covers R-OP-01 for files: what is wrong is told with its
// line or field, and nothing is judged.
func TestConfigFaults(t *testing.T) {
	for _, test := range []struct {
		name, config string
		want         []string
	}{
		{"unknown keys", minimal + "    audience: x\nleway: {}\n", []string{`line 5: unknown key "audience"`, `line 6: unknown key "leway"`}},
		{"unknown nested key", minimal + "routes:\n  \"GET /\": {scope: {all: [a]}}\n", []string{`line 6: unknown key "scope"`}},
		{"duplicate key", minimal + "issuers: []\n", []string{"line 5", "already defined"}},
		{"wrong type", "issuers: 7\n", []string{"line 1: a number `7` stands where a list of issuers is expected"}},
		{
			"wrong types and values together",
			"issuers:\n  - url: {a: b}\n    audiences: x\n    algorithms: [RS265, ES256, ES256]\nlimits: {token: 16k}\nroutes: {\"GET /\": {scopes: {all: []}}}\n",
			[]string{
				"line 2: a mapping stands where a string is expected", "line 3: a string `x` stands where a list of strings is expected",
				"line 5: a string `16k` stands where a number is expected", `issuers[0].algorithms[0]: jose: algorithm not allowed: "RS265"`,
				"issuers[0].algorithms[2]: ES256 is listed twice", `routes: "GET /": the list of scopes is empty`,
			},
		},
		{
			"JSON, many", "{\"issuers\":[{\"ur\":\"x\",\n\"audience\":3}],\n\"limits\":{\"token\":\"a\"}}",
			[]string{`line 1: unknown key "ur"`, `line 2: unknown key "audience"`, "line 3: a string `a` stands"},
		},
		{"not YAML", "issuers: [\n", []string{"line"}},
		{"empty", "", []string{"the file is empty"}},
		{"two documents", minimal + "---\n" + minimal, []string{"more than one YAML document"}},
		{"JSON, unknown key", "{\n\"issuers\": [],\n\"leway\": {}}", []string{"line 3", "leway"}},
		{"JSON, duplicate key", "{\"issuers\": [],\n\"issuers\": []}", []string{"line 2", "issuers"}},
		{"JSON, broken", "{\n\n]", []string{"line 3"}},
		{"JSON, trailing", "{\"issuers\":[]} {}", []string{"line 1"}},
		{"no issuer", "issuers: []\n", []string{"issuers is empty"}},
		{
			"many faults at once",
			"issuers:\n  - url: http://issuer.example\n    algorithms: [none, RS256, HS256]\n    profile: odd\n" +
				"    claims: [{name: a, type: number}]\n" +
				"leeway: {expiry: soon, future: 90s}\nlimits: {token: 5}\nroutes:\n  \"GET /a\": {}\n  \"GET b c d\": {scopes: {all: [x]}}\n",
			[]string{
				`algorithms[0]: jose: algorithm not allowed: "none"`, `algorithms[2]: jose: algorithm not allowed: "HS256"`,
				"issuers[0].profile", "issuers[0].claims[0].type", "leeway.expiry", "leeway.future is 1m30s", "limits.token is 5",
				"url must be an https URL", "audiences is empty",
				`routes: "GET /a": no policy`, `routes: "GET b c d"`,
			},
		},
		{"algorithms empty", minimal + "    algorithms: []\n", []string{"algorithms is empty", "leave it out for the default"}},
		{"keys empty", strings.Replace(minimal, "{file: jwks.json}", "{}", 1), []string{"issuers[0].keys: give either file or url"}},
		{"file and URL", strings.Replace(minimal, "jwks.json", "jwks.json, url: https://issuer.example/jwks", 1), []string{"issuers[0].keys: give either file or url"}},
		{"key URL not https", strings.Replace(minimal, "file: jwks.json", "url: http://issuer.example/jwks", 1), []string{"fetch: url must be https"}},
		{"key file missing", strings.Replace(minimal, "jwks.json", "other.json", 1), []string{"issuers[0].keys", "other.json"}},
		{"key file no JWKS", strings.Replace(minimal, "jwks.json", "broken.json", 1), []string{"not a JWK Set"}},
		{"zero future", minimal + "leeway: {future: 0s}\n", []string{"leeway.future: it cannot be 0s"}},
		{"marker on the strict profile", minimal + "    marker: [{name: token_use, equals: access}]\n", []string{"marker is for profile legacy only"}},
		{"legacy without marker", minimal + "    profile: legacy\n", []string{"profile legacy needs a marker"}},
		{
			"grants", minimal + "    grants: [a b, c, all scopes, c]\n",
			[]string{`grants[0] "a b" is not a scope token`, `grants[3] "c" is listed twice`, `grants[2] is "all scopes" beside others`},
		},
		{"grants of another type", minimal + "    grants: a\n", []string{"line 5: a string `a` stands where a list of strings is expected"}},
		{"two issuers without grants", minimal + second(""), []string{
			`issuers[0] "https://issuer.example": grants is missing, and there are other issuers;`, `issuers[1] "https://second.example": grants is missing`,
		}},
		{"one of two issuers without grants", minimal + all + second(""), []string{`issuers[1] "https://second.example": grants is missing`}},
		{"both all and any", minimal + "routes:\n  \"GET /\": {scopes: {all: [a], any: [b]}}\n", []string{"give one"}},
		{"no scopes", minimal + "routes:\n  \"GET /\": {scopes: {all: []}}\n", []string{"the list of scopes is empty"}},
		{"bad scope", minimal + "routes:\n  \"GET /\": {scopes: {any: ['a b']}}\n", []string{`"a b" is not a scope token`}},
		{"conflicting routes", minimal + "routes:\n  \"GET /{a}/x\": {scopes: {all: [a]}}\n  \"GET /y/{b}\": {scopes: {all: [a]}}\n", []string{"conflicts with pattern"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := folder(t, map[string]string{
				"sallyport.yaml": test.config,
				"jwks.json":      read(t, samples+"/jwks.json"),
				"broken.json":    "<html>",
			})
			got := invoke(t, `{"token":"a"}`, "verify", "--config", filepath.Join(dir, "sallyport.yaml"))
			if got.status != exitConfig || got.out != "" {
				t.Errorf("status %d, output %q, want %d and none", got.status, got.out, exitConfig)
			}
			for _, want := range test.want {
				if !strings.Contains(got.err, want) {
					t.Errorf("%q is not told:\n%s", want, got.err)
				}
			}
			for text := range strings.Lines(got.err) {
				if !strings.HasPrefix(text, "sallyport: ") || strings.Contains(text, "main.") || strings.Contains(text, ".go:") {
					t.Errorf("not a line for users: %s", text)
				}
			}
		})
	}
}

// TestNoValue shows that a key or an element without a value is a fault that is
// told with its line, in whatever form: it would count as left out, where an
// empty list may be meant.
func TestNoValue(t *testing.T) {
	issuer := `{"url":"https://issuer.example","audiences":["https://api.example"],` + "\n" + `"keys":{"file":"jwks.json"}%s}`
	inJSON := func(member string) string { return `{"issuers":[` + fmt.Sprintf(issuer, ",\n"+member) + "]}" }
	for _, test := range []struct {
		config string
		want   []string
	}{
		{minimal + "    grants:\n", []string{"line 5: grants has no value"}},
		{minimal + "    grants: # none\n", []string{"line 5: grants has no value"}},
		{minimal + "    grants: null\n", []string{"line 5: grants has no value"}},
		{minimal + "    grants: ~\n", []string{"line 5: grants has no value"}},
		{minimal + "    grants: NULL\n", []string{"line 5: grants has no value"}},
		{minimal + "    grants: !!null ''\n", []string{"line 5: grants has no value"}},
		{minimal + "    grants: !!seq\n", []string{"line 5: a list stands where"}},
		{minimal + "    grants: !odd\n", []string{"line 5: cannot unmarshal !odd"}},
		{minimal + "    grants: [null]\n", []string{"line 5: element 0 has no value"}},
		{minimal + "    grants: [a, ]\n    claims: [a: ]\n", []string{"line 6: a has no value"}},
		{minimal + "    claims:\n    marker:\n    algorithms:\n", []string{
			"line 5: claims has no value", "line 6: marker has no value", "line 7: algorithms has no value",
		}},
		{minimal + "    claims:\n      -\n      - {name: a, equals: }\n", []string{"line 6: element 0 has no value", "line 7: equals has no value"}},
		{minimal + "    profile:\nleeway:\nlimits: {token: }\n", []string{
			"line 5: profile has no value", "line 6: leeway has no value", "line 7: token has no value",
		}},
		{strings.Replace(minimal, " [https://api.example]", "", 1), []string{"line 3: audiences has no value", "audiences is empty"}},
		{strings.Replace(minimal, " {file: jwks.json}", "", 1), []string{"line 4: keys has no value"}},
		{minimal + "routes:\n", []string{"line 5: routes has no value"}},
		{minimal + "routes:\n  \"GET /\":\n", []string{"line 6: GET / has no value"}},
		{minimal + "routes:\n  \"GET /\": {scopes: }\n  \"GET /a\": {scopes: {all: }}\n", []string{"line 6: scopes has no value", "line 7: all has no value"}},
		{minimal + "routes:\n  \"GET /\": {scopes: {all: [a], any: }}\n", []string{"line 6: any has no value"}},
		{minimal + "routes: {~: {scopes: {all: [a]}}}\n", []string{"line 5: a key has no value"}},
		{"issuers:\n", []string{"line 1: issuers has no value"}},
		{"~\n", []string{"line 1: the file has no value"}},
		{minimal + "    grants: &none\n    claims: *none\n    profil: x\n", []string{"line 5: grants has no value", `line 7: unknown key "profil"`}},
		{inJSON(`"grants":null`), []string{"line 3: grants has no value"}},
		{inJSON(`"claims":[null,{"name":null}]`), []string{"line 3: element 0 has no value", "line 3: name has no value"}},
		{inJSON(`"\u0067rants": null`), []string{"line 3: grants has no value"}},
		{inJSON(`"grants":["a",1],"claims":null`), []string{"unmarshal JSON number into Go string", "claims has no value"}},
		{inJSON(`"other":null`), []string{`line 3: unknown key "other"`, "line 3: other has no value"}},
		{"{\"issuers\":[" + fmt.Sprintf(issuer, "") + "],\n\"routes\":{\"GET /\":null,\"0\":null}}", []string{"line 3: GET / has no value", "line 3: 0 has no value"}},
	} {
		dir := folder(t, map[string]string{"sallyport.yaml": test.config, "jwks.json": read(t, samples+"/jwks.json")})
		got := invoke(t, line(t, map[string]any{"token": token(t, "good, RS256")}), "verify", "--config", filepath.Join(dir, "sallyport.yaml"))
		if got.status != exitConfig || got.out != "" {
			t.Errorf("%s: status %d, output %q, want %d and none", test.config, got.status, got.out, exitConfig)
		}
		for _, want := range test.want {
			if !strings.Contains(got.err, want) {
				t.Errorf("%s: %q is not told:\n%s", test.config, want, got.err)
			}
		}
	}
}

// TestConfigForms shows configurations that work.
func TestConfigForms(t *testing.T) {
	jwks := read(t, samples+"/jwks.json")
	accepted := `"accept":true`
	for _, test := range []struct {
		name, config string
		args         []string
		at           string
		want         string
	}{
		{"YAML", minimal, nil, sampleTime, accepted},
		{"JSON", `{"issuers":[{"url":"https://issuer.example","audiences":["https://api.example"],"keys":{"file":"jwks.json"}}]}`, nil, sampleTime, accepted},
		{"JWKS of the command line", strings.Replace(minimal, "    keys: {file: jwks.json}\n", "", 1), []string{"--jwks", "JWKS"}, sampleTime, accepted},
		{"JWKS in place of a missing file", strings.Replace(minimal, "jwks.json", "other.json", 1), []string{"--jwks", "JWKS"}, sampleTime, accepted},
		{"JWKS in place of a URL", strings.Replace(minimal, "file: jwks.json", "url: https://issuer.example/jwks", 1), []string{"--jwks", "JWKS"}, sampleTime, accepted},
		{"default leeway, inside", minimal, nil, "1700000629", accepted},
		{"default leeway, outside", minimal, nil, "1700000630", `"expired"`},
		{"more leeway", minimal + "leeway: {expiry: 60s, future: 60s}\n", nil, "1700000659", accepted},
		{"no leeway, inside", minimal + "leeway: {expiry: 0s}\n", nil, "1700000599", accepted},
		{"no leeway, outside", minimal + "leeway: {expiry: 0s}\n", nil, "1700000600", `"expired"`},
		{"algorithm left out", minimal + "    algorithms: [ES256]\n", nil, sampleTime, `"algorithm_not_allowed"`},
		{"claim declared", minimal + "    claims: [{name: scope, equals: 'orders:read'}]\n", nil, sampleTime, accepted},
		{"claim declared and missing", minimal + "    claims: [{name: tenant}]\n", nil, sampleTime, `"bad_claims"`},
		{"grants of one issuer", minimal + "    grants: [orders:read, other]\n", nil, sampleTime, `"scopes":["orders:read"]`},
		{"grants of all scopes", minimal + "    grants: [all scopes]\n", nil, sampleTime, `"scopes":["orders:read"`},
		{"no grants", minimal + "    grants: []\n", nil, sampleTime, `"scopes":[]`},
		{"grants of another scope", minimal + "    grants: [other]\n", nil, sampleTime, `"scopes":[]`},
		{"two issuers", minimal + all + second(all), nil, sampleTime, `"scopes":["orders:read"`},
		{"two issuers, the other grants", minimal + "    grants: []\n" + second(all), nil, sampleTime, `"scopes":[]`},
		{"legacy", minimal + "    profile: legacy\n    marker: [{name: client_id}]\n", nil, sampleTime, accepted},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := folder(t, map[string]string{"sallyport.yaml": test.config, "jwks.json": jwks})
			args := []string{"verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", test.at}
			for _, arg := range test.args {
				args = append(args, strings.Replace(arg, "JWKS", filepath.Join(dir, "jwks.json"), 1))
			}
			got := invoke(t, line(t, map[string]any{"token": token(t, "good, RS256")}), args...)
			if got.status != exitDone || !strings.Contains(got.out, test.want) {
				t.Errorf("status %d, %s, want %s\n%s", got.status, got.out, test.want, got.err)
			}
		})
	}
}

// all lets an issuer grant every scope.
const all = "    grants: [all scopes]\n"

// second is an issuer to be put behind minimal's.
func second(more string) string {
	return strings.Replace(minimal[len("issuers:\n"):], "issuer.example", "second.example", 1) + more
}

func TestJWKSNeedsOneIssuer(t *testing.T) {
	dir := folder(t, map[string]string{"sallyport.yaml": minimal + all + second(all), "jwks.json": read(t, samples+"/jwks.json")})
	config := filepath.Join(dir, "sallyport.yaml")
	in := line(t, map[string]any{"token": token(t, "good, RS256")})
	got := invoke(t, in, "verify", "--config", config, "--jwks", filepath.Join(dir, "jwks.json"))
	if got.status != exitConfig || !strings.Contains(got.err, "--jwks is for configurations with one issuer; this one has 2") {
		t.Errorf("status %d, %s", got.status, got.err)
	}
	got = invoke(t, in, "verify", "--config", config, "--at", sampleTime)
	if got.status != exitDone || !strings.Contains(got.out, `"accept":true`) {
		t.Errorf("two issuers without --jwks: status %d, %s%s", got.status, got.out, got.err)
	}
}

// TestFetchedKeys judges with keys by URL and by discovery.
func TestFetchedKeys(t *testing.T) {
	jwks := read(t, samples+"/jwks.json")
	var server *httptest.Server
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/jwks":
			_, _ = io.WriteString(w, jwks)
		case "/.well-known/oauth-authorization-server":
			_, _ = io.WriteString(w, `{"issuer":"`+server.URL+`","jwks_uri":"`+server.URL+`/jwks"}`)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	byURL := strings.Replace(minimal, "file: jwks.json", "url: "+server.URL+"/jwks", 1)
	discovered := strings.Replace(strings.Replace(minimal, "https://issuer.example", server.URL, 1), "    keys: {file: jwks.json}\n", "", 1)
	for name, test := range map[string]struct{ config, want string }{
		"by URL":       {byURL, `"accept":true`},
		"URL down":     {strings.Replace(byURL, "/jwks", "/other", 1), `"reason":"unavailable","status":503,"challenges":[]`},
		"by discovery": {discovered, `"reason":"unknown_issuer"`}, // the samples' iss is another
		"both of them": {byURL + all + discovered[len("issuers:\n"):] + all, `"accept":true`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"sallyport.yaml": test.config})
			in := line(t, map[string]any{"token": token(t, "good, ES256")})
			got := invoke(t, in, "verify", "--config", filepath.Join(dir, "sallyport.yaml"), "--at", sampleTime)
			if got.status != exitDone || !strings.Contains(got.out, test.want) {
				t.Errorf("status %d, %s, want %s\n%s", got.status, got.out, test.want, got.err)
			}
			told := strings.Contains(got.err, `sallyport: validator: issuer "https://issuer.example": `) && strings.Contains(got.err, "/other answered 404")
			if told != (name == "URL down") {
				t.Errorf("standard error: %s", got.err)
			}
		})
	}
}
