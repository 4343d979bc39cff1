package resourcemeta_test

import (
	"testing"

	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/resourcemeta"
)

// TestZeroMetadata shows that Metadata that New did not make serves nothing.
func TestZeroMetadata(t *testing.T) {
	for name, m := range map[string]*resourcemeta.Metadata{"nil": nil, "zero": {}} {
		for _, line := range zero.Panics(nil, m) {
			t.Error(line)
		}
		for _, target := range []string{"/", base, base + "/api"} {
			if got := get(m.Handler(nil), target).StatusCode; got != 404 {
				t.Errorf("%s: %s answers %d", name, target, got)
			}
		}
		if m.URL() != "" || len(m.Patterns()) != 0 {
			t.Errorf("%s: %q, %q", name, m.URL(), m.Patterns())
		}
	}
}
