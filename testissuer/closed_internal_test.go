package testissuer

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestRequestAfterClose checks that a request which arrives when the issuer is closed
// is cut off and not counted. Its connection was accepted before.
func TestRequestAfterClose(t *testing.T) {
	issuer, err := Start(Config{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	issuer.Close()
	s := issuer.site
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, http.ErrAbortHandler) {
			t.Errorf("the request ends with %v", err)
		}
		if n := s.count(JWKS); n != 0 {
			t.Errorf("%d requests are counted", n)
		}
	}()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, issuer.JWKSURL(), nil))
}
