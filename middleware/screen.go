package middleware

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// screened returns r as handlers may see it: r itself if there is nothing to
// remove and no trailer to come ([Guard.screenTrailer]), otherwise a copy. The
// token of an outer guard is removed too: it was
// not judged by the policy of this one.
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
// _method: PHP reads a dot as _.
func isMethodParameter(name string) bool {
	name = parameterName(name)
	return len(name) == len("_method") && strings.IndexByte("_.", name[0]) >= 0 && strings.EqualFold(name[1:], "method")
}

// parameterName decodes the name of a query parameter as PHP does, which drops
// spaces before it and what follows a NUL.
func parameterName(raw string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(unescapedQuery(raw), " "), "\x00")
	return name
}

// unescapedQuery decodes a part of a query. A % without two hexadecimal digits
// stays as it is: url.QueryUnescape returns nothing of a text that has one, and
// many frameworks take the rest.
func unescapedQuery(raw string) string {
	if decoded, err := url.QueryUnescape(raw); err == nil {
		return decoded
	}
	var decoded strings.Builder
	for i := 0; i < len(raw); i++ {
		if raw[i] == '+' {
			decoded.WriteByte(' ')
			continue
		}
		if raw[i] == '%' && len(raw)-i >= len("%41") {
			if c, err := hex.DecodeString(raw[i+1 : i+len("%41")]); err == nil {
				decoded.Write(c)
				i += len("41")
				continue
			}
		}
		decoded.WriteByte(raw[i])
	}
	return decoded.String()
}

// withQuery exchanges the query of a request target.
func withQuery(target, query string) string {
	path, _, _ := strings.Cut(target, "?")
	if path == "" || query == "" {
		return path
	}
	return path + "?" + query
}
