package connectauth

import (
	"io"
	"sync/atomic"
)

// streamBody is the body of a stream. It fails if the handler reads it without the
// Interceptor, which no other part of the Gate can see: the stream would not end with its
// token.
type streamBody struct {
	io.ReadCloser

	call    *call
	watched atomic.Bool // the Interceptor has the stream
}

// Read reads the body of a stream that ends with its token.
func (b *streamBody) Read(p []byte) (int, error) {
	if !b.watched.Load() {
		return 0, errorOf(b.call.Context, b.call.route.Refuse(b.call.Context, errNoInterceptor))
	}
	return b.ReadCloser.Read(p) //nolint:wrapcheck // handlers compare with io.EOF
}
