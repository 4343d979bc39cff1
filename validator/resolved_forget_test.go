package validator_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/jwkscache"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// resolvingOne starts an issuer and makes a Validator that resolves issuers by d, which
// knows none yet.
func resolvingOne(t *testing.T) (issuer *issuertest.Issuer, d *directory, v *validator.Validator) {
	t.Helper()
	d = newDirectory()
	return issuertest.New(t), d, resolving(t, d, 0, nil)
}

// acceptedOnce is resolvingOne with the issuer in d. A token of the issuer was accepted.
func acceptedOnce(t *testing.T, of func(*issuertest.Issuer) validator.Issuer) (*issuertest.Issuer, validator.Issuer, *directory, *validator.Validator) {
	t.Helper()
	issuer, d, v := resolvingOne(t)
	config := of(issuer)
	d.set(issuer.URL(), answering(config))
	wantReason(t, "before", reasonFor(t, v, issuer, testissuer.Token{}), "")
	return issuer, config, d, v
}

// TestResolvedWithdrawn shows that tokens of an issuer that ResolveIssuer no longer knows are
// refused after five minutes at most, and that a failure before does not bring it
// back.
func TestResolvedWithdrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, _, d, v := acceptedOnce(t, pinned)
		d.set(issuer.URL(), nil)
		advance(5 * time.Minute)
		wantReason(t, "after five minutes", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		wantListed(t, "after that", v)
		d.set(issuer.URL(), failing(errDirectory))
		advance(11 * time.Second)
		wantReason(t, "when the function fails", reasonFor(t, v, issuer, testissuer.Token{}), validator.Unavailable)
	})
	synctest.Test(t, func(t *testing.T) { // the issuer is in use, and is renewed in the background
		issuer, _, d, v := acceptedOnce(t, pinned)
		d.set(issuer.URL(), nil)
		advance(4 * time.Minute)
		wantEither(t, "the token that notices", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		synctest.Wait()
		wantReason(t, "the next", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		wantCount(t, "calls", d.total(), 2)
	})
}

// TestForgetIssuer shows that a withdrawn resolved issuer can be refused at once, and one
// that is new be accepted at once.
func TestForgetIssuer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, _, d, v := acceptedOnce(t, discovering)
		d.set(issuer.URL(), nil)
		wantReason(t, "not noticed yet", reasonFor(t, v, issuer, testissuer.Token{}), "")
		v.ForgetIssuer("https://other.test")
		wantListed(t, "when another one was forgotten", v, issuer.URL())
		v.ForgetIssuer(issuer.URL())
		wantListed(t, "when it was forgotten", v)
		wantReason(t, "withdrawn", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		d.set(issuer.URL(), answering(discovering(issuer)))
		wantReason(t, "not noticed yet", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		v.ForgetIssuer(issuer.URL())
		wantReason(t, "back again", reasonFor(t, v, issuer, testissuer.Token{}), "")
		wantCount(t, "fetches of keys: they were forgotten too", issuer.Requests(testissuer.JWKS), 2)
		trusting(t, nil, issuer).ForgetIssuer(issuer.URL()) // without resolved issuers
	})
}

// TestForgetIssuerDuringACall shows that the answer of a call which began before
// is not used, neither later nor for those who wait for it.
func TestForgetIssuerDuringACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, d, v := resolvingOne(t)
		gate := make(chan struct{})
		d.set(issuer.URL(), held(gate, answering(pinned(issuer))))
		waiting := inBackground(t, v, issuer)
		d.set(issuer.URL(), nil)
		v.ForgetIssuer(issuer.URL())
		wantReason(t, "a token that came later", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		close(gate)
		wantReason(t, "a token that waited", <-waiting, validator.UnknownIssuer)
		wantReason(t, "after the older answer", reasonFor(t, v, issuer, testissuer.Token{}), validator.UnknownIssuer)
		wantListed(t, "after all", v)
		wantCount(t, "calls", d.total(), 2)
	})
	synctest.Test(t, func(t *testing.T) { // an older miss is not used either
		issuer, d, v := resolvingOne(t)
		gate := make(chan struct{})
		d.set(issuer.URL(), held(gate, failing(validator.ErrUnknownIssuer)))
		waiting := inBackground(t, v, issuer)
		d.set(issuer.URL(), late(time.Second, answering(pinned(issuer))))
		v.ForgetIssuer(issuer.URL())
		later := inBackground(t, v, issuer)
		close(gate)
		wantReason(t, "a token that waited", <-waiting, "")
		wantReason(t, "a token that came later", <-later, "")
		wantListed(t, "after all", v, issuer.URL())
		wantCount(t, "calls", d.total(), 2)
	})
}

// TestForgetIssuerWhileResolveIssuerFails shows that the last answer, which serves
// while the function fails, does not serve on once it was forgotten: not even
// those who had begun to wait.
func TestForgetIssuerWhileResolveIssuerFails(t *testing.T) {
	for name, giveUp := range map[string]bool{"who waits": false, "who gives up": true} {
		synctest.Test(t, func(t *testing.T) {
			issuer, _, d, v := acceptedOnce(t, pinned)
			advance(5 * time.Minute)
			d.set(issuer.URL(), late(time.Hour, failing(errDirectory)))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			waiting := make(chan error)
			token := issuer.Sign(testissuer.Token{})
			go func() {
				_, err := v.Validate(ctx, bearer(token))
				waiting <- err
			}()
			synctest.Wait()
			v.ForgetIssuer(issuer.URL())
			if giveUp {
				cancel()
			}
			wantReason(t, name, validator.ReasonOf(<-waiting), validator.Unavailable)
			advance(20 * time.Second)
		})
	}
}

// TestResolvedChanged shows that another configuration takes effect with the next
// answer, and starts with keys of its own.
func TestResolvedChanged(t *testing.T) {
	for name, change := range map[string]func(*validator.Issuer){
		"audience":      func(c *validator.Issuer) { c.Audiences = []string{"https://api.test", "https://new.test"} },
		"algorithms":    func(c *validator.Issuer) { c.Algorithms = []jose.Algorithm{jose.ES256} },
		"limits":        func(c *validator.Issuer) { c.KeyLimits.MaxAge = time.Hour },
		"forbidden key": func(c *validator.Issuer) { c.ForbiddenKeys = []jwkscache.KeyName{{KeyID: "old"}} },
		"client":        func(c *validator.Issuer) { c.HTTPClient = &http.Client{Transport: c.HTTPClient.Transport} },
		"claims": func(c *validator.Issuer) {
			c.Claims = []validator.ClaimRule{{Name: "sub", Type: validator.ClaimString, Equals: "user-1"}}
		},
		"profile": func(c *validator.Issuer) {
			c.Profile, c.Marker = validator.ProfileLegacy, []validator.ClaimRule{{Name: "client_id"}}
		},
		"keys": func(c *validator.Issuer) { c.Keys = jwkscache.URL(c.URL + "/jwks.json") },
	} {
		synctest.Test(t, func(t *testing.T) {
			issuer, config, d, v := acceptedOnce(t, discovering)
			change(&config)
			d.set(issuer.URL(), answering(config))
			advance(5 * time.Minute)
			wantReason(t, name+": after", reasonFor(t, v, issuer, testissuer.Token{}), "")
			wantCount(t, name+": fetches of keys", issuer.Requests(testissuer.JWKS), 2)
			wantListed(t, name+": after", v, issuer.URL())
		})
	}
	synctest.Test(t, func(t *testing.T) {
		issuer, config, d, v := acceptedOnce(t, pinned)
		config.Audiences = []string{"https://other.test"}
		d.set(issuer.URL(), answering(config))
		advance(4 * time.Minute)
		wantEither(t, "the token that notices", reasonFor(t, v, issuer, testissuer.Token{}), validator.WrongAudience)
		synctest.Wait()
		wantReason(t, "another audience", reasonFor(t, v, issuer, testissuer.Token{}), validator.WrongAudience)
		issuer.Retire(issuer.SigningKey())
		issuer.Rotate()
		d.set(issuer.URL(), answering(pinned(issuer)))
		v.ForgetIssuer(issuer.URL())
		wantReason(t, "other keys", reasonFor(t, v, issuer, testissuer.Token{}), "")
	})
}

// TestResolvedUnchanged shows that an answer which says the same keeps the keys,
// also if it is put together anew each time, or by changing the one before.
func TestResolvedUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer, d, v := resolvingOne(t)
		issuer.Behave(testissuer.JWKS, testissuer.Behaviour{Header: http.Header{"Cache-Control": {"max-age=86400"}}})
		client := issuer.Client()
		d.set(issuer.URL(), func(context.Context) (validator.Issuer, error) {
			config := discovering(issuer)
			config.HTTPClient = client
			config.Algorithms = []jose.Algorithm{jose.ES256, jose.EdDSA}
			config.Claims = []validator.ClaimRule{{Name: "sub"}}
			config.ForbiddenKeys = []jwkscache.KeyName{{KeyID: "old"}}
			return config, nil
		})
		for range 20 {
			wantReason(t, "unchanged", reasonFor(t, v, issuer, testissuer.Token{}), "")
			advance(5 * time.Minute)
		}
		wantCount(t, "calls", d.total(), 20)
		wantCount(t, "fetches of keys", issuer.Requests(testissuer.JWKS), 1)
		if err := v.ForbidKey(t.Context(), issuer.URL(), jwkscache.KeyName{KeyID: "older"}); err != nil {
			t.Error(err)
		}
		for range 3 {
			wantReason(t, "with another forbidden key", reasonFor(t, v, issuer, testissuer.Token{}), "")
			advance(5 * time.Minute)
		}
		wantCount(t, "fetches of keys", issuer.Requests(testissuer.JWKS), 1)
	})
	synctest.Test(t, func(t *testing.T) { // ResolveIssuer may go on using what it returned
		issuer, d, v := resolvingOne(t)
		config := pinned(issuer)
		config.Algorithms = []jose.Algorithm{jose.ES256}
		config.ForbiddenKeys = []jwkscache.KeyName{{KeyID: "old"}}
		config.Claims = []validator.ClaimRule{{Name: "sub"}}
		config.Profile, config.Marker = validator.ProfileLegacy, []validator.ClaimRule{{Name: "client_id"}}
		changes := []func(){
			func() {},
			func() { config.Audiences[0] = "https://other.test" },
			func() { config.Audiences[0], config.Algorithms[0] = "https://api.test", jose.EdDSA },
			func() { config.Algorithms[0], config.Claims[0].Name = jose.ES256, "team" },
			func() { config.Claims[0].Name, config.Marker[0].Name = "sub", "team" },
			func() { config.Marker[0].Name, config.ForbiddenKeys[0].KeyID = "client_id", issuer.SigningKey() },
			func() { config.ForbiddenKeys[0].KeyID = "old" },
		}
		next := 0
		d.set(issuer.URL(), func(context.Context) (validator.Issuer, error) {
			changes[next]()
			next++
			return config, nil
		})
		for _, want := range []validator.Reason{
			"", validator.WrongAudience, validator.AlgorithmNotAllowed, validator.BadClaims, validator.WrongType, validator.UnknownKey, "",
		} {
			untyped := testissuer.Token{Header: map[string]any{"typ": "JWT"}} // so that the marker decides
			wantReason(t, "after a change in place", reasonFor(t, v, issuer, untyped), want)
			advance(5 * time.Minute)
		}
	})
}
