package middleware

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// cutScheme splits the value of a field after the token (RFC 9110 §5.6.2) that it
// starts with. It ignores white space around the value.
func cutScheme(value string) (scheme, rest string) { return cutToken(strings.Trim(value, " \t")) }

// cutToken splits text after the token that it starts with.
func cutToken(text string) (token, rest string) {
	for i := range len(text) {
		if !isTokenChar(text[i]) {
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// isTokenChar reports whether c is a tchar of RFC 9110 §5.6.2.
func isTokenChar(c byte) bool {
	return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlphanumeric(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
}

// maxLabelBytes is the longest name of a route or a transport.
const maxLabelBytes = 512

// isLabel reports whether text can be a label of metrics and a word in logs: it is
// not empty, not longer than maxLabelBytes, and every character is printable.
func isLabel(text string) bool {
	return text != "" && len(text) <= maxLabelBytes && utf8.ValidString(text) &&
		strings.IndexFunc(text, func(c rune) bool { return !unicode.IsPrint(c) }) < 0
}
