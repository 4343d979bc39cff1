package strictjson

import (
	"reflect"
	"strings"
	"testing"
)

// forgetfulReader reads the document of a parser, one byte at a time. Before each
// byte it replaces what is before the parser's position by newlines.
type forgetfulReader struct {
	doc    string
	parser *nodeParser
	next   int
}

func (r *forgetfulReader) Read(b []byte) (int, error) {
	known := r.parser.read.offset
	r.parser.doc = strings.Repeat("\n", known) + r.doc[known:]
	n := copy(b[:1], r.doc[r.next:])
	r.next += n
	return n, nil
}

// TestPlacesInOnePass checks that the place of a value is found from that of the one
// before it: the text before that is not read again. Otherwise the time would be
// quadratic in the size of the document.
func TestPlacesInOnePass(t *testing.T) {
	t.Parallel()
	for _, doc := range []string{
		strings.Repeat("[\n", 20) + strings.Repeat("]", 20),
		"[" + strings.Repeat("{\"é\": [true,\n {}], \"b\" : 1},", 20) + "0]",
		"[" + strings.Repeat("{\"one\": [\"line\"]},", 20) + "0]",
	} {
		want, err := ParseNode(doc)
		if err != nil {
			t.Fatal(err)
		}
		r := &forgetfulReader{doc: doc}
		r.parser = newNodeParser(doc, r)
		if got, err := r.parser.node(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s\nwithout the text that was read: %+v, %v\nwant %+v", doc, got, err, want)
		}
	}
}
