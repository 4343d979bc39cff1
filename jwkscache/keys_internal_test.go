package jwkscache

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/detached"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestNoFetchForWhatHasCome shows that one who found no keys, and asks for them
// when they have come meanwhile, starts no fetch and joins none.
func TestNoFetchForWhatHasCome(t *testing.T) {
	keys, err := Open(WithFallback(URL("https://issuer.test/jwks"), []byte(`{"keys":[]}`)), Binding{Algorithms: []jose.Algorithm{jose.EdDSA}})
	if err != nil {
		t.Fatal(err)
	}
	if f := keys.begin(t.Context(), causeMissing, ""); f != nil {
		t.Error("a fetch began")
	}
	keys.flight = new(flight)
	if f := keys.begin(t.Context(), causeMissing, ""); f != nil {
		t.Error("a fetch was joined")
	}
	if v, err := keys.renew(t.Context()); v == nil || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

// answering is an origin of one answer.
type answering answer

func (a answering) fetch(context.Context, inquiry) (answer, error) { return answer(a), nil }

// TestFreshIsNeverAfterUsable shows what [Keys.Find] relies on, which looks at
// the one deadline only while that has not passed.
func TestFreshIsNeverAfterUsable(t *testing.T) {
	for _, limits := range []Limits{
		{},
		{Stale: time.Second, MaxAge: time.Minute, MinFresh: time.Hour},
		{MaxFresh: time.Minute, MaxAge: time.Minute, Stale: 24 * time.Hour},
	} {
		static, err := Open(Static([]byte(`{"keys":[]}`)), Binding{Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		remote, err := Open(URL("https://issuer.test/jwks"), Binding{Issuer: "i", Limits: limits, SnapshotDir: "unused"})
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		remote.origin = answering{document: `{"keys":[]}`, fresh: 24 * time.Hour}
		fetched, err := remote.fetch(t.Context(), new(flight))
		if err != nil {
			t.Fatal(err)
		}
		restored, err := remote.restored(&saved{
			Source: "url", Location: "https://issuer.test/jwks", Document: `{"keys":[]}`,
			Fetched: now, Fresh: now.Add(24 * time.Hour), Usable: now.Add(24 * time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		if serves := restored.usable.at.Sub(now); serves > max(time.Minute, limits.MinFresh) {
			t.Errorf("an empty set of a snapshot serves for %v", serves)
		}
		for name, v := range map[string]*version{"static": static.current.Load(), "fetched": fetched.version, "restored": restored} {
			if v.fresh.at.After(v.usable.at) || v.fresh.wall > v.usable.wall {
				t.Errorf("%s: fresh until %v, usable until %v", name, v.fresh.at, v.usable.at)
			}
		}
	}
}

// TestHandleOfKeysThatAreGone shows that a handle fails closed where nothing is
// in use, and where either clock says that what is in use is too old.
func TestHandleOfKeysThatAreGone(t *testing.T) {
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
		keys, err := Open(Static([]byte(`{"keys":[]}`)), Binding{})
		if err != nil {
			t.Fatal(err)
		}
		keys.current.Store(row.inUse)
		if err := (Handle{keys.self, new(life)}).Check(t.Context(), now); !errors.Is(err, row.want) || (err == nil) != (row.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, row.want)
		}
		runtime.KeepAlive(keys)
	}
}

// TestHandleKeepsNothing shows that a verdict which is kept does not keep the
// keys of an issuer that is not in use any more, and must not rest on them.
func TestHandleKeepsNothing(t *testing.T) {
	gone := make(chan struct{})
	handle := func() Handle {
		keys, err := Open(Static([]byte(`{"keys":[]}`)), Binding{})
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
	if err := handle.Check(t.Context(), time.Now()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("%v, want %v", err, ErrUnavailable)
	}
}

// TestForbidLeavesOnTime shows that who forbids a key waits for the store no
// longer than wanted, and that the key is forbidden then.
func TestForbidLeavesOnTime(t *testing.T) {
	keys, err := Open(Static([]byte(`{"keys":[]}`)), Binding{SnapshotDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	keys.flight = &flight{Flight: detached.NewFlight()} // which does not land
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	name := KeyName{KeyID: "a"}
	if err := keys.Forbid(gone, name); !errors.Is(err, ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("forbidding: %v", err)
	}
	if !keys.forbidsID("a") {
		t.Error("it is not forbidden")
	}
	if err := keys.Permit(gone, name); !errors.Is(err, context.Canceled) || !keys.forbidsID("a") {
		t.Errorf("permitting: %v", err)
	}
	keys.flight, keys.loaded = nil, true
	keys.storing <- struct{}{} // somebody is writing
	if err := keys.Forbid(gone, name); !errors.Is(err, context.Canceled) {
		t.Errorf("forbidding while another one writes: %v", err)
	}
}

// TestKeysOfNobody shows that Keys which Open did not make answer that they are
// unavailable, and do not panic.
func TestKeysOfNobody(t *testing.T) {
	keys := new(Keys)
	name := KeyName{KeyID: "a"}
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
