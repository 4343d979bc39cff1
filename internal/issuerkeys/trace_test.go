package issuerkeys_test

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
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// diary records the calls of its hooks.
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
			if asked.Decision == "just_asked" { // the interval is not compared
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

// reads fails the test unless the lines since the last call are want.
func (d *diary) reads(t *testing.T, what string, want ...string) {
	t.Helper()
	d.compare(t, what, false, want)
}

// readsOf is reads for lines that come in any order.
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

// uses returns the uses of the store since the last call.
func (d *diary) uses() []jwkscache.Stored {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	uses := d.stored
	d.stored, d.lines = nil, nil
	return uses
}

// length returns how many lines there are that were not read.
func (d *diary) length() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.lines)
}

func (d *diary) last(t *testing.T) jwkscache.FetchDone {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.done) == 0 {
		t.Fatal("FetchDone was not called")
	}
	return d.done[len(d.done)-1]
}

// TestTraceOfFetches shows what the hooks report for fetches of each cause.
func TestTraceOfFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		a, b := jwk(t, "a"), jwk(t, "b")
		keys := openSite(t, s, traced(d.trace()), func(b *issuerkeys.Binding) { b.HTTPClient.Transport = delayed{s, 300 * time.Millisecond} })
		d.reads(t, "opened")
		wants(t, "a failure", find(t, keys, "a"), issuerkeys.ErrUnavailable)
		d.reads(t, "a failure", "start missing", "done missing 0 +0 -0")
		if l := d.last(t); !errors.Is(l.Err, errRefused) || !errors.Is(l.Err, issuerkeys.ErrUnavailable) || l.Took != 300*time.Millisecond || l.Location != siteURL {
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
		d.readsOf(t, "an unknown kid", "unknown starts 1s", "start unknown_kid", "done unknown_kid 1 +0 -1")
		if id, _ := d.last(t).Removed[0].ID(); id != "a" {
			t.Errorf("%+v", d.last(t))
		}
		advance(11 * time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go keys.Run(ctx)
		advance(time.Second)
		d.reads(t, "Run", "start schedule", "done schedule 1 +0 -0")
		for d.length() < 2 { // a start and an end, at a random time
			advance(time.Second)
		}
		d.reads(t, "Run again", "start schedule", "done schedule 1 +0 -0")
		s.answers(200, setOf())
		for len(keys.Status().Keys) > 0 {
			advance(time.Second)
		}
		d.reads(t, "an empty set is reported (R-JK-12)", "start schedule", "done schedule 0 +0 -1")
	})
}

// TestTraceOfFailures shows that FetchDone after a failed fetch counts the keys that
// still serve, reports none of them as removed, and counts none once they are too
// old to serve.
func TestTraceOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		s.answers(200, setOf(jwk(t, "a"), `{"kty":"AKP"}`))
		keys := openSite(t, s, traced(d.trace()))
		must(t, keys.Warm(t.Context()))
		s.down()
		advance(11 * time.Minute)
		must(t, find(t, keys, "a"))
		d.reads(t, "a failed refresh", "start missing", "done missing 1 +1 -0", "start stale", "done stale 1 +0 -0")
		if l := d.last(t); l.Err == nil || l.Ignored != nil || l.Unchanged {
			t.Errorf("%+v", l)
		}
		advance(25 * time.Hour)
		wants(t, "too old", find(t, keys, "a"), issuerkeys.ErrUnavailable)
		d.reads(t, "keys that are too old", "start missing", "done missing 0 +0 -0")
	})
}

// TestTraceOfPrivateKeys covers R-JK-07: every fetch of a set with private keys
// reports them.
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

// TestTraceOfUnknownKids shows what UnknownKid reports for each kid that is not
// found, and that it is not called for other kids.
func TestTraceOfUnknownKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")), "Cache-Control: max-age=86400")
		keys := openSite(t, s, traced(&jwkscache.Trace{UnknownKid: d.trace().UnknownKid}), func(b *issuerkeys.Binding) {
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
		d.reads(t, "the first again, and there were three fruitless", "unknown waits 5s")
		for i := range 3 {
			advance(5 * time.Second)
			ask(fmt.Sprint(i), jose.ErrUnknownKey)
			d.reads(t, "fruitless", "unknown starts 5s")
			ask(fmt.Sprint("again", i), jose.ErrUnknownKey)
			d.reads(t, "fruitless", "unknown waits 5s")
		}
		advance(5 * time.Second)
		s.down()
		ask("z", issuerkeys.ErrUnavailable)
		d.reads(t, "no answer", "unknown starts 5s")
		ask("z", issuerkeys.ErrUnavailable)
		d.reads(t, "after that", "unknown refuses 5s")
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "f"}), keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"}))
		ask("f", jose.ErrUnknownKey)
		ask("b", jose.ErrUnknownKey)
		d.reads(t, "forbidden kids")
	})
}

// TestMovedHook shows that Moved is called when the metadata names another URL for
// the keys (RFC 8414 §6), whether or not the keys can be fetched from there, and is
// not called when the metadata cannot be fetched.
func TestMovedHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := new(diary), new(site)
		s.answers(200, setOf(jwk(t, "a")))
		const other, third = "https://issuer.test/other", "https://issuer.test/third"
		at, failure := siteURL, error(nil)
		keys := bindTo(t, jwkscache.Discovered(), traced(&jwkscache.Trace{Moved: d.trace().Moved}), func(b *issuerkeys.Binding) {
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
			t.Errorf("Status.Location is %s", got)
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

// TestLocate shows that Locate is called for every fetch, that its result is
// checked as any URL is, and that the error of the fetch has the error of Locate as
// its cause.
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
				keys := bindTo(t, jwkscache.Discovered(), func(b *issuerkeys.Binding) { b.Locate = row.locate })
				start := time.Now()
				err := keys.Warm(t.Context())
				wants(t, "warm", err, issuerkeys.ErrUnavailable)
				if !strings.Contains(fmt.Sprint(err), row.want) || time.Since(start) > 10*time.Second {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// TestJoin shows that all joined hooks are called, in order, even if one panics.
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
