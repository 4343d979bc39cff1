package middleware

import (
	"fmt"
	"slices"

	"github.com/sallyport-auth/sallyport/scopes"
)

// Warnings returns texts about policies of [Guard.Require], [Guard.Middleware] and
// [Guard.Route] that refuse every token because of the audience, the sender
// constraint, the acr value or the answer of an issuer that they demand, for logs at
// start-up. It returns each text once, and at most 100. [Mux.Warnings] returns those of
// a [Mux].
func (g *Guard) Warnings() []string {
	if !g.made() {
		return nil
	}
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	return slices.Clone(g.notes.all)
}

// canMeet returns an error if no token of the configured issuers can meet policy. It
// looks at the Demands, and at the acr values that the policy demands without an
// alternative.
func (g *Guard) canMeet(policy scopes.Policy) error {
	if err := g.validator.CanMeet(policy.Demands()); err != nil {
		return err //nolint:wrapcheck // it is of this module
	}
	return g.validator.CanMeetACR(policy.Requirement().ACRValues) //nolint:wrapcheck // as above
}

// note adds a warning if no token can meet policy.
func (g *Guard) note(policy scopes.Policy) {
	err := g.canMeet(policy)
	if err == nil {
		return
	}
	text := fmt.Sprintf("policy %v: %v", policy, err)
	g.notes.mu.Lock()
	defer g.notes.mu.Unlock()
	if len(g.notes.all) < maxNotes && !slices.Contains(g.notes.all, text) {
		g.notes.all = append(g.notes.all, text)
	}
}
