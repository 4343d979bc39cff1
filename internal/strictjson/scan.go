package strictjson

import (
	"math"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Limits bounds the work for one document.
type Limits struct {
	Depth   int // of nesting; a flat object has depth 1
	Members int // of all objects together
}

var (
	// HeaderLimits are the limits for headers and single keys (R-OP-07).
	HeaderLimits = Limits{Depth: 16, Members: 256}
	// TokenLimits are the limits for claims, and for answers about tokens, unless a
	// configuration has others. They are far above those of real tokens: one of Keycloak
	// has two members for each client that the user has roles at.
	TokenLimits = Limits{Depth: 64, Members: 4096}
	// Checked are no limits, for a document that was accepted before, or a value in one.
	Checked = Limits{Depth: math.MaxInt, Members: math.MaxInt}
)

// fastNames bounds the members of objects that are open at a time in the scanner.
// Documents with more are left to the library, which finds duplicates with a hash
// table: the scanner's linear search would cost too much.
const fastNames = 40

// scanner is the fast reader. It accepts a document or leaves it to the library; it
// never refuses one.
//
// Its methods take a position in the document and return the position after the
// text that they have read, or unsure. The position is not a field, because the
// compiler then keeps it in a register.
type scanner struct {
	doc     string
	ascii   bool // doc is printable ASCII without an escape
	escapes bool // doc has a backslash
	limits  Limits
	before  int    // members that the caller had before this document
	marks   uint64 // the marks of all names so far
	total   int    // members so far, for the limit
}

// unsure is returned in place of a position for a document that is left to the
// library.
const unsure = -1

// Patterns for checking eight bytes at once.
const (
	ones  = 0x0101010101010101
	highs = 0x80 * ones
)

// controlled reports whether doc has an ASCII control character. If not, its only
// white space is the space character.
func controlled(doc string) bool {
	for i := range len(doc) {
		if doc[i] < ' ' {
			return true
		}
	}
	return false
}

// printable reports whether doc is printable ASCII without a backslash.
func printable(doc string) bool {
	// Each term sets the high bit of bytes that are not allowed: those beyond ASCII,
	// those below the space, DEL, and the backslash. If all bytes are allowed, there
	// is no borrow and no carry, and no high bit is set.
	var wrong uint64
	i := 0
	for ; i <= len(doc)-8; i += 8 {
		w := word(doc[i : i+8])
		wrong |= w | (w - ' '*ones) | (w + ones) | ((w ^ '\\'*ones) - ones)
	}
	for ; i < len(doc); i++ {
		if c := doc[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return wrong&highs == 0
}

// word returns the first eight bytes of s, little-endian. The compiler makes it one
// load.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// scanObject appends the top-level members of doc to members. It reports whether it
// has accepted doc; if so, the library would accept it too.
func scanObject(doc string, limits Limits, members []Member) ([]Member, bool) {
	s := scanner{doc: doc, ascii: printable(doc), limits: limits, before: len(members)}
	if !s.ascii {
		if controlled(doc) || !utf8.ValidString(doc) {
			return members, false
		}
		s.escapes = strings.IndexByte(doc, '\\') >= 0
	}
	start := spaces(doc, 0)
	if at(doc, start) != '{' {
		return members, false
	}
	found, end := s.object(members, start+1, 1)
	if end == unsure || spaces(doc, end) != len(doc) {
		return members, false
	}
	return found, true
}

// at returns the byte of doc at pos, or 0 after its end. 0 is a control character, so
// it is not in doc.
func at(doc string, pos int) byte {
	if pos < len(doc) {
		return doc[pos]
	}
	return 0
}

// spaces returns the position of the first byte from pos that is not a space.
func spaces(doc string, pos int) int {
	for pos < len(doc) && doc[pos] == ' ' {
		pos++
	}
	return pos
}

// object reads an object from the byte after its opening brace. members has the
// members of the objects around it; object returns them with its own.
func (s *scanner) object(members []Member, pos, depth int) ([]Member, int) {
	doc, first := s.doc, len(members)
	pos = spaces(doc, pos)
	if at(doc, pos) == '}' {
		return members, pos + 1
	}
	for {
		end := text(doc, pos)
		if end == unsure {
			return nil, unsure
		}
		name := doc[pos+1 : end-1]
		if s.escapes && strings.IndexByte(name, '\\') >= 0 {
			return nil, unsure
		}
		pos = spaces(doc, end)
		if at(doc, pos) != ':' || !s.admits(members, first, name) {
			return nil, unsure
		}
		members = append(members, Member{Name: name})
		start := spaces(doc, pos+1)
		if end = s.value(members, start, depth); end == unsure {
			return nil, unsure
		}
		members[len(members)-1].Value = Value{doc[start:end], s.ascii}
		pos = spaces(doc, end)
		switch at(doc, pos) {
		case '}':
			return members, pos + 1
		case ',':
			pos = spaces(doc, pos+1)
		default:
			return nil, unsure
		}
	}
}

// admits counts a member and reports whether it is within the limits and its name is
// new in its object, whose members start at first.
func (s *scanner) admits(members []Member, first int, name string) bool {
	s.total++
	if len(members)-s.before == fastNames || s.total > s.limits.Members {
		return false
	}
	// A name whose mark is new is a new name.
	m := mark(name)
	if s.marks&m != 0 {
		for _, m := range members[first:] {
			if m.Name == name {
				return false
			}
		}
	}
	s.marks |= m
	return true
}

// mark returns one bit that depends on the length, the first and the last byte of
// name.
func mark(name string) uint64 {
	n := len(name)
	if n == 0 {
		return 1
	}
	return 1 << ((n + 3*int(name[0]) + 5*int(name[n-1])) & 63)
}

// text reads a string without escapes, with its quotes.
func text(doc string, pos int) int {
	if at(doc, pos) != '"' {
		return unsure
	}
	pos++
	for ; pos <= len(doc)-8; pos += 8 {
		// The lowest high bit is that of the first quote; higher ones may be wrong.
		w := word(doc[pos:pos+8]) ^ '"'*ones
		if quotes := (w - ones) &^ w & highs; quotes != 0 {
			return pos + bits.TrailingZeros64(quotes)/8 + 1
		}
	}
	for ; pos < len(doc); pos++ {
		if doc[pos] == '"' {
			return pos + 1
		}
	}
	return unsure
}

// escapedText reads a string that may have escapes (RFC 8259 §7). It starts at
// a quote.
func escapedText(doc string, pos int) int {
	for pos++; pos < len(doc); {
		switch doc[pos] {
		case '"':
			return pos + 1
		case '\\':
			if pos = escape(doc, pos+1); pos == unsure {
				return unsure
			}
		default:
			pos++
		}
	}
	return unsure
}

// escape reads an escape from the byte after its backslash. A surrogate must be one
// of a pair, the high one first.
func escape(doc string, pos int) int {
	switch at(doc, pos) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return pos + 1
	case 'u':
		unit, end := codeUnit(doc, pos+1)
		if !utf16.IsSurrogate(unit) {
			return end
		}
		if at(doc, end) != '\\' || at(doc, end+1) != 'u' {
			return unsure
		}
		low, end := codeUnit(doc, end+2)
		if utf16.DecodeRune(unit, low) == utf8.RuneError {
			return unsure
		}
		return end
	default:
		return unsure
	}
}

// codeUnit reads four hexadecimal digits, and returns 0 and unsure if there are
// others.
func codeUnit(doc string, pos int) (unit rune, end int) {
	for range 4 {
		switch c := at(doc, pos); {
		case c >= '0' && c <= '9':
			unit = unit<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			unit = unit<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, unsure
		}
		pos++
	}
	return unit, pos
}

// value reads one value inside a container that is at depth.
func (s *scanner) value(members []Member, pos, depth int) int {
	switch at(s.doc, pos) {
	case '"':
		if s.escapes {
			return escapedText(s.doc, pos)
		}
		return text(s.doc, pos)
	case '{':
		if depth == s.limits.Depth {
			return unsure
		}
		_, end := s.object(members, pos+1, depth+1)
		return end
	case '[':
		if depth == s.limits.Depth {
			return unsure
		}
		return s.array(members, pos+1, depth+1)
	case 't':
		return literal(s.doc, pos, "true")
	case 'f':
		return literal(s.doc, pos, "false")
	case 'n':
		return literal(s.doc, pos, "null")
	default:
		return number(s.doc, pos)
	}
}

// array reads an array from the byte after its opening bracket.
func (s *scanner) array(members []Member, pos, depth int) int {
	doc := s.doc
	pos = spaces(doc, pos)
	if at(doc, pos) == ']' {
		return pos + 1
	}
	for {
		end := s.value(members, pos, depth)
		if end == unsure {
			return unsure
		}
		pos = spaces(doc, end)
		switch at(doc, pos) {
		case ']':
			return pos + 1
		case ',':
			pos = spaces(doc, pos+1)
		default:
			return unsure
		}
	}
}

// literal reads word.
func literal(doc string, pos int, word string) int {
	if !strings.HasPrefix(doc[pos:], word) {
		return unsure
	}
	return pos + len(word)
}

// number reads a number by the grammar of RFC 8259 §6.
func number(doc string, pos int) int {
	if at(doc, pos) == '-' {
		pos++
	}
	if at(doc, pos) == '0' {
		pos++
	} else if pos = digits(doc, pos); pos == unsure {
		return unsure
	}
	if at(doc, pos) == '.' {
		if pos = digits(doc, pos+1); pos == unsure {
			return unsure
		}
	}
	if c := at(doc, pos); c != 'e' && c != 'E' {
		return pos
	}
	pos++
	if c := at(doc, pos); c == '+' || c == '-' {
		pos++
	}
	return digits(doc, pos)
}

// digits reads one digit or more.
func digits(doc string, pos int) int {
	end := pos
	for end < len(doc) && doc[end]-'0' <= 9 {
		end++
	}
	if end == pos {
		return unsure
	}
	return end
}
