package introspection

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

// TestHold shows that an issuer that wants to be left alone is, for the time that it
// names, but no longer than Limits.MaxHold; that callers are told the rest of the time;
// that one request a second is sent as a probe; and that another issuer is asked as
// before.
func TestHold(t *testing.T) {
	for _, row := range []struct {
		name   string
		asked  time.Duration
		limits introspect.Limits
		holds  time.Duration
	}{
		{"5 s", 5 * time.Second, introspect.Limits{}, 5 * time.Second},
		{"an hour", time.Hour, introspect.Limits{}, 30 * time.Second},
		{"an hour, of which more is heeded", time.Hour, introspect.Limits{MaxHold: time.Minute}, time.Minute},
		{"no time", 0, introspect.Limits{}, time.Second},
		{"a time in the past", -time.Minute, introspect.Limits{}, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			result := failed(introspect.Throttled, 429)
			result.retryAfter = row.asked
			x, calls := counted(&result)
			var seen recorder
			a := newAsker(t, introspect.Client{Limits: row.limits}, Binding{Trace: seen.trace()}, x)
			good := yes
			y, _ := counted(&good)
			other := newAsker(t, introspect.Client{}, Binding{}, y)
			_, err := a.Ask(t.Context(), Question{})
			if kindOf(t, err) != introspect.Throttled || seen.last().Requests != 1 {
				t.Fatal(err)
			}
			if told := retryAfter(t, err); told > row.holds {
				t.Errorf("%s: the caller of the first request is told to wait %v", row.name, told)
			}
			for left := row.holds; left > 0; left -= 100 * time.Millisecond {
				_, err := a.Ask(t.Context(), Question{})
				want := (left + time.Second - 1).Truncate(time.Second)
				if probe := seen.last().Requests == 1; kindOf(t, err) != introspect.Throttled || retryAfter(t, err) != want && !probe {
					t.Fatalf("%s: %v left: %v", row.name, left, err)
				}
				if _, err := other.Ask(t.Context(), Question{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
			}
			if probes := int64(row.holds / time.Second); calls.Load() != 1+probes {
				t.Errorf("%s: %d calls, want %d probes", row.name, calls.Load(), probes)
			}
			result = yes
			if _, err := a.Ask(t.Context(), Question{}); err != nil {
				t.Errorf("%s: afterwards: %v", row.name, err)
			}
			if got := seen.take(); got != "held asking" {
				t.Errorf("%s: states %q", row.name, got)
			}
		})
	}
}

// TestHoldShare shows that requests for tokens that were active before are sent during
// a hold, at most a quarter of Limits.Concurrency at once; that they pause for a second
// if the issuer throttles them too; and that this does not prolong the hold.
func TestHoldShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := failed(introspect.Throttled, 429)
		result.retryAfter = 10 * time.Second
		var calls atomic.Int64
		a := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(func(context.Context, Question) attempt {
			calls.Add(1)
			time.Sleep(10 * time.Millisecond)
			return result
		}))
		start := time.Now()
		_, _ = a.Ask(t.Context(), Question{})
		var all sync.WaitGroup
		burst := func(want int64) {
			t.Helper()
			calls.Store(0)
			for range 100 {
				all.Go(func() {
					_, err := a.Ask(t.Context(), Question{Known: true})
					if err != nil && kindOf(t, err) != introspect.Throttled {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if calls.Load() != want {
				t.Errorf("%d calls after %v, want %d", calls.Load(), time.Since(start), want)
			}
		}
		burst(8)
		burst(0)
		time.Sleep(time.Second)
		burst(8)
		time.Sleep(time.Second)
		result = yes
		burst(8)
		burst(8)
		time.Sleep(10*time.Second - time.Since(start) + 11*time.Millisecond)
		if _, err := a.Ask(t.Context(), Question{}); err != nil {
			t.Errorf("the hold was prolonged: %v", err)
		}
		if a.hold.running != 0 {
			t.Errorf("%d of the share were not given back", a.hold.running)
		}
	})
}

// TestHoldLongest shows that the longest of several times counts.
func TestHoldLongest(t *testing.T) {
	h := hold{longest: time.Minute}
	now := time.Now()
	throttled := effect{throttled: true}
	h.leave(stay{}, throttled, 10*time.Second, now)
	h.leave(stay{}, throttled, 5*time.Second, now)
	h.leave(stay{}, effect{}, 20*time.Second, now)
	if got := h.rest(now); got != 10*time.Second {
		t.Errorf("%v", got)
	}
}

// TestHoldForOneToken shows that an issuer that asks to be left alone for the sake of one
// token is not, because a verdict on another one ends the hold.
func TestHoldForOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		junk := cut(introspect.Throttled, 503)
		junk.retryAfter = time.Hour
		a := newAsker(t, introspect.Client{}, Binding{}, picky(junk))
		good, total := 0, 0
		for i := range 1000 {
			if i%20 == 0 { // every 10 s
				_, _ = a.Ask(t.Context(), Question{Token: "junk"})
			}
			time.Sleep(507 * time.Millisecond)
			total++
			if _, err := a.Ask(t.Context(), Question{Token: "good"}); err == nil {
				good++
			}
		}
		if good*100 < total*99 {
			t.Errorf("%d of %d good tokens got a verdict", good, total)
		}
	})
}

// TestHoldProbe shows which results of a probe end the hold, and that one that was not
// sent is given back.
func TestHoldProbe(t *testing.T) {
	for result, want := range map[outcome]time.Duration{verdict: 0, answered: 9900 * time.Millisecond, doubtful: 9900 * time.Millisecond, unsent: 9900 * time.Millisecond} {
		h := hold{longest: time.Minute}
		now := time.Now()
		h.leave(stay{}, effect{throttled: true}, 10*time.Second, now)
		if _, _, ok := h.enter(false, now.Add(firstProbe-1)); ok {
			t.Error("a probe at once")
		}
		now = now.Add(firstProbe)
		s, _, ok := h.enter(false, now)
		if _, _, second := h.enter(false, now); !ok || second {
			t.Errorf("probes: %v, %v", ok, second)
		}
		h.leave(s, effect{server: result}, 0, now)
		if got := h.rest(now); got != want {
			t.Errorf("%d: the hold lasts %v, want %v", result, got, want)
		}
		if _, _, again := h.enter(false, now); again != (result == verdict || result == unsent) {
			t.Errorf("%d: another request: %v", result, again)
		}
	}
}
