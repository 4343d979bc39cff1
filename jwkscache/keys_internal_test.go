package jwkscache

import (
	"context"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
)

// TestNoFetchForWhatHasCome shows that one who found no keys, and asks for them
// when they have come meanwhile, starts no fetch and joins none.
func TestNoFetchForWhatHasCome(t *testing.T) {
	keys, err := Open(WithFallback(URL("https://issuer.test/jwks"), []byte(`{"keys":[]}`)), Binding{Algorithms: []jose.Algorithm{jose.EdDSA}})
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := keys.begin(t.Context(), causeMissing, ""); f != nil {
		t.Error("a fetch began")
	}
	keys.flight = new(flight)
	if f, joined := keys.begin(t.Context(), causeMissing, ""); f != nil || joined {
		t.Error("a fetch was joined")
	}
	if v, err := keys.renew(t.Context()); v == nil || err != nil {
		t.Errorf("%v, %v", v, err)
	}
}

// answering is an origin of one answer.
type answering answer

func (a answering) fetch(context.Context, *version) (answer, error) { return answer(a), nil }

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
		fetched, err := remote.fetch(t.Context())
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
		for name, v := range map[string]*version{"static": static.current.Load(), "fetched": fetched.version, "restored": restored} {
			if v.fresh.at.After(v.usable.at) || v.fresh.wall > v.usable.wall {
				t.Errorf("%s: fresh until %v, usable until %v", name, v.fresh.at, v.usable.at)
			}
		}
	}
}
