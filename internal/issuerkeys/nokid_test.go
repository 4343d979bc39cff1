package issuerkeys_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/testkey"
	"github.com/sallyport-auth/sallyport/jose"
)

// TestRotationWithoutKid covers R-JK-14 where several keys are there: an issuer whose
// keys or tokens have no kid rotates them, and tokens of both keys verify while both are
// published. A key that is published after its first token verifies within 30 seconds.
func TestRotationWithoutKid(t *testing.T) {
	bare := func(k testkey.Key) string { return withoutKid(k.JWK()) }
	named := func(k testkey.Key) string { return k.JWK() }
	for name, row := range map[string]struct {
		header        string
		before, after func(testkey.Key) string // the JWKs of the two keys
	}{
		"no kids":                        {noKid, bare, bare},
		"kids in the keys alone":         {noKid, named, func(k testkey.Key) string { k.ID = "b"; return k.JWK() }},
		"a kid in the new key alone":     {noKid, bare, named},
		"a kid in the old key alone":     {noKid, named, bare},
		"an empty kid in the tokens":     {`{"alg":"EdDSA","kid":""}`, bare, bare},
		"the same kid, and none in both": {`{"alg":"EdDSA","kid":"a"}`, named, named},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, first, second := new(site), newKey("a"), newKey("a")
				s.answers(200, setOf(row.before(first)), dayFresh)
				keys := openSite(t, s)
				verifies := func(what string, key testkey.Key) {
					t.Helper()
					token := sign(t, key, row.header)
					found, err := keys.Find(t.Context(), time.Now(), token.UnverifiedHeader())
					must(t, err)
					if !anyVerifies(found.Keys, token) {
						if found, _ = keys.FindAgain(t.Context(), token.UnverifiedHeader(), found); !anyVerifies(found.Keys, token) {
							t.Errorf("%s: no key verifies the token", what)
						}
					}
				}
				verifies("before", first)
				s.answers(200, setOf(row.before(first), row.after(second)), dayFresh)
				advance(30 * time.Second)
				verifies("the new key, before a refresh", second)
				verifies("the old key, beside it", first)
				verifies("the new key", second)
				s.answers(200, setOf(row.after(second)), dayFresh)
				advance(25 * time.Hour)
				verifies("after all", second)
			})
		})
	}
}

func anyVerifies(keys []*jose.Key, token *jose.Unverified) bool {
	for _, key := range keys {
		if key.Verify(token) == nil {
			return true
		}
	}
	return false
}

// TestForbiddenWithoutKid covers R-OP-06: a key that is forbidden, by kid or by
// thumbprint, verifies no token without kid either.
func TestForbiddenWithoutKid(t *testing.T) {
	for _, by := range []string{"kid", "thumbprint"} {
		synctest.Test(t, func(t *testing.T) {
			s, leaked, good := new(site), newKey("a"), newKey("b")
			s.answers(200, setOf(leaked.JWK(), good.JWK()), dayFresh)
			keys := openSite(t, s)
			must(t, keys.Warm(t.Context()))
			must(t, keys.Forbid(t.Context(), names(t, keys, "a")[by]))
			for key, want := range map[*testkey.Key]bool{&leaked: false, &good: true} {
				token := sign(t, *key, noKid)
				found, err := keys.Find(t.Context(), time.Now(), token.UnverifiedHeader())
				if got := anyVerifies(found.Keys, token); got != want || err != nil {
					t.Errorf("forbidden by %s: %s verifies %t, %v", by, key.ID, got, err)
				}
			}
		})
	}
}

// TestThousandKeys covers R-JK-04: a set of 1 000 keys is used, with each of them.
func TestThousandKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := make([]string, 0, 1000)
		for i := range cap(all) {
			all = append(all, jwk(t, fmt.Sprint(i)))
		}
		s := new(site)
		s.answers(200, setOf(all...))
		keys := openSite(t, s)
		must(t, keys.Warm(t.Context()))
		for i := range all {
			wants(t, fmt.Sprint(i), find(t, keys, fmt.Sprint(i)), nil)
		}
		if got := keys.Status(); len(got.Keys) != 1000 || len(got.Ignored) != 0 {
			t.Errorf("%d keys, %d ignored", len(got.Keys), len(got.Ignored))
		}
	})
}
