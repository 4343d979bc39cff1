package strictjson

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Describe says why [ParseObject] refuses doc: the kind of fault and its offset in
// bytes. It reads doc again and is for texts that people read. It quotes nothing of doc
// but the names in known, of which one may be the name that occurs twice.
func Describe(doc string, limits Limits, known ...string) string {
	_, err := ParseObject(doc, limits, nil)
	switch {
	case err == nil:
		return "an object"
	case errors.Is(err, ErrObject):
		return kindOf(doc) + ", not an object"
	case errors.Is(err, ErrMembers):
		return fmt.Sprintf("an object with more than %d members", limits.Members)
	case errors.Is(err, ErrDepth):
		return fmt.Sprintf("an object that is nested deeper than %d levels", limits.Depth)
	default:
		return describeSyntax(doc, known)
	}
}

// DescribeShallow says why [ParseShallow] refuses doc, as [Describe] does.
func DescribeShallow(doc string) string {
	_, err := ParseShallow(doc)
	switch {
	case err == nil:
		return "an object"
	case errors.Is(err, ErrObject):
		return kindOf(doc) + ", not an object"
	case errors.Is(err, ErrDuplicate):
		return "a member name that occurs twice"
	default:
		return describeSyntax(doc, nil)
	}
}

// describeSyntax says where the syntax of doc ends to be valid.
func describeSyntax(doc string, known []string) string {
	switch {
	case strings.TrimSpace(doc) == "":
		return "an empty document"
	case strings.HasPrefix(strings.TrimLeft(doc, " \t\r\n\ufeff"), "<"):
		return "HTML or XML"
	case strings.HasPrefix(doc, "\ufeff"):
		return "a byte order mark"
	}
	dec := jsontext.NewDecoder(strings.NewReader(doc))
	_, err := dec.ReadValue()
	if err == nil {
		_, err = dec.ReadToken() // what follows the value
		return fmt.Sprintf("text after the end of the value, at byte %d", offsetOf(err, dec))
	}
	syntactic, ok := errors.AsType[*jsontext.SyntacticError](err)
	offset := offsetOf(err, dec)
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		if ok {
			for _, name := range known {
				if syntactic.JSONPointer.LastToken() == name {
					return fmt.Sprintf("the member %q twice, at byte %d", name, offset)
				}
			}
		}
		return fmt.Sprintf("a member name that occurs twice, at byte %d", offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("an end in the middle, after %d bytes", len(doc))
	case offset < len(doc) && doc[offset] >= 0x80:
		return fmt.Sprintf("text that is not UTF-8, or a character outside of a string, at byte %d", offset)
	default:
		return fmt.Sprintf("no JSON, from byte %d on", offset)
	}
}

// offsetOf returns where reading failed.
func offsetOf(err error, dec *jsontext.Decoder) int {
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return int(syntactic.ByteOffset)
	}
	return int(dec.InputOffset())
}

// kindOf returns what kind of value doc is, with its article.
func kindOf(doc string) string {
	return Value{raw: strings.TrimLeft(doc, " \t\r\n")}.Kind().String()
}

// String returns the kind with its article, such as "a string".
func (k Kind) String() string {
	switch k {
	case Null:
		return "null"
	case Boolean:
		return "a boolean"
	case Number:
		return "a number"
	case String:
		return "a string"
	case Array:
		return "an array"
	case Object:
		return "an object"
	default:
		return "nothing"
	}
}
