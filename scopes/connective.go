package scopes

import (
	"context"
	"slices"

	"github.com/sallyport-auth/sallyport/validator"
)

// conjunction is the clause of And.
type conjunction struct {
	all     []clause
	acr     []string // the acr values that all parts accept
	lacking *Refusal // of a token that lacks scopes

	bits uint64   // of the parts that are lists in the vocabulary
	rest []clause // the other parts
}

func (c *conjunction) String() string { return joinedText("And", c.all) }

func (c *conjunction) title() string { return "And" }

func (c *conjunction) parts() ([]clause, func([]clause) clause) {
	return c.all, func(parts []clause) clause {
		made := &conjunction{all: parts, acr: c.acr, lacking: c.lacking}
		for _, part := range parts {
			if list, ok := part.(*scopeList); ok && list.bits != 0 {
				made.bits |= list.bits
			} else {
				made.rest = append(made.rest, part)
			}
		}
		return made
	}
}

func (c *conjunction) requirement() Requirement {
	var r Requirement
	for _, part := range c.all {
		r.join(part.requirement())
	}
	return r
}

func (c *conjunction) everyWay(property func(*Refusal) bool) bool {
	return slices.ContainsFunc(c.all, func(part clause) bool { return part.everyWay(property) })
}

func (c *conjunction) decide(ctx context.Context, q question) *Refusal {
	parts := c.all
	if q.held&c.bits == c.bits && q.record == nil { // the lists in the vocabulary permit
		parts = c.rest
	}
	var m merger
	open, hooks := false, q.hooks
	q.hooks = false
	for i, part := range parts {
		switch refusal := q.ask(ctx, part, i); refusal {
		case nil:
		case undecided:
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
		return undecided
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
	all []clause
}

func (d *disjunction) String() string { return joinedText("Or", d.all) }

func (d *disjunction) title() string { return "Or" }

func (d *disjunction) parts() ([]clause, func([]clause) clause) {
	return d.all, func(parts []clause) clause { return &disjunction{all: parts} }
}

func (d *disjunction) requirement() Requirement {
	alternatives := make([]Requirement, len(d.all))
	for i, part := range d.all {
		alternatives[i] = part.requirement()
	}
	return oneOf(alternatives)
}

func (d *disjunction) everyWay(property func(*Refusal) bool) bool {
	return !slices.ContainsFunc(d.all, func(part clause) bool { return !part.everyWay(property) })
}

func (d *disjunction) decide(ctx context.Context, q question) *Refusal {
	var first *Refusal
	open, hooks := false, q.hooks
	q.hooks = false
	for i, part := range d.all {
		refusal := q.ask(ctx, part, i)
		if refusal == nil {
			return nil
		}
		open = open || refusal == undecided
		if i == 0 {
			first = refusal
		}
	}
	switch {
	case !open:
		return first
	case !hooks:
		return undecided
	}
	q.hooks = true
	return d.decideWithHooks(ctx, q)
}

func (d *disjunction) decideWithHooks(ctx context.Context, q question) *Refusal {
	var first *Refusal
	for i, part := range d.all {
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
