package main

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/middleware"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestEvents covers R-GR-07 over real sockets, in both versions of HTTP: a client gets
// events, a notice before its token expires, and the class at the end. It comes back with
// a new token where it was.
func TestEvents(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		issuer := testissuer.New(t)
		config := validator.Issuer{URL: issuer.URL(), Audiences: []string{"https://api.test"}, Keys: jwkscache.Static(issuer.JWKS())}
		api, guard, err := newAPI(config, middleware.LongRequests{Notice: time.Second}, 100*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(api)
		server.EnableHTTP2 = http2
		server.StartTLS()
		t.Cleanup(server.Close)

		ends := time.Now().Add(3 * time.Second).Truncate(time.Second)
		const leeway = 30 * time.Second
		expired := map[string]any{"exp": ends.Add(-leeway).Unix(), "iat": ends.Add(-time.Minute).Unix()}
		events := read(t, server, issuer.Sign(testissuer.Token{Scope: "read", Claims: expired}), "", 100)
		if late := time.Since(ends); late < 0 || late > time.Second {
			t.Errorf("it ended %v after the token", late)
		}
		text := strings.Join(events, "\n")
		if !strings.HasPrefix(text, "id: 1\ndata: order 1\n") || !strings.Contains(text, "event: ending\ndata: "+ends.UTC().Format(time.RFC3339)) ||
			!strings.HasSuffix(text, "event: end\ndata: expired_token\n") {
			t.Errorf("the events are\n%s", text)
		}
		events = read(t, server, issuer.Sign(testissuer.Token{Scope: "read"}), "41", 2)
		if events[0] != "id: 42" {
			t.Errorf("it goes on with %q", events)
		}
		for ticks := time.Tick(time.Millisecond); guard.LongRequests() != (middleware.LongStatus{}); {
			<-ticks // until the server has noticed that the client has gone
		}
	}
}

// read returns the first lines of the stream.
func read(t *testing.T, server *httptest.Server, token, last string, most int) []string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/orders/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Last-Event-ID", last)
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d, %q", response.StatusCode, response.Header)
	}
	var lines []string
	scanner := bufio.NewScanner(response.Body)
	for len(lines) < most && scanner.Scan() {
		lines = append(lines, scanner.Text())
	}
	return lines
}
