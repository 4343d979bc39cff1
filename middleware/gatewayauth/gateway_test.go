package gatewayauth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/middleware/gatewayauth"
)

// TestNew shows that New reports all faults at once.
func TestNew(t *testing.T) {
	_, err := gatewayauth.New(gatewayauth.Config{
		Realm: "a\nb", NoBody: true, DenialBody: func(http.ResponseWriter, *http.Request, *middleware.Denial) {},
	})
	for _, want := range []string{"Realm", "DenialBody"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
	if _, err := gatewayauth.New(gatewayauth.Config{Realm: `a "quoted\ realm`}); err != nil {
		t.Error(err)
	}
}

// TestZeroGateway shows that a Gateway that New did not make does not panic.
func TestZeroGateway(t *testing.T) {
	for _, g := range []*gatewayauth.Gateway{nil, {}} {
		if n := len(g.ServeMuxOptions()); n != 5 {
			t.Errorf("%d options", n)
		}
		if key, forward := g.MatchHeader("Accept"); key != "grpcgateway-Accept" || !forward {
			t.Errorf("%q, %v", key, forward)
		}
		if key, forward := g.MatchHeader("Authorization"); forward {
			t.Errorf("%q", key)
		}
		if s := g.HandleStreamError(t.Context(), http.ErrAbortHandler); s == nil {
			t.Error("no status")
		}
		w := httptest.NewRecorder()
		g.Middleware(func(w http.ResponseWriter, _ *http.Request, _ map[string]string) {
			w.WriteHeader(http.StatusUnauthorized)
		})(w, httptest.NewRequest(http.MethodGet, "/", nil), nil)
		if got := w.Header().Get("WWW-Authenticate"); got != plain {
			t.Errorf("challenge %q", got)
		}
	}
}

// TestMatchHeader shows that no matcher can make another field a key of credentials,
// whatever its case.
func TestMatchHeader(t *testing.T) {
	for key, want := range map[string]bool{
		"Authorization": false, "authorization": false, "DPoP": false, "Grpcgateway-Authorization": false, "grpcgateway-DPoP": false,
		"X-Authorization": true, "": true,
	} {
		g, err := gatewayauth.New(gatewayauth.Config{MatchHeader: func(string) (string, bool) { return key, true }})
		if err != nil {
			t.Fatal(err)
		}
		if _, forward := g.MatchHeader("Anything"); forward != want {
			t.Errorf("%q: %v, want %v", key, forward, want)
		}
	}
}
