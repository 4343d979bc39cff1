package validator_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// wantRecheck checks a Token again and compares the reason.
func wantRecheck(
	ctx context.Context, t *testing.T, what string, v *validator.Validator, token *validator.Token, demands validator.Demands, want validator.Reason,
) {
	t.Helper()
	err := v.Recheck(ctx, token, demands)
	if got := validator.ReasonOf(err); got != want {
		t.Errorf("%s: %q (%v), want %q", what, got, causeOf(err), want)
	}
	if _, ok := err.(*validator.Error); err != nil && !ok { //nolint:errorlint // the error itself
		t.Errorf("%s: the error is a %T", what, err)
	}
}

// TestRecheck (R-CL-06, R-CL-11, R-SC-12) compares a Token that is held with the
// times and demands that Validate compares it with.
func TestRecheck(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for _, row := range []struct {
		name    string
		claims  object
		offset  time.Duration
		demands validator.Demands
		want    validator.Reason
	}{
		{"good", baseClaims, 0, validator.Demands{}, ""},
		{"in the leeway", baseClaims, time.Hour + 30*time.Second - 1, validator.Demands{}, ""},
		{"expired", baseClaims, time.Hour + 30*time.Second, validator.Demands{}, validator.Expired},
		{"not yet valid", baseClaims.with("nbf", "1700000000"), -31 * time.Second, validator.Demands{}, validator.NotYetValid},
		{"expiry before demands", baseClaims, 2 * time.Hour, validator.Demands{SenderConstrained: true}, validator.Expired},
		{"another audience", baseClaims, 0, validator.Demands{Audiences: []string{ordersAudience}}, validator.WrongAudience},
		{"a foreign audience", baseClaims.with("aud", `["`+testAudience+`","x"]`), 0, validator.Demands{SoleAudience: true}, validator.WrongAudience},
		{"lifetime", baseClaims, 0, validator.Demands{MaxLifetime: time.Hour}, validator.BadClaims},
		{"age", baseClaims, time.Minute, validator.Demands{MaxTokenAge: 2 * time.Minute}, ""},
		{"age exceeded", baseClaims, time.Minute + 1, validator.Demands{MaxTokenAge: 2 * time.Minute}, validator.BadClaims},
		{"binding", baseClaims, 0, validator.Demands{SenderConstrained: true}, validator.BindingMismatch},
	} {
		token := expect(t, v, bearer(testKey.token(row.claims)), 0, "", "")
		wantRecheck(at(row.offset), t, row.name, v, token, row.demands, row.want)
	}
}

// panicking is a context whose methods panic once it is allowed to.
type panicking struct {
	context.Context

	after int
}

func (p *panicking) Value(key any) any {
	if p.after--; p.after < 0 {
		panic("in Value")
	}
	return p.Context.Value(key)
}

// TestRecheckOfNothing checks that nothing is accepted that v did not accept, and
// nothing without a context.
func TestRecheckOfNothing(t *testing.T) {
	v, twin := issuertest.Validator(t, baseConfig()), issuertest.Validator(t, baseConfig())
	token, foreign := expect(t, v, bearer(testKey.token(baseClaims)), 0, "", ""), expect(t, twin, bearer(testKey.token(baseClaims)), 0, "", "")
	var noToken *validator.Token
	var noContext context.Context
	var none *validator.Validator
	for _, row := range []struct {
		name  string
		ctx   context.Context
		v     *validator.Validator
		token *validator.Token
		want  validator.Reason
	}{
		{"a nil Token", at(0), v, noToken, validator.NoCredentials},
		{"a zero Token", at(0), v, new(validator.Token), validator.NoCredentials},
		{"a Token of another Validator", at(0), v, foreign, validator.Unavailable},
		{"its own Validator", at(0), twin, foreign, ""},
		{"no context", noContext, v, token, validator.Unavailable},
		{"a context that panics", &panicking{at(0), 0}, v, token, validator.Unavailable},
		{"no Validator", at(0), none, token, validator.Unavailable},
		{"a zero Validator", at(0), new(validator.Validator), token, validator.Unavailable},
	} {
		wantRecheck(row.ctx, t, row.name, row.v, row.token, validator.Demands{}, row.want)
	}
	if err := causeOf(v.Recheck(at(0), foreign, validator.Demands{})); err == nil || !strings.Contains(err.Error(), "not one of this Validator") {
		t.Errorf("a Token of another Validator is refused for %v", err)
	}
}

// TestRecheckPanic checks that a Token is refused if the context panics after it was
// found usable.
func TestRecheckPanic(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	token := expect(t, v, bearer(testKey.token(baseClaims)), 0, "", "")
	err := v.Recheck(&panicking{at(0), 1}, token, validator.Demands{}) // the first call is the one that finds it usable
	if cause := causeOf(err); !errors.Is(err, validator.Unavailable) || !strings.Contains(cause.Error(), "panic with a string") {
		t.Errorf("%v (%v), want a refusal that names the panic", err, cause)
	}
}

// TestRecheckKey (R-OP-06) checks that a Token is refused while its key is
// forbidden or withdrawn, and only as long.
func TestRecheckKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v, ctx := trusting(t, nil, issuer), t.Context()
		long := testissuer.Token{Lifetime: 24 * time.Hour}
		token := cached(ctx, t, v, bearer(issuer.Sign(long)))
		wantRecheck(ctx, t, "published", v, token, validator.Demands{}, "")
		noError(t, v.ForbidKey(ctx, issuer.URL(), kidOf(issuer)))
		wantRecheck(ctx, t, "forbidden", v, token, validator.Demands{}, validator.UnknownKey)
		noError(t, v.PermitKey(ctx, issuer.URL(), kidOf(issuer)))
		for range 2 {
			wantRecheck(ctx, t, "permitted again", v, token, validator.Demands{}, "")
			wantRecheck(ctx, t, "and a demand", v, token, validator.Demands{Audiences: []string{"x"}}, validator.WrongAudience)
		}

		old := issuer.SigningKey()
		issuer.Rotate()
		issuer.Retire(old)
		advance(10 * time.Second)
		wantRecheck(ctx, t, "withdrawn, and not known yet", v, token, validator.Demands{}, "")
		accepts(ctx, t, v, bearer(issuer.Sign(long))) // an unknown kid: the set is fetched
		wantRecheck(ctx, t, "withdrawn", v, token, validator.Demands{}, validator.UnknownKey)
		refresh := func() {
			issuer.Rotate()
			advance(10 * time.Second)
			accepts(ctx, t, v, bearer(issuer.Sign(long)))
		}
		issuer.AddKey(testissuer.Key{Members: map[string]any{"kid": old}})
		refresh()
		wantRecheck(ctx, t, "another key of the kid", v, token, validator.Demands{}, validator.UnknownKey)
		issuer.Publish(old)
		refresh()
		wantRecheck(ctx, t, "published again", v, token, validator.Demands{}, "")
		before := issuer.Requests(testissuer.JWKS)
		noError(t, v.ForbidKey(ctx, issuer.URL(), jwkscache.KeyName{KeyID: old}))
		issuer.Down(true)
		advance(10 * time.Minute)
		wantRecheck(ctx, t, "forbidden, and stale", v, token, validator.Demands{}, validator.UnknownKey)
		advance(3 * time.Hour)
		wantRecheck(ctx, t, "forbidden, and too old", v, token, validator.Demands{}, validator.Unavailable)
		issuer.Down(false)
		advance(time.Minute)
		for range 10 {
			wantRecheck(ctx, t, "forbidden, and fetched", v, token, validator.Demands{}, validator.UnknownKey)
		}
		if n := issuer.Requests(testissuer.JWKS) - before; n != 1 {
			t.Errorf("%d fetches, want one for keys that are too old", n)
		}
	})
}

// TestRecheckStaleKeys checks that Recheck refreshes stale keys, that it waits for
// keys that are too old, and that it refuses while there are none.
func TestRecheckStaleKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		v, ctx := trusting(t, nil, issuer), t.Context()
		token := cached(ctx, t, v, bearer(issuer.Sign(testissuer.Token{Lifetime: 24 * time.Hour})))
		before := issuer.Requests(testissuer.JWKS)
		advance(10 * time.Minute)
		wantRecheck(ctx, t, "stale", v, token, validator.Demands{}, "")
		synctest.Wait()
		if n := issuer.Requests(testissuer.JWKS); n != before+1 {
			t.Errorf("%d fetches, want one that stale keys cause", n-before)
		}
		advance(3 * time.Hour)
		wantRecheck(ctx, t, "too old, and fetched", v, token, validator.Demands{}, "")
		issuer.Down(true)
		advance(3 * time.Hour)
		wantRecheck(ctx, t, "too old", v, token, validator.Demands{}, validator.Unavailable)
		issuer.Down(false)
		advance(time.Minute)
		wantRecheck(ctx, t, "after the outage", v, token, validator.Demands{}, "")
	})
}

// TestRecheckResolved (R-CL-18) checks that a Token is refused once its resolved
// issuer was forgotten, removed or changed.
func TestRecheckResolved(t *testing.T) {
	for _, row := range []struct {
		name string
		do   func(*validator.Validator, *directory)
		want validator.Reason
	}{
		{"nothing", func(*validator.Validator, *directory) {}, ""},
		{"resolved again, the same", func(*validator.Validator, *directory) { advance(30 * time.Minute) }, ""},
		{"forgotten", func(v *validator.Validator, _ *directory) { v.ForgetIssuer(resolvedA) }, validator.Unavailable},
		{"forgotten and removed", func(v *validator.Validator, d *directory) {
			d.set(resolvedA, nil)
			v.ForgetIssuer(resolvedA)
		}, validator.UnknownIssuer},
		{"removed", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, nil)
			advance(5 * time.Minute)
		}, validator.UnknownIssuer},
		{"changed", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience, "https://more.example.com"))
			advance(5 * time.Minute)
		}, validator.Unavailable},
		{"the resolver fails", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, failing(errors.New("the database is down")))
			advance(30 * time.Minute)
		}, ""},
		{"the resolver fails for too long", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, failing(errors.New("the database is down")))
			advance(time.Hour)
		}, validator.Unavailable},
		{"key forbidden", func(v *validator.Validator, _ *directory) {
			_ = v.ForbidKey(context.Background(), resolvedA, jwkscache.KeyName{KeyID: "k1"})
		}, validator.UnknownKey},
		{"another issuer forgotten", func(v *validator.Validator, _ *directory) { v.ForgetIssuer(resolvedB) }, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, d := resolvingTwo(t, 0)
				token := cached(at(0), t, v, ofResolved(resolvedA))
				row.do(v, d)
				for range 2 {
					wantRecheck(at(0), t, row.name, v, token, validator.Demands{}, row.want)
				}
				synctest.Wait()
			})
		})
	}
}

// TestRecheckAsksForNothing checks that a Token of a configuration that is gone is
// refused without waiting for the keys of the new one, which are stale.
func TestRecheckAsksForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := issuertest.New(t)
		d, ctx, config := newDirectory(), t.Context(), discovering(issuer)
		d.set(issuer.URL(), answering(config))
		v := issuertest.Validator(t, validator.Config{ResolveIssuer: d.find})
		p := bearer(issuer.Sign(testissuer.Token{Lifetime: 24 * time.Hour}))
		token := cached(ctx, t, v, p)
		config.Audiences = append([]string{"https://more.example.com"}, config.Audiences...)
		d.set(issuer.URL(), answering(config))
		advance(10 * time.Minute)
		accepts(ctx, t, v, p)
		advance(10 * time.Minute)
		before := issuer.Requests(testissuer.JWKS)
		wantRecheck(ctx, t, "changed", v, token, validator.Demands{}, validator.Unavailable)
		synctest.Wait()
		if n := issuer.Requests(testissuer.JWKS) - before; n != 0 {
			t.Errorf("%d fetches for a Token that is refused", n)
		}
	})
}

// TestCachedDeadline checks that Validate verifies a token again once the deadline
// of its own entry has passed.
func TestCachedDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, p := issuertest.Validator(t, baseConfig()), bearer(testKey.token(baseClaims))
		first := cached(at(0), t, v, p)
		validator.SetDeadline(v, p.Token, 10*time.Second, math.MaxInt64)
		advance(10*time.Second - 1)
		if accepts(at(0), t, v, p) != first {
			t.Error("verified again before the deadline")
		}
		advance(1)
		second := accepts(at(0), t, v, p)
		if second == first {
			t.Error("not verified again after the deadline")
		}
		validator.SetDeadline(v, p.Token, time.Hour, testNow+10)
		if accepts(at(10*time.Second-1), t, v, p) != second {
			t.Error("verified again before the facts end")
		}
		if accepts(at(10*time.Second), t, v, p) == second {
			t.Error("not verified again after the facts end")
		}
	})
}

// TestKeyOfToken checks that a Token names its key for ForbidKey, by the issuer's
// key set and not by its header.
func TestKeyOfToken(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	header := testKey.header().without("kid")
	p := bearer(testKey.Sign(header.text(), baseClaims.text()))
	byID, byThumbprint := accepts(at(0), t, v, p).Key()
	if (byID != jwkscache.KeyName{KeyID: "k1"}) || len(byThumbprint.Thumbprint) != 43 {
		t.Errorf("%v, %v", byID, byThumbprint)
	}
	for _, name := range []jwkscache.KeyName{byID, byThumbprint} {
		noError(t, v.ForbidKey(at(0), testIssuer, name))
		refuses(at(0), t, v, p, validator.UnknownKey)
		noError(t, v.PermitKey(at(0), testIssuer, name))
	}
	if byID, byThumbprint := new(validator.Token).Key(); byID != (jwkscache.KeyName{}) || byThumbprint != (jwkscache.KeyName{}) {
		t.Error("the zero Token names a key")
	}
}

// TestSessionID checks that sid is read if it is an identifier, and refuses no
// token otherwise: no route needs it.
func TestSessionID(t *testing.T) {
	v := issuertest.Validator(t, baseConfig())
	for raw, want := range map[string]string{`"s-1"`: "s-1", `""`: "", `1`: "", `null`: "", `["s"]`: "", `"a\u0000"`: ""} {
		if got := accepts(at(0), t, v, bearer(testKey.token(baseClaims.with("sid", raw)))).SessionID(); got != want {
			t.Errorf("%s is %q", raw, got)
		}
	}
	if accepts(at(0), t, v, bearer(testKey.token(baseClaims))).SessionID() != "" || new(validator.Token).SessionID() != "" {
		t.Error("there is a session without sid")
	}
}
