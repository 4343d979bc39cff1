package issuerkeys

import (
	"context"
	"encoding/base64"
	"errors"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/internal/snapshot"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestNoFetchForKeysThatArrived shows that a caller who found no keys, or not the one
// for a kid, starts no fetch and joins none if other keys have arrived meanwhile.
func TestNoFetchForKeysThatArrived(t *testing.T) {
	keys, err := Open(jwkscache.WithFallback(jwkscache.URL("https://issuer.test/jwks"), []byte(`{"keys":[]}`)), Binding{Algorithms: []jose.Algorithm{jose.EdDSA}})
	if err != nil {
		t.Fatal(err)
	}
	outdated := []request{{cause: CauseMissing}, {cause: CauseUnknownKid, kid: "new", tried: new(version)}}
	for _, q := range outdated {
		if f := keys.refresher.begin(t.Context(), q); f != nil {
			t.Errorf("%s: a fetch began", q.cause)
		}
	}
	keys.refresher.flight = new(flight)
	for _, q := range outdated {
		if f := keys.refresher.begin(t.Context(), q); f != nil {
			t.Errorf("%s: a fetch was joined", q.cause)
		}
	}
	if v, err := keys.refresher.renew(t.Context()); v == nil || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

// TestUnknownKidAfterAnotherFetch shows that a token whose kid is not found in a set
// that arrived meanwhile, but was asked for before the token came, causes a fetch.
func TestUnknownKidAfterAnotherFetch(t *testing.T) {
	const set = `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"new","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}` // RFC 8037, appendix A.2
	keys, err := Open(jwkscache.WithFallback(jwkscache.URL("https://issuer.test/jwks"), []byte(`{"keys":[]}`)), Binding{Algorithms: []jose.Algorithm{jose.EdDSA}})
	if err != nil {
		t.Fatal(err)
	}
	keys.upstream = answering{document: set, fresh: time.Hour}
	before := *keys.lookup.current.Load()
	token, err := jose.ParseCompact(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"new"}`)) + ".e30.AA")
	if err != nil {
		t.Fatal(err)
	}
	found, err := keys.findUnknown(t.Context(), token.UnverifiedHeader(), &before, keys.refresher.begun.Load())
	if err != nil || len(found.Keys) != 1 {
		t.Errorf("%d keys, %v", len(found.Keys), err)
	}
}

// TestOneWriterOfTheSnapshotWaits shows that of several calls that find somebody
// writing to the store, one waits to write the set in use and the others return.
func TestOneWriterOfTheSnapshotWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil { // whatever the umask
			t.Fatal(err)
		}
		saved := 0
		keys, err := Open(jwkscache.URL("https://issuer.test/jwks"), Binding{Issuer: "i", SnapshotDir: dir, Trace: &jwkscache.Trace{
			Stored: func(_ string, stored jwkscache.Stored) {
				if stored.Use == "save" {
					saved++
				}
			},
		}})
		if err != nil {
			t.Fatal(err)
		}
		keys.upstream = answering{document: `{"keys":[]}`, fresh: time.Hour}
		if err := keys.Warm(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(saveInterval)
		keys.vault.storing <- struct{}{} // somebody is writing
		go keys.vault.save()
		synctest.Wait()
		returned := false
		go func() { keys.vault.save(); returned = true }()
		synctest.Wait()
		if !returned {
			t.Error("two calls wait")
		}
		<-keys.vault.storing
		synctest.Wait()
		if saved != 2 {
			t.Errorf("saved %d times, want once after the fetch and once since", saved)
		}
	})
}

// answering is an upstream with one answer.
type answering answer

func (a answering) fetch(context.Context, inquiry) (answer, error) { return answer(a), nil }

// TestFreshIsNeverAfterUsable shows that fresh is never after usable. [Keys.Find]
// relies on that: it checks usable only after fresh has passed.
func TestFreshIsNeverAfterUsable(t *testing.T) {
	for _, limits := range []jwkscache.Limits{
		{},
		{Stale: time.Second, MaxAge: time.Minute, MinFresh: time.Hour},
		{MaxFresh: time.Minute, MaxAge: time.Minute, Stale: 24 * time.Hour},
	} {
		static, err := Open(jwkscache.Static([]byte(`{"keys":[]}`)), Binding{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		remote, err := Open(jwkscache.URL("https://issuer.test/jwks"), Binding{Issuer: "i", Limits: limits, SnapshotDir: "unused"})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		remote.upstream = answering{document: `{"keys":[]}`, fresh: 24 * time.Hour}
		fetched, err := remote.refresher.fetch(t.Context(), new(flight))
		if err != nil {
			t.Fatal(err)
		}
		restored, err := remote.restored(&snapshot.Saved{
			Source: "url", Location: "https://issuer.test/jwks", Document: `{"keys":[]}`,
			Fetched: now, Fresh: now.Add(24 * time.Hour), Usable: now.Add(24 * time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		if serves := restored.usable.at.Sub(now); serves > max(time.Minute, limits.MinFresh) {
			t.Errorf("an empty set of a snapshot serves for %v", serves)
		}
		for name, v := range map[string]*version{"static": static.lookup.current.Load(), "fetched": fetched.version, "restored": restored} {
			if v.fresh.at.After(v.usable.at) || v.fresh.wall > v.usable.wall {
				t.Errorf("%s: fresh until %v, usable until %v", name, v.fresh.at, v.usable.at)
			}
		}
	}
}

// TestCheckWithoutUsableKeys shows that Check returns an error if no set is in
// use, and if either clock says that the set is too old.
func TestCheckWithoutUsableKeys(t *testing.T) {
	now := time.Now()
	ahead, behind := until(now.Add(time.Hour)), until(now.Add(-time.Hour))
	for name, row := range map[string]struct {
		inUse *version
		want  error
	}{
		"in use":                  {&version{fresh: ahead, usable: ahead}, nil},
		"nothing":                 {nil, ErrUnavailable},
		"too old by both clocks":  {&version{fresh: behind, usable: behind}, ErrUnavailable},
		"too old by the wall":     {&version{fresh: deadline{ahead.at, behind.wall}, usable: deadline{ahead.at, behind.wall}}, ErrUnavailable},
		"too old by the other":    {&version{fresh: deadline{behind.at, ahead.wall}, usable: deadline{behind.at, ahead.wall}}, ErrUnavailable},
		"stale, and not too old":  {&version{fresh: behind, usable: ahead}, nil},
		"usable by one, not both": {&version{fresh: behind, usable: deadline{ahead.at, behind.wall}}, ErrUnavailable},
	} {
		keys, err := Open(jwkscache.Static([]byte(`{"keys":[]}`)), Binding{})
		if err != nil {
			t.Fatal(err)
		}
		keys.lookup.current.Store(row.inUse)
		if err := (Handle{keys.self, new(life)}).Check(t.Context(), now); !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
		runtime.KeepAlive(keys)
	}
}

// TestHandleDoesNotKeepKeys shows that a Handle does not keep the keys of an issuer in
// memory, and that its methods return errGone when they are gone.
func TestHandleDoesNotKeepKeys(t *testing.T) {
	gone := make(chan struct{})
	handle := func() Handle {
		keys, err := Open(jwkscache.Static([]byte(`{"keys":[]}`)), Binding{})
		if err != nil {
			t.Fatal(err)
		}
		runtime.AddCleanup(keys, func(struct{}) { close(gone) }, struct{}{})
		handle := Handle{keys.self, new(life)}
		if err := handle.Check(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
		return handle
	}()
	for wait := true; wait; {
		runtime.GC()
		select {
		case <-gone:
			wait = false
		default:
			runtime.Gosched()
		}
	}
	_, again := handle.Again(t.Context(), time.Now())
	for what, err := range map[string]error{"Check": handle.Check(t.Context(), time.Now()), "Live": handle.Live(), "Again": again} {
		if !errors.Is(err, errGone) {
			t.Errorf("%s: %v, want %v", what, err, errGone)
		}
	}
}

// TestForbidWaitsNoLongerThanItsContext shows that Forbid waits for the store no
// longer than its context, and that the key is forbidden even then.
func TestForbidWaitsNoLongerThanItsContext(t *testing.T) {
	keys, err := Open(jwkscache.Static([]byte(`{"keys":[]}`)), Binding{SnapshotDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	keys.refresher.flight = &flight{Flight: detached.NewFlight()} // which does not land
	keys.refresher.policy.Begin(CauseMissing, time.Now())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	name := jwkscache.KeyName{KeyID: "a"}
	if err := keys.Forbid(gone, name); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("forbidding: %v", err)
	}
	if !keys.vault.forbidsID("a") {
		t.Error("it is not forbidden")
	}
	if err := keys.Permit(gone, name); !errors.Is(err, context.Canceled) || !keys.vault.forbidsID("a") {
		t.Errorf("permitting: %v", err)
	}
	keys.refresher.flight, keys.vault.loaded = nil, true
	keys.vault.storing <- struct{}{} // somebody is writing
	if err := keys.Forbid(gone, name); !errors.Is(err, context.Canceled) {
		t.Errorf("forbidding while another one writes: %v", err)
	}
}

// TestKeysNotMadeByOpen shows that the methods of Keys that Open did not make return
// ErrUnavailable and do not panic.
func TestKeysNotMadeByOpen(t *testing.T) {
	keys := new(Keys)
	name := jwkscache.KeyName{KeyID: "a"}
	_, found := keys.Find(t.Context(), time.Now(), jose.Header{})
	for what, err := range map[string]error{
		"Find": found, "Warm": keys.Warm(t.Context()), "Ready": keys.Ready(),
		"Forbid": keys.Forbid(t.Context(), name), "Permit": keys.Permit(t.Context(), name),
	} {
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if status := keys.Status(); status.State != "unavailable" || keys.Ignored() != nil {
		t.Errorf("%+v", status)
	}
}
