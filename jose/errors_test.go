package jose_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jose"
)

// TestErrors checks that each error is itself and none of the others, also when
// it is wrapped, and that its text names the package.
func TestErrors(t *testing.T) {
	constants := []jose.Error{
		jose.ErrMalformed, jose.ErrAlgorithm, jose.ErrUnknownKey, jose.ErrSignature, jose.ErrUnusableKey, jose.ErrNotJWKS,
	}
	for i, e := range constants {
		if !strings.HasPrefix(e.Error(), "jose: ") {
			t.Errorf("%q does not name the package", e.Error())
		}
		for j, other := range constants {
			if errors.Is(fmt.Errorf("wrapped: %w", e), other) != (i == j) {
				t.Errorf("%v and %v are confused", e, other)
			}
		}
	}
}

// causeAllocations is how often a refusal may allocate: for the error, and for what its
// text is made of if it is printed.
const causeAllocations = 3

// TestErrorsAreWrittenLate checks that the text of a refusal is made only if it is
// printed: a token that is refused costs a few small allocations.
func TestErrorsAreWrittenLate(t *testing.T) {
	var set *jose.Set
	header := parse(t, unsigned(`{"alg":"ES256","kid":"a"}`)).UnverifiedHeader()
	if n := testing.AllocsPerRun(100, func() {
		_, err := jose.ParseCompact("a.b")
		_, unknown := set.Find(header)
		if !errors.Is(err, jose.ErrMalformed) || !errors.Is(unknown, jose.ErrUnknownKey) {
			t.Error(err, unknown)
		}
	}); n > 2*causeAllocations {
		t.Errorf("%v allocations", n)
	}
}
