package scopes_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestForTwice checks that a Refusal which says what the token has is not changed again.
func TestForTwice(t *testing.T) {
	token := minted(t, "read")
	first := scopes.All("write").Decide(at(0), token, scopes.Operation{}).For(at(0), token)
	if second := first.For(at(0), token); second != first {
		t.Errorf("%v, and then %v", first, second)
	}
	var none *scopes.Refusal
	if none.For(at(0), token) != nil {
		t.Error("a Refusal of nothing")
	}
}

// TestForTypes (R-SU-03): a step-up refusal of a token whose claims have other types says
// which, and not their values.
func TestForTypes(t *testing.T) {
	for _, row := range []struct {
		policy scopes.Policy
		claims claims
		found  string
		mend   string
	}{
		{scopes.ACR("gold"), claims{"acr": 7}, "found acr, which is a number; wanted acr", "acr as a string"},
		{scopes.ACR("gold"), claims{"acr": "other"}, "found no acr that counts; wanted acr", "Issuer.ACRs"},
		{scopes.MFA("gold"), claims{"amr": "mfa"}, "found no acr that counts, amr, which is a string; wanted", "amr as an array of strings"},
		{scopes.MFA("gold"), claims{"amr": []any{map[string]any{"method": "secret"}}}, "amr with an object as element 0", "amr as an array of strings"},
		{scopes.MaxAuthAge(time.Minute), claims{"auth_time": "2026-01-01T00:00:00Z"}, "found auth_time, which is a string; wanted auth_time at most", "auth_time as a number"},
		{scopes.MaxAuthAge(time.Minute), claims{}, "found no auth_time; wanted", "acr_values and max_age"},
		{scopes.MaxAuthAge(time.Minute), claims{"auth_time": testNow - 100}, "found auth_time 1699999900, 100 s ago", "acr_values and max_age"},
	} {
		token := mint(t, row.claims)
		refusal := row.policy.Decide(at(0), token, scopes.Operation{})
		if refusal == nil || refusal.Reason != validator.StepUpRequired {
			t.Errorf("%v of %v: %v", row.policy, row.claims, refusal)
			continue
		}
		text := fmt.Sprint(errors.Unwrap(refusal.For(at(0), token)))
		if !strings.Contains(text, row.found) || !strings.Contains(text, row.mend) || strings.Contains(text, "secret") {
			t.Errorf("%v of %v: %s", row.policy, row.claims, text)
		}
	}
}
