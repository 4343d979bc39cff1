package benchmarks

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// server serves one document on a loopback address. It starts when its address is
// first needed.
type server struct {
	document []byte

	mu   sync.Mutex
	http *http.Server
	at   string
}

func (s *server) url() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		return s.at, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("benchmarks: a server for keys on loopback: %w", err)
	}
	s.at = "http://" + listener.Addr().String() + "/jwks"
	s.http = &http.Server{
		ReadHeaderTimeout: 10 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(s.document) // a failure shows in the client
		}),
	}
	go func() { _ = s.http.Serve(listener) }() // ends when the server is closed
	return s.at, nil
}

func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.http != nil {
		_ = s.http.Close()
	}
}
