package fetch

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimeout(t *testing.T) {
	for configured, want := range map[time.Duration]time.Duration{0: Timeout, time.Second: time.Second, time.Minute: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			c := New(Config{HTTPClient: &http.Client{Transport: blocked}, Timeout: configured})
			start := time.Now()
			if _, err := get(c, "https://issuer.example"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
			if took := time.Since(start); took != want {
				t.Errorf("gave up after %v, want %v", took, want)
			}
		})
	}
}

// TestSlowAnswers covers R-JK-04 with the default transport: a server that is slow
// in any way takes the Timeout and no more.
func TestSlowAnswers(t *testing.T) {
	const fields = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
	for name, answer := range map[string]func(net.Conn){
		"no answer":       func(net.Conn) {},
		"half a field":    func(conn net.Conn) { _, _ = conn.Write([]byte(fields[:30])) },
		"trickled fields": func(conn net.Conn) { trickle(conn, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X: y\r\n", 100)) },
		"no body":         func(conn net.Conn) { _, _ = conn.Write([]byte(fields)) },
		"trickled body": func(conn net.Conn) {
			_, _ = conn.Write([]byte(fields))
			trickle(conn, strings.Repeat(" ", 1000))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var server sync.WaitGroup
				defer server.Wait()
				transport := NewTransport()
				transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
					near, far := net.Pipe()
					server.Go(func() {
						_, _ = http.ReadRequest(bufio.NewReader(far))
						answer(far)
					})
					return near, nil
				}
				c := New(Config{HTTPClient: &http.Client{Transport: transport}, Timeout: 20 * time.Second})
				start := time.Now()
				if _, err := get(c, "http://localhost"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v", err)
				}
				if took := time.Since(start); took != 20*time.Second {
					t.Errorf("gave up after %v", took)
				}
			})
		})
	}
}

// TestConnecting checks that connecting is bounded even if a document may take
// longer.
func TestConnecting(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: Timeout, time.Second: Timeout, 20 * time.Second: 20 * time.Second} {
		testConnecting(t, given, want)
	}
}

// testConnecting checks how long a transport for fetches that may take the given time waits
// for a TLS handshake, and that its dialer waits as long.
func testConnecting(t *testing.T, given, want time.Duration) {
	t.Helper()
	if took := dialer(want).Timeout; took != want {
		t.Errorf("%v: connecting may take %v", given, took)
	}
	synctest.Test(t, func(t *testing.T) {
		transport := NewTransportWithin(given)
		transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, far) }()
			return near, nil
		}
		c := New(Config{HTTPClient: &http.Client{Transport: transport}, Timeout: time.Minute})
		start := time.Now()
		if _, err := get(c, "https://issuer.example"); err == nil || time.Since(start) != want {
			t.Errorf("%v: %v after %v", given, err, time.Since(start))
		}
	})
}

// trickle writes one byte a second.
func trickle(conn net.Conn, text string) {
	for at := range text {
		<-time.After(time.Second)
		if _, err := conn.Write([]byte(text[at : at+1])); err != nil {
			return
		}
	}
}

func TestCallersDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		c := New(Config{HTTPClient: &http.Client{Transport: blocked}})
		start := time.Now()
		if _, err := c.Get(ctx, Request{URL: "https://issuer.example"}); err == nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}
