package jose_test

import (
	"errors"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/zero"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestZeroValues checks that no method panics on a zero or nil value, and that none
// of them finds or verifies anything.
func TestZeroValues(t *testing.T) {
	for _, line := range zero.Panics(nil,
		(*jose.Key)(nil), new(jose.Key), (*jose.Set)(nil), new(jose.Set), (*jose.Headers)(nil), new(jose.Headers),
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

// TestZeroHeaders checks that a nil Headers parses and stores nothing, and that the
// zero Headers stores.
func TestZeroHeaders(t *testing.T) {
	header := `{"alg":"ES256","kid":"a"}`
	text := unsigned(header)
	for name, headers := range map[string]*jose.Headers{"nil": nil, "zero": new(jose.Headers)} {
		for i := range 2 {
			u, err := headers.ParseCompact(text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want := len(header) + len("{}")
			if headers != nil && i > 0 {
				want = len("{}")
			}
			if u.Retained() != want {
				t.Errorf("%s: %d bytes are retained, want %d", name, u.Retained(), want)
			}
			headers.Remember(&u)
			headers.Remember(new(jose.Unverified))
			headers.Remember(nil)
		}
		if _, err := headers.ParseCompact(""); !errors.Is(err, jose.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestZeroKeyAndSet checks that zero and nil keys, sets and tokens verify nothing.
func TestZeroKeyAndSet(t *testing.T) {
	good := parseSet(t, all, public(p256Key()).String()).Keys()[0]
	u := parse(t, unsigned(`{"alg":"ES256","kid":"a"}`))
	for name, row := range map[string]struct {
		key  *jose.Key
		u    *jose.Unverified
		want error
	}{
		"nil key":    {nil, u, jose.ErrUnknownKey},
		"zero key":   {new(jose.Key), u, jose.ErrUnknownKey},
		"nil token":  {good, nil, jose.ErrMalformed},
		"zero token": {good, new(jose.Unverified), jose.ErrAlgorithm},
		"nothing":    {nil, nil, jose.ErrUnknownKey},
	} {
		if err := row.key.Verify(row.u); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
	set := new(jose.Set)
	if keys, err := set.Find(u.UnverifiedHeader()); len(keys) != 0 || !errors.Is(err, jose.ErrUnknownKey) {
		t.Errorf("zero set: %v, %v", keys, err)
	}
	if keys, err := set.Find(jose.Header{}); len(keys) != 0 || !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("zero set, zero header: %v, %v", keys, err)
	}
	rest := set.Without(func(*jose.Key) bool { return true })
	if len(rest.Keys()) != 0 || len(set.Ignored()) != 0 || !set.MightGain(u.UnverifiedHeader()) {
		t.Error("the zero set is not empty")
	}
}
