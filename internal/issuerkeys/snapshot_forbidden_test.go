//go:build unix

package issuerkeys_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestForbiddenPersists covers R-OP-06: forbidden and permitted names survive a
// restart, whatever the snapshot and the issuer contain.
func TestForbiddenPersists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		a, b := jwk(t, "a"), jwk(t, "b")
		s.answers(200, setOf(a, b))
		d := new(diary)
		configured := func(b *issuerkeys.Binding) { b.Forbidden = []jwkscache.KeyName{{KeyID: "configured"}, {KeyID: "both"}} }
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

		// Forbidden names hold for other sources, other URLs and without a snapshot.
		at := siteURL + "/other"
		for what, keys := range map[string]*issuerkeys.Keys{
			"discovery": discoveredAt(t, s, &at, kept(dir)),
			"static":    bindTo(t, jwkscache.Static([]byte(setOf(a, b))), kept(dir)),
			"fallback":  fallbackOf(t, s, setOf(a, b), kept(dir)),
		} {
			wants(t, what+": before it was read", keys.Ready(), issuerkeys.ErrUnavailable)
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

// TestForbiddenCannotBeRead shows that no keys are used, for any source, while the
// list of forbidden keys is damaged. Names that are forbidden meanwhile hold in
// memory, and the error says that they were not written.
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
				open := func() *issuerkeys.Keys {
					return bindTo(t, source, kept(dir), traced(d.trace()), func(b *issuerkeys.Binding) {
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
						wants(t, kid, err, issuerkeys.ErrUnavailable)
						if !strings.Contains(fmt.Sprint(err), "the list of forbidden keys cannot be read") || !strings.Contains(fmt.Sprint(err), path) {
							t.Errorf("%v", err)
						}
					}
					wants(t, "warm", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
					wants(t, "ready", keys.Ready(), issuerkeys.ErrUnavailable)
					advance(10 * time.Second)
				}
				s.wantVisits(t, "nothing is fetched", visits)
				if status := keys.Status(); status.State != "unavailable" || status.SnapshotError == nil || status.LastError == nil || status.Origin != "" {
					t.Errorf("%+v", status)
				}
				if uses := d.uses(); len(uses) == 0 || uses[0].Use != "load" || uses[0].Err == nil {
					t.Errorf("Stored has %+v", uses)
				}
				err := keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"})
				if err == nil || !strings.Contains(err.Error(), "until the process ends") {
					t.Errorf("forbidding: %v", err)
				}
				wants(t, "permitting", keys.Permit(t.Context(), jwkscache.KeyName{KeyID: "b"}), issuerkeys.ErrUnavailable)
				if got := keys.Status().Forbidden; !slices.Equal(got, []jwkscache.KeyName{{KeyID: "b"}}) {
					t.Errorf("%v", got)
				}
				if contentOfFile(t, path) != good[:len(good)-2] {
					t.Error("the damaged list was replaced")
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

// TestDirectoryWritableByOthers shows that no keys are used if others can write to
// the directory, because they could remove names of forbidden keys.
func TestDirectoryWritableByOthers(t *testing.T) {
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
				wants(t, "warm", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
				s.wantVisits(t, "nothing is asked for", 1)
				if err := keys.Status().SnapshotError; err == nil || !strings.Contains(err.Error(), dir) {
					t.Errorf("SnapshotError is %v", err)
				}
				must(t, os.RemoveAll(dir))
				advance(time.Minute)
				must(t, keys.Warm(t.Context()))
			})
		})
	}
}

// TestForbidCannotBeWritten shows that a key is forbidden in memory even if the
// name cannot be written, and that Forbid returns an error then.
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
			t.Error("Forbid returned no error")
		}
		wants(t, "a", find(t, keys, "a"), jose.ErrUnknownKey)
		wants(t, "the Handle of a", a.check(t), jose.ErrUnknownKey)
		wants(t, "b", find(t, keys, "b"), nil)
		if keys.Status().SnapshotError == nil {
			t.Error("Status has no SnapshotError")
		}
		d.reads(t, "the hooks", "stored load true", "stored save true", "stored forbid false")

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_ = keys.Forbid(gone, jwkscache.KeyName{KeyID: "b"})
		wants(t, "b, forbidden with a context that ended", find(t, keys, "b"), jose.ErrUnknownKey)

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
