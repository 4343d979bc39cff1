package validator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestOpaqueTokenAssigned: a caller that assigns another Token to the one it was given changes its own, and the next caller gets a
// new answer.
func TestOpaqueTokenAssigned(t *testing.T) {
	is := newOpaqueIssuer(t)
	p := is.OpaqueBearer(nil)
	token := wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
	*token = validator.Token{}
	next := wantVerdict(t, "after another Token was assigned", is.v, p, "", validator.Introspected, "")
	if next == token || next.Issuer() != is.URL() {
		t.Errorf("the next caller gets %v", next)
	}
}

// TestCacheOffSharesNothing (R-IN-13): with the Validator's cache off, requests that arrive together ask apart.
func TestCacheOffSharesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := issuertest.New(t)
		v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig()}, Cache: validator.CacheConfig{Off: true}})
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second})
		once := issuertest.Bearer(is.Opaque(testissuer.Token{Fault: testissuer.ActiveOnce}))
		if reasons := together(t.Context(), v, 20, once); reasons[""] != 1 || reasons[validator.Inactive] != 19 {
			t.Errorf("a token that is active once: %v, want 1 accepted and 19 inactive", reasons)
		}
		if n := v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()}); n != 0 {
			t.Errorf("%d answers were forgotten, want 0", n)
		}
	})
}

// TestNoCacheKeepsNothing (R-IN-13): without a TTL, no answer is in the cache.
func TestNoCacheKeepsNothing(t *testing.T) {
	is := newOpaqueIssuer(t, cache(introspect.NoCache))
	wantVerdict(t, "first", is.v, is.OpaqueBearer(nil), "", validator.Introspected, "")
	if n := is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()}); n != 0 {
		t.Errorf("%d answers were forgotten, want 0", n)
	}
}

// TestLeewayKeepsNothing (R-IN-13): an answer that counts by the leeway only is not in the cache.
func TestLeewayKeepsNothing(t *testing.T) {
	is := newOpaqueIssuer(t)
	over := testissuer.Token{Claims: issuertest.Claims{"exp": time.Now().Add(-5 * time.Second).Unix()}, Fault: testissuer.ExpiredActive}
	wantVerdict(t, "in the leeway", is.v, issuertest.Bearer(is.Opaque(over)), "", validator.Introspected, "")
	if n := is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()}); n != 0 {
		t.Errorf("%d answers were forgotten, want 0", n)
	}
}

// TestForgetLeavesJWTs (R-IN-15): what was verified of a JWT without an answer is not forgotten, and a JWT that was asked about is. Only
// the latter is Introspected.
func TestForgetLeavesJWTs(t *testing.T) {
	is := newHybridIssuer(t)
	local, asked := is.Bearer(nil), within(is.Bearer(nil), time.Minute)
	for token, introspected := range map[*validator.Token]bool{
		nil: false, new(validator.Token): false,
		wantVerdict(t, "local", is.v, local, "", validator.Verified, ""):           false,
		wantVerdict(t, "asked about", is.v, asked, "", validator.Introspected, ""): true,
	} {
		if token.Introspected() != introspected {
			t.Errorf("Introspected is %v of %v", !introspected, token)
		}
	}
	if n := is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()}); n != 1 {
		t.Errorf("%d answers were forgotten, want 1", n)
	}
	wantVerdict(t, "local, again", is.v, local, "", validator.Cached, "")
	wantVerdict(t, "asked about, again", is.v, asked, "", validator.Introspected, "")
}

// TestActiveWithinIsForJWTs (R-IN-13): Issuer.ActiveWithin says nothing about opaque tokens, whose answers are used for the TTL.
func TestActiveWithinIsForJWTs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newHybridIssuer(t, func(config *validator.Issuer) { config.ActiveWithin = 5 * time.Second })
		p := is.OpaqueBearer(nil)
		wantVerdict(t, "first", is.v, p, "", validator.Introspected, "")
		time.Sleep(20 * time.Second)
		wantVerdict(t, "20 s later", is.v, p, "", validator.Cached, "")
	})
}

// TestForgottenAgainAndAgain (R-IN-15): answers are forgotten during the request to the issuer and during the one that repeats it. The
// token is then neither accepted nor refused, and the next request with it asks.
func TestForgottenAgainAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: time.Second, Times: 2})
		p := is.OpaqueBearer(nil)
		go func() {
			for range 2 {
				time.Sleep(700 * time.Millisecond)
				is.v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()})
			}
		}()
		_, err := is.v.Validate(t.Context(), p)
		if want := "validator: answers were forgotten while the issuer was asked; try again"; validator.ReasonOf(err) != validator.Unavailable || causeText(err) != want {
			t.Errorf("%q (%v), want unavailable and %q", validator.ReasonOf(err), causeText(err), want)
		}
		is.wantAsked(t, "forgotten twice", 2)
		wantVerdict(t, "next", is.v, p, "", validator.Introspected, "")
	})
}
