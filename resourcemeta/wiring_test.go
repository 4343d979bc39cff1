package resourcemeta_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/resourcemeta"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

func resolveNone(context.Context, string) (validator.Issuer, error) {
	return validator.Issuer{}, validator.ErrUnknownIssuer
}

func showOrder(http.ResponseWriter, *http.Request) {}

// An API that tells clients where to get its tokens: in the challenge, and in
// the document that the challenge names.
func Example() {
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:       "https://login.example.com",
		Audiences: []string{"https://api.example.com"},
	}}})
	if err != nil {
		log.Fatal(err)
	}
	meta, err := resourcemeta.New(resourcemeta.Config{Resource: "https://api.example.com", Validator: v})
	if err != nil {
		log.Fatal(err)
	}
	guard, err := middleware.New(middleware.Config{Validator: v, ResourceMetadata: meta.URL()})
	if err != nil {
		log.Fatal(err)
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /orders/{id}", scopes.All("orders:read"), showOrder)
	for _, pattern := range meta.Patterns() {
		mux.Handle(pattern, scopes.Public(), meta.Handler(mux.Policies))
	}

	for _, path := range []string{"/orders/7", "/.well-known/oauth-protected-resource"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate"))))
		fmt.Println(strings.ReplaceAll(strings.TrimSpace(w.Body.String()), `,"`, ",\n \""))
	}
	// Output:
	// 401 Bearer realm="api", scope="orders:read", resource_metadata="https://api.example.com/.well-known/oauth-protected-resource"
	// {"type":"about:blank",
	//  "title":"Unauthorized",
	//  "status":401}
	// 200
	// {"resource":"https://api.example.com",
	//  "authorization_servers":["https://login.example.com"],
	//  "scopes_supported":["orders:read"],
	//  "bearer_methods_supported":["header"]}
}

// TestDiscovery covers R-PR-01, R-PR-06 and R-PR-11: a client that has only the URL of
// the API follows the challenge to the document, gets a token and is accepted.
func TestDiscovery(t *testing.T) {
	issuer := issuertest.Loopback(t)
	var mux *middleware.Mux
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { mux.ServeHTTP(w, r) }))
	defer server.Close()
	resource := server.URL + "/v1"
	v := issuer.Validator(t, func(c *validator.Issuer) { c.Audiences, c.Keys = []string{resource}, nil })
	meta := metadataFor(t, resourcemeta.Config{Resource: resource, Validator: v})
	guard := issuertest.Guard(t, middleware.Config{Validator: v, ResourceMetadata: meta.URL()})
	mux = guard.NewMux()
	mux.HandleFunc("GET /v1/orders", scopes.All("orders:read"), showOrder)
	for _, pattern := range meta.Patterns() {
		mux.Handle(pattern, scopes.Public(), meta.Handler(mux.Policies))
	}
	send := func(url, token string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		r.Host = "evil.test" // which decides nothing
		response, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	challenge := send(resource+"/orders", "").Header.Get("WWW-Authenticate")
	_, after, _ := strings.Cut(challenge, `resource_metadata="`)
	location, _, _ := strings.Cut(after, `"`)
	var doc struct {
		Resource string   `json:"resource"`
		Servers  []string `json:"authorization_servers"`
		Scopes   []string `json:"scopes_supported"`
	}
	if err := json.NewDecoder(send(location, "").Body).Decode(&doc); err != nil {
		t.Fatalf("%s: %v", challenge, err)
	}
	if doc.Resource != resource || len(doc.Servers) != 1 || doc.Servers[0] != issuer.URL() || len(doc.Scopes) != 1 {
		t.Fatalf("%s led to %+v", challenge, doc)
	}
	token := issuer.Sign(testissuer.Token{Scope: doc.Scopes[0], Claims: map[string]any{"aud": doc.Resource}})
	if response := send(resource+"/orders", token); response.StatusCode != http.StatusOK {
		t.Errorf("%d", response.StatusCode)
	}
}
