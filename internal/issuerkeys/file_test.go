//go:build unix

package issuerkeys_test

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fetch"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// fileOf opens a File source of a new file with the given content.
func fileOf(t *testing.T, content string, changes ...func(*issuerkeys.Binding)) (path string, keys *issuerkeys.Keys) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "jwks.json")
	if content != "" {
		write(t, path, content)
	}
	return path, bindTo(t, jwkscache.File(path), changes...)
}

// TestFileIsReadAgain shows that a change of the file is seen within FilePoll, with
// Run and without, and that the Handle of a removed key ends then (R-JK-13).
func TestFileIsReadAgain(t *testing.T) {
	for name, run := range map[string]bool{"Run": true, "on demand": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := jwk(t, "a"), jwk(t, "b")
				path, keys := fileOf(t, setOf(a))
				if run {
					go keys.Run(t.Context())
					synctest.Wait()
				}
				found, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
				wants(t, "a", err, nil)
				handle := found.Handle(found.Keys[0])
				for i, set := range []string{setOf(a, b), setOf(b), setOf(b, a)} {
					hasA, hasB := i != 1, true
					write(t, path, set)
					if !run {
						advance(4 * time.Second) // and a token comes after it at the latest
						_ = find(t, keys, "a")
						advance(time.Second)
						_ = find(t, keys, "a")
						synctest.Wait()
					} else {
						advance(5 * time.Second)
						synctest.Wait()
					}
					for kid, has := range map[string]bool{"a": hasA, "b": hasB} {
						var want error = jose.ErrUnknownKey
						if has {
							want = nil
						}
						wants(t, set+" "+kid, find(t, keys, kid), want)
					}
					var want error = jose.ErrUnknownKey
					if i == 0 {
						want = nil
					}
					wants(t, set+": the handle", handle.Check(t.Context(), time.Now()), want)
				}
				if s := keys.Status(); s.Source != "file" || s.Location != path || s.Origin != "fetched" {
					t.Errorf("%+v", s)
				}
			})
		})
	}
}

// TestFileForUnknownKid shows that an unknown kid causes the file to be read at
// once, however long FilePoll is (R-JK-09), within the bounds for unknown kids.
func TestFileForUnknownKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		path, keys := fileOf(t, setOf(jwk(t, "a")), within(jwkscache.Limits{FilePoll: time.Hour}), traced(&jwkscache.Trace{
			FetchStart: func(string, string) { reads++ },
		}))
		wants(t, "a", find(t, keys, "a"), nil)
		write(t, path, setOf(jwk(t, "b")))
		advance(time.Second)
		wants(t, "a, which caused no fetch", find(t, keys, "a"), nil)
		wants(t, "b, at once", find(t, keys, "b"), nil)
		start := time.Now()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() { wants(t, "made up", find(t, keys, strings.Repeat("x", i+1)), jose.ErrUnknownKey) })
		}
		all.Wait()
		if took := time.Since(start); reads != 3 || took != time.Second {
			t.Errorf("read %d times, the last time after %v", reads, took)
		}
	})
}

// TestFileInConfigMap replaces a file as Kubernetes does in a mounted ConfigMap:
// the name is a link into a directory, whose name is a link that is replaced.
func TestFileInConfigMap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		mount := func(revision, content string) {
			must(t, os.Mkdir(filepath.Join(dir, revision), 0o700))
			write(t, filepath.Join(dir, revision, "jwks.json"), content)
			must(t, os.Symlink(revision, filepath.Join(dir, "..data_tmp")), os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
		}
		mount("..1", setOf(jwk(t, "a")))
		must(t, os.Symlink("..data/jwks.json", filepath.Join(dir, "jwks.json")))
		keys := bindTo(t, jwkscache.File(filepath.Join(dir, "jwks.json")))
		go keys.Run(t.Context())
		synctest.Wait()
		wants(t, "a", find(t, keys, "a"), nil)
		mount("..2", setOf(jwk(t, "b")))
		must(t, os.RemoveAll(filepath.Join(dir, "..1")))
		advance(5 * time.Second)
		synctest.Wait()
		wants(t, "a", find(t, keys, "a"), jose.ErrUnknownKey)
		wants(t, "b", find(t, keys, "b"), nil)
	})
}

// TestFileThatCannotBeUsed shows that the last keys serve for a bounded time if the
// file cannot be read or is not a JWK Set, that the error is reported, and that the
// next good file is seen within FilePoll (R-JK-04, R-JK-12).
func TestFileThatCannotBeUsed(t *testing.T) {
	replaced := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) { write(t, path, content) }
	}
	instead := func(put func(path string) error) func(*testing.T, string) {
		return func(t *testing.T, path string) { must(t, os.Remove(path), put(path)) }
	}
	for name, row := range map[string]struct {
		damage func(*testing.T, string)
		want   error
	}{
		"missing":          {instead(func(string) error { return nil }), fs.ErrNotExist},
		"empty":            {replaced(" "), jose.ErrNotJWKS},
		"truncated":        {replaced(setOf(`{"kty":"OKP"`)[:20]), jose.ErrNotJWKS},
		"not JSON":         {replaced("keys: []"), jose.ErrNotJWKS},
		"no keys":          {replaced("{}"), jose.ErrNotJWKS},
		"many keys":        {replaced(setOf(strings.Repeat(`0,`, 1000) + `0`)), jose.ErrNotJWKS},
		"too large":        {replaced(setOf() + strings.Repeat(" ", 4<<10)), fetch.ErrTooLarge},
		"a directory":      {instead(func(path string) error { return os.Mkdir(path, 0o700) }), issuerkeys.ErrUnavailable},
		"a pipe":           {instead(func(path string) error { return syscall.Mkfifo(path, 0o600) }), issuerkeys.ErrUnavailable},
		"a dead link":      {instead(func(path string) error { return os.Symlink("nowhere", path) }), fs.ErrNotExist},
		"a link to itself": {instead(func(path string) error { return os.Symlink(filepath.Base(path), path) }), syscall.ELOOP},
		"a device":         {instead(func(path string) error { return os.Symlink("/dev/zero", path) }), issuerkeys.ErrUnavailable},
		"a file within": {instead(func(path string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), nil, 0o600))
		}), syscall.ENOTDIR},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path, keys := fileOf(t, setOf(jwk(t, "a")), within(jwkscache.Limits{DocumentBytes: 4 << 10, Stale: 10 * time.Minute}))
				go keys.Run(t.Context())
				synctest.Wait()
				row.damage(t, path)
				for range 10 {
					advance(time.Minute)
					synctest.Wait()
					wants(t, "the last keys", find(t, keys, "a"), nil)
					status := keys.Status()
					if !errors.Is(status.LastError, row.want) || !errors.Is(status.LastError, issuerkeys.ErrUnavailable) ||
						status.Failures == 0 || status.State != "stale" || time.Since(status.LastFailure) > 5*time.Second {
						t.Fatalf("%+v", status)
					}
					if !strings.Contains(status.LastError.Error(), path) {
						t.Errorf("the error does not name the file: %v", status.LastError)
					}
					wants(t, "a kid that is not known", find(t, keys, "b"), issuerkeys.ErrUnavailable)
				}
				advance(time.Minute)
				wants(t, "past the bound", find(t, keys, "a"), issuerkeys.ErrUnavailable)
				wants(t, "past the bound", keys.Ready(), row.want)

				must(t, os.RemoveAll(filepath.Dir(path)), os.MkdirAll(filepath.Dir(path), 0o700))
				write(t, path, setOf(jwk(t, "b")))
				advance(5 * time.Second)
				synctest.Wait()
				wants(t, "mended", find(t, keys, "b"), nil)
				if status := keys.Status(); status.State != "fresh" || status.LastError != nil || status.Failures != 0 {
					t.Errorf("%+v", status)
				}
			})
		})
	}
}

// TestFileMissingAtStart shows that Find returns ErrUnavailable while there is no
// file, and that a file which is written later is read when a token needs it.
func TestFileMissingAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, keys := fileOf(t, "")
		wants(t, "warm", keys.Warm(t.Context()), fs.ErrNotExist)
		wants(t, "a token", find(t, keys, "a"), issuerkeys.ErrUnavailable)
		write(t, path, setOf(jwk(t, "a")))
		advance(5 * time.Second)
		wants(t, "a token", find(t, keys, "a"), nil)
	})
}

// TestFileIsBounded shows that a file of exactly Limits.DocumentBytes is read, and
// a larger one is not.
func TestFileIsBounded(t *testing.T) {
	document := setOf(jwk(t, "a"))
	for size, good := range map[int]bool{2000: true, 2001: false} {
		_, keys := fileOf(t, document+strings.Repeat(" ", size-len(document)), within(jwkscache.Limits{DocumentBytes: 2000}))
		if err := keys.Warm(t.Context()); (err == nil) != good {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}

// TestFileWithARelativePath shows that a relative path is resolved when the source
// is opened, and not again later.
func TestFileWithARelativePath(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write(t, "jwks.json", setOf(jwk(t, "a")))
	keys := bindTo(t, jwkscache.File("jwks.json"))
	t.Chdir(t.TempDir())
	wants(t, "warm", keys.Warm(t.Context()), nil)
	if got := keys.Status().Location; !filepath.IsAbs(got) || filepath.Base(got) != "jwks.json" {
		t.Errorf("it is said to be at %s", got)
	}
}

// TestFallback shows that the fallback serves until the issuer answers for the
// first time, and never after that: neither in a long outage nor if the issuer
// withdrew all keys. Until then, every token and Run try to fetch.
func TestFallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var added, removed atomic.Int64
		s := new(site)
		both := jwk(t, "both")
		document := []byte(setOf(jwk(t, "old"), both))
		source := jwkscache.WithFallback(jwkscache.URL(siteURL), document)
		clear(document)
		keys := bindTo(t, source, func(b *issuerkeys.Binding) { b.HTTPClient = &http.Client{Transport: s} }, traced(&jwkscache.Trace{
			FetchDone: func(_ string, d jwkscache.FetchDone) {
				if d.Unchanged && len(d.Added) > 0 {
					t.Error("FetchDone says that a new set is unchanged")
				}
				added.Add(int64(len(d.Added)))
				removed.Add(int64(len(d.Removed)))
			},
		}))
		wants(t, "ready at once", keys.Ready(), nil)
		if status := keys.Status(); status.Origin != "fallback" || status.State != "stale" || !status.UsableUntil.IsZero() || added.Load() != 2 {
			t.Errorf("%d added; %+v", added.Load(), status)
		}
		s.wantVisits(t, "before a token", 0)
		var handles []issuerkeys.Handle
		for _, kid := range []string{"old", "both"} {
			found, err := keys.Find(t.Context(), time.Now(), headerOf(t, kid))
			wants(t, kid, err, nil)
			handles = append(handles, found.Handle(found.Keys[0]))
		}
		synctest.Wait()
		s.wantVisits(t, "a token", 1)
		for range 200 {
			wants(t, "in a long outage", find(t, keys, "old"), nil)
			wants(t, "a handle", handles[0].Check(t.Context(), time.Now()), nil)
			advance(10 * time.Minute)
		}
		wants(t, "an unknown kid", find(t, keys, "new"), issuerkeys.ErrUnavailable)
		wants(t, "warm", keys.Warm(t.Context()), nil)
		if n := len(s.visited()); n < 200 {
			t.Errorf("%d reads", n)
		}

		s.answers(200, setOf(both, jwk(t, "new")))
		advance(time.Minute)
		wants(t, "an unknown kid once there is an answer", find(t, keys, "new"), nil)
		synctest.Wait()
		wants(t, "a key of the fallback", find(t, keys, "old"), jose.ErrUnknownKey)
		wants(t, "its handle", handles[0].Check(t.Context(), time.Now()), jose.ErrUnknownKey)
		wants(t, "the handle of a key that stays", handles[1].Check(t.Context(), time.Now()), nil)
		if status := keys.Status(); status.Origin != "fetched" || added.Load() != 3 || removed.Load() != 1 {
			t.Errorf("%d added, %d removed; %+v", added.Load(), removed.Load(), status)
		}
		s.down()
		advance(2 * time.Hour)
		for _, kid := range []string{"old", "both", "new"} {
			wants(t, "after the bound: "+kid, find(t, keys, kid), issuerkeys.ErrUnavailable)
		}
		s.answers(200, setOf())
		advance(time.Minute)
		wants(t, "everything withdrawn", find(t, keys, "both"), jose.ErrUnknownKey)
		wants(t, "ready", keys.Ready(), nil)
	})
}

// TestFallbackAndRun shows that Run fetches at once, and that a set which is equal
// to the fallback counts as an answer of the issuer.
func TestFallbackAndRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		document := setOf(jwk(t, "a"))
		s := new(site)
		s.answers(200, document)
		keys := fallbackOf(t, s, document)
		found, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
		wants(t, "find", err, nil)
		go keys.Run(t.Context())
		synctest.Wait()
		s.wantVisits(t, "Run", 1)
		if status := keys.Status(); status.Origin != "fetched" || status.State != "fresh" || s.last(t).have != "" {
			t.Errorf("%+v", status)
		}
		wants(t, "a handle", found.Handle(found.Keys[0]).Check(t.Context(), time.Now()), nil)
	})
}

// TestFallbackOfFile shows that a file which is written later replaces its
// fallback.
func TestFallbackOfFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "jwks.json")
		keys := bindTo(t, jwkscache.WithFallback(jwkscache.File(path), []byte(setOf(jwk(t, "old")))))
		wants(t, "warm", keys.Warm(t.Context()), nil)
		wants(t, "the fallback", find(t, keys, "old"), nil)
		write(t, path, setOf(jwk(t, "new")))
		advance(5 * time.Second)
		wants(t, "the file", find(t, keys, "new"), nil)
		must(t, os.Remove(path))
		advance(5 * time.Second)
		wants(t, "the fallback", find(t, keys, "old"), issuerkeys.ErrUnavailable)
		wants(t, "the last of the file", find(t, keys, "new"), nil)
	})
}

// TestFallbackRefuses shows which sources cannot have a fallback and which
// documents cannot be one, and that the faults of both are returned.
func TestFallbackRefuses(t *testing.T) {
	good := []byte(setOf(jwk(t, "a")))
	const which = "has a fallback for a source that cannot have one"
	for name, row := range map[string]struct {
		source jwkscache.Source
		want   []string
	}{
		"none":        {jwkscache.WithFallback(nil, good), []string{which}},
		"static":      {jwkscache.WithFallback(jwkscache.Static(good), good), []string{which}},
		"nested":      {jwkscache.WithFallback(jwkscache.WithFallback(jwkscache.URL(siteURL), good), good), []string{which}},
		"no JWK Set":  {jwkscache.WithFallback(jwkscache.URL(siteURL), []byte("{}")), []string{jose.ErrNotJWKS.Error()}},
		"many keys":   {jwkscache.WithFallback(jwkscache.URL(siteURL), []byte(setOf("{}", "{}", "{}"))), []string{"found 3 keys; wanted at most 2, which is KeyLimits.Keys"}},
		"both faulty": {jwkscache.WithFallback(jwkscache.URL("ftp://x"), nil), []string{jose.ErrNotJWKS.Error(), fetch.ErrURL.Error()}},
		"discovery":   {jwkscache.WithFallback(jwkscache.Discovered(), good), []string{"is no source of keys"}},
		"file":        {jwkscache.WithFallback(jwkscache.File(""), good), []string{"has an empty path"}},
	} {
		keys, err := issuerkeys.Open(row.source, issuerkeys.Binding{Limits: jwkscache.Limits{Keys: 2}})
		if keys != nil || err == nil {
			t.Errorf("%s: opened", name)
			continue
		}
		for _, want := range row.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %s", name, err, want)
			}
		}
	}
}
