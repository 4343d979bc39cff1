package scopes

// Privileged marks the policy of an operation that a weakly authenticated user must
// not perform. It is a fault if a token can meet the policy without [ACR] and
// without [MFA]; of [Tiers], every tier must ask for ACR. Whether an acr value
// stands for a strong authentication is not checked: the issuer's word counts. [And]
// with a privileged part is privileged itself.
func Privileged(policy Policy) Policy {
	return tagged(policy, "Privileged", "ACR or MFA", func(r *rule) { r.privileged = true },
		func(r *Refusal) bool { return len(r.ACRValues) > 0 })
}

// Sensitive marks the policy of an operation that a user who authenticated long ago
// must not perform. It is a fault if a token can meet the policy without
// [MaxAuthAge]; of [Tiers], every tier must ask for it. [And] with a sensitive part
// is sensitive itself.
func Sensitive(policy Policy) Policy {
	return tagged(policy, "Sensitive", "MaxAuthAge", func(r *rule) { r.sensitive = true },
		func(r *Refusal) bool { return r.MaxAuthAge > 0 })
}

// IsPrivileged reports whether the policy is marked by [Privileged].
func (p Policy) IsPrivileged() bool { return p.rule != nil && p.rule.privileged }

// IsSensitive reports whether the policy is marked by [Sensitive].
func (p Policy) IsSensitive() bool { return p.rule != nil && p.rule.sensitive }

// tagged returns policy with a mark. It is a fault if a token can meet the policy
// without a condition whose Refusal has the property; needed names such conditions.
func tagged(policy Policy, constructor, needed string, mark func(*rule), property func(*Refusal) bool) Policy {
	faults := faultsOf(constructor)
	faults.Merge(policy.Err())
	if policy.IsOptional() {
		faults.Addf("remove Optional", "is of %s, and a request without credentials would pass", policy)
	}
	if policy.Err() == nil && !policy.rule.clause.everyWay(property) {
		faults.Addf("join it with And", "is of %s, which a token can pass without %s", policy, needed)
	}
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	r := *policy.rule
	mark(&r)
	r.limits = true // as one of several alternatives, it would not mark the whole policy
	return Policy{rule: &r}
}
