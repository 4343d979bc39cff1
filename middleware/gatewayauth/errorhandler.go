package gatewayauth

import (
	"context"
	"errors"
	"net/http"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
)

// HandleError answers a call that failed, for runtime.WithErrorHandler. A refusal of
// a gate becomes the HTTP answer that a Guard of package middleware writes: its
// status, its challenge, Cache-Control: no-store and, if the caller should come back,
// Retry-After. Metadata of the server is not part of it.
//
// Config.ErrorHandler answers all other errors. Their details that the program cannot
// render, because it does not link their types, are left out first. If the answer
// names the message of the status in WWW-Authenticate, or is a 401 without a challenge,
// it gets a challenge.
func (g *Gateway) HandleError(ctx context.Context, mux *runtime.ServeMux, marshaler runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
	g = g.made()
	if s, ok := status.FromError(err); ok {
		if d := refusalOf(s); d != nil {
			g.answer(w, r, d)
			return
		}
		without, changed := rendered(s, func(detail *anypb.Any) error {
			_, err := marshaler.Marshal(detail)
			return err //nolint:wrapcheck // only whether it is nil counts
		})
		if changed {
			err = without.Err()
		}
	}
	handle := g.config.ErrorHandler
	if handle == nil {
		handle = runtime.DefaultHTTPErrorHandler
	}
	handle(ctx, mux, marshaler, &challengingWriter{ResponseWriter: w, gateway: g, message: messageOf(err)}, r, err)
}

// messageOf returns the text that grpc-gateway writes into WWW-Authenticate for an err
// with the code Unauthenticated.
func messageOf(err error) string {
	if custom, ok := errors.AsType[*runtime.HTTPStatusError](err); ok {
		err = custom.Err
	}
	return status.Convert(err).Message()
}

// challengingWriter gives an answer 401 a challenge that it does not have.
type challengingWriter struct {
	http.ResponseWriter

	gateway *Gateway
	message string // of the status
}

// WriteHeader writes the challenge before the status.
func (w *challengingWriter) WriteHeader(status int) {
	w.gateway.challengeIn(w.Header(), status, w.message)
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the writer below, for http.ResponseController.
func (w *challengingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// challengeIn adds a challenge to the header of an answer with this status, if it
// needs one. It replaces message, which is no challenge.
func (g *Gateway) challengeIn(header http.Header, status int, message string) {
	present := header.Values("WWW-Authenticate")
	if len(present) == 0 && status == http.StatusUnauthorized || len(present) == 1 && present[0] == message {
		header.Set("WWW-Authenticate", g.challenge)
	}
}
