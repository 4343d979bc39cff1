package middleware

import (
	"path"
	"strings"
)

// AmbiguousPath reports whether the path of a request, as received and still
// percent-encoded, could mean one thing to a router and another to what stands
// behind it: not starting with a slash, empty or dot segments, an encoded
// slash, dot, backslash, semicolon, percent or control character, a plain
// semicolon or backslash, or a broken escape. Such a path is answered with 400
// before any policy is looked up.
func AmbiguousPath(escaped string) bool {
	if !strings.HasPrefix(escaped, "/") {
		return true
	}
	if clean := path.Clean(escaped); strings.Contains(escaped, "//") || clean != escaped && clean+"/" != escaped {
		return true
	}
	for i := 0; i < len(escaped); i++ {
		switch c := escaped[i]; {
		case c <= ' ' || c >= 0x7f || c == ';' || c == '\\' || c == '?' || c == '#':
			return true
		case c == '%':
			decoded, ok := unhex(escaped[i+1:])
			if !ok || decoded < ' ' || decoded == 0x7f || strings.IndexByte("/.\\;%", decoded) >= 0 {
				return true
			}
			i += 2
		}
	}
	return false
}

// unhex reads the two hexadecimal digits that text starts with.
func unhex(text string) (byte, bool) {
	if len(text) < 2 {
		return 0, false
	}
	high, low := digit(text[0]), digit(text[1])
	return high<<4 | low&0xf, high < 16 && low < 16
}

// digit is the value of a hexadecimal digit, or 255.
func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	default:
		return 255
	}
}
