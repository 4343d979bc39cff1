package resourcemeta_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/resourcemeta"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

const (
	issuer = "https://login.example.com"
	base   = "/.well-known/oauth-protected-resource"
)

// validatorFor accepts tokens for these audiences.
func validatorFor(t *testing.T, audiences ...string) *validator.Validator {
	t.Helper()
	return issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{{URL: issuer, Audiences: audiences}}})
}

func metadataFor(t *testing.T, config resourcemeta.Config) *resourcemeta.Metadata {
	t.Helper()
	if config.Validator == nil {
		config.Validator = validatorFor(t, config.Resource)
	}
	m, err := resourcemeta.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func get(h http.Handler, target string) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w.Result()
}

func bodyOf(t *testing.T, response *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestPaths covers R-PR-01, R-PR-02 and R-PR-03: the document is at the path that is
// derived from the resource identifier and at no other, also behind a Mux.
func TestPaths(t *testing.T) {
	for _, row := range []struct {
		resource, url string
		found         []string
		missing       []string
	}{
		{"https://r.test", "https://r.test" + base, []string{base}, []string{base + "/", base + "/a", base + "?", base + "?t=1", "/"}},
		{"https://r.test/", "https://r.test" + base, []string{base}, []string{base + "/", base + "/a"}},
		{"https://r.test/a/b", "https://r.test" + base + "/a/b", []string{base + "/a/b"}, []string{base, base + "/a", base + "/a/b/", base + "/a/b/c", base + "/A/b", base + "/%61/b"}},
		{"https://r.test/a?t=1", "https://r.test" + base + "/a?t=1", []string{base + "/a?t=1"}, []string{base + "/a", base + "/a?t=2", base + "/a?t=1&u=2"}},
		{"https://r.test/?t=1", "https://r.test" + base + "?t=1", []string{base + "?t=1"}, []string{base, base + "/?t=1"}},
		{"https://r.test/a/", "https://r.test" + base + "/a/", []string{base + "/a/", base + "/a"}, []string{base, base + "/a/b", base + "/a//"}},
		{"https://r.test:8443/a%20b", "https://r.test:8443" + base + "/a%20b", []string{base + "/a%20b"}, []string{base + "/a"}},
		{"http://localhost:8080/mcp", "http://localhost:8080" + base + "/mcp", []string{base + "/mcp"}, []string{base}},
	} {
		m := metadataFor(t, resourcemeta.Config{Resource: row.resource})
		if m.URL() != row.url {
			t.Errorf("%s: URL %s, want %s", row.resource, m.URL(), row.url)
		}
		guard := issuertest.Guard(t, middleware.Config{Validator: validatorFor(t, row.resource), ResourceMetadata: m.URL()})
		mux := guard.NewMux()
		for _, pattern := range m.Patterns() {
			mux.Handle(pattern, scopes.Public(), m.Handler(nil))
		}
		for _, target := range row.found {
			for name, h := range map[string]http.Handler{"alone": m.Handler(nil), "on a Mux": mux} {
				response := get(h, target)
				want := `{"resource":"` + row.resource + `","authorization_servers":["` + issuer + `"],"bearer_methods_supported":["header"]}`
				if body := bodyOf(t, response); response.StatusCode != 200 || body != want || response.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s: %d %s, want %s", name, target, response.StatusCode, body, want)
				}
			}
		}
		for _, target := range row.missing {
			if status := get(m.Handler(nil), target).StatusCode; status != 404 && target != base+"?" { // an empty query is none
				t.Errorf("%s alone: %s: %d", row.resource, target, status)
			}
			if response := get(mux, target); response.StatusCode == 200 && target != base+"?" {
				t.Errorf("%s on a Mux: %s: %d", row.resource, target, response.StatusCode)
			}
		}
	}
}

// TestMethods covers R-PR-12, and the answers to other methods than GET.
func TestMethods(t *testing.T) {
	m := metadataFor(t, resourcemeta.Config{Resource: "https://r.test", MaxAge: time.Minute})
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "PUT": 405, "OPTIONS": 405, "get": 405} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, base, nil)
		r.Method = method
		m.Handler(nil).ServeHTTP(w, r)
		if w.Code != want || (want == 405) != (w.Header().Get("Allow") == "GET, HEAD") || (want == 200) != (w.Header().Get("Cache-Control") == "max-age=60") {
			t.Errorf("%s: %d %v", method, w.Code, w.Header())
		}
		if method == "HEAD" && w.Body.Len() != 0 {
			t.Errorf("HEAD has a body: %s", w.Body)
		}
	}
	if control := get(metadataFor(t, resourcemeta.Config{Resource: "https://r.test"}).Handler(nil), base).Header.Get("Cache-Control"); control != "max-age=300" {
		t.Errorf("by default: %s", control)
	}
}

// TestDocument covers R-PR-06, R-PR-07, R-PR-08 and R-PR-09: the members follow
// the configuration, and the scopes follow the policies, also later ones.
func TestDocument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
			{URL: "https://b.example.com/", Audiences: []string{"x", "https://r.test"}, Grants: []string{validator.AllScopes}},
			{URL: "https://a.example.com", Audiences: []string{"https://r.test"}, Grants: []string{validator.AllScopes}},
		}})
		m := metadataFor(t, resourcemeta.Config{
			Resource: "https://r.test", Validator: v, OmitScopes: []string{"admin"}, Name: `Orders & "more" ü`,
			DocumentationURL: "https://r.test/docs", PolicyURL: "https://r.test/policy", TermsURL: "https://r.test/terms",
		})
		policies := []scopes.Policy{
			scopes.All("write", "read"), scopes.Or(scopes.All("admin"), scopes.And(scopes.Any("audit", "read"), scopes.ACR("urn:mfa"))),
			scopes.All("offline_access"), scopes.Public(), scopes.Authenticated(),
			{},
		}
		h := m.Handler(func() []scopes.Policy { return policies })
		const (
			head = `{"resource":"https://r.test","authorization_servers":["https://b.example.com/","https://a.example.com"],"scopes_supported":[`
			tail = `],"bearer_methods_supported":["header"],"resource_name":"Orders & \"more\" ü","resource_documentation":"https://r.test/docs",` +
				`"resource_policy_uri":"https://r.test/policy","resource_tos_uri":"https://r.test/terms"}`
		)
		if body := bodyOf(t, get(h, base)); body != head+`"audit","read","write"`+tail {
			t.Error(body)
		}
		policies = append(policies, scopes.All("new"))
		if body := bodyOf(t, get(h, base)); strings.Contains(body, "new") {
			t.Error("the document is made anew for every request")
		}
		<-time.After(time.Second)
		if body := bodyOf(t, get(h, base)); body != head+`"audit","new","read","write"`+tail {
			t.Error(body)
		}
		policies = nil
		<-time.After(time.Second)
		var members map[string]any
		if err := json.Unmarshal([]byte(bodyOf(t, get(h, base))), &members); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{ // neither zero elements nor what is not supported
			"scopes_supported", "jwks_uri", "resource_signing_alg_values_supported", "signed_metadata", "dpop_signing_alg_values_supported",
			"dpop_bound_access_tokens_required", "tls_client_certificate_bound_access_tokens", "authorization_details_types_supported",
		} {
			if _, there := members[name]; there {
				t.Errorf("%s is %v", name, members[name])
			}
		}
	})
}

// TestFaults covers R-PR-03, R-PR-05 and R-OP-01.
func TestFaults(t *testing.T) {
	good := resourcemeta.Config{Resource: "https://r.test", Validator: validatorFor(t, "https://r.test")}
	for name, change := range map[string]func(*resourcemeta.Config){
		"Resource is empty":        func(c *resourcemeta.Config) { c.Resource = "" },
		"Resource, http":           func(c *resourcemeta.Config) { c.Resource = "http://r.test" },
		"Resource, URN":            func(c *resourcemeta.Config) { c.Resource = "urn:api" },
		"Resource, fragment":       func(c *resourcemeta.Config) { c.Resource = "https://r.test#a" },
		"Resource, empty fragment": func(c *resourcemeta.Config) { c.Resource = "https://r.test#" },
		"Resource, user":           func(c *resourcemeta.Config) { c.Resource = "https://a@r.test" },
		"Resource, control":        func(c *resourcemeta.Config) { c.Resource = "https://r.test/\n" },
		"Resource, space":          func(c *resourcemeta.Config) { c.Resource = "https://r.test/a b" },
		"Resource, not ASCII":      func(c *resourcemeta.Config) { c.Resource = "https://r.test/é" },
		"Resource, dots":           func(c *resourcemeta.Config) { c.Resource = "https://r.test/a/../b" },
		"Resource, slashes":        func(c *resourcemeta.Config) { c.Resource = "https://r.test//a" },
		"Resource, no audience":    func(c *resourcemeta.Config) { c.Resource = "https://r.test/" },
		"Validator is nil":         func(c *resourcemeta.Config) { c.Validator = nil },
		"DocumentationURL, http":   func(c *resourcemeta.Config) { c.DocumentationURL = "http://localhost/" },
		"PolicyURL, relative":      func(c *resourcemeta.Config) { c.PolicyURL = "/policy" },
		"TermsURL, script":         func(c *resourcemeta.Config) { c.TermsURL = "javascript:alert(1)" },
		"Name, control":            func(c *resourcemeta.Config) { c.Name = "a\nb" },
		"Name, DEL":                func(c *resourcemeta.Config) { c.Name = "a\x7fb" },
		"Name, not UTF-8":          func(c *resourcemeta.Config) { c.Name = "\xff" },
		"MaxAge, negative":         func(c *resourcemeta.Config) { c.MaxAge = -time.Second },
		"MaxAge, fraction":         func(c *resourcemeta.Config) { c.MaxAge = 1500 * time.Millisecond },
		"MaxAge, unbounded":        func(c *resourcemeta.Config) { c.MaxAge = 25 * time.Hour },
	} {
		config := good
		change(&config)
		field, _, _ := strings.Cut(name, ",")
		says := map[string]string{
			"Resource is empty": "is empty", "Resource, no audience": "among the Audiences",
			"Resource, dots": "would clean", "Resource, slashes": "would clean",
		}[name]
		if says == "" && field == "Resource" {
			says = "is not an https URL"
		}
		if m, err := resourcemeta.New(config); err == nil || m != nil || !strings.Contains(err.Error(), "resourcemeta: "+field) ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", name, err)
		} else if faults := validator.Faults(err); len(faults) == 0 || slices.ContainsFunc(faults, func(f validator.Fault) bool { return f.Mend == "" }) {
			t.Errorf("%s: a fault does not say what to do: %+v", name, faults)
		}
	}
	_, err := resourcemeta.New(resourcemeta.Config{Name: "\n"})
	if err == nil || strings.Count(err.Error(), "resourcemeta: ") != 3 {
		t.Errorf("the error does not have every fault: %v", err)
	}
	// One issuer of two does not accept the resource.
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{
		{URL: issuer, Audiences: []string{"https://r.test"}, Grants: []string{"a"}},
		{URL: "https://other.example.com", Audiences: []string{"https://R.test"}, Grants: []string{"a"}},
	}})
	if _, err := resourcemeta.New(resourcemeta.Config{Resource: "https://r.test", Validator: v}); err == nil ||
		!strings.Contains(err.Error(), "other.example.com") || strings.Contains(err.Error(), issuer) {
		t.Errorf("%v", err)
	}
}

// TestWarnings covers the warnings of R-PR-02 and R-PR-04.
func TestWarnings(t *testing.T) {
	resolving := issuertest.Validator(t, validator.Config{ResolveIssuer: resolveNone})
	for _, row := range []struct {
		config resourcemeta.Config
		want   []string
	}{
		{resourcemeta.Config{Resource: "https://r.test"}, nil},
		{resourcemeta.Config{Resource: "https://r.test/"}, nil},
		{resourcemeta.Config{Resource: "https://r.test/v1", PublicURL: "https://r.test/"}, nil},
		{resourcemeta.Config{Resource: "https://r.test/a/"}, []string{"slash"}},
		{resourcemeta.Config{Resource: "https://r.test/a?b"}, []string{"query"}},
		{resourcemeta.Config{Resource: "https://r.test", PublicURL: "https://api.test"}, []string{"PublicURL"}},
		{resourcemeta.Config{Resource: "https://r.test", PublicURL: "http://r.test"}, []string{"PublicURL"}},
		{resourcemeta.Config{Resource: "https://r.test/a/", Validator: resolving}, []string{"slash", "no fixed issuers"}},
	} {
		warnings := metadataFor(t, row.config).Warnings()
		if !slices.EqualFunc(warnings, row.want, strings.Contains) {
			t.Errorf("%+v: %q, want %q", row.config, warnings, row.want)
		}
	}
}

// TestIssuersWithoutURL: an issuer whose name is no https URL is no authorization server
// of the document (RFC 9728 §2, RFC 8414 §2), and a warning says so.
func TestIssuersWithoutURL(t *testing.T) {
	const resource = "https://r.test"
	listed := []string{issuer, "https://as.example.com/tenant/", "http://127.0.0.1:8080/dev"}
	left := []string{"accounts.google.com", "http://sts.example.com/adfs/services/trust", "urn:example:issuer", "https://as.example.com/?a=b", "https://as.example.com?", "https://as.example.com/#a", "a b"}
	var config validator.Config
	for _, url := range slices.Concat(left, listed) {
		config.Issuers = append(config.Issuers, validator.Issuer{
			URL: url, Audiences: []string{resource}, Grants: []string{validator.AllScopes}, Keys: jwkscache.URL("https://keys.example.com"),
		})
	}
	m := metadataFor(t, resourcemeta.Config{Resource: resource, Validator: issuertest.Validator(t, config)})
	var document struct {
		AuthorizationServers []string `json:"authorization_servers"`
	}
	if err := json.Unmarshal([]byte(bodyOf(t, get(m.Handler(nil), m.URL()))), &document); err != nil || !slices.Equal(document.AuthorizationServers, listed) {
		t.Errorf("%v, %q", err, document.AuthorizationServers)
	}
	warnings := m.Warnings()
	if len(warnings) != len(left) {
		t.Errorf("%d warnings: %q", len(warnings), warnings)
	}
	for i, url := range left {
		if !strings.Contains(warnings[i], strconv.Quote(url)) {
			t.Errorf("%q does not name %s", warnings[i], url)
		}
	}

	config.Issuers = config.Issuers[:len(left)]
	m = metadataFor(t, resourcemeta.Config{Resource: resource, Validator: issuertest.Validator(t, config)})
	if body := bodyOf(t, get(m.Handler(nil), m.URL())); strings.Contains(body, "authorization_servers") {
		t.Errorf("empty members are left out (RFC 9728 §3.2): %s", body)
	}
}
