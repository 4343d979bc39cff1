package redact

import (
	"strconv"
	"strings"
)

// afterQuote returns the place after a quote, or at if there is none. escaped means that
// there are backslashes before it, as in JSON in a text that was quoted.
func afterQuote(text string, at int) (after int, escaped bool) {
	after = at
	for after < len(text) && text[after] == '\\' {
		after++
	}
	switch {
	case after < len(text) && (text[after] == '"' || text[after] == '\'' || text[after] == '`'):
		return after + 1, after > at
	default:
		return at, false
	}
}

// afterSeparator returns the place after =, :, => and the like, and whether = is among them.
// It returns -1 if there is no separator.
func afterSeparator(text string, at int) (after int, equals bool) {
	after = at
	for after < len(text) && (text[after] == '=' || text[after] == ':' || text[after] == '>' && after > at) {
		equals = equals || text[after] == '='
		after++
	}
	if after > at {
		return after, equals
	}
	for {
		code, end := encoded(text, after)
		switch code {
		case "22", "27": // quotes
		case "3D", "3d", "3A", "3a":
			return end, true
		default:
			return -1, false
		}
		after = end
	}
}

// afterSpaces returns the place after spaces, which may be percent-encoded, or + as in
// forms.
func afterSpaces(text string, at int) int {
	if at < len(text) && text[at] == '+' {
		return at + 1
	}
	for {
		code, end := encoded(text, at)
		if code != "20" {
			return endOf(text, at, isSpace)
		}
		at = end
	}
}

// encoded returns the number of a character that is percent-encoded, perhaps several times,
// and the place after it. It returns "" if there is none.
func encoded(text string, at int) (code string, after int) {
	if at >= len(text) || text[at] != '%' {
		return "", at
	}
	at++
	for strings.HasPrefix(text[at:], "25") {
		at += 2
	}
	if at+2 > len(text) {
		return "", at
	}
	return text[at : at+2], at + 2
}

// isHex reports whether code is the number of a character.
func isHex(code string) bool {
	_, err := strconv.ParseUint(code, 16, 8)
	return err == nil
}

// userInfo cuts what stands between :// and @, and reports whether there is something.
func (s *scanner) userInfo() bool {
	if !strings.HasPrefix(s.text[s.at:], "://") {
		return false
	}
	begin := s.at + len("://")
	end := endOf(s.text, begin, isAuthorityByte)
	at := strings.LastIndexByte(s.text[begin:end], '@')
	if at <= 0 || s.text[begin:begin+at] == hiddenUser {
		return false
	}
	s.cut(begin, begin+at)
	return true
}

// isAuthorityByte reports whether c does not end the part of a URL before the path.
func isAuthorityByte(c byte) bool {
	return c > ' ' && c != '/' && c != '?' && c != '#' && c != '"' && c != '\'' && c != '`' && c != '<' && c != '>' && c != '\\'
}
