package strictjson

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Errors of the readers. They hold no bytes of the document.
var (
	ErrSyntax = errors.New("strictjson: not one JSON document in UTF-8 with unique member names")
	// ErrDuplicate is the [ErrSyntax] of a document in which a member name occurs
	// twice in one object. Nothing after that name was read.
	ErrDuplicate = fmt.Errorf("%w: a member name occurs twice", ErrSyntax)
	ErrObject    = errors.New("strictjson: the JSON document is not an object")
	// ErrLimits means that a document exceeds its [Limits]. It is [ErrDepth] or [ErrMembers].
	ErrLimits  = errors.New("strictjson: the JSON document exceeds its limits")
	ErrDepth   = fmt.Errorf("%w: it is nested too deeply", ErrLimits)
	ErrMembers = fmt.Errorf("%w: it has too many members", ErrLimits)
)

// ParseObject reads doc, which must be one JSON object within limits, and
// appends its top-level members in their order to members. Names and values
// alias doc. The error is [ErrSyntax], [ErrDuplicate], [ErrObject], [ErrDepth] or
// [ErrMembers].
func ParseObject(doc string, limits Limits, members []Member) ([]Member, error) {
	if found, sure := scanObject(doc, limits, members); sure {
		return found, nil
	}
	return parseByLibrary(doc, limits, members)
}

// parseByLibrary is ParseObject without the scanner.
func parseByLibrary(doc string, limits Limits, members []Member) ([]Member, error) {
	top, err := checkByLibrary(doc, limits)
	if err != nil {
		return members, err
	}
	return topLevel(doc, slices.Grow(members, top), jsontext.AllowDuplicateNames(true)) // there are none
}

// checkByLibrary reads the object at the start of doc and checks the limits, before
// any member is stored. It returns how many members the object has.
func checkByLibrary(doc string, limits Limits) (top int, err error) {
	dec := jsontext.NewDecoder(strings.NewReader(doc))
	if dec.PeekKind() != '{' {
		if _, err := dec.ReadValue(); err != nil {
			return 0, syntaxError(err)
		}
		return 0, ErrObject
	}
	for named := 0; ; {
		if _, err := dec.ReadToken(); err != nil {
			return 0, syntaxError(err)
		}
		depth := dec.StackDepth()
		if kind, length := dec.StackIndex(depth); kind == '{' && length%2 == 1 {
			named++ // the token was a name, because the count inside the object is odd
			if depth == 1 {
				top++
			}
		}
		switch {
		case named > limits.Members:
			return 0, ErrMembers
		case depth > limits.Depth:
			return 0, ErrDepth
		case depth == 0: // topLevel checks that nothing follows
			return top, nil
		}
	}
}

// syntaxError returns the error for an error of the library, without its text.
func syntaxError(err error) error {
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return ErrDuplicate
	}
	return ErrSyntax
}

// ParseShallow reads doc, which must be one object with unique names. Only that
// top level is strict. The values are checked for syntax and kept as text; each must
// be parsed before use. So one bad key of a JWK Set does not make the others
// unusable.
func ParseShallow(doc string) ([]Member, error) {
	members, err := topLevel(doc, nil, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	seen := make(map[string]struct{}, len(members))
	for _, m := range members {
		if _, dup := seen[m.Name]; dup {
			return nil, ErrDuplicate
		}
		seen[m.Name] = struct{}{}
	}
	return members, nil
}

// topLevel appends the members of the object doc to members.
func topLevel(doc string, members []Member, opts ...jsontext.Options) ([]Member, error) {
	dec := jsontext.NewDecoder(strings.NewReader(doc), opts...)
	if _, err := dec.ReadToken(); err != nil {
		return nil, ErrSyntax
	}
	if kind, _ := dec.StackIndex(dec.StackDepth()); kind != '{' {
		return nil, ErrObject
	}
	for dec.PeekKind() != '}' {
		quoted, _ := dec.ReadValue() // the next call returns the error, which the decoder keeps
		name := nameOf(doc, int(dec.InputOffset()), quoted)
		value, err := dec.ReadValue()
		if err != nil {
			return nil, ErrSyntax
		}
		end := int(dec.InputOffset())
		members = append(members, Member{Name: name, Value: Value{raw: doc[end-len(value) : end]}})
	}
	_, _ = dec.ReadToken() // the closing brace; if it is missing, the next token is not EOF
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, ErrSyntax
	}
	return members, nil
}

// nameOf returns the name that is quoted in doc before end, without a copy if it has no
// escapes. What is not UTF-8 in it is replaced.
func nameOf(doc string, end int, quoted []byte) string {
	if len(quoted) > 0 && bytes.IndexByte(quoted, '\\') < 0 && utf8.Valid(quoted) {
		return doc[end-len(quoted)+1 : end-1]
	}
	name, _ := jsontext.AppendUnquote(nil, quoted)
	return string(name)
}

// Unmarshal decodes doc into dst. Names match byte for byte, and unknown members
// are ignored. In an any, a number of more than 15 significant digits is a json.Number of
// the standard library, and any other a float64. The error may quote doc, so it must not
// be sent to a client.
func Unmarshal(doc string, dst any) error {
	if err := json.Unmarshal([]byte(doc), dst, exactNumbers); err != nil {
		return fmt.Errorf("strictjson: %w", err)
	}
	return nil
}

// UnmarshalKnown is [Unmarshal] for files that people write: a member without a
// field in dst is an error, and errors name the line.
func UnmarshalKnown(doc string, dst any) error {
	err := json.Unmarshal([]byte(doc), dst, json.RejectUnknownMembers(true))
	if err == nil {
		return nil
	}
	offset := int64(0)
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		offset = syntactic.ByteOffset
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		offset = semantic.ByteOffset
	}
	return fmt.Errorf("line %d: %w", lineAt(doc, offset), err)
}

// MarshalLines returns what [Marshal] returns, with a line for each member, for
// files that people read.
func MarshalLines(v any) (string, error) {
	doc, err := marshal(v, jsontext.WithIndent("  "))
	if err != nil {
		return "", err
	}
	return doc + "\n", nil
}

// Marshal returns v as one JSON document that [UnmarshalKnown] can read. The same
// value gives the same text. Text that is not UTF-8 is an error, which may quote v.
func Marshal(v any) (string, error) { return marshal(v) }

// marshal returns v as one JSON document.
func marshal(v any, options ...json.Options) (string, error) {
	doc, err := json.Marshal(v, append(options, json.Deterministic(true))...)
	if err != nil {
		return "", fmt.Errorf("strictjson: %w", err)
	}
	return string(doc), nil
}
