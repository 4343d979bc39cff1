package scopes

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/validator"
)

// condition is a clause that asks one thing of the token.
type condition struct {
	single

	text     string // as Go code
	met      func(ctx context.Context, q question) bool
	refusal  *Refusal
	required *Requirement // nil: only text can express it
}

func (c *condition) String() string { return c.text }

func (c *condition) title() string { return c.text }

func (c *condition) decide(ctx context.Context, q question) *Refusal {
	if c.met(ctx, q) {
		return nil
	}
	return c.refusal
}

func (c *condition) requirement() Requirement {
	if c.required == nil {
		return Requirement{Others: []string{c.text}}
	}
	r := *c.required
	r.ACRValues = slices.Clone(r.ACRValues) // the caller may modify its copy
	return r
}

func (c *condition) everyWay(property func(*Refusal) bool) bool { return property(c.refusal) }

// demand is a clause that validation decides. Every valid token meets it, because
// the demands of the whole policy are decided before its clauses.
type demand struct {
	single

	text    string // as Go code
	demands validator.Demands
}

func (d *demand) String() string { return d.text }

func (d *demand) title() string { return d.text }

func (d *demand) decide(context.Context, question) *Refusal { return nil }

func (d *demand) requirement() Requirement {
	return Requirement{
		Audiences: slices.Clone(d.demands.Audiences), SoleAudience: d.demands.SoleAudience, SenderConstrained: d.demands.SenderConstrained,
		MaxLifetime: d.demands.MaxLifetime.Seconds(), MaxTokenAge: d.demands.MaxTokenAge.Seconds(),
		ActiveWithin: activeSeconds(d.demands.ActiveWithin), OpaqueIssuer: d.demands.OpaqueIssuer,
	}
}

// activeSeconds returns Demands.ActiveWithin as Requirement.ActiveWithin has it.
func activeSeconds(within time.Duration) float64 {
	if within == validator.EachRequest {
		return -1
	}
	return within.Seconds()
}

func (d *demand) everyWay(func(*Refusal) bool) bool { return false }

// anyToken is the clause of [Authenticated] and [Public]. Every valid token meets
// it.
type anyToken struct {
	single

	text string // as Go code
}

func (a anyToken) String() string { return a.text }

func (a anyToken) title() string { return a.text }

func (anyToken) decide(context.Context, question) *Refusal { return nil }

func (anyToken) requirement() Requirement { return Requirement{} }

func (anyToken) everyWay(func(*Refusal) bool) bool { return false }

// unmetDemand returns the Refusal of a token that does not meet the demands of a
// policy, or is not valid any more. err is what [validator.Token.Meets] returned.
func unmetDemand(err error, demands *validator.Demands) *Refusal {
	r := &Refusal{Reason: validator.ReasonOf(err), cause: errors.Unwrap(err)}
	if errors.Is(err, introspect.AnswerOutdated) {
		r.ActiveWithin = demands.ActiveWithin
	}
	return r
}

// decideClause returns nil if the token of q still holds, and meets c and the demands
// that are in c.
func decideClause(ctx context.Context, q question, demands validator.Demands, c clause) *Refusal {
	if err := q.token.Meets(ctx, demands); err != nil {
		if q.record != nil {
			_ = recordDemands(ctx, q.token, c, q.record) // err is of all demands together
		}
		return unmetDemand(err, &demands)
	}
	return c.decide(ctx, q)
}

// recordDemands records in e whether the token meets each demand in c. It is for a
// token that does not meet all of them, so that no other clause is asked. It
// returns the first Refusal.
func recordDemands(ctx context.Context, token *validator.Token, c clause, e *Explanation) (first *Refusal) {
	if d, ok := c.(*demand); ok {
		if err := token.Meets(ctx, d.demands); err != nil {
			first = unmetDemand(err, &d.demands)
		}
		note(e, first)
		return first
	}
	parts, _ := c.parts()
	for i, part := range parts {
		if refusal := recordDemands(ctx, token, part, &e.Parts[i]); first == nil {
			first = refusal
		}
	}
	if first != nil {
		note(e, first)
	}
	return first
}
