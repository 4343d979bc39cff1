package connectauth

import (
	"maps"
	"net/http"
	"sync"

	"connectrpc.com/connect"
)

// streamFields are the header and the trailer of the response as the handler of a stream
// sees them: copies, because it may write to them after the stream has ended.
type streamFields struct {
	mu              sync.Mutex
	header, trailer http.Header // nil if the handler did not ask
	sent            bool        // the header
}

// ResponseHeader returns the header of the response. What a handler writes there after the
// guard has ended the stream is not sent.
func (s *stream) ResponseHeader() http.Header {
	return s.field(&s.fields.header, s.StreamingHandlerConn.ResponseHeader)
}

// ResponseTrailer returns the trailer of the response, under the same terms.
func (s *stream) ResponseTrailer() http.Header {
	return s.field(&s.fields.trailer, s.StreamingHandlerConn.ResponseTrailer)
}

// field returns the handler's copy of what original returns.
func (s *stream) field(own *http.Header, original func() http.Header) http.Header {
	s.fields.mu.Lock()
	defer s.fields.mu.Unlock()
	if *own != nil {
		return *own
	}
	if s.held.Denial() != nil {
		return make(http.Header)
	}
	if *own = original().Clone(); *own == nil {
		*own = make(http.Header)
	}
	return *own
}

// writeHeader copies the header to conn before the first message is sent.
func (f *streamFields) writeHeader(conn connect.StreamingHandlerConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.sent {
		f.sent = true
		replace(conn.ResponseHeader(), f.header)
	}
}

// write copies the header and the trailer to conn after the handler has returned.
func (f *streamFields) write(conn connect.StreamingHandlerConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	replace(conn.ResponseHeader(), f.header)
	replace(conn.ResponseTrailer(), f.trailer)
}

// replace makes the fields of to those of from, unless that is nil.
func replace(to, from http.Header) {
	if from != nil {
		clear(to)
		maps.Copy(to, from)
	}
}
