package validator_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestKeyMemoryOfUnusedAnswers shows that keys which come with an answer that is
// then not used do not count: after a hundred such answers, another resolved issuer has
// room.
func TestKeyMemoryOfUnusedAnswers(t *testing.T) {
	const large = 200 << 10 // three of these fill the memory
	forget := func(v *validator.Validator, url string) { v.ForgetIssuer(url) }
	for name, row := range map[string]struct {
		fault     bool // in the answer
		fallback  bool
		meanwhile func(v *validator.Validator, url string) // while ResolveIssuer is called
	}{
		"a fault":                        {fault: true},
		"a fault beside fallback keys":   {fault: true, fallback: true},
		"forgotten meanwhile":            {meanwhile: forget},
		"forgotten beside fallback keys": {fallback: true, meanwhile: forget},
		"forgotten after it was let in":  {},
		"a key forbidden while it is set": {meanwhile: func(v *validator.Validator, url string) {
			_ = v.ForbidKey(context.Background(), url, jwkscache.KeyName{KeyID: "x"})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				signer := issuertest.New(t)
				d, h := newDirectory(), newHosts(signer.JWKS())
				issuers := fetchedIssuers(signer, d, h, 2)
				unused, other := issuers[0], issuers[1].URL
				unused.Keys = jwkscache.Static(padded(signer.JWKS(), large))
				if row.fallback {
					unused.Keys = jwkscache.WithFallback(jwkscache.URL(unused.URL+"/jwks"), padded(signer.JWKS(), large))
				}
				if row.fault {
					unused.Grants = nil
				}
				v := configured(t, func(c *validator.Config) { c.SharedLimits.KeyBytes, c.ResolveIssuer = 1<<20, d.find })
				d.set(unused.URL, func(context.Context) (validator.Issuer, error) {
					if row.meanwhile != nil && d.times(unused.URL)%2 == 1 { // the next call gets an answer
						row.meanwhile(v, unused.URL)
					}
					return unused, nil
				})
				for range 100 {
					_, _ = v.Validate(t.Context(), bearer(junk(unused.URL, "k")))
					v.ForgetIssuer(unused.URL)
				}
				wantReason(t, "another issuer", reasonAt(t, v, signer, other), "")
			})
		})
	}
}

// TestKeyMemoryOfStrangers shows that resolved issuers which tokens only name, with key
// sets of all sizes up to the largest, leave memory to issuers that are configured
// or of which a token was accepted: those can change their keys.
func TestKeyMemoryOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer, other := issuertest.New(t), issuertest.New(t)
		d, h := newDirectory(), newHosts(other.JWKS())
		issuers := fetchedIssuers(signer, d, h, 202)
		fixed, accepted := issuers[200], issuers[201]
		d.set(fixed.URL, nil)
		v := configured(t, func(c *validator.Config) { c.SharedLimits.KeyBytes, c.ResolveIssuer = 8<<20, d.find }, fixed)
		h.set(fixed.URL, signer.JWKS())
		h.set(accepted.URL, signer.JWKS())
		noError(t, v.Warm(t.Context()))
		wantReason(t, "before", reasonAt(t, v, signer, accepted.URL), "")
		refused := 0
		for i, resolved := range issuers[:200] {
			for size := 200 << 10; size > 2<<10; size /= 2 { // what has room
				h.set(resolved.URL, padded(other.JWKS(), size))
				_, err := v.Validate(t.Context(), bearer(junk(resolved.URL, fmt.Sprint(i))))
				if validator.ReasonOf(err) != validator.Unavailable {
					break
				}
				refused++
				advance(2 * time.Second)
			}
		}
		if refused < 1000 {
			t.Errorf("%d sets had no room, so that the memory is not full", refused)
		}
		signer.Rotate()
		for _, good := range []string{fixed.URL, accepted.URL} {
			h.set(good, padded(signer.JWKS(), 60<<10))
			wantReason(t, "a new key", reasonAt(t, v, signer, good), "")
		}
	})
}
