package fetch

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// serveTLS starts a server with a certificate that nobody trusts.
func serveTLS(t *testing.T) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = nolog
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// TestErrorBytes checks that the body of an answer with an error status is returned, cut
// to its bound, if the caller asks for it, and is in no error.
func TestErrorBytes(t *testing.T) {
	const body = `{"error":"` + secretToken + `"}`
	for status, want := range map[int]string{400: body, 401: body, 500: body, 204: "", 302: "", 307: ""} {
		server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/x")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		})
		for _, bound := range []int64{0, 5, int64(len(body)), 1000} {
			document, err := New(Config{}).Post(context.Background(), Request{URL: server.URL + "/a?" + secretPassword, ErrorBytes: bound}, secretForm)
			if err == nil || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%d: %v", status, err)
			}
			if bound == 0 {
				if document != nil {
					t.Errorf("%d: %+v without being asked for", status, document)
				}
				continue
			}
			cut := want[:min(int(bound), len(want))]
			if document == nil || document.Status != status || string(document.Body) != cut || document.Cut != (status/100 == 3 || len(cut) < len(want)) {
				t.Errorf("%d, %d bytes: %+v", status, bound, document)
			}
		}
	}
	broken := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "99")
		w.WriteHeader(400)
		_, _ = io.WriteString(w, body)
	})
	if document, err := New(Config{}).Post(context.Background(), Request{URL: broken.URL, ErrorBytes: 1000}, secretForm); err == nil || document == nil || !document.Cut {
		t.Errorf("%+v, %v", document, err)
	}
}

// closing is a server that answers the first request of each connection, and ends the
// connection at the second after having written before.
func closing(t *testing.T, before string) (url string, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	connections = &atomic.Int32{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go func() {
				defer conn.Close()
				buffer := make([]byte, 4096)
				if n, err := conn.Read(buffer); n == 0 || err != nil {
					return
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
				_, _ = conn.Read(buffer)
				_, _ = io.WriteString(conn, before)
			}()
		}
	}()
	return "http://" + listener.Addr().String(), connections
}

// TestStale checks that a connection that ends after it was used before is ErrStale,
// unless a byte of an answer came, and that a repeated request gets a new one.
func TestStale(t *testing.T) {
	for before, stale := range map[string]bool{"": true, "H": false} {
		url, connections := closing(t, before)
		client := New(Config{})
		if _, err := post(client, url); err != nil {
			t.Fatal(err)
		}
		if _, err := post(client, url); err == nil || errors.Is(err, ErrStale) != stale {
			t.Errorf("%q: %v", before, err)
		}
		for i := range 3 {
			request := Request{URL: url, MediaTypes: []string{JSON}, NewConnection: true}
			if _, err := client.Post(context.Background(), request, secretForm); err != nil || int(connections.Load()) != i+2 {
				t.Errorf("%v after %d connections", err, connections.Load())
			}
		}
	}
	none := serve(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := post(New(Config{}), none.URL); err == nil || errors.Is(err, ErrStale) {
		t.Errorf("a new connection: %v", err)
	}
}

// TestStaleTimeout checks that a request that took too long is not to be repeated.
func TestStaleTimeout(t *testing.T) {
	var hang atomic.Bool
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body) // after which the server notices that the client has gone
		if hang.Load() {
			<-r.Context().Done()
		}
		_, _ = io.WriteString(w, "{}")
	})
	client := New(Config{Timeout: 100 * time.Millisecond})
	if _, err := post(client, server.URL); err != nil {
		t.Fatal(err)
	}
	hang.Store(true)
	if _, err := post(client, server.URL); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrStale) {
		t.Error(err)
	}
}
