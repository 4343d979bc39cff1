package issuerkeys_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestFleetSpreads covers the jitter of R-JK-08: processes that fetched at the same
// instant do not fetch again at the same instant, and all of them renew the keys
// while they are fresh: from a tenth of that time on after the first fetch, and late in
// it after a renewal. Processes whose fetches failed at the same instant do not retry at
// the same instant. The simulation in package benchmarks shows how evenly.
func TestFleetSpreads(t *testing.T) {
	const fleet, fresh = 20, 10 * time.Minute
	for name, row := range map[string]struct {
		down             bool
		n                int           // which fetch of each
		earliest, latest time.Duration // after the fetch before it; after the start if down
	}{
		"first renewal": {false, 1, fresh / 10, fresh*9/10 + time.Second},
		"renewal":       {false, 2, fresh * 8 / 10, fresh*9/10 + time.Second},
		"after failure": {true, 2, 2 * time.Second, 3*time.Second + 1},
		"much later":    {true, 9, time.Minute, fresh},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				issuer.Down(row.down)
				start := time.Now()
				journals := make([]journal, fleet)
				for i := range journals {
					go openKeys(t, issuer, journals[i].keep).Run(ctx)
				}
				advance(2 * fresh)
				different := make(map[time.Time]bool)
				for i := range journals {
					began := journals[i].began("schedule")
					at, from := began[row.n], start
					if !row.down {
						from = began[row.n-1]
					}
					different[at] = true
					if since := at.Sub(from); since < row.earliest || since >= row.latest {
						t.Errorf("fetched after %v, want %v to %v", since, row.earliest, row.latest)
					}
				}
				if len(different) < fleet-2 {
					t.Errorf("%d instants of %d", len(different), fleet)
				}
			})
		})
	}
}

// TestRunEndsWithItsContext shows that Run returns at once when its context ends,
// whether it sleeps or waits for a fetch.
func TestRunEndsWithItsContext(t *testing.T) {
	for name, behaviour := range map[string]testissuer.Behaviour{
		"asleep":  {},
		"waiting": {Delay: 4 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
				issuer.Behave(testissuer.JWKS, behaviour)
				ctx, cancel := context.WithCancel(t.Context())
				var run sync.WaitGroup
				run.Go(func() { keys.Run(ctx) })
				advance(time.Second)
				wantRequests(t, "it runs", issuer, 1)
				cancel()
				atOnce(t, "the end", run.Wait)
				advance(4 * time.Second)
				wants(t, "the fetch begun is not lost", keys.Ready(), nil)
			})
		})
	}
}

// TestRunRecovers shows that Run fetches from a failing issuer at growing
// intervals, without any token, and has the keys within the longest interval after
// the issuer is back.
func TestRunRecovers(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
		var told journal
		keys := openKeys(t, issuer, told.keep)
		issuer.Down(true)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
		advance(time.Hour)
		at := told.began("schedule")
		for i := range len(at) - 1 {
			pause, expected := at[i+1].Sub(at[i]), min(time.Second<<min(i, 10), time.Minute)
			if pause < max(time.Second, expected/2) || pause > max(time.Second, expected) {
				t.Errorf("pause %d is %v; half to all of %v is right", i, pause, expected)
			}
		}
		issuer.Down(false)
		advance(time.Minute)
		wantState(t, "after the longest pause", keys, "fresh")
	})
}

// TestRunNoticesShorterFreshness shows that Run renews keys in time if a token
// caused a fetch whose keys are fresh for a shorter time than those before.
func TestRunNoticesShorterFreshness(t *testing.T) {
	for _, shortest := range []time.Duration{time.Minute, 10 * time.Second} {
		t.Run(fmt.Sprint(shortest), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := inMemory(t, "max-age=3600")
				keys := openKeys(t, issuer, limited(jwkscache.Limits{MinFresh: shortest}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go keys.Run(ctx)
				advance(61 * time.Second)
				issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Header: http.Header{"Cache-Control": {"max-age=1"}}})
				wants(t, "an unknown kid", verify(t.Context(), keys, unknown(issuer, "x")), jose.ErrUnknownKey)
				if s := keys.Status(); time.Until(s.FreshUntil) != shortest {
					t.Fatalf("fresh for %v", time.Until(s.FreshUntil))
				}
				for range 300 {
					advance(time.Second)
					wantState(t, "with Run", keys, "fresh")
				}
			})
		})
	}
}

// TestRunWithStaticKeys shows that Run does not loop for static keys after the
// directory was read.
func TestRunWithStaticKeys(t *testing.T) {
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		keys, err := issuerkeys.Open(jwkscache.Static([]byte(`{"keys":[]}`)), issuerkeys.Binding{Issuer: issuer, SnapshotDir: directory})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
		advance(time.Hour) // would not return if Run were busy
		wantState(t, "after an hour", keys, "fresh")
	})
}
