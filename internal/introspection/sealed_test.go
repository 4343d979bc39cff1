package introspection

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

// TestRecords checks which answers are stored, and that what was stored is an answer only
// if its own active is true.
func TestRecords(t *testing.T) {
	now := time.Now()
	for name, answer := range map[string]Answer{
		"inactive": {Document: `{}`},
		"odd":      {Active: true, Odd: errInjected, Document: `{}`},
		"large":    {Active: true, Document: strings.Repeat("x", maxSealed+1)},
	} {
		if _, ok := recordOf(&answer, now); ok {
			t.Errorf("%s is stored", name)
		}
	}
	for _, exp := range []string{`"tomorrow"`, "-1", "9999999999999999", "null"} { // no date, or none that is allowed
		answer := active(t, `{"active":true,"exp":`+exp+`}`).answer
		if _, ok := recordOf(&answer, now); ok {
			t.Errorf("an answer with exp %s is stored", exp)
		}
	}
	for document, want := range map[string]bool{
		`{"active":true}`:                 true,
		`{"active":false,"x":true}`:       false,
		`{"x":true}`:                      false,
		`{"active":"true","x":true}`:      false,
		`{"active":true,"active":true}`:   false,
		`{"active":true`:                  false,
		`{"x":{"active":true},"y":false}`: false,
	} {
		r := record{began: now, document: document}
		if answer, ok := r.answer(&Question{}, time.Second, now); ok != want || answer.Active != want {
			t.Errorf("%s: %+v", document, answer)
		}
	}
}

// contradicting is a Store whose Get returns a value although there is none, or with an
// error.
type contradicting struct {
	*lru

	found bool
	err   error
}

func (s *contradicting) Get(ctx context.Context, key [32]byte) ([]byte, bool, error) {
	value, _, _ := s.lru.Get(ctx, key)
	return value, s.found, s.err
}

// TestContradictingStore checks that a value which is not found, or comes with an error,
// does not count.
func TestContradictingStore(t *testing.T) {
	for name, row := range map[string]struct {
		found bool
		err   error
		calls int64
	}{
		"found":                {true, nil, 1},
		"not found":            {false, nil, 2},
		"found and failed":     {true, errInjected, 2},
		"not found and failed": {false, errInjected, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			store := &contradicting{newLRU(10), true, nil}
			a, calls := withStore(t, store, introspect.Client{}, Binding{}, `{"active":true}`)
			for range 2 {
				if _, err := a.Ask(t.Context(), Question{Token: token}); err != nil {
					t.Fatal(err)
				}
				store.found, store.err = row.found, row.err
			}
			if calls.Load() != row.calls {
				t.Errorf("%s: %d requests", name, calls.Load())
			}
		})
	}
}

// TestWarmStore checks that Warm reads the secret of a Store once, and that there is
// nothing to read without a Store.
func TestWarmStore(t *testing.T) {
	if err := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(nil)).Warm(t.Context()); err != nil {
		t.Error(err)
	}
	reads := 0
	a, _ := withStore(t, newLRU(10), introspect.Client{StoreSecret: introspect.SecretFunc(func(context.Context) (string, error) {
		reads++
		return storeSecret, nil
	})}, Binding{}, `{"active":true}`)
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			if err := a.Warm(t.Context()); err != nil {
				t.Error(err)
			}
			synctest.Wait() // until the reading is over
		})
	}
	if reads != 1 {
		t.Errorf("%d readings", reads)
	}
}
