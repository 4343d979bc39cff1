package scopes

import "context"

// Optional returns the policy of a route that also serves requests without
// credentials: such a request is permitted, with no Token for the handler. A
// request with credentials is decided by policy alone. Credentials that are
// invalid, or of another scheme, are refused and never ignored.
//
// Only a route can tell that a request has no credentials. [Policy.Decide] is
// given a Token and no request, so it refuses a nil Token under Optional too.
//
// Optional does not combine with other policies. Inside And and Or it is a fault,
// and so is Optional of a policy that is [Public], [Privileged], [Sensitive] or
// already Optional.
func Optional(policy Policy) Policy {
	faults := faultsOf("Optional")
	faults.Merge(policy.Err())
	if policy.IsPublic() {
		faults.Add("is of Public, which looks at no credentials", "use Public alone, or Optional(Authenticated())")
	}
	if policy.IsOptional() {
		faults.Add("is of an Optional policy", "use Optional once")
	}
	if policy.IsPrivileged() || policy.IsSensitive() {
		faults.Addf("remove Optional", "is of %s, and a request without credentials would pass", policy)
	}
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	r := *policy.rule
	r.clause = &optional{part: r.clause}
	return Policy{rule: &r}
}

// IsOptional reports whether the policy was made by [Optional].
func (p Policy) IsOptional() bool {
	if p.rule == nil {
		return false
	}
	_, ok := p.rule.clause.(*optional)
	return ok
}

// optional is the clause of Optional. It decides like its part.
type optional struct{ part clause }

func (o *optional) String() string { return joinedText("Optional", []clause{o.part}) }

func (o *optional) title() string { return "Optional" }

func (o *optional) decide(ctx context.Context, q question) *Refusal { return q.ask(ctx, o.part, 0) }

func (o *optional) parts() ([]clause, func([]clause) clause) {
	return []clause{o.part}, func(parts []clause) clause { return &optional{part: parts[0]} }
}

func (o *optional) requirement() Requirement { return o.part.requirement() }

func (o *optional) everyWay(property func(*Refusal) bool) bool { return o.part.everyWay(property) }
