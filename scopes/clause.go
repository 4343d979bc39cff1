package scopes

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// clause is one condition of a policy, or several combined. Each kind of clause
// answers every question that is asked of a policy, so that a new kind cannot be
// forgotten in one place.
type clause interface {
	// String returns the clause as Go code. Clauses that decide differently
	// print differently.
	fmt.Stringer
	// title returns what Explanation.Clause says.
	title() string
	// decide returns nil if the clause is met, or why not.
	decide(ctx context.Context, q question) *Refusal
	// parts returns the clauses that this one combines, and a function that
	// returns the same clause with other parts. Both are nil if it combines none.
	parts() (parts []clause, with func(parts []clause) clause)
	// requirement returns what the clause asks of every token.
	requirement() Requirement
	// everyWay reports whether a token can meet the clause only if it meets a
	// condition whose Refusal has the property.
	everyWay(property func(*Refusal) bool) bool
}

// question is what [Policy.Decide] was asked, as clauses see it. The token was
// validated.
type question struct {
	token     *validator.Token
	operation Operation
	held      uint64        // the groups of the vocabulary that the token has a scope of
	hooks     bool          // hooks may be called
	active    time.Duration // the ActiveWithin that validation has checked; 0: none
	record    *Explanation  // of the clause that is asked; nil: nobody wants to know
}

// Operation is what the caller wants to do.
type Operation struct {
	// Name is the registered route, such as "GET /orders/{id}", or the full
	// name of a gRPC method.
	Name string
	// Value returns the value of a path wildcard or a message field. It may be
	// nil. What it returns comes from the caller, not from the token. It must
	// return quickly, because a decision waits for a call that its hook made.
	Value func(name string) string
}

// ask decides the i-th part of a clause, and records the decision if q.record is
// set.
func (q question) ask(ctx context.Context, part clause, i int) *Refusal {
	if q.record != nil {
		return q.recorded(ctx, part, i)
	}
	return part.decide(ctx, q)
}

func (q question) recorded(ctx context.Context, part clause, i int) *Refusal {
	q.record = &q.record.Parts[i]
	refusal := part.decide(ctx, q)
	note(q.record, refusal)
	return refusal
}

// single is embedded by the kinds of clauses that combine no others.
type single struct{}

func (single) parts() ([]clause, func([]clause) clause) { return nil, nil }

// replaced returns c with each clause in it that combines no others replaced.
func replaced(c clause, by func(clause) clause) clause {
	parts, with := c.parts()
	if with == nil {
		return by(c)
	}
	others := make([]clause, len(parts))
	for i, part := range parts {
		others[i] = replaced(part, by)
	}
	return with(others)
}

// outline returns the Explanation of c before anything is decided.
func outline(c clause) Explanation {
	e := Explanation{Clause: c.title()}
	parts, _ := c.parts()
	for _, part := range parts {
		e.Parts = append(e.Parts, outline(part))
	}
	return e
}

// joinedText returns the Go code of a constructor that combines parts.
func joinedText(constructor string, parts []clause) string {
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = part.String()
	}
	return constructor + "(" + strings.Join(texts, ", ") + ")"
}
