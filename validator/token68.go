package validator

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-auth/sallyport/internal/cause"
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

// notToken68 returns the refusal of a token that does not follow the grammar. It says at
// which place, and what kind of character is there.
func notToken68(text string) *Error {
	trimmed := strings.TrimRight(text, "=")
	at, found := 0, byte(0)
	for at < len(trimmed) && token68[trimmed[at]] {
		at++
	}
	if at < len(trimmed) {
		found = trimmed[at]
	}
	isEmpty := trimmed == ""
	return errGrammar.because(func() cause.Details {
		d := cause.Details{Found: fmt.Sprintf("%s at byte %d", cause.Character(found), at), Wanted: "letters, digits and -._~+/ with = at the end"}
		if isEmpty {
			d.Found = "no token"
		}
		return d
	})
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
