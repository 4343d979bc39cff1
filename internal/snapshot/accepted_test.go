//go:build unix && !aix && !solaris

package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sallyport-auth/sallyport/jwkscache"
)

// digestsOf returns the digests of n issuers, in order.
func digestsOf(n int) []IssuerDigest {
	var all []IssuerDigest
	for i := range n {
		all = append(all, DigestIssuer(fmt.Sprintf("https://issuer-%d.test", i)))
	}
	slices.SortFunc(all, IssuerDigest.compare)
	return all
}

// TestAcceptedFile shows that the file holds what was saved last, up to its bound,
// that it names no issuer, and that the hook is called for each use.
func TestAcceptedFile(t *testing.T) {
	var told []jwkscache.Stored
	trace := &jwkscache.Trace{Stored: func(issuer string, stored jwkscache.Stored) {
		if issuer != "" {
			t.Errorf("told for %q", issuer)
		}
		told = append(told, stored)
	}}
	dir := filepath.Join(t.TempDir(), "a")
	file := NewAcceptedFile(dir, trace)
	if got, err := file.Load(); err != nil || len(got) != 0 {
		t.Errorf("before anything was saved: %d digests, %v", len(got), err)
	}
	for _, n := range []int{3, 0, MaxAcceptedIssuers} {
		want := digestsOf(n)
		shuffled := slices.Clone(want)
		slices.Reverse(shuffled)
		do(t, file.Save(shuffled))
		if got, err := NewAcceptedFile(dir, nil).Load(); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d digests, %v, want %d", len(got), err, n)
		}
		content, err := os.ReadFile(file.store.path(acceptedFile))
		do(t, err)
		if strings.Contains(string(content), "issuer-1") {
			t.Error("the file names an issuer")
		}
	}
	do(t, file.Save(digestsOf(MaxAcceptedIssuers+1)))
	if got, err := file.Load(); err != nil || len(got) != MaxAcceptedIssuers {
		t.Errorf("too many: %d digests, %v", len(got), err)
	}
	want := []jwkscache.Stored{{Use: "load"}, {Use: "save"}, {Use: "save"}, {Use: "save"}, {Use: "save"}, {Use: "load"}}
	if !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}

// TestAcceptedFileRefused shows which files are not used: those that another user
// may have written, and those that Save does not write.
func TestAcceptedFileRefused(t *testing.T) {
	record := func(digests []byte) func(*testing.T, *files) {
		return func(t *testing.T, s *files) {
			t.Helper()
			do(t, s.write(acceptedFile, &acceptedRecord{Digests: digests}))
		}
	}
	sorted := digestsOf(2)
	for name, row := range map[string]struct {
		change func(*testing.T, *files)
		want   error
	}{
		"cut off": {func(t *testing.T, s *files) { t.Helper(); do(t, os.Truncate(s.path(acceptedFile), 100)) }, errChecksum},
		"no store's": {func(t *testing.T, s *files) {
			t.Helper()
			do(t, os.WriteFile(s.path(acceptedFile), []byte(`{"digests":""}`), 0o600))
		}, errFormat},
		"another kind of file": {func(t *testing.T, s *files) {
			t.Helper()
			do(t, s.write(forbiddenFile, &forbiddenRecord{}), os.Rename(s.path(forbiddenFile), s.path(acceptedFile)))
		}, errFormat},
		"half a digest": {record(make([]byte, 24)), errDigests},
		"out of order":  {record(slices.Concat(sorted[1][:], sorted[0][:])), errDigests},
		"too many":      {record(make([]byte, 16*(MaxAcceptedIssuers+1))), errDigests},
		"a link": {func(t *testing.T, s *files) {
			t.Helper()
			do(t, os.Rename(s.path(acceptedFile), s.path(acceptedFile)+"2"), os.Symlink(s.path(acceptedFile)+"2", s.path(acceptedFile)))
		}, errNotRegular},
		"of others":                 {func(t *testing.T, s *files) { t.Helper(); do(t, os.Chmod(s.path(acceptedFile), 0o602)) }, errWritable},
		"of a group":                {func(t *testing.T, s *files) { t.Helper(); do(t, os.Chmod(s.path(acceptedFile), 0o620)) }, ErrGroup},
		"in a directory of a group": {func(t *testing.T, s *files) { t.Helper(); do(t, os.Chmod(s.dir, 0o720)) }, ErrGroup},
		"in a directory of others":  {func(t *testing.T, s *files) { t.Helper(); do(t, os.Chmod(s.dir, 0o702)) }, errWritable},
	} {
		file := NewAcceptedFile(filepath.Join(t.TempDir(), "a"), nil)
		do(t, file.Save(sorted))
		row.change(t, file.store)
		if got, err := file.Load(); !errors.Is(err, row.want) || !errors.Is(err, errUnusable) || len(got) != 0 {
			t.Errorf("%s: %d digests, %v, want %v", name, len(got), err, row.want)
		}
	}
}

// TestAcceptedFileNotMade shows that each method returns an error for an
// AcceptedFile that NewAcceptedFile did not make.
func TestAcceptedFileNotMade(t *testing.T) {
	for name, file := range map[string]*AcceptedFile{"nil": nil, "zero": {}} {
		if _, err := file.Load(); !errors.Is(err, errNoFile) {
			t.Errorf("%s: Load: %v", name, err)
		}
		if err := file.LoadTo(nil); !errors.Is(err, errNoFile) {
			t.Errorf("%s: LoadTo: %v", name, err)
		}
		if err := file.Save(nil); !errors.Is(err, errNoFile) {
			t.Errorf("%s: Save: %v", name, err)
		}
	}
}
