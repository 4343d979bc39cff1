// Package scopes is the second door: it decides whether a validated token
// permits an operation. A [Policy] is registered together with its route and
// printed, compared, explained and asked like any other value.
//
// Scopes bound what a client may do (RFC 6749 §3.3), not what the user behind
// it may see: whether this subject may touch this object is for a hook
// ([Check]) or the handler.
package scopes

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-auth/sallyport/validator"
)

// Policy says what a route demands of a token. The zero Policy denies
// everything; so does one with a fault, which [Policy.Err] tells and which
// registration refuses. A Policy is immutable and may be shared.
type Policy struct {
	_    [0]func() // not comparable: that is what Equal is for
	rule *rule
}

// rule is what a policy comes to: the clause that decides, and what is known of
// it before there is a token.
type rule struct {
	clause   clause
	fault    error // then there is nothing else
	public   bool
	asks     bool              // it looks at the operation
	values   []string          // of the operation, without which it permits nobody
	limits   bool              // it holds what no alternative may get around
	demands  validator.Demands // on validation
	needs    []string          // the scopes that a refusal names
	acr      []string          // the values that a step-up challenge names; nil: any will do
	words    vocabulary
	unproven *Refusal // for what was not validated

	privileged, sensitive bool // it is tagged
}

// clause is one condition, or several combined.
type clause interface {
	fmt.Stringer // as Go code would make it, with everything that tells it from others
	judge(ctx context.Context, q question) *Refusal
}

// question is what [Policy.Decide] was asked, as clauses see it. The token was
// validated.
type question struct {
	token     *validator.Token
	operation Operation
	held      uint64       // what the vocabulary makes of the token's scopes
	hooks     bool         // hooks may be asked
	record    *Explanation // of the clause that is asked, if someone wants to know
}

// Operation is what the caller wants to do.
type Operation struct {
	// Name is the registered route, such as "GET /orders/{id}", or the full
	// name of a gRPC method.
	Name string
	// Value is the value of a path wildcard or a message field. It may be
	// nil. What it returns is the caller's word, not the token's. It must
	// return quickly: a decision waits for a call that its hook has made.
	Value func(name string) string
}

// Public permits everyone, without a token and without looking at one. It is
// the only policy that does, and it does not combine with others.
func Public() Policy {
	return compiled(&rule{public: true, clause: unconditional("Public()")})
}

// Authenticated permits every valid token, whatever its scopes.
func Authenticated() Policy { return compiled(&rule{clause: unconditional("Authenticated()")}) }

// compiled makes the policy of r.
func compiled(r *rule) Policy {
	r.words = newVocabulary()
	r.clause = replaced(r.clause, r.words.learn)
	r.words.close()
	r.unproven = denied
	if len(r.needs) > 0 {
		r.unproven = &Refusal{Reason: validator.InsufficientScope, Scopes: r.needs}
	}
	return Policy{rule: r}
}

// faulty makes a policy that denies, since something is wrong with it.
func faulty(faults ...error) Policy { return Policy{rule: &rule{fault: errors.Join(faults...)}} }

var errZero = errors.New("scopes: the zero Policy, which denies everything; use All, Any, And, Or, Authenticated or Public")

// Err tells everything that is wrong with the policy; such a policy denies.
func (p Policy) Err() error {
	if p.rule == nil {
		return errZero
	}
	return p.rule.fault
}

// IsPublic reports whether the policy is exactly [Public].
func (p Policy) IsPublic() bool { return p.rule != nil && p.rule.public }

// Decide returns nil if token permits the operation, or why not. A nil or zero
// token permits nothing, except under [Public]. Nor does a token that has expired,
// by the Validator's leeway, whose key is no longer published, or that does not
// meet [Policy.Demands]. So Decide refuses what the policy would refuse on a route,
// also in a handler or for a token that is held. Whether the issuer is still
// configured as it was is not checked; see [validator.Token.Meets]. ctx bounds the
// hooks; if it is nil, the refusal is Unavailable.
func (p Policy) Decide(ctx context.Context, token *validator.Token, operation Operation) *Refusal {
	return p.decide(ctx, token, operation, nil)
}

func (p Policy) decide(ctx context.Context, token *validator.Token, operation Operation, record *Explanation) *Refusal {
	r := p.rule
	switch {
	case r == nil || r.fault != nil:
		return denied
	case r.public:
		return nil
	}
	if err := token.Meets(ctx, r.demands); err != nil {
		return r.unmet(ctx, token, record, err)
	}
	return r.clause.judge(ctx, question{
		token: token, operation: operation, held: r.words.held(token), hooks: true, record: record,
	})
}

// unmet is the refusal of a token that [validator.Token.Meets] refuses with err.
func (r *rule) unmet(ctx context.Context, token *validator.Token, record *Explanation, err error) *Refusal {
	if token.Issuer() == "" { // it was not validated
		return r.unproven
	}
	if record != nil {
		_ = noteDemands(ctx, token, r.clause, record) // err is of all demands
	}
	return unmetDemand(err)
}

// Demands is what the policy asks of validation itself; see
// [validator.Presentation]. [Policy.Decide] judges it, too. Not to be modified.
func (p Policy) Demands() validator.Demands {
	if p.rule == nil {
		return validator.Demands{}
	}
	return p.rule.demands
}

// NeedsOperation reports whether the policy looks at the [Operation]: whether
// it has a [Check] or [TenantFrom] in it. An adapter need not fill in the
// Operation otherwise.
func (p Policy) NeedsOperation() bool { return p.rule != nil && p.rule.asks }

// Values are the names under which the policy looks for values of the
// [Operation], by [TenantFrom]: an operation that lacks one is not permitted to
// those who need it. What hooks look for is not known. Not to be modified.
func (p Policy) Values() []string {
	if p.rule == nil {
		return nil
	}
	return p.rule.values
}

// Needs are the scopes that a refusal for scopes names: what to ask for before
// the first request. Not to be modified.
func (p Policy) Needs() []string {
	if p.rule == nil {
		return nil
	}
	return p.rule.needs
}

// Scopes are all the scopes that the policy mentions, sorted, as for
// scopes_supported of RFC 9728 §2. No token needs all of them if there are
// alternatives.
func (p Policy) Scopes() []string {
	var all []string
	if p.rule != nil && p.rule.fault == nil {
		replaced(p.rule.clause, func(list *scopeList) *scopeList {
			all = append(all, list.scopes...)
			return list
		})
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// String writes the policy as Go code would make it, or as Policy{} if it has a
// fault. Hooks are written by their names.
func (p Policy) String() string {
	if p.rule == nil || p.rule.fault != nil {
		return "Policy{}"
	}
	return p.rule.marked()
}

// Equal reports whether both policies print alike, and so decide alike: two
// hooks are equal if their names and timeouts are. The order of parts and
// scopes counts, since refusals follow it. Policies with a fault equal the zero
// Policy.
func (p Policy) Equal(other Policy) bool { return p.String() == other.String() }
