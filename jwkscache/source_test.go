package jwkscache_test

import (
	"reflect"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestSourcesAreCopied shows that a document may be changed after it was given to a
// source.
func TestSourcesAreCopied(t *testing.T) {
	for name, source := range map[string]func([]byte) jwkscache.Source{
		"Static":       jwkscache.Static,
		"WithFallback": func(jwks []byte) jwkscache.Source { return jwkscache.WithFallback(jwkscache.File("keys"), jwks) },
	} {
		document := []byte("document")
		given := source(document)
		clear(document)
		if !reflect.DeepEqual(given, source([]byte("document"))) {
			t.Errorf("%s: %v", name, given)
		}
	}
}

// TestSourceIsSealed shows that Source has no method that users could implement or
// call.
func TestSourceIsSealed(t *testing.T) {
	source := reflect.TypeFor[jwkscache.Source]()
	if source.NumMethod() == 0 {
		t.Error("every type is a Source")
	}
	for method := range source.Methods() {
		if method.IsExported() {
			t.Errorf("%s is exported", method.Name)
		}
	}
}
