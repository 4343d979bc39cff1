package scopes_test

import (
	"testing"
	"time"

	"github.com/sallyport-auth/sallyport/scopes"
	"github.com/sallyport-auth/sallyport/validator"
)

// TestRoles covers R-SC-07: a scope is not a role, a role is not a scope, and the
// tokens of an issuer without a mapping have no roles.
func TestRoles(t *testing.T) {
	both, either := scopes.Roles("clerk", "auditor"), scopes.AnyRole("clerk", "auditor")
	forbidden := refused(validator.Forbidden)
	check(t, []row{
		{policy: both, claims: claims{"roles": []string{"auditor", "x", "clerk"}}},
		{policy: both, claims: claims{"roles": []string{"auditor"}}, want: forbidden},
		{policy: both, claims: claims{"scope": "clerk auditor"}, want: forbidden},
		{policy: both, claims: claims{"groups": []string{"clerk", "auditor"}}, want: forbidden},
		{policy: either, claims: claims{"roles": []string{"auditor"}}},
		{policy: either, claims: claims{"roles": []string{"Auditor", "clerks", "cler"}}, want: forbidden},
		{policy: either, claims: claims{"iss": legacyIssuer, "roles": []string{"clerk"}}, want: forbidden},
		{policy: scopes.All("clerk"), claims: claims{"roles": []string{"clerk"}}, want: scopes.Refusal{Reason: validator.InsufficientScope, Scopes: []string{"clerk"}}},
	})
	faults(t, map[string]scopes.Policy{
		"scopes: Roles has no roles":                           scopes.Roles(),
		"scopes: AnyRole has no roles":                         scopes.AnyRole(),
		"Roles[0] is empty":                                    scopes.Roles(""),
		`AnyRole[1] "a" is listed twice & AnyRole[2] is empty`: scopes.AnyRole("a", "a", ""),
	})
	roles := []string{"clerk"}
	all, some := scopes.Roles(roles...), scopes.AnyRole(roles...)
	roles[0] = "x"
	if clerk := mint(t, claims{"roles": "clerk"}); decide(all, clerk) != nil || decide(some, clerk) != nil {
		t.Error("a change of the caller's slice changed the policy")
	}
}

// TestClaim covers R-CL-14: the claim that a policy asks for must have the type and
// the value, without conversion.
func TestClaim(t *testing.T) {
	department := scopes.Claim(validator.ClaimRule{Name: "dept", Equals: "7"})
	verified := scopes.Claim(validator.ClaimRule{Name: "email_verified", Type: validator.ClaimBoolean, Equals: "true"})
	group := scopes.Claim(validator.ClaimRule{Name: "groups", Type: validator.ClaimStrings, Equals: "ops"})
	pod := scopes.Claim(validator.ClaimRule{Name: "kubernetes.io", Type: validator.ClaimObject, Equals: "pod"})
	either := scopes.Claim(validator.ClaimRule{AnyOf: []validator.ClaimRule{{Name: "dept", Equals: "7"}, {Name: "email_verified", Type: validator.ClaimBoolean, Equals: "true"}}})
	bad := refused(validator.BadClaims)
	check(t, []row{
		{policy: pod, claims: claims{"kubernetes.io": map[string]any{"pod": map[string]any{}}}},
		{policy: pod, claims: claims{"kubernetes.io": map[string]any{"node": map[string]any{}}}, want: bad},
		{policy: pod, claims: claims{"kubernetes.io": "pod"}, want: bad},
		{policy: either, claims: claims{"dept": "7"}},
		{policy: either, claims: claims{"dept": "8", "email_verified": true}},
		{policy: either, claims: claims{"dept": "8", "email_verified": false}, want: bad},
		{policy: scopes.And(either, pod), claims: claims{"dept": "7"}, want: bad},
		{policy: department, claims: claims{"dept": "7"}},
		{policy: department, claims: claims{"dept": 7}, want: bad},
		{policy: department, claims: claims{"dept": []string{"7"}}, want: bad},
		{policy: department, claims: claims{"dept": "8"}, want: bad},
		{policy: department, claims: claims{}, want: bad},
		{policy: verified, claims: claims{"email_verified": true}},
		{policy: verified, claims: claims{"email_verified": "true"}, want: bad},
		{policy: verified, claims: claims{"email_verified": false}, want: bad},
		{policy: group, claims: claims{"groups": []string{"dev", "ops"}}},
		{policy: group, claims: claims{"groups": "ops"}, want: bad},
		{policy: scopes.Or(department, group), claims: claims{"groups": []string{"ops"}}},
	})
	faults(t, map[string]scopes.Policy{
		"scopes: Claim & Name is empty":       scopes.Claim(validator.ClaimRule{}),
		"is not a value of the boolean claim": scopes.Claim(validator.ClaimRule{Name: "a", Type: validator.ClaimBoolean}),
		"Type 9 does not exist":               scopes.Claim(validator.ClaimRule{Name: "a", Type: 9}),
		"Claim.AnyOf[1].Name is empty":        scopes.Claim(validator.ClaimRule{AnyOf: []validator.ClaimRule{{Name: "a"}, {}}}),
		"Claim.AnyOf is empty":                scopes.Claim(validator.ClaimRule{AnyOf: []validator.ClaimRule{}}),
	})
	for text, policy := range map[string]scopes.Policy{
		`Claim(validator.ClaimRule{"dept", validator.ClaimString, "7"})`:                                                                department,
		`Claim(validator.ClaimRule{"kubernetes.io", validator.ClaimObject, "pod"})`:                                                     pod,
		`Claim(validator.ClaimRule{AnyOf: {{"dept", validator.ClaimString, "7"}, {"email_verified", validator.ClaimBoolean, "true"}}})`: either,
	} {
		if policy.String() != text {
			t.Errorf("%v, want %s", policy, text)
		}
	}
	rules := []validator.ClaimRule{{Name: "dept", Equals: "7"}}
	changed := scopes.Claim(validator.ClaimRule{AnyOf: rules})
	rules[0].Equals = "8"
	if decide(changed, mint(t, claims{"dept": "7"})) != nil {
		t.Error("a change of the caller's slice changed the policy")
	}
}

// TestDemandsOfAge covers R-CL-11: the strictest limit of an And is a demand on
// validation.
func TestDemandsOfAge(t *testing.T) {
	policy := scopes.And(scopes.MaxTokenAge(time.Hour), scopes.SenderConstrained(), scopes.And(scopes.MaxTokenAge(time.Minute), scopes.All("a")), scopes.MaxTokenAge(2*time.Minute))
	if d := policy.Demands(); d.MaxTokenAge != time.Minute || !d.SenderConstrained {
		t.Errorf("%v demands %+v", policy, d)
	}
	if d := scopes.MaxTokenAge(time.Hour).Demands(); d.MaxTokenAge != time.Hour || d.SenderConstrained {
		t.Errorf("MaxTokenAge demands %+v", d)
	}
	const text = `And(MaxTokenAge(1h0m0s), SenderConstrained(), And(MaxTokenAge(1m0s), All("a")), MaxTokenAge(2m0s))`
	if policy.String() != text {
		t.Errorf("%v, want %s", policy, text)
	}
	faults(t, map[string]scopes.Policy{"MaxTokenAge is 0s; use a positive": scopes.MaxTokenAge(0), "MaxTokenAge is -1s": scopes.MaxTokenAge(-time.Second)})
}
