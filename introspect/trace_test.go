package introspect_test

import (
	"slices"
	"testing"

	"github.com/sallyport-auth/sallyport/introspect"
)

// TestJoin checks that a joined Trace calls the hooks of both in order, also if the first
// panic, and that either Trace may be nil.
func TestJoin(t *testing.T) {
	var told []string
	tell := func(name string) *introspect.Trace {
		return &introspect.Trace{
			AskDone: func(issuer string, done introspect.AskDone) {
				told = append(told, name+" "+issuer+" "+string(done.Kind))
				panic("injected")
			},
			StateChanged: func(issuer string, state introspect.State) {
				told = append(told, name+" "+issuer+" "+string(state))
				panic("injected")
			},
		}
	}
	call := func(trace *introspect.Trace) []string {
		told = nil
		trace.AskDone("issuer", introspect.AskDone{Kind: introspect.Throttled})
		trace.StateChanged("issuer", introspect.Failing)
		return told
	}
	a, b := tell("a"), tell("b")
	want := []string{"a issuer throttled", "b issuer throttled", "a issuer failing", "b issuer failing"}
	if got := call(a.Join(b)); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	for name, joined := range map[string]*introspect.Trace{"first": a.Join(&introspect.Trace{}), "second": (&introspect.Trace{}).Join(a)} {
		if got := call(joined); !slices.Equal(got, []string{"a issuer throttled", "a issuer failing"}) {
			t.Errorf("only the %s has hooks: %q", name, got)
		}
	}
	var none *introspect.Trace
	if a.Join(nil) != a || none.Join(b) != b || none.Join(nil) != nil {
		t.Error("joined with nil")
	}
}
