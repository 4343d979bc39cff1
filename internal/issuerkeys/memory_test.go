package issuerkeys

import (
	"errors"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// TestAccountOverLimit shows what an account may reserve when the memory of all is
// used up: less than before, and a small set of an issuer that was accepted.
func TestAccountOverLimit(t *testing.T) {
	const limit = 32 * smallSet
	for name, row := range map[string]struct {
		familiar bool
		before   int
		size     int
		want     error
	}{
		"a smaller set":                  {false, 2 * smallSet, smallSet, nil},
		"the same size":                  {false, smallSet, smallSet, nil},
		"a larger set":                   {false, smallSet, smallSet + 1, errMemory},
		"a small set, accepted":          {true, 0, smallSet, nil},
		"a set that is larger, accepted": {true, 0, smallSet + 1, errMemory},
	} {
		m := memory{limit: limit, used: 2 * limit, strangers: limit}
		a := account{memory: &m, familiar: row.familiar, used: row.before}
		if err := a.reserve(row.size); !errors.Is(err, row.want) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

// TestAccountLeft shows that keys which are not in use any more count as nothing and
// have room, until they are counted again.
func TestAccountLeft(t *testing.T) {
	m := memory{limit: 32 * smallSet}
	a := account{memory: &m}
	a.use(10)
	a.count(false, 10)
	a.use(20)
	if err := a.reserve(64 * smallSet); err != nil || m.used != 0 || m.strangers != 0 {
		t.Errorf("%v; %d bytes are used, %d by strangers", err, m.used, m.strangers)
	}
	a.count(true, 30)
	if m.used != 30 || m.strangers != 30 {
		t.Errorf("%d bytes are used, %d by strangers, want 30", m.used, m.strangers)
	}
}

// TestWithoutShared shows that a nil Shared counts nothing and has no bound for all.
func TestWithoutShared(t *testing.T) {
	var none *Shared
	a := none.account(true)
	a.count(true, 1)
	a.use(1)
	a.accept()
	if err := a.reserve(1 << 40); err != nil || !a.familiar {
		t.Errorf("%v, familiar: %t", err, a.familiar)
	}
	f := detached.NewFlight()
	f.Land(nil)
	if err := errors.Join(none.Wait(t.Context(), f, 1), none.WaitForStranger(t.Context(), f, 1), none.wait(t.Context(), f, 1, 0)); err != nil {
		t.Error(err)
	}
}
