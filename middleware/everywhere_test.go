package middleware_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestChallengeEverywhere covers R-CH-01 over HTTP/1.1 and HTTP/2, for HEAD, with
// bodies of unknown length, and behind middleware that wraps the
// ResponseWriter. A handler that is reached can flush its response.
func TestChallengeEverywhere(t *testing.T) {
	issuer := issuertest.New(t)
	mux := issuer.Guard(t, middleware.Config{}).NewMux()
	mux.HandleFunc("/stream", scopes.All("read"), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("first"))
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Errorf("a stream cannot be flushed: %v", err)
		}
	})
	bad, good := "Bearer "+issuer.Sign(testissuer.Token{Forgery: testissuer.ForeignKey}), "Bearer "+issuer.Sign(testissuer.Token{Scope: "read"})
	for name, layer := range map[string]http.Handler{
		"alone": mux, "behind a timeout": http.TimeoutHandler(mux, time.Minute, ""), "behind a limit of bytes": http.MaxBytesHandler(mux, 1),
	} {
		for _, http2 := range []bool{false, true} {
			server := httptest.NewUnstartedServer(layer)
			server.EnableHTTP2 = http2
			server.StartTLS()
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions} {
				for _, authorization := range []string{"", bad} {
					response := stream(t, server, method, authorization)
					if fields := response.Header.Values("WWW-Authenticate"); response.StatusCode != 401 || (response.ProtoMajor == 2) != http2 ||
						len(fields) != 1 || !strings.HasPrefix(fields[0], plainChallenge) || response.Header.Get("Cache-Control") != "no-store" {
						t.Errorf("%s, %s over %s: %d %q", name, method, response.Proto, response.StatusCode, response.Header)
					}
				}
			}
			if layer == http.Handler(mux) {
				if response := stream(t, server, http.MethodGet, good); response.StatusCode != 200 {
					t.Errorf("a good token over %s: %d", response.Proto, response.StatusCode)
				}
			}
			server.Close()
		}
	}
}

// stream sends a request and returns the response, with its body closed. POST
// and PUT have a body of unknown length.
func stream(t *testing.T, server *httptest.Server, method, authorization string) *http.Response {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost || method == http.MethodPut {
		body = io.MultiReader(strings.NewReader("body"))
	}
	r, err := http.NewRequestWithContext(t.Context(), method, server.URL+"/stream", body)
	if err != nil {
		t.Fatal(err)
	}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, response.Body) // a server that is still writing must not find the stream closed
	_ = response.Body.Close()
	return response
}
