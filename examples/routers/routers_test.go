package routers

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

func newValidator(t *testing.T, issuer *testissuer.Issuer) *validator.Validator {
	t.Helper()
	v, err := validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL: issuer.URL(), Audiences: []string{"https://api.test"},
		Tenant: validator.TenantRule{Claim: "tenant", Owned: []string{"acme", "other"}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestRouters checks that the API answers the same under every router: no handler runs
// for a refused request, and the policy reads the values in the path.
func TestRouters(t *testing.T) {
	gin.SetMode(gin.TestMode)
	issuer := testissuer.New(t)
	token := func(tenant, scope string) string {
		return "Bearer " + issuer.Sign(testissuer.Token{Scope: scope, Claims: map[string]any{"tenant": tenant}})
	}
	good := token("acme", "orders:read")
	for name, made := range map[string]func(*validator.Validator) (http.Handler, error){
		"chi": chiAPI, "gin": ginAPI, "gorilla": gorillaAPI,
	} {
		api, err := made(newValidator(t, issuer))
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			target, authorization string
			status                int
		}{
			{"/acme/orders", good, 200},
			{"/acme/orders", "", 401},
			{"/acme/orders", "Bearer bad", 401},
			{"/acme/orders", token("acme", "other"), 403},
			{"/acme/orders", token("other", "orders:read"), 403},
			{"/other/orders", good, 403},
			{"/other/orders?tenant=acme", good, 403},
			{"/acm%65/orders", token("other", "orders:read"), 403},
			{"/nothing", "", 401},
			{"/nothing", good, 404},
			{"/other/../acme/orders", good, 400},
			{"/acme%2Forders", good, 400},
			// Another method or one more slash is not listed, like any other path.
			{"POST /acme/orders", "", 401},
			{"HEAD /acme/orders", "", 401},
			{"OPTIONS /acme/orders", "", 401},
			{"FOO /acme/orders", "", 401},
			{"FOO /nothing", "", 401},
			{"/acme/orders/", "", 401},
			{"POST /acme/orders/", "", 401},
			{"/acme", "", 401},
			{"/acme/", "", 401},
			{"/", "", 401},
			{"POST /acme/orders", "Bearer bad", 401},
			{"POST /acme/orders", good, 404},
			{"HEAD /acme/orders", good, 404},
			{"FOO /acme/orders", good, 404},
			{"/acme/orders/", good, 404},
		} {
			method, path, named := strings.Cut(test.target, " ")
			if !named {
				method, path = http.MethodGet, test.target
			}
			r := httptest.NewRequest(method, path, nil)
			if test.authorization != "" {
				r.Header.Set("Authorization", test.authorization)
			}
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			ran := strings.Contains(w.Body.String(), "orders for")
			if w.Code != test.status || ran != (test.status == 200) || ran && w.Body.String() != "orders for user-1\n" {
				t.Errorf("%s: %s: %d %q, want %d", name, test.target, w.Code, w.Body, test.status)
			}
			if header := w.Header(); header["Allow"] != nil || header["Location"] != nil || w.Code == 401 && header["Www-Authenticate"] == nil {
				t.Errorf("%s: %s: %v", name, test.target, w.Header())
			}
		}
	}
}

// TestGinHandlers checks which handlers of gin run: none behind the guard for a refused
// request, and all for another. Those in front of the guard can tell which it was.
func TestGinHandlers(t *testing.T) {
	gin.SetMode(gin.TestMode)
	issuer := testissuer.New(t)
	guard, err := middleware.New(middleware.Config{Validator: newValidator(t, issuer)})
	if err != nil {
		t.Fatal(err)
	}
	var ran, aborted, override int
	router := gin.New()
	router.Use(func(c *gin.Context) {
		c.Next()
		if c.IsAborted() {
			aborted++
		}
	})
	group := router.Group("/", ginRequire(guard, scopes.All("orders:read")))
	group.Any("/orders", func(*gin.Context) { ran++ }, func(c *gin.Context) {
		ran++
		if c.GetHeader("X-HTTP-Method-Override") != "" {
			override++
		}
		c.String(http.StatusOK, middleware.TokenFrom(c.Request.Context()).Subject())
	})
	for i, test := range []struct {
		method, authorization string
		status, ran, aborted  int
		body                  string
	}{
		{http.MethodGet, "", 401, 0, 1, "Unauthorized"},
		{http.MethodHead, "", 401, 0, 1, ""},
		{http.MethodPost, "Bearer bad", 401, 0, 1, "Unauthorized"},
		{http.MethodGet, "Bearer " + issuer.Sign(testissuer.Token{Scope: "other", Claims: map[string]any{"tenant": "acme"}}), 403, 0, 1, "Forbidden"},
		{http.MethodGet, "Bearer " + issuer.Sign(testissuer.Token{Scope: "orders:read", Claims: map[string]any{"tenant": "acme"}}), 200, 2, 0, "user-1"},
	} {
		ran, aborted = 0, 0
		r := httptest.NewRequest(test.method, "/orders", nil)
		r.Header.Set("X-Http-Method-Override", "DELETE")
		if test.authorization != "" {
			r.Header.Set("Authorization", test.authorization)
		}
		w := httptest.NewRecorder()
		router.ServeHTTP(w, r)
		body, _ := io.ReadAll(w.Body)
		if w.Code != test.status || ran != test.ran || aborted != test.aborted || !strings.Contains(string(body), test.body) || override != 0 {
			t.Errorf("request %d: %d %q, %d handlers ran, aborted %d times, %d overrides", i, w.Code, body, ran, aborted, override)
		}
		if (w.Header().Get("WWW-Authenticate") == "") != (test.status == 200) {
			t.Errorf("request %d: %v", i, w.Header())
		}
	}
}

// TestGinForms checks that the files of a multipart form are deleted with the request.
func TestGinForms(t *testing.T) {
	gin.SetMode(gin.TestMode)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	issuer := testissuer.New(t)
	guard, err := middleware.New(middleware.Config{Validator: newValidator(t, issuer)})
	if err != nil {
		t.Fatal(err)
	}
	router := gin.New()
	router.MaxMultipartMemory = 1
	kept := 0
	router.POST("/files", ginRequire(guard, scopes.Authenticated()), func(c *gin.Context) {
		if _, err := c.MultipartForm(); err != nil {
			t.Error(err)
		}
		files, _ := os.ReadDir(dir)
		kept = len(files)
	})
	server := httptest.NewServer(router)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, err := form.CreateFormFile("f", "f")
	if err != nil {
		t.Fatal(err)
	}
	_, _ = file.Write(make([]byte, 1<<20))
	_ = form.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/files", &body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	r.Header.Set("Authorization", "Bearer "+issuer.Sign(testissuer.Token{Claims: map[string]any{"tenant": "acme"}}))
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	server.Close() // waits until the request has ended
	if left, _ := os.ReadDir(dir); response.StatusCode != http.StatusOK || kept != 1 || len(left) != 0 {
		t.Errorf("%d, %d files while the handler ran, %d afterwards", response.StatusCode, kept, len(left))
	}
}
