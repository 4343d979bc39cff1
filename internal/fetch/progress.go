package fetch

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync/atomic"
)

// progress records how far a request came. The transport may still write it after
// the request has ended.
type progress struct {
	asked     atomic.Bool // the transport looked for a connection
	connected atomic.Bool // there was a connection
	reused    atomic.Bool // it had been used before
	answered  atomic.Bool // a byte of an answer came
	handshake atomic.Pointer[error]
}

// watch returns a context whose request writes p.
func (p *progress) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { p.asked.Store(true) },
		GotConn: func(info httptrace.GotConnInfo) {
			p.connected.Store(true)
			p.reused.Store(info.Reused)
		},
		GotFirstResponseByte: func() { p.answered.Store(true) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err != nil {
				p.handshake.Store(&err)
			}
		},
	})
}

// handshakeError returns the error with which a TLS handshake ended, or nil. A request
// that got another connection meanwhile did not fail for it.
func (p *progress) handshakeError() error {
	if err := p.handshake.Load(); err != nil && !p.connected.Load() {
		return *err
	}
	return nil
}

// unsent reports whether nothing of the request was sent, because there was no
// connection. It returns false for a transport that does not say what it does.
func (p *progress) unsent() bool { return p.asked.Load() && !p.connected.Load() }

// stale reports whether the request was sent on a connection that had been used
// before, and that ended before a byte of an answer came.
func (p *progress) stale() bool { return p.reused.Load() && !p.answered.Load() }
