package issuerkeys

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/snapshot"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestMemoryOfStrangers shows that issuers without an accepted token share half of
// the memory, that an issuer leaves this half when a token of it is accepted, and
// that a small set of an issuer with an accepted token always has room.
func TestMemoryOfStrangers(t *testing.T) {
	s := testShared(t, jwkscache.SharedLimits{KeyBytes: 16 << 20})
	accounts := make([]account, 1000)
	for i := range accounts {
		accounts[i].memory = &s.memory
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
	large := account{memory: &s.memory, familiar: true}
	if err := large.reserve(400 << 10); err != nil {
		t.Errorf("a large set of another: %v", err)
	}
	large.use(s.memory.limit)
	for size, want := range map[int]error{smallSet: nil, smallSet + 1: errMemory} {
		other := account{memory: &s.memory, familiar: true}
		if err := other.reserve(size); !errors.Is(err, want) {
			t.Errorf("%d bytes beside full memory: %v, want %v", size, err, want)
		}
		other.use(0)
	}
	if err := (&account{memory: &s.memory}).reserve(1); !errors.Is(err, errMemory) {
		t.Errorf("a stranger beside full memory: %v, want %v", err, errMemory)
	}
}

// upstreamFunc is an upstream that calls a function.
type upstreamFunc func() (answer, error)

func (f upstreamFunc) fetch(context.Context, inquiry) (answer, error) { return f() }

// TestMemoryAfterAFailedFetch shows that only the set in use counts against the
// memory. The result of a failed fetch does not count: neither a set that cannot be
// read nor one that arrived after the fetch was abandoned.
func TestMemoryAfterAFailedFetch(t *testing.T) {
	const key = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	large := `{"keys":[` + key + `]}` + strings.Repeat(" ", 600<<10)
	for name, next := range map[string]upstreamFunc{
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
				s := testShared(t, jwkscache.SharedLimits{})
				keys, err := Open(jwkscache.URL("https://issuer.test/jwks"), Binding{Shared: s})
				if err != nil {
					t.Fatal(err)
				}
				keys.upstream = upstreamFunc(func() (answer, error) { return answer{document: large, fresh: time.Minute}, nil })
				if err := keys.Warm(t.Context()); err != nil {
					t.Fatal(err)
				}
				size := keys.lookup.current.Load().bytes()
				keys.upstream = next
				time.Sleep(2 * time.Minute)
				if err := keys.Warm(t.Context()); err != nil { // the set before serves
					t.Error(err)
				}
				time.Sleep(2 * time.Minute) // until the late one has come
				if keys.refresher.failure == nil || keys.lookup.current.Load().bytes() != size {
					t.Error("the set in use was replaced")
				}
				if s.memory.used != size || size < 1<<20 {
					t.Errorf("%d are used, want %d", s.memory.used, size)
				}
			})
		})
	}
}

// TestMemoryOfSnapshots shows that a snapshot is not used if there is no memory for
// it, and that the error says so.
func TestMemoryOfSnapshots(t *testing.T) {
	s := testShared(t, jwkscache.SharedLimits{KeyBytes: 1 << 20})
	dir, now := filepath.Join(t.TempDir(), "keys"), time.Now()
	for issuer, row := range map[string]struct {
		size int
		want error
	}{
		"small": {1 << 10, nil},
		"large": {100 << 10, errMemory},
	} {
		keys, err := Open(jwkscache.URL("https://issuer.test/jwks"), Binding{Issuer: issuer, Shared: s, SnapshotDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		keys.upstream = upstreamFunc(func() (answer, error) { return answer{}, detached.ErrWaiters })
		if err := keys.vault.store.Save(&snapshot.Saved{
			Issuer: issuer, Source: "url", Location: "https://issuer.test/jwks", Fetched: now, Fresh: now.Add(time.Hour), Usable: now.Add(time.Hour),
			Document: `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}` + strings.Repeat(" ", row.size),
		}); err != nil {
			t.Fatal(err)
		}
		if err := keys.Warm(t.Context()); (err == nil) != (row.want == nil) || !errors.Is(keys.vault.state.err, row.want) {
			t.Errorf("%s: %v, the snapshot %v, want %v", issuer, err, keys.vault.state.err, row.want)
		}
	}
}

// TestSharedLimitsOutOfBounds shows that NewShared names every limit that is out of
// bounds.
func TestSharedLimitsOutOfBounds(t *testing.T) {
	shared, err := NewShared(jwkscache.SharedLimits{Waiters: -1, Fetches: 3, UnknownKids: 3, Missing: 3, KeyBytes: 1})
	if shared != nil || err == nil {
		t.Fatal("out of bounds, and made")
	}
	for _, name := range []string{"Waiters", "Fetches", "UnknownKids", "Missing", "KeyBytes"} {
		if !strings.Contains(err.Error(), name+" is ") {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
}

// TestSharedNotMade shows that Open returns a fault for a Shared that NewShared did
// not make.
func TestSharedNotMade(t *testing.T) {
	for name, row := range map[string]struct {
		shared *Shared
		want   error
	}{
		"zero": {new(Shared), errShared},
		"none": {nil, nil},
		"made": {testShared(t, jwkscache.SharedLimits{}), nil},
	} {
		keys, err := Open(jwkscache.URL("https://issuer.test/jwks"), Binding{Shared: row.shared})
		if !errors.Is(err, row.want) || (keys == nil) != (row.want != nil) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
	}
}
