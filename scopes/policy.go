// Package scopes decides whether a validated token permits an operation. A [Policy]
// is registered together with its route. It is a value that can be printed,
// compared and explained.
//
// Scopes limit what a client may do (RFC 6749 §3.3), not what the user behind it
// may see. Whether a subject may touch an object is decided by a hook ([Check]) or
// by the handler.
package scopes

import (
	"context"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/validated"
	"github.com/sallyport-auth/sallyport/validator"
)

// Policy says what a route demands of a token. The zero Policy denies everything,
// and so does a policy with a fault. [Policy.Err] returns the faults, and a route
// cannot be registered with them. A Policy is immutable and may be shared.
type Policy struct {
	_    [0]func() // not comparable with ==; use Equal
	rule *rule
}

// rule is the content of a policy: the clause that decides, and what is known of it
// before there is a token.
type rule struct {
	clause      clause
	fault       error // if it is set, nothing else is
	public      bool
	privileged  bool
	sensitive   bool
	limits      bool              // it must not be one of several alternatives
	asks        bool              // it looks at the operation
	values      []string          // the names of the values of the operation that it looks at
	demands     validator.Demands // on validation
	needs       []string          // the scopes that a Refusal names
	acr         []string          // the values that a step-up challenge names; nil: any
	words       vocabulary
	unvalidated *Refusal // of a token that was not validated
}

// Public permits everyone, without looking at a token. No other policy permits a
// request without a token, and Public does not combine with other policies.
func Public() Policy { return compiled(&rule{public: true, clause: anyToken{text: "Public()"}}) }

// Authenticated permits every valid token, whatever its scopes.
func Authenticated() Policy { return compiled(&rule{clause: anyToken{text: "Authenticated()"}}) }

// compiled returns the policy of r, with its vocabulary.
func compiled(r *rule) Policy {
	r.words = newVocabulary()
	r.clause = replaced(r.clause, func(c clause) clause {
		if list, ok := c.(*scopeList); ok {
			return r.words.learn(list)
		}
		return c
	})
	r.words.close()
	r.unvalidated = denied
	if len(r.needs) > 0 {
		r.unvalidated = &Refusal{Reason: validator.InsufficientScope, Scopes: r.needs}
	}
	return Policy{rule: r}
}

// faulty returns a policy that denies everything, because of err.
func faulty(err error) Policy { return Policy{rule: &rule{fault: err}} }

// misused returns a policy that denies everything, because its constructor was
// called with what problem describes.
func misused(constructor, mend, problem string, args ...any) Policy {
	faults := faultsOf(constructor)
	faults.Addf(mend, problem, args...)
	return faulty(faults.Err())
}

// conditional returns a policy of one condition. A token that does not meet it is
// refused for reason.
func conditional(text string, reason validator.Reason, met func(ctx context.Context, q question) bool) Policy {
	return compiled(&rule{clause: &condition{text: text, met: met, refusal: unmet(reason, text)}})
}

// forbidding returns a policy of one condition. A token that does not meet it is
// forbidden: no other scope and no step-up would help.
func forbidding(text string, met func(ctx context.Context, q question) bool) Policy {
	return conditional(text, validator.Forbidden, met)
}

// ofTenant is forbidding for a condition about tenants.
func ofTenant(text string, met func(ctx context.Context, q question) bool) Policy {
	return compiled(&rule{clause: &condition{text: text, met: met, refusal: ofOtherTenant(text)}})
}

// Err returns everything that is wrong with the policy, or nil. Each is a
// [validator.Fault] whose Path is its place in the calls that made the policy:
// "And[1].All[0]" is the first scope of the All that is the second part of an And.
func (p Policy) Err() error {
	if p.rule == nil {
		return errZero
	}
	return p.rule.fault
}

var errZero = func() error {
	faults := faultsOf("")
	faults.Add("is the zero Policy, which denies everything", "use All, Any, And, Or, Authenticated or Public")
	return faults.Err()
}()

// IsPublic reports whether the policy is exactly [Public].
func (p Policy) IsPublic() bool { return p.rule != nil && p.rule.public }

// Decide returns nil if token permits the operation, or why not. A nil or zero
// token permits nothing, except under [Public]; [Optional] makes no difference.
// Decide also refuses a token that has expired by the Validator's leeway, whose key
// is no longer published, or that does not meet [Policy.Demands]. So Decide refuses
// what a route with the policy would refuse, also in a handler or for a token that
// is held. It does not check whether the issuer is still configured as it was; see
// [validator.Token.Meets]. It asks no issuer about the token: if the last answer is
// older than the policy demands, the refusal is Unavailable and has ActiveWithin. ctx
// bounds the hooks; if it is nil, the refusal is Unavailable.
func (p Policy) Decide(ctx context.Context, token *validator.Token, operation Operation) *Refusal {
	return p.decide(ctx, token, operation, nil, validated.Proof{})
}

// DecideValidated is [Policy.Decide] for package middleware. With a Proof that
// holds, it does not check again what Validate checked of the token: its key, its
// times and the demands of the whole policy. If a tier demands a fresher answer of the
// issuer than the Proof has, the refusal has ActiveWithin, and the caller validates
// again under that demand. Programs outside of this module have the zero Proof only,
// with which it is Decide.
func (p Policy) DecideValidated(ctx context.Context, token *validator.Token, operation Operation, proof validated.Proof) *Refusal {
	return p.decide(ctx, token, operation, nil, proof)
}

// Explain decides like [Policy.Decide], and says how each clause fared. It calls
// the same hooks.
func (p Policy) Explain(ctx context.Context, token *validator.Token, operation Operation) Explanation {
	e := Explanation{Clause: p.String()}
	if p.rule != nil && p.rule.fault == nil {
		e = outline(p.rule.clause)
	}
	note(&e, p.decide(ctx, token, operation, &e, validated.Proof{}))
	return e
}

func (p Policy) decide(ctx context.Context, token *validator.Token, operation Operation, record *Explanation, proof validated.Proof) *Refusal {
	r := p.rule
	switch {
	case r == nil || r.fault != nil:
		return denied
	case r.public:
		return nil
	}
	if token.Issuer() == "" { // it was not validated
		return r.unvalidated
	}
	q := question{token: token, operation: operation, held: r.words.held(token), hooks: true, active: proof.ActiveWithin(), record: record}
	if proof.Holds() {
		return r.clause.decide(ctx, q)
	}
	return decideClause(ctx, q, r.demands, r.clause)
}

// Under returns the policy under a hierarchy: each scope that it requires is then
// met by itself and by every broader one. A refusal names the scopes as they are
// written. A hierarchy that the policy was under before still counts. A hierarchy
// with a fault makes the policy faulty. Without its hierarchy, a policy refuses
// more and never permits more.
func (p Policy) Under(h Hierarchy) Policy {
	faults := faultsOf("")
	faults.Merge(p.Err())
	faults.At("Under").Merge(h.Err())
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	r := *p.rule
	r.clause = replaced(r.clause, func(c clause) clause {
		list, ok := c.(*scopeList)
		if !ok {
			return c
		}
		wider, err := list.under(h)
		faults.At("Under").Merge(err)
		return wider
	})
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	return compiled(&r)
}

// Demands returns what the policy demands of validation itself; see
// [validator.Presentation]. [Policy.Decide] checks it, too. The result must not be
// modified.
func (p Policy) Demands() validator.Demands {
	if p.rule == nil {
		return validator.Demands{}
	}
	return p.rule.demands
}

// Requirement returns what the policy demands of every token, as data. It is zero
// for a policy with a fault.
func (p Policy) Requirement() Requirement {
	if p.Err() != nil {
		return Requirement{}
	}
	return p.rule.clause.requirement()
}

// NeedsOperation reports whether the policy looks at the [Operation]: whether
// [Check] or [TenantFrom] is part of it. Otherwise a caller may leave the Operation
// empty.
func (p Policy) NeedsOperation() bool { return p.rule != nil && p.rule.asks }

// Values returns the names of the values of the [Operation] that [TenantFrom] looks
// at. Without one of them, an operation is refused to those who need it. The values
// that hooks look at are not known. The result must not be modified.
func (p Policy) Values() []string {
	if p.rule == nil {
		return nil
	}
	return p.rule.values
}

// Needs returns the scopes that a refusal for scopes names: those to ask for before
// the first request. The result must not be modified.
func (p Policy) Needs() []string {
	if p.rule == nil {
		return nil
	}
	return p.rule.needs
}

// Scopes returns all scopes that the policy mentions, sorted, as for
// scopes_supported of RFC 9728 §2. If there are alternatives, no token needs all of
// them.
func (p Policy) Scopes() []string {
	var all []string
	if p.Err() == nil {
		replaced(p.rule.clause, func(c clause) clause {
			if list, ok := c.(*scopeList); ok {
				all = append(all, list.scopes...)
			}
			return c
		})
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// String returns the policy as Go code, or Policy{} if it has a fault. Hooks are
// written by their names.
func (p Policy) String() string {
	if p.Err() != nil {
		return "Policy{}"
	}
	text := p.rule.clause.String()
	if p.rule.sensitive {
		text = "Sensitive(" + text + ")"
	}
	if p.rule.privileged {
		text = "Privileged(" + text + ")"
	}
	return text
}

// Equal reports whether both policies print alike, and so decide alike. Two hooks
// are equal if their names and timeouts are. The order of parts and scopes counts,
// since refusals follow it. A policy with a fault equals the zero Policy.
func (p Policy) Equal(other Policy) bool { return p.String() == other.String() }
