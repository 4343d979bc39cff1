package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

func TestAPI(t *testing.T) {
	issuer := testissuer.New(t)
	api, guard, err := newAPI(validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	defer server.Close()
	if status, _ := send(t, http.MethodGet, server.URL+"/health", ""); status != http.StatusServiceUnavailable {
		t.Errorf("health before the keys are there: %d", status)
	}
	if err := guard.Warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	read := issuer.Sign(testissuer.Token{Scope: "orders:read"})
	expired := issuer.Sign(testissuer.Token{Scope: "orders:read", Lifetime: -time.Hour})
	write := issuer.Sign(testissuer.Token{Scope: "orders:write orders:read"})
	for _, test := range []struct {
		method, path, token string
		status              int
		body                string
	}{
		{http.MethodGet, "/health", "", http.StatusOK, ""},
		{http.MethodGet, "/orders/7", read, http.StatusOK, "order 7 for user-1\n"},
		{http.MethodGet, "/orders/7", "", http.StatusUnauthorized, `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"},
		{http.MethodGet, "/orders/7", expired, http.StatusUnauthorized, `{"type":"about:blank","title":"Unauthorized","status":401}` + "\n"},
		{http.MethodPost, "/orders", read, http.StatusForbidden, `{"type":"about:blank","title":"Forbidden","status":403}` + "\n"},
		{http.MethodPost, "/orders", write, http.StatusCreated, ""},
		{http.MethodDelete, "/orders/7", write, http.StatusMethodNotAllowed, "405 method not allowed\n"},
	} {
		status, body := send(t, test.method, server.URL+test.path, test.token)
		if status != test.status || body != test.body {
			t.Errorf("%s %s: %d %q, want %d %q", test.method, test.path, status, body, test.status, test.body)
		}
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

func TestConfigurationFaults(t *testing.T) {
	if _, _, err := newAPI(validator.Issuer{}); err == nil {
		t.Error("an empty configuration is taken")
	}
}
