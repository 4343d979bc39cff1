package testissuer

import (
	"bytes"
	"cmp"
	"maps"
	"net/http"
	"strings"
	"time"
)

// Behaviour is how an endpoint answers. The zero value answers as it should. Fields
// can be combined: an answer can be slow and wrong.
type Behaviour struct {
	// Times is how many requests are answered this way; the endpoint answers
	// later ones as it should. 0 means all until the next [Issuer.Behave].
	Times int
	// Hold delays the answer until the channel is closed. nil does not delay.
	Hold <-chan struct{}
	// Delay delays the answer after Hold. No answer is sent if the client has
	// gone or the issuer is closed meanwhile.
	Delay time.Duration
	// Abort cuts the connection instead of answering. An [*http.Transport]
	// sends the request again if the connection had been used before.
	Abort bool
	// Status replaces the status. The body is still the good document, which
	// reveals clients that ignore the status.
	Status int
	// Redirect is the Location of the answer. Its status is 302 unless Status
	// is set.
	Redirect string
	// Header replaces fields of the answer; a nil value removes one. With a
	// Content-Length longer than the body, the answer is cut short.
	Header http.Header
	// Body replaces the document, unless it is nil. The type is
	// application/json unless Header says otherwise.
	Body []byte
	// Trickle is how long to wait before each byte of the body. 0 sends the
	// body at once.
	Trickle time.Duration
	// Endless sends white space without end after the body. In a
	// testing/synctest bubble, set Trickle too: the clock of the bubble stands
	// still while data flows.
	Endless bool
}

// isDocument reports whether the answer is the good document with its status.
func (b *Behaviour) isDocument() bool { return b.Status == 0 && b.Body == nil && b.Redirect == "" }

// arrival is the answer to one request. It holds what was true when the request had
// arrived, however late it is sent.
type arrival struct {
	behaviour    Behaviour
	document     []byte
	cacheControl string
	tag          string // the document's entity tag, or ""
	status       int    // of the good answer; 0 means 200
	header       http.Header
	delay        time.Duration
}

// answer writes the answer.
func (a *arrival) answer(w http.ResponseWriter, r *http.Request, closing <-chan struct{}) {
	b := &a.behaviour
	held := b.Hold != nil && !await(r, b.Hold, closing)
	if held || !pause(r, b.Delay+a.delay, closing) || b.Abort {
		panic(http.ErrAbortHandler)
	}
	status := a.writeFields(w.Header())
	if a.tag != "" && holds(r.Header.Values("If-None-Match"), a.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.WriteHeader(status)
	body := a.document
	if b.Body != nil {
		body = b.Body
	}
	if r.Method == http.MethodHead {
		return
	}
	a.send(w, r, body, closing)
	blank := bytes.Repeat([]byte(" "), 4<<10)
	for more := b.Endless; more; {
		more = a.send(w, r, blank, closing)
	}
}

// writeFields sets the fields of the answer and returns its status.
func (a *arrival) writeFields(header http.Header) int {
	status := cmp.Or(a.status, http.StatusOK)
	header.Set("Content-Type", jsonType)
	if a.cacheControl != "" {
		header.Set("Cache-Control", a.cacheControl)
	}
	if a.tag != "" {
		header.Set("ETag", a.tag)
	}
	maps.Copy(header, a.header)
	if a.behaviour.Redirect != "" {
		header.Set("Location", a.behaviour.Redirect)
		status = http.StatusFound
	}
	maps.Copy(header, a.behaviour.Header)
	if a.behaviour.Status != 0 {
		status = a.behaviour.Status
	}
	return status
}

// send writes body, and reports whether the connection still works. It cuts the
// connection if a trickle ends early, so that the answer does not look complete.
func (a *arrival) send(w http.ResponseWriter, r *http.Request, body []byte, closing <-chan struct{}) bool {
	if a.behaviour.Trickle <= 0 {
		_, err := w.Write(body)
		return err == nil
	}
	for at := range body {
		if !pause(r, a.behaviour.Trickle, closing) {
			panic(http.ErrAbortHandler)
		}
		// An error here ends the request, and the next pause sees that.
		_, _ = w.Write(body[at : at+1])
		_ = http.NewResponseController(w).Flush()
	}
	return true
}

// pause waits for d. It returns false if the request or the issuer ends before.
func pause(r *http.Request, d time.Duration, closing <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	return await(r, timer.C, closing)
}

// await waits for c. It returns false if the request or the issuer ends before.
func await[T any](r *http.Request, c <-chan T, closing <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-r.Context().Done():
		return false
	case <-closing:
		return false
	}
}

// holds reports whether If-None-Match fields say that the client has the document
// with this tag.
func holds(fields []string, tag string) bool {
	for _, field := range fields {
		for element := range strings.SplitSeq(field, ",") { // the tags of this package have no comma
			element = strings.TrimSpace(element)
			if element == "*" || strings.TrimPrefix(element, "W/") == tag {
				return true
			}
		}
	}
	return false
}
