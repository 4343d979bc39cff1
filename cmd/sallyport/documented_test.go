package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// documentedIssuer is an issuer of the documentation's configurations.
type documentedIssuer struct {
	keys   string         // its key file
	claims map[string]any // that its tokens need, besides those of RFC 9068
	header map[string]any // of a good token
}

const (
	documentedAudience = "https://api.example"
	documentedRoute    = "GET /orders/7" // it needs orders:read
)

var documentedIssuers = map[string]documentedIssuer{
	"https://issuer.example": {keys: "jwks.json", claims: map[string]any{"tenant": "acme"}},
	"https://old.example":    {keys: "old.json", claims: map[string]any{"token_use": "access"}, header: map[string]any{"typ": "JWT"}},
}

// documentedConfigurations returns the YAML blocks of the README and of docs
// that name issuers, by document.
func documentedConfigurations(t *testing.T) map[string][]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	fence := regexp.MustCompile("(?ms)^```(?:yaml|yml)$\n(.*?)^```$")
	found := make(map[string][]string)
	for _, file := range append(files, "../../README.md") {
		for _, block := range fence.FindAllStringSubmatch(read(t, file), -1) {
			if strings.Contains(block[1], "issuers:") {
				found[filepath.Base(file)] = append(found[filepath.Base(file)], block[1])
			}
		}
	}
	return found
}

// issuersIn returns the issuers that a configuration names.
func issuersIn(t *testing.T, config string) []string {
	t.Helper()
	var named struct{ Issuers []struct{ URL string } }
	if err := yaml.Unmarshal([]byte(config), &named); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, issuer := range named.Issuers {
		urls = append(urls, issuer.URL)
	}
	return urls
}

// TestDocumentedConfigurations judges a good token and bad ones of each issuer
// that a documented configuration names.
func TestDocumentedConfigurations(t *testing.T) {
	documents := documentedConfigurations(t)
	if len(documents["verify.md"]) == 0 {
		t.Fatalf("docs/verify.md has no configuration; found %v", documents)
	}
	for document, configs := range documents {
		for _, config := range configs {
			t.Run(document, func(t *testing.T) { tryDocumented(t, config) })
		}
	}
}

func tryDocumented(t *testing.T, config string) {
	t.Helper()
	dir := folder(t, map[string]string{"sallyport.yaml": config})
	var lines strings.Builder
	want := make(map[string]string) // verdict by name
	sign := func(issuer *testissuer.Issuer, name, verdict string, token testissuer.Token) {
		want[name] = verdict
		lines.WriteString(line(t, map[string]any{"name": name, "token": issuer.Sign(token), "route": documentedRoute}))
	}
	for _, url := range issuersIn(t, config) {
		documented, known := documentedIssuers[url]
		if !known {
			t.Fatalf("no row of documentedIssuers for %s", url)
		}
		issuer, err := testissuer.Start(testissuer.Config{URL: url, InMemory: true, Audience: documentedAudience})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(issuer.Close)
		if err := os.WriteFile(filepath.Join(dir, documented.keys), issuer.JWKS(), 0o600); err != nil {
			t.Fatal(err)
		}
		good := testissuer.Token{Scope: "orders:read", Claims: documented.claims, Header: documented.header}
		sign(issuer, url+" good", "", good)
		token := good
		token.Lifetime = -time.Hour
		sign(issuer, url+" expired", "expired", token)
		token = good
		token.Fault = testissuer.ForeignKey
		sign(issuer, url+" forged", "bad_signature", token)
		token = good
		token.Scope = ""
		sign(issuer, url+" without the scope", "insufficient_scope", token)
		token = good
		token.Claims = nil
		sign(issuer, url+" without the claims that it needs", "wrong_type bad_claims", token)
	}
	got := invoke(t, lines.String(), "verify", "--config", filepath.Join(dir, "sallyport.yaml"))
	if got.status != exitDone || strings.Count(got.out, "\n") != len(want) {
		t.Fatalf("status %d, want %d verdicts\n%s%s", got.status, len(want), got.out, got.err)
	}
	for text := range strings.Lines(got.out) {
		var verdict struct {
			Name, Reason string
			Accept       bool
		}
		if err := json.Unmarshal([]byte(text), &verdict); err != nil {
			t.Fatal(err)
		}
		if reasons := strings.Fields(want[verdict.Name]); verdict.Accept != (len(reasons) == 0) || !verdict.Accept && !slices.Contains(reasons, verdict.Reason) {
			t.Errorf("want %q: %s", want[verdict.Name], text)
		}
	}
}
