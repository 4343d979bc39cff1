package scopes

import (
	"fmt"
	"slices"
)

// Privileged marks the policy of an operation that must not be open to a weak
// authentication. It is a fault if some way through the policy asks neither for
// [ACR] nor for [MFA]; in [Tiers], every tier has to. Whether an acr value
// stands for a strong authentication is the issuer's word, and not checked. A
// policy that is joined by [And] with a privileged one is privileged itself.
func Privileged(policy Policy) Policy {
	return tagged(policy, "Privileged", "ACR or MFA", func(r *rule) { r.privileged = true },
		func(r *Refusal) bool { return len(r.ACRValues) > 0 })
}

// Sensitive marks the policy of an operation that must not be open to an
// authentication of long ago. It is a fault if some way through the policy does
// not ask for [MaxAuthAge]; in [Tiers], every tier has to. A policy that is
// joined by [And] with a sensitive one is sensitive itself.
func Sensitive(policy Policy) Policy {
	return tagged(policy, "Sensitive", "MaxAuthAge", func(r *rule) { r.sensitive = true },
		func(r *Refusal) bool { return r.MaxAge > 0 })
}

// IsPrivileged reports whether the policy is tagged by [Privileged].
func (p Policy) IsPrivileged() bool { return p.rule != nil && p.rule.privileged }

// IsSensitive reports whether the policy is tagged by [Sensitive].
func (p Policy) IsSensitive() bool { return p.rule != nil && p.rule.sensitive }

// tagged is policy with a mark, which it has to deserve: whoever passes was asked
// for what needed says, as the refusals of its parts tell.
func tagged(policy Policy, constructor, needed string, mark func(*rule), asks func(*Refusal) bool) Policy {
	if err := policy.Err(); err != nil {
		return faulty(err)
	}
	if !everyWay(policy.rule.clause, asks) {
		return faulty(fmt.Errorf("scopes: %s: a token could pass %s without %s; join that with And", constructor, policy, needed))
	}
	r := *policy.rule
	mark(&r)
	r.limits = true // or an alternative would be tagged, and the whole not
	return Policy{rule: &r}
}

// everyWay reports whether each way through c has a condition with such a
// refusal.
func everyWay(c clause, asks func(*Refusal) bool) bool {
	through := func(part clause) bool { return everyWay(part, asks) }
	switch c := c.(type) {
	case *condition:
		return c.refusal != nil && asks(c.refusal)
	case *conjunction:
		return slices.ContainsFunc(c.parts, through)
	case *disjunction:
		return !slices.ContainsFunc(c.parts, func(part clause) bool { return !through(part) })
	case *tiers:
		for _, tier := range c.byName {
			if !through(tier.limits) {
				return false
			}
		}
		return true
	default:
		return false
	}
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
