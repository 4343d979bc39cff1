package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// fetchTime is how long a fetch takes in these tests.
const fetchTime = 300 * time.Millisecond

// forgotten is how long after the last fetch in vain they count no more.
const forgotten = 5 * time.Minute

// headerFor is the header of a token of that kid which nobody has signed.
func headerFor(kid string) jose.Header {
	u, err := jose.ParseCompact(encode([]byte(`{"alg":"ES256","kid":"`+kid+`"}`)) + ".e30.AA")
	if err != nil {
		panic(err)
	}
	return u.UnverifiedHeader()
}

// ask looks a kid up.
func ask(ctx context.Context, keys *jwkscache.Keys, kid string) error {
	_, err := keys.Find(ctx, time.Now(), headerFor(kid))
	return err
}

// undecided reports whether err is one of the two answers that made-up kids get.
func undecided(err error) bool {
	return errors.Is(err, jose.ErrUnknownKey) || errors.Is(err, jwkscache.ErrUnavailable)
}

// goOn runs step at once and then every pause, each time in a goroutine of its
// own, until the function that it answers is called.
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

// poll keeps asking for a kid, as a client does which is given the same token
// again and again.
func poll(keys *jwkscache.Keys, kid string, pause time.Duration) (stop func()) {
	return goOn(pause, func(ctx context.Context) { _ = ask(ctx, keys, kid) })
}

// accepted is how long it takes until a kid is found that is asked for every 20
// ms. It is no more than the bound, or the test fails.
func accepted(t *testing.T, keys *jwkscache.Keys, kid string, bound time.Duration) time.Duration {
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

// wantRate covers R-JK-10 for the fetches of a journal: no two for unknown kids
// begin less than a second apart, and in no five minutes without a new key more
// than ten of them begin less than five seconds after the one before.
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

// slow makes the issuer take its time.
func slow(issuer *testissuer.Issuer, delay time.Duration) {
	issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: delay})
}

// flooded runs a test with an issuer that takes its time, and a journal.
func flooded(t *testing.T, do func(*testing.T, *testissuer.Issuer, *jwkscache.Keys, *journal)) {
	t.Helper()
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
		var told journal
		keys := openKeys(t, issuer, told.keep)
		slow(issuer, fetchTime)
		wants(t, "warm", keys.Warm(t.Context()), nil)
		advance(2 * time.Second)
		do(t, issuer, keys, &told)
		wantRate(t, &told)
	})
}

// TestBurstOfKids covers R-JK-10: two hundred made-up kids cost two fetches at
// most, and the rotation that the issuer makes at the worst moment, when the set
// has just been read, is noticed within a second and the time of a fetch.
func TestBurstOfKids(t *testing.T) {
	for _, moment := range []time.Duration{0, time.Millisecond, fetchTime / 2, fetchTime, 600 * time.Millisecond, 999 * time.Millisecond} {
		t.Run(fmt.Sprint(moment), func(t *testing.T) {
			flooded(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys, told *journal) {
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
				wants(t, "the token", judge(t.Context(), keys, token), nil)
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

// storm is a flood of made-up kids. Between them, tokens of a known kid are looked
// up, which must take no time.
type storm struct {
	keys  *jwkscache.Keys
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

// watch lets time pass and looks how many wait.
func (s *storm) watch(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); advance(50 * time.Millisecond) {
		synctest.Wait()
		s.worst = max(s.worst, s.keys.Status().Waiting)
	}
}

// TestFloodOfKids covers R-JK-10 and R-JK-09: under ten thousand made-up kids a
// second, the issuer is asked ten times, once a second or as often as it answers,
// and then once in five seconds, here for 20; a rotation is noticed within five
// seconds and the time of a fetch all the same; tokens of a known kid do not wait;
// no more than a thousand requests do.
func TestFloodOfKids(t *testing.T) {
	for fetch, rate := range map[time.Duration]int{fetchTime: 100, 4 * time.Second: 10} {
		t.Run(fmt.Sprint(fetch), func(t *testing.T) {
			flooded(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys, told *journal) {
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
				atOnce(t, "the token", func() { wants(t, "the token", judge(t.Context(), keys, token), nil) })
				if took < fetch { // the test would show nothing
					t.Errorf("accepted after %v", took)
				}
				s.stop()
				advance(2 * flightBound)
			})
		})
	}
}

// TestKidsThatKeepBeingAskedFor covers R-JK-09 and R-JK-10: tokens of retired keys
// that come for an hour do not make their issuer one with a flood, and a
// rotation is noticed within a second and the time of a fetch while they come.
func TestKidsThatKeepBeingAskedFor(t *testing.T) {
	for _, kids := range []int{1, 5, 9} {
		t.Run(fmt.Sprint(kids), func(t *testing.T) {
			flooded(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys, told *journal) {
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
							t.Fatalf("%d fetches in vain", n)
						}
					}
					issuer.Rotate()
					token := issuer.Sign(testissuer.Token{})
					accepted(t, keys, issuer.SigningKey(), time.Second+fetchTime)
					wants(t, "the token", judge(t.Context(), keys, token), nil)
				}
				at := told.began("unknown_kid")
				if n := len(at); n < 600 || n > 3600/5+20+2*5*kids {
					t.Errorf("%d fetches in an hour", n)
				}
			})
		})
	}
}

// TestKidBeforeItsKey covers R-JK-09: a kid that is asked for before its key is
// published is found within five seconds and the time of a fetch after that,
// whenever in between.
func TestKidBeforeItsKey(t *testing.T) {
	for lead := 200 * time.Millisecond; lead <= 8*time.Second; lead += 400 * time.Millisecond {
		t.Run(fmt.Sprint(lead), func(t *testing.T) {
			flooded(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys, _ *journal) {
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

// TestMissedKid covers R-JK-11: a kid that was missed waits like any other for a
// fetch that begins after its token came, since its key may have been published
// meanwhile. That fetch may be for another kid.
func TestMissedKid(t *testing.T) {
	flooded(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys, _ *journal) {
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

// TestRowIsForgotten shows when fetches in vain end to count: after five
// minutes without, and with a new key, whoever had it fetched (R-JK-10).
func TestRowIsForgotten(t *testing.T) {
	row := func(t *testing.T, keys *jwkscache.Keys, name string, want int) {
		t.Helper()
		for i, start := 0, time.Now(); time.Since(start) < 10*time.Second; i++ {
			wants(t, "a made-up kid", ask(t.Context(), keys, fmt.Sprint(name, i)), jose.ErrUnknownKey)
			advance(100 * time.Millisecond)
		}
		if n := keys.Status().Fruitless; n < want || n > want+3 {
			t.Fatalf("%s: %d fetches in vain, want %d", name, n, want)
		}
	}
	flooded(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys, told *journal) {
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
		defer issuer.Close()
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

// TestLongIntervalIsNotForgotten shows that an interval longer than the time after
// which fetches in vain are forgotten holds as well.
func TestLongIntervalIsNotForgotten(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, _ *jwkscache.Keys) {
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

// TestFloodInAnOutage covers R-JK-11: fetches that fail are in vain as well, the
// answer is unavailable, and once the issuer is back the state ends, even if one
// of the kids keeps being asked for.
func TestFloodInAnOutage(t *testing.T) {
	flooded(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys, told *journal) {
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Status: 500})
		defer poll(keys, "missed", 100*time.Millisecond)()
		for i := range 600 {
			wants(t, "a made-up kid", ask(t.Context(), keys, fmt.Sprint(i)), jwkscache.ErrUnavailable)
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
