package strictjson

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// fastNames is how many member names the scanner keeps for its duplicate
// check. Documents with more go to the library, whose check is a hash table:
// a linear one over hundreds of names would be an attacker's lever.
const fastNames = 40

// scanner is the fast reader. It is sure of a document or leaves it alone; it
// never refuses one.
type scanner struct {
	doc   string
	pos   int
	names [fastNames]string // of the objects now open, innermost last
	named int
	total int // members seen, against the document's limit
}

// plain reports whether doc holds only what the scanner reads: no escape and
// no control character (so the only white space is the space), valid UTF-8.
func plain(doc string) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
	)
	var seen uint64 // high bits: not ASCII
	i := 0
	for ; i+8 <= len(doc); i += 8 {
		w := word(doc[i:])
		seen |= w
		backslash := w ^ '\\'*ones
		// A byte below n sets its high bit in (w - n·ones) &^ w; a borrow can
		// only start at such a byte, so the answer for the whole word is exact.
		if ((w-' '*ones)&^w|(backslash-ones)&^backslash)&highs != 0 {
			return false
		}
	}
	for ; i < len(doc); i++ {
		c := doc[i]
		if c < ' ' || c == '\\' {
			return false
		}
		seen |= uint64(c)
	}
	return seen&highs == 0 || utf8.ValidString(doc)
}

// word is the first eight bytes of s, which the compiler loads at once.
func word(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// scanObject appends the top-level members of doc to members and reports
// whether the scanner was sure that the library would accept doc too.
func scanObject(doc string, limits Limits, members []Member) ([]Member, bool) {
	if !plain(doc) {
		return members, false
	}
	s := scanner{doc: doc}
	s.spaces()
	if !s.take('{') {
		return members, false
	}
	members, ok := s.members(limits, members, 1, true)
	if !ok {
		return members, false
	}
	s.spaces()
	return members, s.pos == len(s.doc)
}

func (s *scanner) spaces() {
	for s.pos < len(s.doc) && s.doc[s.pos] == ' ' {
		s.pos++
	}
}

func (s *scanner) take(c byte) bool {
	if s.pos < len(s.doc) && s.doc[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// members reads what follows an opening brace; it keeps the members if asked.
func (s *scanner) members(limits Limits, members []Member, depth int, keep bool) ([]Member, bool) {
	first := s.named
	s.spaces()
	if s.take('}') {
		return members, true
	}
	for {
		s.spaces()
		name, ok := s.text()
		if !ok || !s.addName(name, first, limits) {
			return members, false
		}
		s.spaces()
		if !s.take(':') {
			return members, false
		}
		s.spaces()
		start := s.pos
		if !s.value(limits, depth) {
			return members, false
		}
		if keep {
			members = append(members, Member{Name: name, Value: Value{s.doc[start:s.pos]}})
		}
		s.spaces()
		if s.take('}') {
			s.named = first
			return members, true
		}
		if !s.take(',') {
			return members, false
		}
	}
}

// addName records a member name, unless it stands in its object already or
// the table or the document's limit is exhausted.
func (s *scanner) addName(name string, first int, limits Limits) bool {
	s.total++
	if s.named == len(s.names) || s.total > limits.Members || slices.Contains(s.names[first:s.named], name) {
		return false
	}
	s.names[s.named] = name
	s.named++
	return true
}

// text reads a string, quotes included, and returns what is between them.
func (s *scanner) text() (string, bool) {
	if !s.take('"') {
		return "", false
	}
	n := strings.IndexByte(s.doc[s.pos:], '"')
	if n < 0 {
		return "", false
	}
	text := s.doc[s.pos : s.pos+n]
	s.pos += n + 1
	return text, true
}

// value passes over one value inside a container that is depth deep.
func (s *scanner) value(limits Limits, depth int) bool {
	if s.pos == len(s.doc) {
		return false
	}
	switch c := s.doc[s.pos]; c {
	case '"':
		_, ok := s.text()
		return ok
	case '{':
		s.pos++
		if depth == limits.Depth {
			return false
		}
		_, ok := s.members(limits, nil, depth+1, false)
		return ok
	case '[':
		s.pos++
		return depth < limits.Depth && s.elements(limits, depth+1)
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) elements(limits Limits, depth int) bool {
	s.spaces()
	if s.take(']') {
		return true
	}
	for {
		s.spaces()
		if !s.value(limits, depth) {
			return false
		}
		s.spaces()
		if s.take(']') {
			return true
		}
		if !s.take(',') {
			return false
		}
	}
}

func (s *scanner) literal(word string) bool {
	if !strings.HasPrefix(s.doc[s.pos:], word) {
		return false
	}
	s.pos += len(word)
	return true
}

// number follows the grammar of RFC 8259 §6.
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.doc) && s.doc[s.pos] >= '0' && s.doc[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}
