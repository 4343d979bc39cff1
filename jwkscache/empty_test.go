package jwkscache_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

const dayFresh = "Cache-Control: max-age=86400"

// unreadable is a JWK of that kid that no version of this package can read.
func unreadable(kid string) string { return fmt.Sprintf(`{"kty":"AKP","kid":%q}`, kid) }

// TestEmptySet covers R-JK-12: a set without usable keys is believed for MinFresh
// from the first one on, whatever Cache-Control says, whoever asks meanwhile and
// however often it is confirmed; then the keys are unavailable, until there are
// some again.
func TestEmptySet(t *testing.T) {
	for name, set := range map[string]string{
		"no keys":            setOf(),
		"none that is legal": setOf(`{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AA","d":"AA"}`, unreadable("b")),
	} {
		for _, fields := range [][]string{{dayFresh}, {dayFresh, `ETag: "1"`}, {"Cache-Control: no-store"}} {
			for _, header := range []string{`{"alg":"EdDSA","kid":"a"}`, noKid} {
				t.Run(fmt.Sprint(name, fields, header), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := new(site)
						key := jwk(t, "a")
						s.answers(200, setOf(key))
						keys, h := openSite(t, s), headerText(t, header)
						find := func() error { _, err := keys.Find(t.Context(), time.Now(), h); return err }
						must(t, keys.Warm(t.Context()))
						for range 2 {
							handle := held(t, keys, "a")
							s.answers(200, set, fields...)
							for keys.Status().Origin == "fetched" && len(keys.Status().Keys) > 0 {
								advance(time.Minute)
								_ = handle.check(t)
								synctest.Wait()
							}
							start := keys.Status().Fetched
							wants(t, "a kept verdict", handle.check(t), jose.ErrUnknownKey)
							if len(fields) > 1 {
								s.answers(304, "")
							}
							for time.Since(start) < 50*time.Second {
								wants(t, "within MinFresh", find(), jose.ErrUnknownKey)
								wants(t, "ready", keys.Ready(), nil)
								advance(3 * time.Second)
							}
							advance(time.Until(start.Add(time.Minute)))
							for range 30 {
								wants(t, "after MinFresh", find(), jwkscache.ErrUnavailable)
								wants(t, "ready", keys.Ready(), jwkscache.ErrUnavailable)
								advance(10 * time.Second)
							}
							if err := keys.Ready(); !strings.Contains(err.Error(), "no usable key") {
								t.Errorf("not ready: %v", err)
							}
							s.answers(200, setOf(key))
							advance(5 * time.Second)
							wants(t, "mended", find(), nil)
						}
					})
				})
			}
		}
	}
}

// TestEmptySetAndRun shows that Run finds the end of an empty set, and that an
// issuer with one is not asked without a pause.
func TestEmptySetAndRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(), dayFresh)
		keys := openSite(t, s)
		go keys.Run(t.Context())
		for range 60 * 20 {
			_ = find(t, keys, "a")
			advance(500 * time.Millisecond)
		}
		wants(t, "after ten minutes", keys.Ready(), jwkscache.ErrUnavailable)
		if n := len(s.visited()); n > 10+2*60*10/5 {
			t.Errorf("asked %d times in ten minutes", n)
		}
		s.answers(200, setOf(jwk(t, "a")))
		advance(time.Minute)
		wants(t, "after the longest pause", keys.Ready(), nil)
	})
}

// encryptionKey is a key to encrypt with; member is its kid, or none.
func encryptionKey(member string) string {
	return `{"kty":"OKP","crv":"Ed25519",` + member + `"use":"enc","x":"AA"}`
}

// TestUnreadableSet covers R-JK-05 and R-JK-12: a refresh whose keys cannot be
// read leaves those of before in use within their bound, as an issuer that is
// down does, and then the keys are unavailable. So it is where keys for another use
// stand beside them, of other kids, or of none, or as before.
func TestUnreadableSet(t *testing.T) {
	const withKid = `{"alg":"EdDSA","kid":"a"}`
	same := func(jwk string) string { return setOf(jwk) }
	kidless := func(jwk string) string { return setOf(withoutKid(jwk)) }
	beside := func(other string) func(string) string {
		return func(jwk string) string { return setOf(jwk, other) }
	}
	for name, row := range map[string]struct {
		header string
		before func(jwk string) string
		set    string
	}{
		"the same kid":                                {withKid, same, setOf(unreadable("a"))},
		"another kid":                                 {withKid, same, setOf(unreadable("b"))},
		"no kid":                                      {withKid, same, setOf(`{"kty":"AKP"}`)},
		"no member is right":                          {withKid, same, setOf(`{}`, `7`)},
		"and a key to encrypt with":                   {withKid, same, setOf(unreadable("a"), encryptionKey(`"kid":"e",`))},
		"a certificate of no use":                     {withKid, same, setOf(`{"kty":"OKP","crv":"Ed25519","kid":"a","x":""}`)},
		"and one that is for nothing":                 {withKid, same, setOf(encryptionKey(""), unreadable("a"))},
		"and one that had the kid":                    {withKid, beside(encryptionKey(`"kid":"a",`)), setOf(unreadable("a"), encryptionKey(`"kid":"a",`))},
		"of no kid before":                            {noKid, kidless, setOf(`{"kty":"AKP"}`)},
		"of no kid before, and a key to encrypt with": {noKid, kidless, setOf(`{"kty":"AKP"}`, encryptionKey(`"kid":"e",`))},
		"of no kid before, and one to encrypt with, of none": {noKid, kidless, setOf(`{"kty":"AKP"}`, encryptionKey(""))},
		"of an empty kid before, and one to encrypt with": {
			`{"alg":"EdDSA","kid":""}`, func(jwk string) string { return setOf(strings.Replace(jwk, `"a"`, `""`, 1)) }, setOf(`{"kty":"AKP"}`, encryptionKey("")),
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told journal
				s := new(site)
				key := jwk(t, "a")
				s.answers(200, row.before(key))
				keys, h := openSite(t, s, told.keep), headerText(t, row.header)
				lookUp := func() (jwkscache.Found, error) { return keys.Find(t.Context(), time.Now(), h) }
				found, err := lookUp()
				must(t, err)
				handle, usable := holding{found.Keys[0], found.Handle(found.Keys[0])}, keys.Status().UsableUntil
				if got := time.Until(usable); got != 70*time.Minute {
					t.Fatalf("usable for %v", got)
				}
				s.answers(200, row.set, dayFresh)
				advance(11 * time.Minute)
				wants(t, "an unknown kid", find(t, keys, "x"), jwkscache.ErrUnavailable)
				if d := told.last(); d.Err == nil || len(d.Ignored) == 0 || len(d.Removed) > 0 {
					t.Errorf("told as %+v", d)
				}
				for time.Now().Before(usable) {
					_, err := lookUp()
					wants(t, "within the bound", err, nil)
					wants(t, "a kept verdict", handle.check(t), nil)
					advance(time.Minute)
				}
				for range 3 {
					_, err := lookUp()
					wants(t, "after the bound", err, jwkscache.ErrUnavailable)
					wants(t, "a kept verdict", handle.check(t), jwkscache.ErrUnavailable)
					advance(time.Minute)
				}
				s.answers(200, row.before(key))
				advance(time.Minute)
				_, err = lookUp()
				wants(t, "mended", err, nil)
			})
		})
	}
}

// TestSetThatWithdrawsAll covers R-JK-06, R-JK-07 and R-JK-13: a set without
// usable keys is believed where it says that those of before are worthless or
// not for signatures.
func TestSetThatWithdrawsAll(t *testing.T) {
	for name, set := range map[string]string{
		"no keys":                       setOf(),
		"another use":                   setOf(`{"kty":"OKP","crv":"Ed25519","kid":"a","use":"enc","x":"AA"}`, unreadable("b")),
		"operations that lack verify":   setOf(`{"kty":"OKP","crv":"Ed25519","kid":"a","key_ops":["sign"],"x":"AA"}`, unreadable("b")),
		"its private half":              setOf(`{"kty":"OKP","crv":"Ed25519","kid":"a","x":"AA","d":"AA"}`, unreadable("b")),
		"nothing but a key of some use": setOf(`{"kty":"OKP","crv":"Ed25519","kid":"e","use":"enc","x":"AA"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(site)
				s.answers(200, setOf(jwk(t, "a")))
				keys := openSite(t, s)
				must(t, keys.Warm(t.Context()))
				handle := held(t, keys, "a")
				s.answers(200, set)
				advance(11 * time.Minute)
				must(t, keys.Warm(t.Context()))
				wants(t, "a kept verdict", handle.check(t), jose.ErrUnknownKey)
				wants(t, "a token", find(t, keys, "a"), jose.ErrUnknownKey)
			})
		})
	}
}

// TestUnreadableFromTheStart shows a set without usable keys where there were none
// before: it is believed for MinFresh. Keys of a fallback serve on, as there is
// no answer yet that could be read.
func TestUnreadableFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(unreadable("a")), dayFresh)
		keys := openSite(t, s)
		wants(t, "at first", find(t, keys, "a"), jose.ErrUnknownKey)
		advance(time.Minute)
		wants(t, "after MinFresh", find(t, keys, "a"), jwkscache.ErrUnavailable)

		other := fallbackOf(t, s, setOf(jwk(t, "a")))
		for range 3 {
			wants(t, "with a fallback", find(t, other, "a"), nil)
			advance(time.Hour)
		}
		if got := other.Status().Origin; got != "fallback" {
			t.Error(got)
		}
	})
}

// TestEmptySetOfSnapshot shows that a restart does not prolong the time for which
// an empty set is believed.
func TestEmptySetOfSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := snapshots(t), new(site)
		s.answers(200, setOf(), dayFresh)
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		advance(40 * time.Second)
		s.down()
		keys := openSite(t, s, kept(dir))
		wants(t, "restarted", find(t, keys, "a"), jwkscache.ErrUnavailable)
		if got := keys.Status(); got.State != "fresh" || got.Origin != "snapshot" {
			t.Errorf("restarted: %+v", got)
		}
		s.answers(200, setOf(), dayFresh)
		advance(20 * time.Second)
		wants(t, "a minute after it was fetched", keys.Warm(t.Context()), jwkscache.ErrUnavailable)
	})
}
