package validator_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// resolvedTo is what the tests tell of a resolved issuer.
func resolvedTo(url string, keys jwkscache.Source, audiences ...string) finder {
	return answering(validator.Issuer{URL: url, Audiences: audiences, Keys: keys, Grants: allScopes})
}

// resolvedKeys are one source: another is another configuration.
var resolvedKeys = keysOf(testKey)

const resolvedA, resolvedB = "https://a.as.example.com", "https://b.as.example.com"

// resolvingTwo makes a validator for resolved issuers A and B, whose verdicts last for an
// hour.
func resolvingTwo(t *testing.T, most int) (*validator.Validator, *directory) {
	t.Helper()
	d := newDirectory()
	d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience))
	d.set(resolvedB, resolvedTo(resolvedB, resolvedKeys, testAudience))
	return issuertest.Validator(t, validator.Config{
		ResolveIssuer: d.find, MaxResolvedIssuers: most, Cache: validator.CacheConfig{TTL: time.Hour},
	}), d
}

func ofResolved(url string) validator.Presentation {
	return bearer(testKey.token(baseClaims.with("iss", `"`+url+`"`)))
}

// TestCacheResolvedIssuers (R-CL-18): verdicts of a resolved issuer last as long as what they
// rest on is known to be so, and go with it.
func TestCacheResolvedIssuers(t *testing.T) {
	a, b := ofResolved(resolvedA), ofResolved(resolvedB)
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
			d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience, "https://more.example.com"))
			advance(5 * time.Minute)
		}, "", false},
		{"changed so that it is refused", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, "https://other.example.com"))
			advance(5 * time.Minute)
		}, validator.WrongAudience, false},
		{"changed keys", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, resolvedTo(resolvedA, keysOf(foreignKey), testAudience))
			advance(5 * time.Minute)
		}, validator.BadSignature, false},
		{"forgotten, the same", func(v *validator.Validator, _ *directory) { v.ForgetIssuer(resolvedA) }, "", false},
		{"forgotten, removed", func(v *validator.Validator, d *directory) {
			d.set(resolvedA, nil)
			v.ForgetIssuer(resolvedA)
		}, validator.UnknownIssuer, false},
		{"forgotten, cannot be asked", func(v *validator.Validator, d *directory) {
			d.set(resolvedA, failing(errors.New("the database is down")))
			v.ForgetIssuer(resolvedA)
		}, validator.Unavailable, false},
		{"removed", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, nil)
			advance(5 * time.Minute)
		}, validator.UnknownIssuer, false},
		{"the other forgotten", func(v *validator.Validator, _ *directory) { v.ForgetIssuer(resolvedB) }, "", true},
		{"cannot be asked", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, failing(errors.New("the database is down")))
			advance(59 * time.Minute)
		}, "", false},
		{"cannot be asked for too long", func(_ *validator.Validator, d *directory) {
			d.set(resolvedA, failing(errors.New("the database is down")))
			advance(time.Hour)
		}, validator.Unavailable, false},
		{"idle", func(v *validator.Validator, _ *directory) {
			ctx, cancel := context.WithTimeout(context.Background(), 62*time.Minute)
			defer cancel()
			_ = v.Run(ctx)
		}, "", false},
		{"key forbidden", func(v *validator.Validator, _ *directory) {
			_ = v.ForbidKey(context.Background(), resolvedA, jwkscache.KeyName{KeyID: "k1"})
		}, validator.UnknownKey, false},
		{"key forbidden while unknown", func(v *validator.Validator, d *directory) {
			v.ForgetIssuer(resolvedA)
			d.set(resolvedA, failing(errors.New("the database is down")))
			_ = v.ForbidKey(context.Background(), resolvedA, jwkscache.KeyName{KeyID: "k1"})
			d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience))
			advance(5 * time.Second)
		}, validator.UnknownKey, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, d := resolvingTwo(t, 0)
				before := cached(at(0), t, v, a)
				if cached(at(0), t, v, b) == before {
					t.Error("two issuers share a verdict")
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

// TestCacheResolvedRenewed: a hit renews what is known of a resolved issuer in the
// background, and the answer to that is heeded.
func TestCacheResolvedRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := resolvingTwo(t, 0)
		a := ofResolved(resolvedA)
		token := cached(at(0), t, v, a)
		d.set(resolvedA, nil)
		advance(4*time.Minute - 1)
		cached(at(0), t, v, a)
		synctest.Wait()
		if d.times(resolvedA) != 1 {
			t.Errorf("%d calls before it is time", d.times(resolvedA))
		}
		advance(1)
		if accepts(at(0), t, v, a) != token {
			t.Error("a hit waits for the renewal")
		}
		synctest.Wait()
		refuses(at(0), t, v, a, validator.UnknownIssuer)
	})
}

// TestCacheResolvedAwaited (R-CL-06, R-OP-08): what changes while a hit waits for
// what ResolveIssuer says is heeded.
func TestCacheResolvedAwaited(t *testing.T) {
	for name, row := range map[string]struct {
		do   func(*validator.Validator)
		left time.Duration // until exp, when the wait begins
		want validator.Reason
	}{
		"nothing": {func(*validator.Validator) {}, time.Hour, ""},
		"expiry":  {func(*validator.Validator) {}, 2 * time.Second, validator.Expired},
		"key forbidden": {func(v *validator.Validator) {
			_ = v.ForbidKey(context.Background(), resolvedA, jwkscache.KeyName{KeyID: "k1"})
		}, time.Hour, validator.UnknownKey},
		"forgotten": {func(v *validator.Validator) { v.ForgetIssuer(resolvedA) }, time.Hour, ""},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDirectory()
			d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience))
			v := issuertest.Validator(t, validator.Config{
				ResolveIssuer: d.find, Cache: validator.CacheConfig{TTL: time.Hour},
				Leeway: validator.Leeway{Expiry: validator.NoLeeway},
			})
			now := func(offset time.Duration) string {
				return strconv.FormatInt(time.Now().Add(offset).Unix(), 10)
			}
			a := bearer(testKey.token(baseClaims.with("iss", `"`+resolvedA+`"`).with("iat", now(-time.Second)).with("nbf", now(-time.Second)).
				with("exp", now(6*time.Minute+row.left))))
			cached(t.Context(), t, v, a)
			advance(6 * time.Minute)
			d.set(resolvedA, late(4*time.Second, resolvedTo(resolvedA, resolvedKeys, testAudience)))
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

// TestCacheResolvedEvicted: a resolved issuer that had to give way is asked for anew, and its
// verdicts are gone.
func TestCacheResolvedEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := resolvingTwo(t, 1)
		a, b := ofResolved(resolvedA), ofResolved(resolvedB)
		before := cached(at(0), t, v, a)
		cached(at(0), t, v, b)
		d.set(resolvedA, nil)
		refuses(at(0), t, v, a, validator.UnknownIssuer)
		d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience))
		advance(10 * time.Second)
		if cached(at(0), t, v, a) == before {
			t.Error("not verified again")
		}
	})
}

// TestCacheResolvedOvertaken: what ResolveIssuer said before ForgetIssuer, and was heard
// after it, serves those who were waiting and nobody later.
func TestCacheResolvedOvertaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := resolvingTwo(t, 0)
		a := ofResolved(resolvedA)
		hold := make(chan struct{})
		d.set(resolvedA, held(hold, resolvedTo(resolvedA, resolvedKeys, testAudience)))
		waiting := make(chan *validator.Token)
		go func() {
			token, _ := v.Validate(at(0), a)
			waiting <- token
		}()
		synctest.Wait()
		v.ForgetIssuer(resolvedA)
		d.set(resolvedA, nil)
		close(hold)
		if <-waiting == nil {
			t.Log("who waited is refused, which may be")
		}
		refuses(at(0), t, v, a, validator.UnknownIssuer)
		if d.times(resolvedA) != 2 {
			t.Errorf("%d calls: nobody asked again", d.times(resolvedA))
		}
		d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience))
		advance(10 * time.Second)
		cached(at(0), t, v, a)
	})
}

// TestCacheResolvedAllocations: a hit of a resolved issuer takes no memory either.
func TestCacheResolvedAllocations(t *testing.T) {
	v, _ := resolvingTwo(t, 0)
	ctx, a := at(0), ofResolved(resolvedA)
	cached(ctx, t, v, a)
	if n := testing.AllocsPerRun(100, func() { _, _ = v.Validate(ctx, a) }); n > 2 {
		t.Errorf("%v allocations", n)
	}
}

// TestCacheResolvedChangedForAnother: once any token of a resolved issuer has brought its new
// configuration, what was verified under the old one is not relied upon.
func TestCacheResolvedChangedForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := resolvingTwo(t, 0)
		first := ofResolved(resolvedA)
		second := bearer(testKey.token(baseClaims.with("iss", `"`+resolvedA+`"`).with("jti", `"second"`)))
		before := cached(at(0), t, v, first)
		d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, testAudience, "https://more.example.com"))
		advance(5 * time.Minute)
		cached(at(0), t, v, second)
		if cached(at(0), t, v, first) == before {
			t.Error("not verified again")
		}
		d.set(resolvedA, resolvedTo(resolvedA, resolvedKeys, "https://other.example.com"))
		advance(5 * time.Minute)
		refuses(at(0), t, v, second, validator.WrongAudience)
		refuses(at(0), t, v, first, validator.WrongAudience)
	})
}
