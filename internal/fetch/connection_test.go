package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// network connects a transport to a server by in-memory pipes, and can break its
// connections without an error.
type network struct {
	server   http.Server
	accepted chan net.Conn

	mu    sync.Mutex
	conns []*losable
}

// losable is a connection that can be lost: writes succeed and vanish, and reads
// block.
type losable struct {
	net.Conn

	lost atomic.Bool
}

func (c *losable) Write(b []byte) (int, error) {
	if c.lost.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *losable) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.lost.Load() {
			return n, err
		}
	}
}

// newNetwork connects transport to a server that answers {}, by HTTP/2 or HTTP/1.1.
func newNetwork(t *testing.T, transport *http.Transport, http2 bool) *network {
	t.Helper()
	n := &network{accepted: make(chan net.Conn)}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	transport.Protocols = protocols
	transport.DialContext = n.dial
	n.server = http.Server{
		Protocols: protocols,
		Handler: asJSON(func(w http.ResponseWriter, r *http.Request) {
			if r.ProtoMajor == 2 != http2 {
				t.Errorf("the request came by %s", r.Proto)
			}
			_, _ = w.Write([]byte("{}"))
		}),
	}
	go func() { _ = n.server.Serve(n) }()
	t.Cleanup(func() {
		_ = n.server.Close()
		transport.CloseIdleConnections()
	})
	return n
}

func (n *network) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	n.mu.Lock()
	defer n.mu.Unlock()
	conn := &losable{Conn: ours}
	n.conns = append(n.conns, conn)
	n.accepted <- theirs
	return conn, nil
}

// lose loses the present connections. New ones work.
func (n *network) lose() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.conns {
		c.lost.Store(true)
	}
}

func (n *network) connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.conns)
}

// Accept, Close and Addr are those of a net.Listener.
func (n *network) Accept() (net.Conn, error) {
	conn, ok := <-n.accepted
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (n *network) Close() error { close(n.accepted); return nil }
func (*network) Addr() net.Addr { return &net.IPAddr{} }

// opaqueTransport hides all methods of a transport but RoundTrip, and wraps its
// errors, as wrappers that record or sign requests do.
type opaqueTransport struct{ hidden http.RoundTripper }

func (o opaqueTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := o.hidden.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("recorded: %w", err)
	}
	return response, nil
}

// TestLostConnection checks that a connection that was lost without an error is
// replaced within seconds.
func TestLostConnection(t *testing.T) {
	const target = "http://127.0.0.1/"
	for _, test := range []struct {
		name      string
		http2     bool
		transport *http.Transport
		wrap      bool
		config    Config
		idle      time.Duration // between the loss and the next fetch
		failing   int           // fetches that fail then
		within    time.Duration // until they have failed
	}{
		{name: "ours, idle", http2: true, transport: NewTransport(), idle: quietTimeout + pingTimeout + time.Millisecond},
		{name: "ours, at once", http2: true, transport: NewTransport(), failing: 1, within: Timeout},
		{name: "ours, with much time", http2: true, transport: NewTransport(), config: Config{Timeout: time.Minute}, failing: 1, within: quietTimeout + pingTimeout},
		{name: "ours by HTTP/1.1", transport: NewTransport(), failing: 1, within: Timeout},
		{name: "the caller's", http2: true, transport: &http.Transport{}, failing: 1, within: Timeout},
		{name: "the caller's, which gives up by itself", http2: true, transport: &http.Transport{ResponseHeaderTimeout: time.Second}, failing: 1, within: time.Second},
		{name: "the caller's by HTTP/1.1", transport: &http.Transport{}, failing: 1, within: Timeout},
		{name: "the caller's, wrapped", http2: true, transport: &http.Transport{}, wrap: true, failing: 2, within: 2 * Timeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := newNetwork(t, test.transport, test.http2)
				test.config.HTTPClient = &http.Client{Transport: test.transport}
				if test.wrap {
					test.config.HTTPClient.Transport = opaqueTransport{test.transport}
				}
				c := New(test.config)
				for range 2 {
					if _, err := get(c, target); err != nil {
						t.Fatal(err)
					}
					synctest.Wait() // the connection is handed back in the background
				}
				if n := network.connections(); n != 1 {
					t.Fatalf("%d connections for two fetches", n)
				}
				network.lose()
				time.Sleep(test.idle)
				var took time.Duration
				for i := range test.failing {
					start := time.Now()
					if _, err := get(c, target); err == nil {
						t.Fatalf("fetch %d succeeded on a lost connection", i)
					}
					took += time.Since(start)
					synctest.Wait() // the transport ends a request that took too long in the background
				}
				if took > test.within {
					t.Errorf("it took %v to fail, want %v at most", took, test.within)
				}
				if _, err := get(c, target); err != nil || network.connections() != 2 {
					t.Errorf("%v, %d connections, want a second one", err, network.connections())
				}
			})
		})
	}
}

// TestLostInBody checks that a connection that is lost within a document is replaced
// too.
func TestLostInBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := &http.Transport{}
		network := newNetwork(t, transport, true)
		half := true
		network.server.Handler = asJSON(func(w http.ResponseWriter, r *http.Request) {
			if half {
				_, _ = w.Write([]byte("{"))
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				return
			}
			_, _ = w.Write([]byte("{}"))
		})
		c := New(Config{HTTPClient: &http.Client{Transport: transport}})
		if _, err := get(c, "http://127.0.0.1/"); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal(err)
		}
		synctest.Wait()
		network.lose()
		half = false
		if _, err := get(c, "http://127.0.0.1/"); err != nil || network.connections() != 2 {
			t.Errorf("%v, %d connections", err, network.connections())
		}
	})
}

// TestConnectionIsKept checks that the connection is kept after a fetch that fails
// in another way.
func TestConnectionIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		transport := NewTransport()
		network := newNetwork(t, transport, true)
		network.server.Handler = http.NotFoundHandler()
		c := New(Config{HTTPClient: &http.Client{Transport: transport}})
		for range 3 {
			if _, err := get(c, "http://127.0.0.1/"); !errors.Is(err, ErrStatus) {
				t.Fatal(err)
			}
			time.Sleep(quietTimeout + pingTimeout + time.Second) // answered pings change nothing
		}
		if n := network.connections(); n != 1 {
			t.Errorf("%d connections for three fetches", n)
		}
	})
}
