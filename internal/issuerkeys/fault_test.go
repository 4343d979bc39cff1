package issuerkeys_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// TestFindWithADifferentClock covers the clock of R-OP-04: a clock that is five
// minutes ahead or behind refuses no token whose key is in the set.
func TestFindWithADifferentClock(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		u, err := jose.ParseCompact(issuer.Sign(testissuer.Token{}))
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			for _, off := range []time.Duration{-5 * time.Minute, 0, 5 * time.Minute} {
				atOnce(t, "a look-up", func() {
					_, err := keys.Find(t.Context(), time.Now().Add(off), u.UnverifiedHeader())
					wants(t, fmt.Sprint(off), err, nil)
				})
			}
			advance(time.Hour / 10)
		}
	})
}

// TestKnownKidsDoNotWait covers R-JK-08: while the issuer answers slowly, a
// thousand tokens with a known kid are verified without waiting, whatever the cause
// of the fetch under way.
func TestKnownKidsDoNotWait(t *testing.T) {
	for name, row := range map[string]struct {
		age    time.Duration // of the keys
		cause  string
		begin  func(context.Context, *issuerkeys.Keys, *issuertest.Issuer)
		waits  int
		result error // of begin
	}{
		"stale": {
			age: 11 * time.Minute, cause: "stale",
			begin: func(ctx context.Context, keys *issuerkeys.Keys, issuer *issuertest.Issuer) {
				_ = verify(ctx, keys, issuer.Sign(testissuer.Token{}))
			},
		},
		"unknown kid": {
			age: 2 * time.Second, cause: "unknown_kid", waits: 1,
			begin: func(ctx context.Context, keys *issuerkeys.Keys, issuer *issuertest.Issuer) {
				_ = verify(ctx, keys, unknown(issuer, "x"))
			},
		},
		"stale, and unknown kids wait": {
			age: 11 * time.Minute, cause: "stale", waits: 1000,
			begin: func(ctx context.Context, keys *issuerkeys.Keys, issuer *issuertest.Issuer) {
				_ = verify(ctx, keys, issuer.Sign(testissuer.Token{}))
				token := unknown(issuer, "x")
				var all sync.WaitGroup
				for range 1000 {
					all.Go(func() { _ = verify(ctx, keys, token) })
				}
				all.Wait()
			},
		},
		"schedule": {
			age: 2 * time.Second, cause: "schedule",
			begin: func(ctx context.Context, keys *issuerkeys.Keys, _ *issuertest.Issuer) { keys.Run(ctx) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
				var told journal
				keys := openKeys(t, issuer, told.keep)
				wants(t, "warm", keys.Warm(t.Context()), nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 5 * time.Second})
				advance(row.age)
				go row.begin(ctx, keys, issuer)
				synctest.Wait()
				for len(told.began(row.cause)) == 0 { // Run sleeps first
					advance(time.Second)
				}
				token := issuer.Sign(testissuer.Token{})
				atOnce(t, "a thousand tokens", func() {
					var all sync.WaitGroup
					for range 1000 {
						all.Go(func() { wants(t, "a token", verify(t.Context(), keys, token), nil) })
					}
					all.Wait()
				})
				wantRequests(t, "a fetch under way", issuer, 2)
				if got := keys.Status().Waiting; got != row.waits {
					t.Errorf("%d wait, want %d", got, row.waits)
				}
			})
		})
	}
}

// TestFindWhileASnapshotIsDropped covers R-DI-07: if a snapshot turns out to be of
// another jwks_uri while a token is looked up in it, the token gets ErrUnavailable.
func TestFindWhileASnapshotIsDropped(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "keys")
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
		var where atomic.Pointer[string]
		where.Store(new(issuer.JWKSURL()))
		meanwhile := func() {}
		openHere := func() *issuerkeys.Keys {
			return openFaulty(t, func(b *issuerkeys.Binding) {
				b.Issuer, b.SnapshotDir, b.HTTPClient = issuer.URL(), directory, issuer.Client()
				b.Locate = func(context.Context) (string, error) {
					if url := where.Load(); url != nil {
						return *url, nil
					}
					return "", errRefused
				}
				b.Trace = &jwkscache.Trace{UnknownKid: func(_ string, asked jwkscache.UnknownKid) {
					if asked.Decision == "refuses" {
						meanwhile()
					}
				}}
			})
		}
		wants(t, "warm", openHere().Warm(t.Context()), nil)
		synctest.Wait() // for the snapshot
		where.Store(nil)
		keys := openHere()
		wants(t, "restarted", ask(t.Context(), keys, issuer.SigningKey()), nil)
		wants(t, "an unknown kid", ask(t.Context(), keys, "x"), issuerkeys.ErrUnavailable)
		meanwhile = func() {
			advance(time.Second)
			where.Store(new(issuer.URL() + "/elsewhere"))
			_ = ask(t.Context(), keys, "y")
		}
		wants(t, "another, while the snapshot is dropped", ask(t.Context(), keys, "z"), issuerkeys.ErrUnavailable)
		wantState(t, "in the end", keys, "unavailable")
	})
}

// TestKeysNotOpened shows that the methods of the zero Keys return ErrUnavailable.
func TestKeysNotOpened(t *testing.T) {
	var keys issuerkeys.Keys
	wants(t, "a kid", ask(t.Context(), &keys, "x"), issuerkeys.ErrUnavailable)
	wants(t, "warm", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
	wants(t, "ready", keys.Ready(), issuerkeys.ErrUnavailable)
}

// TestFindUsesTheNewestKeys shows that a kid which was fetched during the call of
// Find is not refused (R-JK-09).
func TestFindUsesTheNewestKeys(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
		var keys *issuerkeys.Keys
		meanwhile := func() {}
		keys = openKeys(t, issuer, func(b *issuerkeys.Binding) {
			b.Trace = &jwkscache.Trace{UnknownKid: func(_ string, asked jwkscache.UnknownKid) {
				if asked.Decision == "refuses" {
					meanwhile()
				}
			}}
		})
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		issuer.Down(true)
		wants(t, "no answer", verify(t.Context(), keys, unknown(issuer, "x")), issuerkeys.ErrUnavailable)
		issuer.Rotate()
		token := issuer.Sign(testissuer.Token{})
		meanwhile = func() {
			advance(time.Second)
			issuer.Down(false)
			_ = verify(t.Context(), keys, unknown(issuer, "x"))
		}
		wants(t, "a key that another caller fetched", verify(t.Context(), keys, token), nil)
		wantRequests(t, "that one", issuer, 2)
	})
}

// TestRandomFaults covers R-OP-04: with random faults of the transport and random
// concurrent calls, every call returns within a bounded time, with nil,
// ErrUnavailable or ErrUnknownKey. When the faults end, the keys become fresh
// again.
func TestRandomFaults(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			directory := ""
			if seed == 0 {
				directory = filepath.Join(t.TempDir(), "keys")
			}
			synctest.Test(t, func(t *testing.T) { randomFaults(t, seed, directory) })
		})
	}
}

func randomFaults(t *testing.T, seed uint64, directory string) {
	issuer := inMemory(t, "max-age=60")
	var calm atomic.Bool
	released := make(chan struct{})
	keys := openKeys(t, issuer, over(func(r *http.Request) (*http.Response, error) {
		if calm.Load() {
			return issuer.Transport().RoundTrip(r)
		}
		switch n := rand.IntN(100); { // the order of the fetches is not determined
		case n < 50:
			advance(time.Duration(n*n) * time.Millisecond)
			return issuer.Transport().RoundTrip(r)
		case n < 70:
			return nil, errRefused
		case n < 80:
			return answering(gigabyte()), nil
		case n < 85:
			<-r.Context().Done()
			return nil, r.Context().Err()
		case n < 90:
			panic("injected")
		case n < 95:
			runtime.Goexit()
		default:
			select {
			case <-released:
			case <-time.After(time.Duration(n) * time.Second):
			}
		}
		return issuer.Transport().RoundTrip(r)
	}), limited(jwkscache.Limits{Stale: time.Minute}), func(b *issuerkeys.Binding) { b.SnapshotDir = directory })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if seed%3 == 0 {
		go keys.Run(ctx)
	}
	var all sync.WaitGroup
	for worker := range uint64(20) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, worker))
			for range 150 {
				start := time.Now()
				if err := randomCall(ctx, random, keys, issuer); err != nil && !undecided(err) {
					t.Error(err)
				}
				if took := time.Since(start); took > 3*flightBound {
					t.Errorf("answered after %v", took)
				}
				advance(time.Duration(random.IntN(4000)) * time.Millisecond)
			}
		})
	}
	all.Wait()
	calm.Store(true)
	close(released)
	issuer.Rotate()
	for range 70 { // the longest pause, and a flight
		advance(time.Second)
		_ = verify(ctx, keys, issuer.Sign(testissuer.Token{}))
	}
	wants(t, "in the end", verify(ctx, keys, issuer.Sign(testissuer.Token{})), nil)
	if s := keys.Status(); s.State != "fresh" || s.Waiting != 0 || s.LastError != nil || s.SnapshotError != nil {
		t.Errorf("in the end: %s, %d wait, %v, %v", s.State, s.Waiting, s.LastError, s.SnapshotError)
	}
}

// randomCall calls a random method of keys, or rotates the keys of the issuer.
func randomCall(ctx context.Context, random *rand.Rand, keys *issuerkeys.Keys, issuer *issuertest.Issuer) error {
	name := jwkscache.KeyName{KeyID: fmt.Sprint("forbidden-", random.IntN(3))}
	switch n := random.IntN(100); {
	case n < 40:
		return verify(ctx, keys, issuer.Sign(testissuer.Token{}))
	case n < 70:
		return ask(ctx, keys, fmt.Sprint(random.IntN(1<<random.IntN(20))))
	case n < 75:
		return keys.Warm(ctx)
	case n < 80:
		return keys.Forbid(ctx, name)
	case n < 85:
		return keys.Permit(ctx, name)
	case n < 90:
		_ = keys.Status()
		return keys.Ready()
	case n < 95:
		limited, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		keys.Run(limited)
		return nil
	default:
		issuer.Retire(issuer.Rotate()) // which signs still, until the next one does
		return nil
	}
}
