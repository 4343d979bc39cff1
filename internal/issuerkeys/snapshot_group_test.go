//go:build unix

package issuerkeys_test

import (
	"errors"
	"io/fs"
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

// widened gives the group of everything in dir the permissions of the owner, as
// Kubernetes does for fsGroup.
func widened(t *testing.T, dir string) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o660)
		if entry.IsDir() {
			mode = 0o770 | fs.ModeSetgid
		}
		return os.Chmod(path, mode)
	}))
}

// TestDirectoryOfAGroup shows the effect of a volume that its group can write to:
// there is no snapshot, keys are fetched, forbidden keys stay forbidden, and the
// error says what to do.
func TestDirectoryOfAGroup(t *testing.T) {
	for name, below := range map[string]string{"the directory": "", "its parent": "keys"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, volume, d := new(site), filepath.Join(snapshots(t), "volume"), new(diary)
				dir := filepath.Join(volume, below)
				s.answers(200, setOf(jwk(t, "a"), jwk(t, "b"), jwk(t, "c")))
				before := openSite(t, s, kept(dir))
				must(t, before.Warm(t.Context()), before.Forbid(t.Context(), jwkscache.KeyName{KeyID: "a"}))
				synctest.Wait()
				widened(t, volume)
				told := func(what string, err error) {
					t.Helper()
					if err == nil || !strings.Contains(err.Error(), "can be written by its group") || !strings.Contains(err.Error(), "chmod g-w "+volume+";") {
						t.Errorf("%s: %v", what, err)
					}
				}

				keys := openSite(t, s, kept(dir), traced(&jwkscache.Trace{Stored: d.trace().Stored}))
				must(t, keys.Warm(t.Context()))
				synctest.Wait()
				s.wantVisits(t, "restarted", 2)
				wants(t, "a", find(t, keys, "a"), jose.ErrUnknownKey)
				wants(t, "b", find(t, keys, "b"), nil)
				if status := keys.Status(); status.Origin != "fetched" || status.State != "fresh" || status.LastError != nil {
					t.Errorf("%+v", status)
				}
				told("Status", keys.Status().SnapshotError)
				for _, use := range d.uses() {
					told(use.Use, use.Err)
				}
				told("Forbid", keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"}))
				wants(t, "b, forbidden", find(t, keys, "b"), jose.ErrUnknownKey)

				// In an outage there is no snapshot, nor what the group can change.
				s.down()
				again := openSite(t, s, kept(dir))
				wants(t, "in an outage", find(t, again, "c"), issuerkeys.ErrUnavailable)
				s.answers(200, setOf(jwk(t, "a"), jwk(t, "b"), jwk(t, "c")))
				advance(time.Minute)
				for kid, want := range map[string]error{"a": jose.ErrUnknownKey, "b": jose.ErrUnknownKey, "c": nil} {
					wants(t, "restarted again: "+kid, find(t, again, kid), want)
				}
				told("told again", again.Status().SnapshotError)

				must(t, os.Chmod(volume, 0o700), os.Chmod(dir, 0o700))
				mended := openSite(t, s, kept(dir))
				must(t, mended.Warm(t.Context()), mended.Permit(t.Context(), jwkscache.KeyName{KeyID: "a"}))
				synctest.Wait()
				wants(t, "mended: a", find(t, mended, "a"), nil)
				wants(t, "mended: b", find(t, mended, "b"), jose.ErrUnknownKey)
				if err := mended.Status().SnapshotError; err != nil {
					t.Error(err)
				}
				s.down()
				last := openSite(t, s, kept(dir))
				wants(t, "mended, in an outage", find(t, last, "c"), nil)
			})
		})
	}
}

// TestListOfAGroup shows that a list of forbidden keys which its group can write to
// is reported, even if the file of the keys is in order.
func TestListOfAGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := new(site), snapshots(t)
		s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")))
		before := openSite(t, s, kept(dir))
		must(t, before.Warm(t.Context()), before.Forbid(t.Context(), jwkscache.KeyName{KeyID: "a"}))
		synctest.Wait()
		list := fileIn(t, dir, "forbidden")
		must(t, os.Chmod(list, 0o660))
		s.down()
		keys := openSite(t, s, kept(dir))
		wants(t, "b", find(t, keys, "b"), nil)
		wants(t, "a", find(t, keys, "a"), jose.ErrUnknownKey)
		if err := keys.Status().SnapshotError; err == nil || !strings.Contains(err.Error(), "chmod g-w "+list) {
			t.Errorf("SnapshotError is %v", err)
		}
	})
}

// TestForbiddenListIsReplaced shows that a forbidden key does not come back if
// somebody replaces the directory by another one above it.
func TestForbiddenListIsReplaced(t *testing.T) {
	const someoneElse = 54321
	for name, row := range map[string]struct {
		open func(t *testing.T, parent string)
		root bool
		told string
	}{
		"parent of another user":  {func(t *testing.T, parent string) { must(t, os.Chown(parent, someoneElse, -1)) }, true, "is owned by another user"},
		"parent for all to write": {func(t *testing.T, parent string) { must(t, os.Chmod(parent, 0o777)) }, false, "can be written by others"},
	} {
		for what, exchange := range map[string]func(dir, old string) error{
			"an older copy": func(dir, old string) error { return errors.Join(os.Rename(dir, dir+".new"), os.Rename(old, dir)) },
			"nothing":       func(dir, _ string) error { return os.Rename(dir, dir+".new") },
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				if row.root && os.Geteuid() != 0 {
					t.Skip("only root can give a directory to another user")
				}
				synctest.Test(t, func(t *testing.T) {
					s, parent := new(site), filepath.Join(snapshots(t), "parent")
					dir, old := filepath.Join(parent, "keys"), filepath.Join(parent, "old")
					s.answers(200, setOf(jwk(t, "a"), jwk(t, "b")))
					before := openSite(t, s, kept(dir))
					must(t, before.Warm(t.Context()), before.Forbid(t.Context(), jwkscache.KeyName{KeyID: "b"}))
					synctest.Wait()
					must(t, os.CopyFS(old, os.DirFS(dir)), os.Chmod(old, 0o700))
					for _, path := range slices.Concat(filesOf(t, old, "keys"), filesOf(t, old, "forbidden")) {
						must(t, os.Chmod(path, 0o600))
					}
					must(t, before.Forbid(t.Context(), jwkscache.KeyName{KeyID: "a"}))
					row.open(t, parent)
					must(t, exchange(dir, old))

					keys := openSite(t, s, kept(dir))
					for _, kid := range []string{"a", "b"} {
						wants(t, kid, find(t, keys, kid), issuerkeys.ErrUnavailable)
					}
					s.wantVisits(t, "nothing is asked for", 1)
					if err := keys.Status().SnapshotError; err == nil || !strings.Contains(err.Error(), parent+" above it "+row.told) {
						t.Errorf("SnapshotError is %v", err)
					}
				})
			})
		}
	}
}
