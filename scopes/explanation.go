package scopes

import (
	"fmt"
	"strings"
)

// Explanation says how a policy came to its decision. Of the token it says only
// which clauses it met.
type Explanation struct {
	// Clause is Go code, or And, Or, Optional or Tiers, or the name of a tier.
	Clause string
	// Permits reports whether the clause is met.
	Permits bool
	// Refusal says why the clause is not met. It is nil also for a clause that
	// was not asked, because the decision did not depend on it any more.
	Refusal *Refusal
	// Parts explain the parts of And, Or and Optional, and the tier of Tiers.
	Parts []Explanation
}

// note writes the decision of the clause that e explains to e.
func note(e *Explanation, refusal *Refusal) {
	e.Permits = refusal == nil
	e.Refusal = nil
	if refusal != undecided {
		e.Refusal = refusal
	}
}

// String returns one line for each clause, for people to read.
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
		if r.MaxAuthAge > 0 {
			fmt.Fprintf(b, ", authentication within %s", r.MaxAuthAge)
		}
		if r.ActiveWithin > 0 {
			fmt.Fprintf(b, ", active within %s", r.ActiveWithin)
		} else if r.ActiveWithin < 0 { // validator.EachRequest
			b.WriteString(", active for each request")
		}
	}
	b.WriteString("\n")
	for i := range e.Parts {
		e.Parts[i].write(b, indent+"  ")
	}
}
