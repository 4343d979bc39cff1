package validator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestCacheWithdrawnKey (R-JK-13, R-OP-06): with the refresh that does not bring
// a key any more its tokens are refused, hot ones too, and if the key returns,
// they are verified again.
func TestCacheWithdrawnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v, ctx := trusting(t, nil, issuer), t.Context()
		long := testissuer.Token{Lifetime: 24 * time.Hour}
		old, retired := issuer.SigningKey(), bearer(issuer.Sign(long))
		before := cached(ctx, t, v, retired)
		issuer.Rotate()
		issuer.Retire(old)
		advance(10 * time.Second)
		if accepts(ctx, t, v, retired) != before {
			t.Error("verified again before anybody knows")
		}
		accepts(ctx, t, v, bearer(issuer.Sign(long))) // an unknown kid: the set is fetched
		for range 3 {
			refuses(ctx, t, v, retired, validator.UnknownKey)
			advance(10 * time.Second)
		}
		issuer.Publish(old)
		advance(10 * time.Second)
		after := cached(ctx, t, v, retired)
		if after == before {
			t.Error("not verified again after the key returned")
		}
	})
}

// TestCacheReturningKey: a key that was withdrawn and published again, both
// unnoticed by a token that was not used meanwhile, does not revive its verdict.
func TestCacheReturningKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v, ctx := trusting(t, nil, issuer), t.Context()
		long := testissuer.Token{Lifetime: 24 * time.Hour}
		old, retired := issuer.SigningKey(), bearer(issuer.Sign(long))
		before := cached(ctx, t, v, retired)
		issuer.Rotate()
		issuer.Retire(old)
		advance(10 * time.Second)
		accepts(ctx, t, v, bearer(issuer.Sign(long)))
		issuer.Publish(old)
		issuer.Rotate()
		advance(10 * time.Second)
		accepts(ctx, t, v, bearer(issuer.Sign(long)))
		if accepts(ctx, t, v, retired) == before {
			t.Error("not verified again")
		}
	})
}

// TestCacheStaleKeys: a hit notices stale keys as a first sight does. It is
// served, and starts the refresh, with which a withdrawn key ends (DESIGN §6,
// token cache); Run is not needed for that.
func TestCacheStaleKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v := issuertest.Validator(t, validator.Config{
			Cache: validator.CacheConfig{TTL: time.Hour}, Issuers: []validator.Issuer{issuer.Config(issuer.Fetched)},
		})
		ctx, p := t.Context(), bearer(issuer.Sign(testissuer.Token{Lifetime: 24 * time.Hour}))
		token := cached(ctx, t, v, p)
		for round := range 3 { // fresh for ten minutes each
			advance(10*time.Minute - 1)
			if accepts(ctx, t, v, p) != token || issuer.Requests(testissuer.JWKS) != 1+round {
				t.Fatal("verified or refreshed before the keys are stale")
			}
			advance(1)
			if accepts(ctx, t, v, p) != token {
				t.Fatal("a hit on stale keys is not served")
			}
			synctest.Wait()
			if n := issuer.Requests(testissuer.JWKS); n != 2+round {
				t.Fatalf("%d requests: a hit on stale keys does not refresh them", n)
			}
			if accepts(ctx, t, v, p) != token {
				t.Fatal("verified again although the key is still there")
			}
		}
		old := issuer.SigningKey()
		issuer.Rotate()
		issuer.Retire(old)
		advance(10 * time.Minute)
		if accepts(ctx, t, v, p) != token {
			t.Error("the hit that starts the refresh waits for it")
		}
		synctest.Wait()
		refuses(ctx, t, v, p, validator.UnknownKey)
	})
}

// TestCacheOutage: cached tokens serve for as long as keys do while the issuer
// is down, and are then undeterminable, as all of its tokens (DESIGN §6, token
// cache).
func TestCacheOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v, ctx := trusting(t, nil, issuer), t.Context()
		p := bearer(issuer.Sign(testissuer.Token{Lifetime: 24 * time.Hour}))
		cached(ctx, t, v, p)
		issuer.Down(true)
		const bound = 70 * time.Minute // fresh for ten minutes, stale for an hour
		for range 69 {
			advance(time.Minute)
			cached(ctx, t, v, p)
		}
		advance(time.Minute - 1)
		token := cached(ctx, t, v, p)
		advance(1)
		for range 5 {
			refuses(ctx, t, v, p, validator.Unavailable)
			advance(10 * time.Second)
		}
		issuer.Down(false)
		advance(time.Minute)
		if cached(ctx, t, v, p) == token {
			t.Errorf("not verified again after %v", bound)
		}
	})
}

// TestCacheForbiddenKey (R-OP-06): forbidding a key, by either name, ends what
// is cached of its tokens at once; permitting it brings back the tokens, and not
// the verdicts.
func TestCacheForbiddenKey(t *testing.T) {
	v, ctx := issuertest.Validator(t, baseConfig()), at(0)
	p, unused := bearer(testKey.token(baseClaims)), bearer(testKey.token(baseClaims.with("jti", `"x"`)))
	set, err := jose.ParseSet(jwks(testKey.jwk()), []jose.Algorithm{jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []jwkscache.KeyName{{KeyID: "k1"}, {Thumbprint: set.Keys()[0].Thumbprint()}} {
		before, beforeUnused := cached(ctx, t, v, p), cached(ctx, t, v, unused)
		if err := v.ForbidKey(ctx, testIssuer, name); err != nil {
			t.Fatal(err)
		}
		refuses(ctx, t, v, p, validator.UnknownKey)
		refuses(ctx, t, v, p, validator.UnknownKey)
		if err := v.PermitKey(ctx, testIssuer, name); err != nil {
			t.Fatal(err)
		}
		if accepts(ctx, t, v, p) == before || accepts(ctx, t, v, unused) == beforeUnused {
			t.Errorf("%v: not verified again", name)
		}
	}
}
