package middleware

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/validator"
)

// Errors of requests that cannot be looked up safely.
var (
	errNoURL = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the request has no URL"))
	errConnect = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: CONNECT is not served; it is for proxies"))
	errAmbiguousPath = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the path can be read in more than one way"))
	errAmbiguousHost = validator.Refuse(validator.MalformedRequest,
		errors.New("middleware: the host is not in lower case, or ends with a dot, and there are patterns with hosts"))
)

// ambiguousHost reports whether host has another spelling, which ServeMux would
// take for another host (RFC 9110 §4.2.3).
func ambiguousHost(host string) bool {
	name, _, _ := strings.Cut(host, ":")
	return strings.ToLower(host) != host || strings.HasSuffix(name, ".")
}

// ambiguousPath reports whether the path of a request, as received and still
// percent-encoded, could mean one thing to a router and another to what stands
// behind it: not starting with a slash, empty or dot segments, a plain semicolon
// or backslash, a broken escape, or an escape that stands for one of
// / . \ ; ? # % or a control character, or that is not UTF-8. Such a path is
// answered with 400 before any policy is looked up.
func ambiguousPath(escaped string) bool {
	if !strings.HasPrefix(escaped, "/") || strings.Contains(escaped, "//") {
		return true
	}
	if clean := path.Clean(escaped); clean != escaped && clean+"/" != escaped {
		return true
	}
	for i := range len(escaped) {
		if c := escaped[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`;\?#`, c) >= 0 {
			return true
		}
	}
	return ambiguousEscapes(escaped)
}

// ambiguousEscapes reports whether an escape of a path is broken or stands for a
// character that a router or a handler could read differently.
func ambiguousEscapes(escaped string) bool {
	for rest := escaped; ; {
		_, after, found := strings.Cut(rest, "%")
		if !found {
			break
		}
		if len(after) < len("41") {
			return true
		}
		var decoded [1]byte
		_, err := hex.Decode(decoded[:], []byte(after[:len("41")]))
		if c := decoded[0]; err != nil || c < ' ' || c == 0x7f || strings.IndexByte(`/.\;?#%`, c) >= 0 {
			return true
		}
		rest = after[len("41"):]
	}
	decoded, _ := url.PathUnescape(escaped) // each escape was read above
	return !utf8.ValidString(decoded)
}

// pathValues returns a function that reads the path values of r by read, or by
// [http.Request.PathValue] if read is nil.
func pathValues(r *http.Request, read func(*http.Request, string) string) func(string) string {
	if read == nil {
		return r.PathValue
	}
	return func(name string) string { return read(r, name) }
}
