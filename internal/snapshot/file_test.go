//go:build unix && !aix && !solaris

package snapshot

import (
	"errors"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const someoneElse = 54321 // a user who owns nothing

// do fails the test at the first error.
func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// asRoot skips a test that changes owners unless it runs as root.
func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
}

// asUser skips a test of permissions if it runs as root, who needs none.
func asUser(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		t.Skip("root may open everything; run the tests as another user as well")
	}
}

// closed removes permissions of a directory until the test ends.
func closed(t *testing.T, dir string, mode fs.FileMode) {
	t.Helper()
	do(t, os.Chmod(dir, mode))
	t.Cleanup(func() { do(t, os.Chmod(dir, 0o700)) })
}

// works checks that the store loads what fill saved.
func works(t *testing.T, s *Store) {
	t.Helper()
	if k, err := s.Load(); err != nil || !reflect.DeepEqual(k, testSaved()) {
		t.Errorf("%+v, %v", k, err)
	}
	if names, err := s.LoadForbidden(); err != nil || !slices.Equal(names, testNames) {
		t.Errorf("%q, %v", names, err)
	}
}

// files returns the names in the directory of the store.
func filesIn(t *testing.T, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	do(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, strings.TrimPrefix(entry.Name(), s.name))
	}
	return names
}

// TestStoreModes shows that only this user can read what the store makes, whatever
// the umask is.
func TestStoreModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	s := testStore(t)
	fill(t, s)
	for path, want := range map[string]fs.FileMode{
		filepath.Dir(s.dir): fs.ModeDir | 0o700, s.dir: fs.ModeDir | 0o700, s.path(keysFile): 0o600, s.path(forbiddenFile): 0o600,
	} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", path, info.Mode(), err, want)
		}
	}
	if got := filesIn(t, s); !slices.Equal(got, []string{".forbidden.json", ".keys.json"}) {
		t.Errorf("files %q", got)
	}
}

// TestStoreRefusesDirectory shows that a directory in which another user could have
// put keys is neither read nor written.
func TestStoreRefusesDirectory(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, s *Store)
		want   error
	}{
		{"link", func(t *testing.T, s *Store) { do(t, os.Rename(s.dir, s.dir+"2"), os.Symlink("b2", s.dir)) }, errNotDirectory},
		{"link that leads nowhere", func(t *testing.T, s *Store) { do(t, os.RemoveAll(s.dir), os.Symlink("c", s.dir)) }, errNotDirectory},
		{"link with a slash at the end", func(t *testing.T, s *Store) {
			do(t, os.Rename(s.dir, s.dir+"2"), os.Symlink("b2", s.dir))
			s.dir = New(s.dir+"/", storeIssuer).dir
		}, errNotDirectory},
		{"link with a dot at the end", func(t *testing.T, s *Store) {
			do(t, os.Rename(s.dir, s.dir+"2"), os.Symlink("b2", s.dir))
			s.dir = New(s.dir+"/.", storeIssuer).dir
		}, errNotDirectory},
		{"file", func(t *testing.T, s *Store) { do(t, os.RemoveAll(s.dir), os.WriteFile(s.dir, nil, 0o600)) }, errNotDirectory},
		{"pipe", func(t *testing.T, s *Store) { do(t, os.RemoveAll(s.dir), syscall.Mkfifo(s.dir, 0o600)) }, errNotDirectory},
		{"below a file", func(_ *testing.T, s *Store) { s.dir = filepath.Join(s.path(keysFile), "d") }, syscall.ENOTDIR},
		{"name too long", func(_ *testing.T, s *Store) { s.dir = filepath.Join(s.dir, strings.Repeat("d", 5000)) }, syscall.ENAMETOOLONG},
		{"for others to write", func(t *testing.T, s *Store) { do(t, os.Chmod(s.dir, 0o702)) }, errWritable},
		{"sticky", func(t *testing.T, s *Store) { do(t, os.Chmod(s.dir, 0o777|fs.ModeSticky)) }, errWritable},
		{"of another user", func(t *testing.T, s *Store) {
			asRoot(t)
			do(t, os.Chown(s.dir, someoneElse, -1))
		}, errForeign},
		{"closed", func(t *testing.T, s *Store) {
			asUser(t)
			closed(t, s.dir, 0)
		}, fs.ErrPermission},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			tt.change(t, s)
			_, err := s.Load()
			wantRefusal(t, "load", err, s.dir, tt.want, directoryMend)
			names, err := s.LoadForbidden()
			wantRefusal(t, "loadForbidden", err, s.dir, tt.want, directoryMend)
			if names != nil {
				t.Errorf("%q are forbidden", names)
			}
			wantRefusal(t, "save", s.Save(testSaved()), s.dir, tt.want, directoryMend)
			wantRefusal(t, "saveForbidden", s.SaveForbidden(testNames), s.dir, tt.want, directoryMend)
		})
	}

	t.Run("that cannot be made", func(t *testing.T) {
		s := testStore(t)
		do(t, os.Symlink("nowhere", filepath.Dir(s.dir)))
		if k, err := s.Load(); k != nil || !errors.Is(err, ErrNone) {
			t.Errorf("%v, %v", k, err)
		}
		wantRefusal(t, "save", s.Save(testSaved()), s.dir, fs.ErrExist, writeMend)
	})
}

func TestStoreAcceptsDirectory(t *testing.T) {
	tests := map[string]func(t *testing.T, s *Store){
		"below a link": func(t *testing.T, s *Store) {
			parent := filepath.Dir(s.dir)
			do(t, os.Rename(parent, parent+"2"), os.Symlink("a2", parent))
		},
		"for others to read":      func(t *testing.T, s *Store) { do(t, os.Chmod(s.dir, 0o755)) },
		"for nobody to write":     func(t *testing.T, s *Store) { do(t, os.Chmod(s.dir, 0o500)) },
		"with a slash at the end": func(_ *testing.T, s *Store) { *s = *New(s.dir+"/", storeIssuer) },
		"below the working directory": func(t *testing.T, s *Store) {
			t.Chdir(filepath.Dir(s.dir))
			s.dir = "b"
		},
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			change(t, s)
			works(t, s)
			do(t, os.Chmod(s.dir, 0o700))
			fill(t, s)
			works(t, s)
		})
	}
}

// TestStoreRefusesFile shows that a file which another user could have written is
// not read, and is replaced without being opened.
func TestStoreRefusesFile(t *testing.T) {
	tests := []struct {
		name   string
		change func(t *testing.T, s *Store, path string)
		want   error
	}{
		{"link", func(t *testing.T, _ *Store, path string) {
			do(t, os.Rename(path, path+"2"), os.Symlink(filepath.Base(path)+"2", path))
		}, errNotRegular},
		{"link out of the directory", func(t *testing.T, _ *Store, path string) {
			outside := filepath.Join(t.TempDir(), "x")
			do(t, os.Rename(path, outside), os.Symlink(outside, path))
		}, errNotRegular},
		{"link that leads nowhere", func(t *testing.T, _ *Store, path string) { do(t, os.Remove(path), os.Symlink("x", path)) }, errNotRegular},
		{"pipe", func(t *testing.T, _ *Store, path string) {
			do(t, os.Remove(path), syscall.Mkfifo(path, 0o600))
			// If the file is opened all the same, this ends the wait, and the error fails the test.
			writer, err := os.OpenFile(path, os.O_RDWR, 0)
			do(t, err)
			time.AfterFunc(time.Second, func() { writer.Close() })
		}, errNotRegular},
		{"for others to write", func(t *testing.T, _ *Store, path string) { do(t, os.Chmod(path, 0o602)) }, errWritable},
		{"of another user", func(t *testing.T, _ *Store, path string) {
			asRoot(t)
			do(t, os.Chown(path, someoneElse, -1))
		}, errForeign},
		{"of root, for another user", func(t *testing.T, s *Store, _ string) {
			asRoot(t)
			s.user = someoneElse
		}, errForeign},
		{"of 8 MiB", func(t *testing.T, _ *Store, path string) { do(t, os.Truncate(path, 8<<20)) }, errChecksum},
		{"larger than 8 MiB", func(t *testing.T, _ *Store, path string) { do(t, os.Truncate(path, 8<<20+1)) }, errTooLarge},
		{"for others to write, and larger than 8 MiB", func(t *testing.T, _ *Store, path string) {
			do(t, os.Chmod(path, 0o602), os.Truncate(path, 8<<20+1))
		}, errWritable},
		{"closed", func(t *testing.T, _ *Store, path string) {
			asUser(t)
			do(t, os.Chmod(path, 0))
		}, fs.ErrPermission},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			linked := map[string]string{}
			for _, f := range []storeFile{keysFile, forbiddenFile} {
				path := s.path(f)
				tt.change(t, s, path)
				if to, err := filepath.EvalSymlinks(path); err == nil && to != path {
					linked[to] = contentOf(t, to)
				}
			}
			_, err := s.Load()
			wantRefusal(t, "load", err, s.path(keysFile), tt.want, keysFile.mend)
			names, err := s.LoadForbidden()
			wantRefusal(t, "loadForbidden", err, s.path(forbiddenFile), tt.want, forbiddenFile.mend)
			if names != nil {
				t.Errorf("%q are forbidden", names)
			}

			s.user = os.Geteuid()
			do(t, s.SaveForbidden(testNames), s.Save(testSaved()))
			works(t, s)
			for to, before := range linked {
				if contentOf(t, to) != before {
					t.Errorf("what a link led to was written: %s", to)
				}
			}
			for _, f := range []storeFile{keysFile, forbiddenFile} {
				if info, err := os.Lstat(s.path(f)); err != nil || info.Mode() != 0o600 {
					t.Errorf("%v, %v", info.Mode(), err)
				}
			}
		})
	}
}

// TestStoreCheck shows that the file that was opened must be the one that was
// looked at, and that its owner must be this user. The owner of a directory may be
// root.
func TestStoreCheck(t *testing.T) {
	s := testStore(t)
	fill(t, s)
	keys, err := os.Lstat(s.path(keysFile))
	do(t, err)
	forbidden, err := os.Lstat(s.path(forbiddenFile))
	do(t, err)
	if err := s.check(keys, keys); err != nil {
		t.Error(err)
	}
	if err := s.check(keys, forbidden); !errors.Is(err, errReplaced) {
		t.Errorf("replaced: %v", err)
	}
	s.user = someoneElse
	for _, row := range []struct {
		name string
		info ownedInfo
		want bool
	}{
		{"own file", ownedInfo{sys: &syscall.Stat_t{Uid: someoneElse}}, true},
		{"own directory", ownedInfo{sys: &syscall.Stat_t{Uid: someoneElse}, dir: true}, true},
		{"root's file", ownedInfo{sys: &syscall.Stat_t{}}, false},
		{"root's directory", ownedInfo{sys: &syscall.Stat_t{}, dir: true}, true},
		{"other file", ownedInfo{sys: &syscall.Stat_t{Uid: someoneElse - 1}}, false},
		{"other directory", ownedInfo{sys: &syscall.Stat_t{Uid: someoneElse - 1}, dir: true}, false},
		{"unknown owner", ownedInfo{}, false},
	} {
		if got := s.owns(row.info); got != row.want {
			t.Errorf("%s: %v", row.name, got)
		}
	}
}

type ownedInfo struct {
	fs.FileInfo

	sys *syscall.Stat_t
	dir bool
}

func (i ownedInfo) IsDir() bool { return i.dir }

func (i ownedInfo) Sys() any {
	if i.sys == nil {
		return nil
	}
	return i.sys
}

// TestStoreFailingWrite shows that after a failed write the old file is there and
// nothing else.
func TestStoreFailingWrite(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, s *Store) error{
		"no room": func(t *testing.T, s *Store) error {
			signal.Ignore(syscall.SIGXFSZ)
			defer signal.Reset(syscall.SIGXFSZ)
			var before syscall.Rlimit
			do(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
			small := before
			small.Cur = 1 << 20 // of which what go test records itself takes a part
			do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small))
			defer func() { do(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before)) }()
			k := testSaved()
			k.Document = strings.Repeat(" ", 1<<20)
			return s.Save(k)
		},
		"not allowed": func(t *testing.T, s *Store) error {
			asUser(t)
			closed(t, s.dir, 0o500)
			return s.Save(testSaved())
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := testStore(t)
			fill(t, s)
			err := fail(t, s)
			wantRefusal(t, "save", err, s.path(keysFile), err, writeMend)
			works(t, s)
			if got := filesIn(t, s); !slices.Equal(got, []string{".forbidden.json", ".keys.json"}) {
				t.Errorf("files %q", got)
			}
		})
	}

	t.Run("no rename", func(t *testing.T) {
		s := testStore(t)
		do(t, os.MkdirAll(filepath.Join(s.path(keysFile), "d"), 0o700), os.Chmod(s.dir, 0o700))
		err := s.Save(testSaved())
		wantRefusal(t, "save", err, s.path(keysFile), err, writeMend)
		if got := filesIn(t, s); !slices.Equal(got, []string{".keys.json"}) {
			t.Errorf("files %q", got)
		}
		_, err = s.Load()
		wantRefusal(t, "load", err, s.path(keysFile), errNotRegular, keysFile.mend)
	})
}

// TestStoreWithoutDescriptors shows that an error of the system is returned as it
// is.
func TestStoreWithoutDescriptors(t *testing.T) {
	s := testStore(t)
	fill(t, s)
	root, err := os.OpenRoot(s.dir)
	do(t, err)
	defer root.Close()
	var before syscall.Rlimit
	do(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before))
	none := before
	none.Cur = 0
	do(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none))
	_, loadErr := s.Load()
	saveErr := s.Save(testSaved())
	_, readErr := s.readFile(root, s.file(keysFile))
	replaceErr := replaceFile(root, s.file(keysFile), "")
	do(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before))
	wantRefusal(t, "load", loadErr, s.dir, syscall.EMFILE, directoryMend)
	wantRefusal(t, "save", saveErr, s.dir, syscall.EMFILE, directoryMend)
	if !errors.Is(readErr, syscall.EMFILE) || !errors.Is(replaceErr, syscall.EMFILE) {
		t.Errorf("%v, %v", readErr, replaceErr)
	}
	works(t, s)
}

// TestStoreLeftovers shows that the next write of a file removes its old temporary
// files, which a crash left, and no other files: a young one is of another process, whose
// rename would fail.
func TestStoreLeftovers(t *testing.T) {
	s := testStore(t)
	fill(t, s)
	stays := []string{".forbidden.json", ".forbidden.json.X.tmp", ".keys.json", ".keys.json.X", ".keys.tmp", "keys.json.X.tmp"}
	for _, name := range append([]string{".keys.json.A.tmp", ".keys.json.B.tmp"}, stays...) {
		if !strings.HasSuffix(name, ".json") {
			path := filepath.Join(s.dir, s.name+name)
			put(t, path, "half")
			do(t, os.Chtimes(path, time.Time{}, time.Now().Add(-leftoverAge)))
		}
	}
	put(t, filepath.Join(s.dir, s.name+".outside"), "whole")
	put(t, filepath.Join(s.dir, s.name+".keys.json.C.tmp"), "half") // young
	full := filepath.Join(s.dir, s.name+".keys.json.D.tmp")         // cannot be removed
	do(t, os.MkdirAll(filepath.Join(full, "d"), 0o700), os.Chtimes(full, time.Time{}, time.Now().Add(-leftoverAge)))
	stays = append(stays, ".keys.json.C.tmp", ".keys.json.D.tmp", ".outside")
	slices.Sort(stays)
	do(t, s.Save(testSaved()))
	if got := filesIn(t, s); !slices.Equal(got, stays) {
		t.Errorf("files %q, want %q", got, stays)
	}
	works(t, s)
}
