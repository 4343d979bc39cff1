package connectauth

import (
	"net/http"
	"net/url"

	"github.com/sallyport-auth/sallyport/middleware"
)

// deny writes denial in the form that r wants.
func (g *Gate) deny(w http.ResponseWriter, r *http.Request, denial *middleware.Denial) {
	form, kind := formOf(r)
	if form == plainForm {
		denial.ServeHTTP(w, r)
		return
	}
	denial.WriteFields(w.Header())
	// The writer reads nothing of a request but what decides on the form.
	request := &http.Request{Method: http.MethodPost, URL: new(url.URL), Header: http.Header{"Content-Type": {"application/json"}}}
	err := errorOf(r.Context(), denial)
	switch form {
	case statusForm:
		request.Header.Set("Content-Type", "application/grpc-web") // writes the status into the header, for any of gRPC
		if denial.RetryAfter > 0 {
			w.Header().Set(pushback, pushbackOf(denial))
		}
		w = &kindWriter{w, kind}
	case streamForm:
		request.Header.Set("Content-Type", kind)
		// Clients read the metadata of the error, and add it to the header.
		for _, challenge := range denial.Challenges {
			err.Meta().Add(challengeField, challenge)
		}
		w.Header().Del(challengeField)
	case unaryForm, plainForm:
	}
	_ = g.writer.Write(w, request, err) // an error means that the connection is gone
}

// Names of fields.
const (
	challengeField = "WWW-Authenticate"
	pushback       = "Grpc-Retry-Pushback-Ms"
)

// kindWriter writes a header with its own Content-Type.
type kindWriter struct {
	http.ResponseWriter

	kind string
}

func (w *kindWriter) WriteHeader(status int) {
	w.Header().Set("Content-Type", w.kind)
	w.ResponseWriter.WriteHeader(status)
}
