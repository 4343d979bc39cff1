package validator_test

import (
	"errors"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestHeldJWTWithoutAnswer: a JWT that nobody was asked about holds where no answer is demanded, and is outdated where one is.
func TestHeldJWTWithoutAnswer(t *testing.T) {
	is := newHybridIssuer(t)
	token := wantVerdict(t, "local", is.v, is.Bearer(nil), "", validator.Verified, "")
	for _, row := range []struct {
		name     string
		demands  validator.Demands
		outdated bool
	}{
		{"no demand", validator.Demands{}, false},
		{"an answer is demanded", validator.Demands{ActiveWithin: time.Minute}, true},
	} {
		for method, err := range map[string]error{
			"Recheck": is.v.Recheck(t.Context(), token, row.demands), "Meets": token.Meets(t.Context(), row.demands),
		} {
			if errors.Is(err, introspect.AnswerOutdated) != row.outdated || (err != nil) != row.outdated {
				t.Errorf("%s, %s: %v, outdated %t is wanted", row.name, method, causeOf(err), row.outdated)
			}
		}
	}
}

// TestHeldWithoutCache: with the Validator's cache off, a Token that is held holds for the TTL, and not after its answer is forgotten.
func TestHeldWithoutCache(t *testing.T) {
	is := issuertest.New(t)
	v := issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig()}, Cache: validator.CacheConfig{Off: true}})
	token := wantVerdict(t, "first", v, is.OpaqueBearer(nil), "", validator.Introspected, "")
	if err := v.Recheck(t.Context(), token, validator.Demands{}); err != nil {
		t.Errorf("at once: %v", causeOf(err))
	}
	v.ForgetAnswers(validator.AnswersAbout{Issuer: is.URL()})
	if err := v.Recheck(t.Context(), token, validator.Demands{}); !errors.Is(err, introspect.AnswerOutdated) {
		t.Errorf("after the answer was forgotten: %v", causeOf(err))
	}
}

// TestHeldOverAnotherConfiguration: a Token that is held is Unavailable once its issuer has another configuration, with Opaque or without. Nothing is
// fetched for that: no keys are needed. What the issuer said under the earlier configuration does not refuse the Token either.
func TestHeldOverAnotherConfiguration(t *testing.T) {
	is := issuertest.At(t, "https://resolved.test")
	d := newDirectory()
	for name, config := range map[string]validator.Issuer{
		"with Opaque": is.OpaqueConfig(grantAll), "without Opaque": is.Config(grantAll),
	} {
		d.set(is.URL(), answering(is.OpaqueConfig(grantAll)))
		v := resolving(t, d, 0, nil)
		p := is.OpaqueBearer(nil)
		p.Demands.OpaqueIssuer = is.URL()
		token := wantVerdict(t, name, v, p, "", validator.Introspected, "")
		is.Revoke(p.Token)
		wantVerdict(t, name, v, within(p, validator.EachRequest), validator.Inactive, validator.Introspected, "")
		d.set(is.URL(), answering(config))
		v.ForgetIssuer(is.URL())
		err := v.Recheck(t.Context(), token, validator.Demands{})
		if want := "validator: the configuration of the token's issuer changed or was forgotten since the token was verified"; validator.ReasonOf(err) != validator.Unavailable || causeText(err) != want {
			t.Errorf("%s: %v, want %q", name, causeText(err), want)
		}
	}
	if n := is.Requests(testissuer.JWKS) + is.Requests(testissuer.OAuthMetadata); n != 0 {
		t.Errorf("%d requests for keys and metadata", n)
	}
}

// TestJWTThatCannotBeAskedAboutIsCached: a JWT of an issuer without Opaque, on a route that demands an answer, is verified once only.
func TestJWTThatCannotBeAskedAboutIsCached(t *testing.T) {
	is := issuertest.New(t)
	v, p := is.Validator(t), within(is.Bearer(nil), time.Minute)
	for _, source := range []validator.Source{validator.Verified, validator.Cached, validator.Cached} {
		if done := v.Inspect(t.Context(), p); done.Reason != validator.Unavailable || done.Source != source {
			t.Errorf("%q from %q, want unavailable from %q", done.Reason, done.Source, source)
		}
	}
}

// TestOpaqueDemandsThatCanBeMet: what CanMeet finds missing is an issuer that is asked. An issuer that ResolveIssuer finds may be one.
func TestOpaqueDemandsThatCanBeMet(t *testing.T) {
	is := issuertest.New(t)
	stranger := validator.Demands{OpaqueIssuer: "https://stranger.test"}
	if issuertest.Validator(t, validator.Config{Issuers: []validator.Issuer{is.OpaqueConfig()}}).CanMeet(stranger) == nil {
		t.Error("the tokens of an unknown issuer can be met")
	}
	v := resolving(t, newDirectory(), 0, nil, is.Config(grantAll))
	for _, demands := range []validator.Demands{stranger, {ActiveWithin: time.Minute}} {
		if err := v.CanMeet(demands); err != nil {
			t.Errorf("with ResolveIssuer: %v", err)
		}
	}
}
