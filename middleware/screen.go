package middleware

import (
	"net/http"
	"net/url"
	"strings"
)

// Fields by which a client asks a framework to take its request for one of
// another method or path than was judged. Proxies pass them on as they come, so
// that it does not count who sent them.
var overrides = []string{
	"X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override",
	"X-Original-URL", "X-Original-URI", "X-Original-Method", "X-Rewrite-URL",
}

// Fields that a proxy vouches for. A * stands for any rest.
var forwardingFields = []string{
	"Forwarded", "X-Forwarded-*", "X-Real-IP", "X-Original-*",
	"Client-Cert", "Client-Cert-*", "X-Client-Cert*", "SSL-Client-*", "X-SSL-Client-*", "X-ARR-ClientCert", "X-Amzn-MTLS-*",
}

// isField reports whether a field has one of these names. Case does not count,
// and _ is taken for -, as CGI and its heirs do.
func isField(name string, list []string) bool {
	for _, want := range list {
		prefix, open := strings.CutSuffix(want, "*")
		if len(name) < len(prefix) || len(name) > len(prefix) && !open {
			continue
		}
		if sameField(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func sameField(a, b string) bool {
	for i := range len(a) {
		if folded(a[i]) != folded(b[i]) {
			return false
		}
	}
	return true
}

func folded(c byte) byte {
	switch {
	case c == '_':
		return '-'
	case c >= 'A' && c <= 'Z':
		return c | 0x20
	default:
		return c
	}
}

// screened is r as handlers may see it: r itself if there is nothing to remove,
// otherwise a copy.
func (g *Guard) screened(r *http.Request) *http.Request {
	header, query := g.screenedHeader(r), withoutMethod(r.URL.RawQuery)
	if header == nil && query == r.URL.RawQuery {
		return r
	}
	copied := r.WithContext(r.Context())
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

// screenedHeader is a copy of the header without what is removed, or nil if
// nothing is.
func (g *Guard) screenedHeader(r *http.Request) http.Header {
	var header http.Header
	trusted := g.trustsPeer(r)
	for name := range r.Header {
		if !isField(name, overrides) && (trusted || !isField(name, forwardingFields)) {
			continue
		}
		if header == nil {
			header = r.Header.Clone()
		}
		delete(header, name)
	}
	return header
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
