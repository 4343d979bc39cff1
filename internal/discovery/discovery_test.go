package discovery_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/fetch"
)

// TestLocations covers R-DI-01 and R-DI-02.
func TestLocations(t *testing.T) {
	for issuer, want := range map[string][]string{
		"https://as.example": {
			"https://as.example/.well-known/oauth-authorization-server",
			"https://as.example/.well-known/openid-configuration",
		},
		"https://as.example/": {
			"https://as.example/.well-known/oauth-authorization-server",
			"https://as.example/.well-known/openid-configuration",
		},
		"https://as.example:8443/t1": {
			"https://as.example:8443/.well-known/oauth-authorization-server/t1",
			"https://as.example:8443/.well-known/openid-configuration/t1",
			"https://as.example:8443/t1/.well-known/openid-configuration",
		},
		"https://as.example/t1/": {
			"https://as.example/.well-known/oauth-authorization-server/t1",
			"https://as.example/.well-known/openid-configuration/t1",
			"https://as.example/t1/.well-known/openid-configuration",
		},
		"https://as.example/a%2Fb": {
			"https://as.example/.well-known/oauth-authorization-server/a%2Fb",
			"https://as.example/.well-known/openid-configuration/a%2Fb",
			"https://as.example/a%2Fb/.well-known/openid-configuration",
		},
	} {
		got, err := discovery.Locations(issuer)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", issuer, got, err, want)
		}
	}
	for _, issuer := range []string{"", "as.example", "https://as.example?a", "https://as.example#a", "https://as.example/%zz"} {
		if _, err := discovery.Locations(issuer); !errors.Is(err, discovery.ErrNoMetadata) {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

// server answers requests for metadata by path. ISSUER in a document is replaced by
// the server's URL.
func server(t *testing.T, documents map[string]string) (issuer string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	var s *httptest.Server
	s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		document, ok := documents[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(strings.ReplaceAll(document, "ISSUER", s.URL)))
	}))
	t.Cleanup(s.Close)
	return s.URL, asked
}

const (
	oauth  = "/.well-known/oauth-authorization-server"
	openID = "/.well-known/openid-configuration"
	good   = `{"issuer":"ISSUER","jwks_uri":"https://keys.example/jwks","more":[{"a":1}]}`
	// signed is an unsecured JWT over {"issuer":"https://evil.example","jwks_uri":"https://evil.example"}.
	signed = "eyJhbGciOiJub25lIn0.eyJpc3N1ZXIiOiJodHRwczovL2V2aWwuZXhhbXBsZSIsImp3a3NfdXJpIjoiaHR0cHM6Ly9ldmlsLmV4YW1wbGUifQ."
)

// TestDiscover covers R-DI-02, R-DI-03, R-DI-04, R-DI-05, R-DI-06 and R-DI-08: a
// document with another issuer is never used, and of one with the right issuer only
// the documented members are.
func TestDiscover(t *testing.T) {
	const keys = "https://keys.example/jwks"
	for _, test := range []struct {
		name      string
		documents map[string]string
		path      string // of the issuer
		jwksURI   string // "" if refused
		asked     int32
	}{
		{"RFC 8414", map[string]string{oauth: good}, "", keys, 2},
		{"OpenID Connect", map[string]string{openID: good}, "", keys, 2},
		{"both", map[string]string{oauth: good, openID: good}, "", keys, 2},
		{"of another issuer, then ours", map[string]string{oauth: strings.Replace(good, "ISSUER", "https://evil.example", 1), openID: good}, "", keys, 2},
		{"path, inserted", map[string]string{oauth + "/t": strings.Replace(good, "ISSUER", "ISSUER/t", 1)}, "/t", keys, 3},
		{"path, OpenID inserted", map[string]string{openID + "/t": strings.Replace(good, "ISSUER", "ISSUER/t", 1)}, "/t", keys, 3},
		{"path, appended", map[string]string{"/t" + openID: strings.Replace(good, "ISSUER", "ISSUER/t", 1)}, "/t", keys, 3},
		{"http on loopback", map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"ISSUER/jwks"}`}, "", "ISSUER/jwks", 2},
		{"advertised algorithms", map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"` + keys + `","id_token_signing_alg_values_supported":["none"]}`}, "", keys, 2},
		{"signed_metadata", map[string]string{oauth: `{"signed_metadata":"` + signed + `","issuer":"ISSUER","jwks_uri":"` + keys + `"}`}, "", keys, 2},
		{"broken signed_metadata", map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"` + keys + `","signed_metadata":7}`}, "", keys, 2},
		{"signed_metadata alone", map[string]string{oauth: `{"signed_metadata":"` + signed + `","issuer":"ISSUER"}`}, "", "", 2},
		{"none", nil, "", "", 2},
		{"slash more", map[string]string{oauth: strings.Replace(good, "ISSUER", "ISSUER/", 1)}, "", "", 2},
		{"slash less", map[string]string{oauth: good}, "/", "", 2},
		{"issuer missing", map[string]string{oauth: `{"jwks_uri":"https://keys.example"}`}, "", "", 2},
		{"issuer not a string", map[string]string{oauth: `{"issuer":["ISSUER"],"jwks_uri":"https://keys.example"}`}, "", "", 2},
		{"issuer twice", map[string]string{oauth: `{"issuer":"ISSUER","issuer":"ISSUER","jwks_uri":"https://keys.example"}`}, "", "", 2},
		{"Issuer in another case", map[string]string{oauth: `{"Issuer":"ISSUER","jwks_uri":"https://keys.example"}`}, "", "", 2},
		{"jwks_uri missing", map[string]string{oauth: `{"issuer":"ISSUER"}`}, "", "", 2},
		{"jwks_uri http", map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"http://keys.example"}`}, "", "", 2},
		{"jwks_uri of this machine", map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"http://localhost:9200/_search"}`}, "", "http://localhost:9200/_search", 2},
		{"jwks_uri relative", map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"/jwks"}`}, "", "", 2},
		{"jwks_uri with user", map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"https://a@keys.example"}`}, "", "", 2},
		{"HTML", map[string]string{oauth: `<html>`}, "", "", 2},
		{"array", map[string]string{oauth: `[]`}, "", "", 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			origin, asked := server(t, test.documents)
			issuer := origin + test.path
			metadata, err := discovery.New(discovery.Config{}).Discover(context.Background(), issuer, discovery.Keys)
			if asked.Load() != test.asked {
				t.Errorf("asked %d locations, want %d", asked.Load(), test.asked)
			}
			if test.jwksURI == "" {
				if !errors.Is(err, discovery.ErrNoMetadata) || metadata != nil {
					t.Errorf("%+v, %v, want ErrNoMetadata", metadata, err)
				}
				return
			}
			want := &discovery.Metadata{Issuer: issuer, JWKSURI: strings.Replace(test.jwksURI, "ISSUER", origin, 1)}
			if err != nil || !reflect.DeepEqual(metadata, want) {
				t.Errorf("%+v, %v, want %+v", metadata, err, want)
			}
		})
	}
}

// TestProtectedResources covers the reading of protected_resources for R-DI-10.
func TestProtectedResources(t *testing.T) {
	for text, want := range map[string][]string{
		``:                                 nil,
		`,"protected_resources":[]`:        {},
		`,"protected_resources":["a"]`:     {"a"},
		`,"protected_resources":["a","b"]`: {"a", "b"},
		`,"Protected_resources":7`:         nil,
	} {
		issuer, _ := server(t, map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"https://keys.example"` + text + `}`})
		metadata, err := discovery.New(discovery.Config{}).Discover(context.Background(), issuer, discovery.Keys)
		if err != nil || !reflect.DeepEqual(metadata.ProtectedResources, want) {
			t.Errorf("%s: %+v, %v", text, metadata, err)
		}
	}
	for _, value := range []string{`null`, `"a"`, `{}`, `{"a":"b"}`, `true`, `7`, `[7]`, `["a",null]`, `[["a"]]`} {
		issuer, _ := server(t, map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"https://keys.example","protected_resources":` + value + `}`})
		metadata, err := discovery.New(discovery.Config{}).Discover(context.Background(), issuer, discovery.Keys)
		if err != nil || metadata.ProtectedResources != nil { // nothing but a warning depends on it
			t.Errorf("%s: %+v, %v", value, metadata, err)
		}
	}
}

// TestErrorsTellEachURL checks that the error names each URL with its reason.
func TestErrorsTellEachURL(t *testing.T) {
	issuer, _ := server(t, map[string]string{oauth: `{"issuer":"https://evil.example","jwks_uri":"https://keys.example"}`})
	_, err := discovery.New(discovery.Config{}).Discover(context.Background(), issuer, discovery.Keys)
	for _, want := range []string{issuer + oauth, "byte for byte", issuer + openID, "404"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not told: %v", want, err)
		}
	}
}

// TestErrorsTellTheCause checks that each way to fail has an error of its own.
func TestErrorsTellTheCause(t *testing.T) {
	html, _ := server(t, map[string]string{oauth: "<html>"})
	for issuer, want := range map[string]string{
		html:                     "not one JSON document",
		"https://as.example?a=b": "without query",
	} {
		_, err := discovery.New(discovery.Config{}).Discover(context.Background(), issuer, discovery.Keys)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", issuer, err, want)
		}
	}
}

func TestInsecureAllowHTTP(t *testing.T) {
	issuer, _ := server(t, map[string]string{oauth: `{"issuer":"ISSUER","jwks_uri":"http://keys.example"}`})
	metadata, err := discovery.New(discovery.Config{InsecureAllowHTTP: true}).Discover(context.Background(), issuer, discovery.Keys)
	if err != nil || metadata.JWKSURI != "http://keys.example" {
		t.Errorf("%+v, %v", metadata, err)
	}
}

// TestRemoteIssuerNamesThisMachine checks that an https issuer cannot cause plain
// http requests to services on this machine.
func TestRemoteIssuerNamesThisMachine(t *testing.T) {
	var issuer string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"issuer":"` + issuer + `","jwks_uri":"http://127.0.0.1:9200/_search"}`))
	}))
	defer s.Close()
	issuer = s.URL
	_, err := discovery.New(discovery.Config{HTTPClient: s.Client()}).Discover(context.Background(), issuer, discovery.Keys)
	if err == nil || !strings.Contains(err.Error(), "jwks_uri is http, and the document is not") {
		t.Errorf("%v", err)
	}
	_, err = discovery.New(discovery.Config{HTTPClient: s.Client(), InsecureAllowHTTP: true}).Discover(context.Background(), issuer, discovery.Keys)
	if err != nil {
		t.Errorf("InsecureAllowHTTP: %v", err)
	}
}

// TestIllTypedMembers checks that members which nothing depends on may have any value,
// and that each member which is used is judged when it is looked for.
func TestIllTypedMembers(t *testing.T) {
	issuer, _ := server(t, map[string]string{oauth: `{
		"issuer":"ISSUER","jwks_uri":"https://keys.example","introspection_endpoint":7,"token_endpoint":null,
		"scopes_supported":"openid profile","claims_supported":null,"grant_types_supported":{},"response_types_supported":[null],
		"introspection_endpoint_auth_methods_supported":"client_secret_basic","token_endpoint_auth_methods_supported":true,
		"access_token_issuer":{},"signed_metadata":7,"mtls_endpoint_aliases":null
	}`})
	metadata, err := discovery.New(discovery.Config{}).Discover(t.Context(), issuer, discovery.Keys)
	if err != nil || metadata.JWKSURI != "https://keys.example" || metadata.IntrospectionAuthMethods != nil || metadata.Has(discovery.Introspection) {
		t.Errorf("%+v, %v", metadata, err)
	}
	for need, told := range map[discovery.Need]string{
		discovery.Introspection: "introspection_endpoint is not a string", discovery.Token: "has no token_endpoint",
	} {
		if _, err := discovery.New(discovery.Config{}).Discover(t.Context(), issuer, need); !errors.Is(err, discovery.ErrMissing) || !strings.Contains(err.Error(), told) {
			t.Errorf("%v, want %q", err, told)
		}
	}
}

// TestMediaTypes covers R-DI-05: what is the issuer's metadata is used, whatever its
// Content-Type, and what is none is told with its type.
func TestMediaTypes(t *testing.T) {
	for _, mediaType := range []string{"application/json", "application/json; charset=utf-8", "text/plain", "text/html", "application/octet-stream", "", "/;;"} {
		for text, want := range map[string]string{
			`{"issuer":"ISSUER","jwks_uri":"https://keys.example"}`:           "",
			"\ufeff{\"issuer\":\"ISSUER\",\"jwks_uri\":\"https://a.test\"}\n": "",
			`<html>`:                "HTML or XML",
			"\ufeff\ufeff{}":        "a byte order mark",
			`{"issuer":"ISSUER"} x`: "text after the end",
		} {
			var s *httptest.Server
			s = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Content-Type"] = []string{mediaType}
				_, _ = w.Write([]byte(strings.ReplaceAll(text, "ISSUER", s.URL)))
			}))
			metadata, err := discovery.New(discovery.Config{}).Discover(t.Context(), s.URL, discovery.Keys)
			s.Close()
			shown, _, _ := strings.Cut(mediaType, ";")
			if shown = "Content-Type is not JSON but " + shown; len(mediaType) < 4 {
				shown = "Content-Type is not JSON but absent or unreadable"
			}
			if strings.HasPrefix(mediaType, "application/json") {
				shown = ""
			}
			switch {
			case want == "" && (err != nil || metadata.JWKSURI == ""):
				t.Errorf("%q, %s: %v", mediaType, text, err)
			case want != "" && (!errors.Is(err, discovery.ErrDocument) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), shown) || shown == "" && errors.Is(err, fetch.ErrNotJSON)):
				t.Errorf("%q, %s: %v", mediaType, text, err)
			}
		}
	}
}
