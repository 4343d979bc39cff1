package scopes

import (
	"context"
	"fmt"
	"strings"

	"github.com/sallyport-auth/sallyport/validator"
)

// Explanation says how a policy came to its decision. It holds what the policy
// says and nothing else of the token than whether it met that.
type Explanation struct {
	// Clause is Go code, or And, Or or Tiers, or the name of a tier.
	Clause string
	// Permits is what the clause says.
	Permits bool
	// Refusal is why the clause says no. It is nil also for a clause that was
	// not asked, because the others had decided.
	Refusal *Refusal
	// Parts are those of And and Or, and the tier of Tiers.
	Parts []Explanation
}

// Explain decides like [Policy.Decide] and says how each clause fared. It asks
// the same hooks.
func (p Policy) Explain(ctx context.Context, token *validator.Token, operation Operation) Explanation {
	e := Explanation{Clause: p.String()}
	if p.rule != nil && p.rule.fault == nil {
		e = outline(p.rule.clause)
	}
	answered(&e, p.decide(ctx, token, operation, &e))
	return e
}

// outline has the clauses without any answer.
func outline(c clause) Explanation {
	var name string
	var parts []clause
	switch c := c.(type) {
	case *conjunction:
		name, parts = "And", c.parts
	case *disjunction:
		name, parts = "Or", c.parts
	case *tiers: // its part depends on the client
		return Explanation{Clause: "Tiers"}
	default:
		return Explanation{Clause: c.String()}
	}
	e := Explanation{Clause: name, Parts: make([]Explanation, len(parts))}
	for i, part := range parts {
		e.Parts[i] = outline(part)
	}
	return e
}

func answered(e *Explanation, refusal *Refusal) {
	e.Permits = refusal == nil
	e.Refusal = nil
	if refusal != unasked {
		e.Refusal = refusal
	}
}

// noteDemands records in e how the demands in c fared, for a token that was
// refused before the clauses were asked. It returns the first refusal.
func noteDemands(ctx context.Context, token *validator.Token, c clause, e *Explanation) (first *Refusal) {
	switch c := c.(type) {
	case *conjunction: // demands stand in no other combination
		for i, part := range c.parts {
			if refusal := noteDemands(ctx, token, part, &e.Parts[i]); first == nil {
				first = refusal
			}
		}
		if first != nil {
			answered(e, first)
		}
	case *condition:
		if c.demands == nil {
			return nil
		}
		if err := token.Meets(ctx, *c.demands); err != nil {
			first = unmetDemand(err)
		}
		answered(e, first)
	}
	return first
}

// ask asks the i-th part of a clause, and notes the answer if that is wanted.
func (q question) ask(ctx context.Context, part clause, i int) *Refusal {
	if q.record != nil {
		return q.recorded(ctx, part, i)
	}
	return part.judge(ctx, q)
}

func (q question) recorded(ctx context.Context, part clause, i int) *Refusal {
	q.record = &q.record.Parts[i]
	refusal := part.judge(ctx, q)
	answered(q.record, refusal)
	return refusal
}

// String writes one line for each clause, for people.
func (e Explanation) String() string {
	var b strings.Builder
	e.write(&b, "")
	return b.String()
}

func (e Explanation) write(b *strings.Builder, indent string) {
	b.WriteString(indent + e.Clause + ": ")
	switch r := e.Refusal; {
	case e.Permits:
		b.WriteString("permits")
	case r == nil:
		b.WriteString("not asked")
	default:
		b.WriteString(string(r.Reason))
		if len(r.Scopes) > 0 {
			fmt.Fprintf(b, ", needs scope %q", strings.Join(r.Scopes, " "))
		}
		if len(r.ACRValues) > 0 {
			fmt.Fprintf(b, ", acr %q", strings.Join(r.ACRValues, " "))
		}
		if r.MaxAge > 0 {
			fmt.Fprintf(b, ", authentication within %s", r.MaxAge)
		}
	}
	b.WriteString("\n")
	for i := range e.Parts {
		e.Parts[i].write(b, indent+"  ")
	}
}
