package strictjson

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Errors of the readers. They never hold bytes of the document.
var (
	ErrSyntax = errors.New("strictjson: not one JSON document in UTF-8 with unique member names")
	ErrObject = errors.New("strictjson: the JSON document is not an object")
	ErrLimits = errors.New("strictjson: the JSON document is nested too deeply or has too many members")
)

// Limits bound what a document may make a reader do.
type Limits struct {
	Depth   int // of nesting; a flat object has depth 1
	Members int // of all objects together
}

// TokenLimits are the bounds for headers, claims and single keys (R-OP-07).
var TokenLimits = Limits{Depth: 16, Members: 256}

// ParseObject reads doc, which must be one JSON object within limits, and
// appends its top-level members in their order to members. Names and values
// alias doc. The error is [ErrSyntax], [ErrObject] or [ErrLimits].
func ParseObject(doc string, limits Limits, members []Member) ([]Member, error) {
	if found, sure := scanObject(doc, limits, members); sure {
		return found, nil
	}
	return parseByLibrary(doc, limits, members)
}

// parseByLibrary is ParseObject by the wrapped library alone.
func parseByLibrary(doc string, limits Limits, members []Member) ([]Member, error) {
	if err := checkByLibrary(doc, limits); err != nil {
		return members, err
	}
	return topLevel(doc, members)
}

// checkByLibrary walks the object that doc starts with, so that the limits hold
// before anything is kept.
func checkByLibrary(doc string, limits Limits) error {
	dec := jsontext.NewDecoder(strings.NewReader(doc))
	if dec.PeekKind() != '{' {
		if _, err := dec.ReadValue(); err != nil {
			return ErrSyntax
		}
		return ErrObject
	}
	for named := 0; ; {
		if _, err := dec.ReadToken(); err != nil {
			return ErrSyntax
		}
		if kind, length := dec.StackIndex(dec.StackDepth()); kind == '{' && length%2 == 1 {
			named++ // a name was just read: the count inside the object is odd
		}
		if named > limits.Members || dec.StackDepth() > limits.Depth {
			return ErrLimits
		}
		if dec.StackDepth() == 0 { // what may follow is topLevel's to see
			return nil
		}
	}
}

// ParseShallow reads only the top level of doc strictly: one object with
// unique names. The values are checked for syntax and kept as text; each must
// be parsed before use. One bad key of a JWKS then costs that key alone.
func ParseShallow(doc string) ([]Member, error) {
	members, err := topLevel(doc, nil, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, err
	}
	seen := make(map[string]struct{}, len(members))
	for _, m := range members {
		if _, dup := seen[m.Name]; dup {
			return nil, ErrSyntax
		}
		seen[m.Name] = struct{}{}
	}
	return members, nil
}

func topLevel(doc string, members []Member, opts ...jsontext.Options) ([]Member, error) {
	dec := jsontext.NewDecoder(strings.NewReader(doc), opts...)
	if _, err := dec.ReadToken(); err != nil {
		return nil, ErrSyntax
	}
	if kind, _ := dec.StackIndex(dec.StackDepth()); kind != '{' {
		return nil, ErrObject
	}
	for dec.PeekKind() != '}' {
		token, _ := dec.ReadToken() // an error stays with the decoder, and ReadValue tells it
		name := token.String()
		value, err := dec.ReadValue()
		if err != nil {
			return nil, ErrSyntax
		}
		end := int(dec.InputOffset())
		members = append(members, Member{Name: name, Value: Value{raw: doc[end-len(value) : end]}})
	}
	_, _ = dec.ReadToken() // if it is not the end, the next token is not EOF
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, ErrSyntax
	}
	return members, nil
}

// Unmarshal decodes doc into dst: names match byte for byte, unknown members
// are ignored. Its error may quote doc; it is for the owner of the data, never
// for a client.
func Unmarshal(doc string, dst any) error {
	if err := json.Unmarshal([]byte(doc), dst); err != nil {
		return fmt.Errorf("strictjson: %w", err)
	}
	return nil
}

// UnmarshalKnown is [Unmarshal] for files that people write: a member without
// a field in dst is an error, and errors name the line.
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

// MarshalLines is [Marshal] for files that people read: with a line for each
// member.
func MarshalLines(v any) (string, error) {
	doc, err := marshal(v, jsontext.WithIndent("  "))
	if err != nil {
		return "", err
	}
	return doc + "\n", nil
}

// Marshal is v as one JSON document that [UnmarshalKnown] reads back, the same
// text for the same value. Text that is not UTF-8 is an error, which may quote v.
func Marshal(v any) (string, error) { return marshal(v) }

func marshal(v any, options ...json.Options) (string, error) {
	doc, err := json.Marshal(v, append(options, json.Deterministic(true))...)
	if err != nil {
		return "", fmt.Errorf("strictjson: %w", err)
	}
	return string(doc), nil
}
