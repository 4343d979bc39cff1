package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// documentedIssuer is what the tokens of an issuer in a configuration of the
// documentation need besides what RFC 9068 and RFC 7662 demand.
type documentedIssuer struct {
	claims map[string]any
	header map[string]any // of a good JWT
}

const (
	documentedAudience = "https://api.example"
	documentedRoute    = "GET /orders/7" // it needs orders:read
)

var documentedIssuers = map[string]documentedIssuer{
	"https://issuer.example": {claims: map[string]any{"tenant": "acme"}},
	"https://old.example":    {claims: map[string]any{"token_use": "access"}, header: map[string]any{"typ": "JWT"}},
}

// documentedConfigurations returns the YAML blocks of the README and of docs
// that name issuers, by document.
func documentedConfigurations(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string][]string)
	for _, file := range append(files, "../../README.md") {
		for _, block := range yamlBlocks(t, file) {
			if strings.Contains(block, "issuers:") {
				found[filepath.Base(file)] = append(found[filepath.Base(file)], block)
			}
		}
	}
	return found
}

// yamlBlocks returns the YAML blocks of a document.
func yamlBlocks(t *testing.T, file string) []string {
	t.Helper()
	var blocks []string
	for _, block := range regexp.MustCompile("(?ms)^```(?:yaml|yml)$\n(.*?)^```$").FindAllStringSubmatch(read(t, file), -1) {
		blocks = append(blocks, block[1])
	}
	return blocks
}

// TestDocumentedPresets checks that the issuers with a preset in docs have no fault, and those
// that are the elements of a list alone.
func TestDocumentedPresets(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	path := regexp.MustCompile(`\{file: [^}]*\}`)
	found := 0
	for _, file := range files {
		for _, block := range yamlBlocks(t, file) {
			if !strings.Contains(block, "preset:") && !strings.HasPrefix(block, "- ") {
				continue
			}
			found++
			if !strings.Contains(block, "issuers:") {
				block = "issuers:\n" + block
			}
			config := path.ReplaceAllString(block, "{file: jwks.json}")
			dir := folder(t, map[string]string{"sallyport.yaml": config, "jwks.json": read(t, samples+"/jwks.json"), "secret.txt": canary})
			if _, err := load(filepath.Join(dir, "sallyport.yaml"), ""); err != nil {
				t.Errorf("%s: %v\n%s", file, err, config)
			}
		}
	}
	if found == 0 {
		t.Error("docs have no preset")
	}
}

// TestDocumentedParts checks that the other YAML blocks of docs/verify.md, which are parts of
// a configuration, have no fault.
func TestDocumentedParts(t *testing.T) {
	parts := 0
	for _, block := range yamlBlocks(t, "../../docs/verify.md") {
		if strings.Contains(block, "issuers:") {
			continue
		}
		parts++
		var config string
		if key, _, _ := strings.Cut(block, ":"); slices.Contains(keysOf(reflect.TypeFor[issuerFile]()), key) {
			config = minimal + "    " + strings.ReplaceAll(strings.TrimSpace(block), "\n", "\n    ") + "\n"
			if key == "marker" {
				config += "    profile: legacy\n"
			}
		} else {
			config = strings.ReplaceAll(minimal, "https://issuer.example", "https://as.example") + // the block names it
				"    opaque: {client: {id: api, secret_file: secret.txt}}\n" + block
		}
		dir := folder(t, map[string]string{"sallyport.yaml": config, "jwks.json": read(t, samples+"/jwks.json"), "secret.txt": canary})
		if _, err := load(filepath.Join(dir, "sallyport.yaml"), ""); err != nil {
			t.Errorf("%v\n%s", err, config)
		}
	}
	if parts < 4 {
		t.Errorf("%d parts, want at least 4", parts)
	}
}

// TestDocumentedLimits checks that the limits of keys in docs/verify.md are the defaults that
// the comments in package jwkscache name, and all of them.
func TestDocumentedLimits(t *testing.T) {
	comments := read(t, "../../jwkscache/limits.go")
	for _, block := range yamlBlocks(t, "../../docs/verify.md") {
		if !strings.HasPrefix(block, "key_limits:") {
			continue
		}
		documented := converted(t, t.TempDir(), "issuers:\n  - url: x\n    "+strings.ReplaceAll(block, "\n", "\n    "), "").KeyLimits
		for field, value := range reflect.ValueOf(documented).Fields() {
			text := inUnits(value)
			if !regexp.MustCompile(`(?m)^\t` + field.Name + ` .*: ` + text + ` \(`).MatchString(comments) {
				t.Errorf("%s: %s is not the default in jwkscache/limits.go", field.Name, text)
			}
		}
		return
	}
	t.Error("docs/verify.md has no limits of keys")
}

// inUnits returns a limit as comments write it.
func inUnits(limit reflect.Value) string {
	n := limit.Int()
	d := time.Duration(n)
	switch {
	case limit.Type() == reflect.TypeFor[time.Duration]() && d%time.Hour == 0:
		return fmt.Sprintf("%d h", n/int64(time.Hour))
	case limit.Type() == reflect.TypeFor[time.Duration]() && d%time.Minute == 0:
		return fmt.Sprintf("%d min", n/int64(time.Minute))
	case limit.Type() == reflect.TypeFor[time.Duration]():
		return fmt.Sprintf("%d s", n/int64(time.Second))
	case n == 1<<20:
		return "1 MiB"
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%d 000", n/1000)
	default:
		return fmt.Sprint(n)
	}
}

// documentedConfig is what the test needs to know of a configuration.
type documentedConfig struct {
	Issuers []struct {
		URL    string
		Keys   struct{ File string }
		Opaque *struct {
			Endpoint, Prefix string
			Signed           bool
			Client           map[string]string
		}
		CAFile string `yaml:"ca_file"`
	}
	Routes map[string]any
}

// TestDocumentedConfigurations verifies a good token and bad ones of each issuer in
// the configurations of the documentation.
func TestDocumentedConfigurations(t *testing.T) {
	documents := documentedConfigurations(t)
	if len(documents["verify.md"]) == 0 {
		t.Fatalf("docs/verify.md has no configuration; found %v", documents)
	}
	for document, configs := range documents {
		for _, config := range configs {
			if strings.Contains(config, "preset:") { // TestPresets judges tokens, and TestDocumentedPresets reads it
				continue
			}
			t.Run(document, func(t *testing.T) { tryDocumented(t, config) })
		}
	}
}

// documentedRun collects the lines for one configuration and the verdicts that they
// must get.
type documentedRun struct {
	dir    string
	config documentedConfig
	lines  strings.Builder
	want   map[string]string // reasons by name, or "" for an accepted token
}

// add adds the line of one token.
func (r *documentedRun) add(t *testing.T, name, token, verdict string) {
	t.Helper()
	r.want[name] = verdict
	members := map[string]any{"name": name, "token": token}
	if r.config.Routes != nil {
		members["route"] = documentedRoute
	}
	r.lines.WriteString(line(t, members))
}

// write writes a file of the configuration.
func (r *documentedRun) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func tryDocumented(t *testing.T, config string) {
	t.Helper()
	r := documentedRun{dir: t.TempDir(), want: make(map[string]string)}
	if err := yaml.Unmarshal([]byte(config), &r.config); err != nil {
		t.Fatal(err)
	}
	opaqueIssuers := 0
	for _, configured := range r.config.Issuers {
		if configured.Opaque != nil {
			opaqueIssuers++
		}
	}
	for _, configured := range r.config.Issuers {
		if configured.Keys.File != "" {
			r.addJWTs(t, configured.URL, configured.Keys.File)
		}
		if configured.CAFile != "" {
			r.write(t, configured.CAFile, selfSigned(testkey.NewPrivate(jose.ES256)))
		}
		if configured.Opaque == nil {
			continue
		}
		r.writeSecrets(t, configured.Opaque.Client)
		selected := configured.Opaque.Prefix != "" || opaqueIssuers == 1
		if configured.Opaque.Endpoint != "" && !configured.Opaque.Signed && selected { // the test cannot stand in for others
			config = strings.Replace(config, configured.Opaque.Endpoint, documentedEndpoint(t, configured.URL, configured.Opaque.Prefix), 1)
			r.addOpaque(t, configured.URL, configured.Opaque.Prefix)
		}
	}
	r.write(t, "sallyport.yaml", config)
	got := invoke(t, r.lines.String(), "verify", "--config", filepath.Join(r.dir, "sallyport.yaml"))
	if got.status != exitDone || strings.Count(got.out, "\n") != len(r.want) || len(r.want) == 0 && opaqueIssuers == 0 {
		t.Fatalf("status %d, want %d verdicts\n%s%s", got.status, len(r.want), got.out, got.err)
	}
	for text := range strings.Lines(got.out) {
		var verdict struct {
			Name, Reason string
			Accept       bool
		}
		if err := json.Unmarshal([]byte(text), &verdict); err != nil {
			t.Fatal(err)
		}
		if reasons := strings.Fields(r.want[verdict.Name]); verdict.Accept != (len(reasons) == 0) || !verdict.Accept && !slices.Contains(reasons, verdict.Reason) {
			t.Errorf("want %q: %s", r.want[verdict.Name], text)
		}
	}
}

// addJWTs adds a good JWT of an issuer and bad ones. It writes the issuer's keys.
func (r *documentedRun) addJWTs(t *testing.T, url, keys string) {
	t.Helper()
	documented, known := documentedIssuers[url]
	if !known {
		t.Fatalf("no row of documentedIssuers for %s", url)
	}
	issuer := issuertest.Start(t, testissuer.Config{URL: url, Audience: documentedAudience})
	r.write(t, keys, string(issuer.JWKS()))
	good := testissuer.Token{Scope: "orders:read", Claims: documented.claims, Header: documented.header}
	r.add(t, url+" good", issuer.Sign(good), "")
	token := good
	token.Lifetime = -time.Hour
	r.add(t, url+" expired", issuer.Sign(token), "expired")
	token = good
	token.Forgery = testissuer.ForeignKey
	r.add(t, url+" forged", issuer.Sign(token), "bad_signature")
	if r.config.Routes != nil {
		token = good
		token.Scope = ""
		r.add(t, url+" without the scope", issuer.Sign(token), "insufficient_scope")
	}
	if documented.claims != nil {
		token = good
		token.Claims = nil
		r.add(t, url+" without the claims that it needs", issuer.Sign(token), "wrong_type bad_claims")
	}
}

// writeSecrets writes the files that a client names, and sets its variables.
func (r *documentedRun) writeSecrets(t *testing.T, client map[string]string) {
	t.Helper()
	key := testkey.NewPrivate(jose.ES256)
	for name, value := range client {
		switch name {
		case "secret_file":
			r.write(t, value, canary)
		case "secret_env":
			t.Setenv(value, canary)
		case "private_key_file", "key_file":
			r.write(t, value, pkcs8(key))
		case "certificate_file":
			r.write(t, value, selfSigned(key))
		}
	}
}

// documentedEndpoint starts an introspection endpoint for the tokens of addOpaque and
// returns its URL.
func documentedEndpoint(t *testing.T, url, prefix string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{
			"active": true, "iss": url, "aud": documentedAudience, "sub": "user-1", "client_id": "shop", "scope": "orders:read", "token_type": "Bearer",
			"exp": time.Now().Add(time.Hour).Unix(),
		}
		maps.Copy(answer, documentedIssuers[url].claims)
		switch r.PostFormValue("token") {
		case prefix + "good":
		case prefix + "other":
			answer["aud"] = "https://other.example"
		default:
			answer = map[string]any{"active": false}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// addOpaque adds a good opaque token of an issuer and bad ones.
func (r *documentedRun) addOpaque(t *testing.T, url, prefix string) {
	t.Helper()
	r.add(t, url+" opaque", prefix+"good", "")
	r.add(t, url+" of another API", prefix+"other", "wrong_audience")
	r.add(t, url+" not active", prefix+"revoked", "inactive")
}
