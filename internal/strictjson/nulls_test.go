package strictjson_test

import (
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

func TestNulls(t *testing.T) {
	for doc, want := range map[string][]string{
		`{}`:                              nil,
		`{"a":"null","null":[true,0,{}]}`: nil,
		"{\"a\":\n\nnull}":                {"line 3: a"},
		"{\"a\":[1,\nnull,\nnull]}":       {"line 2: element 1", "line 3: element 2"},
		`{"a/b~":null,"\u0063":{"d":[{"1":null}]},"e":null}`: {"line 1: a/b~", "line 1: 1", "line 1: e"},
		`null`:                         {"line 1: "},
		`{"a":null,"b":nul`:            {"line 1: a"},
		`{"a":null,"a":null,"b":null}`: {"line 1: a"},
	} {
		if got := strictjson.Nulls(doc); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", doc, got, want)
		}
	}
}
