//go:build unix

package jwkscache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// kept names the directory of snapshots.
func kept(dir string) func(*jwkscache.Binding) {
	return func(b *jwkscache.Binding) { b.SnapshotDir = dir }
}

// filesOf are the files in dir that hold what, "keys" or "forbidden".
func filesOf(t *testing.T, dir, what string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, "*."+what+".json"))
	must(t, err)
	return found
}

// fileIn is the only file in dir that holds what.
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

// discoveredAt opens a Discovered source whose metadata name *at, or cannot be
// had if that is empty.
func discoveredAt(t *testing.T, s *site, at *string, changes ...func(*jwkscache.Binding)) *jwkscache.Keys {
	t.Helper()
	return bindTo(t, jwkscache.Discovered(), append([]func(*jwkscache.Binding){func(b *jwkscache.Binding) {
		b.HTTPClient = &http.Client{Transport: s}
		b.Locate = func(context.Context) (string, error) {
			if *at == "" {
				return "", errRefused
			}
			return *at, nil
		}
	}}, changes...)...)
}

// TestSnapshot covers R-JK-12 across a restart: what was fetched before serves
// while the issuer is down, until the very time it would have without restart.
func TestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), filepath.Join(snapshots(t), "made", "when needed")
		s.answers(200, setOf(jwk(t, "a"), `{"kty":"AKP"}`), `ETag: "1"`)
		before := openSite(t, s, kept(dir))
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open has touched the disk: %v", err)
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
		wants(t, "nothing is read yet", keys.Ready(), jwkscache.ErrUnavailable)
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
		wants(t, "an unknown kid", find(t, keys, "x"), jwkscache.ErrUnavailable)
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
		for name, keys := range map[string]*jwkscache.Keys{"after it": keys, "after it, restarted": last, "restarted after it": late} {
			wants(t, name, find(t, keys, "a"), jwkscache.ErrUnavailable)
		}
		wants(t, "who holds it", h.check(t), jwkscache.ErrUnavailable)

		advance(time.Minute)
		s.answers(304, "")
		wants(t, "the issuer is back", find(t, keys, "a"), nil)
		if s.last(t).have != `"1"` || keys.Status().Origin != "fetched" {
			t.Errorf("%+v, %+v", s.last(t), keys.Status())
		}
		wants(t, "who held it", h.check(t), nil)
		s.answers(304, "", `ETag: "1"`)
		wants(t, "too old a snapshot is no condition", find(t, late, "a"), jwkscache.ErrUnavailable)
	})
}

// TestSnapshotAndRun shows that Run and Warm begin with the snapshot, and then
// ask when that wants it.
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

// TestSnapshotRefused shows which snapshots do not serve: the issuer must be
// asked, what is wrong is told, and the next fetch mends it.
func TestSnapshotRefused(t *testing.T) {
	keep := func(change func(string) string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := fileIn(t, dir, "keys")
			must(t, os.WriteFile(path, []byte(change(contentOfFile(t, path))), 0o600))
		}
	}
	for name, row := range map[string]struct {
		damage func(t *testing.T, dir string)
		reopen func(*jwkscache.Binding)
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
		"fewer Keys":    {reopen: within(jwkscache.Limits{Keys: 1}), want: "it has 2 keys; Limits.Keys is 1"},
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
			must(t, openSite(t, s, kept(other), func(b *jwkscache.Binding) { b.Issuer = "https://other.example" }).Warm(t.Context()))
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
					row.reopen = func(*jwkscache.Binding) {}
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
				// A fallback is no way around it: the issuer has answered once.
				source := jwkscache.WithFallback(row.source, []byte(setOf(jwk(t, "fallback"))))
				open := func() *jwkscache.Keys {
					return bindTo(t, source, row.reopen, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}), func(b *jwkscache.Binding) {
						b.HTTPClient = &http.Client{Transport: s}
						b.Locate = func(context.Context) (string, error) { return siteURL, nil }
						b.Limits.DefaultFresh = b.Limits.MaxAge // 0, or as short
					})
				}
				if name == "fewer Keys" {
					document = setOf(jwk(t, "b"))
				}
				keys := open()
				wants(t, "in an outage", find(t, keys, "a"), jwkscache.ErrUnavailable)
				wants(t, "in an outage", find(t, keys, "fallback"), jwkscache.ErrUnavailable)
				status := keys.Status()
				if status.State != "unavailable" || status.Origin != "" || status.SnapshotError == nil || !strings.Contains(status.SnapshotError.Error(), row.want) {
					t.Errorf("%+v, want %s", status, row.want)
				}
				d.reads(t, "read", "stored load false")
				if err := d.uses()[0].Err; !strings.Contains(err.Error(), row.want) {
					t.Errorf("told %v, want %s", err, row.want)
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

// TestSnapshotOfTheFuture shows that a clock that was set back by more than a
// minute makes a snapshot useless, and by less does not.
func TestSnapshotOfTheFuture(t *testing.T) {
	for behind, want := range map[time.Duration]error{time.Minute: nil, time.Minute + time.Second: jwkscache.ErrUnavailable, 24 * time.Hour: jwkscache.ErrUnavailable} {
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

// TestSnapshotIsBoundedByItsLimits shows that limits which are less than before
// hold for what was kept.
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

// TestSnapshotIsOfOneIssuer shows that issuers which share a directory, and URLs,
// do not meet (R-JK-02).
func TestSnapshotIsOfOneIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		s.answers(200, setOf(jwk(t, "a")))
		one := openSite(t, s, kept(dir))
		must(t, one.Warm(t.Context()), one.Forbid(t.Context(), jwkscache.KeyName{KeyID: "f"}))
		synctest.Wait()
		s.down()
		other := openSite(t, s, kept(dir), func(b *jwkscache.Binding) { b.Issuer = issuer + "/" })
		wants(t, "another issuer", find(t, other, "a"), jwkscache.ErrUnavailable)
		if status := other.Status(); status.Forbidden != nil || status.SnapshotError != nil {
			t.Errorf("%+v", status)
		}
		wants(t, "the same", find(t, openSite(t, s, kept(dir)), "a"), nil)
	})
}

// TestForbiddenPersists covers R-OP-06: a restart forgets neither what was
// forbidden nor what was permitted, whatever the snapshot and the issuer have.
func TestForbiddenPersists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		a, b := jwk(t, "a"), jwk(t, "b")
		s.answers(200, setOf(a, b))
		d := new(diary)
		configured := func(b *jwkscache.Binding) { b.Forbidden = []jwkscache.KeyName{{KeyID: "configured"}, {KeyID: "both"}} }
		first := openSite(t, s, kept(dir), configured, traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		must(t, first.Warm(t.Context()))
		synctest.Wait() // until it is saved
		name := jwkscache.KeyName{Thumbprint: thumbprintOf(t, first, "a")}
		must(t, first.Forbid(t.Context(), name), first.Forbid(t.Context(), jwkscache.KeyName{KeyID: "later"}), first.Forbid(t.Context(), jwkscache.KeyName{KeyID: "both"}))
		d.reads(t, "each is written", "stored load true", "stored save true", "stored forbid true", "stored forbid true", "stored forbid true")

		s.down()
		want := []jwkscache.KeyName{name, {KeyID: "both"}, {KeyID: "later"}}
		second := openSite(t, s, kept(dir))
		wants(t, "restarted in an outage", find(t, second, "a"), jose.ErrUnknownKey)
		wants(t, "the other key", find(t, second, "b"), nil)
		if got := second.Status().Forbidden; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		advance(11 * time.Minute)
		s.answers(200, setOf(b, a, jwk(t, "later")))
		must(t, second.Warm(t.Context()))
		for _, kid := range []string{"a", "later"} {
			wants(t, "fetched anew: "+kid, find(t, second, kid), jose.ErrUnknownKey)
		}

		// What another source, another place or no snapshot has is forbidden too.
		at := siteURL + "/other"
		for what, keys := range map[string]*jwkscache.Keys{
			"discovery": discoveredAt(t, s, &at, kept(dir)),
			"static":    bindTo(t, jwkscache.Static([]byte(setOf(a, b))), kept(dir)),
			"fallback":  fallbackOf(t, s, setOf(a, b), kept(dir)),
		} {
			wants(t, what+": before it was read", keys.Ready(), jwkscache.ErrUnavailable)
			wants(t, what, find(t, keys, "a"), jose.ErrUnknownKey)
			wants(t, what+": the other", find(t, keys, "b"), nil)
		}

		// Permit reads the list first: it must not write a shorter one.
		third := openSite(t, s, kept(dir))
		must(t, third.Permit(t.Context(), name))
		// So does Forbid.
		fourth := openSite(t, s, kept(dir))
		must(t, fourth.Forbid(t.Context(), jwkscache.KeyName{KeyID: "x"}))
		fifth := openSite(t, s, kept(dir))
		wants(t, "permitted", find(t, fifth, "a"), nil)
		want = []jwkscache.KeyName{{KeyID: "both"}, {KeyID: "later"}, {KeyID: "x"}}
		if got := fifth.Status().Forbidden; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// TestForbiddenCannotBeRead shows that a list of forbidden keys which is damaged
// fails closed: nothing serves, whatever the source, until it is mended; and
// that what is forbidden meanwhile is, and is told as not kept.
func TestForbiddenCannotBeRead(t *testing.T) {
	document := setOf(jwk(t, "a"), jwk(t, "b"))
	for name, source := range map[string]jwkscache.Source{
		"url":       jwkscache.URL(siteURL),
		"discovery": jwkscache.Discovered(),
		"static":    jwkscache.Static([]byte(document)),
		"fallback":  jwkscache.WithFallback(jwkscache.URL(siteURL), []byte(document)),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dir, d := new(site), snapshots(t), new(diary)
				s.answers(200, document)
				open := func() *jwkscache.Keys {
					return bindTo(t, source, kept(dir), traced(d.trace()), func(b *jwkscache.Binding) {
						b.HTTPClient = &http.Client{Transport: s}
						b.Locate = func(context.Context) (string, error) { return siteURL, nil }
					})
				}
				before := open()
				must(t, before.Warm(t.Context()), before.Forbid(t.Context(), jwkscache.KeyName{KeyID: "a"}))
				synctest.Wait()
				path := fileIn(t, dir, "forbidden")
				good := contentOfFile(t, path)
				must(t, os.WriteFile(path, []byte(good[:len(good)-2]), 0o600))
				d.uses()
				visits := len(s.visited())

				keys := open()
				ctx, cancel := context.WithCancel(t.Context())
				go keys.Run(ctx)
				for range 20 {
					for _, kid := range []string{"a", "b", "x"} {
						err := find(t, keys, kid)
						wants(t, kid, err, jwkscache.ErrUnavailable)
						if !strings.Contains(fmt.Sprint(err), "which keys are forbidden cannot be read") || !strings.Contains(fmt.Sprint(err), path) {
							t.Errorf("%v", err)
						}
					}
					wants(t, "warm", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
					wants(t, "ready", keys.Ready(), jwkscache.ErrUnavailable)
					advance(10 * time.Second)
				}
				s.wantVisits(t, "nothing is fetched", visits)
				if status := keys.Status(); status.State != "unavailable" || status.SnapshotError == nil || status.LastError == nil || status.Origin != "" {
					t.Errorf("%+v", status)
				}
				if uses := d.uses(); len(uses) == 0 || uses[0].Use != "load" || uses[0].Err == nil {
					t.Errorf("told %+v", uses)
				}
				err := keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"})
				if err == nil || !strings.Contains(err.Error(), "until the process ends") {
					t.Errorf("forbidding: %v", err)
				}
				wants(t, "permitting", keys.Permit(t.Context(), jwkscache.KeyName{KeyID: "b"}), jwkscache.ErrUnavailable)
				if got := keys.Status().Forbidden; !slices.Equal(got, []jwkscache.KeyName{{KeyID: "b"}}) {
					t.Errorf("%v", got)
				}
				if contentOfFile(t, path) != good[:len(good)-2] {
					t.Error("the damaged list was written over")
				}

				must(t, os.WriteFile(path, []byte(good), 0o600))
				advance(10 * time.Second)
				for _, kid := range []string{"a", "b"} {
					wants(t, "mended: "+kid, find(t, keys, kid), jose.ErrUnknownKey)
				}
				wants(t, "mended", keys.Ready(), nil)
				must(t, keys.Permit(t.Context(), jwkscache.KeyName{KeyID: "b"}))
				wants(t, "mended and permitted", find(t, keys, "b"), nil)
				cancel()
			})
		})
	}
}

// TestDirectoryOfOthers shows that a directory which others can write to fails
// closed: who writes there says which keys are forbidden.
func TestDirectoryOfOthers(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"world-writable": func(dir string) error { return os.Chmod(dir, 0o702) },
		"a link": func(dir string) error {
			return errors.Join(os.Rename(dir, dir+".real"), os.Symlink(dir+".real", dir))
		},
		"a file": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dir := new(site), filepath.Join(snapshots(t), "snapshots")
				s.answers(200, setOf(jwk(t, "a")))
				must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
				synctest.Wait()
				must(t, damage(dir))
				keys := openSite(t, s, kept(dir))
				wants(t, "warm", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
				s.wantVisits(t, "nothing is asked for", 1)
				if err := keys.Status().SnapshotError; err == nil || !strings.Contains(err.Error(), dir) {
					t.Errorf("told %v", err)
				}
				must(t, os.RemoveAll(dir))
				advance(time.Minute)
				must(t, keys.Warm(t.Context()))
			})
		})
	}
}

// TestForbidCannotBeWritten shows that a key is forbidden even if that cannot be
// written, and that the caller learns of it.
func TestForbidCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir, d := new(site), filepath.Join(snapshots(t), "snapshots"), new(diary)
		s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")))
		keys := openSite(t, s, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		must(t, keys.Warm(t.Context()))
		synctest.Wait()
		must(t, os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600))
		a := held(t, keys, "a")
		name := jwkscache.KeyName{KeyID: "a"}
		if keys.Forbid(t.Context(), name) == nil {
			t.Error("forbidden, and nothing said")
		}
		wants(t, "a", find(t, keys, "a"), jose.ErrUnknownKey)
		wants(t, "who holds a", a.check(t), jose.ErrUnknownKey)
		wants(t, "b", find(t, keys, "b"), nil)
		if keys.Status().SnapshotError == nil {
			t.Error("Status does not tell")
		}
		d.reads(t, "told", "stored load true", "stored save true", "stored forbid false")

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_ = keys.Forbid(gone, jwkscache.KeyName{KeyID: "b"})
		wants(t, "b, by one who left", find(t, keys, "b"), jose.ErrUnknownKey)

		must(t, os.Remove(dir), os.Rename(dir+".away", dir))
		must(t, keys.Forbid(t.Context(), name)) // once more writes all of them
		if err := keys.Status().SnapshotError; err != nil {
			t.Error(err)
		}
		again := openSite(t, s, kept(dir))
		for _, kid := range []string{"a", "b"} {
			wants(t, "restarted: "+kid, find(t, again, kid), jose.ErrUnknownKey)
		}
	})
}

// TestSnapshotOfAnotherPlace shows that metadata which name another jwks_uri than
// the snapshot's put an end to it, even if nothing can be had there, and that
// metadata which cannot be had do not.
func TestSnapshotOfAnotherPlace(t *testing.T) {
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
		d.readsOf(t, "no metadata", "stored load true", "done start 1 +1 -0", "start stale", "done stale 0 +0 -0")
		advance(time.Minute)
		at = siteURL
		wants(t, "the same place, which is down", find(t, keys, "a"), nil)
		d.reads(t, "the same place", "start stale", "done stale 0 +0 -0")
		wants(t, "who holds it", h.check(t), nil)
		advance(time.Minute)
		at += "/other"
		wants(t, "another place, which is not known yet", find(t, keys, "a"), nil)
		synctest.Wait()
		wants(t, "another place, which is down", find(t, keys, "a"), jwkscache.ErrUnavailable)
		wants(t, "who holds it", h.check(t), jose.ErrUnknownKey)
		d.reads(t, "another place", "start stale", "moved "+siteURL+" "+at, "done stale 0 +0 -1")
		if status := keys.Status(); status.State != "unavailable" || status.Origin != "" || status.Location != at {
			t.Errorf("%+v", status)
		}
		wants(t, "ready", keys.Ready(), jwkscache.ErrUnavailable)
		advance(time.Minute)
		s.answers(200, setOf(jwk(t, "b")))
		wants(t, "it is up", find(t, keys, "b"), nil)
		wants(t, "what it has not", find(t, keys, "a"), jose.ErrUnknownKey)

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

// TestFallbackAndSnapshot shows that a fallback serves only where the issuer has
// never answered, as far as the disk can tell.
func TestFallbackAndSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		document := setOf(jwk(t, "fallback"))
		keys := fallbackOf(t, s, document, kept(dir))
		wants(t, "it never answered", find(t, keys, "fallback"), nil)
		synctest.Wait()
		if found := filesOf(t, dir, "keys"); found != nil {
			t.Errorf("the fallback was kept: %v", found)
		}
		advance(time.Minute)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, keys.Warm(t.Context()))
		synctest.Wait()
		s.down()
		keys = fallbackOf(t, s, document, kept(dir))
		wants(t, "restarted", find(t, keys, "fallback"), jwkscache.ErrUnavailable)
		wants(t, "restarted", find(t, keys, "a"), nil)
		advance(2 * time.Hour)
		keys = fallbackOf(t, s, document, kept(dir))
		for _, kid := range []string{"fallback", "a"} {
			wants(t, "restarted too late: "+kid, find(t, keys, kid), jwkscache.ErrUnavailable)
		}
	})
}

// TestSnapshotIsNotForFiles shows that keys of a URL do not matter to a file, and
// that its fallback serves nevertheless.
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

// TestSnapshotIsWritten shows when: after fetches that brought something else,
// and once in a minute after those that did not; never for files, and for static
// keys.
func TestSnapshotIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir, d := new(site), snapshots(t), new(diary)
		one, two := setOf(jwk(t, "a")), setOf(jwk(t, "b"))
		s.answers(200, one, `ETag: "1"`)
		at := siteURL
		keys := discoveredAt(t, s, &at, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		must(t, keys.Warm(t.Context()))
		d.reads(t, "the first", "stored load true", "stored save true")
		fetch := func(what string, after time.Duration, want ...string) {
			t.Helper()
			advance(after)
			before := len(s.visited())
			_ = find(t, keys, what) // an unknown kid makes it fetch
			if len(s.visited()) == before {
				t.Errorf("%s: no fetch", what)
			}
			d.reads(t, what, want...)
		}
		const save = "stored save true"
		fetch("the same", 2*time.Second)
		s.answers(304, "")
		fetch("a 304", 6*time.Second)
		s.down()
		fetch("a failure", 6*time.Second)
		s.answers(200, one, `ETag: "2"`)
		fetch("another tag", 6*time.Second, save)
		s.answers(200, two, `ETag: "2"`)
		fetch("another document", 6*time.Second, save)
		at += "/other"
		fetch("another place", 6*time.Second, save)
		fetch("the same again", 6*time.Second)
		fetch("the same a minute later", time.Minute, save)
		advance(time.Minute)
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "x"}))
		d.reads(t, "forbidding", "stored forbid true")
	})
	synctest.Test(t, func(t *testing.T) {
		dir, d := snapshots(t), new(diary)
		path, document := filepath.Join(t.TempDir(), "jwks.json"), setOf(jwk(t, "a"))
		write(t, path, document)
		for _, source := range []jwkscache.Source{jwkscache.File(path), jwkscache.Static([]byte(document))} {
			keys := bindTo(t, source, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
			must(t, keys.Warm(t.Context()))
			advance(time.Minute)
			must(t, keys.Warm(t.Context()))
			d.reads(t, "neither a file nor static keys", "stored load true")
		}
		if found := filesOf(t, dir, "keys"); found != nil {
			t.Errorf("%v", found)
		}
	})
}

// TestSnapshotCannotBeWritten shows that this disturbs nobody, and is told until
// it goes well again.
func TestSnapshotCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir, d := new(site), snapshots(t), new(diary)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		path := fileIn(t, dir, "keys")
		must(t, os.Remove(path), os.Mkdir(path, 0o700))

		keys := openSite(t, s, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		go keys.Run(t.Context())
		synctest.Wait()
		d.reads(t, "opened", "stored load false", "stored save false")
		only := func(what string, ok bool) {
			t.Helper()
			uses := d.uses()
			for _, stored := range uses {
				if stored.Use != "save" || (stored.Err == nil) != ok {
					t.Errorf("%s: %+v", what, stored)
				}
			}
			if len(uses) == 0 {
				t.Errorf("%s: not tried", what)
			}
		}
		d.uses()
		for range 5 {
			wants(t, "served", find(t, keys, "a"), nil)
			if status := keys.Status(); status.State != "fresh" || status.LastError != nil || status.SnapshotError == nil {
				t.Errorf("%+v", status)
			}
			advance(10 * time.Minute)
			only("tried again", false)
		}
		must(t, os.Remove(path))
		advance(10 * time.Minute)
		only("mended", true)
		if err := keys.Status().SnapshotError; err != nil {
			t.Error(err)
		}
		fileIn(t, dir, "keys")
	})
}

// TestSnapshotIsRetriedAtOnce shows that what could not be written is tried again
// with the next fetch, even if that brings nothing else.
func TestSnapshotIsRetriedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir, d := new(site), filepath.Join(snapshots(t), "snapshots"), new(diary)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
		s.answersBy(func(*http.Request) *http.Response { // after the store was read
			must(t, os.WriteFile(dir, nil, 0o600))
			s.answer = func(*http.Request) *http.Response { return reply(200, setOf(jwk(t, "a"))) }
			return s.answer(nil)
		})
		must(t, keys.Warm(t.Context()))
		d.reads(t, "in the way", "stored load true", "stored save false")
		must(t, os.Remove(dir))
		advance(2 * time.Second)
		wants(t, "a made-up kid", find(t, keys, "x"), jose.ErrUnknownKey)
		d.reads(t, "retried", "stored save true")
	})
}

// TestStaticWithDirectory shows that static keys wait for what is forbidden, and
// for nothing else, ever; and that Run does so too.
func TestStaticWithDirectory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := new(diary)
		keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))), kept(snapshots(t)), traced(d.trace()))
		wants(t, "not read yet", keys.Ready(), jwkscache.ErrUnavailable)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { keys.Run(ctx); close(ended) }()
		synctest.Wait()
		wants(t, "Run has read it", keys.Ready(), nil)
		d.reads(t, "opened", "stored load true", "done start 1 +1 -0")
		for range 10 {
			wants(t, "a", find(t, keys, "a"), nil)
			wants(t, "an unknown kid", find(t, keys, "x"), jose.ErrUnknownKey)
			wants(t, "who holds a", held(t, keys, "a").check(t), nil)
			advance(time.Hour)
		}
		d.reads(t, "ten hours")
		cancel()
		<-ended
	})
}

// TestManyAtTheStart shows that the snapshot serves all who come at once: none of
// them asks the issuer, and none is told that it is down.
func TestManyAtTheStart(t *testing.T) {
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

// TestSnapshotIsNotReplacedByAnOlderOne shows that of two Keys of one issuer, such
// as those of a tenant before and after a change of its configuration, the one
// whose fetch began later is kept, whichever ends last.
func TestSnapshotIsNotReplacedByAnOlderOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := snapshots(t)
		answering := func(document string, after time.Duration) *jwkscache.Keys {
			return bindTo(t, jwkscache.URL(siteURL), kept(dir), func(b *jwkscache.Binding) {
				b.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) {
					advance(after)
					return &http.Response{
						StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
						Body: io.NopCloser(strings.NewReader(document)),
					}, nil
				})}
			})
		}
		older, newer := answering(setOf(jwk(t, "a")), 3*time.Second), answering(setOf(jwk(t, "b")), 0)
		go func() { _ = older.Warm(t.Context()) }()
		advance(time.Second)
		must(t, newer.Warm(t.Context()))
		advance(4 * time.Second)
		wants(t, "the older one serves what it has", find(t, older, "a"), nil)
		restarted := bindTo(t, jwkscache.URL(siteURL), kept(dir), func(b *jwkscache.Binding) {
			b.HTTPClient = &http.Client{Transport: transport(func(*http.Request) (*http.Response, error) { return nil, errRefused })}
		})
		wants(t, "after a restart", find(t, restarted, "b"), nil)
		wants(t, "what was withdrawn", find(t, restarted, "a"), jwkscache.ErrUnavailable)
	})
}
