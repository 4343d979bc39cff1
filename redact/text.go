package redact

import (
	"strings"

	"github.com/sallyport-auth/sallyport/internal/secretnames"
)

// mark stands where a credential was.
const mark = "[redacted]"

// minRun is the least length of a text after eyJ, or after the name of a scheme, that is
// taken for a token.
const minRun = 8

// Text returns text without the credentials that can be found in it:
//
//   - what starts with eyJ, as JWTs and their parts do, up to the next space, quote, comma or
//     bracket
//   - what follows Bearer, DPoP or Basic, if it can be a token: at least 8 characters, with
//     a digit or a capital letter
//   - the value after a name of a credential and = or :, with or without quotes or
//     brackets, such as access_token=…, "client_secret":"…" and Authorization:[…]. Without
//     quotes and after a colon, a word of lower-case letters stays, unless the name is that
//     of a password, a secret or a cookie.
//
// It does not find an opaque token in the midst of a text, the signature of a JWT alone, the
// rest of a token after a space, or a token in another encoding, such as hex.
func Text(text string) string {
	s := scanner{text: text}
	for s.at < len(text) {
		s.step()
	}
	if s.out == nil {
		return text
	}
	return string(append(s.out, text[s.kept:]...))
}

// scanner reads a text from left to right.
type scanner struct {
	text string
	at   int    // what is looked at
	kept int    // up to here, the text is in out
	out  []byte // nil: nothing was found yet
}

// step looks at one word or one other character.
func (s *scanner) step() {
	if !isWordByte(s.text[s.at]) {
		if !s.userInfo() {
			s.at++
		}
		return
	}
	begin, end := s.at, s.at
	for end < len(s.text) && isWordByte(s.text[end]) {
		end++
	}
	s.at = end
	word := s.text[begin:end]
	if begin > 0 && s.text[begin-1] == '%' {
		if code, after := encoded(s.text, begin-1); isHex(code) && after < end {
			begin, word = after, s.text[after:end]
		}
	}
	switch {
	case strings.HasPrefix(word, "eyJ") && len(word) >= len("eyJ")+minRun:
		s.cut(begin, endOf(s.text, begin, isRestByte))
	case isScheme(word) && s.afterScheme():
	case strings.HasSuffix(word, "-----BEGIN") && s.afterBegin():
	case secretnames.Is(word):
		s.afterName(word)
	default:
		if at := strings.Index(word, "eyJ"); at > 0 && len(word)-at >= len("eyJ")+minRun { // such as a prefix of the token
			s.cut(begin+at, endOf(s.text, begin+at, isRestByte))
		}
	}
}

// cut replaces the text between two places.
func (s *scanner) cut(begin, end int) {
	s.out = append(append(s.out, s.text[s.kept:begin]...), mark...)
	s.kept, s.at = end, end
}

// afterScheme cuts the token after the name of a scheme, which ends here, and reports
// whether there is one.
func (s *scanner) afterScheme() bool {
	begin := afterSpaces(s.text, s.at)
	end := endOf(s.text, begin, isTokenByte)
	if begin == s.at || end-begin < minRun || isPlainWord(s.text[begin:end]) {
		return false
	}
	s.cut(begin, endOf(s.text, end, isRestByte))
	return true
}

// afterName cuts the value after the name of a credential, which ends here.
func (s *scanner) afterName(name string) {
	at, _ := afterQuote(s.text, s.at)
	at, equals := afterSeparator(s.text, endOf(s.text, at, isSpace))
	if at < 0 {
		return
	}
	begin := afterType(s.text, endOf(s.text, at, isSpace))
	if begin >= len(s.text) || strings.HasPrefix(s.text[begin:], mark) {
		return
	}
	inside, escaped := afterQuote(s.text, begin)
	switch quote := s.text[begin]; {
	case escaped:
		s.cut(inside, quotedEscaped(s.text, inside))
	case inside > begin:
		s.cut(inside, quoted(s.text, inside, quote))
	case quote == '[' || quote == '{':
		s.cut(begin+1, closing(s.text, begin+1, quote+2)) // ] and } come two after [ and {
	case isLine(name):
		s.cut(begin, endOf(s.text, begin, isNoLineEnd))
	default:
		end := endOf(s.text, begin, isValueByte)
		if end > begin && (equals || isStrong(name) || !isPlainWord(s.text[begin:end])) {
			s.cut(begin, end)
		}
	}
}

// afterType returns the place after the type of a list as %#v prints it, such as []string,
// or begin if there is none.
func afterType(text string, begin int) int {
	if !strings.HasPrefix(text[begin:], "[]") {
		return begin
	}
	if end := endOf(text, begin+2, isWordByte); end < len(text) && text[end] == '{' {
		return end
	}
	return begin
}

// isScheme reports whether word is the name of an authentication scheme that is followed by
// credentials.
func isScheme(word string) bool {
	return strings.EqualFold(word, "Bearer") || strings.EqualFold(word, "--oauth2-bearer") || strings.EqualFold(word, "DPoP") || strings.EqualFold(word, "Basic")
}

// isLine reports whether the value of a field with this name goes on until the end of the
// line, as cookies and credentials with a scheme do.
func isLine(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasSuffix(lower, "cookie") || strings.HasSuffix(lower, "authorization")
}

// isStrong reports whether any word after the name and a colon is taken for a credential.
func isStrong(name string) bool {
	lower := strings.ToLower(name)
	return strings.HasSuffix(lower, "secret") || strings.HasSuffix(lower, "password") || strings.HasSuffix(lower, "passwd")
}

// isPlainWord reports whether text has lower-case letters only, as words of messages do.
func isPlainWord(text string) bool {
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && c != '.' {
			return false
		}
	}
	return true
}

// endOf returns the place after the characters from begin on that is returns true for.
func endOf(text string, begin int, is func(byte) bool) int {
	for begin < len(text) && is(text[begin]) {
		begin++
	}
	return begin
}

// quoted returns the place of the quote that ends a text, or the end.
func quoted(text string, begin int, quote byte) int {
	for i := begin; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return i
		}
	}
	return len(text)
}

// quotedEscaped returns the place of the next \", or the end.
func quotedEscaped(text string, begin int) int {
	if at := strings.Index(text[begin:], `\"`); at >= 0 {
		return begin + at
	}
	return len(text)
}

// closing returns the place of the bracket that closes a list, or the end.
func closing(text string, begin int, bracket byte) int {
	open, depth := bracket-2, 1
	for i := begin; i < len(text); i++ {
		switch text[i] {
		case open:
			depth++
		case bracket:
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return len(text)
}

func isSpace(c byte) bool     { return c == ' ' || c == '\t' }
func isNoLineEnd(c byte) bool { return c != '\n' && c != '\r' }

// isWordByte reports whether c can be in a name or in a segment of a JWT.
func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// isTokenByte reports whether c can be in a token (RFC 6750 §2.1).
func isTokenByte(c byte) bool {
	return isWordByte(c) || c == '.' || c == '~' || c == '+' || c == '/' || c == '=' || c == '%'
}

// isRestByte reports whether c does not end a token that may be damaged.
func isRestByte(c byte) bool { return isValueByte(c) && c != '\\' }

// isValueByte reports whether c does not end a value without quotes.
func isValueByte(c byte) bool {
	return c > ' ' && c != '&' && c != ',' && c != ';' && c != '"' && c != '\'' && c != ')' && c != ']' && c != '}' && c != '`' && c != '#'
}
