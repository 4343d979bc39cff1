package middleware

import (
	"io"
	"net/http"
)

// mayHaveTrailer reports whether net/http can add a trailer to r at the end of the
// body. In HTTP/1.1 only a body of unknown length has a trailer, announced or not. In
// HTTP/2 any body can have one, with announced fields only.
func mayHaveTrailer(r *http.Request) bool {
	if r.Body == nil || r.Body == http.NoBody {
		return false
	}
	return r.Trailer != nil || r.ContentLength < 0 && r.ProtoMajor != 2
}

// screenTrailer gives r, a copy of original, its own trailer, without the fields that
// handlers do not get in a header. net/http writes the values to its own Request at
// the end of the body, so r gets a body that copies them from there.
func (g *Guard) screenTrailer(r, original *http.Request) {
	if !mayHaveTrailer(original) {
		return
	}
	b := &trailerBody{ReadCloser: r.Body, guard: g, trusted: g.trustsPeer(original), r: r, original: original}
	if original.Trailer != nil {
		r.Trailer = make(http.Header)
		b.takeTrailer()
	}
	r.Body = b
}

// trailerBody is the body of r, a copy of a request that may have a trailer.
type trailerBody struct {
	io.ReadCloser

	guard       *Guard
	trusted     bool // the peer is a trusted proxy
	r, original *http.Request
}

func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.takeTrailer()
	}
	return n, err //nolint:wrapcheck // readers compare with io.EOF
}

// Close copies the trailer too, because a server reads the rest of a body in Close.
func (b *trailerBody) Close() error {
	err := b.ReadCloser.Close()
	b.takeTrailer()
	return err //nolint:wrapcheck // the body's own error
}

// takeTrailer copies the fields that pass from the trailer of b.original to that of
// b.r. It does not replace the map, which copies of b.r share.
func (b *trailerBody) takeTrailer() {
	for name, values := range b.original.Trailer {
		if !b.guard.passes(name, b.trusted) {
			continue
		}
		if b.r.Trailer == nil {
			b.r.Trailer = make(http.Header)
		}
		b.r.Trailer[name] = values
	}
}
