package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestEndWithTokenHiddenDeadlines checks that a client that sends no body cannot keep the
// handlers in front of EndWithToken, where the ResponseWriter has no deadlines.
func TestEndWithTokenHiddenDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := newHeldAPI(t, scopes.Authenticated(), middleware.Config{}, local)
		upload := api.guard.Require(scopes.Authenticated(), api.guard.EndWithToken(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			time.Sleep(time.Second) // reads would fail now
		})))
		body, client := io.Pipe()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
		r.Header.Set("Authorization", "Bearer "+api.Sign(testissuer.Token{Lifetime: time.Second}))
		served := make(chan struct{})
		go func() {
			defer close(served)
			upload.ServeHTTP(httptest.NewRecorder(), r)
		}()
		select {
		case <-served:
		case <-time.After(time.Hour):
			t.Error("the client keeps the handler")
		}
		_ = client.Close()
		<-served
	})
}
