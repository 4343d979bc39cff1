package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-auth/sallyport/testissuer"
)

// settings returns the environment for an issuer.
func settings(t *testing.T, issuer *testissuer.Issuer) map[string]string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret.txt")
	if err := os.WriteFile(file, []byte(testissuer.ClientSecret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"ISSUER": issuer.URL(), "AUDIENCE": "https://api.test", "CLIENT_ID": testissuer.ClientID, "CLIENT_SECRET_FILE": file,
	}
}

func start(t *testing.T, environment map[string]string) *httptest.Server {
	t.Helper()
	api, guard, err := newAPI(issuerFrom(func(name string) string { return environment[name] }))
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return server
}

func TestAPI(t *testing.T) {
	issuer := testissuer.New(t)
	server := start(t, settings(t, issuer))
	read := issuer.Opaque(testissuer.Token{Scope: "read", Claims: map[string]any{"client_id": "shop"}})
	write := issuer.Opaque(testissuer.Token{Scope: "write"})
	other := issuer.Opaque(testissuer.Token{Scope: "read", Claims: map[string]any{"aud": "https://other.test"}})
	revoked := issuer.Opaque(testissuer.Token{Scope: "read"})
	issuer.Revoke(revoked)
	for _, test := range []struct {
		method, path, token string
		status              int
		body                string
	}{
		{http.MethodGet, "/health", "", http.StatusOK, ""},
		{http.MethodGet, "/orders/7", read, http.StatusOK, "order 7 for the client shop\n"},
		{http.MethodGet, "/orders/7", read, http.StatusOK, "order 7 for the client shop\n"},
		{http.MethodGet, "/orders/7", "", http.StatusUnauthorized, `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"},
		{http.MethodGet, "/orders/7", other, http.StatusUnauthorized, `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"},
		{http.MethodGet, "/orders/7", revoked, http.StatusUnauthorized, `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"},
		{http.MethodDelete, "/orders/7", read, http.StatusForbidden, `{"type":"about:blank","title":"Forbidden","status":403}` + "\n"},
		{http.MethodDelete, "/orders/7", write, http.StatusNoContent, ""},
	} {
		status, body := send(t, test.method, server.URL+test.path, test.token)
		if status != test.status || body != test.body {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, status, body, test.status, test.body)
		}
	}
	issuer.Revoke(write)
	if status, _ := send(t, http.MethodDelete, server.URL+"/orders/7", write); status != http.StatusUnauthorized {
		t.Errorf("a token that was revoked a moment ago deletes an order: %d", status)
	}
	issuer.Down(true)
	if status, _ := send(t, http.MethodGet, server.URL+"/orders/7", read); status != http.StatusOK {
		t.Errorf("a token that the issuer called active before it went down: %d", status)
	}
	if status, _ := send(t, http.MethodGet, server.URL+"/orders/7", issuer.Opaque(testissuer.Token{Scope: "read"})); status != http.StatusServiceUnavailable {
		t.Errorf("a new token while the issuer is down: %d", status)
	}
}

func send(t *testing.T, method, url, token string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := new(http.Client).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestSettings(t *testing.T) {
	environment := settings(t, testissuer.New(t))
	environment["TOKEN_PREFIX"], environment["MARKER"] = "ory_at_", "client_id"
	issuer := issuerFrom(func(name string) string { return environment[name] })
	if issuer.Opaque.Prefix != "ory_at_" || len(issuer.Answers.Marker) != 1 || issuer.Answers.Marker[0].Name != "client_id" {
		t.Errorf("prefix %q and marker %v", issuer.Opaque.Prefix, issuer.Answers.Marker)
	}
	if _, _, err := newAPI(issuer); err != nil {
		t.Error(err)
	}
	if _, _, err := newAPI(issuerFrom(func(string) string { return "" })); err == nil {
		t.Error("an empty configuration is taken")
	}
}
