package claims

import (
	"iter"
	"strings"
	"time"
	"unicode"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Text reads an identifier: a string that is not empty and has no control
// character, so that it can be written to a log or a header field. The string
// may alias the document of v.
func Text(v strictjson.Value) (string, error) {
	text, _ := v.Text() // empty for another type
	if text == "" {
		return "", ErrType
	}
	if !v.Printable() && HasControl(text) {
		return "", ErrControl
	}
	return text, nil
}

// HasControl reports whether text has a control character of Unicode (C0, DEL,
// C1).
func HasControl(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' { // ASCII has no others; the rest is looked up in the tables
			return strings.ContainsFunc(text[i:], unicode.IsControl)
		}
	}
	return false
}

// Texts reads an array of identifiers, which may be empty. The strings may alias
// the document of v.
func Texts(v strictjson.Value) ([]string, error) {
	if err := CheckTexts(v); err != nil {
		return nil, err
	}
	texts := []string{}
	for text := range Each(v) {
		texts = append(texts, text)
	}
	return texts, nil
}

// CheckTexts checks that v is an array of identifiers, as [Texts] does, and
// allocates no list.
func CheckTexts(v strictjson.Value) error {
	if v.Kind() != strictjson.Array {
		return ErrType
	}
	for element := range v.Elements() {
		if _, err := Text(element); err != nil {
			return err
		}
	}
	return nil
}

// CheckAudience checks that v is an identifier or an array of identifiers, as aud
// is (RFC 7519 §4.1.3). [Each] yields them.
func CheckAudience(v strictjson.Value) error {
	switch v.Kind() {
	case strictjson.String:
		_, err := Text(v)
		return err
	case strictjson.Array:
		return CheckTexts(v)
	default:
		return ErrAudienceType
	}
}

// Each yields v if it is a string, and the elements of v if it is an array of
// strings. v must have passed [CheckTexts] or [CheckAudience], or be absent,
// which yields nothing.
func Each(v strictjson.Value) iter.Seq[string] {
	return func(yield func(string) bool) {
		if text, ok := v.Text(); ok {
			yield(text)
			return
		}
		for element := range v.Elements() {
			if text, _ := element.Text(); !yield(text) {
				return
			}
		}
	}
}

// Date reads a NumericDate (RFC 7519 §2), which is never the zero time.
func Date(v strictjson.Value) (time.Time, error) {
	date, ok := clock.NumericDate(v.Raw())
	if !ok {
		return time.Time{}, ErrDate
	}
	return date, nil
}

// Boolean reads true or false.
func Boolean(v strictjson.Value) (bool, error) {
	if v.Kind() != strictjson.Boolean {
		return false, ErrType
	}
	return v.Raw() == "true", nil
}

// Object reads an object in a document that was accepted, and appends its
// members to members, which may have room on the caller's stack.
func Object(v strictjson.Value, members []strictjson.Member) ([]strictjson.Member, error) {
	all, err := strictjson.ParseObject(v.Raw(), strictjson.Checked, members)
	if err != nil {
		return members, ErrObject
	}
	return all, nil
}

// Scope reads the list of RFC 6749 §3.3: scope tokens separated by single
// spaces. An empty string has no scopes and no error.
func Scope(v strictjson.Value) (string, error) {
	text, ok := v.Text()
	if !ok {
		return "", ErrType
	}
	before := byte(' ')
	for i := range len(text) {
		b := text[i]
		if !scopeToken[b] && (b != ' ' || before == ' ') {
			return "", ErrScope
		}
		before = b
	}
	if text != "" && before == ' ' {
		return "", ErrScope
	}
	return text, nil
}

// IsScopeToken reports whether text is one scope token (RFC 6749 §3.3).
func IsScopeToken(text string) bool {
	for i := range len(text) {
		if !scopeToken[text[i]] {
			return false
		}
	}
	return text != ""
}

// scopeToken has the bytes of a scope token: printable ASCII but the space, the
// quote and the backslash.
var scopeToken = func() (allowed [256]bool) {
	for c := '!'; c <= '~'; c++ {
		allowed[c] = c != '"' && c != '\\'
	}
	return allowed
}()

// Lookup returns the value of the member called name, which is absent if there
// is none.
func Lookup(members []strictjson.Member, name string) strictjson.Value {
	for i := range members {
		if members[i].Name == name {
			return members[i].Value
		}
	}
	return strictjson.Value{}
}
