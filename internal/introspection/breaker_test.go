package introspection

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
)

type breakerRow struct {
	name   string
	result attempt
	calls  int64            // of 100 questions in a row
	mixed  int64            // of 100 questions, each after a verdict
	tenth  int64            // of 900 questions, with a verdict after each nine
	state  introspect.State // after 100 in a row
	kind   introspect.Kind  // of the 100th
}

// table has a row for each result that a request can have, with what follows if it
// comes 100 times in a row. It is the table in the comment of effects.
var table = []breakerRow{
	{"active", yes, 100, 100, 900, introspect.Asking, ""},
	{"inactive", no, 100, 100, 900, introspect.Asking, ""},
	{"odd", odd, 100, 100, 900, introspect.Asking, ""},
	{"unreachable", failed(introspect.Unreachable, 0), 5, 100, 5, introspect.Failing, introspect.BreakerOpen},
	{"connection cut", cut(introspect.Unreachable, 0), 5, 100, 900, introspect.Failing, introspect.BreakerOpen},
	{"answer cut short", cut(introspect.Unreachable, 200), 5, 100, 900, introspect.Failing, introspect.BreakerOpen},
	{"TLS", failed(introspect.TLSFailed, 0), 5, 100, 5, introspect.Failing, introspect.BreakerOpen},
	{"TLS, after the request", cut(introspect.TLSFailed, 0), 5, 100, 900, introspect.Failing, introspect.BreakerOpen},
	{"no connection in time", failed(introspect.TimedOut, 0), 5, 100, 5, introspect.Failing, introspect.BreakerOpen},
	{"no answer in time", cut(introspect.TimedOut, 0), 5, 100, 900, introspect.Failing, introspect.BreakerOpen},
	{"500", failed(introspect.ServerError, 500), 5, 100, 900, introspect.Failing, introspect.BreakerOpen},
	{"400", failed(introspect.RequestRefused, 400), 100, 100, 900, introspect.Asking, introspect.RequestRefused},
	{"404", failed(introspect.RequestRefused, 404), 100, 100, 900, introspect.Asking, introspect.RequestRefused},
	{"405", failed(introspect.RequestRefused, 405), 100, 100, 900, introspect.Asking, introspect.RequestRefused},
	{"401", failed(introspect.CredentialsRefused, 401), 5, 100, 900, introspect.Refused, introspect.CredentialsRefused},
	{"403", failed(introspect.CredentialsRefused, 403), 5, 100, 900, introspect.Refused, introspect.CredentialsRefused},
	{"429", failed(introspect.Throttled, 429), 1, 1, 1, introspect.HeldByIssuer, introspect.Throttled},
	{"no answer", failed(introspect.NotAnAnswer, 200), 100, 100, 900, introspect.Asking, introspect.NotAnAnswer},
	{"untrusted", failed(introspect.UntrustedAnswer, 200), 100, 100, 900, introspect.Asking, introspect.UntrustedAnswer},
	{"no answer keys", failed(introspect.AnswerKeysMissing, 200), 100, 100, 900, introspect.Asking, introspect.AnswerKeysMissing},
	{"no endpoint", failed(introspect.NoEndpoint, 0), 100, 100, 900, introspect.Undiscovered, introspect.NoEndpoint},
	{"no credentials", failed(introspect.NoCredentials, 0), 100, 100, 900, introspect.Asking, introspect.NoCredentials},
}

// TestBreakerTable covers R-IN-11 and R-IN-12: what each result does to the breakers,
// 100 times in a row and mixed with verdicts.
func TestBreakerTable(t *testing.T) {
	for _, row := range table {
		synctest.Test(t, func(t *testing.T) { // in a row, of tokens that were not active before
			x, calls := counted(&row.result)
			var seen recorder
			a := newAsker(t, introspect.Client{}, Binding{Trace: seen.trace()}, x)
			var err error
			for range 100 {
				_, err = a.Ask(t.Context(), Question{})
			}
			if calls.Load() != row.calls || kindOf(t, err) != row.kind || a.Status().State != row.state {
				t.Errorf("%s: %d calls, %v, %s", row.name, calls.Load(), err, a.Status().State)
			}
			want := string(row.state)
			if row.state == introspect.Asking {
				want = ""
			}
			if got := seen.take(); got != want || len(seen.asked) != 100 {
				t.Errorf("%s: states %q, want %q, %d hooks", row.name, got, want, len(seen.asked))
			}
			if err != nil && row.calls < 100 && (retryAfter(t, err) < time.Second || retryAfter(t, err)%time.Second != 0) {
				t.Errorf("%s: Retry-After is %v", row.name, retryAfter(t, err))
			}
		})
		for every, want := range map[int]int64{2: row.mixed, 10: row.tenth} {
			synctest.Test(t, func(t *testing.T) {
				result, calls := row.result, int64(0)
				a := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(func(_ context.Context, q Question) attempt {
					if q.Token == "good" {
						return no
					}
					calls++
					return result
				}))
				for i := range 100 * every {
					if i%every == 0 {
						_, _ = a.Ask(t.Context(), Question{Token: "good"})
						continue
					}
					_, _ = a.Ask(t.Context(), Question{})
				}
				if calls != want {
					t.Errorf("%s: %d calls with a verdict in each %d, want %d", row.name, calls, every, want)
				}
			})
		}
	}
	for kind := range effects {
		if !slices.ContainsFunc(table, func(r breakerRow) bool { return r.result.kind == kind }) {
			t.Errorf("%s has no row", kind)
		}
	}
}

// TestRecovery shows that all requests are sent again within two seconds after a server
// is back, under load and without a restart, however it was down: it hung, it refused
// connections, or it answered 5xx. While it is down, few requests are sent.
func TestRecovery(t *testing.T) {
	for name, row := range map[string]struct {
		down  attempt
		takes time.Duration
		known bool
		most  int64 // calls in a minute
	}{
		"unreachable":           {failed(introspect.Unreachable, 0), 0, false, 100},
		"cut":                   {cut(introspect.Unreachable, 0), time.Millisecond, false, 1300},
		"silent":                {cut(introspect.TimedOut, 0), 3 * time.Second, false, 150},
		"hanging":               {failed(introspect.TimedOut, 0), 3 * time.Second, false, 150},
		"hanging, tokens known": {failed(introspect.TimedOut, 0), 3 * time.Second, true, 250},
		"500":                   {failed(introspect.ServerError, 500), time.Millisecond, false, 1300},
		"500, tokens known":     {failed(introspect.ServerError, 500), time.Millisecond, true, 2500},
	} {
		synctest.Test(t, func(t *testing.T) {
			const outage, second = time.Minute, time.Second
			start := time.Now()
			var calls atomic.Int64
			var seen recorder
			a := newAsker(t, introspect.Client{}, Binding{Trace: seen.trace()}, endpointFunc(func(context.Context, Question) attempt {
				if time.Since(start) >= outage {
					return yes
				}
				calls.Add(1)
				time.Sleep(row.takes)
				return row.down
			}))
			var all sync.WaitGroup
			var slowest atomic.Int64
			for time.Since(start) < outage+10*second {
				late := time.Since(start) >= outage+2*second
				all.Go(func() {
					asked := time.Now()
					_, err := a.Ask(t.Context(), Question{Known: row.known})
					slowest.Store(max(slowest.Load(), int64(time.Since(asked))))
					if late && err != nil {
						t.Errorf("%s: %v after the outage: %v", name, asked.Sub(start)-outage, err)
					}
				})
				time.Sleep(second / 100)
			}
			all.Wait()
			if calls.Load() > row.most || calls.Load() < 30 {
				t.Errorf("%s: %d calls in the outage", name, calls.Load())
			}
			if time.Duration(slowest.Load()) > a.Longest() {
				t.Errorf("%s: an Ask took %v", name, time.Duration(slowest.Load()))
			}
			if got := seen.take(); got != "failing asking" {
				t.Errorf("%s: states %q", name, got)
			}
			if s := a.Status(); s.UnderWay != 0 || s.Queued != 0 || s.State != introspect.Asking {
				t.Errorf("%s: %+v", name, s)
			}
		})
	}
}

// TestTokenErrors shows that errors which depend on the token hold nobody else back:
// the server answers 500, 403 or 400 for tokens that it does not know, and 1 000 of
// them come in a second. Good tokens, first seen and known ones, get their verdicts.
func TestTokenErrors(t *testing.T) {
	for name, garbage := range map[string]attempt{
		"500": failed(introspect.ServerError, 500),
		"403": failed(introspect.CredentialsRefused, 403),
		"400": failed(introspect.RequestRefused, 400),
	} {
		for _, cold := range []bool{false, true} {
			if cold && name == "403" {
				continue // there are no probes for new tokens then: an account could be locked
			}
			synctest.Test(t, func(t *testing.T) {
				a := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(func(_ context.Context, q Question) attempt {
					time.Sleep(5 * time.Millisecond)
					if q.Token == "good" {
						return yes
					}
					return garbage
				}))
				var all sync.WaitGroup
				var asked, passed atomic.Int64
				start := time.Now()
				random := rand.New(rand.NewPCG(1, 2))
				for time.Since(start) < 30*time.Second {
					counts := !cold || time.Since(start) > 20*time.Second
					switch {
					case random.IntN(11) > 0:
						all.Go(func() { _, _ = a.Ask(t.Context(), Question{Token: "garbage"}) })
					case !cold || time.Since(start) > 15*time.Second:
						known := !cold && random.IntN(2) == 0
						all.Go(func() {
							_, err := a.Ask(t.Context(), Question{Token: "good", Known: known})
							if counts {
								asked.Add(1)
							}
							if counts && err == nil {
								passed.Add(1)
							}
						})
					}
					time.Sleep(time.Duration(random.IntN(2_000_000)))
				}
				all.Wait()
				if asked.Load() < 150 || passed.Load()*100 < asked.Load()*99 {
					t.Errorf("%s, cold %v: %d of %d good tokens passed", name, cold, passed.Load(), asked.Load())
				}
			})
		}
	}
}

// TestRefusedCredentials covers R-IN-12: with wrong credentials, few requests are sent,
// at intervals that grow from 5 s to 30 s, and a success ends that at once. The state is
// reported once.
func TestRefusedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		result := failed(introspect.CredentialsRefused, 401)
		var times []string
		var seen recorder
		start := time.Now()
		a := newAsker(t, introspect.Client{}, Binding{Trace: seen.trace()}, endpointFunc(func(context.Context, Question) attempt {
			times = append(times, fmt.Sprint(time.Since(start).Round(time.Second).Seconds()))
			return result
		}))
		for time.Since(start) < 100*time.Second {
			_, err := a.Ask(t.Context(), Question{Known: true})
			if kindOf(t, err) != introspect.CredentialsRefused {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond)
		}
		if got := strings.Join(times, " "); got != "0 0 0 0 0 5 15 35 65 95" {
			t.Errorf("requests at %s", got)
		}
		_, err := a.Ask(t.Context(), Question{})
		if got := retryAfter(t, err); got != 26*time.Second {
			t.Errorf("Retry-After is %v", got)
		}
		result = no
		time.Sleep(26 * time.Second)
		for range 10 {
			if _, err := a.Ask(t.Context(), Question{}); err != nil {
				t.Fatal(err)
			}
		}
		if got := seen.take(); got != "credentials_refused asking" {
			t.Errorf("states %q", got)
		}
	})
}

// TestForbiddenProbes shows that a token which was active before may end a time of 403
// at once, and that it may not with 401.
func TestForbiddenProbes(t *testing.T) {
	for status, want := range map[int]introspect.Kind{403: "", 401: introspect.CredentialsRefused} {
		synctest.Test(t, func(t *testing.T) {
			a := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(func(_ context.Context, q Question) attempt {
				if q.Known {
					return yes
				}
				return failed(introspect.CredentialsRefused, status)
			}))
			for range 10 {
				_, _ = a.Ask(t.Context(), Question{})
			}
			_, err := a.Ask(t.Context(), Question{Known: true})
			if kindOf(t, err) != want {
				t.Errorf("%d: %v", status, err)
			}
		})
	}
}

// renewing is an endpoint whose credentials were changed.
type renewing struct {
	endpointFunc

	asked   atomic.Int64
	changed atomic.Bool
}

func (r *renewing) renewed(context.Context) bool {
	r.asked.Add(1)
	return r.changed.Load()
}

// TestChangedCredentials shows that changed credentials are noticed within five seconds,
// although the next probe is later, and that they are looked for no more often.
func TestChangedCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var x renewing
		x.endpointFunc = func(context.Context, Question) attempt {
			if x.changed.Load() {
				return yes
			}
			return failed(introspect.CredentialsRefused, 401)
		}
		a := newAsker(t, introspect.Client{}, Binding{}, &x)
		ask := func(length time.Duration) (err error) {
			for start := time.Now(); time.Since(start) < length; time.Sleep(10 * time.Millisecond) {
				_, err = a.Ask(t.Context(), Question{})
			}
			return err
		}
		if err := ask(40 * time.Second); err == nil || x.asked.Load() != 8 {
			t.Errorf("%v, looked %d times", err, x.asked.Load())
		}
		x.changed.Store(true)
		if err := ask(5100 * time.Millisecond); err != nil {
			t.Error(err)
		}
	})
}

// TestLateFailures shows that failures of requests from before a recovery open no
// breaker, and that a caller who left too early is no failure of the server.
func TestLateFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsker(t, introspect.Client{}, Binding{}, endpointFunc(func(ctx context.Context, q Question) attempt {
			switch q.Token {
			case "slow":
				time.Sleep(3 * time.Second)
				return failed(introspect.TimedOut, 0)
			case "patient":
				<-ctx.Done()
				return failed(introspect.TimedOut, 0)
			case "bad":
				return failed(introspect.Unreachable, 0)
			}
			return yes
		}))
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() { _, _ = a.Ask(t.Context(), Question{Token: "slow"}) })
		}
		synctest.Wait()
		for range 10 {
			_, _ = a.Ask(t.Context(), Question{Token: "bad"})
		}
		time.Sleep(1100 * time.Millisecond)
		if _, err := a.Ask(t.Context(), Question{}); err != nil {
			t.Fatal(err)
		}
		all.Wait()
		if _, err := a.Ask(t.Context(), Question{}); err != nil {
			t.Errorf("after failures from before the recovery: %v", err)
		}
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, err := a.Ask(ctx, Question{Token: "patient"})
			if kindOf(t, err) != introspect.TimedOut {
				t.Fatal(err)
			}
			cancel()
		}
		if _, err := a.Ask(t.Context(), Question{}); err != nil {
			t.Errorf("after callers who left: %v", err)
		}
	})
}

// TestUnsentProbe shows that a probe for which there was no turn is given back.
func TestUnsentProbe(t *testing.T) {
	b := newBreaker(serverProbing)
	now := time.Now()
	for range failures {
		p, _, _ := b.enter(false, now)
		b.leave(p, certain, now)
	}
	now = now.Add(time.Second)
	for range 5 {
		p, _, ok := b.enter(false, now)
		if !ok || p.probe != anyProbe {
			t.Fatalf("%+v, %v", p, ok)
		}
		b.leave(p, unsent, now)
	}
	if p, _, ok := b.enter(false, now); !ok || p.probe != anyProbe {
		t.Error("no probe")
	}
	if _, wait, ok := b.enter(false, now); ok || wait != time.Second {
		t.Errorf("a second probe at once, or %v to the next", wait)
	}
}

// opened returns a breaker that certain failures have opened just now.
func opened(now time.Time) *breaker {
	b := newBreaker(serverProbing)
	for range failures {
		p, _, _ := b.enter(false, now)
		b.leave(p, certain, now)
	}
	return b
}

// TestProbes shows which requests an open breaker lets pass while its probes hang: one a
// second of any tokens, and beside them four at once of known ones, 50 ms apart. Probes
// from before a recovery do not count after it.
func TestProbes(t *testing.T) {
	for name, known := range map[string]bool{"others": false, "known tokens": true} {
		start := time.Now()
		b := opened(start)
		var passes []pass
		count := func(from, to time.Duration) (passed int) {
			for d := from; d < to; d += 10 * time.Millisecond {
				if p, _, ok := b.enter(known, start.Add(d)); ok {
					passes = append(passes, p)
					passed++
				}
			}
			return passed
		}
		extra := map[bool]int{true: 4}[known]
		if got := count(0, 60*time.Millisecond); got != min(extra, 2) {
			t.Errorf("%s: %d at first", name, got)
		}
		if got := count(60*time.Millisecond, time.Second); got != max(extra-2, 0) {
			t.Errorf("%s: %d in the first second", name, got)
		}
		if got := count(time.Second, 10*time.Second); got != 9 {
			t.Errorf("%s: %d in nine seconds", name, got)
		}
		later := start.Add(11 * time.Second)
		b.leave(passes[0], verdict, later)
		for range failures {
			p, _, _ := b.enter(false, later)
			b.leave(p, certain, later)
		}
		for _, p := range passes[1:] {
			b.leave(p, certain, later)
		}
		if b.running != 0 || b.knownRuns != 0 {
			t.Errorf("%s: %d and %d under way after the recovery", name, b.running, b.knownRuns)
		}
		start = later
		if got := count(0, time.Second); got != extra {
			t.Errorf("%s: %d in the second time", name, got)
		}
		for _, p := range passes[len(passes)-extra:] {
			b.leave(p, certain, later)
		}
		if b.knownRuns != 0 {
			t.Errorf("%s: %d were not given back", name, b.knownRuns)
		}
	}
}

// TestProbesAtOnce shows that two probes are under way at once if they are close
// together, as they are after doubtful failures.
func TestProbesAtOnce(t *testing.T) {
	now := time.Now()
	b := opened(now)
	b.doubt = true
	b.next = now
	passed := 0
	for range 90 {
		if _, _, ok := b.enter(false, now); ok {
			passed++
		}
		now = now.Add(10 * time.Millisecond)
	}
	if passed != 2 {
		t.Errorf("%d at once", passed)
	}
	b = opened(now)
	b.doubt, b.next, passed = true, now, 0
	for range 90 {
		if p, _, ok := b.enter(false, now); ok {
			b.leave(p, doubtful, now)
			passed++
		}
		now = now.Add(10 * time.Millisecond)
	}
	if passed != 18 {
		t.Errorf("%d in 900 ms", passed)
	}
}

// TestRefusalGivesBack shows that a request which a breaker refuses gives back what the
// hold and the other breaker gave it.
func TestRefusalGivesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, calls := counted(&yes)
		a := newAsker(t, introspect.Client{}, Binding{}, x)
		now := time.Now()
		for _, b := range []*breaker{a.credentials, a.server} {
			for range failures {
				p, _, _ := b.enter(false, now)
				b.leave(p, certain, now)
			}
			b.next, b.last, b.known = now, now, 0
		}
		a.hold.until = now.Add(time.Second)
		ask := func(known bool, want introspect.Kind) {
			t.Helper()
			if _, err := a.Ask(t.Context(), Question{Known: known}); kindOf(t, err) != want || a.hold.running != 0 {
				t.Errorf("%v, %d of the share are missing", err, a.hold.running)
			}
		}
		a.server.next = now.Add(time.Minute)
		for range 2 {
			ask(true, introspect.BreakerOpen)
		}
		a.credentials.next = now.Add(time.Minute)
		for range 20 {
			ask(true, introspect.CredentialsRefused)
		}
		time.Sleep(time.Minute)
		ask(false, "")
		if calls.Load() != 1 {
			t.Errorf("%d calls", calls.Load())
		}
	})
}
