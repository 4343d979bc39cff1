package scopes_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestDecideChecksDemands covers R-CL-05, R-CL-06, R-CL-11 and R-SC-12: Decide checks
// the demands of the policy and the times of the token, also where there is no route.
func TestDecideChecksDemands(t *testing.T) {
	expired, ahead := refused(validator.Expired), refused(validator.NotYetValid)
	const leeway = 30 * time.Second
	pay := scopes.All("pay")
	for _, row := range []struct {
		name   string
		policy scopes.Policy
		claims claims
		offset time.Duration
		want   scopes.Refusal
	}{
		{"audience", scopes.Audience("https://api.example"), nil, 0, scopes.Refusal{}},
		{"another audience", scopes.Audience("https://other.example"), nil, 0, refused(validator.WrongAudience)},
		{
			"an audience that the issuer is not configured for", scopes.Audience("https://other.example"),
			claims{"aud": []string{"https://api.example", "https://other.example"}},
			0, refused(validator.WrongAudience),
		},
		{"lifetime", scopes.MaxLifetime(61 * time.Minute), nil, 0, scopes.Refusal{}},
		{"too long a lifetime", scopes.MaxLifetime(time.Hour), nil, 0, refused(validator.BadClaims)},
		{"age", scopes.MaxTokenAge(time.Minute), nil, 0, scopes.Refusal{}},
		{"grown too old", scopes.MaxTokenAge(time.Minute), nil, 1, refused(validator.BadClaims)},
		{"binding", scopes.SenderConstrained(), nil, 0, refused(validator.BindingMismatch)},
		{"in an And", scopes.And(pay, scopes.And(scopes.SenderConstrained())), claims{"scope": "pay"}, 0, refused(validator.BindingMismatch)},
		{"before the scopes", scopes.And(pay, scopes.Audience("https://other.example")), nil, 0, refused(validator.WrongAudience)},

		{"in the leeway", pay, claims{"scope": "pay"}, time.Hour + leeway - 1, scopes.Refusal{}},
		{"expired", pay, claims{"scope": "pay"}, time.Hour + leeway, expired},
		{"expired, authenticated", scopes.Authenticated(), nil, time.Hour + leeway, expired},
		{"expired, with an alternative", scopes.Or(pay, scopes.Authenticated()), nil, time.Hour + leeway, expired},
		{"expired, with a demand", scopes.SenderConstrained(), nil, time.Hour + leeway, expired},
		{"expired, public", scopes.Public(), nil, time.Hour + leeway, scopes.Refusal{}},
		{"a zero policy", scopes.Policy{}, nil, time.Hour + leeway, refused(validator.Forbidden)},
		{"not yet valid", scopes.Authenticated(), claims{"nbf": testNow}, -leeway - time.Second, ahead},
	} {
		token := mint(t, row.claims)
		refusal := row.policy.Decide(at(row.offset), token, scopes.Operation{})
		same(t, row.name, row.claims, refusal, row.want)
		if refusal != nil && row.policy.Err() == nil && !strings.HasPrefix(errors.Unwrap(refusal).Error(), "validator: ") {
			t.Errorf("%s: the cause is %v", row.name, errors.Unwrap(refusal))
		}
		if e := row.policy.Explain(at(row.offset), token, scopes.Operation{}); e.Permits != (row.want.Reason == permitted) {
			t.Errorf("%s is explained otherwise:\n%v", row.name, e)
		}
	}
}

// TestHooksAreNotCalled shows that no hook is called for a token that has expired or
// does not meet the demands.
func TestHooksAreNotCalled(t *testing.T) {
	asks := 0
	policy := scopes.And(scopes.Check("counted", 0, asked(&asks, nil)), scopes.Audience("https://other.example"))
	if refusal := policy.Decide(at(0), minted(t, ""), scopes.Operation{}); refusal == nil || asks != 0 {
		t.Errorf("%v, after %d calls of the hook", refusal, asks)
	}
	if e := policy.Explain(at(0), minted(t, ""), scopes.Operation{}); e.Permits || asks != 0 {
		t.Errorf("%v, after %d calls of the hook", e, asks)
	}
}

// TestExplanationOfDemands shows that an explanation says which demand was not met.
func TestExplanationOfDemands(t *testing.T) {
	policy := scopes.And(
		scopes.All("pay"),
		scopes.And(scopes.MaxLifetime(2*time.Hour), scopes.SenderConstrained()),
		scopes.And(scopes.Audience("https://api.example")),
	)
	const want = `And: binding_mismatch
  All("pay"): not asked
  And: binding_mismatch
    MaxLifetime(2h0m0s): permits
    SenderConstrained(): binding_mismatch
  And: not asked
    Audience("https://api.example"): permits
`
	if got := policy.Explain(at(0), minted(t, "pay"), scopes.Operation{}).String(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := scopes.All("pay").Explain(at(2*time.Hour), minted(t, "pay"), scopes.Operation{}).String(); got != "All(\"pay\"): expired\n" {
		t.Errorf("of an expired token: %s", got)
	}
}
