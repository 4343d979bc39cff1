package validator

import (
	"strings"
	"unicode/utf8"
)

// isToken68 reports whether text follows the b64token grammar of RFC 6750 §2.1.
func isToken68(text string) bool {
	text = strings.TrimRight(text, "=")
	for i := range len(text) {
		if !token68[text[i]] {
			return false
		}
	}
	return text != ""
}

// token68 has the bytes that may stand before the padding.
var token68 = func() (allowed [256]bool) {
	for c := range byte(utf8.RuneSelf) {
		allowed[c] = c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
	}
	for _, c := range []byte("-._~+/") {
		allowed[c] = true
	}
	return allowed
}()
