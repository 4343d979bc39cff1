package jwkscache

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
)

// TestMemoryOfStrangers shows that issuers of which no token was accepted share
// half of the memory, that they leave it when one is, and that a small set of the
// others has room in any case.
func TestMemoryOfStrangers(t *testing.T) {
	s := testShared(t, SharedLimits{KeyBytes: 16 << 20})
	accounts := make([]account, 1000)
	for i := range accounts {
		accounts[i].shared = s
		for size := 1 << 20; size > 0 && accounts[i].reserve(size) != nil; size /= 2 {
			continue
		}
	}
	if used := s.memory.strangers; used > 8<<20 || used < 7<<20 || used != s.memory.used {
		t.Errorf("strangers use %d of %d", used, s.memory.used)
	}
	before, gone := s.memory.used, accounts[0].used
	accounts[0].accept()
	accounts[0].accept()
	if s.memory.strangers != before-gone || s.memory.used != before {
		t.Errorf("strangers use %d of %d once one of %d is accepted", s.memory.strangers, s.memory.used, gone)
	}
	large := account{shared: s, familiar: true}
	if err := large.reserve(400 << 10); err != nil {
		t.Errorf("a large set of another: %v", err)
	}
	large.use(s.memory.limit)
	for size, want := range map[int]error{smallSet: nil, smallSet + 1: errMemory} {
		other := account{shared: s, familiar: true}
		if err := other.reserve(size); !errors.Is(err, want) {
			t.Errorf("%d bytes beside full memory: %v, want %v", size, err, want)
		}
		other.use(0)
	}
	if err := (&account{shared: s}).reserve(1); !errors.Is(err, errMemory) {
		t.Errorf("a stranger beside full memory: %v, want %v", err, errMemory)
	}
}

// originFunc is an origin that is a function.
type originFunc func() (answer, error)

func (f originFunc) fetch(context.Context, inquiry) (answer, error) { return f() }

// TestMemoryAfterAFailedFetch shows that what counts is the set in use, whatever a
// fetch that failed brought: a set that cannot be read, or one that came after its
// time.
func TestMemoryAfterAFailedFetch(t *testing.T) {
	const key = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	large := `{"keys":[` + key + `]}` + strings.Repeat(" ", 600<<10)
	for name, next := range map[string]originFunc{
		"unreadable": func() (answer, error) {
			return answer{document: `{"keys":[{"kty":"XX","kid":"z"}]}`, fresh: time.Hour}, nil
		},
		"no set": func() (answer, error) { return answer{document: `{}`, fresh: time.Hour}, nil },
		"late": func() (answer, error) {
			time.Sleep(time.Minute)
			return answer{document: `{"keys":[` + key + `]}`, fresh: time.Hour}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := testShared(t, SharedLimits{})
				keys, err := Open(URL("https://issuer.test/jwks"), Binding{Shared: s})
				if err != nil {
					t.Fatal(err)
				}
				keys.origin = originFunc(func() (answer, error) { return answer{document: large, fresh: time.Minute}, nil })
				if err := keys.Warm(t.Context()); err != nil {
					t.Fatal(err)
				}
				size := keys.current.Load().bytes()
				keys.origin = next
				time.Sleep(2 * time.Minute)
				if err := keys.Warm(t.Context()); err != nil { // the set before serves
					t.Error(err)
				}
				time.Sleep(2 * time.Minute) // until the late one has come
				if keys.failure == nil || keys.current.Load().bytes() != size {
					t.Error("the set in use was replaced")
				}
				if s.memory.used != size || size < 1<<20 {
					t.Errorf("%d are used, want %d", s.memory.used, size)
				}
			})
		})
	}
}

// TestMemoryOfSnapshots shows that a snapshot for which there is no memory is not
// used, and that its error says so.
func TestMemoryOfSnapshots(t *testing.T) {
	s := testShared(t, SharedLimits{KeyBytes: 1 << 20})
	dir, now := filepath.Join(t.TempDir(), "keys"), time.Now()
	for issuer, row := range map[string]struct {
		size int
		want error
	}{
		"small": {1 << 10, nil},
		"large": {100 << 10, errMemory},
	} {
		keys, err := Open(URL("https://issuer.test/jwks"), Binding{Issuer: issuer, Shared: s, SnapshotDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		keys.origin = originFunc(func() (answer, error) { return answer{}, detached.ErrWaiters })
		if err := keys.store.save(&saved{
			Issuer: issuer, Source: "url", Location: "https://issuer.test/jwks", Fetched: now, Fresh: now.Add(time.Hour), Usable: now.Add(time.Hour),
			Document: `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}` + strings.Repeat(" ", row.size),
		}); err != nil {
			t.Fatal(err)
		}
		if err := keys.Warm(t.Context()); (err == nil) != (row.want == nil) || !errors.Is(keys.kept.err, row.want) {
			t.Errorf("%s: %v, the snapshot %v, want %v", issuer, err, keys.kept.err, row.want)
		}
	}
}

// TestSharedNotMade shows that Open reports a Shared which NewShared did not make.
func TestSharedNotMade(t *testing.T) {
	for name, row := range map[string]struct {
		shared *Shared
		want   error
	}{
		"zero": {new(Shared), errShared},
		"none": {nil, nil},
		"made": {testShared(t, SharedLimits{}), nil},
	} {
		keys, err := Open(URL("https://issuer.test/jwks"), Binding{Shared: row.shared})
		if !errors.Is(err, row.want) || (keys == nil) != (row.want != nil) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}

// TestAcceptedFileNotMade shows that an AcceptedFile which NewAcceptedFile did not
// make is an error of each use.
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
