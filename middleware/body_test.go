package middleware_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestNoBody covers Config.NoBody.
func TestNoBody(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{NoBody: true})
	mux := guard.NewMux()
	for path, status := range map[string]int{"/x": 401, "/x//y": 400} {
		response := serve(mux, httptest.NewRequest(http.MethodGet, path, nil))
		body, _ := io.ReadAll(response.Body)
		if response.StatusCode != status || len(body) != 0 || response.Header.Get("Content-Type") != "" || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %q %v", path, response.StatusCode, body, response.Header)
		}
	}
}

// TestDenialBody shows that Config.DenialBody cannot change the status or the header
// fields of a refusal. Only the body and its Content-Type are sent.
func TestDenialBody(t *testing.T) {
	issuer := issuertest.New(t)
	page := func(w http.ResponseWriter, _ *http.Request, d *middleware.Denial) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, "<h1>%d</h1>", d.Status)
	}
	for name, row := range map[string]struct {
		render     func(http.ResponseWriter, *http.Request, *middleware.Denial)
		kind, body string
	}{
		"page": {page, "text/html; charset=utf-8", "<h1>401</h1>"},
		"another status and no fields": {func(w http.ResponseWriter, r *http.Request, d *middleware.Denial) {
			clear(w.Header())
			w.WriteHeader(http.StatusOK)
			d.Status, d.RetryAfter, d.Challenges[0] = 200, 0, "Bearer"
			page(w, r, d)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}, "text/html; charset=utf-8", "<h1>200</h1>"},
		"fields of its own": {func(w http.ResponseWriter, _ *http.Request, _ *middleware.Denial) {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.Header().Set("Cache-Control", "public")
			w.Header().Set("Location", "https://evil.test")
			w.Header().Add("Set-Cookie", "a=b")
			w.Header().Del("Content-Type")
			_, _ = io.WriteString(w, "<script>")
		}, "application/problem+json", "<script>"},
		"nothing": {func(http.ResponseWriter, *http.Request, *middleware.Denial) {}, "", ""},
		"a panic": {func(w http.ResponseWriter, r *http.Request, d *middleware.Denial) {
			page(w, r, d)
			panic(http.ErrAbortHandler)
		}, "application/problem+json", body401},
		"as without it": {func(w http.ResponseWriter, r *http.Request, d *middleware.Denial) {
			d.ServeHTTP(w, r)
		}, "application/problem+json", body401},
		"a way around": {func(w http.ResponseWriter, _ *http.Request, _ *middleware.Denial) {
			if _, ok := w.(http.Hijacker); ok {
				panic("can be hijacked")
			}
			if err := http.NewResponseController(w).Flush(); err == nil {
				panic("can be flushed")
			}
		}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var h handler
			server := httptest.NewServer(issuer.Guard(t, middleware.Config{DenialBody: row.render}).Require(scopes.Authenticated(), &h))
			defer server.Close()
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				r, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
				if err != nil {
					t.Fatal(err)
				}
				response, err := server.Client().Do(r)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				want := row.body
				if method == http.MethodHead {
					want = ""
				}
				if response.StatusCode != 401 || string(body) != want || response.Header.Get("Content-Type") != row.kind || h.ran != 0 {
					t.Errorf("%s: %d %q as %q", method, response.StatusCode, body, response.Header.Get("Content-Type"))
				}
				if !slices.Equal(response.Header.Values("WWW-Authenticate"), []string{wantPlain}) || response.Header.Get("Cache-Control") != "no-store" ||
					response.Header.Get("Location") != "" || response.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s: %v", method, response.Header)
				}
			}
		})
	}
}

// TestExposeHeaders covers R-CH-12: the fields that scripts of other origins may read
// are named on refusals and successes, beside those that another middleware named.
func TestExposeHeaders(t *testing.T) {
	issuer := issuertest.New(t)
	good := "Bearer " + issuer.Sign(testissuer.Token{})
	const ours = "WWW-Authenticate, DPoP-Nonce"
	for _, expose := range []bool{false, true} {
		guard := issuer.Guard(t, middleware.Config{ExposeHeaders: expose})
		mux := guard.NewMux()
		mux.Handle("/x", scopes.Authenticated(), new(handler))
		mux.Handle("/optional", scopes.Optional(scopes.Authenticated()), new(handler))
		for _, row := range []struct {
			path   string
			fields []string
			status int
		}{{"/x", nil, 401}, {"/x", []string{good}, 200}, {"/x//", nil, 400}, {"/optional", nil, 200}, {"/optional", []string{good}, 200}} {
			r := request(row.fields...)
			r.URL.Path = row.path
			w := httptest.NewRecorder()
			w.Header().Set("Access-Control-Expose-Headers", "X-Theirs")
			mux.ServeHTTP(w, r)
			want := []string{"X-Theirs"}
			if expose {
				want = append(want, ours)
			}
			if got := w.Header().Values("Access-Control-Expose-Headers"); w.Code != row.status || !slices.Equal(got, want) {
				t.Errorf("%s: %d %q, want %d %q", row.path, w.Code, got, row.status, want)
			}
		}
	}
}

// TestNeitherRedirectsNorProxies covers R-CH-12: no answer is a redirect or a 407.
func TestNeitherRedirectsNorProxies(t *testing.T) {
	mux := issuertest.New(t).Guard(t, middleware.Config{}).NewMux()
	mux.Handle("/tree/", scopes.All("read"), new(handler))
	mux.Handle("/open/", scopes.Public(), new(handler))
	for _, path := range []string{"/tree", "/open", "/tree/..", "//tree/", "/tree/../open/", "/nothing"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodConnect} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.Method, r.URL.Path = method, path
			response := serve(mux, r)
			if response.StatusCode != 400 && response.StatusCode != 401 || response.Header.Get("Proxy-Authenticate") != "" || response.Header.Get("Location") != "" {
				t.Errorf("%s %s: %d %v", method, path, response.StatusCode, response.Header)
			}
		}
	}
}
