package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestPreset runs the API with the preset of the comment, and with tokens as Okta sends them.
func TestPreset(t *testing.T) {
	issuer, err := testissuer.Start(testissuer.Config{URL: "/oauth2/default", Audience: "api://orders", Algorithm: jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(issuer.Close)
	environment := map[string]string{"PRESET": "okta", "ISSUER": issuer.URL(), "AUDIENCE": "api://orders"}
	configured, err := issuerFrom(func(name string) string { return environment[name] })
	if err != nil {
		t.Fatal(err)
	}
	api, guard, err := newAPI(configured)
	if err != nil {
		t.Fatal(err)
	}
	if err := guard.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	defer server.Close()
	header := map[string]any{"typ": nil}
	user := map[string]any{"cid": "0oa1", "uid": "00u1", "scp": []string{"orders:read"}, "client_id": nil}
	for _, test := range []struct {
		name   string
		token  testissuer.Token
		status int
	}{
		{"access token", testissuer.Token{Header: header, Claims: user}, http.StatusOK},
		{"access token without the scope", testissuer.Token{Header: header, Claims: map[string]any{"cid": "0oa1", "scp": []string{"x"}, "client_id": nil}}, http.StatusForbidden},
		{"ID token", testissuer.Token{Header: header, Claims: map[string]any{"nonce": "n", "client_id": nil}}, http.StatusUnauthorized},
		{"token of another API", testissuer.Token{Header: header, Claims: map[string]any{"cid": "0oa1", "scp": []string{"orders:read"}, "aud": "api://billing"}}, http.StatusUnauthorized},
	} {
		if status, body := send(t, http.MethodGet, server.URL+"/orders/7", issuer.Sign(test.token)); status != test.status {
			t.Errorf("%s: status %d, %s, want %d", test.name, status, body, test.status)
		}
	}
}

// TestPresetParameters gives each parameter of a preset, and a preset that does not exist.
func TestPresetParameters(t *testing.T) {
	for _, environment := range []map[string]string{
		{"PRESET": "entra-id", "TENANT_ID": "11111111-1111-4111-8111-111111111111", "AUDIENCE": "33333333-3333-4333-8333-333333333333"},
		{"PRESET": "cognito", "ISSUER": "eu-central-1_Ab1Cd2Ef3", "CLIENT_IDS": "web,batch"},
		{"PRESET": "google", "AUDIENCE": "https://api.example.com", "ACCOUNTS": "batch@acme.iam.gserviceaccount.com"},
		{"PRESET": "github-actions", "AUDIENCE": "https://api.example.com", "REPOSITORIES": "101", "OWNERS": "7,8"},
		{"PRESET": "kubernetes", "ISSUER": "https://kubernetes.default.svc", "AUDIENCE": "https://api.example.com", "KEYS_FILE": "/etc/orders/keys.json"},
		{"PRESET": "gitlab-ci", "ISSUER": "https://gitlab.com", "AUDIENCE": "https://api.example.com", "PROJECTS": "20"},
	} {
		issuer, err := issuerFrom(func(name string) string { return environment[name] })
		if err != nil {
			t.Errorf("%v: %v", environment, err)
		} else if _, _, err := newAPI(issuer); err != nil {
			t.Errorf("%v: %v", environment, err)
		}
	}
	for _, name := range []string{"", "ISSUER", "AUDIENCE"} {
		_, err := issuerFrom(func(asked string) string {
			if asked == name {
				return "https://login.example.com"
			}
			return ""
		})
		if err == nil || err.Error() != "set ISSUER and AUDIENCE, or PRESET" {
			t.Errorf("%s alone: %v", name, err)
		}
	}
	if _, err := issuerFrom(func(string) string { return "octa" }); err == nil {
		t.Error("a preset that does not exist is taken")
	}
}
