package middleware

import (
	"encoding/hex"
	"net/url"
	"strings"
)

// tokenInURL reports whether the query has an access_token parameter. It is never
// used as a credential, and may already be in a log.
func tokenInURL(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		name, _, _ := strings.Cut(pair, "=")
		if len(name) >= len("access_token") && parameterName(name) == "access_token" {
			return true
		}
	}
	return false
}

// withoutMethod returns query without the parameter _method, which frameworks take
// for the method of the request.
func withoutMethod(query string) string {
	var kept strings.Builder
	from := 0 // start of the part that is kept and not written yet
	for at := 0; at < len(query); {
		end := at
		for end < len(query) && query[end] != '&' && query[end] != ';' {
			end++
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

// isMethodParameter reports whether a framework takes the parameter name for
// _method. PHP reads a dot as _.
func isMethodParameter(name string) bool {
	if len(name) < len("_method") { // a name does not get longer when it is decoded
		return false
	}
	name = parameterName(name)
	return len(name) == len("_method") && strings.IndexByte("_.", name[0]) >= 0 && strings.EqualFold(name[1:], "method")
}

// parameterName decodes the name of a query parameter as PHP does: without leading
// spaces, and up to a NUL.
func parameterName(raw string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(unescapedQuery(raw), " "), "\x00")
	return name
}

// unescapedQuery decodes a part of a query. It keeps a % without two hexadecimal
// digits, as many frameworks do. url.QueryUnescape fails for such a text.
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

// withQuery returns target with another query.
func withQuery(target, query string) string {
	path, _, _ := strings.Cut(target, "?")
	if path == "" || query == "" {
		return path
	}
	return path + "?" + query
}
