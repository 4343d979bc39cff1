package issuerkeys_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// TestOtherAlgorithmInAnOutage (R-JK-12) checks that a token with a known kid and the
// algorithm of another key is not refused for that if the set cannot be fetched: the
// issuer may have replaced the key. It is refused while no fetch is allowed.
func TestOtherAlgorithmInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		must(t, keys.Warm(t.Context()))
		token, err := jose.ParseCompact(encode([]byte(`{"alg":"ES256","kid":"a"}`)) + "." + encode([]byte("{}")) + "." + encode(make([]byte, 64)))
		must(t, err)
		header := token.UnverifiedHeader()
		s.down()
		advance(time.Minute)
		_, err = keys.Find(t.Context(), time.Now(), header)
		wants(t, "the fetch fails", err, issuerkeys.ErrUnavailable)
		_, err = keys.Find(t.Context(), time.Now(), header)
		wants(t, "no fetch is allowed", err, jose.ErrAlgorithm)
	})
}

// TestFindAgainAmongStaticKeys shows that a static key which was permitted since the
// token was looked up is found.
func TestFindAgainAmongStaticKeys(t *testing.T) {
	keys := bindTo(t, jwkscache.Static([]byte(setOf(jwk(t, "k"), jwk(t, "k")))))
	all, err := keys.Find(t.Context(), time.Now(), headerOf(t, "k"))
	must(t, err)
	forbidden := jwkscache.KeyName{Thumbprint: all.Keys[0].Thumbprint()}
	must(t, keys.Forbid(t.Context(), forbidden))
	tried, err := keys.Find(t.Context(), time.Now(), headerOf(t, "k"))
	must(t, err)
	if found, ok := keys.FindAgain(t.Context(), headerOf(t, "k"), tried); ok {
		t.Errorf("%d other keys, although the other one is forbidden", len(found.Keys))
	}
	must(t, keys.Permit(t.Context(), forbidden))
	if found, ok := keys.FindAgain(t.Context(), headerOf(t, "k"), tried); !ok || len(found.Keys) != 1 || found.Keys[0] != all.Keys[0] {
		t.Errorf("%d other keys, %t", len(found.Keys), ok)
	}
}

// TestFindAgainAmongOldKeys (R-JK-12) shows that a key is not found again in a set
// that arrived since the token was looked up and is too old to serve.
func TestFindAgainAmongOldKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(site)
		s.answers(200, setOf(jwk(t, "a")))
		keys := openSite(t, s)
		tried, err := keys.Find(t.Context(), time.Now(), headerOf(t, "a"))
		must(t, err)
		advance(11 * time.Minute)
		s.answers(200, setOf(jwk(t, "a")))
		must(t, keys.Warm(t.Context()))
		s.down()
		advance(time.Until(keys.Status().UsableUntil) - 1)
		if _, ok := keys.FindAgain(t.Context(), headerOf(t, "a"), tried); !ok {
			t.Error("the key that is there instead was not found at the last instant")
		}
		advance(1)
		if _, ok := keys.FindAgain(t.Context(), headerOf(t, "a"), tried); ok {
			t.Error("a key was found that is too old")
		}
	})
}
