package issuerkeys_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
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

// cutOff is one kind of outage.
type cutOff struct {
	name     string
	run      bool // with Run
	metadata bool // what is down is the metadata, not the issuer
	limits   jwkscache.Limits
	serves   time.Duration // how long a set serves after it was fetched
}

func (o *cutOff) test(t *testing.T, length time.Duration) {
	issuer := inMemory(t, "")
	keys, down := o.open(t, issuer)
	token := issuer.Sign(testissuer.Token{})
	wants(t, "warm", keys.Warm(t.Context()), nil)
	if o.run {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
	}
	advance(10 * time.Minute)
	wants(t, "before", verify(t.Context(), keys, token), nil)
	advance(time.Minute)

	down(true)
	start, last := time.Now(), keys.Status()
	if got := last.UsableUntil.Sub(last.Fetched); got != o.serves || last.State != "fresh" {
		t.Fatalf("the keys are %s and serve for %v, want %v", last.State, got, o.serves)
	}
	states := []string{last.State}
	for time.Since(start) < length {
		now, state, want := time.Now(), "fresh", error(nil)
		switch {
		case !now.Before(last.UsableUntil):
			state, want = "unavailable", issuerkeys.ErrUnavailable
		case !now.Before(last.FreshUntil):
			state = "stale"
		}
		what := fmt.Sprintf("%v after the fetch", now.Sub(last.Fetched))
		wants(t, what, verify(t.Context(), keys, token), want)
		wants(t, what+", ready", keys.Ready(), want)
		wantState(t, what, keys, state)
		if states = append(states, state); t.Failed() {
			return
		}
		advance(min(length/20, 97*time.Second))
	}
	down(false)
	o.recovers(t, keys, token, last.UsableUntil)
	states = append(states, keys.Status().State)
	if got := strings.Join(slices.Compact(states), " "); length > o.serves+2*time.Minute && got != "fresh stale unavailable fresh" {
		t.Error(got)
	}
	if s := keys.Status(); s.LastError != nil || s.Failures != 0 || length == 0 && !s.LastFailure.IsZero() || length > 10*time.Minute && s.LastFailure.IsZero() {
		t.Errorf("in the end: %v, %d failures, the last %v", s.LastError, s.Failures, s.LastFailure)
	}
}

// open opens keys, and returns a function that starts and ends the outage.
func (o *cutOff) open(t *testing.T, issuer *issuertest.Issuer) (*issuerkeys.Keys, func(bool)) {
	t.Helper()
	if !o.metadata {
		return openKeys(t, issuer, limited(o.limits)), issuer.Down
	}
	var down atomic.Bool
	keys, err := issuerkeys.Open(jwkscache.Discovered(), issuerkeys.Binding{
		Algorithms: []jose.Algorithm{jose.ES256},
		HTTPClient: issuer.Client(),
		Limits:     o.limits,
		Locate: func(context.Context) (string, error) {
			if down.Load() {
				return "", errRefused
			}
			return issuer.JWKSURL(), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys, down.Store
}

// recovers waits for the first success. With Run it comes without any token, within
// the longest pause. Without Run, tokens cause it, within five seconds if no keys
// are usable.
func (o *cutOff) recovers(t *testing.T, keys *issuerkeys.Keys, token string, usable time.Time) {
	t.Helper()
	const longestPause = time.Minute
	if o.run {
		advance(longestPause + time.Second)
		wantState(t, "Run, after the longest pause", keys, "fresh")
	}
	start, served := time.Now(), time.Now().Before(usable) || o.run
	for {
		err := verify(t.Context(), keys, token)
		took := time.Since(start)
		switch synctest.Wait(); {
		case err != nil && (served || took > 5*time.Second):
			t.Fatalf("%v after the outage: %v", took, err)
		case keys.Status().State == "fresh":
			wants(t, "a token", verify(t.Context(), keys, token), nil)
			return
		case took > longestPause:
			t.Fatalf("not fresh %v after the outage", took)
		}
		advance(time.Second)
	}
}

// TestOutage covers the outage drill of R-OP-04, R-JK-12 and R-DI-07: in outages of
// up to a day, no token is refused while the last keys may serve, every token gets
// [issuerkeys.ErrUnavailable] after that, and the first success restores service.
func TestOutage(t *testing.T) {
	const day = 24 * time.Hour
	for _, row := range []cutOff{
		{name: "defaults", serves: 70 * time.Minute},
		{name: "defaults and Run", serves: 70 * time.Minute, run: true},
		{name: "metadata", serves: 70 * time.Minute, metadata: true},
		{name: "metadata and Run", serves: 70 * time.Minute, metadata: true, run: true},
		{name: "five minutes", limits: jwkscache.Limits{Stale: 5 * time.Minute}, serves: 15 * time.Minute},
		{name: "a day", limits: jwkscache.Limits{Stale: day}, serves: day},
		{name: "a day and Run", limits: jwkscache.Limits{Stale: day}, serves: day, run: true},
		{name: "three hours in all", limits: jwkscache.Limits{Stale: day, MaxAge: 3 * time.Hour}, serves: 3 * time.Hour, run: true},
	} {
		for _, length := range []time.Duration{0, time.Minute, 9 * time.Minute, 30 * time.Minute, 69 * time.Minute, 73 * time.Minute, 6 * time.Hour, day} {
			t.Run(fmt.Sprintf("%s/%v", row.name, length), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { row.test(t, length) })
			})
		}
	}
}

// TestOutageOfAnotherIssuer covers R-JK-12 and R-JK-02: the outage of an issuer
// does not affect another issuer whose key has the same kid, and the key of one
// does not verify tokens of the other.
func TestOutageOfAnotherIssuer(t *testing.T) {
	bubble(t, func(t *testing.T, down *issuertest.Issuer, keysDown *issuerkeys.Keys) {
		up := inMemory(t, "")
		defer up.Close()
		keysUp := openKeys(t, up)
		wants(t, "warm", errors.Join(keysDown.Warm(t.Context()), keysUp.Warm(t.Context())), nil)
		tokenDown, tokenUp := down.Sign(testissuer.Token{}), up.Sign(testissuer.Token{})
		down.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: time.Hour})
		for range 10 {
			advance(20 * time.Minute)
			var waiting sync.WaitGroup
			for range 100 {
				waiting.Go(func() { _ = verify(t.Context(), keysDown, tokenDown) })
			}
			synctest.Wait()
			atOnce(t, "the other issuer", func() { wants(t, "the other issuer", verify(t.Context(), keysUp, tokenUp), nil) })
			wants(t, "a token of another issuer", verify(t.Context(), keysUp, tokenDown), jose.ErrSignature)
			waiting.Wait()
		}
		wants(t, "the issuer that is down", verify(t.Context(), keysDown, tokenDown), issuerkeys.ErrUnavailable)
		wantState(t, "the other issuer", keysUp, "fresh")
	})
}
