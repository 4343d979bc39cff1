package middleware

import "net/http"

// screened returns the request that handlers get: r itself if there is nothing to
// remove and no trailer can follow ([Guard.screenTrailer]), and otherwise a copy. It
// also removes the token of an outer Guard, which the policy of this Guard did not
// check.
func (g *Guard) screened(r *http.Request) *http.Request {
	header, query := g.screenedHeader(r), withoutMethod(r.URL.RawQuery)
	ctx, hadToken := withoutToken(r.Context())
	if header == nil && query == r.URL.RawQuery && !hadToken && !mayHaveTrailer(r) {
		return r
	}
	copied := r.WithContext(ctx)
	if header != nil {
		copied.Header = header
	}
	if query != r.URL.RawQuery {
		changed := *r.URL
		changed.RawQuery = query
		copied.URL = &changed
		copied.RequestURI = withQuery(r.RequestURI, query)
		copied.Form = nil // ParseForm makes it again from the query and PostForm
	}
	return copied
}
