package scopes_test

import (
	"math"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestACR covers R-SU-01, R-SU-03 and R-SU-05: acr must be one of the values, and the
// refusal names them in their order.
func TestACR(t *testing.T) {
	policy := scopes.ACR("urn:gold", "silver", "2")
	want := scopes.Refusal{Reason: validator.StepUpRequired, ACRValues: []string{"urn:gold", "silver", "2"}}
	check(t, []row{
		{policy: policy, claims: claims{"acr": "urn:gold"}},
		{policy: policy, claims: claims{"acr": "2"}},
		{policy: policy, claims: claims{}, want: want},
		{policy: policy, claims: claims{"acr": "3"}, want: want},
		{policy: policy, claims: claims{"acr": "Silver"}, want: want},
		{policy: policy, claims: claims{"acr": "urn:gold silver"}, want: want},
		{policy: policy, claims: claims{"acr": "silve"}, want: want},
		{policy: policy, claims: claims{"scope": "silver", "amr": []string{"silver"}}, want: want},
		// A value that counts at one issuer does not count at another.
		{policy: policy, claims: claims{"acr": "silver"}},
		{policy: policy, claims: claims{"iss": legacyIssuer, "acr": "silver"}, want: want},
		{policy: scopes.ACR("gold"), claims: claims{"iss": legacyIssuer, "acr": "gold"}},
	})
	faults(t, map[string]scopes.Policy{
		"ACR has no acr values":                                                     scopes.ACR(),
		`ACR[0] "a b" cannot be listed & ACR[1] is empty`:                           scopes.ACR("a b", ""),
		`ACR[0] "é" cannot be & ACR[1] "\"" cannot be & ACR[3] "c" is listed twice`: scopes.ACR("é", `"`, "c", "c"),
	})
}

// TestMFA covers R-SU-05: amr counts as the issuer's configuration says, and does not
// count without one.
func TestMFA(t *testing.T) {
	policy := scopes.MFA("gold", "silver")
	want := scopes.Refusal{Reason: validator.StepUpRequired, ACRValues: []string{"gold", "silver"}}
	check(t, []row{
		{policy: policy, claims: claims{"amr": []string{"pwd", "mfa"}}},
		{policy: policy, claims: claims{"amr": []string{"pwd", "otp"}}, want: want},
		{policy: policy, claims: claims{"acr": "gold"}, want: want},
		{policy: policy, claims: claims{"iss": legacyIssuer, "amr": []string{"mfa"}}, want: want},
	})
	faults(t, map[string]scopes.Policy{"MFA has no acr values": scopes.MFA(), `MFA[0] "a b" cannot be listed in a challenge`: scopes.MFA("a b")})
}

// TestMaxAuthAge covers R-SU-02, R-SU-03 and R-SU-06: the age is counted from
// auth_time, and a new token of an old login is refused.
func TestMaxAuthAge(t *testing.T) {
	policy := scopes.MaxAuthAge(5 * time.Minute)
	want := scopes.Refusal{Reason: validator.StepUpRequired, MaxAuthAge: 5 * time.Minute}
	check(t, []row{
		{policy: policy, claims: claims{"auth_time": testNow}},
		{policy: policy, claims: claims{"auth_time": testNow - 300}},
		{policy: policy, claims: claims{"auth_time": testNow + 20}}, // within the validator's leeway
		{policy: policy, claims: claims{"auth_time": testNow - 301}, want: want},
		{policy: policy, claims: claims{"auth_time": testNow - 300.5}, want: want},
		{policy: policy, claims: claims{"auth_time": 0}, want: want},
		{policy: policy, claims: claims{"iat": testNow}, want: want},
		{policy: policy, claims: claims{"iat": testNow, "auth_time": testNow - 301}, want: want},
	})
	for _, limit := range []time.Duration{0, -time.Second, time.Millisecond, 1500 * time.Millisecond, time.Minute + 1} {
		faults(t, map[string]scopes.Policy{"whole seconds": scopes.MaxAuthAge(limit)})
	}
}

// TestNoSessionUpgrade covers R-SU-08: a weak token stays refused after the same user
// presented a strong one.
func TestNoSessionUpgrade(t *testing.T) {
	policy := scopes.And(scopes.ACR("gold"), scopes.MaxAuthAge(time.Minute))
	weak, strong := mint(t, claims{"acr": "bronze", "auth_time": testNow}), mint(t, claims{"acr": "gold", "auth_time": testNow})
	for i, step := range []struct {
		token  *validator.Token
		after  time.Duration
		denied bool
	}{{weak, 0, true}, {strong, 0, false}, {weak, 0, true}, {strong, time.Minute, false}, {strong, time.Minute + 1, true}} {
		if refusal := policy.Decide(at(step.after), step.token, scopes.Operation{}); (refusal != nil) != step.denied {
			t.Errorf("step %d: %v", i, refusal)
		}
	}
}

// TestConsentWithin covers R-SU-09: a consent is a date in a claim. A scope, or a claim
// of another type, is no consent.
func TestConsentWithin(t *testing.T) {
	policy := scopes.And(scopes.All("pay"), scopes.ConsentWithin("consent_at", time.Hour))
	want := scopes.Refusal{Reason: validator.InsufficientScope, Scopes: []string{"pay"}}
	check(t, []row{
		{policy: policy, claims: claims{"scope": "pay", "consent_at": testNow - 3600}},
		{policy: policy, claims: claims{"scope": "pay", "consent_at": testNow + 60}},
		{policy: policy, claims: claims{"scope": "pay", "consent_at": testNow - 3601}, want: want},
		{policy: policy, claims: claims{"scope": "pay", "consent_at": testNow + 61}, want: want},
		{policy: policy, claims: claims{"scope": "pay", "consent_at": "1700000000"}, want: want},
		{policy: policy, claims: claims{"scope": "pay", "Consent_at": testNow}, want: want},
		{policy: policy, claims: claims{"scope": "pay"}, want: want},
		{policy: scopes.ConsentWithin("consent_at", time.Hour), claims: claims{"scope": "pay"}, want: refused(validator.InsufficientScope)},
		{policy: scopes.ConsentWithin("consent_at", math.MaxInt64), claims: claims{}, want: refused(validator.InsufficientScope)},
	})
	faults(t, map[string]scopes.Policy{
		"ConsentWithin has an empty claim name": scopes.ConsentWithin("", time.Second),
		"ConsentWithin has the limit 0s":        scopes.ConsentWithin("a", 0),
	})
}
