package scopes

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// And permits a token that every part permits. Of several refusals it answers
// the one that comes first here:
//
//   - the token is not one for this route
//   - a hook could not tell
//   - nothing that the client could ask for would help
//   - step-up: one refusal for all parts that ask for it, with the scopes that
//     the parts together need if those lack too
//   - scopes: all that the parts together need
//
// Hooks are asked last, in their order, and only if everything else permits.
func And(parts ...Policy) Policy {
	made := &conjunction{}
	joined := &rule{clause: made}
	faults := checkParts("And", parts)
	for _, part := range parts {
		if part.Err() != nil {
			continue
		}
		r := part.rule
		made.parts = append(made.parts, r.clause)
		joined.asks = joined.asks || r.asks
		joined.values = unique(append(joined.values, r.values...))
		joined.limits = joined.limits || r.limits
		joined.privileged = joined.privileged || r.privileged
		joined.sensitive = joined.sensitive || r.sensitive
		joined.needs = append(joined.needs, r.needs...)
		faults = append(faults, joined.joinDemands(r.demands), joined.joinACR(r.acr))
	}
	if err := errors.Join(faults...); err != nil {
		return faulty(err)
	}
	joined.needs = unique(joined.needs)
	made.acr = joined.acr
	made.lacking = unmet(validator.InsufficientScope, made.String())
	made.lacking.Scopes = joined.needs
	return compiled(joined)
}

// Or permits a token that at least one part permits. A refusal is that of the
// first part, unless a hook in another part could not tell: then it is not known
// whether that part would have permitted.
//
// What every token of a route must keep to does not belong into an alternative:
// [Audience], [MaxLifetime], [MaxTokenAge], [SenderConstrained], [Tiers] and
// policies that are [Privileged] or [Sensitive] are faults here.
func Or(parts ...Policy) Policy {
	made := &disjunction{}
	joined := &rule{clause: made}
	faults := checkParts("Or", parts)
	for i, part := range parts {
		if part.Err() != nil {
			continue
		}
		if part.rule.limits {
			faults = append(faults, fmt.Errorf("scopes: Or with %s: a limit with an alternative limits nothing; "+
				"put it beside Or, into And", part))
		}
		joined.asks = joined.asks || part.rule.asks
		joined.values = unique(append(joined.values, part.rule.values...))
		made.parts = append(made.parts, part.rule.clause)
		if i == 0 {
			joined.needs = part.rule.needs
		}
	}
	if err := errors.Join(faults...); err != nil {
		return faulty(err)
	}
	return compiled(joined)
}

func checkParts(constructor string, parts []Policy) []error {
	var faults []error
	if len(parts) == 0 {
		faults = append(faults, fmt.Errorf("scopes: %s without parts", constructor))
	}
	for _, part := range parts {
		faults = append(faults, part.Err())
		if part.IsPublic() {
			faults = append(faults, fmt.Errorf("scopes: Public inside %s: a route is open to everyone or it is not", constructor))
		}
	}
	return faults
}

var errNoCommonACR = errors.New("scopes: And with ACR or MFA parts that have no acr value in common")

// joinDemands adds what another part demands.
func (r *rule) joinDemands(d validator.Demands) error {
	joined, err := joinedDemands(r.demands, d)
	r.demands = joined
	return err
}

// lower is the lower of two limits, of which 0 is none.
func lower[T time.Duration | int64 | float64](a, b T) T {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// joinACR narrows the acr values to those that another part asks for, too.
func (r *rule) joinACR(acr []string) error {
	if len(r.acr) > 0 && len(acr) > 0 && len(intersection(r.acr, acr)) == 0 {
		return errNoCommonACR
	}
	r.acr = inCommon(r.acr, acr)
	return nil
}

// unique drops repetitions and keeps the order.
func unique(texts []string) []string {
	var all []string
	for _, text := range texts {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// conjunction is the clause of And.
type conjunction struct {
	parts   []clause
	acr     []string
	lacking *Refusal // for scopes

	bits uint64   // of the parts that are lists in the vocabulary
	rest []clause // the other parts
}

// of is the same for other parts.
func (c *conjunction) of(parts []clause) *conjunction {
	made := &conjunction{parts: parts, acr: c.acr, lacking: c.lacking}
	for _, part := range parts {
		if list, ok := part.(*scopeList); ok && list.bits != 0 {
			made.bits |= list.bits
		} else {
			made.rest = append(made.rest, part)
		}
	}
	return made
}

func (c *conjunction) String() string { return joinedText("And", c.parts) }

func (c *conjunction) judge(ctx context.Context, q question) *Refusal {
	parts := c.parts
	if q.held&c.bits == c.bits && q.record == nil { // the lists permit
		parts = c.rest
	}
	var m merger
	open, hooks := false, q.hooks
	q.hooks = false
	for i, part := range parts {
		switch refusal := q.ask(ctx, part, i); refusal {
		case nil:
		case unasked:
			open = true
		default:
			m.add(refusal)
		}
	}
	switch {
	case m.first != nil:
		return m.refusal(c.acr, c.lacking)
	case !open:
		return nil
	case !hooks:
		return unasked
	}
	q.hooks = true
	for i, part := range parts {
		if refusal := q.ask(ctx, part, i); refusal != nil {
			m.add(refusal)
			return m.refusal(c.acr, c.lacking)
		}
	}
	return nil
}

// disjunction is the clause of Or.
type disjunction struct {
	parts []clause
}

func (d *disjunction) String() string { return joinedText("Or", d.parts) }

func (d *disjunction) judge(ctx context.Context, q question) *Refusal {
	var first *Refusal
	open, hooks := false, q.hooks
	q.hooks = false
	for i, part := range d.parts {
		refusal := q.ask(ctx, part, i)
		if refusal == nil {
			return nil
		}
		open = open || refusal == unasked
		if i == 0 {
			first = refusal
		}
	}
	switch {
	case !open:
		return first
	case !hooks:
		return unasked
	}
	q.hooks = true
	return d.askHooks(ctx, q)
}

func (d *disjunction) askHooks(ctx context.Context, q question) *Refusal {
	var first *Refusal
	for i, part := range d.parts {
		refusal := q.ask(ctx, part, i)
		if refusal == nil {
			return nil
		}
		if i == 0 || refusal.Reason == validator.Unavailable && first.Reason != validator.Unavailable {
			first = refusal
		}
	}
	return first
}

func joinedText(constructor string, parts []clause) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = part.String()
	}
	return constructor + "(" + strings.Join(texts, ", ") + ")"
}

// replaced is c with every list of scopes in it replaced.
func replaced(c clause, by func(*scopeList) *scopeList) clause {
	each := func(parts []clause) []clause {
		all := make([]clause, len(parts))
		for i, part := range parts {
			all[i] = replaced(part, by)
		}
		return all
	}
	switch c := c.(type) {
	case *scopeList:
		return by(c)
	case *conjunction:
		return c.of(each(c.parts))
	case *disjunction:
		return &disjunction{parts: each(c.parts)}
	default:
		return c
	}
}
