package validator_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

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

// TestCacheTenantChangedForAnother: once any token of a tenant has brought its new
// configuration, what was verified under the old one is not relied upon.
func TestCacheTenantChangedForAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, d := withTenants(t, 0)
		first := ofTenant(tenantA)
		second := bearer(testKey.token(baseClaims.with("iss", `"`+tenantA+`"`).with("jti", `"second"`)))
		before := cached(at(0), t, v, first)
		d.set(tenantA, tenantOf(tenantA, tenantKeys, testAudience, "https://more.example.com"))
		advance(5 * time.Minute)
		cached(at(0), t, v, second)
		if cached(at(0), t, v, first) == before {
			t.Error("not verified again")
		}
		d.set(tenantA, tenantOf(tenantA, tenantKeys, "https://other.example.com"))
		advance(5 * time.Minute)
		refuses(at(0), t, v, second, validator.WrongAudience)
		refuses(at(0), t, v, first, validator.WrongAudience)
	})
}
