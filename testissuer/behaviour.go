package testissuer

import (
	"bytes"
	"maps"
	"net/http"
	"time"
)

// Behaviour is how an endpoint answers. The zero value is well behaved. Fields
// combine: an answer can be slow and wrong.
type Behaviour struct {
	// Times is how many requests are treated so, before the endpoint
	// behaves well again. 0 means all, until the next [Issuer.Behave].
	Times int
	// Hold delays the answer until the channel is closed. nil does not.
	Hold <-chan struct{}
	// Delay delays the answer further. As with Hold, no answer is sent once
	// the client has gone or the issuer is closed.
	Delay time.Duration
	// Abort cuts the connection instead of answering. An [*http.Transport]
	// sends the request again if the connection had been used before.
	Abort bool
	// Status replaces 200. The body remains the good document, to find out
	// clients that do not look at the status.
	Status int
	// Redirect is the Location sent, with status 302 unless Status is set.
	Redirect string
	// Header replaces fields of the answer; a nil value removes one. A
	// Content-Length longer than the body cuts the answer short.
	Header http.Header
	// Body replaces the document, unless it is nil. The type is
	// application/json unless Header says otherwise.
	Body []byte
	// Trickle sends the body byte by byte, and waits so long before each.
	Trickle time.Duration
	// Endless sends white space without end after the body. Under the clock
	// of a testing/synctest bubble, add Trickle: as long as data flows, time
	// stands still there.
	Endless bool
}

// Behave makes an endpoint behave like b from the next request on. The zero
// Behaviour restores it.
func (i *Issuer) Behave(e Endpoint, b Behaviour) {
	e.check()
	if b.Times < 0 {
		panic("testissuer: Behave: Times is negative")
	}
	if b.Status != 0 && (b.Status < 200 || b.Status > 999) {
		panic("testissuer: Behave: Status is no final HTTP status")
	}
	b.Header = maps.Clone(b.Header)
	b.Body = bytes.Clone(b.Body)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.behaviours[e] = b
}

// isDocument reports whether the answer is the good document with its status.
func (b *Behaviour) isDocument() bool { return b.Status == 0 && b.Body == nil && b.Redirect == "" }

// takeBehaviour is the behaviour towards one more request. The lock is held.
func (i *Issuer) takeBehaviour(e Endpoint) Behaviour {
	b := i.behaviours[e]
	switch b.Times {
	case 0:
	case 1:
		delete(i.behaviours, e)
	default:
		next := b
		next.Times--
		i.behaviours[e] = next
	}
	return b
}

func (a *arrival) answer(w http.ResponseWriter, r *http.Request, closing <-chan struct{}) {
	b := &a.behaviour
	held := b.Hold != nil && !await(r, b.Hold, closing)
	if held || !pause(r, b.Delay, closing) || b.Abort {
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
	if r.Method == http.MethodHead || !a.send(w, r, body, closing) {
		return
	}
	blank := bytes.Repeat([]byte(" "), 4<<10)
	for more := b.Endless; more; {
		more = a.send(w, r, blank, closing)
	}
}

// writeFields fills in the fields and answers with the status.
func (a *arrival) writeFields(header http.Header) int {
	status := http.StatusOK
	header.Set("Content-Type", "application/json")
	if a.cacheControl != "" {
		header.Set("Cache-Control", a.cacheControl)
	}
	if a.tag != "" {
		header.Set("ETag", a.tag)
	}
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

// send writes body, and reports whether the connection stands. A trickle that
// ends early is cut, so that it does not look complete.
func (a *arrival) send(w http.ResponseWriter, r *http.Request, body []byte, closing <-chan struct{}) bool {
	if a.behaviour.Trickle <= 0 {
		_, err := w.Write(body)
		return err == nil
	}
	for at := range body {
		if !pause(r, a.behaviour.Trickle, closing) {
			panic(http.ErrAbortHandler)
		}
		if _, err := w.Write(body[at : at+1]); err != nil {
			return false
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return false
		}
	}
	return true
}

// pause waits for d, and reports whether nothing ended the request before.
func pause(r *http.Request, d time.Duration, closing <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	return await(r, timer.C, closing)
}

// await waits for c, and reports whether nothing ended the request before.
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
