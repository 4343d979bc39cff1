package middleware

import (
	"net/http"
)

// passOn calls next with r, which is original or a copy of it. For a copy it does
// what net/http does for its own Request: it copies the trailer to r, and forms and
// Pattern to original, also if next panics. It does not copy path values to
// original, and writes no other field of original.
func (g *Guard) passOn(next http.Handler, w http.ResponseWriter, r, original *http.Request) {
	if r != original {
		g.screenTrailer(r, original)
		defer handBack(r, original)
	}
	next.ServeHTTP(w, r)
}

// handBack copies the fields that net/http wrote in r to original. The server deletes
// the files of a MultipartForm only if it is in its own Request. A field that was
// not written in r is not written in original, so that original stays safe for
// concurrent use by handlers that only read it.
//
// handBack does not copy path values: SetPathValue writes to memory that every copy
// of original shares, and a goroutine that outlived its handler may read it.
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
		original.Pattern = r.Pattern
	}
}
