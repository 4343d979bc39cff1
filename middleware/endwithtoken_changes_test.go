package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestEndWithTokenBehindChanges checks that a middleware between Require and EndWithToken
// that removes or replaces the token of the request does not end it: the issuer is asked
// about the token that was checked.
func TestEndWithTokenBehindChanges(t *testing.T) {
	for name, change := range map[string]func(http.Header){
		"removed":  func(header http.Header) { header.Del("Authorization") },
		"replaced": func(header http.Header) { header.Set("Authorization", "Bearer other") },
		"two":      func(header http.Header) { header.Add("Authorization", "Bearer other") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, opaque)
				events := api.guard.EndWithToken(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					select {
					case <-time.After(2 * time.Minute):
					case <-r.Context().Done():
						t.Errorf("ended: %v", middleware.HeldFrom(r.Context()).Denial().Cause())
					}
				}))
				handler := api.guard.Require(scopes.Authenticated(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					change(r.Header)
					events.ServeHTTP(w, r)
				}))
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
				r.Header.Set("Authorization", "Bearer "+api.Opaque(testissuer.Token{Lifetime: time.Hour}))
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					t.Errorf("status %d", w.Code)
				}
			})
		})
	}
}
