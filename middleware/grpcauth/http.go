package grpcauth

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// patience is how long the client of a stream over net/http has, after the guard has
// ended it, to read what stands before the status.
const patience = 500 * time.Millisecond

type writerKey struct{}

// Handler returns server, which is a [grpc.Server] with ServerOptions, for an
// [http.Server]. Use it instead of the server itself, because net/http changes two things
// that the gate cannot see from within:
//
//   - It decodes the path, so that gRPC takes /S%2FM and /S/M?x for /S/M. Handler gives gRPC
//     the path as the client sent it, which is then an unlisted method.
//   - A handler that sends to a client that does not read cannot be stopped by a status.
//     Handler resets such a stream half a second after the guard has ended it. The client
//     then gets no class.
//
// MaxHeaderListSize does not count here; set MaxHeaderBytes of the http.Server.
func (g *Gate) Handler(server http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		late := &lateWriter{controller: http.NewResponseController(w)}
		defer late.release()
		r = r.WithContext(context.WithValue(r.Context(), writerKey{}, late))
		if sent := r.RequestURI; sent != "" && sent != r.URL.Path {
			r.URL = &url.URL{Path: sent}
		}
		server.ServeHTTP(w, r)
	})
}

// lateWriter resets a stream. When the server has returned, net/http may use the
// ResponseWriter for another request, and its methods may panic.
type lateWriter struct {
	controller *http.ResponseController

	mu   sync.Mutex
	over bool // the server has returned
}

func (w *lateWriter) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		_ = w.controller.SetWriteDeadline(time.Now()) // an error means that a middleware hides the method
	}
}

func (w *lateWriter) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
}

// resetLate resets a stream over net/http, if its client has not read what stands before
// the status in time. The result ends that.
func resetLate(ctx context.Context) (stop func()) {
	late, ok := ctx.Value(writerKey{}).(*lateWriter)
	if !ok {
		return func() {}
	}
	timer := time.AfterFunc(patience, late.reset)
	return func() { timer.Stop() }
}
