package cause

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what a cause shows.
const (
	maxCharacters = 64 // of one value
	maxValues     = 4  // of a list
)

// Quote returns text in double quotes: at most its first 64 characters, in printable
// ASCII, with everything else escaped as in Go. A longer text is followed by its
// length. A text that looks like a token is described and not shown.
func Quote(text string) string {
	if looksLikeToken(text) {
		return fmt.Sprintf("a text of %d bytes that looks like a token", len(text))
	}
	if shown := firstCharacters(text); len(shown) < len(text) {
		return fmt.Sprintf("%s… (%d bytes)", strconv.QuoteToASCII(shown), len(text))
	}
	return strconv.QuoteToASCII(text)
}

// firstCharacters returns the first 64 characters of text.
func firstCharacters(text string) string {
	if len(text) <= maxCharacters {
		return text
	}
	end := 0
	for range maxCharacters {
		_, size := utf8.DecodeRuneInString(text[end:])
		end += size
	}
	return text[:end]
}

// leastToken is the length of the shortest text that counts as a token.
const leastToken = 24

// looksLikeToken reports whether text may have a JWT, or the beginning of one: JSON
// objects begin with eyJ in base64url. Somebody may have put it where a name belongs.
func looksLikeToken(text string) bool {
	at := strings.Index(text, "eyJ")
	return at >= 0 && len(text)-at >= leastToken
}

// Quotes returns the texts as [Quote] writes them, with commas between them: the first
// four, and how many more there are. It returns "none" if there are none.
func Quotes(texts iter.Seq[string]) string {
	var shown []string
	more := 0
	for text := range texts {
		if len(shown) == maxValues {
			more++
			continue
		}
		shown = append(shown, Quote(text))
	}
	if shown == nil {
		return "none"
	}
	all := strings.Join(shown, ", ")
	if more > 0 {
		all += fmt.Sprintf(" and %d more", more)
	}
	return all
}

// OneOf returns the texts as [Quotes] does, after "one of" if there are several.
func OneOf(texts []string) string {
	if len(texts) > 1 {
		return "one of " + Quotes(slices.Values(texts))
	}
	return Quotes(slices.Values(texts))
}

// Seconds returns d in whole seconds, such as "65 s". A part of a second counts as one.
func Seconds(d time.Duration) string {
	if d == math.MaxInt64 { // the difference of two times that is longer
		return "more than 292 years"
	}
	seconds := d / time.Second
	if d%time.Second > 0 {
		seconds++
	}
	return fmt.Sprintf("%d s", seconds)
}

// Character says what kind of character c is. It is for characters of a token that are not
// allowed where they are.
func Character(c byte) string {
	switch {
	case c == '=':
		return "padding (=)"
	case c == '+' || c == '/':
		return "+ or /"
	case c == ' ' || c == '\t' || c == '\r' || c == '\n':
		return "white space"
	case c < ' ' || c == 0x7f:
		return "a control character"
	case c > '~':
		return "a character outside of ASCII"
	default:
		return "a character that is not allowed"
	}
}
