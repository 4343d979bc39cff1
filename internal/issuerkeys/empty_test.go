package issuerkeys_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
)

const dayFresh = "Cache-Control: max-age=86400"

// unreadable returns a JWK with that kid that no version of this package can read.
func unreadable(kid string) string { return fmt.Sprintf(`{"kty":"AKP","kid":%q}`, kid) }

// TestEmptySet covers R-JK-12: a set without usable keys is used for MinFresh from
// the first such set on, whatever Cache-Control says and however often it is
// confirmed. After that the keys are unavailable until a set has a usable key
// again.
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
							wants(t, "the Handle", handle.check(t), jose.ErrUnknownKey)
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
								wants(t, "after MinFresh", find(), issuerkeys.ErrUnavailable)
								wants(t, "ready", keys.Ready(), issuerkeys.ErrUnavailable)
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

// TestEmptySetAndRun shows that Run notices the end of an empty set, and that Run
// does not fetch without a pause while the set stays empty.
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
		wants(t, "after ten minutes", keys.Ready(), issuerkeys.ErrUnavailable)
		if n := len(s.visited()); n > 10+2*60*10/5 {
			t.Errorf("%d fetches in ten minutes", n)
		}
		s.answers(200, setOf(jwk(t, "a")))
		advance(time.Minute)
		wants(t, "after the longest pause", keys.Ready(), nil)
	})
}

// encryptionKey returns a key for encryption. member is its kid member, or "".
func encryptionKey(member string) string {
	return `{"kty":"OKP","crv":"Ed25519",` + member + `"use":"enc","x":"AA"}`
}

// TestUnreadableSet covers R-JK-05 and R-JK-12: if a refresh returns only keys that
// cannot be read, the keys before serve within their bound, as in an outage, and
// are unavailable after that. Keys for another use beside the unreadable ones do
// not change this if they have other kids, no kid, or were there before.
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
				lookUp := func() (issuerkeys.Found, error) { return keys.Find(t.Context(), time.Now(), h) }
				found, err := lookUp()
				must(t, err)
				handle, usable := holding{found.Keys[0], found.Handle(found.Keys[0])}, keys.Status().UsableUntil
				if got := time.Until(usable); got != 70*time.Minute {
					t.Fatalf("usable for %v", got)
				}
				s.answers(200, row.set, dayFresh)
				advance(11 * time.Minute)
				wants(t, "an unknown kid", find(t, keys, "x"), issuerkeys.ErrUnavailable)
				if d := told.last(); d.Err == nil || len(d.Ignored) == 0 || len(d.Removed) > 0 {
					t.Errorf("FetchDone has %+v", d)
				}
				for time.Now().Before(usable) {
					_, err := lookUp()
					wants(t, "within the bound", err, nil)
					wants(t, "the Handle", handle.check(t), nil)
					advance(time.Minute)
				}
				for range 3 {
					_, err := lookUp()
					wants(t, "after the bound", err, issuerkeys.ErrUnavailable)
					wants(t, "the Handle", handle.check(t), issuerkeys.ErrUnavailable)
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

// TestSetThatWithdrawsAll covers R-JK-06, R-JK-07 and R-JK-13: a set without usable
// keys replaces the keys before if it shows that they are compromised or are not
// for signatures.
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
				wants(t, "the Handle", handle.check(t), jose.ErrUnknownKey)
				wants(t, "a token", find(t, keys, "a"), jose.ErrUnknownKey)
			})
		})
	}
}

// TestUnreadableFromTheStart shows that a first set without usable keys is used for
// MinFresh. The keys of a fallback go on serving, because no set could be read yet.
func TestUnreadableFromTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(unreadable("a")), dayFresh)
		keys := openSite(t, s)
		wants(t, "at first", find(t, keys, "a"), jose.ErrUnknownKey)
		advance(time.Minute)
		wants(t, "after MinFresh", find(t, keys, "a"), issuerkeys.ErrUnavailable)

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
// an empty set is used.
func TestEmptySetOfSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := snapshots(t), new(site)
		s.answers(200, setOf(), dayFresh)
		must(t, openSite(t, s, kept(dir)).Warm(t.Context()))
		synctest.Wait()
		advance(40 * time.Second)
		s.down()
		keys := openSite(t, s, kept(dir))
		wants(t, "restarted", find(t, keys, "a"), issuerkeys.ErrUnavailable)
		if got := keys.Status(); got.State != "fresh" || got.Origin != "snapshot" {
			t.Errorf("restarted: %+v", got)
		}
		s.answers(200, setOf(), dayFresh)
		advance(20 * time.Second)
		wants(t, "a minute after it was fetched", keys.Warm(t.Context()), issuerkeys.ErrUnavailable)
	})
}
