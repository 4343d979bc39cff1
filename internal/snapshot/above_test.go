//go:build unix && !aix && !solaris

package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// give changes the owner of path, or of a link there, to another user.
func give(t *testing.T, path string) {
	t.Helper()
	asRoot(t)
	do(t, os.Lchown(path, someoneElse, -1))
}

// linked moves path to another name and puts a link to it in its place.
func linked(t *testing.T, path string) (target string) {
	t.Helper()
	target = path + "2"
	do(t, os.Rename(path, target), os.Symlink(filepath.Base(target), path))
	return target
}

// wantPlace checks that err says that a directory above the store is not used.
func wantPlace(t *testing.T, what string, err error, s *Store, part string, cause error, mend string) {
	t.Helper()
	wantRefusal(t, what, err, s.dir, cause, mend)
	if err != nil && !strings.Contains(err.Error(), part+" above it "+cause.Error()) {
		t.Errorf("%s: %v does not name %s", what, err, part)
	}
}

// TestStoreRefusesPlace shows that nothing is read or written if another user can
// replace the directory or one above it.
func TestStoreRefusesPlace(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, s *Store) (part string)
		want   error
		mend   string // of the part; "" is ownerMend
	}{
		{name: "parent of another user", change: func(t *testing.T, s *Store) string {
			give(t, filepath.Dir(s.dir))
			return filepath.Dir(s.dir)
		}, want: errForeign},
		{name: "parent of another user, without the directory", change: func(t *testing.T, s *Store) string {
			do(t, os.RemoveAll(s.dir))
			give(t, filepath.Dir(s.dir))
			return filepath.Dir(s.dir)
		}, want: errForeign},
		{name: "grandparent of another user", change: func(t *testing.T, s *Store) string {
			grand := filepath.Dir(filepath.Dir(s.dir))
			give(t, grand)
			return grand
		}, want: errForeign},
		{name: "sticky parent of another user", change: func(t *testing.T, s *Store) string {
			parent := filepath.Dir(s.dir)
			do(t, os.Chmod(parent, 0o777|fs.ModeSticky))
			give(t, parent)
			return parent
		}, want: errForeign},
		{name: "link of another user", change: func(t *testing.T, s *Store) string {
			parent := filepath.Dir(s.dir)
			linked(t, parent)
			give(t, parent)
			return parent
		}, want: errForeign},
		{name: "directory of another user behind a link", change: func(t *testing.T, s *Store) string {
			target := linked(t, filepath.Dir(s.dir))
			give(t, target)
			return target
		}, want: errForeign},
		{name: "all of this user, for another", change: func(t *testing.T, s *Store) string {
			asUser(t)
			s.user = someoneElse
			home, err := os.Stat(s.dir)
			do(t, err)
			part := ""
			for path := s.dir; path != "/"; path = filepath.Dir(path) { // the first that is this user's
				if info, err := os.Stat(path); err == nil && info.Sys().(*syscall.Stat_t).Uid == home.Sys().(*syscall.Stat_t).Uid {
					part = path
				}
			}
			return part
		}, want: errForeign},
		{name: "parent for others to write", change: func(t *testing.T, s *Store) string {
			do(t, os.Chmod(filepath.Dir(s.dir), 0o707))
			return filepath.Dir(s.dir)
		}, want: errWritable, mend: "chmod o-w PART, or chmod +t PART"},
		{name: "grandparent for all to write", change: func(t *testing.T, s *Store) string {
			grand := filepath.Dir(filepath.Dir(s.dir))
			do(t, os.Chmod(grand, 0o777))
			return grand
		}, want: errWritable, mend: "chmod o-w PART, or chmod +t PART"},
		{name: "link in a directory for others to write", change: func(t *testing.T, s *Store) string {
			parent := filepath.Dir(s.dir)
			open := parent + "open"
			do(t, os.Mkdir(open, 0o700), os.Symlink(parent, filepath.Join(open, "link")), os.Chmod(open, 0o703))
			s.dir = filepath.Join(open, "link", "b")
			return open
		}, want: errWritable, mend: "chmod o-w PART, or chmod +t PART"},
		{name: "link through a directory for others to write", change: func(t *testing.T, s *Store) string {
			parent := filepath.Dir(s.dir)
			open := parent + "open"
			do(t, os.Mkdir(open, 0o700), os.Rename(parent, filepath.Join(open, "a")), os.Chmod(open, 0o703),
				os.Symlink(filepath.Join(filepath.Base(open), "a"), parent))
			return open
		}, want: errWritable, mend: "chmod o-w PART, or chmod +t PART"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			part := tt.change(t, s)
			mend := ownerMend
			if tt.mend != "" {
				mend = strings.ReplaceAll(tt.mend, "PART", part)
			}
			_, err := s.Load()
			wantPlace(t, "load", err, s, part, tt.want, mend)
			names, err := s.LoadForbidden()
			wantPlace(t, "loadForbidden", err, s, part, tt.want, mend)
			if names != nil {
				t.Errorf("%q are forbidden", names)
			}
			wantPlace(t, "save", s.Save(testSaved()), s, part, tt.want, mend)
			wantPlace(t, "saveForbidden", s.SaveForbidden(nil), s, part, tt.want, mend)
		})
	}
}

// TestStoreDoubtsPlace shows what remains if a group can write to the directory, as
// with Kubernetes' fsGroup: names of forbidden keys are read and written, and keys
// are not.
func TestStoreDoubtsPlace(t *testing.T) {
	other := []jwkscache.KeyName{{KeyID: "other"}}
	tests := []struct {
		name   string
		change func(t *testing.T, s *Store) (part string)
	}{
		{"directory", func(t *testing.T, s *Store) string {
			do(t, os.Chmod(s.dir, 0o770|fs.ModeSetgid))
			return s.dir
		}},
		{"parent", func(t *testing.T, s *Store) string {
			do(t, os.Chmod(filepath.Dir(s.dir), 0o720))
			return filepath.Dir(s.dir)
		}},
		{"grandparent and directory", func(t *testing.T, s *Store) string {
			grand := filepath.Dir(filepath.Dir(s.dir))
			do(t, os.Chmod(grand, 0o775), os.Chmod(s.dir, 0o770))
			return grand
		}},
		{"parent behind a link", func(t *testing.T, s *Store) string {
			target := linked(t, filepath.Dir(s.dir))
			do(t, os.Chmod(target, 0o770))
			return target
		}},
		{"directory and files", func(t *testing.T, s *Store) string {
			do(t, os.Chmod(s.dir, 0o770), os.Chmod(s.path(keysFile), 0o660), os.Chmod(s.path(forbiddenFile), 0o660))
			return s.dir
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			before := contentOf(t, s.path(keysFile))
			part := tt.change(t, s)
			wants := func(what string, err error) {
				t.Helper()
				if !errors.Is(err, errUnusable) || !errors.Is(err, ErrGroup) || !strings.Contains(err.Error(), "chmod g-w "+part+";") || !strings.Contains(err.Error(), "fsGroup") {
					t.Errorf("%s: %v, want one that names %s", what, err, part)
				}
			}
			k, err := s.Load()
			wants("load", err)
			if k != nil {
				t.Error("keys are loaded")
			}
			names, err := s.LoadForbidden()
			wants("loadForbidden", err)
			if !slices.Equal(names, testNames) {
				t.Errorf("%q are forbidden", names)
			}
			wants("save", s.Save(&Saved{Issuer: storeIssuer}))
			if contentOf(t, s.path(keysFile)) != before {
				t.Error("keys are saved")
			}
			wants("saveForbidden", s.SaveForbidden(other))
			if names, err := s.LoadForbidden(); !slices.Equal(names, other) {
				t.Errorf("%q are forbidden, %v", names, err)
			}

			// After the mend, everything works again.
			do(t, os.Chmod(part, 0o700), os.Chmod(s.dir, 0o700))
			do(t, s.Save(testSaved()), s.SaveForbidden(testNames))
			works(t, s)
		})
	}

	t.Run("file", func(t *testing.T) {
		s := testStore(t)
		fill(t, s)
		do(t, os.Chmod(s.path(keysFile), 0o620), os.Chmod(s.path(forbiddenFile), 0o620))
		if k, err := s.Load(); k != nil || !errors.Is(err, ErrGroup) || !strings.Contains(err.Error(), "chmod g-w "+s.path(keysFile)) {
			t.Errorf("%v, %v", k, err)
		}
		if names, err := s.LoadForbidden(); !slices.Equal(names, testNames) || !errors.Is(err, ErrGroup) || !strings.Contains(err.Error(), "chmod g-w "+s.path(forbiddenFile)) {
			t.Errorf("%q, %v", names, err)
		}
		fill(t, s)
		works(t, s)
	})
	t.Run("nothing there", func(t *testing.T) {
		s := testStore(t)
		do(t, os.Mkdir(filepath.Dir(s.dir), 0o700), os.Chmod(filepath.Dir(s.dir), 0o770))
		if k, err := s.Load(); k != nil || !errors.Is(err, ErrNone) {
			t.Errorf("%v, %v", k, err)
		}
		if names, err := s.LoadForbidden(); names != nil || !errors.Is(err, ErrGroup) {
			t.Errorf("%q, %v", names, err)
		}
		do(t, os.Mkdir(s.dir, 0o700))
		if names, err := s.LoadForbidden(); names != nil || !errors.Is(err, ErrGroup) {
			t.Errorf("empty: %q, %v", names, err)
		}
		do(t, os.Remove(s.dir))
		if err := s.SaveForbidden(testNames); !errors.Is(err, ErrGroup) {
			t.Error(err)
		}
		if names, err := s.LoadForbidden(); !slices.Equal(names, testNames) || !errors.Is(err, ErrGroup) {
			t.Errorf("%q, %v", names, err)
		}
	})

	// With another fault beside the group, nothing is read.
	for name, row := range map[string]struct {
		change func(t *testing.T, s *Store)
		want   error
	}{
		"damaged list":           {func(t *testing.T, s *Store) { put(t, s.path(forbiddenFile), contentOf(t, s.path(forbiddenFile))+" ") }, errChecksum},
		"list for others":        {func(t *testing.T, s *Store) { do(t, os.Chmod(s.path(forbiddenFile), 0o662)) }, errWritable},
		"list of another user":   {func(t *testing.T, s *Store) { give(t, s.path(forbiddenFile)) }, errForeign},
		"directory for others":   {func(t *testing.T, s *Store) { do(t, os.Chmod(s.dir, 0o777)) }, errWritable},
		"parent for others":      {func(t *testing.T, s *Store) { do(t, os.Chmod(filepath.Dir(s.dir), 0o777)) }, errWritable},
		"parent of another user": {func(t *testing.T, s *Store) { give(t, filepath.Dir(s.dir)) }, errForeign},
	} {
		t.Run(name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			do(t, os.Chmod(filepath.Dir(s.dir), 0o770), os.Chmod(s.dir, 0o770))
			row.change(t, s)
			if names, err := s.LoadForbidden(); names != nil || !errors.Is(err, row.want) || errors.Is(err, ErrGroup) {
				t.Errorf("%q, %v, want %v", names, err, row.want)
			}
		})
	}
}

func TestStoreAcceptsPlace(t *testing.T) {
	tests := map[string]func(t *testing.T, s *Store){
		"sticky parent":      func(t *testing.T, s *Store) { do(t, os.Chmod(filepath.Dir(s.dir), 0o777|fs.ModeSticky)) },
		"sticky group":       func(t *testing.T, s *Store) { do(t, os.Chmod(filepath.Dir(s.dir), 0o775|fs.ModeSticky)) },
		"parent for reading": func(t *testing.T, s *Store) { do(t, os.Chmod(filepath.Dir(s.dir), 0o755)) },
		"relative link":      func(t *testing.T, s *Store) { linked(t, filepath.Dir(s.dir)) },
		"link through its parent": func(t *testing.T, s *Store) {
			target := linked(t, filepath.Dir(s.dir))
			do(t, os.Remove(filepath.Dir(s.dir)), os.Symlink("../"+filepath.Base(filepath.Dir(target))+"/"+filepath.Base(target)+"/.", filepath.Dir(s.dir)))
		},
		"absolute link": func(t *testing.T, s *Store) {
			target := linked(t, filepath.Dir(s.dir))
			do(t, os.Remove(filepath.Dir(s.dir)), os.Symlink(target, filepath.Dir(s.dir)))
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			change(t, s)
			works(t, s)
			fill(t, s)
			works(t, s)
		})
	}
}

// TestCheckAboveOwners shows that directories may belong to root and to the
// process's user, one beside the other.
func TestCheckAboveOwners(t *testing.T) {
	asRoot(t)
	s := testStore(t)
	fill(t, s)
	give(t, filepath.Dir(s.dir))
	if doubt, err := checkAbove(s.dir, someoneElse); doubt != nil || err != nil {
		t.Errorf("%v, %v", doubt, err)
	}
}

// TestCheckAboveNowhere shows that a relative directory is an error if the process's
// own directory was removed.
func TestCheckAboveNowhere(t *testing.T) {
	removed := filepath.Join(t.TempDir(), "removed")
	do(t, os.Mkdir(removed, 0o700))
	t.Chdir(removed)
	do(t, os.Remove(removed))
	if doubt, err := checkAbove("a", os.Geteuid()); doubt != nil || !errors.Is(err, errUnusable) {
		t.Errorf("%v, %v", doubt, err)
	}
}

// TestEachAbove shows what is checked: every directory and link on the way from the
// root, also behind links, without the last one.
func TestEachAbove(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	do(t, err)
	do(t, os.MkdirAll(filepath.Join(dir, "a", "b", "c"), 0o700))
	do(t, os.Symlink(filepath.Join(dir, "a"), filepath.Join(dir, "absolute")), os.Symlink("../b/./c", filepath.Join(dir, "a", "b", "relative")))
	do(t, os.Symlink("loop2", filepath.Join(dir, "loop")), os.Symlink("loop", filepath.Join(dir, "loop2")))
	visited := func(path string) (below []string, err error) {
		err = eachAbove(path, func(path string, _ fs.FileInfo) error {
			if rest, ok := strings.CutPrefix(path, dir+"/"); ok {
				below = append(below, rest)
			}
			return nil
		})
		return below, err
	}
	for path, want := range map[string][]string{
		"x":                     nil,
		"a/x":                   {"a"},
		"a/b":                   {"a"},
		"a/b/c/x":               {"a", "a/b", "a/b/c"},
		"a/missing/b/x":         {"a"},
		"absolute/b/x":          {"absolute", "a", "a/b"},
		"absolute":              nil,
		"a/b/relative/x":        {"a", "a/b", "a/b/relative", "a", "a/b", "a/b", "a/b/c"},
		"absolute/b/relative/x": {"absolute", "a", "a/b", "a/b/relative", "a", "a/b", "a/b", "a/b/c"},
	} {
		if got, err := visited(filepath.Join(dir, path)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	if got, err := visited(filepath.Join(dir, "loop", "x")); !errors.Is(err, errLinks) {
		t.Errorf("%d steps, %v", len(got), err)
	}
	if _, err := checkAbove(filepath.Join(dir, "loop", "x"), os.Geteuid()); !errors.Is(err, errLinks) || !errors.Is(err, errUnusable) {
		t.Errorf("checkAbove: %v", err)
	}
	removed := eachAbove(filepath.Join(dir, "absolute", "x"), func(path string, info fs.FileInfo) error {
		if info.Mode()&fs.ModeSymlink != 0 {
			return os.Remove(path)
		}
		return nil
	})
	if !errors.Is(removed, fs.ErrNotExist) {
		t.Errorf("a link that is removed meanwhile: %v", removed)
	}
	var all []string
	do(t, eachAbove("/", func(path string, _ fs.FileInfo) error { all = append(all, path); return nil }))
	if !slices.Equal(all, []string{"/"}) {
		t.Errorf("%q", all)
	}
	failure := errors.New("no")
	if err := eachAbove(dir, func(string, fs.FileInfo) error { return failure }); !errors.Is(err, failure) {
		t.Error(err)
	}
}
