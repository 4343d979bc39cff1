package validator

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// suspend makes ts believe that the machine was suspended for d: the wall clock
// went on and the monotonic one stood still.
func suspend(ts *tenants, d time.Duration) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, found := range ts.known.Range {
		t := found.(*tenant)
		a := *t.answer.Load()
		a.since.wall -= int64(d)
		t.answer.Store(&a)
	}
	for _, kind := range []misses{ts.missed, ts.gaveWay} {
		for url, m := range kind {
			m.since.wall -= int64(d)
			kind[url] = m
		}
	}
}

// TestTenantsSuspended shows that what Tenants said ages while the machine is
// suspended.
func TestTenantsSuspended(t *testing.T) {
	const url = "https://tenant.test"
	errDown := errors.New("the directory is down")
	for name, row := range map[string]struct {
		first, then error // of Tenants
		d           time.Duration
		calls       int // after that
		want        error
	}{
		"fresh":                         {nil, ErrUnknownIssuer, 4*time.Minute - time.Second, 0, nil},
		"asked again in the background": {nil, ErrUnknownIssuer, 4 * time.Minute, 1, nil},
		"asked again":                   {nil, ErrUnknownIssuer, 5 * time.Minute, 1, ErrUnknownIssuer},
		"while it fails":                {nil, errDown, time.Hour - time.Second, 1, nil},
		"too long while it fails":       {nil, errDown, time.Hour, 1, errDown},
		"a miss":                        {ErrUnknownIssuer, nil, 10*time.Second - time.Millisecond, 0, ErrUnknownIssuer},
		"a miss that is over":           {ErrUnknownIssuer, nil, 10 * time.Second, 1, nil},
		"a failure":                     {errDown, nil, 5*time.Second - time.Millisecond, 0, errDown},
		"a failure that is over":        {errDown, nil, 5 * time.Second, 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ts, calls, result := noKeys(3), 0, row.first
				find := ts.find
				ts.find = func(ctx context.Context, url string) (Issuer, error) {
					calls++
					if result != nil {
						return Issuer{}, result
					}
					return find(ctx, url)
				}
				if _, err := ts.issuer(t.Context(), url); !errors.Is(err, row.first) {
					t.Fatal(err)
				}
				if now := time.Now(); ts.moment(now) != (moment{now.Sub(ts.born), now.UnixNano()}) {
					t.Fatal("a moment is not by both clocks")
				}
				calls, result = 0, row.then
				suspend(ts, row.d)
				_, err := ts.issuer(t.Context(), url)
				synctest.Wait()
				if !errors.Is(err, row.want) || calls != row.calls {
					t.Errorf("%v after %d calls, want %v after %d", err, calls, row.want, row.calls)
				}
			})
		})
	}
}

// TestTenantsQueueEnds shows that a call which waits for a place is given up after
// five seconds, and that nothing is kept of it.
func TestTenantsQueueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ts := noKeys(3)
		gate := make(chan struct{})
		ts.find = func(context.Context, string) (Issuer, error) {
			<-gate
			return Issuer{}, ErrUnknownIssuer
		}
		for i := range maxCalls {
			if _, err := ts.ask(t.Context(), nobody+string(rune('a'+i)), false); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		if _, err := ts.issuer(t.Context(), nobody); !errors.Is(err, errTooManyAsked) {
			t.Errorf("%v, want %v", err, errTooManyAsked)
		}
		if took := time.Since(start); took < tenantTimeout || took > tenantTimeout+laneInterval {
			t.Errorf("that took %v", took)
		}
		close(gate)
		synctest.Wait()
		<-time.After(tenantTimeout)
		if l := &ts.lanes[strangers]; len(l.queue) != 0 || len(l.underWay) != 0 || len(ts.asked) != 0 {
			t.Errorf("%d calls wait, %d are under way, %d are asked for", len(l.queue), len(l.underWay), len(ts.asked))
		}
	})
}

// TestAcceptedIssuersMemory shows that no more issuers are remembered than the file
// can hold.
func TestAcceptedIssuersMemory(t *testing.T) {
	accepted := newAcceptedIssuers("", nil)
	for i := range jwkscache.MaxAcceptedIssuers + 5 {
		accepted.add(fmt.Sprint(i))
	}
	if n := len(accepted.known); n != jwkscache.MaxAcceptedIssuers {
		t.Errorf("%d are remembered", n)
	}
}
