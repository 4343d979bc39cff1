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

// Value is a JSON value in a document that [ParseObject] accepted. The zero Value is
// absent.
type Value struct {
	raw   string
	ascii bool // the document is printable ASCII without an escape; false means unknown
}

// Member is a name and a value of a JSON object.
type Member struct {
	Name  string
	Value Value
}

// Kind returns the type of v.
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

// Raw returns the text of v in the document.
func (v Value) Raw() string { return v.raw }

// Printable reports whether v is known to be printable ASCII without an escape. If it
// is false, v may be so all the same.
func (v Value) Printable() bool { return v.ascii }

// Text returns the value of a JSON string, or false for any other kind.
func (v Value) Text() (string, bool) {
	if v.Kind() != String {
		return "", false
	}
	if v.ascii || strings.IndexByte(v.raw, '\\') < 0 {
		return v.raw[1 : len(v.raw)-1], true
	}
	unquoted, err := jsontext.AppendUnquote(nil, v.raw)
	return string(unquoted), err == nil
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

// Member returns the value of the member of a JSON object called name. It is absent if
// there is none, or v is of another kind.
func (v Value) Member(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	for pos := skipFiller(v.raw, 1); v.raw[pos] != '}'; {
		end := stringEnd(v.raw, pos)
		found, _ := Value{v.raw[pos:end], v.ascii}.Text()
		pos = skipFiller(v.raw, skipFiller(v.raw, end)+1) // after the colon
		end = valueEnd(v.raw, pos)
		if found == name {
			return Value{v.raw[pos:end], v.ascii}
		}
		pos = skipFiller(v.raw, end)
	}
	return Value{}
}

// elementEnd returns the position after the element that starts at pos.
func (v Value) elementEnd(pos int) int {
	if v.ascii && v.raw[pos] == '"' {
		return pos + 2 + strings.IndexByte(v.raw[pos+1:], '"') // there is no escape, so the next quote ends it
	}
	return valueEnd(v.raw, pos)
}

// skipFiller returns the position of the first byte from pos that is neither white
// space nor a comma. doc was checked before.
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

// valueEnd returns the position after the value that starts at pos in an array or object.
// doc was checked before.
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

// stringEnd returns the position after the string that starts at pos.
func stringEnd(doc string, pos int) int {
	for pos++; doc[pos] != '"'; pos++ {
		if doc[pos] == '\\' {
			pos++
		}
	}
	return pos + 1
}
