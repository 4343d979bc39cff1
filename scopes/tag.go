package scopes

import "fmt"

// Privileged marks the policy of an operation that must not be open to a weak
// authentication. It is a fault if some way through the policy asks neither for
// [ACR] nor for [MFA]; in [Tiers], every tier has to. Whether an acr value
// stands for a strong authentication is the issuer's word, and not checked. A
// policy that is joined by [And] with a privileged one is privileged itself.
func Privileged(policy Policy) Policy {
	return tagged(policy, "Privileged", "ACR or MFA", func(r *rule) bool {
		r.privileged = true
		return r.strong
	})
}

// Sensitive marks the policy of an operation that must not be open to an
// authentication of long ago. It is a fault if some way through the policy does
// not ask for [MaxAuthAge]; in [Tiers], every tier has to. A policy that is
// joined by [And] with a sensitive one is sensitive itself.
func Sensitive(policy Policy) Policy {
	return tagged(policy, "Sensitive", "MaxAuthAge", func(r *rule) bool {
		r.sensitive = true
		return r.recent
	})
}

// tagged is policy with a mark that it has to deserve.
func tagged(policy Policy, constructor, needed string, mark func(*rule) (deserved bool)) Policy {
	if err := policy.Err(); err != nil {
		return faulty(err)
	}
	r := *policy.rule
	if !mark(&r) {
		return faulty(fmt.Errorf("scopes: %s: a token could pass %s without %s; join that with And", constructor, policy, needed))
	}
	r.limits = true // or an alternative would be tagged, and the whole not
	return Policy{rule: &r}
}

// marked writes the tags around the clause.
func (r *rule) marked() string {
	text := r.clause.String()
	if r.sensitive {
		text = "Sensitive(" + text + ")"
	}
	if r.privileged {
		text = "Privileged(" + text + ")"
	}
	return text
}
