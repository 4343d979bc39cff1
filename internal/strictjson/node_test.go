package strictjson_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// sketch returns a node in one line: kind, text and place.
func sketch(n strictjson.Node) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d%q@%d:%d", n.Kind, n.Text, n.Line, n.Column)
	for _, child := range n.Children {
		b.WriteString(" (" + sketch(child) + ")")
	}
	return b.String()
}

func TestParseNode(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{}`:             `6"{"@1:1`,
		" \n [ ] ":       `5"["@2:2`,
		`null`:           `1"null"@1:1`,
		`-1.5e3`:         `3"-1.5e3"@1:1`,
		`"\u0067é😀"`:     `4"gé😀"@1:1`,
		"[true,\nfalse]": `5"["@1:1 (2"true"@1:2) (2"false"@2:1)`,
		"{\"é\" :\n\t null , \"a\":{\"b\":[[]]}}": `6"{"@1:1 (4"é"@1:2) (1"null"@2:3) (4"a"@2:10) (6"{"@2:14 (4"b"@2:15) (5"["@2:19 (5"["@2:20)))`,
		`{"a":1,"a":2}`:     `6"{"@1:1 (4"a"@1:2) (3"1"@1:6) (4"a"@1:8) (3"2"@1:12)`,
		"{\r\n\"a\":\r\n1}": `6"{"@1:1 (4"a"@2:1) (3"1"@3:1)`,
	} {
		if node, err := strictjson.ParseNode(doc); err != nil || sketch(node) != want {
			t.Errorf("%s: %s, %v, want %s", doc, sketch(node), err, want)
		}
	}
}

func TestParseNodeError(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		``:                   "1:1 unexpected end of the document",
		"{\n":                "2:1 unexpected end of the document",
		"{\"a\":\n[1,":       "2:4 unexpected end of the document",
		"{\"a\":\n\"b":       "2:3 unexpected end of the document",
		"{\n\n]":             "3:1 invalid character ']'",
		"{} {}":              "1:4 text follows the end of the document",
		"{}\n x":             "2:2 text follows the end of the document",
		"[1 2]":              "1:4 invalid character '2' after array element (expecting ',' or ']')",
		`{"a" 1}`:            `1:6 invalid character '1' after object name (expecting ':')`,
		`{"a":1,}`:           "1:7 invalid character ','",
		"{\"a\":\n\"\xff\"}": "2:2 invalid UTF-8",
		`{"a":01}`:           `1:7 invalid character '1' after object value (expecting ',' or '}')`,
		`{"a":"\ud800"}`:     "1:7 invalid surrogate pair",
		"\ufeff{}":           "1:1 invalid character",
	} {
		_, err := strictjson.ParseNode(doc)
		place, ok := errors.AsType[*strictjson.PlaceError](err)
		if !ok {
			t.Errorf("%q: %v, want a PlaceError", doc, err)
			continue
		}
		if got := fmt.Sprintf("%d:%d %v", place.Line, place.Column, err); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s, want %s", doc, got, want)
		}
	}
}
