package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
)

func TestZ(t *testing.T) {
	issuer := issuertest.New(t)
	trace, registry := switchOn(t)
	guard := issuer.Guard(t, middleware.Config{Trace: trace})
	mux := guard.NewMux()
	mux.HandleFunc("GET /x/{id}", scopes.Authenticated(), func(http.ResponseWriter, *http.Request) {})
	for range 3 {
		r := httptest.NewRequest("GET", "/x/7", nil)
		r.Header.Set("Authorization", "Bearer "+issuer.Token(nil))
		mux.ServeHTTP(httptest.NewRecorder(), r)
	}
	t.Log(string(scrape(t, registry)))
}
