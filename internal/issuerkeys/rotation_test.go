package issuerkeys_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// drill is one rotation, with the instants of its steps.
type drill struct {
	issuer   *issuertest.Issuer
	keys     *issuerkeys.Keys
	old, new string
	within   time.Duration // how long the old key may verify after it was retired
	retired  atomic.Pointer[time.Time]

	verified, overlapped, lateRefused atomic.Int64
}

// TestRotationDrill covers R-OP-05, R-JK-08 and R-JK-13: publish a key, wait, sign
// with it, retire the old key, with ten thousand tokens under way. No token of a
// published key is refused. No token of the retired key is accepted after the
// refresh interval, which is nine tenths of max-age with Run and max-age without,
// and the time of the fetch.
func TestRotationDrill(t *testing.T) {
	const (
		maxAge  = 2 * time.Minute
		tokens  = 10_000
		workers = 10
		pause   = 3 * time.Second // of a worker, between two tokens
	)
	for run, interval := range map[bool]time.Duration{true: maxAge * 9 / 10, false: maxAge} {
		t.Run(fmt.Sprint("Run ", run), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := inMemory(t, "max-age=120")
				slow(issuer, fetchTime)
				d := drill{issuer: issuer, keys: openKeys(t, issuer), old: issuer.SigningKey(), within: interval + fetchTime + pause/workers}
				wants(t, "warm", d.keys.Warm(t.Context()), nil)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if run {
					go d.keys.Run(ctx)
				}
				d.new = issuer.AddKey(testissuer.Key{Unpublished: true})
				var start, all sync.WaitGroup
				start.Add(1)
				for worker := range workers {
					all.Go(func() {
						start.Wait()
						advance(time.Duration(worker) * pause / workers)
						for range tokens / 2 / workers {
							d.step(t)
							advance(pause)
						}
					})
				}
				handle := d.handle(t)
				start.Done()
				advance(5*time.Minute + time.Second)
				issuer.Publish(d.new)
				advance(maxAge + fetchTime) // everybody has seen it
				issuer.Use(d.new)
				advance(5 * time.Minute) // the tokens of the old key expire
				issuer.Retire(d.old)
				d.retired.Store(new(time.Now()))
				advance(d.within)
				wants(t, "the Handle of the retired key", handle.Check(t.Context(), time.Now()), jose.ErrUnknownKey)
				all.Wait()
				if d.verified.Load() != tokens || d.overlapped.Load() < tokens/8 || d.lateRefused.Load() < tokens/8 {
					t.Errorf("%d verified, %d of them while both keys were published, %d refused in the end", d.verified.Load(), d.overlapped.Load(), d.lateRefused.Load())
				}
			})
		})
	}
}

// handle returns a Handle of the old key.
func (d *drill) handle(t *testing.T) issuerkeys.Handle {
	t.Helper()
	found, err := d.keys.Find(t.Context(), time.Now(), headerFor(d.old))
	if err != nil {
		t.Fatal(err)
	}
	return found.Handle(found.Keys[0])
}

// step verifies a token of the signing key and one of the old key.
func (d *drill) step(t *testing.T) {
	signer := d.issuer.SigningKey()
	token, old := d.issuer.Sign(testissuer.Token{Key: signer}), d.issuer.Sign(testissuer.Token{Key: d.old})
	retired, now := d.retired.Load(), time.Now()
	wants(t, "a token of the signer", verify(t.Context(), d.keys, token), nil)
	err := verify(t.Context(), d.keys, old)
	d.verified.Add(2)
	switch {
	case retired == nil:
		if wants(t, "a token of the key that is published still", err, nil); signer != d.old {
			d.overlapped.Add(2)
		}
	case err == nil && now.Sub(*retired) > d.within:
		t.Errorf("a token of the retired key is accepted after %v", now.Sub(*retired))
	case err != nil && !errors.Is(err, jose.ErrUnknownKey):
		t.Errorf("a token of the retired key: %v", err)
	case err != nil:
		d.lateRefused.Add(1)
	}
}

// TestRotationWithoutOverlap covers R-OP-05 and R-JK-09: if the issuer signs with a
// new key at once and retires the old one, the first token of the new key is
// accepted, and the old key is refused after that.
func TestRotationWithoutOverlap(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		wants(t, "warm", keys.Warm(t.Context()), nil)
		for range 10 {
			advance(time.Second)
			old, before := issuer.SigningKey(), issuer.Sign(testissuer.Token{})
			wants(t, "before", verify(t.Context(), keys, before), nil)
			issuer.Rotate()
			issuer.Retire(old)
			token := issuer.Sign(testissuer.Token{})
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() { wants(t, "the new key", verify(t.Context(), keys, token), nil) })
			}
			all.Wait()
			wants(t, "the old key", verify(t.Context(), keys, before), jose.ErrUnknownKey)
			advance(5 * time.Second)
		}
		wantRequests(t, "one for each new key, and one for each old one", issuer, 1+2*10)
	})
}
