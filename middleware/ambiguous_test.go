package middleware_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
)

// TestRefuseAmbiguous (R-BT-15) checks that RefuseAmbiguous answers 400 to a request
// without a URL or with an ambiguous path, and passes on all others.
func TestRefuseAmbiguous(t *testing.T) {
	guard := issuertest.New(t).Guard(t, middleware.Config{})
	h := guard.RefuseAmbiguous(marked(http.StatusAccepted))
	for _, row := range []struct {
		path string // "-" for a request without a URL
		want int
	}{
		{"/a", http.StatusAccepted},
		{"/a/b/", http.StatusAccepted},
		{"/a/../b", http.StatusBadRequest},
		{"/a//b", http.StatusBadRequest},
		{"-", http.StatusBadRequest},
	} {
		r := request()
		if r.URL.Path = row.path; row.path == "-" {
			r.URL = nil
		}
		if got := serve(h, r).StatusCode; got != row.want {
			t.Errorf("%s: %d, want %d", row.path, got, row.want)
		}
	}
}

// TestRefuseAmbiguousPanics checks that RefuseAmbiguous panics at once for a Guard
// that New and For did not make, and for a nil handler.
func TestRefuseAmbiguousPanics(t *testing.T) {
	made := issuertest.New(t).Guard(t, middleware.Config{})
	for _, row := range []struct {
		name  string
		guard *middleware.Guard
		next  http.Handler
		want  string
	}{
		{"nil Guard", nil, marked(200), "the Guard was not made by New or For"},
		{"zero Guard", new(middleware.Guard), marked(200), "the Guard was not made by New or For"},
		{"nil handler", made, nil, "the handler is nil"},
	} {
		cause := panicOf(func() { row.guard.RefuseAmbiguous(row.next) })
		if text, _ := cause.(string); !strings.Contains(text, row.want) {
			t.Errorf("%s: the panic is %v, want %q", row.name, cause, row.want)
		}
	}
}
