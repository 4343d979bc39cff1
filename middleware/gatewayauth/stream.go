package gatewayauth

import (
	"context"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport-auth/sallyport/middleware"
)

// Middleware lets [Gateway.HandleStreamError] answer a stream that is refused before
// its first message as HandleError does, for runtime.WithMiddlewares. It also gives
// every answer 401 without a challenge a challenge, and the answers to requests with
// credentials Cache-Control: private, unless they have the field.
func (g *Gateway) Middleware(next runtime.HandlerFunc) runtime.HandlerFunc {
	g = g.made()
	return func(w http.ResponseWriter, r *http.Request, pathParams map[string]string) {
		streaming := &streamWriter{ResponseWriter: w, gateway: g}
		streaming.request = r.WithContext(context.WithValue(r.Context(), streamKey{}, streaming))
		next(streaming, streaming.request, pathParams)
	}
}

type streamKey struct{}

// streamWriter is the writer of a response that may be a stream.
type streamWriter struct {
	http.ResponseWriter

	gateway *Gateway
	request *http.Request
	started bool               // something was written
	denial  *middleware.Denial // replaces the response that the gateway writes
}

// WriteHeader writes the answer of the Denial if there is one.
func (w *streamWriter) WriteHeader(status int) {
	if w.denial != nil {
		w.gateway.answer(w.ResponseWriter, w.request, w.denial)
		return
	}
	w.gateway.challengeIn(w.Header(), status, "")
	w.start()
	w.ResponseWriter.WriteHeader(status)
}

// Write drops p if the response is a refusal, which has a body already.
func (w *streamWriter) Write(p []byte) (int, error) {
	if w.denial != nil {
		return len(p), nil //nolint:nilerr // the linter takes the Denial for a failure of this function
	}
	w.start()
	return w.ResponseWriter.Write(p) //nolint:wrapcheck // the writer below says what failed
}

// start prepares the header of a response that is no refusal.
func (w *streamWriter) start() {
	w.started = true
	if w.request.Header["Authorization"] != nil && w.Header()["Cache-Control"] == nil {
		w.Header().Set("Cache-Control", "private")
	}
}

// Unwrap returns the writer below, for http.ResponseController.
func (w *streamWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// HandleStreamError returns the status of a stream that failed, for
// runtime.WithStreamErrorHandler. If a gate refused the stream before its first
// message, the response is that of [Gateway.HandleError], provided that
// [Gateway.Middleware] is in use. If a gate ended the stream later, its status is 200
// already, and the last chunk has the error with its details.
//
// Config.StreamErrorHandler makes the status of all other errors. Details that the
// program cannot render are left out.
func (g *Gateway) HandleStreamError(ctx context.Context, err error) *status.Status {
	g = g.made()
	s := status.Convert(err)
	if d := refusalOf(s); d != nil {
		if w, ok := ctx.Value(streamKey{}).(*streamWriter); ok && !w.started {
			w.denial = d
		}
	} else if g.config.StreamErrorHandler != nil {
		s = g.config.StreamErrorHandler(ctx, err)
	}
	s, _ = rendered(s, func(detail *anypb.Any) error {
		_, err := protojson.Marshal(detail)
		return err //nolint:wrapcheck // only whether it is nil counts
	})
	return s
}
