package strictjson

import (
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Node is one value of a document, or one name of an object, with the place where
// it begins.
type Node struct {
	Kind     Kind
	Text     string // of a string or a name, decoded; of a number, as it is written
	Line     int    // from 1
	Column   int    // from 1, in characters
	Children []Node // elements of an array; names and values of an object, in turn
}

// PlaceError is an error at one place of a document. Its text leaves the place
// out.
type PlaceError struct {
	Line   int // from 1
	Column int // from 1, in characters
	err    error
}

// Error returns what is wrong at the place.
func (e *PlaceError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong at the place.
func (e *PlaceError) Unwrap() error { return e.err }

var (
	errEnd      = errors.New("unexpected end of the document")
	errTrailing = errors.New("text follows the end of the document")
)

// ParseNode reads doc for a program that reports faults with their places. It is as
// strict as [ParseObject], without limits, and with one exception: an object may
// have a name twice, which the caller has to refuse. An error of the syntax is a
// [*PlaceError].
func ParseNode(doc string) (Node, error) {
	p := newNodeParser(doc, strings.NewReader(doc))
	root, err := p.node()
	if err != nil {
		return Node{}, p.placed(err)
	}
	begin := p.next()
	if _, err := p.decoder.ReadToken(); !errors.Is(err, io.EOF) {
		return Node{}, p.at(begin, errTrailing)
	}
	return root, nil
}

type nodeParser struct {
	doc     string
	decoder *jsontext.Decoder
	read    position // where the last value or name begins
}

// newNodeParser returns a parser of doc, which r reads.
func newNodeParser(doc string, r io.Reader) *nodeParser {
	return &nodeParser{doc: doc, decoder: jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true)), read: start}
}

// node reads the next value, or the next name.
func (p *nodeParser) node() (Node, error) {
	p.read = p.read.advance(p.doc, p.next())
	n := Node{Line: p.read.line, Column: p.read.column}
	token, err := p.decoder.ReadToken()
	if err != nil {
		return Node{}, err
	}
	n.Text = token.String()
	var end jsontext.Kind
	switch token.Kind() {
	case 'n':
		n.Kind = Null
	case 't', 'f':
		n.Kind = Boolean
	case '0':
		n.Kind = Number
	case '"':
		n.Kind = String
	case '[':
		n.Kind, end = Array, ']'
	default:
		n.Kind, end = Object, '}'
	}
	for end != 0 && p.decoder.PeekKind() != end {
		child, err := p.node()
		if err != nil {
			return Node{}, err
		}
		n.Children = append(n.Children, child)
	}
	if end != 0 {
		_, err = p.decoder.ReadToken()
	}
	return n, err
}

// next returns where the next token begins.
func (p *nodeParser) next() int {
	read := int(p.decoder.InputOffset())
	return len(p.doc) - len(strings.TrimLeft(p.doc[read:], " \t\r\n,:"))
}

// placed adds the place to an error of the decoder.
func (p *nodeParser) placed(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return p.at(len(p.doc), errEnd)
	}
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return p.at(int(syntactic.ByteOffset), syntactic.Err)
	}
	return p.at(int(p.decoder.InputOffset()), err)
}

// at returns err as the error at a byte of the document.
func (p *nodeParser) at(offset int, err error) error {
	found := start.advance(p.doc, offset)
	return &PlaceError{Line: found.line, Column: found.column, err: err}
}

// position is a byte of a document, with its line and column.
type position struct{ offset, line, column int }

// start is the first byte of a document.
var start = position{offset: 0, line: 1, column: 1}

// advance returns the position of the byte of doc at offset, which is not before
// p. It reads only what is between them, so that the places of all values cost one
// pass over the document.
func (p position) advance(doc string, offset int) position {
	offset = min(offset, len(doc))
	between := doc[p.offset:offset]
	p.offset = offset
	if newline := strings.LastIndexByte(between, '\n'); newline >= 0 {
		p.line += strings.Count(between, "\n")
		p.column = 1
		between = between[newline+1:]
	}
	p.column += utf8.RuneCountInString(between)
	return p
}

// lineAt returns the number of the line that a byte of doc is in.
func lineAt(doc string, offset int64) int { return start.advance(doc, int(offset)).line }
