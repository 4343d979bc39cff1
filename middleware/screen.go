package middleware

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// screened returns r as handlers may see it: r itself if there is nothing to
// remove, otherwise a copy. The token of an outer guard is removed too: it was
// not judged by the policy of this one.
func (g *Guard) screened(r *http.Request) *http.Request {
	header, query := g.screenedHeader(r), withoutMethod(r.URL.RawQuery)
	ctx, hadToken := withoutToken(r.Context())
	if header == nil && query == r.URL.RawQuery && !hadToken {
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
		copied.Form = nil // is made again from the query and what was read of the body
	}
	return copied
}

// screenedHeader returns a copy of the header without what is removed, or nil if
// nothing is.
func (g *Guard) screenedHeader(r *http.Request) http.Header {
	var header http.Header
	trusted := g.trustsPeer(r)
	for name := range r.Header {
		if g.passes(name, trusted) {
			continue
		}
		if header == nil {
			header = r.Header.Clone()
		}
		delete(header, name)
	}
	return header
}

// passes reports whether handlers see a field with this name. A trusted proxy
// vouches for what it sets, in the spelling that it sets: another spelling of the
// same field came from a client.
func (g *Guard) passes(name string, trusted bool) bool {
	f := fieldsByName.find(name)
	switch {
	case f == nil:
		return true
	case slices.ContainsFunc(g.kept, func(kept string) bool { return strings.EqualFold(kept, name) }):
		return true
	default:
		return trusted && f.kind != overrideField && f.spells(name)
	}
}

// withoutMethod takes the parameter _method out of a query, which frameworks
// read like the fields above.
func withoutMethod(query string) string {
	var kept strings.Builder
	from := 0 // what is kept and not written yet starts here
	for at := 0; at < len(query); {
		end := len(query)
		if i := strings.IndexAny(query[at:], "&;"); i >= 0 {
			end = at + i
		}
		name, _, _ := strings.Cut(query[at:end], "=")
		next := min(end+1, len(query))
		if isMethodParameter(name) {
			kept.WriteString(query[from:at])
			from = next
		}
		at = next
	}
	if from == 0 {
		return query
	}
	kept.WriteString(query[from:])
	return strings.TrimRight(kept.String(), "&;")
}

// isMethodParameter reports whether some framework takes the parameter for
// _method: PHP drops spaces before a name and what follows a NUL, and reads a dot
// as _.
func isMethodParameter(name string) bool {
	decoded, _ := url.QueryUnescape(name)
	decoded, _, _ = strings.Cut(strings.TrimLeft(decoded, " "), "\x00")
	return len(decoded) == len("_method") && strings.IndexByte("_.", decoded[0]) >= 0 && strings.EqualFold(decoded[1:], "method")
}

// withQuery exchanges the query of a request target.
func withQuery(target, query string) string {
	path, _, _ := strings.Cut(target, "?")
	if path == "" || query == "" {
		return path
	}
	return path + "?" + query
}
