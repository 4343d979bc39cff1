package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestHandlersCanPrint covers R-OB-01: the context that handlers get, and the Held in it,
// hold the token nowhere that fmt prints.
func TestHandlersCanPrint(t *testing.T) {
	is := issuertest.New(t)
	guard := is.Guard(t, middleware.Config{})
	opaque := issuertest.Guard(t, middleware.Config{Validator: issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig()}})})
	printing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := middleware.HeldFrom(r.Context())
		for _, value := range []any{r.Context(), held, held.Context(), middleware.TokenFrom(r.Context())} {
			_, _ = fmt.Fprintf(w, "%v %+v %#v %s %q %d ", value, value, value, value, value, value)
		}
	})
	for name, row := range map[string]struct {
		handler http.Handler
		token   string
	}{
		"checked":           {guard.Require(scopes.Authenticated(), printing), is.Token(nil)},
		"held":              {guard.Require(scopes.Authenticated(), guard.EndWithToken(printing)), is.Token(nil)},
		"held, to be asked": {opaque.Require(scopes.Authenticated(), opaque.EndWithToken(printing)), is.OpaqueToken(nil)},
	} {
		r, w := httptest.NewRequest(http.MethodGet, "/", http.NoBody), httptest.NewRecorder()
		r.Header.Set("Authorization", "Bearer "+row.token)
		row.handler.ServeHTTP(w, r)
		if text := w.Body.String(); w.Code != http.StatusOK || strings.Contains(text, row.token) {
			t.Errorf("%s: %d, and the token is in %s", name, w.Code, text)
		}
	}
}
