package jose_test

import (
	"errors"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestZeroValues shows that no method panics on a value that no constructor
// made, and that none of them finds or verifies anything.
func TestZeroValues(t *testing.T) {
	for _, line := range zero.Panics(nil,
		(*jose.Key)(nil), new(jose.Key), (*jose.Set)(nil), new(jose.Set), (*jose.Headers)(nil),
		jose.Header{}, new(jose.Header), jose.Unverified{}, new(jose.Unverified), jose.Algorithm(0), new(jose.Algorithm),
	) {
		t.Error(line)
	}
	key := onlyKey(t, jose.EdDSA, keyFor(jose.EdDSA))
	for name, u := range map[string]*jose.Unverified{"nil": nil, "zero": {}} {
		if err := key.Verify(u); err == nil {
			t.Errorf("a key verifies the %s Unverified", name)
		}
	}
	var none *jose.Set
	if keys, err := none.Find(parse(t, unsigned(`{"alg":"EdDSA"}`)).UnverifiedHeader()); keys != nil || !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("a nil Set finds %v, %v", keys, err)
	}
	if _, err := (&jose.Set{}).Without(nil).Find(jose.Header{}); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("the zero Header finds keys: %v", err)
	}
}
