package issuerkeys_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
)

// thumbprintOf returns the thumbprint of the key with that kid.
func thumbprintOf(t *testing.T, keys *issuerkeys.Keys, kid string) string {
	t.Helper()
	return held(t, keys, kid).key.Thumbprint()
}

// holding is a key that was found, with its Handle.
type holding struct {
	key    *jose.Key
	handle issuerkeys.Handle
}

func held(t *testing.T, keys *issuerkeys.Keys, kid string) holding {
	t.Helper()
	found, err := keys.Find(t.Context(), time.Now(), headerOf(t, kid))
	if err != nil {
		t.Fatal(err)
	}
	return holding{found.Keys[0], found.Handle(found.Keys[0])}
}

// check checks the Handle, and that Live accepts what Check accepts.
func (h holding) check(t *testing.T) error {
	t.Helper()
	live := h.handle.Live() // before Check, which may start a fetch that withdraws the key
	err := h.handle.Check(t.Context(), time.Now())
	if err == nil && live != nil {
		t.Errorf("Live says %v, and Check nothing", live)
	}
	return err
}

// names returns the two names of the key with that kid.
func names(t *testing.T, keys *issuerkeys.Keys, kid string) map[string]jwkscache.KeyName {
	t.Helper()
	return map[string]jwkscache.KeyName{"kid": {KeyID: kid}, "thumbprint": {Thumbprint: thumbprintOf(t, keys, kid)}}
}

// TestForbid covers R-OP-06: a key that is forbidden, by kid or by thumbprint,
// stops at once for new lookups and for Handles. No refresh brings it back, neither
// a 304, nor the same document, nor another one. The other keys stay in use.
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
				wants(t, "permitted: a Handle from before", one.check(t), jose.ErrUnknownKey)
				wants(t, "permitted: the other", other.check(t), nil)
				if status := keys.Status(); len(status.Forbidden) != 0 || len(status.Keys) != 2 {
					t.Errorf("permitted: %+v", status)
				}
				again := held(t, keys, "a")
				wants(t, "permitted: a new Handle", again.check(t), nil)
				must(t, keys.Permit(t.Context(), name)) // which is no error
				wants(t, "permitted twice", again.check(t), nil)
			})
		})
	}
}

// TestForbidDuringFetch shows that a fetch which began before a key was forbidden
// does not bring the key back.
func TestForbidDuringFetch(t *testing.T) {
	bubble(t, func(t *testing.T, issuer *issuertest.Issuer, keys *issuerkeys.Keys) {
		must(t, keys.Warm(t.Context()))
		status := keys.Status()
		name := jwkscache.KeyName{Thumbprint: status.Keys[0].Thumbprint()}
		advance(11 * time.Minute)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Delay: 3 * time.Second})
		token := issuer.Sign(testissuer.Token{})
		wants(t, "stale", verify(t.Context(), keys, token), nil)
		synctest.Wait()
		must(t, keys.Forbid(t.Context(), name))
		wants(t, "meanwhile", verify(t.Context(), keys, token), jose.ErrUnknownKey)
		advance(4 * time.Second)
		wantRequests(t, "fetched", issuer, 2)
		wants(t, "after it", verify(t.Context(), keys, token), jose.ErrUnknownKey)
	})
}

// TestForbidBeforeTheKeyIsPublished shows that a name can be forbidden before its
// key is published: before the first fetch, and for a later set. A forbidden kid
// causes no fetch, and other kids do. Tokens with the kid of a key that is
// forbidden by thumbprint cause one fetch in 30 seconds.
func TestForbidBeforeTheKeyIsPublished(t *testing.T) {
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
		s.wantVisits(t, "forbidden kids", 3)
		wants(t, "another kid", find(t, keys, "x"), jose.ErrUnknownKey)
		s.wantVisits(t, "another kid", 4)
		s.answers(200, setOf(late, jwk(t, "good")))
		advance(10 * time.Second)
		wants(t, "a good kid", find(t, keys, "good"), nil)
		wants(t, "late", find(t, keys, "late"), jose.ErrUnknownKey)
		s.wantVisits(t, "it was published", 5)
	})
}

// TestForbidOneOfAKid shows that of two keys with the same kid, one can be
// forbidden by thumbprint.
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
// thumbprint, and that forbidding the kid of another key does not affect it.
func TestForbidKeyWithoutKid(t *testing.T) {
	key := newKey("")
	keys := bindTo(t, jwkscache.Static(testkey.Set(key)))
	header := sign(t, key, `{"alg":"EdDSA"}`).UnverifiedHeader()
	must(t, keys.Forbid(t.Context(), jwkscache.KeyName{KeyID: "x"}))
	found, err := keys.Find(t.Context(), time.Now(), header)
	wants(t, "another's kid", err, nil)
	must(t, keys.Forbid(t.Context(), jwkscache.KeyName{Thumbprint: found.Keys[0].Thumbprint()}))
	_, err = keys.Find(t.Context(), time.Now(), header)
	wants(t, "its thumbprint", err, jose.ErrUnknownKey)
}

// TestForbiddenOfBinding shows, for each source, that keys which the configuration
// forbids are never used.
func TestForbiddenOfBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		document := setOf(jwk(t, "a"), jwk(t, "b"))
		s := new(site)
		s.answers(200, document)
		path := filepath.Join(t.TempDir(), "jwks.json")
		write(t, path, document)
		forbidden := func(b *issuerkeys.Binding) { b.Forbidden = []jwkscache.KeyName{{KeyID: "b"}} }
		for name, keys := range map[string]*issuerkeys.Keys{
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

// TestForbidDoesNotRefresh shows that Forbid does not count as a refresh: stale
// keys stay stale, and keys that are too old stay unavailable.
func TestForbidDoesNotRefresh(t *testing.T) {
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
		wants(t, "too old", a.check(t), issuerkeys.ErrUnavailable)
		wants(t, "too old", find(t, keys, "a"), issuerkeys.ErrUnavailable)
	})
}

// TestForbidCallsTheHook shows what FetchDone reports for Forbid and Permit.
func TestForbidCallsTheHook(t *testing.T) {
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

// TestKeyName shows which names are valid.
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
		_, opening := issuerkeys.Open(jwkscache.Static([]byte(setOf())), issuerkeys.Binding{Forbidden: []jwkscache.KeyName{row.name}})
		for _, err := range []error{
			issuerkeys.CheckName(row.name), opening, keys.Permit(t.Context(), row.name), keys.Forbid(t.Context(), row.name),
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

// TestForbiddenIsBounded shows that at most 1 000 keys can be forbidden, that a key
// can be forbidden twice, and that Permit makes room.
func TestForbiddenIsBounded(t *testing.T) {
	all := make([]jwkscache.KeyName, 1001)
	for i := range all {
		all[i].KeyID = fmt.Sprint(i)
	}
	source := jwkscache.Static([]byte(setOf(jwk(t, "a"))))
	if _, err := issuerkeys.Open(source, issuerkeys.Binding{Forbidden: all}); err == nil || !strings.Contains(err.Error(), "ForbiddenKeys has 1001 names, and at most 1000") {
		t.Errorf("more than can be: %v", err)
	}
	keys := bindTo(t, source, func(b *issuerkeys.Binding) { b.Forbidden = all[:999] })
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

// TestForbidConcurrently calls Forbid and Permit while other goroutines find keys,
// check Handles and refresh. After Forbid has returned, the key is not found.
func TestForbidConcurrently(t *testing.T) {
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
