package strictjson

import (
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Nulls returns, for each null in doc, the line and the name or the index that it
// stands at, such as "line 3: grants". It is for files that people write, where
// a name without a value may be an oversight. It stops where doc is no JSON.
func Nulls(doc string) []string {
	var all []string
	decoder := jsontext.NewDecoder(strings.NewReader(doc))
	for {
		token, err := decoder.ReadToken()
		if err != nil {
			return all
		}
		if token.Kind() != 'n' {
			continue
		}
		place := decoder.StackPointer().LastToken()
		if kind, _ := decoder.StackIndex(decoder.StackDepth()); kind == '[' {
			place = "element " + place
		}
		all = append(all, fmt.Sprintf("line %d: %s", lineAt(doc, decoder.InputOffset()), place))
	}
}

// lineAt returns the number of the line that a byte of doc stands in.
func lineAt(doc string, offset int64) int {
	return 1 + strings.Count(doc[:min(int(offset), len(doc))], "\n")
}
