package validator

import (
	"testing"

	"github.com/sallyport-auth/sallyport/introspect"
)

// TestHinted checks that a refusal stays a refusal, whether there is a hint for it or not,
// and that the hint changes its cause only.
func TestHinted(t *testing.T) {
	asked, local := &checkedIssuer{opaque: &opaqueIssuer{}}, &checkedIssuer{}
	asked.Opaque = new(introspect.Client)
	for _, refused := range []*Error{errNoExpiry, errAudience, errExpired, errBound} {
		if got := asked.hinted(refused); got == nil || got.reason != refused.reason {
			t.Errorf("%v becomes %v", refused.cause, got)
		}
		if got := local.hinted(refused); got != refused {
			t.Errorf("%v becomes %v for an issuer that is not asked", refused.cause, got)
		}
	}
	if asked.hinted(errNoExpiry) == errNoExpiry {
		t.Error("there is no hint")
	}
}
