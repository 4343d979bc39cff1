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
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// fetchTime is the time that a fetch takes in these tests.
const fetchTime = 300 * time.Millisecond

// forgotten is the time after which fruitless fetches no longer count.
const forgotten = 5 * time.Minute

// headerFor returns the header of an unsigned token with that kid.
func headerFor(kid string) jose.Header {
	u, err := jose.ParseCompact(encode([]byte(`{"alg":"ES256","kid":"`+kid+`"}`)) + ".e30.AA")
	if err != nil {
		panic(err)
	}
	return u.UnverifiedHeader()
}

// ask looks a kid up.
func ask(ctx context.Context, keys *issuerkeys.Keys, kid string) error {
	_, err := keys.Find(ctx, time.Now(), headerFor(kid))
	return err
}

// undecided reports whether err is one of the two errors that made-up kids get.
func undecided(err error) bool {
	return errors.Is(err, jose.ErrUnknownKey) || errors.Is(err, issuerkeys.ErrUnavailable)
}

// goOn calls step at once and then after every pause, each time in a new goroutine,
// until the returned function is called.
func goOn(pause time.Duration, step func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for ctx.Err() == nil {
			all.Go(func() { step(ctx) })
			advance(pause)
		}
	})
	return func() { cancel(); all.Wait() }
}

// poll looks up a kid again and again, as a client does that sends the same token
// repeatedly.
func poll(keys *issuerkeys.Keys, kid string, pause time.Duration) (stop func()) {
	return goOn(pause, func(ctx context.Context) { _ = ask(ctx, keys, kid) })
}

// accepted returns the time until a kid is found that is looked up every 20 ms. It
// fails the test if this takes longer than the bound.
func accepted(t *testing.T, keys *issuerkeys.Keys, kid string, bound time.Duration) time.Duration {
	t.Helper()
	for start := time.Now(); ; advance(20 * time.Millisecond) {
		err := ask(t.Context(), keys, kid)
		took := time.Since(start)
		switch {
		case took > bound+20*time.Millisecond:
			t.Errorf("%q: %v after %v, want it found within %v", kid, err, took, bound)
			return took
		case err == nil:
			return took
		case !undecided(err):
			t.Fatal(err)
		}
	}
}

// wantRate covers R-JK-10 for the fetches of a journal. No two fetches for unknown
// kids begin less than a second apart. In any five minutes without a new key, at
// most ten of them begin less than five seconds after the one before.
func wantRate(t *testing.T, told *journal) {
	t.Helper()
	at := told.began("unknown_kid")
	var quick []time.Time
	for i := 1; i < len(at); i++ {
		switch gap := at[i].Sub(at[i-1]); {
		case gap < time.Second:
			t.Errorf("fetches %d and %d are %v apart", i, i+1, gap)
		case gap < 5*time.Second:
			quick = append(quick, at[i])
		}
	}
	for i := 10; i < len(quick); i++ {
		first, last := quick[i-10], quick[i]
		if span := last.Sub(first); span < forgotten && !told.gained(first, last) {
			t.Errorf("eleven fetches in %v that are less than five seconds apart from others", span)
		}
	}
}

// slow makes the issuer answer slowly.
func slow(issuer *issuertest.Issuer, delay time.Duration) {
	issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: delay})
}

// flooded runs a test with a slow issuer and a journal.
func flooded(t *testing.T, do func(*testing.T, *issuertest.Issuer, *issuerkeys.Keys, *journal)) {
	t.Helper()
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
		var told journal
		keys := openKeys(t, issuer, told.keep)
		slow(issuer, fetchTime)
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(2 * time.Second)
		do(t, issuer, keys, &told)
		wantRate(t, &told)
	})
}

// TestBurstOfKids covers R-JK-10: two hundred made-up kids cost at most two
// fetches. If the issuer rotates just after its set was read, the new key is found
// within returns a change of a Binding that sets Limits.
func TestBurstOfKids(t *testing.T) {
	for _, moment := range []time.Duration{0, time.Millisecond, fetchTime / 2, fetchTime, 600 * time.Millisecond, 999 * time.Millisecond} {
		t.Run(fmt.Sprint(moment), func(t *testing.T) {
			flooded(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys, told *journal) {
				var all sync.WaitGroup
				for i := range 200 {
					all.Go(func() { wants(t, "a made-up kid", ask(t.Context(), keys, fmt.Sprint(i)), jose.ErrUnknownKey) })
				}
				synctest.Wait()
				advance(moment)
				if n := len(told.began("unknown_kid")); n < 1 || n > 2 {
					t.Errorf("%d fetches", n)
				}
				issuer.Rotate()
				token, start := issuer.Sign(testissuer.Token{}), time.Now()
				accepted(t, keys, issuer.SigningKey(), time.Second+fetchTime)
				wants(t, "the token", verify(t.Context(), keys, token), nil)
				if took := time.Since(start); took > time.Second+fetchTime {
					t.Errorf("accepted after %v", took)
				}
				all.Wait()
				if n := len(told.began("unknown_kid")); n > 2 {
					t.Errorf("%d fetches in all", n)
				}
			})
		})
	}
}

// storm sends made-up kids at a high rate. Meanwhile it looks up tokens with a
// known kid, which must take no time.
type storm struct {
	keys  *issuerkeys.Keys
	known jose.Header
	rate  int // each ten milliseconds

	n     atomic.Int64
	stop  func()
	worst int // most that waited
}

func (s *storm) begin(t *testing.T) {
	s.stop = goOn(10*time.Millisecond, func(ctx context.Context) {
		for range s.rate {
			kid := fmt.Sprintf("made-up-%d", s.n.Add(1))
			go func() {
				if err := ask(ctx, s.keys, kid); !undecided(err) {
					t.Errorf("a made-up kid: %v", err)
				}
			}()
		}
		start := time.Now()
		if _, err := s.keys.Find(ctx, start, s.known); err != nil || time.Since(start) != 0 {
			t.Errorf("a known kid after %v: %v", time.Since(start), err)
		}
	})
}

// watch lets time pass and records how many callers wait.
func (s *storm) watch(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); advance(50 * time.Millisecond) {
		synctest.Wait()
		s.worst = max(s.worst, s.keys.Status().Waiting)
	}
}

// TestFloodOfKids covers R-JK-10 and R-JK-09. With ten thousand made-up kids a
// second for 20 seconds, there are ten fetches, a second or the time of a fetch
// apart, and then one fetch every five seconds. A new key is found within five
// seconds and the time of a fetch. Tokens with a known kid do not wait, and at most
// a thousand callers wait.
func TestFloodOfKids(t *testing.T) {
	for fetch, rate := range map[time.Duration]int{fetchTime: 100, 4 * time.Second: 10} {
		t.Run(fmt.Sprint(fetch), func(t *testing.T) {
			flooded(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys, told *journal) {
				slow(issuer, fetch)
				s := storm{keys: keys, known: headerFor(issuer.SigningKey()), rate: rate}
				start := time.Now()
				s.begin(t)
				whole := 20*time.Second + 10*max(time.Second, fetch)
				s.watch(whole + 2*time.Second)
				at := told.began("unknown_kid")
				if len(at) < 14 {
					t.Errorf("%d fetches", len(at))
				}
				for i := range at {
					earliest := start.Add(time.Duration(i) * max(time.Second, fetch))
					if i >= 10 {
						earliest = at[i-1].Add(5 * time.Second)
					}
					if at[i].Before(earliest) || at[i].After(earliest.Add(time.Second)) {
						t.Errorf("fetch %d after %v, want %v", i+1, at[i].Sub(start), earliest.Sub(start))
					}
				}
				if s.worst > 1000 || s.worst < 900 {
					t.Errorf("%d waited, want a thousand", s.worst)
				}
				if n := s.n.Load(); n < int64(whole/time.Second)*100*int64(rate) {
					t.Errorf("only %d made-up kids", n)
				}
				issuer.Rotate()
				token, bound := issuer.Sign(testissuer.Token{}), 5*time.Second+fetch
				took := accepted(t, keys, issuer.SigningKey(), bound)
				atOnce(t, "the token", func() { wants(t, "the token", verify(t.Context(), keys, token), nil) })
				if took < fetch { // the test would show nothing
					t.Errorf("accepted after %v", took)
				}
				s.stop()
				advance(2 * flightBound)
			})
		})
	}
}

// TestRetiredKidsAreNoFlood covers R-JK-09 and R-JK-10: tokens with retired kids
// that keep coming for an hour do not lengthen the interval between fetches. A new
// key is found within a second and the time of a fetch.
func TestRetiredKidsAreNoFlood(t *testing.T) {
	for _, kids := range []int{1, 5, 9} {
		t.Run(fmt.Sprint(kids), func(t *testing.T) {
			flooded(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys, told *journal) {
				for range kids {
					retired := issuer.Rotate()
					issuer.Rotate()
					issuer.Retire(retired)
					defer poll(keys, retired, 400*time.Millisecond)()
				}
				accepted(t, keys, issuer.SigningKey(), time.Second+fetchTime)
				for range 4 {
					for range 900 {
						advance(time.Second)
						if n := keys.Status().Fruitless; n >= 10 {
							t.Fatalf("%d fetches fruitless", n)
						}
					}
					issuer.Rotate()
					token := issuer.Sign(testissuer.Token{})
					accepted(t, keys, issuer.SigningKey(), time.Second+fetchTime)
					wants(t, "the token", verify(t.Context(), keys, token), nil)
				}
				at := told.began("unknown_kid")
				if n := len(at); n < 600 || n > 3600/5+20+2*5*kids {
					t.Errorf("%d fetches in an hour", n)
				}
			})
		})
	}
}

// TestKidBeforeItsKey covers R-JK-09: a kid that is looked up before its key is
// published is found within five seconds and the time of a fetch after the
// publication.
func TestKidBeforeItsKey(t *testing.T) {
	for lead := 200 * time.Millisecond; lead <= 8*time.Second; lead += 400 * time.Millisecond {
		t.Run(fmt.Sprint(lead), func(t *testing.T) {
			flooded(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys, _ *journal) {
				kid := issuer.AddKey(testissuer.Key{Unpublished: true})
				defer poll(keys, kid, 100*time.Millisecond)()
				advance(lead)
				wants(t, "before", ask(t.Context(), keys, kid), jose.ErrUnknownKey)
				issuer.Publish(kid)
				accepted(t, keys, kid, 5*time.Second+fetchTime)
			})
		})
	}
}

// TestMissedKid covers R-JK-11: a kid that was missed before waits, like any other
// kid, for a fetch that begins after its token came, because the key may have been
// published since. That fetch may be for another kid.
func TestMissedKid(t *testing.T) {
	flooded(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys, _ *journal) {
		wants(t, "first", ask(t.Context(), keys, "missed"), jose.ErrUnknownKey)
		advance(time.Second)
		var other sync.WaitGroup
		other.Go(func() { wants(t, "another", ask(t.Context(), keys, "another"), jose.ErrUnknownKey) })
		synctest.Wait()
		start := time.Now()
		wants(t, "the same again", ask(t.Context(), keys, "missed"), jose.ErrUnknownKey)
		if took := time.Since(start); took != 5*time.Second+fetchTime {
			t.Errorf("its next fetch ended after %v", took)
		}
		other.Wait()
		wantRequests(t, "one for each, and another for the one that was missed", issuer, 4)

		advance(time.Second)
		other.Go(func() { wants(t, "yet another", ask(t.Context(), keys, "yet another"), jose.ErrUnknownKey) })
		advance(fetchTime / 2)
		start = time.Now()
		other.Go(func() {
			wants(t, "missed", ask(t.Context(), keys, "missed"), jose.ErrUnknownKey)
			if took := time.Since(start); took != time.Second+fetchTime/2 {
				t.Errorf("the fetch for a kid that was not missed ended after %v", took)
			}
		})
		advance(fetchTime)
		wants(t, "not missed yet", ask(t.Context(), keys, "new"), jose.ErrUnknownKey)
		other.Wait()
		wantRequests(t, "one for each of two, and none for the third", issuer, 6)
	})
}

// TestFruitlessFetchesAreForgotten shows when fruitless fetches stop to count:
// after five minutes without one, and after any fetch that returned a new key
// (R-JK-10).
func TestFruitlessFetchesAreForgotten(t *testing.T) {
	row := func(t *testing.T, keys *issuerkeys.Keys, name string, want int) {
		t.Helper()
		for i, start := 0, time.Now(); time.Since(start) < 10*time.Second; i++ {
			wants(t, "a made-up kid", ask(t.Context(), keys, fmt.Sprint(name, i)), jose.ErrUnknownKey)
			advance(100 * time.Millisecond)
		}
		if n := keys.Status().Fruitless; n < want || n > want+3 {
			t.Fatalf("%s: %d fetches in vain, want %d", name, n, want)
		}
	}
	flooded(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys, told *journal) {
		row(t, keys, "first", 10)
		before := len(told.began("unknown_kid"))
		row(t, keys, "slow", 11)
		if n := len(told.began("unknown_kid")) - before; n > 3 {
			t.Errorf("%d fetches in the slow state", n)
		}
		advance(forgotten)
		if n := keys.Status().Fruitless; n != 0 {
			t.Errorf("%d fetches in vain after a quiet time", n)
		}
		row(t, keys, "second", 10)

		issuer.Rotate()
		accepted(t, keys, issuer.SigningKey(), 5*time.Second+fetchTime)
		if n := keys.Status().Fruitless; n != 0 {
			t.Errorf("%d fetches in vain after a new key", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		issuer := inMemory(t, "max-age=60")
		keys := openKeys(t, issuer)
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(time.Second)
		row(t, keys, "third", 10)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
		issuer.Rotate()
		advance(time.Minute)
		if n := keys.Status().Fruitless; n != 0 {
			t.Errorf("%d fetches in vain after Run found a new key", n)
		}
	})
}

// TestLongIntervalIsNotForgotten shows that a FruitlessInterval which is longer
// than the time after which fruitless fetches are forgotten is kept too.
func TestLongIntervalIsNotForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, _ *issuerkeys.Keys) {
		var told journal
		keys := openKeys(t, issuer, told.keep, limited(jwkscache.Limits{FruitlessInterval: 5 * time.Minute}))
		wants(t, "warm", keys.Warm(t.Context()), nil)
		for i, start := 0, time.Now(); time.Since(start) < 2*time.Hour; i++ {
			_ = ask(t.Context(), keys, fmt.Sprint(i))
			advance(time.Second)
		}
		if n := len(told.began("unknown_kid")); n < 10+20 || n > 10+24 {
			t.Errorf("%d fetches in two hours", n)
		}
	})
}

// TestFloodInAnOutage covers R-JK-11: failed fetches count as fruitless, the result
// is ErrUnavailable, and lookups recover when the issuer is back, even if one of
// the made-up kids is still looked up.
func TestFloodInAnOutage(t *testing.T) {
	flooded(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys, told *journal) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: 500})
		defer poll(keys, "missed", 100*time.Millisecond)()
		for i := range 600 {
			wants(t, "a made-up kid", ask(t.Context(), keys, fmt.Sprint(i)), issuerkeys.ErrUnavailable)
			advance(100 * time.Millisecond)
		}
		if n := len(told.began("unknown_kid")); n > 10+11 {
			t.Errorf("%d fetches in a minute", n)
		}
		slow(issuer, fetchTime)
		advance(forgotten + 10*time.Second)
		if s := keys.Status(); s.Fruitless != 0 || s.LastError != nil {
			t.Errorf("after the outage: %d in vain, %v", s.Fruitless, s.LastError)
		}
		issuer.Rotate()
		accepted(t, keys, issuer.SigningKey(), time.Second+fetchTime)
	})
}
