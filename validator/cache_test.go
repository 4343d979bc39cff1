package validator_test

import (
	"context"
	"crypto/ecdsa"
	"encoding/base64"
	"math"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
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
	v, ctx := issuertest.Validator(t, config), at(0)
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
	if n, _ := validator.CacheSize(v); n != len(seen) {
		t.Errorf("%d tokens are kept, want %d", n, len(seen))
	}
	// What one Validator has verified means nothing to another.
	p := bearer(testKey.token(baseClaims))
	if accepts(ctx, t, issuertest.Validator(t, config), p) == accepts(ctx, t, v, p) {
		t.Error("two validators share a verdict")
	}
}

// TestCacheOff: every token is verified every time.
func TestCacheOff(t *testing.T) {
	config := baseConfig()
	config.Cache.Off = true
	v, p := issuertest.Validator(t, config), bearer(testKey.token(baseClaims))
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
	v, plain, ctx := issuertest.Validator(t, baseConfig()), issuertest.Validator(t, off), at(0)
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
	if n, _ := validator.CacheSize(v); n != 1 {
		t.Errorf("%d tokens are kept", n)
	}
}

// TestCacheOtherSignature: another good signature of the same claims is another
// token, also the one that anybody can make of an ECDSA signature.
func TestCacheOtherSignature(t *testing.T) {
	key := ec256Key()
	config := baseConfig()
	config.Issuers[0].Keys = keysOf(key)
	v, ctx := issuertest.Validator(t, config), at(0)
	text := key.token(baseClaims)
	signed, encoded := text[:strings.LastIndexByte(text, '.')], text[strings.LastIndexByte(text, '.')+1:]
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := key.Private.(*ecdsa.PrivateKey)
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
			v, p := issuertest.Validator(t, config), bearer(testKey.token(baseClaims))
			token := cached(at(0), t, v, p)
			if accepts(at(exp-1), t, v, p) != token {
				t.Error("verified again before exp")
			}
			if leeway > 0 {
				first := accepts(at(exp), t, v, p)
				if second := accepts(at(exp+leeway-1), t, v, p); first == token || second == token || first == second {
					t.Error("not verified again on the leeway")
				}
				if n, _ := validator.CacheSize(v); n != 0 {
					t.Error("a token is kept on the leeway")
				}
				token = cached(at(exp-1), t, v, p) // a clock that goes back
			}
			refuses(at(exp+leeway), t, v, p, validator.Expired)
			refuses(at(1000*time.Hour), t, v, p, validator.Expired)
			if n, _ := validator.CacheSize(v); n != 0 {
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
		issuer := issuertest.New(t)
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
	v := issuertest.Validator(t, config)
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

// TestCacheAge: a verdict is believed for TTL, however often it is used.
func TestCacheAge(t *testing.T) {
	for configured, age := range map[time.Duration]time.Duration{0: 5 * time.Minute, time.Second: time.Second, time.Hour: time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			config := baseConfig()
			config.Cache.TTL = configured
			v, ctx := issuertest.Validator(t, config), at(0)
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
			if n, _ := validator.CacheSize(v); n != 1 {
				t.Errorf("%d tokens are kept", n)
			}
		})
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
		{"age", baseClaims, validator.Demands{MaxTokenAge: time.Minute}, validator.Demands{MaxTokenAge: time.Minute - 1}, validator.BadClaims},
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

			v := issuertest.Validator(t, config)
			token := cached(at(0), t, v, good)
			told("", token)
			refuses(at(0), t, v, bad, row.want)
			told(row.want, nil)
			if accepts(at(0), t, v, good) != token {
				t.Error("verified again after another route refused it")
			}

			v = issuertest.Validator(t, config)
			refuses(at(0), t, v, bad, row.want)
			told(row.want, nil)
			if n, _ := validator.CacheSize(v); n != 1 {
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
	v := issuertest.Validator(t, baseConfig())
	p := bearer(testKey.token(baseClaims)) // a minute old
	p.Demands.MaxTokenAge = 2 * time.Minute
	token := cached(at(0), t, v, p)
	if accepts(at(time.Minute), t, v, p) != token {
		t.Error("verified again")
	}
	refuses(at(time.Minute+1), t, v, p, validator.BadClaims)
	p.Demands.MaxTokenAge = 0
	if accepts(at(time.Minute+1), t, v, p) != token {
		t.Error("verified again after a route refused it")
	}
}

// TestCachePresentation: a hit does not pass over what is judged before it.
func TestCachePresentation(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	p := bearer(testKey.token(baseClaims))
	cached(at(0), t, v, p)
	p.Scheme = validator.DPoP
	refuses(at(0), t, v, p, validator.BindingMismatch)
	p.Scheme = 0
	refuses(at(0), t, v, p, validator.NoCredentials)
}

// TestCacheHasNoRefusal: nothing is kept of a token that was refused, so that a
// flood of such displaces nothing.
func TestCacheHasNoRefusal(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for name, p := range map[string]validator.Presentation{
		"bad signature":   bearer(foreignKey.token(baseClaims)),
		"unknown key":     bearer(edSigner("k2", "another").token(baseClaims)),
		"unknown issuer":  bearer(testKey.token(baseClaims.with("iss", `"https://evil.example"`))),
		"expired":         bearer(testKey.token(baseClaims.with("exp", "1600000000"))),
		"not yet valid":   bearer(testKey.token(baseClaims.with("nbf", "1800000000"))),
		"wrong audience":  bearer(testKey.token(baseClaims.with("aud", `"https://evil.example"`))),
		"wrong type":      bearer(testKey.Sign(testKey.header().with("typ", `"JWT"`).text(), baseClaims.text())),
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
	if n, bytes := validator.CacheSize(v); n != 0 || bytes != 0 {
		t.Errorf("%d tokens, %d bytes are kept", n, bytes)
	}
}

// cacheFaults are configurations of the cache with one fault each.
var cacheFaults = map[string]validator.CacheConfig{
	"Cache.Entries is 63; give 64 to 10000000":                  {Entries: 63},
	"Cache.Entries is -1; give":                                 {Entries: -1},
	"Cache.Entries is 10000001; give":                           {Entries: 10_000_001},
	"Cache.Entries is 1; give":                                  {Entries: 1, Off: true},
	"Cache.Bytes is 4194303; give 4194304 to 68719476736, or 0": {Bytes: 4<<20 - 1},
	"Cache.Bytes is -1; give":                                   {Bytes: -1},
	"Cache.TTL is 999.999999ms; give 1s to 1h0m0s, or 0 for 5m": {TTL: time.Second - 1},
	"Cache.TTL is 1h0m0.000000001s; give":                       {TTL: time.Hour + 1},
	"Cache.TTL is -1ns; give":                                   {TTL: -1},
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
		if _, err := validator.New(config); err == nil || !strings.HasPrefix(err.Error(), "validator: Cache.Bytes is 68719476737; give") {
			t.Errorf("%v", err)
		}
		config.Cache.Bytes = int(largest)
		if _, err := validator.New(config); err != nil {
			t.Error(err)
		}
	}
	config.Cache = validator.CacheConfig{Entries: 63, Bytes: 1, TTL: 1}
	config.MaxTokenBytes = 1
	if _, err := validator.New(config); err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Errorf("%v, want four faults", err)
	}
	config.MaxTokenBytes = 0
	for _, cache := range []validator.CacheConfig{
		{}, {Off: true}, {Entries: 64, Bytes: 4 << 20, TTL: time.Second}, {Entries: 100_000, TTL: time.Hour},
	} {
		config.Cache = cache
		if _, err := validator.New(config); err != nil {
			t.Errorf("%+v: %v", cache, err)
		}
	}
}
