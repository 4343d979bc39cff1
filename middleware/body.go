package middleware

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
)

// manner is how a guard writes its answers, apart from what they say.
type manner struct {
	noBody bool
	expose bool
	render func(http.ResponseWriter, *http.Request, *Denial)
}

// exposeHeaders lets scripts of other origins read what a client of ours must
// react to (RFC 9449 §8.2). What somebody else exposes stays exposed.
func (m *manner) exposeHeaders(header http.Header) {
	if m.expose {
		header.Add("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce")
	}
}

const problemJSON = "application/problem+json"

// body is what d is answered with, and its media type; "" if there is none.
func (d *Denial) body(r *http.Request) (kind string, body []byte) {
	switch {
	case d.manner.noBody:
		return "", nil
	case d.manner.render != nil:
		if w, ok := d.rendered(r); ok {
			return w.kind(), w.body.Bytes()
		}
	}
	return problemJSON, problem(d.Status)
}

// problem is the body of RFC 9457 for a status: about:blank says that the
// problem is the status (§4.2.1).
func problem(status int) []byte {
	return []byte(`{"type":"about:blank","title":"` + http.StatusText(status) + `","status":` + strconv.Itoa(status) + "}\n")
}

// rendered calls Config.DenialBody. Whatever that does to its arguments, status
// and fields are those of d; if it panics, its body is not used.
func (d *Denial) rendered(r *http.Request) (w *bodyWriter, ok bool) {
	defer func() {
		if recover() != nil {
			w, ok = nil, false
		}
	}()
	w = &bodyWriter{header: http.Header{"Content-Type": {problemJSON}}}
	shown := *d
	shown.Challenges = slices.Clone(d.Challenges)
	shown.manner.render = nil // it may let the Denial write itself, as without the hook
	d.manner.render(w, r, &shown)
	return w, true
}

// bodyWriter keeps a body and its media type, and nothing else that is done to
// a ResponseWriter.
type bodyWriter struct {
	header http.Header
	body   bytes.Buffer
}

func (w *bodyWriter) Header() http.Header { return w.header }

func (w *bodyWriter) WriteHeader(int) {} // the status is the Denial's

func (w *bodyWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// kind is the media type, which is never left for browsers to guess.
func (w *bodyWriter) kind() string {
	if w.body.Len() == 0 {
		return ""
	}
	if kind := w.header.Get("Content-Type"); kind != "" {
		return kind
	}
	return problemJSON
}
