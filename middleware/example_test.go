package middleware_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// exampleValidator returns the validator of the examples, and a token that it
// accepts.
func exampleValidator() (v *validator.Validator, token string) {
	issuer, err := testissuer.Start(testissuer.Config{InMemory: true, Audience: "https://api.example.com"})
	if err != nil {
		log.Fatal(err)
	}
	keys, token := issuer.JWKS(), issuer.Sign(testissuer.Token{})
	issuer.Close()
	v, err = validator.New(validator.Config{Issuers: []validator.Issuer{{
		URL:       issuer.URL(),
		Audiences: []string{"https://api.example.com"},
		Keys:      jwkscache.Static(keys),
	}}})
	if err != nil {
		log.Fatal(err)
	}
	return v, token
}

// answer prints what a request gets.
func answer(h http.Handler, r *http.Request) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate")))) //nolint:forbidigo // an example prints
	if body := strings.TrimSpace(w.Body.String()); body != "" {
		fmt.Println(body) //nolint:forbidigo // an example prints
	}
}

// lineWriter hands each line that a logger writes to a channel.
type lineWriter chan string

func (w lineWriter) Write(line []byte) (int, error) {
	w <- string(line)
	return len(line), nil
}

// A logger for refusals. Each line says what was found and what to do, and has no byte of
// the token.
func ExampleConfig_logger() {
	v, token := exampleValidator()
	lines := make(lineWriter, 10) // os.Stderr in a program
	guard, err := middleware.New(middleware.Config{
		Validator: v,
		Logger: slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // so that the example always prints the same
			}
			return a
		}})),
	})
	if err != nil {
		log.Fatal(err)
	}
	h := guard.Require(scopes.All("orders:read"), http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, "/orders", http.NoBody)
	r.Header.Set("Authorization", "Bearer "+token) // without scopes
	h.ServeHTTP(httptest.NewRecorder(), r)
	fmt.Print(<-lines)
	// Output: level=INFO msg="sallyport: request refused" reason=insufficient_scope cause="scopes: All(\"orders:read\") is not met; found scope none; wanted scope \"orders:read\"; let the client ask the issuer for the scope" issuer=https://issuer.test client=client-1 transport=http
}

// A route that also serves callers without credentials. A token that is presented must
// still be valid, and have the scope.
func ExampleMux_optional() {
	v, _ := exampleValidator()
	guard, err := middleware.New(middleware.Config{Validator: v, NoBody: true})
	if err != nil {
		log.Fatal(err)
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /catalog", scopes.Optional(scopes.All("prices:read")), func(w http.ResponseWriter, r *http.Request) {
		if token := middleware.TokenFrom(r.Context()); token.HasScope("prices:read") { // false for a nil Token
			_, _ = io.WriteString(w, "with prices")
			return
		}
		_, _ = io.WriteString(w, "without prices")
	})
	r := httptest.NewRequest(http.MethodGet, "/catalog", http.NoBody)
	answer(mux, r)
	r.Header.Set("Authorization", "Bearer swordfish")
	answer(mux, r)
	// Output:
	// 200
	// without prices
	// 401 Bearer realm="api", error="invalid_token", error_description="The access token is invalid"
}

// A body of one's own for refusals.
func ExampleConfig_denialBody() {
	v, token := exampleValidator()
	guard, err := middleware.New(middleware.Config{
		Validator: v,
		DenialBody: func(w http.ResponseWriter, _ *http.Request, d *middleware.Denial) {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = fmt.Fprintf(w, "no (%d)\n", d.Status)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /me", scopes.Authenticated(), func(http.ResponseWriter, *http.Request) {})
	r := httptest.NewRequest(http.MethodGet, "/me", nil)
	answer(mux, r)
	r.Header.Set("Authorization", "Bearer "+token)
	answer(mux, r)
	// Output:
	// 401 Bearer realm="api"
	// no (401)
	// 200
}

// Behind a proxy that the program knows.
func ExampleGuard_Arrival() {
	v, token := exampleValidator()
	guard, err := middleware.New(middleware.Config{
		Validator:      v,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrival, err := guard.Arrival(r)
		if err != nil {
			http.Error(w, "the proxy cannot be understood", http.StatusBadRequest)
			return
		}
		_, _ = fmt.Fprintf(w, "%s called %s://%s", arrival.Client, arrival.Scheme, arrival.Host)
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = "10.0.0.1:4711"
	r.Header.Set("X-Forwarded-For", "203.0.113.9")
	r.Header.Set("X-Forwarded-Proto", "https")
	api := guard.Require(scopes.Authenticated(), handler)
	answer(api, r)
	r.Header.Set("Authorization", "Bearer "+token)
	answer(api, r)
	// Output:
	// 401 Bearer realm="api"
	// {"type":"about:blank","title":"Unauthorized","status":401}
	// 200
	// 203.0.113.9 called https://example.com
}

// A field that the handler verifies itself reaches it from everybody.
func ExampleConfig_insecureKeepFields() {
	v, _ := exampleValidator()
	guard, err := middleware.New(middleware.Config{
		Validator:          v,
		InsecureKeepFields: []string{"X-Goog-IAP-JWT-Assertion"}, // the handler verifies it
	})
	if err != nil {
		log.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%q %q", r.Header.Get("X-Goog-Iap-Jwt-Assertion"), r.Header.Get("X-Goog-Authenticated-User-Email"))
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("X-Goog-Iap-Jwt-Assertion", "a.b.c")
	r.Header.Set("X-Goog-Authenticated-User-Email", "accounts.google.com:mallory@example.com")
	answer(guard.Require(scopes.Public(), handler), r)
	// Output:
	// 200
	// "a.b.c" ""
}

// allowOrigin is the least that a CORS middleware does.
func allowOrigin(origin string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		if r.Header.Get("Origin") == origin {
			w.Header().Set("Access-Control-Allow-Origin", origin)
			if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
				w.Header().Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
				w.Header().Set("Access-Control-Allow-Headers", "Authorization, DPoP, Content-Type")
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// Preflights are answered in front of the guard, and never reach a handler.
func ExampleConfig_exposeHeaders() {
	v, token := exampleValidator()
	guard, err := middleware.New(middleware.Config{Validator: v, ExposeHeaders: true})
	if err != nil {
		log.Fatal(err)
	}
	mux := guard.NewMux()
	mux.HandleFunc("GET /me", scopes.Authenticated(), func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "me") })
	api := allowOrigin("https://app.example.com", mux)

	preflight := httptest.NewRequest(http.MethodOptions, "/me", nil)
	preflight.Header.Set("Origin", "https://app.example.com")
	preflight.Header.Set("Access-Control-Request-Method", "GET")
	answer(api, preflight)
	preflight.Header.Set("Origin", "https://evil.example")
	answer(guard.Require(scopes.Authenticated(), mux), preflight)

	r := httptest.NewRequest(http.MethodGet, "/me", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	answer(api, r)
	// Output:
	// 204
	// 401 Bearer realm="api"
	// {"type":"about:blank","title":"Unauthorized","status":401}
	// 200
	// me
}
