package gatewayauth

import (
	"bytes"
	"maps"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"

	"github.com/sallyport-auth/sallyport/middleware"
)

// answer writes the HTTP answer of d. It removes what the gateway has prepared for
// another answer.
func (g *Gateway) answer(w http.ResponseWriter, r *http.Request, d *middleware.Denial) {
	status, fields, body := d.Response()
	switch {
	case g.config.NoBody:
		fields.Del("Content-Type")
		body = nil
	case g.config.DenialBody != nil:
		if own, ok := g.ownBody(r, d); ok {
			body = own.body.Bytes()
			fields.Set("Content-Type", own.kind())
			if len(body) == 0 {
				fields.Del("Content-Type")
			}
		}
	}
	header := w.Header()
	for name := range header {
		if strings.HasPrefix(name, runtime.MetadataHeaderPrefix) {
			header.Del(name)
		}
	}
	for _, name := range []string{"Content-Length", "Content-Type", "Trailer", "Transfer-Encoding"} {
		header.Del(name)
	}
	maps.Copy(header, fields)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the connection is gone
	}
}

// ownBody calls Config.DenialBody. ok is false if it panics.
func (g *Gateway) ownBody(r *http.Request, d *middleware.Denial) (w *bodyWriter, ok bool) {
	defer func() {
		if recover() != nil {
			w, ok = nil, false
		}
	}()
	w = &bodyWriter{header: http.Header{}}
	g.config.DenialBody(w, r, d)
	return w, true
}

const problemJSON = "application/problem+json"

// bodyWriter keeps the body and its media type, and nothing else that is done to a
// ResponseWriter.
type bodyWriter struct {
	header http.Header
	body   bytes.Buffer
}

func (w *bodyWriter) Header() http.Header { return w.header }

func (w *bodyWriter) WriteHeader(int) {} // the status is that of the Denial

func (w *bodyWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// kind returns the media type of the body. It is never empty, so that browsers do not
// guess.
func (w *bodyWriter) kind() string {
	if kind := w.header.Get("Content-Type"); kind != "" {
		return kind
	}
	return problemJSON
}
