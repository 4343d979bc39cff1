package validator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-auth/sallyport/internal/issuertest"
	"github.com/sallyport-auth/sallyport/testissuer"
	"github.com/sallyport-auth/sallyport/validator"
)

const inactive = `{"active":false}`

// TestOlderRefusalArrivesLater (R-IN-14): a refusal that arrives after one of a later request does not take its place: an answer "active" whose
// request began between the two counts for nothing.
func TestOlderRefusalArrivesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := within(is.OpaqueBearer(nil), validator.EachRequest)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(inactive), Delay: 1500 * time.Millisecond})
		go func() { _, _ = is.v.Validate(t.Context(), p) }()
		time.Sleep(500 * time.Millisecond)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Delay: 1500 * time.Millisecond})
		between := make(chan validator.Reason, 1)
		go func() {
			_, err := is.v.Validate(t.Context(), p)
			between <- validator.ReasonOf(err)
		}()
		time.Sleep(500 * time.Millisecond)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(inactive)})
		wantVerdict(t, "the latest", is.v, p, validator.Inactive, validator.Introspected, "")
		if reason := <-between; reason != validator.Inactive {
			t.Errorf("the answer of the request between the two: %q, want %q", reason, validator.Inactive)
		}
	})
}

// TestOlderRefusalOfActiveToken (R-IN-14): a refusal that arrives after the answer "active" of a later request leaves that answer in the cache.
func TestOlderRefusalOfActiveToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := is.OpaqueBearer(nil)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(inactive), Delay: 1500 * time.Millisecond, Times: 1})
		go func() { _, _ = is.v.Validate(t.Context(), within(p, validator.EachRequest)) }()
		time.Sleep(time.Second)
		wantVerdict(t, "newer", is.v, within(p, validator.EachRequest), "", validator.Introspected, "")
		time.Sleep(2 * time.Second)
		wantVerdict(t, "after the older answer", is.v, p, "", validator.Cached, "")
	})
}

// TestNotYetValidIsAskedAgain (R-IN-13): a token that is refused only because it is not valid yet is not remembered as refused.
func TestNotYetValidIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		p := is.OpaqueBearer(nil)
		is.Behave(testissuer.Introspection, testissuer.Behaviour{
			Times: 1, Body: []byte(`{"active":true,"aud":"` + issuertest.Audience + `","token_type":"Bearer","nbf":` + unix(time.Now().Add(time.Hour)) + `}`),
		})
		wantVerdict(t, "early", is.v, p, validator.NotYetValid, validator.Introspected, "")
		time.Sleep(time.Second)
		wantVerdict(t, "in time", is.v, p, "", validator.Introspected, "")
	})
}

// TestRecheckAfterOlderRefusal (R-IN-14): a Token that is held is not refused for what the issuer said before it was accepted.
func TestRecheckAfterOlderRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := newOpaqueIssuer(t)
		over := testissuer.Token{Claims: issuertest.Claims{"exp": time.Now().Add(-5 * time.Second).Unix()}, Fault: testissuer.ExpiredActive}
		p := within(issuertest.Bearer(is.Opaque(over)), validator.EachRequest) // accepted by the leeway only, it is not put into the cache
		is.Behave(testissuer.Introspection, testissuer.Behaviour{Body: []byte(inactive), Times: 1})
		wantVerdict(t, "refused", is.v, p, validator.Inactive, validator.Introspected, "")
		time.Sleep(time.Second)
		token := wantVerdict(t, "accepted", is.v, p, "", validator.Introspected, "")
		wantRecheck(t.Context(), t, "held", is.v, token, validator.Demands{}, "")
	})
}
