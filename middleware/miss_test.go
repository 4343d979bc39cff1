package middleware_test

import (
	"io"
	"net/http"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

// TestMissesAsServeMux (R-BT-14) checks that a valid token gets the answer of ServeMux
// where no pattern matches: the status, a body of text and the Allow field.
func TestMissesAsServeMux(t *testing.T) {
	issuer := issuertest.New(t)
	mux := issuer.Guard(t, middleware.Config{}).NewMux()
	mux.Handle("GET /orders", scopes.Authenticated(), new(handler))
	plain := http.NewServeMux()
	plain.Handle("GET /orders", new(handler))
	for _, line := range []string{"GET /none", "POST /orders"} {
		got := serve(mux, requestFor(line, "Bearer "+issuer.Token(nil)))
		want := serve(plain, requestFor(line, ""))
		body, err := io.ReadAll(got.Body)
		if got.StatusCode != want.StatusCode || len(body) == 0 || err != nil {
			t.Errorf("%s: %d %q (%v), want %d", line, got.StatusCode, body, err, want.StatusCode)
		}
		for _, name := range []string{"Content-Type", "Allow", "X-Content-Type-Options"} {
			if got.Header.Get(name) != want.Header.Get(name) {
				t.Errorf("%s: %s: %q, want %q", line, name, got.Header.Get(name), want.Header.Get(name))
			}
		}
		if control := got.Header.Get("Cache-Control"); control != "private" {
			t.Errorf("%s: Cache-Control %q", line, control)
		}
	}
}
