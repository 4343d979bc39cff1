package middleware_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// publicCase is one case of testdata/http-public.json.
type publicCase struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Area    string `json:"area"`
	Setup   string `json:"setup"`
	Request struct {
		Method  string      `json:"method"`
		Path    string      `json:"path"`
		Headers [][2]string `json:"headers"`
		Body    string      `json:"body"`
	} `json:"request"`
	Expect struct {
		Status   []json.RawMessage `json:"status"`
		Contains []string          `json:"www_authenticate_contains"`
		Absent   []string          `json:"www_authenticate_absent"`
	} `json:"expect"`
}

// notYet names the part that will run a case, for those that cannot run now.
var notYet = map[string]string{
	"http-072": "waits for dpop",
	"http-075": "waits for dpop",
	"http-081": "waits for dpop",
	"http-084": "waits for dpop",
	"http-085": "waits for dpop",
	"http-086": "waits for dpop",
	"http-088": "waits for dpop",
	"http-089": "waits for dpop",
	"http-090": "waits for dpop",
	"http-094": "waits for certificate-bound tokens in validator",
	"http-099": "waits for certificate-bound tokens in validator",
	"http-106": "waits for certificate-bound tokens in validator",
}

// elsewhere names the test that runs a case of another transport.
var elsewhere = map[string]string{
	"http-121": "TestVectors of grpcauth",
	"http-122": "TestVectors of grpcauth",
	"http-127": "TestVectors of grpcauth",
	"http-128": "TestVectors of grpcauth",
	"http-130": "TestVectors of grpcauth",
}

// notApplicable says why a case will never run.
var notApplicable = map[string]string{
	"http-022": "tokens in the query cannot be enabled (R-BT-05); TestTokenInURL has what happens to them",
}

// scene is the setting of a case: an issuer in memory and the API behind a guard.
type scene struct {
	issuer *issuertest.Issuer
	api    http.Handler
}

func newScene(t *testing.T, c *publicCase) *scene {
	t.Helper()
	issuer := issuertest.Start(t, testissuer.Config{Audience: "https://api.example.com"})
	s := &scene{issuer: issuer}
	s.misbehave(c.ID)
	realm, _ := strings.CutPrefix(c.Setup, "realm ")
	if realm == c.Setup {
		realm = ""
	}
	config := middleware.Config{Realm: realm}
	if c.Setup == "resource_metadata set" {
		config.ResourceMetadata = "https://api.example.com/.well-known/oauth-protected-resource"
	}
	guard := issuer.Guard(t, config, issuer.Fetched)
	if c.Area == "introspection" {
		config.Validator = issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{issuer.OpaqueConfig()}})
		guard = issuertest.Guard(t, config)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	if c.Setup == "authentication optional" {
		s.api = guard.Require(scopes.Optional(scopes.All("read")), ok)
		return s
	}
	mux := guard.NewMux()
	mux.Handle("/orders", scopes.All("read"), ok)
	mux.Handle("/admin", scopes.All("admin"), ok)
	mux.Handle("/public/", scopes.Public(), ok)
	mux.Handle("/step-up", scopes.ACR("myACR"), ok)
	mux.Handle("/step-up-age", scopes.MaxAuthAge(5*time.Minute), ok)
	s.api = mux
	return s
}

// misbehave sets the issuer up for the cases about keys, and for those about
// introspection, whose token is the text "opaque".
func (s *scene) misbehave(id string) {
	switch id {
	case "http-051":
		s.issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: http.StatusInternalServerError})
	case "http-053":
		s.issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Body: []byte(`{"keys":[`)})
	case "http-054":
		s.issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Body: []byte("<html>"), Header: http.Header{"Content-Type": {"text/html"}}})
	case "http-060":
		s.issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Second})
	case "http-061":
		for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
			s.issuer.Behave(e, testissuer.Behaviour{Times: 1, Status: http.StatusInternalServerError})
		}
	case "http-062":
		for _, e := range []testissuer.Endpoint{testissuer.OAuthMetadata, testissuer.OpenIDMetadata} {
			s.issuer.Metadata(e, func(members map[string]any) { members["issuer"] = "https://other.example" })
		}
	case "http-064":
		s.issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Redirect: "http://169.254.169.254/"})
	case "http-108":
		s.issuer.Opaque(testissuer.Token{Text: "opaque", Scope: "read"})
	case "http-109":
		s.issuer.Opaque(testissuer.Token{Text: "opaque", RawClaims: "{}"})
	case "http-112":
		s.issuer.Opaque(testissuer.Token{Text: "opaque", Scope: "read", Fault: testissuer.ScopeArray})
	case "http-066":
		s.issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Body: []byte(`{"keys":[` + strings.Repeat(" ", 10<<20) + "]}")})
	}
}

// before does what the case says happens first.
func (s *scene) before(t *testing.T, c *publicCase) {
	t.Helper()
	switch c.ID {
	case "http-060": // the first caller leaves during the fetch
		ctx, cancel := context.WithCancel(t.Context())
		go s.api.ServeHTTP(httptest.NewRecorder(), s.request(c).WithContext(ctx))
		synctest.Wait()
		cancel()
		synctest.Wait()
	case "http-061": // the first request meets the failed discovery
		if response := serve(s.api, s.request(c)); response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("the first request: %d", response.StatusCode)
		}
		<-time.After(time.Second)
	}
}

// request makes the case's request with tokens of the scene's issuer.
func (s *scene) request(c *publicCase) *http.Request {
	good := testissuer.Token{Scope: "read"}
	bound := func(member string) testissuer.Token {
		return testissuer.Token{Scope: "read", Claims: map[string]any{"cnf": map[string]any{member: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}}
	}
	issued := func(iss string) testissuer.Token {
		return testissuer.Token{Scope: "read", Claims: map[string]any{"iss": iss}}
	}
	tokens := strings.NewReplacer( // the longer names first
		"$T_OTHERISS", s.issuer.Sign(issued("https://other-as.example.net")),
		"$T_NOAUTHTIME", s.issuer.Sign(good),
		"$T_ISS_QUOTES", s.issuer.Sign(issued(`https://evil.example/" , "issuer`)),
		"$T", s.issuer.Sign(good),
		"$BAD", s.issuer.Sign(testissuer.Token{Scope: "read", Forgery: testissuer.ForeignKey}),
		"$NBF", s.issuer.Sign(testissuer.Token{Scope: "read", Claims: map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}}),
		"$DPOPT", s.issuer.Sign(bound("jkt")),
		"$MTLST", s.issuer.Sign(bound("x5t#S256")),
		"(10 MB of a)", strings.Repeat("a", 10<<20),
	)
	path, query, _ := strings.Cut(c.Request.Path, "?")
	r := httptest.NewRequest(c.Request.Method, "/", strings.NewReader(tokens.Replace(c.Request.Body)))
	r.URL.Path, r.URL.RawQuery = path, tokens.Replace(query)
	for _, field := range c.Request.Headers {
		r.Header.Add(field[0], tokens.Replace(field[1]))
	}
	return r
}

// TestHTTPPublic runs the cases of testdata/http-public.json whose packages exist.
func TestHTTPPublic(t *testing.T) {
	text, err := os.ReadFile("../testdata/http-public.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Cases []publicCase }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	ran, later := 0, 0
	for _, c := range file.Cases {
		if part, waits := notYet[c.ID]; waits {
			later++
			t.Logf("%s %s: not yet: %s", c.ID, c.Name, part)
			continue
		}
		if test, other := elsewhere[c.ID]; other {
			t.Logf("%s %s: %s", c.ID, c.Name, test)
			continue
		}
		if why, never := notApplicable[c.ID]; never {
			t.Logf("%s %s: not applicable: %s", c.ID, c.Name, why)
			continue
		}
		ran++
		t.Run(c.ID+" "+c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.run(t) })
		})
	}
	if len(file.Cases) != ran+len(notYet)+len(elsewhere)+len(notApplicable) || later != len(notYet) {
		t.Error("the tables name cases that are not in the file")
	}
	t.Logf("vectors: http-public: %d run, %d elsewhere, %d not yet, %d not applicable", ran, len(elsewhere), len(notYet), len(notApplicable))
}

func (c *publicCase) run(t *testing.T) {
	t.Helper()
	s := newScene(t, c)
	defer s.issuer.Close()
	s.before(t, c)
	response := serve(s.api, s.request(c))
	var allowed []string
	for _, status := range c.Expect.Status {
		allowed = append(allowed, string(status))
	}
	if got := strconv.Itoa(response.StatusCode); !slices.Contains(allowed, got) {
		t.Errorf("status %s, want one of %v", got, allowed)
	}
	challenges := strings.Join(response.Header.Values("WWW-Authenticate"), "\n")
	for _, want := range c.Expect.Contains {
		if !strings.Contains(challenges, want) {
			t.Errorf("%q is not in %q", want, challenges)
		}
	}
	for _, unwanted := range c.Expect.Absent {
		if strings.Contains(challenges, unwanted) {
			t.Errorf("%q is in %q", unwanted, challenges)
		}
	}
	if calls := s.issuer.Requests(testissuer.Introspection); (calls == 1) != (c.Area == "introspection") {
		t.Errorf("%d introspection requests", calls)
	}
	if c.ID == "http-050" && response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", response.Header.Get("Cache-Control"))
	}
}
