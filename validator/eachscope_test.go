package validator_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestEachScope shows that it yields what Scopes has, stops when told, and
// allocates nothing.
func TestEachScope(t *testing.T) {
	for scope, want := range map[string][]string{"": nil, "a": {"a"}, "a bc d": {"a", "bc", "d"}} {
		token := expect(t, issuertest.Validator(t, granting("a", "b", "bc", "d")),
			bearer(testKey.token(baseClaims.with("scope", strconv.Quote(scope)))), 0, "", "")
		if got := slices.Collect(token.EachScope); !slices.Equal(got, want) || !slices.Equal(got, token.Scopes()) {
			t.Errorf("%q yields %q, want %q", scope, got, want)
		}
		for first := range token.EachScope {
			if first != want[0] {
				t.Errorf("%q yields %q first", scope, first)
			}
			break
		}
		n := 0
		if allocations := testing.AllocsPerRun(100, func() {
			for scope := range token.EachScope {
				n += len(scope)
			}
		}); allocations != 0 {
			t.Errorf("%q: %v allocations", scope, allocations)
		}
	}
	for _, token := range []*validator.Token{nil, {}} {
		for scope := range token.EachScope {
			t.Errorf("a token that was not validated yields %q", scope)
		}
	}
}
