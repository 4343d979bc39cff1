package validator_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// A cached token is told from one that was verified anew by its address: each
// verification mints another.

// accepts validates p and wants it accepted.
func accepts(ctx context.Context, t *testing.T, v *validator.Validator, p validator.Presentation) *validator.Token {
	t.Helper()
	token, err := v.Validate(ctx, p)
	if err != nil {
		t.Fatalf("refused: %v (%v)", err, causeOf(err))
	}
	return token
}

// refuses validates p and wants it refused.
func refuses(ctx context.Context, t *testing.T, v *validator.Validator, p validator.Presentation, want validator.Reason) {
	t.Helper()
	token, err := v.Validate(ctx, p)
	if got := validator.ReasonOf(err); got != want || token != nil {
		t.Fatalf("%v, %q (%v), want %q", token, string(got), causeOf(err), string(want))
	}
}

// cached makes v verify p, and checks that it is not verified again.
func cached(ctx context.Context, t *testing.T, v *validator.Validator, p validator.Presentation) *validator.Token {
	t.Helper()
	token := accepts(ctx, t, v, p)
	for range 2 { // the second hit is one of a token in use
		if accepts(ctx, t, v, p) != token {
			t.Fatal("it is verified again")
		}
	}
	return token
}

// TestCacheHit: a token that was verified is not verified again, which takes no
// memory, and the same facts are answered; other tokens are others.
func TestCacheHit(t *testing.T) {
	config := baseConfig()
	config.Issuers[0].Keys = keysOf(testKey, ec256Key(), rsaSigner(jose.RS256, "rs256"))
	v, ctx := newValidator(t, config), at(0)
	seen := map[*validator.Token]bool{}
	for _, text := range []string{
		testKey.token(baseClaims), testKey.token(baseClaims.with("jti", `"jti-0002"`)), ec256Key().token(baseClaims),
		rsaSigner(jose.RS256, "rs256").token(baseClaims), testKey.token(baseClaims.with("pad", `"`+strings.Repeat("a", 1000)+`"`)),
	} {
		p := bearer(text)
		token := cached(ctx, t, v, p)
		if seen[token] {
			t.Error("two tokens share a verdict")
		}
		seen[token] = true
		if n := testing.AllocsPerRun(100, func() { _, _ = v.Validate(ctx, p) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
	if n, _ := validator.Kept(v); n != len(seen) {
		t.Errorf("%d tokens are kept, want %d", n, len(seen))
	}
	// What one Validator has verified means nothing to another.
	p := bearer(testKey.token(baseClaims))
	if accepts(ctx, t, newValidator(t, config), p) == accepts(ctx, t, v, p) {
		t.Error("two validators share a verdict")
	}
}

// TestCacheOff: every token is verified every time.
func TestCacheOff(t *testing.T) {
	config := baseConfig()
	config.Cache.Off = true
	v, p := newValidator(t, config), bearer(testKey.token(baseClaims))
	first := accepts(at(0), t, v, p)
	if accepts(at(0), t, v, p) == first {
		t.Error("it is not verified again")
	}
	p.Demands.Audiences = []string{"https://b.example.com"}
	refuses(at(0), t, v, p, validator.WrongAudience)
	refuses(at(0), t, v, bearer(foreignKey.token(baseClaims)), validator.BadSignature)
}

// TestCacheSpelling: whatever differs in one bit from a token that is cached is
// judged as it is without a cache.
func TestCacheSpelling(t *testing.T) {
	off := baseConfig()
	off.Cache.Off = true
	v, plain, ctx := newValidator(t, baseConfig()), newValidator(t, off), at(0)
	text := testKey.token(baseClaims)
	token := cached(ctx, t, v, bearer(text))
	last := strings.LastIndexByte(text, '.')
	variants := []string{
		text + "=", text + "==", text + " ", " " + text, text + "\n", text + "\x00", text + ".", "." + text, text + "A", text + text,
		text[:len(text)-1], text[1:], text[:last], text[:last+1], "", strings.ToUpper(text), strings.ToLower(text),
		foreignKey.token(baseClaims), text[:last] + testKey.token(baseClaims.with("jti", `"x"`))[last:],
		"Bearer " + text, strings.Repeat("a", len(text)),
	}
	for i := range text {
		for bit := range 8 {
			changed := []byte(text)
			changed[i] ^= 1 << bit
			variants = append(variants, string(changed))
		}
	}
	for _, variant := range variants {
		_, want := plain.Validate(ctx, bearer(variant))
		if want == nil {
			t.Fatalf("accepted without a cache: %q", variant)
		}
		if got, err := v.Validate(ctx, bearer(variant)); got != nil || validator.ReasonOf(err) != validator.ReasonOf(want) {
			t.Fatalf("%v, want %v: %q", err, want, variant)
		}
	}
	if accepts(ctx, t, v, bearer(text)) != token {
		t.Error("the token is verified again")
	}
	if n, _ := validator.Kept(v); n != 1 {
		t.Errorf("%d tokens are kept", n)
	}
}

// TestCacheOtherSignature: another good signature of the same claims is another
// token, also the one that anybody can make of an ECDSA signature.
func TestCacheOtherSignature(t *testing.T) {
	key := ec256Key()
	config := baseConfig()
	config.Issuers[0].Keys = keysOf(key)
	v, ctx := newValidator(t, config), at(0)
	text := key.token(baseClaims)
	signed, encoded := text[:strings.LastIndexByte(text, '.')], text[strings.LastIndexByte(text, '.')+1:]
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := key.key.(*ecdsa.PrivateKey)
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(private.Params().N, s).FillBytes(signature[32:])
	seen := map[*validator.Token]bool{cached(ctx, t, v, bearer(text)): true}
	for _, other := range []string{signed + "." + b64(string(signature)), key.token(baseClaims), key.token(baseClaims)} {
		token := cached(ctx, t, v, bearer(other))
		if other == text || seen[token] {
			t.Error("another signature is not verified")
		}
		seen[token] = true
	}
}

// TestCacheExpiry (R-CL-06, R-CL-09, R-AT-09): what is kept ends at exp itself;
// what the leeway allows is verified every time, and the edge is as sharp as
// without a cache.
func TestCacheExpiry(t *testing.T) {
	const exp = 3600 * time.Second // after testNow
	for configured, leeway := range map[time.Duration]time.Duration{
		0: 30 * time.Second, validator.NoLeeway: 0, 1: 1, 10 * time.Second: 10 * time.Second, time.Minute: time.Minute,
	} {
		t.Run(configured.String(), func(t *testing.T) {
			config := baseConfig()
			config.Leeway.Expiry = configured
			v, p := newValidator(t, config), bearer(testKey.token(baseClaims))
			token := cached(at(0), t, v, p)
			if accepts(at(exp-1), t, v, p) != token {
				t.Error("verified again before exp")
			}
			if leeway > 0 {
				first := accepts(at(exp), t, v, p)
				if second := accepts(at(exp+leeway-1), t, v, p); first == token || second == token || first == second {
					t.Error("not verified again on the leeway")
				}
				if n, _ := validator.Kept(v); n != 0 {
					t.Error("a token is kept on the leeway")
				}
				token = cached(at(exp-1), t, v, p) // a clock that goes back
			}
			refuses(at(exp+leeway), t, v, p, validator.Expired)
			refuses(at(1000*time.Hour), t, v, p, validator.Expired)
			if n, _ := validator.Kept(v); n != 0 {
				t.Error("an expired token is kept")
			}
			if accepts(at(exp-1), t, v, p) == token {
				t.Error("what was dropped is believed again")
			}
		})
	}
}

// TestCacheExpiryByTheClock is TestCacheExpiry by time that passes (R-CL-06).
func TestCacheExpiryByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
		v, ctx := trusting(t, nil, issuer), t.Context()
		p := bearer(issuer.Sign(testissuer.Token{Lifetime: 2 * time.Minute}))
		token := cached(ctx, t, v, p)
		advance(2*time.Minute - 1)
		if accepts(ctx, t, v, p) != token {
			t.Error("verified again before exp")
		}
		advance(1)
		if accepts(ctx, t, v, p) == token {
			t.Error("not verified again at exp")
		}
		advance(30*time.Second - 1)
		accepts(ctx, t, v, p)
		advance(1)
		refuses(ctx, t, v, p, validator.Expired)
	})
}

// TestCacheFuture (R-CL-07, R-CL-08): a clock that goes back, or another that
// is asked for the next request, refuses what lies ahead then.
func TestCacheFuture(t *testing.T) {
	var done validator.ValidateDone
	config := baseConfig()
	config.Trace = &validator.Trace{ValidateDone: func(_ context.Context, d validator.ValidateDone) { done = d }}
	v := newValidator(t, config)
	for _, claim := range []string{"nbf", "iat", "auth_time"} {
		t.Run(claim, func(t *testing.T) {
			p := bearer(testKey.token(baseClaims.with("iat", "0").with(claim, "1700000000")))
			token := cached(at(0), t, v, p)
			refuses(at(-30*time.Second-1), t, v, p, validator.NotYetValid)
			refuses(at(-1000*time.Hour), t, v, p, validator.NotYetValid)
			if done.Issuer != testIssuer || done.Reason != validator.NotYetValid {
				t.Errorf("hooks are told %+v", done)
			}
			if accepts(at(-30*time.Second), t, v, p) != token || accepts(at(0), t, v, p) != token {
				t.Error("verified again although nothing but the clock has changed")
			}
		})
	}
}

// TestCacheAge: a verdict is believed for MaxAge, however often it is used.
func TestCacheAge(t *testing.T) {
	for configured, age := range map[time.Duration]time.Duration{0: 5 * time.Minute, time.Second: time.Second, time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			config := baseConfig()
			config.Cache.MaxAge = configured
			v, ctx := newValidator(t, config), at(0)
			p := bearer(testKey.token(baseClaims))
			token := cached(ctx, t, v, p)
			for range 3 {
				advance(age / 2)
				if accepts(ctx, t, v, p) != token {
					t.Errorf("%v: verified again after half of it", age)
				}
				advance(age - age/2 - 1)
				if accepts(ctx, t, v, p) != token {
					t.Errorf("%v: verified again before it is over", age)
				}
				advance(1)
				next := accepts(ctx, t, v, p)
				if next == token {
					t.Errorf("%v: not verified again after it", age)
				}
				if validator.InUse(v) != 1 {
					t.Errorf("%v: the token has lost its place among those in use", age)
				}
				token = cached(ctx, t, v, p)
				if token != next {
					t.Errorf("%v: verified again at once", age)
				}
			}
			if n, _ := validator.Kept(v); n != 1 {
				t.Errorf("%d tokens are kept", n)
			}
		})
	}
}

// TestCacheWithdrawnKey (R-JK-13, R-OP-06): with the refresh that does not bring
// a key any more its tokens are refused, hot ones too, and if the key returns,
// they are verified again.
func TestCacheWithdrawnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := startIssuer(t, "")
		defer issuer.Close()
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
		issuer := startIssuer(t, "")
		defer issuer.Close()
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
		issuer := startIssuer(t, "")
		defer issuer.Close()
		v, err := validator.New(validator.Config{Cache: validator.CacheConfig{MaxAge: time.Hour}, Issuers: []validator.Issuer{{
			URL: issuer.URL(), Audiences: []string{"https://api.test"}, HTTPClient: issuer.Client(),
		}}})
		if err != nil {
			t.Fatal(err)
		}
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
		issuer := startIssuer(t, "")
		defer issuer.Close()
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
	v, ctx := newValidator(t, baseConfig()), at(0)
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

// TestCacheDemands (R-AT-07, R-CL-03, R-CL-05, R-CL-11, R-SC-12): what a route demands is judged on every
// hit, whichever route a token was first seen on.
func TestCacheDemands(t *testing.T) {
	const a, b, foreign = "https://a.example.com", "https://b.example.com", "https://foreign.example.com"
	for _, row := range []struct {
		name   string
		claims object
		good   validator.Demands
		bad    validator.Demands
		want   validator.Reason
	}{
		{"audience", baseClaims.with("aud", `"`+a+`"`), validator.Demands{Audiences: []string{a}}, validator.Demands{Audiences: []string{b}}, validator.WrongAudience},
		{"sole audience", baseClaims.with("aud", `["`+a+`","`+foreign+`"]`), validator.Demands{}, validator.Demands{SoleAudience: true}, validator.WrongAudience},
		{
			"lifetime", baseClaims.with("exp", "1700003540"),
			validator.Demands{MaxLifetime: time.Hour},
			validator.Demands{MaxLifetime: time.Hour - 1},
			validator.BadClaims,
		},
		{"age", baseClaims, validator.Demands{MaxAge: time.Minute}, validator.Demands{MaxAge: time.Minute - 1}, validator.BadClaims},
		{"binding", baseClaims, validator.Demands{}, validator.Demands{SenderConstrained: true}, validator.BindingMismatch},
	} {
		t.Run(row.name, func(t *testing.T) {
			var done validator.ValidateDone
			config := baseConfig()
			config.Issuers[0].Audiences = []string{a, b, testAudience}
			config.Trace = &validator.Trace{ValidateDone: func(_ context.Context, d validator.ValidateDone) { done = d }}
			good, bad := bearer(testKey.token(row.claims)), bearer(testKey.token(row.claims))
			good.Demands, bad.Demands = row.good, row.bad
			told := func(want validator.Reason, token *validator.Token) {
				t.Helper()
				if done.Issuer != testIssuer || done.Reason != want || done.Token != token {
					t.Errorf("hooks are told %+v", done)
				}
			}

			v := newValidator(t, config)
			token := cached(at(0), t, v, good)
			told("", token)
			refuses(at(0), t, v, bad, row.want)
			told(row.want, nil)
			if accepts(at(0), t, v, good) != token {
				t.Error("verified again after another route refused it")
			}

			v = newValidator(t, config)
			refuses(at(0), t, v, bad, row.want)
			told(row.want, nil)
			if n, _ := validator.Kept(v); n != 1 {
				t.Error("the facts are not kept")
			}
			refuses(at(0), t, v, bad, row.want)
			cached(at(0), t, v, good)
			refuses(at(0), t, v, bad, row.want)
		})
	}
}

// TestCacheAgeDemanded (R-CL-11): a token that is kept grows too old for a route,
// and stays good for others.
func TestCacheAgeDemanded(t *testing.T) {
	v := newValidator(t, baseConfig())
	p := bearer(testKey.token(baseClaims)) // a minute old
	p.Demands.MaxAge = 2 * time.Minute
	token := cached(at(0), t, v, p)
	if accepts(at(time.Minute), t, v, p) != token {
		t.Error("verified again")
	}
	refuses(at(time.Minute+1), t, v, p, validator.BadClaims)
	p.Demands.MaxAge = 0
	if accepts(at(time.Minute+1), t, v, p) != token {
		t.Error("verified again after a route refused it")
	}
}

// TestCachePresentation: a hit does not pass over what is judged before it.
func TestCachePresentation(t *testing.T) {
	v := newValidator(t, baseConfig())
	p := bearer(testKey.token(baseClaims))
	cached(at(0), t, v, p)
	p.Scheme = validator.DPoP
	refuses(at(0), t, v, p, validator.BindingMismatch)
	p.Scheme = 0
	refuses(at(0), t, v, p, validator.NoCredentials)
}

// TestCacheKeepsNoRefusal: nothing is kept of a token that was refused, so that a
// flood of such displaces nothing.
func TestCacheKeepsNoRefusal(t *testing.T) {
	v := newValidator(t, baseConfig())
	for name, p := range map[string]validator.Presentation{
		"bad signature":   bearer(foreignKey.token(baseClaims)),
		"unknown key":     bearer(edSigner("k2", "another").token(baseClaims)),
		"unknown issuer":  bearer(testKey.token(baseClaims.with("iss", `"https://evil.example"`))),
		"expired":         bearer(testKey.token(baseClaims.with("exp", "1600000000"))),
		"not yet valid":   bearer(testKey.token(baseClaims.with("nbf", "1800000000"))),
		"wrong audience":  bearer(testKey.token(baseClaims.with("aud", `"https://evil.example"`))),
		"wrong type":      bearer(testKey.sign(testKey.header().with("typ", `"JWT"`).text(), baseClaims.text())),
		"no subject":      bearer(testKey.token(baseClaims.without("sub"))),
		"bound":           bearer(testKey.token(baseClaims.with("cnf", `{"jkt":"x"}`))),
		"no token":        bearer("a.b.c"),
		"none":            {},
		"other algorithm": bearer(ec384Key().token(baseClaims)),
	} {
		for range 2 {
			if _, err := v.Validate(at(0), p); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
	}
	if n, bytes := validator.Kept(v); n != 0 || bytes != 0 {
		t.Errorf("%d tokens, %d bytes are kept", n, bytes)
	}
}

// TestCacheHoldsNoToken (D9): whoever reads the memory of the process finds the
// claims of cached tokens, and neither a token nor its signature. Dead memory
// may show through in places, such as behind the end of what got it next; what
// is kept is found of every token.
func TestCacheHoldsNoToken(t *testing.T) {
	v := newValidator(t, baseConfig())
	claims := func(n int) object { return baseClaims.with("jti", fmt.Sprintf(`"jti-of-token-%d"`, n)) }
	const tokens = 64
	control := testKey.token(claims(tokens)) // held by the test
	apart(func() {
		for n := range tokens {
			p := bearer(testKey.token(claims(n)))
			for range 3 {
				if _, err := v.Validate(at(0), p); err != nil {
					t.Error(err)
				}
			}
		}
	})
	memory := heapDump(t)
	if n, _ := validator.Kept(v); n != tokens {
		t.Errorf("%d tokens are kept", n)
	}
	if !bytes.Contains(memory, parts(control)[0]) || !bytes.Contains(memory, parts(control)[1]) {
		t.Error("a token that is held is not found")
	}
	runtime.KeepAlive(control)
	var found [3]int
	for n := range tokens {
		if !bytes.Contains(memory, fmt.Appendf(nil, `"jti-of-token-%d"`, n)) {
			t.Error("the claims of a cached token are not found")
		}
		for i, part := range parts(testKey.token(claims(n))) { // an Ed25519 signature is the same every time
			if bytes.Contains(memory, part) {
				found[i]++
			}
		}
	}
	for i, part := range []string{"payload as sent", "signature as sent", "signature"} {
		if found[i] > tokens/4 {
			t.Errorf("the %s of %d tokens is in memory", part, found[i])
		}
	}
	t.Logf("shows through: %v of %d", found, tokens)
}

// apart runs f in a goroutine, whose stack is gone when it has ended.
func apart(f func()) {
	var group sync.WaitGroup
	group.Go(f)
	group.Wait()
}

// parts are what would give a token away: its payload and its signature, as
// sent, and the signature decoded.
func parts(token string) [][]byte {
	segments := strings.Split(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(segments[2])
	if err != nil {
		panic(err)
	}
	return [][]byte{[]byte(segments[1][len(segments[1])-100:]), []byte(segments[2]), signature}
}

// heapDump is the memory of the process: what is reachable, and stacks.
func heapDump(t *testing.T) []byte {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "heap"))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.GC() // also of what pools let go
	debug.WriteHeapDump(file.Fd())
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	memory, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return memory
}

// cacheFaults are configurations of the cache with one fault each.
var cacheFaults = map[string]validator.CacheConfig{
	"Cache.Entries is 63; allowed are 64 to 10000000":                     {Entries: 63},
	"Cache.Entries is -1; allowed":                                        {Entries: -1},
	"Cache.Entries is 10000001; allowed":                                  {Entries: 10_000_001},
	"Cache.Entries is 1; allowed":                                         {Entries: 1, Off: true},
	"Cache.Bytes is 4194303; allowed are 4194304 to 68719476736, or 0":    {Bytes: 4<<20 - 1},
	"Cache.Bytes is -1; allowed":                                          {Bytes: -1},
	"Cache.MaxAge is 999.999999ms; allowed are 1s to 1h0m0s, or 0 for 5m": {MaxAge: time.Second - 1},
	"Cache.MaxAge is 1h0m0.000000001s; allowed":                           {MaxAge: time.Hour + 1},
	"Cache.MaxAge is -1ns; allowed":                                       {MaxAge: -1},
}

// TestCacheFaults (R-OP-01): each fault is told, and all at once.
func TestCacheFaults(t *testing.T) {
	config := baseConfig()
	for want, cache := range cacheFaults {
		config.Cache = cache
		v, err := validator.New(config)
		if v != nil || err == nil || !strings.HasPrefix(err.Error(), "validator: "+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if largest := int64(64 << 30); math.MaxInt > largest { // not on 32 bits
		config.Cache = validator.CacheConfig{Bytes: int(largest) + 1}
		if _, err := validator.New(config); err == nil || !strings.HasPrefix(err.Error(), "validator: Cache.Bytes is 68719476737; allowed") {
			t.Errorf("%v", err)
		}
		config.Cache.Bytes = int(largest)
		if _, err := validator.New(config); err != nil {
			t.Error(err)
		}
	}
	config.Cache = validator.CacheConfig{Entries: 63, Bytes: 1, MaxAge: 1}
	config.MaxTokenBytes = 1
	if _, err := validator.New(config); err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Errorf("%v, want four faults", err)
	}
	config.MaxTokenBytes = 0
	for _, cache := range []validator.CacheConfig{
		{}, {Off: true}, {Entries: 64, Bytes: 4 << 20, MaxAge: time.Second}, {Entries: 100_000, MaxAge: time.Hour},
	} {
		config.Cache = cache
		if _, err := validator.New(config); err != nil {
			t.Errorf("%+v: %v", cache, err)
		}
	}
}

// tenantOf is what the tests tell of a tenant.
func tenantOf(url string, keys jwkscache.Source, audiences ...string) finder {
	return answering(validator.Issuer{URL: url, Audiences: audiences, Keys: keys, Grants: allScopes})
}

// tenantKeys are one source: another is another configuration.
var tenantKeys = keysOf(testKey)

const tenantA, tenantB = "https://a.as.example.com", "https://b.as.example.com"

// withTenants makes a validator for tenants A and B, whose verdicts last for an
// hour.
func withTenants(t *testing.T, most int) (*validator.Validator, *directory) {
	t.Helper()
	d := newDirectory()
	d.set(tenantA, tenantOf(tenantA, tenantKeys, testAudience))
	d.set(tenantB, tenantOf(tenantB, tenantKeys, testAudience))
	return newValidator(t, validator.Config{
		Tenants: d.find, MaxTenants: most, Cache: validator.CacheConfig{MaxAge: time.Hour},
	}), d
}

func ofTenant(url string) validator.Presentation {
	return bearer(testKey.token(baseClaims.with("iss", `"`+url+`"`)))
}

// TestCacheTenants (R-CL-18): verdicts of a tenant last as long as what they
// rest on is known to be so, and go with it.
func TestCacheTenants(t *testing.T) {
	a, b := ofTenant(tenantA), ofTenant(tenantB)
	for _, row := range []struct {
		name string
		do   func(*validator.Validator, *directory)
		want validator.Reason // "" and again: verified anew
		same bool             // still the same verdict
	}{
		{"nothing", func(*validator.Validator, *directory) {}, "", true},
		{"renewed, the same", func(*validator.Validator, *directory) { advance(4 * time.Minute) }, "", true},
		{"renewed by whoever waits, the same", func(*validator.Validator, *directory) { advance(30 * time.Minute) }, "", false},
		{"changed", func(_ *validator.Validator, d *directory) {
			d.set(tenantA, tenantOf(tenantA, tenantKeys, testAudience, "https://more.example.com"))
			advance(5 * time.Minute)
		}, "", false},
		{"changed so that it is refused", func(_ *validator.Validator, d *directory) {
			d.set(tenantA, tenantOf(tenantA, tenantKeys, "https://other.example.com"))
			advance(5 * time.Minute)
		}, validator.WrongAudience, false},
		{"changed keys", func(_ *validator.Validator, d *directory) {
			d.set(tenantA, tenantOf(tenantA, keysOf(foreignKey), testAudience))
			advance(5 * time.Minute)
		}, validator.BadSignature, false},
		{"forgotten, the same", func(v *validator.Validator, _ *directory) { v.ForgetTenant(tenantA) }, "", false},
		{"forgotten, removed", func(v *validator.Validator, d *directory) {
			d.set(tenantA, nil)
			v.ForgetTenant(tenantA)
		}, validator.UnknownIssuer, false},
		{"forgotten, cannot be asked", func(v *validator.Validator, d *directory) {
			d.set(tenantA, failing(errors.New("the database is down")))
			v.ForgetTenant(tenantA)
		}, validator.Unavailable, false},
		{"removed", func(_ *validator.Validator, d *directory) {
			d.set(tenantA, nil)
			advance(5 * time.Minute)
		}, validator.UnknownIssuer, false},
		{"the other forgotten", func(v *validator.Validator, _ *directory) { v.ForgetTenant(tenantB) }, "", true},
		{"cannot be asked", func(_ *validator.Validator, d *directory) {
			d.set(tenantA, failing(errors.New("the database is down")))
			advance(59 * time.Minute)
		}, "", false},
		{"cannot be asked for too long", func(_ *validator.Validator, d *directory) {
			d.set(tenantA, failing(errors.New("the database is down")))
			advance(time.Hour)
		}, validator.Unavailable, false},
		{"idle", func(v *validator.Validator, _ *directory) {
			ctx, cancel := context.WithTimeout(context.Background(), 62*time.Minute)
			defer cancel()
			_ = v.Run(ctx)
		}, "", false},
		{"key forbidden", func(v *validator.Validator, _ *directory) {
			_ = v.ForbidKey(context.Background(), tenantA, jwkscache.KeyName{KeyID: "k1"})
		}, validator.UnknownKey, false},
		{"key forbidden while unknown", func(v *validator.Validator, d *directory) {
			v.ForgetTenant(tenantA)
			d.set(tenantA, failing(errors.New("the database is down")))
			_ = v.ForbidKey(context.Background(), tenantA, jwkscache.KeyName{KeyID: "k1"})
			d.set(tenantA, tenantOf(tenantA, tenantKeys, testAudience))
			advance(5 * time.Second)
		}, validator.UnknownKey, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, d := withTenants(t, 0)
				before := cached(at(0), t, v, a)
				if cached(at(0), t, v, b) == before {
					t.Error("two tenants share a verdict")
				}
				row.do(v, d)
				if row.want != "" {
					refuses(at(0), t, v, a, row.want)
					refuses(at(0), t, v, a, row.want)
				} else if after := accepts(at(0), t, v, a); (after == before) != row.same {
					t.Errorf("the same verdict: %t, want %t", after == before, row.same)
				}
				synctest.Wait()
			})
		})
	}
}

// TestCacheTenantRenewed: a hit renews what is known of a tenant in the
// background, and the answer to that is heeded.
func TestCacheTenantRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := withTenants(t, 0)
		a := ofTenant(tenantA)
		token := cached(at(0), t, v, a)
		d.set(tenantA, nil)
		advance(4*time.Minute - 1)
		cached(at(0), t, v, a)
		synctest.Wait()
		if d.times(tenantA) != 1 {
			t.Errorf("%d calls before it is time", d.times(tenantA))
		}
		advance(1)
		if accepts(at(0), t, v, a) != token {
			t.Error("a hit waits for the renewal")
		}
		synctest.Wait()
		refuses(at(0), t, v, a, validator.UnknownIssuer)
	})
}

// TestCacheTenantAwaited (R-CL-06, R-OP-08): what changes while a hit waits for
// what Tenants says is heeded.
func TestCacheTenantAwaited(t *testing.T) {
	for name, row := range map[string]struct {
		do   func(*validator.Validator)
		left time.Duration // until exp, when the wait begins
		want validator.Reason
	}{
		"nothing": {func(*validator.Validator) {}, time.Hour, ""},
		"expiry":  {func(*validator.Validator) {}, 2 * time.Second, validator.Expired},
		"key forbidden": {func(v *validator.Validator) {
			_ = v.ForbidKey(context.Background(), tenantA, jwkscache.KeyName{KeyID: "k1"})
		}, time.Hour, validator.UnknownKey},
		"forgotten": {func(v *validator.Validator) { v.ForgetTenant(tenantA) }, time.Hour, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			d.set(tenantA, tenantOf(tenantA, tenantKeys, testAudience))
			v := newValidator(t, validator.Config{
				Tenants: d.find, Cache: validator.CacheConfig{MaxAge: time.Hour},
				Leeway: validator.Leeway{Expiry: validator.NoLeeway},
			})
			now := func(offset time.Duration) string {
				return strconv.FormatInt(time.Now().Add(offset).Unix(), 10)
			}
			a := bearer(testKey.token(baseClaims.with("iss", `"`+tenantA+`"`).with("iat", now(-time.Second)).with("nbf", now(-time.Second)).
				with("exp", now(6*time.Minute+row.left))))
			cached(t.Context(), t, v, a)
			advance(6 * time.Minute)
			d.set(tenantA, late(4*time.Second, tenantOf(tenantA, tenantKeys, testAudience)))
			verdict := make(chan error, 1)
			go func() {
				_, err := v.Validate(t.Context(), a)
				verdict <- err
			}()
			advance(time.Second)
			row.do(v)
			if got := validator.ReasonOf(<-verdict); got != row.want {
				t.Errorf("%s: %q, want %q", name, got, row.want)
			}
		})
	}
}

// TestCacheTenantEvicted: a tenant that had to give way is asked for anew, and its
// verdicts are gone.
func TestCacheTenantEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := withTenants(t, 1)
		a, b := ofTenant(tenantA), ofTenant(tenantB)
		before := cached(at(0), t, v, a)
		cached(at(0), t, v, b)
		d.set(tenantA, nil)
		refuses(at(0), t, v, a, validator.UnknownIssuer)
		d.set(tenantA, tenantOf(tenantA, tenantKeys, testAudience))
		advance(10 * time.Second)
		if cached(at(0), t, v, a) == before {
			t.Error("not verified again")
		}
	})
}

// TestCacheTenantOvertaken: what Tenants said before ForgetTenant, and was heard
// after it, serves those who were waiting and nobody later.
func TestCacheTenantOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := withTenants(t, 0)
		a := ofTenant(tenantA)
		hold := make(chan struct{})
		d.set(tenantA, held(hold, tenantOf(tenantA, tenantKeys, testAudience)))
		waiting := make(chan *validator.Token)
		go func() {
			token, _ := v.Validate(at(0), a)
			waiting <- token
		}()
		synctest.Wait()
		v.ForgetTenant(tenantA)
		d.set(tenantA, nil)
		close(hold)
		if <-waiting == nil {
			t.Log("who waited is refused, which may be")
		}
		refuses(at(0), t, v, a, validator.UnknownIssuer)
		if d.times(tenantA) != 2 {
			t.Errorf("%d calls: nobody asked again", d.times(tenantA))
		}
		d.set(tenantA, tenantOf(tenantA, tenantKeys, testAudience))
		advance(10 * time.Second)
		cached(at(0), t, v, a)
	})
}

// TestCacheTenantAllocations: a hit of a tenant takes no memory either.
func TestCacheTenantAllocations(t *testing.T) {
	v, _ := withTenants(t, 0)
	ctx, a := at(0), ofTenant(tenantA)
	cached(ctx, t, v, a)
	if n := testing.AllocsPerRun(100, func() { _, _ = v.Validate(ctx, a) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

// TestCacheFirstSights: many first sights of one token at once are all accepted,
// and leave one verdict.
func TestCacheFirstSights(t *testing.T) {
	v := newValidator(t, baseConfig())
	for n := range 50 {
		p := bearer(testKey.token(baseClaims.with("jti", fmt.Sprintf("%q", fmt.Sprint(n)))))
		var tokens sync.Map
		var group sync.WaitGroup
		for range 16 {
			group.Go(func() {
				token, err := v.Validate(at(0), p)
				if err != nil || token.ID() != fmt.Sprint(n) {
					t.Errorf("%v, %v", token, err)
				}
				tokens.Store(token, true)
			})
		}
		group.Wait()
		token := cached(at(0), t, v, p)
		if _, found := tokens.Load(token); !found {
			t.Error("the verdict is nobody's")
		}
		if kept, _ := validator.Kept(v); kept != n+1 {
			t.Fatalf("%d tokens are kept, want %d", kept, n+1)
		}
	}
}

// phase is what the storm's tokens may get.
type phase int32

const (
	changing phase = iota // either
	accepted
	refused
)

// stormPhase is how long a phase of a storm lasts.
const stormPhase = 100 * time.Millisecond

// storm validates the tokens of many callers in a bubble while change runs, and
// holds each verdict that began and ended in one phase against it.
func storm(ctx context.Context, t *testing.T, v *validator.Validator, tokens []validator.Presentation, change func(enter func(phase))) {
	t.Helper()
	const phases = 3
	var epoch atomic.Int64 // the phases so far; the remainder is the present one
	enter := func(next phase) { epoch.Store((epoch.Load()/phases+1)*phases + int64(next)) }
	var judged [phases]atomic.Int64
	var done atomic.Bool
	round := func(p validator.Presentation) {
		before := epoch.Load()
		token, err := v.Validate(ctx, p)
		if epoch.Load() != before {
			return
		}
		now := phase(before % phases)
		judged[now].Add(1)
		if (token == nil) == (err == nil) || now == accepted && err != nil || now == refused && err == nil {
			t.Errorf("phase %d, epoch %d: %v, %v (%v)", now, before, token, err, causeOf(err))
			done.Store(true)
		}
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for !done.Load() {
				for n := range 16 {
					round(tokens[n%len(tokens)])
				}
				if phase(epoch.Load()%phases) == changing {
					advance(stormPhase / 2)
				} else {
					advance(stormPhase / 25)
				}
			}
		})
	}
	change(enter)
	done.Store(true)
	group.Wait()
	t.Logf("%d while changing, %d to be accepted, %d to be refused", judged[changing].Load(), judged[accepted].Load(), judged[refused].Load())
	if judged[accepted].Load() == 0 || judged[refused].Load() == 0 {
		t.Error("nothing was judged")
	}
}

// TestCacheStormForbidden (R-OP-06, R-OP-08): once ForbidKey has returned, no
// token of the key is accepted, however many are being validated.
func TestCacheStormForbidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, ctx := newValidator(t, baseConfig()), at(0)
		tokens := []validator.Presentation{bearer(testKey.token(baseClaims)), bearer(testKey.token(baseClaims.with("jti", `"x"`)))}
		name := jwkscache.KeyName{KeyID: "k1"}
		storm(ctx, t, v, tokens, func(enter func(phase)) {
			for range 10 {
				enter(accepted)
				advance(stormPhase)
				enter(changing)
				if err := v.ForbidKey(ctx, testIssuer, name); err != nil {
					t.Error(err)
				}
				enter(refused)
				advance(stormPhase)
				enter(changing)
				if err := v.PermitKey(ctx, testIssuer, name); err != nil {
					t.Error(err)
				}
			}
		})
	})
}

// TestCacheStormWithdrawn (R-JK-13, R-OP-08): once the refresh that does not bring
// a key is told to hooks, no token of the key is accepted.
func TestCacheStormWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, err := testissuer.Start(testissuer.Config{InMemory: true, CacheControl: "max-age=60"})
		if err != nil {
			t.Fatal(err)
		}
		defer issuer.Close()
		told := make(chan jwkscache.FetchDone, 100)
		trace := &validator.Trace{Keys: &jwkscache.Trace{FetchDone: func(_ string, done jwkscache.FetchDone) { told <- done }}}
		v, ctx := trusting(t, trace, issuer), t.Context()
		if err := v.Warm(ctx); err != nil {
			t.Fatal(err)
		}
		<-told
		key := issuer.SigningKey()
		issuer.Rotate() // so that the set is never empty
		long := testissuer.Token{Lifetime: 24 * time.Hour, Key: key}
		tokens := []validator.Presentation{bearer(issuer.Sign(long)), bearer(issuer.Sign(long))}
		until := func(holds func(jwkscache.FetchDone) bool) {
			for done := range told {
				if done.Err != nil {
					t.Error(done.Err)
				}
				if holds(done) {
					return
				}
			}
		}
		storm(ctx, t, v, tokens, func(enter func(phase)) {
			for range 5 {
				enter(accepted)
				advance(stormPhase)
				enter(changing)
				issuer.Retire(key)
				until(func(done jwkscache.FetchDone) bool { return len(done.Removed) > 0 }) // a minute later: hits refresh
				enter(refused)
				advance(stormPhase)
				enter(changing)
				issuer.Publish(key)
				until(func(done jwkscache.FetchDone) bool { return len(done.Added) > 0 })
			}
		})
	})
}

// TestCacheStormReconfigured (R-CL-18, R-OP-08): once ForgetTenant has returned, no
// token is accepted by what Tenants said before.
func TestCacheStormReconfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := withTenants(t, 0)
		other := tenantOf(tenantA, tenantKeys, "https://other.example.com")
		storm(at(0), t, v, []validator.Presentation{ofTenant(tenantA)}, func(enter func(phase)) {
			for n := range 6 {
				enter(accepted)
				advance(stormPhase)
				enter(changing)
				if n%2 == 0 {
					d.set(tenantA, other)
				} else {
					d.set(tenantA, nil)
				}
				v.ForgetTenant(tenantA)
				enter(refused)
				advance(stormPhase)
				enter(changing)
				d.set(tenantA, tenantOf(tenantA, tenantKeys, testAudience))
				v.ForgetTenant(tenantA)
			}
		})
	})
}

// TestCacheStormExpires (R-CL-06, R-OP-08): no hit is accepted once exp has come.
func TestCacheStormExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := baseConfig()
		config.Leeway.Expiry = validator.NoLeeway // so that nothing but hits comes to the edge
		exp := time.Now().Add(time.Minute)
		token := baseClaims.with("iat", fmt.Sprint(time.Now().Unix())).with("exp", fmt.Sprint(exp.Unix()))
		storm(t.Context(), t, newValidator(t, config), []validator.Presentation{bearer(testKey.token(token))}, func(enter func(phase)) {
			advance(time.Minute - stormPhase)
			enter(accepted)
			advance(stormPhase - time.Millisecond)
			enter(changing)
			advance(time.Millisecond)
			enter(refused)
			advance(stormPhase)
		})
	})
}
