package snippets

import (
	"cmp"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestSnippets runs every snippet with good and bad tokens.
func TestSnippets(t *testing.T) {
	stranger := testissuer.New(t)
	const good, scope = "order 7 for user-1", "orders:read"
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			config := testissuer.Config{URL: s.url, InMemory: s.url != "", Audience: cmp.Or(s.audience, audience)}
			if s.opaque {
				config.Clients = []testissuer.Client{{ID: "orders-api", Secret: writeSecret(t)}}
			}
			issuer, err := testissuer.Start(config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(issuer.Close)
			api := s.api(t, issuer)
			sign := func(token testissuer.Token) string {
				if s.opaque {
					return opaque(issuer, token)
				}
				claims := maps.Clone(s.claims)
				if claims == nil {
					claims = make(map[string]any)
				}
				maps.Copy(claims, token.Claims)
				token.Claims = claims
				return issuer.Sign(token)
			}
			for _, token := range []struct {
				name, token string
				status      int
			}{
				{"good", sign(testissuer.Token{Scope: scope}), http.StatusOK},
				{"none", "", http.StatusUnauthorized},
				{"no token at all", "swordfish", http.StatusUnauthorized},
				{"expired", sign(testissuer.Token{Scope: scope, Lifetime: -time.Hour}), http.StatusUnauthorized},
				{"for another API", sign(testissuer.Token{Scope: scope, Claims: map[string]any{"aud": "https://other.example.com"}}), http.StatusUnauthorized},
				{"an ID token", idToken(issuer, s.opaque, scope), http.StatusUnauthorized},
				{"forged", sign(testissuer.Token{Scope: scope, Forgery: testissuer.ForeignKey}), http.StatusUnauthorized},
				{"tampered", sign(testissuer.Token{Scope: scope, Forgery: testissuer.Tampered}), http.StatusUnauthorized},
				{"of another issuer", stranger.Sign(testissuer.Token{Scope: scope, Claims: map[string]any{"aud": audience}}), http.StatusUnauthorized},
				{"of another issuer in this one's name", stranger.Sign(testissuer.Token{Scope: scope, Claims: map[string]any{"aud": audience, "iss": issuer.URL()}}), http.StatusUnauthorized},
				{"without the scope", sign(testissuer.Token{Scope: "orders:write"}), http.StatusForbidden},
				{"good again", sign(testissuer.Token{Scope: scope}), http.StatusOK},
			} {
				request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/orders/7", nil)
				if token.token != "" {
					request.Header.Set("Authorization", "Bearer "+token.token)
				}
				response := httptest.NewRecorder()
				api.ServeHTTP(response, request)
				if response.Code != token.status || (response.Code == http.StatusOK) != (response.Body.String() == good) {
					t.Errorf("%s: %d %q, want %d", token.name, response.Code, response.Body, token.status)
				}
			}
		})
	}
}

// writeSecret writes a secret to the file that the snippet reads, and returns it.
func writeSecret(t *testing.T) string {
	t.Helper()
	const secret = "a secret of 32 letters and digits"
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return secret
}

// opaque returns an opaque token. One with a Forgery is a token that the issuer does not
// know.
func opaque(issuer *testissuer.Issuer, token testissuer.Token) string {
	if token.Forgery != 0 {
		return "a-forged-token"
	}
	if token.Lifetime < 0 {
		token.Fault = testissuer.ExpiredActive
	}
	return issuer.Opaque(token)
}

// idToken returns an ID token that the issuer calls active.
func idToken(issuer *testissuer.Issuer, isOpaque bool, scope string) string {
	if isOpaque {
		return issuer.Opaque(testissuer.Token{Scope: scope, Fault: testissuer.TokenTypeID})
	}
	return issuer.Sign(testissuer.Token{Scope: scope, Header: map[string]any{"typ": "JWT"}})
}

// TestEverySnippetIsRun fails for a snippet that is not one of the rows.
func TestEverySnippetIsRun(t *testing.T) {
	source, err := os.ReadFile("snippets_test.go")
	if err != nil {
		t.Fatal(err)
	}
	if marks := strings.Count(string(source), "// snippet\n"); marks != len(all) {
		t.Errorf("%d snippets, and %d of them are run", marks, len(all))
	}
}
