package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// diary writes down what its hooks are told.
type diary struct {
	mu      sync.Mutex
	lines   []string
	done    []jwkscache.FetchDone
	unknown []jwkscache.UnknownKid
	stored  []jwkscache.Stored
}

func (d *diary) writef(name, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if name != issuer {
		line = "for " + name + ": " + line
	}
	d.lines = append(d.lines, line)
}

func (d *diary) trace() *jwkscache.Trace {
	return &jwkscache.Trace{
		FetchStart: func(name, cause string) { d.writef(name, "start %s", cause) },
		FetchDone: func(name string, done jwkscache.FetchDone) {
			d.writef(name, "done %s %d +%d -%d", done.Cause, done.Keys, len(done.Added), len(done.Removed))
			d.mu.Lock()
			defer d.mu.Unlock()
			d.done = append(d.done, done)
		},
		UnknownKid: func(name string, asked jwkscache.UnknownKid) {
			if asked.Decision == "just_asked" { // how long ago is the budget's business
				d.writef(name, "unknown just_asked")
			} else {
				d.writef(name, "unknown %s %v", asked.Decision, asked.Interval)
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.unknown = append(d.unknown, asked)
		},
		Moved: func(name, from, to string) { d.writef(name, "moved %s %s", from, to) },
		Stored: func(name string, stored jwkscache.Stored) {
			d.writef(name, "stored %s %t", stored.Use, stored.Err == nil)
			d.mu.Lock()
			defer d.mu.Unlock()
			d.stored = append(d.stored, stored)
		},
	}
}

// reads fails the test unless that was written since it was called last.
func (d *diary) reads(t *testing.T, what string, want ...string) {
	t.Helper()
	d.compare(t, what, false, want)
}

// readsOf is reads for what two fetches told, one of which may begin before the
// other is told of.
func (d *diary) readsOf(t *testing.T, what string, want ...string) {
	t.Helper()
	d.compare(t, what, true, want)
}

func (d *diary) compare(t *testing.T, what string, anyOrder bool, want []string) {
	t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	if anyOrder {
		slices.Sort(d.lines)
		slices.Sort(want)
	}
	if got := d.lines; !slices.Equal(got, want) {
		t.Errorf("%s:\n\t%s\nwant\n\t%s", what, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
	d.lines = nil
}

// uses answers how the store was used since it was called last.
func (d *diary) uses() []jwkscache.Stored {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	uses := d.stored
	d.stored, d.lines = nil, nil
	return uses
}

func (d *diary) last(t *testing.T) jwkscache.FetchDone {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.done) == 0 {
		t.Fatal("no fetch was told")
	}
	return d.done[len(d.done)-1]
}

// TestTraceOfFetches shows what is told of fetches, for each cause.
func TestTraceOfFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		a, b := jwk(t, "a"), jwk(t, "b")
		keys := openSite(t, s, traced(d.trace()), func(b *jwkscache.Binding) { b.HTTPClient.Transport = delayed{s, 300 * time.Millisecond} })
		d.reads(t, "opened")
		wants(t, "a failure", find(t, keys, "a"), jwkscache.ErrUnavailable)
		d.reads(t, "a failure", "start missing", "done missing 0 +0 -0")
		if l := d.last(t); !errors.Is(l.Err, errRefused) || !errors.Is(l.Err, jwkscache.ErrUnavailable) || l.Took != 300*time.Millisecond || l.Location != siteURL {
			t.Errorf("%+v", l)
		}
		advance(time.Minute)
		s.answers(200, setOf(a, `{"kty":"AKP"}`))
		must(t, find(t, keys, "a"))
		d.reads(t, "without keys", "start missing", "done missing 1 +1 -0")
		l := d.last(t)
		if id, _ := l.Added[0].ID(); l.Err != nil || id != "a" || len(l.Ignored) != 1 || l.Unchanged || l.Took != 300*time.Millisecond || l.Location != siteURL {
			t.Errorf("%+v", l)
		}
		advance(11 * time.Minute)
		s.answers(200, setOf(a, b))
		must(t, find(t, keys, "a"))
		advance(time.Second)
		d.reads(t, "stale", "start stale", "done stale 2 +1 -0")
		advance(11 * time.Minute)
		must(t, held(t, keys, "a").check(t))
		advance(time.Second)
		d.reads(t, "no change", "start stale", "done stale 2 +0 -0")
		if !d.last(t).Unchanged {
			t.Errorf("%+v", d.last(t))
		}
		advance(10 * time.Second)
		s.answers(200, setOf(b))
		wants(t, "unknown", find(t, keys, "x"), jose.ErrUnknownKey)
		d.reads(t, "an unknown kid", "unknown starts 1s", "start unknown_kid", "done unknown_kid 1 +0 -1")
		if id, _ := d.last(t).Removed[0].ID(); id != "a" {
			t.Errorf("%+v", d.last(t))
		}
		advance(11 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
		advance(time.Second)
		d.reads(t, "Run", "start schedule", "done schedule 1 +0 -0")
		advance(10 * time.Minute)
		d.reads(t, "Run again", "start schedule", "done schedule 1 +0 -0")
		s.answers(200, setOf())
		for len(keys.Status().Keys) > 0 {
			advance(time.Second)
		}
		d.reads(t, "an empty set, which must ring a bell (R-JK-12)", "start schedule", "done schedule 0 +0 -1")
	})
}

// TestTraceOfFailures shows that nothing is told as gone that still serves.
func TestTraceOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		s.answers(200, setOf(jwk(t, "a"), `{"kty":"AKP"}`))
		keys := openSite(t, s, traced(d.trace()))
		must(t, keys.Warm(t.Context()))
		s.down()
		advance(11 * time.Minute)
		must(t, find(t, keys, "a"))
		d.reads(t, "a failed refresh", "start missing", "done missing 1 +1 -0", "start stale", "done stale 0 +0 -0")
		if l := d.last(t); l.Err == nil || l.Ignored != nil || l.Unchanged {
			t.Errorf("%+v", l)
		}
	})
}

// TestTraceOfPrivateKeys covers R-JK-07: that an issuer publishes private keys
// is told with every fetch.
func TestTraceOfPrivateKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		s.answers(200, setOf(jwk(t, "a"), `{"kty":"oct","kid":"s","k":"AAAA"}`))
		keys := openSite(t, s, traced(d.trace()))
		for range 2 {
			must(t, keys.Warm(t.Context()))
			synctest.Wait()
			if l := d.last(t); len(l.Ignored) != 1 || !l.Ignored[0].Private || l.Ignored[0].KeyID != "s" {
				t.Errorf("%+v", l.Ignored)
			}
			advance(11 * time.Minute)
		}
	})
}

// TestTraceOfUnknownKids shows what is told of every kid that is asked for in
// vain, and that nothing is of others.
func TestTraceOfUnknownKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")), "Cache-Control: max-age=86400")
		keys := openSite(t, s, traced(&jwkscache.Trace{UnknownKid: d.trace().UnknownKid}), func(b *jwkscache.Binding) {
			b.HTTPClient.Transport = delayed{s, 300 * time.Millisecond}
			b.Limits = jwkscache.Limits{Fruitless: 3}
		})
		must(t, keys.Warm(t.Context()))
		ask := func(kid string, want error) { wants(t, kid, find(t, keys, kid), want) }
		ask("a", nil)
		d.reads(t, "a known kid")
		var all sync.WaitGroup
		all.Go(func() { ask("w", jose.ErrUnknownKey) })
		synctest.Wait()
		d.reads(t, "just fetched", "unknown waits 1s")
		all.Wait()
		advance(time.Second)
		all.Go(func() { ask("x", jose.ErrUnknownKey) })
		synctest.Wait()
		d.reads(t, "the first", "unknown starts 1s")
		all.Go(func() { ask("y", jose.ErrUnknownKey) })
		synctest.Wait()
		d.reads(t, "the second", "unknown joins 1s")
		all.Wait()
		d.reads(t, "the second, after a fetch that began before it came", "unknown waits 1s")
		ask("x", jose.ErrUnknownKey)
		d.reads(t, "the first again, and there were three in vain", "unknown waits 5s")
		for i := range 3 {
			advance(5 * time.Second)
			ask(fmt.Sprint(i), jose.ErrUnknownKey)
			d.reads(t, "fruitless", "unknown starts 5s")
			ask(fmt.Sprint("again", i), jose.ErrUnknownKey)
			d.reads(t, "fruitless", "unknown waits 5s")
		}
		advance(5 * time.Second)
		s.down()
		ask("z", jwkscache.ErrUnavailable)
		d.reads(t, "no answer", "unknown starts 5s")
		ask("z", jwkscache.ErrUnavailable)
		d.reads(t, "after that", "unknown refuses 5s")
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "f"}), keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"}))
		ask("f", jose.ErrUnknownKey)
		ask("b", jose.ErrUnknownKey)
		d.reads(t, "what is forbidden")
	})
}

// TestTraceOfMoves shows that it is told when the metadata names another place
// for the keys (RFC 8414 §6), whether or not they can be had there, and that
// metadata which cannot be had name none.
func TestTraceOfMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		s.answers(200, setOf(jwk(t, "a")))
		const other, third = "https://issuer.test/other", "https://issuer.test/third"
		at, failure := siteURL, error(nil)
		keys := bindTo(t, jwkscache.Discovered(), traced(&jwkscache.Trace{Moved: d.trace().Moved}), func(b *jwkscache.Binding) {
			b.HTTPClient = &http.Client{Transport: s}
			b.Locate = func(context.Context) (string, error) { return at, failure }
		})
		next := func(what, location string, want ...string) {
			t.Helper()
			at = location
			must(t, keys.Warm(t.Context()))
			d.reads(t, what, want...)
			advance(11 * time.Minute)
		}
		next("the first", siteURL)
		next("the same", siteURL)
		next("another", other, "moved "+siteURL+" "+other)
		next("the same again", other)
		s.down()
		next("a third, which cannot be had", third, "moved "+other+" "+third)
		if got := keys.Status().Location; got != third {
			t.Errorf("it is said to be %s", got)
		}
		failure = errRefused
		next("no metadata", "")
		failure = nil
		s.answers(200, setOf(jwk(t, "b")))
		next("the third, again", third)
		next("back", siteURL, "moved "+third+" "+siteURL)
		wants(t, "the key", find(t, keys, "b"), nil)
	})
}

// TestLocate shows that a place is asked for with every fetch, and judged as any
// URL; what goes wrong there is the cause told.
func TestLocate(t *testing.T) {
	for name, row := range map[string]struct {
		locate func(context.Context) (string, error)
		want   string
	}{
		"an error":   {func(context.Context) (string, error) { return "", errRefused }, errRefused.Error()},
		"a panic":    {func(context.Context) (string, error) { panic("injected") }, "panicked"},
		"its end":    {func(context.Context) (string, error) { runtime.Goexit(); return "", nil }, "ended its goroutine"},
		"no URL":     {func(context.Context) (string, error) { return "", nil }, "fetch: URL must be https"},
		"http":       {func(context.Context) (string, error) { return "http://issuer.test/", nil }, "fetch: URL must be https"},
		"a slow one": {func(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }, "deadline exceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				keys := bindTo(t, jwkscache.Discovered(), func(b *jwkscache.Binding) { b.Locate = row.locate })
				start := time.Now()
				err := keys.Warm(t.Context())
				wants(t, "warm", err, jwkscache.ErrUnavailable)
				if !strings.Contains(fmt.Sprint(err), row.want) || time.Since(start) > 10*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// TestJoin shows that joined hooks are all called, in order, whoever panics.
func TestJoin(t *testing.T) {
	var nothing *jwkscache.Trace
	one := new(jwkscache.Trace)
	if nothing.Join(nil) != nil || nothing.Join(one) != one || one.Join(nil) != one {
		t.Error("joined with nothing, hooks are not themselves")
	}
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		first := &jwkscache.Trace{
			FetchStart: func(string, string) { d.writef(issuer, "first"); panic("injected") },
			FetchDone:  func(string, jwkscache.FetchDone) { d.writef(issuer, "first"); panic("injected") },
			UnknownKid: func(string, jwkscache.UnknownKid) { d.writef(issuer, "first"); panic("injected") },
			Moved:      func(string, string, string) { d.writef(issuer, "first"); panic("injected") },
			Stored:     func(string, jwkscache.Stored) { d.writef(issuer, "first"); panic("injected") },
		}
		joined := first.Join(new(jwkscache.Trace)).Join(d.trace())
		joined.FetchStart(issuer, "x")
		joined.FetchDone(issuer, jwkscache.FetchDone{Cause: "x"})
		joined.UnknownKid(issuer, jwkscache.UnknownKid{Decision: "x"})
		joined.Moved(issuer, "x", "y")
		joined.Stored(issuer, jwkscache.Stored{Use: "x"})
		d.reads(t, "joined", "first", "start x", "first", "done x 0 +0 -0", "first", "unknown x 0s", "first", "moved x y", "first", "stored x true")
	})
	if n := reflect.TypeFor[jwkscache.Trace]().NumField(); n != 5 {
		t.Errorf("there are %d hooks; this test knows 5", n)
	}
}

// hooks makes a trace all of whose hooks do the same.
func hooks(do func()) *jwkscache.Trace {
	return &jwkscache.Trace{
		FetchStart: func(string, string) { do() },
		FetchDone:  func(string, jwkscache.FetchDone) { do() },
		UnknownKid: func(string, jwkscache.UnknownKid) { do() },
		Moved:      func(string, string, string) { do() },
		Stored:     func(string, jwkscache.Stored) { do() },
	}
}

// liveThrough takes keys through everything that calls a hook, and fails the
// test unless all goes as it does without hooks.
func liveThrough(t *testing.T, trace *jwkscache.Trace, opened func(*jwkscache.Keys)) {
	t.Helper()
	s := new(site)
	s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")))
	var at atomic.Pointer[string]
	at.Store(new(siteURL))
	keys := bindTo(t, jwkscache.Discovered(), traced(trace), func(b *jwkscache.Binding) {
		b.HTTPClient = &http.Client{Transport: s}
		b.Locate = func(context.Context) (string, error) { return *at.Load(), nil }
		b.SnapshotDir = snapshots(t)
	})
	opened(keys)
	wants(t, "a token", find(t, keys, "a"), nil)
	advance(time.Second)
	wants(t, "an unknown kid", find(t, keys, "x"), jose.ErrUnknownKey)
	must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"}))
	wants(t, "a forbidden kid", find(t, keys, "b"), jose.ErrUnknownKey)
	must(t, keys.Permit(t.Context(), jwkscache.KeyName{KeyID: "b"}))
	at.Store(new("https://issuer.test/other"))
	advance(11 * time.Minute)
	h := held(t, keys, "b")
	wants(t, "a handle", h.check(t), nil)
	s.down()
	advance(11 * time.Minute)
	wants(t, "stale", find(t, keys, "a"), nil)
	ctx, cancel := context.WithCancel(t.Context())
	go keys.Run(ctx)
	advance(time.Hour)
	s.answers(200, setOf(jwk(t, "a")))
	advance(2 * time.Minute)
	wants(t, "withdrawn", h.check(t), jose.ErrUnknownKey)
	wants(t, "ready", keys.Ready(), nil)
	cancel()
	synctest.Wait()
}

// TestHooksThatMisbehave shows that no hook can stop the keys: not by a panic,
// not by ending its goroutine.
func TestHooksThatMisbehave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		liveThrough(t, hooks(func() { panic("injected") }), func(*jwkscache.Keys) {})
	})
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s, traced(&jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { ended.Add(1); runtime.Goexit() }}))
		for range 3 {
			must(t, keys.Warm(t.Context()))
			advance(11 * time.Minute)
		}
		if n := ended.Load(); n != 3 {
			t.Errorf("%d hooks", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s, traced(&jwkscache.Trace{FetchStart: func(string, string) { runtime.Goexit() }}))
		for range 3 {
			wants(t, "who waits is let go", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
			advance(11 * time.Minute)
		}
	})
}

// TestHooksThatAsk shows that hooks may ask the keys themselves, for what needs
// a fetch too, and forbid keys.
func TestHooksThatAsk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var keys *jwkscache.Keys
		inside, calls := false, 0
		liveThrough(t, hooks(func() {
			mu.Lock()
			k, nested := keys, inside
			inside = true
			calls++
			mu.Unlock()
			if k == nil || nested {
				return
			}
			_ = k.Status()
			_ = k.Ready()
			_ = k.Ignored()
			_ = find(t, k, "a")
			short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			_, _ = k.Find(short, time.Now(), headerOf(t, "made up in a hook"))
			_ = k.Forbid(short, jwkscache.KeyName{KeyID: "z"})
			_ = k.Permit(short, jwkscache.KeyName{KeyID: "z"})
			mu.Lock()
			inside = false
			mu.Unlock()
		}), func(k *jwkscache.Keys) {
			mu.Lock()
			defer mu.Unlock()
			keys = k
		})
		mu.Lock()
		defer mu.Unlock()
		if calls < 20 {
			t.Errorf("%d calls", calls)
		}
	})
}

// TestSlowHooks shows that those who wait for a fetch do not wait for the hook
// that is told of it, and that one which does not return before a fetch costs
// what a fetch costs that does not end.
func TestSlowHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		forever := make(chan struct{})
		defer close(forever)
		keys := openSite(t, s, traced(&jwkscache.Trace{FetchDone: func(string, jwkscache.FetchDone) { <-forever }}))
		start := time.Now()
		must(t, keys.Warm(t.Context()))
		wantSpan(t, "Warm took", time.Since(start), 0)
		advance(11 * time.Minute)
		must(t, keys.Warm(t.Context()))
		s.wantVisits(t, "and the next fetch is made", 2)
	})
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		release := make(chan struct{})
		var first sync.Once
		keys := openSite(t, s, traced(&jwkscache.Trace{FetchStart: func(string, string) {
			held := false
			first.Do(func() { held = true })
			if held {
				<-release
			}
		}}))
		start := time.Now()
		wants(t, "warm", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
		if took := time.Since(start); took > 11*time.Second {
			t.Errorf("Warm took %v", took)
		}
		must(t, keys.Warm(t.Context()))
		close(release)
		synctest.Wait()
		must(t, keys.Ready())
	})
}
