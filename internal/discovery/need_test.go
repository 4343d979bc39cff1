package discovery_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/testissuer"
)

const (
	inspect   = "https://as.example/introspect"
	tokens    = "https://as.example/token"
	asking    = discovery.Introspection
	withToken = discovery.Introspection | discovery.Token
)

// TestIntrospectionEndpoint covers R-DI-02 and R-DI-04 for the introspection endpoint:
// it may be in either document of the issuer, and only there. A document needs only the
// members that are looked for.
func TestIntrospectionEndpoint(t *testing.T) {
	const methods = "introspection_endpoint_auth_methods_supported"
	for _, test := range []struct {
		name          string
		need          discovery.Need
		oauth, openID string // the members beside issuer; "" is no document
		want          discovery.Metadata
	}{
		{"without keys", asking, `"introspection_endpoint":"` + inspect + `"`, ``, discovery.Metadata{IntrospectionEndpoint: inspect}},
		{"keys that are not allowed are not looked for", asking, `"jwks_uri":"http://as.example","introspection_endpoint":"` + inspect + `"`, ``, discovery.Metadata{IntrospectionEndpoint: inspect}},
		{"only in RFC 8414", asking, `"introspection_endpoint":"` + inspect + `"`, `"jwks_uri":"` + inspect + `"`, discovery.Metadata{IntrospectionEndpoint: inspect, JWKSURI: inspect}},
		{"only in OpenID", asking, `"jwks_uri":"` + inspect + `"`, `"introspection_endpoint":"` + inspect + `"`, discovery.Metadata{IntrospectionEndpoint: inspect, JWKSURI: inspect}},
		{"not allowed in the first", asking, `"introspection_endpoint":"http://as.example"`, `"introspection_endpoint":"` + inspect + `"`, discovery.Metadata{IntrospectionEndpoint: inspect}},
		{"both the same", asking, `"introspection_endpoint":"` + inspect + `"`, `"introspection_endpoint":"` + inspect + `"`, discovery.Metadata{IntrospectionEndpoint: inspect}},
		{"keys without an endpoint", discovery.Keys, `"jwks_uri":"` + inspect + `"`, ``, discovery.Metadata{JWKSURI: inspect}},
		{"an endpoint that is not allowed, and keys are looked for", discovery.Keys, `"jwks_uri":"` + inspect + `","introspection_endpoint":"http://as.example"`, ``, discovery.Metadata{JWKSURI: inspect}},
		{"http where the issuer is http", asking, `"introspection_endpoint":"http://localhost:1/i"`, ``, discovery.Metadata{IntrospectionEndpoint: "http://localhost:1/i"}},
		{"methods", asking, `"introspection_endpoint":"` + inspect + `","` + methods + `":["private_key_jwt","none"]`, ``, discovery.Metadata{IntrospectionEndpoint: inspect, IntrospectionAuthMethods: []string{"private_key_jwt", "none"}}},
		{"no methods", asking, `"introspection_endpoint":"` + inspect + `","` + methods + `":[]`, ``, discovery.Metadata{IntrospectionEndpoint: inspect, IntrospectionAuthMethods: []string{}}},
		{"methods of the token endpoint say nothing", asking, `"introspection_endpoint":"` + inspect + `","token_endpoint_auth_methods_supported":["none"]`, ``, discovery.Metadata{IntrospectionEndpoint: inspect}},
		{"methods of a document without the endpoint", asking, `"` + methods + `":["none"]`, `"introspection_endpoint":"` + inspect + `"`, discovery.Metadata{IntrospectionEndpoint: inspect}},
		{"methods that are no array", asking, `"introspection_endpoint":"` + inspect + `","` + methods + `":"none"`, ``, discovery.Metadata{IntrospectionEndpoint: inspect}},
		{"methods that are too many", asking, `"introspection_endpoint":"` + inspect + `","` + methods + `":["` + strings.Repeat("x", 4<<10) + `"]`, ``, discovery.Metadata{IntrospectionEndpoint: inspect}},
		{"the token endpoint alone", discovery.Token, `"token_endpoint":"` + tokens + `"`, ``, discovery.Metadata{TokenEndpoint: tokens}},
		{"each in one document", withToken, `"token_endpoint":"` + tokens + `"`, `"introspection_endpoint":"` + inspect + `"`, discovery.Metadata{IntrospectionEndpoint: inspect, TokenEndpoint: tokens}},
	} {
		t.Run(test.name, func(t *testing.T) {
			issuer, _ := server(t, documentsWith(test.oauth, test.openID))
			metadata, err := discovery.New(discovery.Config{}).Discover(t.Context(), issuer, test.need)
			test.want.Issuer = issuer
			if err != nil || !reflect.DeepEqual(metadata, &test.want) {
				t.Errorf("%+v, %v, want %+v", metadata, err, test.want)
			}
		})
	}
}

// documentsWith returns the documents of an issuer with these members.
func documentsWith(oauthMembers, openIDMembers string) map[string]string {
	documents := map[string]string{}
	for path, members := range map[string]string{oauth: oauthMembers, openID: openIDMembers} {
		if members != "" {
			documents[path] = `{"issuer":"ISSUER",` + members + `}`
		}
	}
	return documents
}

// TestMissingEndpoint covers R-DI-04 for the members that are looked for. No document of
// the issuer has a usable one: the error names the documents that were read and what
// each lacks, the old name of the introspection endpoint too, and quotes no URL of the
// document.
func TestMissingEndpoint(t *testing.T) {
	for _, test := range []struct {
		name          string
		need          discovery.Need
		oauth, openID string
		lacks         bool // ErrMissing
		told          []string
	}{
		{"nowhere", asking, `"jwks_uri":"` + inspect + `"`, `"jwks_uri":"` + inspect + `"`, true, []string{oauth + ": ", openID + ": ", "has no introspection_endpoint"}},
		{"in one document, the other is missing", asking, ``, `"jwks_uri":"` + inspect + `"`, true, []string{oauth + ": ", "404", openID + ": discovery: incomplete metadata: the document has no introspection_endpoint"}},
		{"no document", asking, ``, ``, false, []string{"404"}},
		{"the old name", asking, `"token_introspection_endpoint":"https://as.example/old"`, ``, true, []string{"token_introspection_endpoint, an old name"}},
		{"no string", asking, `"introspection_endpoint":["` + inspect + `"]`, ``, true, []string{"introspection_endpoint is not a string"}},
		{"another case", asking, `"Introspection_endpoint":"` + inspect + `"`, ``, true, nil},
		{"plain http", asking, `"introspection_endpoint":"http://as.example/old"`, ``, false, []string{"introspection_endpoint is not allowed"}},
		{"relative", asking, `"introspection_endpoint":"/old"`, ``, false, []string{"introspection_endpoint is not allowed"}},
		{"with user information", asking, `"introspection_endpoint":"https://old@as.example"`, ``, false, []string{"introspection_endpoint is not allowed"}},
		{"no token endpoint", withToken, `"introspection_endpoint":"` + inspect + `"`, ``, true, []string{"has no token_endpoint"}},
		{"token endpoint with plain http", discovery.Token, `"token_endpoint":"http://as.example/old"`, ``, false, []string{"token_endpoint is not allowed"}},
		{"only the token endpoint", withToken, `"token_endpoint":"` + tokens + `"`, ``, true, []string{"has no introspection_endpoint"}},
		{"no keys", discovery.Keys, `"introspection_endpoint":"` + inspect + `"`, ``, true, []string{"has no jwks_uri"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			issuer, _ := server(t, documentsWith(test.oauth, test.openID))
			metadata, err := discovery.New(discovery.Config{}).Discover(t.Context(), issuer, test.need)
			if metadata != nil || !errors.Is(err, discovery.ErrNoMetadata) || errors.Is(err, discovery.ErrMissing) != test.lacks {
				t.Fatalf("%+v, %v", metadata, err)
			}
			for _, want := range test.told {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not told: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "/old") || strings.Contains(err.Error(), "old@") {
				t.Errorf("a URL of the document is quoted: %v", err)
			}
		})
	}
}

// TestEndpointsOfThisMachine checks that an https issuer cannot have tokens and
// credentials sent over plain http to this machine, unless the configuration allows
// http.
func TestEndpointsOfThisMachine(t *testing.T) {
	var issuer string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"issuer":"` + issuer + `","introspection_endpoint":"http://127.0.0.1:9200/a","token_endpoint":"http://127.0.0.1:9200/b"}`))
	}))
	defer s.Close()
	issuer = s.URL
	for name, need := range map[string]discovery.Need{"introspection_endpoint": discovery.Introspection, "token_endpoint": discovery.Token} {
		_, err := discovery.New(discovery.Config{HTTPClient: s.Client()}).Discover(t.Context(), issuer, need)
		if err == nil || !strings.Contains(err.Error(), name+" is http, and the document is not") {
			t.Errorf("%s: %v", name, err)
		}
		metadata, err := discovery.New(discovery.Config{HTTPClient: s.Client(), InsecureAllowHTTP: true}).Discover(t.Context(), issuer, need)
		if err != nil || !metadata.Has(need) {
			t.Errorf("%s: InsecureAllowHTTP: %v", name, err)
		}
	}
}

// discoverNeed is discover for other members than keys.
func discoverNeed(ctx context.Context, issuer *testissuer.Issuer, need discovery.Need) (*discovery.Metadata, time.Duration, error) {
	start := time.Now()
	metadata, err := discovery.New(discovery.Config{HTTPClient: issuer.Client()}).Discover(ctx, issuer.URL(), need)
	return metadata, time.Since(start), err
}

// TestLateEndpoint covers R-DI-02: the two seconds for further documents begin when all
// that is looked for is there. A document without it does not begin them.
func TestLateEndpoint(t *testing.T) {
	endpoint := map[string]any{"introspection_endpoint": inspect, "token_endpoint": nil}
	token := map[string]any{"token_endpoint": tokens}
	neither := map[string]any{"token_endpoint": nil}
	for _, test := range []struct {
		name    string
		need    discovery.Need
		changes [3]map[string]any
		delays  [3]time.Duration
		took    time.Duration
		found   bool
	}{
		{"at once", asking, [3]map[string]any{neither, endpoint, neither}, [3]time.Duration{}, 0, true},
		{"in a late document", asking, [3]map[string]any{neither, neither, endpoint}, [3]time.Duration{0, 0, 4 * time.Second}, 4 * time.Second, true},
		{"one hangs", asking, [3]map[string]any{neither, endpoint, neither}, [3]time.Duration{0, time.Second, hung}, 3 * time.Second, true},
		{"the second member is late", withToken, [3]map[string]any{endpoint, token, neither}, [3]time.Duration{0, 2500 * time.Millisecond, hung}, 4500 * time.Millisecond, true},
		{"nowhere, and one hangs", asking, [3]map[string]any{neither, neither, neither}, [3]time.Duration{0, 0, hung}, 5 * time.Second, false},
		{"keys do not wait for an endpoint", discovery.Keys, [3]map[string]any{neither, neither, endpoint}, [3]time.Duration{0, 0, hung}, 2 * time.Second, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := startIssuer(t)
				defer issuer.Close()
				for at, e := range documents {
					change(issuer, e, test.changes[at])
					issuer.Behave(e, testissuer.Behaviour{Delay: test.delays[at]})
				}
				metadata, took, err := discoverNeed(t.Context(), issuer, test.need)
				if took != test.took || (err == nil) != test.found || test.found && !metadata.Has(test.need) {
					t.Errorf("%+v, %v after %v, want found: %t after %v", metadata, err, took, test.found, test.took)
				}
			})
		})
	}
}

// TestEndpointsDisagree covers R-DI-09 for the endpoints that are looked for: documents
// that name different ones are refused, with both and without their queries. Documents
// without one disagree with nobody.
func TestEndpointsDisagree(t *testing.T) {
	const query = "?secret=1"
	for _, test := range []struct {
		name    string
		need    discovery.Need
		changes [3]map[string]any
		told    []string // nil: no error
	}{
		{"introspection endpoint", asking, [3]map[string]any{{"introspection_endpoint": inspect + query}, nil, {"introspection_endpoint": inspect + "/2" + query}}, []string{`"` + inspect + `" as introspection_endpoint`, `"` + inspect + `/2"`}},
		{"token endpoint", withToken, [3]map[string]any{{"introspection_endpoint": inspect}, nil, {"token_endpoint": tokens}}, []string{"as token_endpoint", `"` + tokens + `"`}},
		{"token endpoint that is not looked for", asking, [3]map[string]any{{"introspection_endpoint": inspect}, nil, {"token_endpoint": tokens}}, nil},
		{"key URL that is not looked for", asking, [3]map[string]any{{"introspection_endpoint": inspect}, nil, {"jwks_uri": tokens}}, nil},
		{"introspection endpoint that is not looked for", discovery.Keys, [3]map[string]any{{"introspection_endpoint": inspect}, nil, {"introspection_endpoint": tokens}}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := startIssuer(t)
				defer issuer.Close()
				for at, e := range documents {
					change(issuer, e, test.changes[at])
				}
				metadata, _, err := discoverNeed(t.Context(), issuer, test.need)
				if test.told == nil {
					if err != nil || !metadata.Has(test.need) {
						t.Errorf("%+v, %v", metadata, err)
					}
					return
				}
				if !errors.Is(err, discovery.ErrDisagree) || metadata != nil || strings.Contains(err.Error(), query) {
					t.Fatalf("%+v, %v, want ErrDisagree", metadata, err)
				}
				for _, want := range test.told {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%q is not told: %v", want, err)
					}
				}
			})
		})
	}
}

// TestMembersBeside checks that a member which is not looked for is returned only if all
// documents came and agree on it.
func TestMembersBeside(t *testing.T) {
	endpoint := map[string]any{"introspection_endpoint": inspect}
	for name, test := range map[string]struct {
		changes [3]map[string]any
		late    testissuer.Behaviour // of the last document
		want    string
	}{
		"in one":                       {[3]map[string]any{nil, endpoint, nil}, testissuer.Behaviour{}, inspect},
		"in all":                       {[3]map[string]any{endpoint, endpoint, endpoint}, testissuer.Behaviour{}, inspect},
		"in one, another is not there": {[3]map[string]any{endpoint, nil, nil}, testissuer.Behaviour{Status: http.StatusNotFound}, inspect},
		"in one, another is too late":  {[3]map[string]any{endpoint, nil, nil}, testissuer.Behaviour{Delay: hung}, ""},
		"two differ":                   {[3]map[string]any{endpoint, nil, {"introspection_endpoint": tokens}}, testissuer.Behaviour{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := startIssuer(t)
				defer issuer.Close()
				for at, e := range documents {
					change(issuer, e, test.changes[at])
				}
				issuer.Behave(documents[2], test.late)
				metadata, _, err := discoverNeed(t.Context(), issuer, discovery.Keys)
				if err != nil || metadata.IntrospectionEndpoint != test.want || metadata.JWKSURI != issuer.JWKSURL() {
					t.Errorf("%+v, %v, want %q", metadata, err, test.want)
				}
			})
		})
	}
}
