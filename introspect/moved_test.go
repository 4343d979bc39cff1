package introspect_test

import (
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/introspect"
)

// TestJoinMoved covers R-DI-07: a joined Trace tells both hooks that an endpoint has
// moved, in order, also if the first panics, and one of them may be missing.
func TestJoinMoved(t *testing.T) {
	var told []string
	tell := func(name string) *introspect.Trace {
		return &introspect.Trace{Moved: func(issuer, from, to string) {
			told = append(told, name+" "+issuer+" "+from+" "+to)
			panic("injected")
		}}
	}
	for name, row := range map[string]struct {
		first, next *introspect.Trace
		want        []string
	}{
		"both":            {tell("a"), tell("b"), []string{"a issuer from to", "b issuer from to"}},
		"only the first":  {tell("a"), &introspect.Trace{}, []string{"a issuer from to"}},
		"only the second": {&introspect.Trace{}, tell("b"), []string{"b issuer from to"}},
	} {
		told = nil
		row.first.Join(row.next).Moved("issuer", "from", "to")
		if !slices.Equal(told, row.want) {
			t.Errorf("%s: %q, want %q", name, told, row.want)
		}
	}
}
