package validator_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/validator"
)

// hanging is a transport that passes on to another until it is told to answer no
// more.
type hanging struct {
	http.RoundTripper

	now atomic.Bool
}

func (h *hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.now.Load() {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return h.RoundTripper.RoundTrip(r)
}

// TestConfiguredIssuerAmongHangingResolvedIssuers shows that a new key of a configured
// issuer is found at once while the key servers of 300 resolved issuers of which a token was
// accepted hang, and tokens of made-up kids come for all of them.
func TestConfiguredIssuerAmongHangingResolvedIssuers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer := issuertest.New(t)
		d, h := newDirectory(), newHosts(signer.JWKS())
		all := fetchedIssuers(signer, d, h, 301)
		issuers, fixed := all[:300], all[300]
		hang := &hanging{RoundTripper: h}
		for i := range issuers {
			issuers[i].HTTPClient = &http.Client{Transport: hang}
			d.set(issuers[i].URL, answering(issuers[i]))
		}
		v := configured(t, func(c *validator.Config) { c.ResolveIssuer = d.find }, fixed)
		for _, one := range all {
			wantReason(t, "before", reasonAt(t, v, signer, one.URL), "")
		}
		hang.now.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		var junks sync.WaitGroup
		for _, resolved := range issuers {
			junks.Go(func() {
				for n := 0; ctx.Err() == nil; n++ {
					junks.Go(func() { _, _ = v.Validate(ctx, bearer(junk(resolved.URL, fmt.Sprint(n)))) })
					advance(time.Second)
				}
			})
		}
		advance(time.Minute)
		signer.Rotate()
		h.set(fixed.URL, signer.JWKS())
		rotated := time.Now()
		wantReason(t, "a new key", reasonAt(t, v, signer, fixed.URL), "")
		if took := time.Since(rotated); took > time.Second {
			t.Errorf("the new key was found after %v", took)
		}
		cancel()
		junks.Wait()
		advance(5 * time.Minute) // until the fetches have ended
	})
}

// TestWaitersOfStrangers shows that those who wait for made-up issuers, whose calls
// do not end, leave room for those who wait for the keys of a configured issuer.
func TestWaitersOfStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signer := issuertest.New(t)
		d, h := newDirectory(), newHosts(signer.JWKS())
		h.takes = time.Second
		fixed := fetchedIssuers(signer, d, h, 1)[0]
		v := configured(t, func(c *validator.Config) { c.ResolveIssuer = d.find }, fixed)
		d.set("*", func(ctx context.Context) (validator.Issuer, error) {
			<-ctx.Done()
			return validator.Issuer{}, ctx.Err()
		})
		var junks, good sync.WaitGroup
		for i := range 1200 { // of which all places for waiting could be full
			for range 4 {
				junks.Go(func() { _, _ = v.Validate(t.Context(), bearer(junk(fmt.Sprintf("https://made-up-%d.test", i), "k"))) })
			}
		}
		synctest.Wait()
		for range 100 {
			good.Go(func() { wantReason(t, "configured", reasonAt(t, v, signer, fixed.URL), "") })
		}
		good.Wait()
		junks.Wait()
		advance(time.Minute) // until the calls have ended
	})
}
