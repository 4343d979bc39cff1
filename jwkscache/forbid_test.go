package jwkscache_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// thumbprintOf is that of the key of a kid.
func thumbprintOf(t *testing.T, keys *jwkscache.Keys, kid string) string {
	t.Helper()
	return held(t, keys, kid).key.Thumbprint()
}

// holding is a key that was found, and the hold on it.
type holding struct {
	key    *jose.Key
	handle jwkscache.Handle
}

func held(t *testing.T, keys *jwkscache.Keys, kid string) holding {
	t.Helper()
	found, err := keys.Find(t.Context(), time.Now(), headerOf(t, kid))
	if err != nil {
		t.Fatal(err)
	}
	return holding{found.Keys[0], found.Handle(found.Keys[0])}
}

// check asks the handle. Live must agree with Check, but for keys that are too
// old.
func (h holding) check(t *testing.T) error {
	t.Helper()
	err, live := h.handle.Check(t.Context(), time.Now()), h.handle.Live()
	if (err == nil || errors.Is(err, jose.ErrUnknownKey)) && !errors.Is(live, err) {
		t.Errorf("Live says %v, Check %v", live, err)
	}
	return err
}

// names are the two ways to name the key of a kid.
func names(t *testing.T, keys *jwkscache.Keys, kid string) map[string]jwkscache.KeyName {
	t.Helper()
	return map[string]jwkscache.KeyName{"kid": {KeyID: kid}, "thumbprint": {Thumbprint: thumbprintOf(t, keys, kid)}}
}

// TestForbid covers R-OP-06: a key that is forbidden, by kid or thumbprint, stops
// at once for new look-ups and for those who hold on to it; no refresh brings it
// back, be it a 304, the same document or another one; the other keys go on.
func TestForbid(t *testing.T) {
	for _, by := range []string{"kid", "thumbprint"} {
		t.Run(by, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := jwk(t, "a"), jwk(t, "b")
				s := new(site)
				s.answers(200, setOf(a, b), `ETag: "1"`)
				keys := openSite(t, s)
				one, other := held(t, keys, "a"), held(t, keys, "b")
				name := names(t, keys, "a")[by]

				must(t, keys.Forbid(t.Context(), name))
				check := func(what string) {
					t.Helper()
					wants(t, what+": the key", find(t, keys, "a"), jose.ErrUnknownKey)
					wants(t, what+": who holds it", one.check(t), jose.ErrUnknownKey)
					wants(t, what+": the other key", find(t, keys, "b"), nil)
					wants(t, what+": who holds the other", other.check(t), nil)
					status := keys.Status()
					if len(status.Keys) != 1 || len(status.Forbidden) != 1 || status.Forbidden[0] != name {
						t.Errorf("%s: %+v", what, status)
					}
				}
				refreshed := func(what string) {
					t.Helper()
					before := len(s.visited())
					advance(11 * time.Minute)
					must(t, keys.Warm(t.Context()))
					s.wantVisits(t, what, before+1)
					check(what)
				}
				check("at once")
				s.wantVisits(t, "at once", map[string]int{"kid": 1, "thumbprint": 2}[by]) // another key may have its kid by now
				s.answers(304, "")
				refreshed("a 304")
				s.answers(200, setOf(a, b))
				refreshed("the same document")
				s.answers(200, setOf(b, a))
				refreshed("another document")
				s.answers(200, setOf(b))
				refreshed("a document without it")
				s.answers(200, setOf(a, b))
				refreshed("a document with it again")
				must(t, keys.Forbid(t.Context(), name))
				check("twice")

				must(t, keys.Permit(t.Context(), name))
				wants(t, "permitted", find(t, keys, "a"), nil)
				wants(t, "permitted: who held it before", one.check(t), jose.ErrUnknownKey)
				wants(t, "permitted: the other", other.check(t), nil)
				if status := keys.Status(); len(status.Forbidden) != 0 || len(status.Keys) != 2 {
					t.Errorf("permitted: %+v", status)
				}
				again := held(t, keys, "a")
				wants(t, "permitted: who holds it since", again.check(t), nil)
				must(t, keys.Permit(t.Context(), name)) // which is no error
				wants(t, "permitted twice", again.check(t), nil)
			})
		})
	}
}

// TestForbidDuringFetch shows that what was asked for before a key was forbidden
// does not bring it back.
func TestForbidDuringFetch(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *testissuer.Issuer, keys *jwkscache.Keys) {
		must(t, keys.Warm(t.Context()))
		status := keys.Status()
		name := jwkscache.KeyName{Thumbprint: status.Keys[0].Thumbprint()}
		advance(11 * time.Minute)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 3 * time.Second})
		token := issuer.Sign(testissuer.Token{})
		wants(t, "stale", judge(t.Context(), keys, token), nil)
		synctest.Wait()
		must(t, keys.Forbid(t.Context(), name))
		wants(t, "meanwhile", judge(t.Context(), keys, token), jose.ErrUnknownKey)
		advance(4 * time.Second)
		wantRequests(t, "fetched", issuer, 2)
		wants(t, "after it", judge(t.Context(), keys, token), jose.ErrUnknownKey)
	})
}

// TestForbidWhatIsNotThere shows that a name holds before the key is published:
// before anything was fetched, and in a later set. A kid that is forbidden costs
// no fetch, which others do. Those of a key that is forbidden by thumbprint cost
// one in 30 seconds.
func TestForbidWhatIsNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		early, late, stolen := jwk(t, "early"), jwk(t, "late"), jwk(t, "stolen")
		alias := strings.Replace(stolen, `"stolen"`, `"alias"`, 1)
		s := new(site)
		s.answers(200, setOf(early, stolen, alias))
		keys := openSite(t, s)
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "early"}))
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "late"}))
		if keys.Ready() == nil || len(s.visited()) != 0 {
			t.Error("forbidding fetched something")
		}
		wants(t, "early", find(t, keys, "early"), jose.ErrUnknownKey)
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{Thumbprint: thumbprintOf(t, keys, "stolen")}))
		for _, kid := range []string{"stolen", "alias"} {
			wants(t, "the same key under another kid", find(t, keys, kid), jose.ErrUnknownKey)
		}
		s.wantVisits(t, "the same key under another kid", 2)
		advance(time.Minute)
		for range 100 {
			for _, kid := range []string{"early", "late", "stolen", "alias"} {
				wants(t, kid, find(t, keys, kid), jose.ErrUnknownKey)
			}
		}
		s.wantVisits(t, "nothing but what is forbidden was asked for", 3)
		wants(t, "another kid", find(t, keys, "x"), jose.ErrUnknownKey)
		s.wantVisits(t, "another kid", 4)
		s.answers(200, setOf(late, jwk(t, "good")))
		advance(10 * time.Second)
		wants(t, "a good kid", find(t, keys, "good"), nil)
		wants(t, "late", find(t, keys, "late"), jose.ErrUnknownKey)
		s.wantVisits(t, "it was published", 5)
	})
}

// TestForbidOneOfAKid shows that keys which share a kid are apart by thumbprint.
func TestForbidOneOfAKid(t *testing.T) {
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "k"), jwk(t, "k")))))
	found, err := keys.Find(t.Context(), time.Now(), headerOf(t, "k"))
	wants(t, "find", err, nil)
	if len(found.Keys) != 2 {
		t.Fatalf("%d keys", len(found.Keys))
	}
	bad, good := found.Handle(found.Keys[0]), found.Handle(found.Keys[1])
	must(t, keys.Forbid(t.Context(), jwkscache.KeyName{Thumbprint: found.Keys[0].Thumbprint()}))
	wants(t, "the one", bad.Check(t.Context(), time.Now()), jose.ErrUnknownKey)
	wants(t, "the other", good.Check(t.Context(), time.Now()), nil)
	if after, err := keys.Find(t.Context(), time.Now(), headerOf(t, "k")); err != nil || len(after.Keys) != 1 || after.Keys[0] != found.Keys[1] {
		t.Errorf("%v, %v", after.Keys, err)
	}
	must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "k"}))
	wants(t, "both", good.Check(t.Context(), time.Now()), jose.ErrUnknownKey)
	// One of the names is enough, and each is lifted by itself.
	must(t, keys.Permit(t.Context(), jwkscache.KeyName{KeyID: "k"}))
	if after, err := keys.Find(t.Context(), time.Now(), headerOf(t, "k")); err != nil || len(after.Keys) != 1 {
		t.Errorf("%v, %v", after.Keys, err)
	}
}

// TestForbidKeyWithoutKid shows that a key without kid can be forbidden by its
// thumbprint, and is not by the kid of another.
func TestForbidKeyWithoutKid(t *testing.T) {
	private, text := newKey(t, "x")
	keys := bindTo(t, jwkscache.Static([]byte(setOf(strings.Replace(text, `"kid":"x",`, "", 1)))))
	header := sign(t, private, `{"alg":"EdDSA"}`).UnverifiedHeader()
	must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "x"}))
	found, err := keys.Find(t.Context(), time.Now(), header)
	wants(t, "another's kid", err, nil)
	must(t, keys.Forbid(t.Context(), jwkscache.KeyName{Thumbprint: found.Keys[0].Thumbprint()}))
	_, err = keys.Find(t.Context(), time.Now(), header)
	wants(t, "its thumbprint", err, jose.ErrUnknownKey)
}

// TestForbiddenOfBinding shows that keys which the configuration names never
// serve, from the first on, for each source.
func TestForbiddenOfBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		document := setOf(jwk(t, "a"), jwk(t, "b"))
		s := new(site)
		s.answers(200, document)
		path := filepath.Join(t.TempDir(), "jwks.json")
		write(t, path, document)
		forbidden := func(b *jwkscache.Binding) { b.Forbidden = []jwkscache.KeyName{{KeyID: "b"}} }
		for name, keys := range map[string]*jwkscache.Keys{
			"url":      openSite(t, s, forbidden),
			"static":   bindTo(t, jwkscache.Static([]byte(document)), forbidden),
			"file":     bindTo(t, jwkscache.File(path), forbidden),
			"fallback": fallbackOf(t, new(site), document, forbidden),
		} {
			wants(t, name+": a", find(t, keys, "a"), nil)
			wants(t, name+": b", find(t, keys, "b"), jose.ErrUnknownKey)
			if got := keys.Status().Forbidden; len(got) != 1 || got[0].KeyID != "b" {
				t.Errorf("%s: %+v", name, got)
			}
			must(t, keys.Permit(t.Context(), jwkscache.KeyName{KeyID: "b"}))
			wants(t, name+": b, permitted", find(t, keys, "b"), nil)
		}
	})
}

// TestForbidDoesNotLengthen shows that forbidding is no refresh: what is stale
// remains so, and too old.
func TestForbidDoesNotLengthen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		a := held(t, keys, "a")
		before := keys.Status()
		s.down()
		advance(time.Hour)
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "x"}))
		after := keys.Status()
		if after.Fetched != before.Fetched || after.FreshUntil != before.FreshUntil || after.UsableUntil != before.UsableUntil || after.Origin != before.Origin {
			t.Errorf("%+v, was %+v", after, before)
		}
		wants(t, "stale", a.check(t), nil)
		advance(10 * time.Minute)
		must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "y"}))
		wants(t, "too old", a.check(t), jwkscache.ErrUnavailable)
		wants(t, "too old", find(t, keys, "a"), jwkscache.ErrUnavailable)
	})
}

// TestForbidIsTold shows the hook.
func TestForbidIsTold(t *testing.T) {
	var told []jwkscache.FetchDone
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a"), jwk(t, "b"), `{"kty":"AKP"}`))), traced(&jwkscache.Trace{
		FetchDone: func(name string, d jwkscache.FetchDone) {
			if name != issuer || d.Err != nil || d.Took != 0 || len(d.Ignored) != 1 {
				t.Errorf("%s: %+v", name, d)
			}
			told = append(told, d)
		},
	}))
	name := jwkscache.KeyName{KeyID: "a"}
	must(t, keys.Forbid(t.Context(), name), keys.Permit(t.Context(), name))
	want := "start 2 +2 -0, forbid 1 +0 -1, permit 2 +1 -0"
	got := make([]string, len(told))
	for i, d := range told {
		got[i] = fmt.Sprintf("%s %d +%d -%d", d.Cause, d.Keys, len(d.Added), len(d.Removed))
	}
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("%s, want %s", text, want)
	}
	if id, _ := told[1].Removed[0].ID(); id != "a" {
		t.Errorf("removed %s", id)
	}
}

// TestKeyName shows what names a key.
func TestKeyName(t *testing.T) {
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "a")))))
	good := thumbprintOf(t, keys, "a")
	for name, row := range map[string]struct {
		name jwkscache.KeyName
		want string
	}{
		"nothing":                {jwkscache.KeyName{}, "set either KeyID or Thumbprint"},
		"both":                   {jwkscache.KeyName{KeyID: "a", Thumbprint: good}, "set either KeyID or Thumbprint"},
		"a kid":                  {jwkscache.KeyName{KeyID: "a"}, ""},
		"a kid of 256 bytes":     {jwkscache.KeyName{KeyID: strings.Repeat("x", 256)}, ""},
		"a kid of 257 bytes":     {jwkscache.KeyName{KeyID: strings.Repeat("x", 257)}, "longer than 256 bytes"},
		"a kid that is not text": {jwkscache.KeyName{KeyID: "\xff"}, "not UTF-8"},
		"a thumbprint":           {jwkscache.KeyName{Thumbprint: good}, ""},
		"a thumbprint cut off":   {jwkscache.KeyName{Thumbprint: good[:42]}, "not a SHA-256 thumbprint"},
		"a long one":             {jwkscache.KeyName{Thumbprint: good + "AA"}, "not a SHA-256 thumbprint"},
		"padded":                 {jwkscache.KeyName{Thumbprint: good + "="}, "not a SHA-256 thumbprint"},
		"with loose last bits":   {jwkscache.KeyName{Thumbprint: strings.Repeat("A", 42) + "B"}, "not a SHA-256 thumbprint"},
		"of SHA-1":               {jwkscache.KeyName{Thumbprint: encode(make([]byte, 20))}, "not a SHA-256 thumbprint"},
		"in plain base64":        {jwkscache.KeyName{Thumbprint: strings.Repeat("+", 42) + "A"}, "not a SHA-256 thumbprint"},
	} {
		_, opening := jwkscache.Open(jwkscache.Static([]byte(setOf())), jwkscache.Binding{Forbidden: []jwkscache.KeyName{row.name}})
		for _, err := range []error{
			row.name.Check(), opening, keys.Permit(t.Context(), row.name), keys.Forbid(t.Context(), row.name),
		} {
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("%s: %v, want %q", name, err, row.want)
			}
		}
		forbidden := false
		for _, n := range keys.Status().Forbidden {
			forbidden = forbidden || n == row.name
		}
		if forbidden != (row.want == "") {
			t.Errorf("%s: forbidden is %t", name, forbidden)
		}
		_ = keys.Permit(t.Context(), row.name)
	}
}

// TestForbiddenIsBounded shows that at most 1 000 keys can be forbidden, that
// what is forbidden already can be again, and that permitting makes room.
func TestForbiddenIsBounded(t *testing.T) {
	all := make([]jwkscache.KeyName, 1001)
	for i := range all {
		all[i].KeyID = fmt.Sprint(i)
	}
	source := jwkscache.Static([]byte(setOf(jwk(t, "a"))))
	if _, err := jwkscache.Open(source, jwkscache.Binding{Forbidden: all}); err == nil || !strings.Contains(err.Error(), "Forbidden names 1001 keys; at most 1000") {
		t.Errorf("more than can be: %v", err)
	}
	keys := bindTo(t, source, func(b *jwkscache.Binding) { b.Forbidden = all[:999] })
	must(t, keys.Forbid(t.Context(), all[999]))
	refused := keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "a"})
	if refused == nil || !strings.Contains(refused.Error(), "1000 keys are forbidden already") {
		t.Errorf("one more: %v", refused)
	}
	wants(t, "what could not be forbidden", find(t, keys, "a"), nil)
	must(t, keys.Permit(t.Context(), jwkscache.KeyName{KeyID: "a"})) // which was not forbidden
	must(t, keys.Forbid(t.Context(), all[0]), keys.Forbid(t.Context(), all[999]))
	must(t, keys.Permit(t.Context(), all[500]), keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "a"}))
	wants(t, "in the room made", find(t, keys, "a"), jose.ErrUnknownKey)
	if n := len(keys.Status().Forbidden); n != 1000 {
		t.Errorf("%d are", n)
	}
}

// TestForbidAmongOthers forbids and permits while others look up, hold on and
// refresh: after Forbid has returned, nobody has the key.
func TestForbidAmongOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := jwk(t, "a"), jwk(t, "b")
		s := new(site)
		s.answers(200, setOf(a, b))
		keys := openSite(t, s, within(jwkscache.Limits{MinFresh: 10 * time.Second, DefaultFresh: 10 * time.Second}))
		must(t, keys.Warm(t.Context()))
		go keys.Run(t.Context())
		var all sync.WaitGroup
		stop := make(chan struct{})
		for range 8 {
			all.Go(func() {
				for {
					select {
					case <-stop:
						return
					case <-time.After(3 * time.Millisecond):
					}
					if err := find(t, keys, "a"); err != nil && !errors.Is(err, jose.ErrUnknownKey) {
						t.Error(err)
					}
					wants(t, "the other", find(t, keys, "b"), nil)
					_ = keys.Status()
				}
			})
		}
		for i := range 60 {
			name := jwkscache.KeyName{KeyID: "a"}
			before := held(t, keys, "a")
			must(t, keys.Forbid(t.Context(), name))
			wants(t, "forbidden", find(t, keys, "a"), jose.ErrUnknownKey)
			wants(t, "held", before.check(t), jose.ErrUnknownKey)
			advance(time.Duration(i) * 7 * time.Millisecond)
			wants(t, "forbidden still", find(t, keys, "a"), jose.ErrUnknownKey)
			must(t, keys.Permit(t.Context(), name))
			wants(t, "permitted", find(t, keys, "a"), nil)
			wants(t, "held before", before.check(t), jose.ErrUnknownKey)
		}
		close(stop)
		all.Wait()
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				wants(t, "at once", keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: fmt.Sprint(i % 25)}), nil)
			})
		}
		group.Wait()
		if n := len(keys.Status().Forbidden); n != 25 {
			t.Errorf("%d are forbidden", n)
		}
	})
}
