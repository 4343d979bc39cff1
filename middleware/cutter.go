package middleware

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// When the context of a handler has ended, its reads fail after readDelay and its writes
// after writeDelay: in between it can send a last message or a close frame. Together with
// the period of checks that is less than a second.
const (
	readDelay  = 150 * time.Millisecond
	writeDelay = 350 * time.Millisecond
)

// cutter makes the reads and writes of a request fail.
type cutter struct {
	w          http.ResponseWriter
	body       io.ReadCloser
	controller *http.ResponseController

	mu    sync.Mutex
	over  bool // the handler has returned, and the connection may serve another request
	reads bool // fail
	timer *time.Timer
}

// ended makes reads and writes fail soon.
func (c *cutter) ended(*Denial) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.timer = time.AfterFunc(readDelay, c.cutReads)
	}
}

// cutReads makes reads fail from now on, and writes soon.
func (c *cutter) cutReads() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		now := time.Now()
		c.reads = c.controller.SetReadDeadline(now) == nil // otherwise a middleware hides the method
		_ = c.controller.SetWriteDeadline(now.Add(writeDelay - readDelay))
	}
}

// release ends c when the handler has returned. A connection of HTTP/1 whose deadlines
// have passed must not serve another request: the server may write to it no more, and
// has cancelled the context that its requests share. So it is closed.
func (c *cutter) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.over = true
	if c.timer != nil {
		c.timer.Stop()
	}
	if !c.reads || c.hasUnreadBody() {
		return
	}
	if _, err := c.w.Write(nil); errors.Is(err, http.ErrHijacked) {
		return
	}
	_ = c.controller.Flush() // within the deadline for writes
	if connection, _, err := c.controller.Hijack(); err == nil {
		_ = connection.Close()
	}
}

// hasUnreadBody reports whether the body has more to read. The server then closes the
// connection by itself, after the answer. It is called when reads fail, so it does not
// wait.
func (c *cutter) hasUnreadBody() bool {
	if c.body == nil {
		return false
	}
	_, err := c.body.Read(make([]byte, 1))
	failed, ok := errors.AsType[net.Error](err)
	return err == nil || ok && failed.Timeout()
}
