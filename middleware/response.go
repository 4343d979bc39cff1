package middleware

import (
	"bytes"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// ServeHTTP answers a request with d: the status, one WWW-Authenticate field
// for each challenge, Retry-After, Cache-Control: no-store, and a small body
// (RFC 9457) that says no more than the status. The configuration of the Guard
// can replace the body, leave it out, and expose the fields to browsers. The
// answer to HEAD has no body.
func (d *Denial) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d = d.answerable()
	kind, body := d.body(r)
	d.writeFields(w.Header(), kind)
	w.WriteHeader(d.Status)
	if _, rendering := w.(*bodyWriter); rendering || r.Method != http.MethodHead {
		_, _ = w.Write(body) // an error means that the connection is gone
	}
}

// Response returns the answer that ServeHTTP writes, for adapters that have no
// *http.Request. Config.DenialBody is called with a request for GET / without
// fields.
func (d *Denial) Response() (status int, header http.Header, body []byte) {
	d = d.answerable()
	kind, body := d.body(&http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/"}, Header: http.Header{}})
	header = http.Header{}
	d.writeFields(header, kind)
	return d.Status, header, body
}

// writeFields writes the header fields of d for a body of the media type kind.
func (d *Denial) writeFields(header http.Header, kind string) {
	if kind != "" {
		header.Set("Content-Type", kind)
	} else {
		header.Del("Content-Type")
	}
	d.WriteFields(header)
}

// WriteFields writes the header fields that ServeHTTP writes, except for Content-Type,
// for adapters that write a body of their own. It does nothing if header is nil.
func (d *Denial) WriteFields(header http.Header) {
	if header == nil {
		return
	}
	d = d.answerable()
	header.Del("Content-Length") // of the response that d replaces
	header.Set("Cache-Control", "no-store")
	for _, challenge := range d.Challenges {
		header.Add("WWW-Authenticate", challenge)
	}
	if d.allow != "" {
		header.Set("Allow", d.allow)
	}
	if d.RetryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(int((d.RetryAfter+time.Second-1)/time.Second)))
	}
	d.style.exposeHeaders(header)
}

// exposeHeaders lets scripts of other origins read the fields that a client must
// react to (RFC 9449 §8.2). It adds to the fields that are exposed already.
func (s *responseStyle) exposeHeaders(header http.Header) {
	if s.expose {
		header.Add("Access-Control-Expose-Headers", "WWW-Authenticate, DPoP-Nonce")
	}
}

const problemJSON = "application/problem+json"

// body returns the body of d and its media type, which is "" if there is no body.
func (d *Denial) body(r *http.Request) (kind string, body []byte) {
	switch {
	case d.style.noBody:
		return "", nil
	case d.style.render != nil:
		if w, ok := d.rendered(r); ok {
			return w.kind(), w.body.Bytes()
		}
	}
	return problemJSON, problem(d.Status)
}

// problem returns the body of RFC 9457 for a status. The type about:blank says
// that the status is all there is to know (§4.2.1).
func problem(status int) []byte {
	return []byte(`{"type":"about:blank","title":"` + http.StatusText(status) + `","status":` + strconv.Itoa(status) + "}\n")
}

// rendered calls Config.DenialBody. The status and the fields stay those of d,
// whatever DenialBody does to its arguments. ok is false if it panics.
func (d *Denial) rendered(r *http.Request) (w *bodyWriter, ok bool) {
	defer func() {
		if recover() != nil {
			w, ok = nil, false
		}
	}()
	w = &bodyWriter{header: http.Header{"Content-Type": {problemJSON}}}
	shown := d.clone()
	shown.style.render = nil // so that ServeHTTP of shown writes the body of RFC 9457
	d.style.render(w, r, shown)
	return w, true
}

// bodyWriter keeps the body and its media type, and nothing else that is done to
// a ResponseWriter.
type bodyWriter struct {
	header http.Header
	body   bytes.Buffer
}

func (w *bodyWriter) Header() http.Header { return w.header }

func (w *bodyWriter) WriteHeader(int) {} // the status is the Denial's

func (w *bodyWriter) Write(p []byte) (int, error) { return w.body.Write(p) }

// kind returns the media type of the body. It is never empty for a body, so that
// browsers do not guess.
func (w *bodyWriter) kind() string {
	if w.body.Len() == 0 {
		return ""
	}
	if kind := w.header.Get("Content-Type"); kind != "" {
		return kind
	}
	return problemJSON
}
