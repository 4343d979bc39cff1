package scopes_test

import (
	"math"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestACR covers R-SU-01, R-SU-03 and R-SU-05: membership in the set and nothing
// else, and a refusal that names the values in their order.
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
		// What counts of one issuer does not of another.
		{policy: policy, claims: claims{"acr": "silver"}},
		{policy: policy, claims: claims{"iss": legacyIssuer, "acr": "silver"}, want: want},
		{policy: scopes.ACR("gold"), claims: claims{"iss": legacyIssuer, "acr": "gold"}},
	})
	faults(t, map[string]scopes.Policy{
		"ACR without an acr value":                                   scopes.ACR(),
		`"a b" cannot stand & argument 2 is empty`:                   scopes.ACR("a b", ""),
		`"é" cannot stand & "\"" cannot stand & "c" is listed twice`: scopes.ACR("é", `"`, "c", "c"),
	})
}

// TestMFA covers R-SU-05: amr counts as the issuer's configuration says, and at
// an issuer without one it does not.
func TestMFA(t *testing.T) {
	policy := scopes.MFA("gold", "silver")
	want := scopes.Refusal{Reason: validator.StepUpRequired, ACRValues: []string{"gold", "silver"}}
	check(t, []row{
		{policy: policy, claims: claims{"amr": []string{"pwd", "mfa"}}},
		{policy: policy, claims: claims{"amr": []string{"pwd", "otp"}}, want: want},
		{policy: policy, claims: claims{"acr": "gold"}, want: want},
		{policy: policy, claims: claims{"iss": legacyIssuer, "amr": []string{"mfa"}}, want: want},
	})
	faults(t, map[string]scopes.Policy{"MFA without an acr value": scopes.MFA(), `"a b" cannot stand`: scopes.MFA("a b")})
}

// TestMaxAuthAge covers R-SU-02, R-SU-03 and R-SU-06: the age is by auth_time,
// to the second, and a fresh token of an old login is old.
func TestMaxAuthAge(t *testing.T) {
	policy := scopes.MaxAuthAge(5 * time.Minute)
	want := scopes.Refusal{Reason: validator.StepUpRequired, MaxAge: 5 * time.Minute}
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

// TestNoSessionUpgrade covers R-SU-08: the strong token passes, and the weak one
// is refused again after that.
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

// TestConsentWithin covers R-SU-09: consent is a date in a claim, and neither a
// scope nor its wrong type stands for it.
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
		`ConsentWithin("", 1s)`:  scopes.ConsentWithin("", time.Second),
		"limit must be positive": scopes.ConsentWithin("a", 0),
	})
}
