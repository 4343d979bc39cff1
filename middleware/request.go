package middleware

import (
	"context"
	"io"
	"net/http"
	"strings"
)

// passOn runs next with r, which is original or a copy of it. What net/http
// keeps in its own Request works with a copy as it does without one: the trailer
// reaches r, and forms, Pattern and path values reach original, also if next
// panics. Other fields of original are not written.
func passOn(next http.Handler, w http.ResponseWriter, r, original *http.Request) {
	if r != original {
		r.Body = withTrailer(r, original)
		defer handBack(r, original)
	}
	next.ServeHTTP(w, r)
}

// withoutToken returns ctx without the token that an outer guard put into it, and
// whether there was one.
func withoutToken(ctx context.Context) (context.Context, bool) {
	if TokenFrom(ctx) == nil {
		return ctx, false
	}
	return context.WithValue(ctx, tokenKey{}, nil), true
}

// handBack gives original what net/http put into its copy. The server deletes the
// files of a MultipartForm that is in its own Request and of no other. A field
// that nothing was put into is not written, so that original stays safe for
// concurrent use where its handlers only read it.
func handBack(r, original *http.Request) {
	if original.MultipartForm == nil && r.MultipartForm != nil {
		original.MultipartForm = r.MultipartForm
	}
	if original.PostForm == nil && r.PostForm != nil {
		original.PostForm = r.PostForm
	}
	// A Form holds the query too. Where r got another URL, original makes its
	// own Form from its query and the PostForm.
	if original.Form == nil && r.Form != nil && original.URL == r.URL {
		original.Form = r.Form
	}
	if original.Pattern != r.Pattern {
		handBackPattern(r, original)
	}
}

// handBackPattern gives original the pattern of a router behind the guard, with
// the values of its wildcards.
func handBackPattern(r, original *http.Request) {
	for rest := r.Pattern; ; {
		var name string
		var found bool
		if _, rest, found = strings.Cut(rest, "{"); !found {
			break
		}
		if name, rest, found = strings.Cut(rest, "}"); !found {
			break
		}
		name, _, _ = strings.Cut(strings.TrimSuffix(name, "..."), ":") // chi has {name:regexp}
		if value := r.PathValue(name); value != original.PathValue(name) {
			original.SetPathValue(name, value)
		}
	}
	original.Pattern = r.Pattern
}

// withTrailer returns a body for r that puts the trailer of original into r once
// it was read. net/http sets the trailer of its own Request at the end of the
// body. A trailer that was announced is a map which the copy shares, and HTTP/2
// knows no other; so only a body of unknown length without such a map needs it.
func withTrailer(r, original *http.Request) io.ReadCloser {
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength >= 0 || r.Trailer != nil || r.ProtoMajor == 2 {
		return r.Body
	}
	return &trailerBody{ReadCloser: r.Body, r: r, original: original}
}

// trailerBody is the body of a copy of a request.
type trailerBody struct {
	io.ReadCloser

	r, original *http.Request
}

func (b *trailerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.takeTrailer()
	}
	return n, err //nolint:wrapcheck // readers compare with io.EOF
}

// Close takes the trailer too, since a server reads the rest of a body in Close.
func (b *trailerBody) Close() error {
	err := b.ReadCloser.Close()
	b.takeTrailer()
	return err //nolint:wrapcheck // the body's own error
}

func (b *trailerBody) takeTrailer() {
	if b.original.Trailer != nil {
		b.r.Trailer = b.original.Trailer
	}
}
