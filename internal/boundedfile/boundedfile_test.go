package boundedfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/sallyport-auth/sallyport/internal/boundedfile"
)

const limit = 100

// name is part of all paths in these tests.
const name = "canary-name"

// write makes a file with this content and returns its path.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkError checks that err is is, and names the file in its Path only.
func checkError(t *testing.T, what string, err, is error) {
	t.Helper()
	failed, ok := errors.AsType[*fs.PathError](err)
	if !errors.Is(err, is) || !ok || !strings.Contains(failed.Path, name) || strings.Contains(failed.Err.Error(), name) {
		t.Errorf("%s: %v, want %v", what, err, is)
	}
}

// pipe makes a pipe that nobody writes to and returns its path.
func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// linked makes a symbolic link and returns its path.
func linked(t *testing.T, to string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRead checks that both functions read a file up to the limit and follow links, and
// that a larger file and a missing one are errors.
func TestRead(t *testing.T) {
	largest := strings.Repeat("x", limit)
	for function, read := range map[string]func(string, int) ([]byte, error){"Read": boundedfile.Read, "ReadRegular": boundedfile.ReadRegular} {
		for _, content := range []string{"", "a\n", largest} {
			for _, path := range []string{write(t, content), linked(t, write(t, content))} {
				if got, err := read(path, limit); string(got) != content || err != nil {
					t.Errorf("%s: %q, %v; want %q", function, got, err, content)
				}
			}
		}
		got, err := read(write(t, largest+"x"), limit)
		checkError(t, function, err, boundedfile.ErrTooLarge)
		if got != nil || !strings.HasSuffix(err.Error(), "too large: it has more than 100 bytes") {
			t.Errorf("%s: %q, %v", function, got, err)
		}
		_, err = read(filepath.Join(t.TempDir(), name), limit)
		checkError(t, function, err, fs.ErrNotExist)
	}
}

// TestReadFails checks that a file that can be opened and not read is an error.
func TestReadFails(t *testing.T) {
	folder := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := boundedfile.Read(folder, limit)
	checkError(t, "folder", err, syscall.EISDIR)
}

// TestReadRegular checks that what is not a regular file is not opened, so that a pipe
// without a writer does not block.
func TestReadRegular(t *testing.T) {
	folder := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{
		"folder": folder, "pipe": pipe(t), "link to a pipe": linked(t, pipe(t)), "device": linked(t, "/dev/zero"), "null device": linked(t, os.DevNull),
	} {
		_, err := boundedfile.ReadRegular(path, limit)
		checkError(t, what, err, boundedfile.ErrNotRegular)
	}
}

// TestReadAnyType checks that Read reads a pipe, and from a device that never ends no
// more than the limit.
func TestReadAnyType(t *testing.T) {
	path := pipe(t)
	written := make(chan error, 1)
	go func() { written <- os.WriteFile(path, []byte("piped"), 0) }()
	if got, err := boundedfile.Read(path, limit); string(got) != "piped" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := <-written; err != nil {
		t.Error(err)
	}
	_, err := boundedfile.Read(linked(t, "/dev/zero"), limit)
	checkError(t, "a device without end", err, boundedfile.ErrTooLarge)
}
