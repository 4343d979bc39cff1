package middleware

import (
	"context"
	"net/http"
)

// passOn runs next with r, which is original or a copy of it. What net/http
// keeps in its own Request works with a copy as it does without one: the trailer
// reaches r, and forms and Pattern reach original, also if next panics. Path
// values do not reach original. Other fields of original are not written.
func (g *Guard) passOn(next http.Handler, w http.ResponseWriter, r, original *http.Request) {
	if r != original {
		g.screenTrailer(r, original)
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
//
// Path values are not given back: SetPathValue writes into memory that every copy
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
