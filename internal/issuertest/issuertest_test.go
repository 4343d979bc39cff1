package issuertest_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// expect validates a token and compares the reason; "" means accepted.
func expect(t *testing.T, v *validator.Validator, p validator.Presentation, want validator.Reason) {
	t.Helper()
	if _, err := v.Validate(t.Context(), p); validator.ReasonOf(err) != want {
		t.Errorf("reason %q, want %q: %v", validator.ReasonOf(err), want, err)
	}
}

// failing is a test that panics at Fatal and remembers it.
type failing struct {
	testing.TB

	failed bool
}

func (f *failing) Helper() {}

func (f *failing) Fatal(...any) {
	f.failed = true
	panic(f)
}

// TestPackageComment contains the code of the package comment.
func TestPackageComment(t *testing.T) {
	is := issuertest.New(t)
	v := is.Validator(t)
	guard := is.Guard(t, middleware.Config{})
	good, bad := is.Token(nil), is.Token(issuertest.Claims{"aud": "https://other.test"})
	expect(t, v, issuertest.Bearer(good), "")
	expect(t, guard.Validator(), issuertest.Bearer(bad), validator.WrongAudience)
	v = is.Validator(t, is.Fetched, func(c *validator.Issuer) { c.Grants = []string{"read"} })
	token, err := v.Validate(t.Context(), is.Bearer(issuertest.Claims{"scope": "read write"}))
	if err != nil || !token.HasScope("read") || token.HasScope("write") {
		t.Errorf("%v, %v", token, err)
	}
}

func TestValidator(t *testing.T) {
	is := issuertest.New(t)
	v := is.Validator(t)
	expect(t, v, is.Bearer(nil), "")
	expect(t, v, is.Bearer(issuertest.Claims{"aud": "https://other.test"}), validator.WrongAudience)
	expect(t, v, is.Bearer(issuertest.Claims{"jti": nil}), validator.BadClaims)
	is.Rotate()
	expect(t, v, is.Bearer(nil), validator.UnknownKey)
	if n := is.Requests(testissuer.JWKS); n != 0 {
		t.Errorf("%d fetches, want none", n)
	}
	strict := is.Validator(t, func(c *validator.Issuer) { c.Audiences = []string{"https://other.test"} })
	expect(t, strict, is.Bearer(nil), validator.WrongAudience)
	expect(t, strict, is.Bearer(issuertest.Claims{"aud": "https://other.test"}), "")
}

func TestFetched(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.Start(t, testissuer.Config{URL: "https://login.test/a", Audience: "https://orders.test"})
		v := is.Validator(t, is.Fetched)
		expect(t, v, is.Bearer(nil), "")
		if n := is.Requests(testissuer.JWKS); n != 1 {
			t.Errorf("%d fetches, want one", n)
		}
	})
}

func TestLoopback(t *testing.T) {
	is := issuertest.Loopback(t)
	v := is.Validator(t, is.Fetched, func(c *validator.Issuer) { c.HTTPClient = nil })
	expect(t, v, is.Bearer(nil), "")
}

func TestGuard(t *testing.T) {
	is := issuertest.New(t)
	h := is.Guard(t, middleware.Config{Realm: "orders"}).Require(scopes.Authenticated(), http.NotFoundHandler())
	for token, want := range map[string]int{is.Token(nil): http.StatusNotFound, "a.b.c": http.StatusUnauthorized} {
		r, w := httptest.NewRequest(http.MethodGet, "/", http.NoBody), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+token)
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%q: %d, want %d", token, w.Code, want)
		}
	}
}

// introspected asks about a token as an introspect.Client says, and returns whether it
// is active.
func introspected(t *testing.T, is *issuertest.Issuer, client *introspect.Client, token string) bool {
	t.Helper()
	basic := client.Authentication.(introspect.ClientSecretBasic)
	secret, err := basic.Secret.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	form := strings.NewReader(url.Values{"token": {token}}.Encode())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, client.Endpoint, form)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(secret))
	response, err := is.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("status %d: %s, %v", response.StatusCode, body, err)
	}
	return strings.Contains(string(body), `"active":true`)
}

func TestOpaqueConfig(t *testing.T) {
	is := issuertest.New(t)
	for name, of := range map[string]func(...func(*validator.Issuer)) validator.Issuer{
		"opaque": is.OpaqueConfig, "hybrid": is.HybridConfig,
	} {
		config := of(func(c *validator.Issuer) { c.Grants = []string{"read"} })
		if (config.Keys != nil) != (name == "hybrid") || config.HTTPClient == nil || len(config.Grants) != 1 {
			t.Errorf("%s: %v", name, config)
		}
		revoked := is.OpaqueToken(nil)
		is.Revoke(revoked)
		if !introspected(t, is, config.Opaque, is.OpaqueToken(nil)) || introspected(t, is, config.Opaque, revoked) {
			t.Errorf("%s: the answers are wrong", name)
		}
		issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{config}})
	}
	if p := is.OpaqueBearer(nil); p.Scheme != validator.Bearer || !introspected(t, is, is.OpaqueConfig().Opaque, p.Token) {
		t.Errorf("%v", p)
	}
}

// TestFaults shows that faults fail the test.
func TestFaults(t *testing.T) {
	is := issuertest.New(t)
	for name, set := range map[string]func(*failing){
		"At":        func(f *failing) { issuertest.At(f, "https://a.test/?b") },
		"Start":     func(f *failing) { issuertest.Start(f, testissuer.Config{URL: "ftp://a"}) },
		"Validator": func(f *failing) { is.Validator(f, func(c *validator.Issuer) { c.Audiences = nil }) },
		"Guard":     func(f *failing) { is.Guard(f, middleware.Config{Realm: "\n"}) },
	} {
		f := &failing{TB: t}
		func() {
			defer func() { _ = recover() }()
			set(f)
		}()
		if !f.failed {
			t.Errorf("%s: the test did not fail", name)
		}
	}
}
