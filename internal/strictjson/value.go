package strictjson

import (
	"iter"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Kind is the type of a JSON value.
type Kind uint8

// The kinds of a JSON value. Absent is the kind of the zero [Value].
const (
	Absent Kind = iota
	Null
	Boolean
	Number
	String
	Array
	Object
)

// Value is one JSON value inside a document that [ParseObject] accepted. The
// zero Value is an absent one.
type Value struct {
	raw   string
	ascii bool // the document is printable ASCII without an escape; false says nothing
}

// Member is one name and value of a JSON object.
type Member struct {
	Name  string
	Value Value
}

// Kind tells the type of v from its first byte.
func (v Value) Kind() Kind {
	if v.raw == "" {
		return Absent
	}
	switch v.raw[0] {
	case 'n':
		return Null
	case 't', 'f':
		return Boolean
	case '"':
		return String
	case '[':
		return Array
	case '{':
		return Object
	default:
		return Number
	}
}

// Raw is the text of v as it stands in the document.
func (v Value) Raw() string { return v.raw }

// Printable reports that v is known to be printable ASCII without an escape. If
// not, nothing is known.
func (v Value) Printable() bool { return v.ascii }

// Text is the value of a JSON string, or false for any other kind.
func (v Value) Text() (string, bool) {
	if v.Kind() != String {
		return "", false
	}
	if v.ascii || strings.IndexByte(v.raw, '\\') < 0 {
		return v.raw[1 : len(v.raw)-1], true
	}
	text, err := jsontext.AppendUnquote(nil, v.raw)
	return string(text), err == nil
}

// Elements yields the elements of a JSON array in order, and nothing for any
// other kind.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != Array {
			return
		}
		for pos := skipFiller(v.raw, 1); v.raw[pos] != ']'; {
			end := v.elementEnd(pos)
			if !yield(Value{v.raw[pos:end], v.ascii}) {
				return
			}
			pos = skipFiller(v.raw, end)
		}
	}
}

// elementEnd is the position behind the element that starts at pos.
func (v Value) elementEnd(pos int) int {
	if v.ascii && v.raw[pos] == '"' {
		return text(v.raw, pos) // without an escape, the next quote ends it
	}
	return valueEnd(v.raw, pos)
}

// skipFiller passes over white space and commas of a document already checked.
func skipFiller(doc string, pos int) int {
	for {
		switch doc[pos] {
		case ' ', '\t', '\n', '\r', ',':
			pos++
		default:
			return pos
		}
	}
}

// valueEnd is the position behind the value that starts at pos in an array of
// a document already checked.
func valueEnd(doc string, pos int) int {
	depth := 0
	for {
		switch doc[pos] {
		case '"':
			pos = stringEnd(doc, pos)
			continue
		case '[', '{':
			depth++
		case ']', '}':
			if depth == 0 {
				return pos
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return pos
			}
		}
		pos++
	}
}

// stringEnd is the position behind the string that opens at pos.
func stringEnd(doc string, pos int) int {
	for pos++; doc[pos] != '"'; pos++ {
		if doc[pos] == '\\' {
			pos++
		}
	}
	return pos + 1
}
