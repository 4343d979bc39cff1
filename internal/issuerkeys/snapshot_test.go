//go:build unix

package issuerkeys_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// kept returns a change of a Binding that sets SnapshotDir.
func kept(dir string) func(*issuerkeys.Binding) {
	return func(b *issuerkeys.Binding) { b.SnapshotDir = dir }
}

// filesOf returns the files in dir that hold what: "keys" or "forbidden".
func filesOf(t *testing.T, dir, what string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*."+what+".json"))
	must(t, err)
	return found
}

// fileIn returns the only file in dir that holds what.
func fileIn(t *testing.T, dir, what string) string {
	t.Helper()
	found := filesOf(t, dir, what)
	if len(found) != 1 {
		t.Fatalf("%d files of %s: %v", len(found), what, found)
	}
	return found[0]
}

func contentOfFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	return string(content)
}

// discoveredAt opens a Discovered source whose metadata names *at. If *at is empty,
// the metadata cannot be fetched.
func discoveredAt(t *testing.T, s *site, at *string, changes ...func(*issuerkeys.Binding)) *issuerkeys.Keys {
	t.Helper()
	return bindTo(t, jwkscache.Discovered(), append([]func(*issuerkeys.Binding){func(b *issuerkeys.Binding) {
		b.HTTPClient = &http.Client{Transport: s}
		b.Locate = func(context.Context) (string, error) {
			if *at == "" {
				return "", errRefused
			}
			return *at, nil
		}
	}}, changes...)...)
}

// TestSnapshot covers R-JK-12 across a restart: fetched keys serve after a restart
// while the issuer is down, until the same instant as without the restart.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), filepath.Join(snapshots(t), "made", "when needed")
		s.answers(200, setOf(jwk(t, "a"), `{"kty":"AKP"}`), `ETag: "1"`)
		before := openSite(t, s, kept(dir))
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open made the directory: %v", err)
		}
		must(t, before.Warm(t.Context()))
		synctest.Wait()
		first := before.Status()
		if first.SnapshotError != nil {
			t.Error(first.SnapshotError)
		}
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info, err)
		}

		s.down()
		advance(5 * time.Minute)
		d := new(diary)
		keys := openSite(t, s, kept(dir), traced(d.trace()))
		wants(t, "nothing is read yet", keys.Ready(), issuerkeys.ErrUnavailable)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() { wants(t, "a token", find(t, keys, "a"), nil) })
		}
		all.Wait()
		d.reads(t, "it is read once", "stored load true", "done start 1 +1 -0")
		if done := d.last(t); done.Took != 0 || done.Err != nil || len(done.Ignored) != 1 {
			t.Errorf("%+v", done)
		}
		s.wantVisits(t, "nothing is fetched while it is fresh", 1)
		status := keys.Status()
		if status.Origin != "snapshot" || status.State != "fresh" || status.Location != siteURL || len(status.Ignored) != 1 || status.SnapshotError != nil ||
			!status.Fetched.Equal(first.Fetched) || !status.FreshUntil.Equal(first.FreshUntil) || !status.UsableUntil.Equal(first.UsableUntil) {
			t.Errorf("%+v, was %+v", status, first)
		}
		h := held(t, keys, "a")
		wants(t, "an unknown kid", find(t, keys, "x"), issuerkeys.ErrUnavailable)
		advance(5 * time.Minute)
		wants(t, "stale", h.check(t), nil)
		synctest.Wait()
		s.wantVisits(t, "stale keys are refreshed", 3)
		advance(time.Until(first.UsableUntil) - 1)
		wants(t, "the last instant", find(t, keys, "a"), nil)
		last := openSite(t, s, kept(dir))
		wants(t, "the last instant, restarted", find(t, last, "a"), nil)
		advance(1)
		late := openSite(t, s, kept(dir))
		for name, keys := range map[string]*issuerkeys.Keys{"after it": keys, "after it, restarted": last, "restarted after it": late} {
			wants(t, name, find(t, keys, "a"), issuerkeys.ErrUnavailable)
		}
		wants(t, "the Handle", h.check(t), issuerkeys.ErrUnavailable)

		advance(time.Minute)
		s.answers(304, "")
		wants(t, "the issuer is back", find(t, keys, "a"), nil)
		if s.last(t).have != `"1"` || keys.Status().Origin != "fetched" {
			t.Errorf("%+v, %+v", s.last(t), keys.Status())
		}
		wants(t, "the Handle", h.check(t), nil)
		s.answers(304, "", `ETag: "1"`)
		wants(t, "an expired snapshot causes no condition", find(t, late, "a"), issuerkeys.ErrUnavailable)
	})
}

// TestSnapshotAndRun shows that Run and Warm start with the snapshot, and fetch
// when it must be renewed.
func TestSnapshotAndRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		advance(time.Minute)
		keys := openSite(t, s, kept(dir))
		go keys.Run(t.Context())
		synctest.Wait()
		s.wantVisits(t, "a fresh snapshot", 1)
		wants(t, "ready", keys.Ready(), nil)
		advance(10 * time.Minute)
		s.wantVisits(t, "it is renewed when it ceases to be", 2)
		advance(30 * time.Minute)
		s.down()
		advance(30 * time.Minute)
		visits := len(s.visited())
		stale := openSite(t, s, kept(dir))
		must(t, stale.Warm(t.Context()))
		if n := len(s.visited()) - visits; n != 1 || stale.Status().State != "stale" {
			t.Errorf("%d fetches; %+v", n, stale.Status())
		}
	})
}

// TestSnapshotRefused shows which snapshots are not used. The keys must then be
// fetched, the error is reported, and the next fetch replaces the snapshot.
func TestSnapshotRefused(t *testing.T) {
	keep := func(change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := fileIn(t, dir, "keys")
			must(t, os.WriteFile(path, []byte(change(contentOfFile(t, path))), 0o600))
		}
	}
	for name, row := range map[string]struct {
		damage func(t *testing.T, dir string)
		reopen func(*issuerkeys.Binding)
		source jwkscache.Source
		after  time.Duration
		want   string
	}{
		"too old":       {after: 70 * time.Minute, want: "too old to trust, or from the future"},
		"other URL":     {source: jwkscache.URL(siteURL + "2"), want: "of another source or jwks_uri"},
		"other source":  {source: jwkscache.Discovered(), want: "of another source or jwks_uri"},
		"less Stale":    {after: 10*time.Minute + time.Second, reopen: within(jwkscache.Limits{Stale: time.Second}), want: "too old"},
		"less MaxAge":   {after: time.Minute, reopen: within(jwkscache.Limits{MaxAge: time.Minute}), want: "too old"},
		"less MaxFresh": {after: 2 * time.Minute, reopen: within(jwkscache.Limits{MaxFresh: time.Minute, Stale: time.Minute}), want: "too old"},
		"fewer Keys":    {reopen: within(jwkscache.Limits{Keys: 1}), want: "found 2 keys; wanted at most 1, which is KeyLimits.Keys"},
		"cut off":       {damage: keep(func(text string) string { return text[:len(text)-1] }), want: "was cut off or changed"},
		"changed":       {damage: keep(func(text string) string { return strings.Replace(text, `"fetched":9`, `"fetched":8`, 1) }), want: "was cut off or changed"},
		"empty":         {damage: keep(func(string) string { return "" }), want: "is not of format 1"},
		"garbage":       {damage: keep(func(string) string { return "\x00\xff{{{{" }), want: "is not of format 1"},
		"of a future format": {damage: keep(func(text string) string {
			return strings.Replace(text, `"format":1`, `"format":2`, 1)
		}), want: "is not of format 1"},
		"group-writable": {damage: func(t *testing.T, dir string) { must(t, os.Chmod(fileIn(t, dir, "keys"), 0o620)) }, want: "can be written by its group"},
		"a link": {damage: func(t *testing.T, dir string) {
			path := fileIn(t, dir, "keys")
			must(t, os.Rename(path, path+".real"), os.Symlink(filepath.Base(path)+".real", path))
		}, want: "is no regular file"},
		"of another issuer": {damage: func(t *testing.T, dir string) {
			s, other := new(site), snapshots(t)
			s.answers(200, setOf(jwk(t, "a")))
			must(t, openSite(t, s, kept(other), func(b *issuerkeys.Binding) { b.Issuer = "https://other.example" }).Warm(t.Context()))
			synctest.Wait()
			must(t, os.Rename(fileIn(t, other, "keys"), fileIn(t, dir, "keys")))
		}, want: "is for another issuer"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if row.source == nil {
					row.source = jwkscache.URL(siteURL)
				}
				if row.reopen == nil {
					row.reopen = func(*issuerkeys.Binding) {}
				}
				s, dir := new(site), snapshots(t)
				document := setOf(jwk(t, "a"), jwk(t, "b"))
				s.answers(200, document)
				must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
				synctest.Wait()
				if row.damage != nil {
					row.damage(t, dir)
				}
				advance(row.after)
				s.down()
				d := new(diary)
				// A fallback is not used either, because the issuer has answered before.
				source := jwkscache.WithFallback(row.source, []byte(setOf(jwk(t, "fallback"))))
				open := func() *issuerkeys.Keys {
					return bindTo(t, source, row.reopen, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}), func(b *issuerkeys.Binding) {
						b.HTTPClient = &http.Client{Transport: s}
						b.Locate = func(context.Context) (string, error) { return siteURL, nil }
						b.Limits.DefaultFresh = b.Limits.MaxAge // 0, or as short
					})
				}
				if name == "fewer Keys" {
					document = setOf(jwk(t, "b"))
				}
				keys := open()
				wants(t, "in an outage", find(t, keys, "a"), issuerkeys.ErrUnavailable)
				wants(t, "in an outage", find(t, keys, "fallback"), issuerkeys.ErrUnavailable)
				status := keys.Status()
				if status.State != "unavailable" || status.Origin != "" || status.SnapshotError == nil || !strings.Contains(status.SnapshotError.Error(), row.want) {
					t.Errorf("%+v, want %s", status, row.want)
				}
				d.reads(t, "read", "stored load false")
				if err := d.uses()[0].Err; !strings.Contains(err.Error(), row.want) {
					t.Errorf("Stored has %v, want %s", err, row.want)
				}

				advance(time.Minute)
				s.answers(200, document)
				wants(t, "the issuer is back", find(t, keys, "b"), nil)
				d.reads(t, "written", "stored save true")
				if status := keys.Status(); status.SnapshotError != nil || status.Origin != "fetched" {
					t.Errorf("%+v", status)
				}
				s.down()
				again := open()
				wants(t, "restarted again", find(t, again, "b"), nil)
				if status := again.Status(); status.Origin != "snapshot" {
					t.Errorf("%+v", status)
				}
			})
		})
	}
}

// TestSnapshotFromTheFuture shows that a snapshot is not used if the clock was set
// back by more than a minute since it was written.
func TestSnapshotFromTheFuture(t *testing.T) {
	for behind, want := range map[time.Duration]error{time.Minute: nil, time.Minute + time.Second: issuerkeys.ErrUnavailable, 24 * time.Hour: issuerkeys.ErrUnavailable} {
		t.Run(behind.String(), func(t *testing.T) {
			s, dir, document := new(site), t.TempDir(), setOf(jwk(t, "a"))
			must(t, os.Chmod(dir, 0o700)) // whatever the umask
			synctest.Test(t, func(t *testing.T) {
				advance(behind)
				s.answers(200, document)
				must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
				synctest.Wait()
			})
			synctest.Test(t, func(t *testing.T) { // which begins at the same time
				s.down()
				wants(t, "in an outage", find(t, openSite(t, s, kept(dir)), "a"), want)
			})
		})
	}
}

// TestSnapshotIsBoundedByItsLimits shows that limits which were lowered since a
// snapshot was written apply to it.
func TestSnapshotIsBoundedByItsLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		s.answers(200, setOf(jwk(t, "a")), "Cache-Control: max-age=36000")
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		start := time.Now()
		for _, row := range []struct {
			limits        jwkscache.Limits
			fresh, usable time.Duration
		}{
			{jwkscache.Limits{}, 10 * time.Hour, 11 * time.Hour},
			{jwkscache.Limits{MaxFresh: time.Hour}, time.Hour, 2 * time.Hour},
			{jwkscache.Limits{Stale: time.Minute}, 10 * time.Hour, 10*time.Hour + time.Minute},
			{jwkscache.Limits{Stale: 24 * time.Hour}, 10 * time.Hour, 11 * time.Hour},
			{jwkscache.Limits{MaxAge: 5 * time.Hour}, 5 * time.Hour, 5 * time.Hour},
		} {
			keys := openSite(t, s, kept(dir), within(row.limits))
			must(t, keys.Warm(t.Context()))
			status := keys.Status()
			wantSpan(t, fmt.Sprintf("%+v: fresh for", row.limits), status.FreshUntil.Sub(start), row.fresh)
			wantSpan(t, fmt.Sprintf("%+v: usable for", row.limits), status.UsableUntil.Sub(start), row.usable)
		}
		s.wantVisits(t, "all of them read it", 1)
	})
}

// TestSnapshotIsOfOneIssuer shows that two issuers with the same directory and the
// same URL do not read each other's files (R-JK-02).
func TestSnapshotIsOfOneIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		s.answers(200, setOf(jwk(t, "a")))
		one := openSite(t, s, kept(dir))
		must(t, one.Warm(t.Context()), one.Forbid(t.Context(), jwkscache.KeyName{KeyID: "f"}))
		synctest.Wait()
		s.down()
		other := openSite(t, s, kept(dir), func(b *issuerkeys.Binding) { b.Issuer = issuer + "/" })
		wants(t, "another issuer", find(t, other, "a"), issuerkeys.ErrUnavailable)
		if status := other.Status(); status.Forbidden != nil || status.SnapshotError != nil {
			t.Errorf("%+v", status)
		}
		wants(t, "the same", find(t, openSite(t, s, kept(dir)), "a"), nil)
	})
}

// TestSnapshotOfAnotherURL shows that a snapshot is dropped if the metadata names
// another jwks_uri, even if nothing can be fetched from there, and is kept if the
// metadata cannot be fetched.
func TestSnapshotOfAnotherURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir, at := new(site), snapshots(t), siteURL
		s.answers(200, setOf(jwk(t, "a")))
		must(t, discoveredAt(t, s, &at, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		s.down()
		advance(11 * time.Minute)
		at = ""
		d := new(diary)
		keys := discoveredAt(t, s, &at, kept(dir), traced(d.trace()))
		h := held(t, keys, "a")
		d.readsOf(t, "no metadata", "stored load true", "done start 1 +1 -0", "start stale", "done stale 1 +0 -0")
		advance(time.Minute)
		at = siteURL
		wants(t, "the same URL, which is down", find(t, keys, "a"), nil)
		d.reads(t, "the same URL", "start stale", "done stale 1 +0 -0")
		wants(t, "the Handle", h.check(t), nil)
		advance(time.Minute)
		at += "/other"
		wants(t, "another URL, before the fetch", find(t, keys, "a"), nil)
		synctest.Wait()
		wants(t, "another URL, which is down", find(t, keys, "a"), issuerkeys.ErrUnavailable)
		wants(t, "the Handle", h.check(t), jose.ErrUnknownKey)
		wants(t, "the Handle, live, without any keys", h.handle.Live(), issuerkeys.ErrUnavailable)
		d.reads(t, "another URL", "start stale", "moved "+siteURL+" "+at, "done stale 0 +0 -1")
		if status := keys.Status(); status.State != "unavailable" || status.Origin != "" || status.Location != at {
			t.Errorf("%+v", status)
		}
		wants(t, "ready", keys.Ready(), issuerkeys.ErrUnavailable)
		advance(time.Minute)
		s.answers(200, setOf(jwk(t, "b")))
		wants(t, "it is up", find(t, keys, "b"), nil)
		wants(t, "a key that it does not have", find(t, keys, "a"), jose.ErrUnknownKey)

		// What was fetched in this process stays within its bound: metadata
		// may be changed before the keys are there.
		at += "/third"
		s.down()
		advance(11 * time.Minute)
		must(t, find(t, keys, "b"))
		synctest.Wait()
		wants(t, "no snapshot", find(t, keys, "b"), nil)
	})
}

// TestFallbackAndSnapshot shows that a fallback serves only if no snapshot shows
// that the issuer has answered before.
func TestFallbackAndSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		document := setOf(jwk(t, "fallback"))
		keys := fallbackOf(t, s, document, kept(dir))
		wants(t, "it never answered", find(t, keys, "fallback"), nil)
		synctest.Wait()
		if found := filesOf(t, dir, "keys"); found != nil {
			t.Errorf("the fallback was saved: %v", found)
		}
		advance(time.Minute)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, keys.Warm(t.Context()))
		synctest.Wait()
		s.down()
		keys = fallbackOf(t, s, document, kept(dir))
		wants(t, "restarted", find(t, keys, "fallback"), issuerkeys.ErrUnavailable)
		wants(t, "restarted", find(t, keys, "a"), nil)
		advance(2 * time.Hour)
		keys = fallbackOf(t, s, document, kept(dir))
		for _, kid := range []string{"fallback", "a"} {
			wants(t, "restarted too late: "+kid, find(t, keys, kid), issuerkeys.ErrUnavailable)
		}
	})
}

// TestSnapshotIsNotForFiles shows that a snapshot of a URL source does not affect a
// File source, whose fallback serves.
func TestSnapshotIsNotForFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		keys := bindTo(t, jwkscache.WithFallback(jwkscache.File(filepath.Join(dir, "missing")), []byte(setOf(jwk(t, "b")))), kept(dir))
		wants(t, "the fallback", find(t, keys, "b"), nil)
		if status := keys.Status(); status.SnapshotError != nil || status.Origin != "fallback" {
			t.Errorf("%+v", status)
		}
	})
}

// TestStaticKeysWithSnapshotDir shows that static keys are used after the list of
// forbidden keys was read, with Run and without, and need nothing else.
func TestStaticKeysWithSnapshotDir(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))), kept(snapshots(t)), traced(d.trace()))
		wants(t, "not read yet", keys.Ready(), issuerkeys.ErrUnavailable)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { keys.Run(ctx); close(ended) }()
		synctest.Wait()
		wants(t, "Run has read it", keys.Ready(), nil)
		d.reads(t, "opened", "stored load true", "done start 1 +1 -0")
		for range 10 {
			wants(t, "a", find(t, keys, "a"), nil)
			wants(t, "an unknown kid", find(t, keys, "x"), jose.ErrUnknownKey)
			wants(t, "the Handle of a", held(t, keys, "a").check(t), nil)
			advance(time.Hour)
		}
		d.reads(t, "ten hours")
		cancel()
		<-ended
	})
}

// TestStaticKeysAndAnUnreadableList shows that static keys do not serve if the list of
// forbidden keys cannot be read, that Run reads it once, and that the next token reads
// it again.
func TestStaticKeysAndAnUnreadableList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, d, source := snapshots(t), new(diary), jwkscache.Static([]byte(setOf(jwk(t, "a"))))
		must(t, bindTo(t, source, kept(dir)).Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"}))
		list := fileIn(t, dir, "forbidden")
		good := contentOfFile(t, list)
		must(t, os.WriteFile(list, []byte("{"), 0o600))
		keys := bindTo(t, source, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		go keys.Run(t.Context())
		advance(time.Hour)
		d.reads(t, "Run", "stored load false")
		wants(t, "ready", keys.Ready(), issuerkeys.ErrUnavailable)
		wants(t, "a token", find(t, keys, "a"), issuerkeys.ErrUnavailable)
		d.reads(t, "a token", "stored load false")
		must(t, os.WriteFile(list, []byte(good), 0o600))
		advance(time.Minute)
		wants(t, "mended", find(t, keys, "a"), nil)
		d.reads(t, "mended", "stored load true")
	})
}

// TestConcurrentFirstUseOfSnapshot shows that all concurrent first calls get the
// keys of the snapshot: none of them starts a fetch or returns ErrUnavailable.
func TestConcurrentFirstUseOfSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		s.down()
		for range 50 {
			keys := openSite(t, s, kept(dir))
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() { wants(t, "a token", find(t, keys, "a"), nil) })
			}
			all.Wait()
		}
		s.wantVisits(t, "it is fresh", 1)
	})
}
