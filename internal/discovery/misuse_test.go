package discovery_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/discovery"
	"github.com/sallyport-auth/sallyport/internal/hook"
	"github.com/sallyport-auth/sallyport/internal/zero"
)

// TestMisuse covers R-OP-04: unusable contexts and Clients that New did not return
// are errors, and no request is sent.
func TestMisuse(t *testing.T) {
	issuer, asked := server(t, nil)
	client := discovery.New(discovery.Config{})
	for name, ctx := range zero.Contexts() {
		m, err := client.Discover(ctx, issuer, discovery.Keys)
		if m != nil || !errors.Is(err, discovery.ErrNoMetadata) || !errors.Is(err, hook.ErrContext) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if m, err := client.Discover(t.Context(), issuer, 0); m != nil || !errors.Is(err, discovery.ErrNoMetadata) {
		t.Errorf("nothing is looked for: %v, %v", m, err)
	}
	for name, client := range map[string]*discovery.Client{"nil": nil, "zero": {}} {
		m, err := client.Discover(t.Context(), issuer, discovery.Keys)
		if m != nil || !errors.Is(err, discovery.ErrNoMetadata) || !strings.Contains(err.Error(), "not made by New") {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("%d requests", n)
	}
	for _, line := range zero.Panics(nil, (*discovery.Client)(nil), new(discovery.Client)) {
		t.Error(line)
	}
}
