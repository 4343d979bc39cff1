package scopes

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// Tier is what is asked of the tokens of some clients. A zero field asks nothing,
// except that MaxLifetime or ActiveWithin is required.
type Tier struct {
	// Algorithms are those that a token may be signed with, of those that its
	// issuer may use. A token with another algorithm is forbidden. nil: any.
	Algorithms []jose.Algorithm
	// MaxLifetime is the longest exp − iat. A token without iat is refused. It is
	// required without ActiveWithin, because then nobody notices that a token was
	// revoked before it expires.
	MaxLifetime time.Duration
	// MaxTokenAge is the longest now − iat. A token without iat is refused.
	MaxTokenAge time.Duration
	// SenderConstrained refuses a token whose binding to its sender was not
	// checked. No binding can be checked yet, so it refuses every token.
	SenderConstrained bool
	// ActiveWithin is how long ago the issuer may have said that the token is active, or
	// [validator.EachRequest]; see [FreshlyActive]. The tier is not known before the
	// token is, so the issuer may be asked twice about an opaque token that it was not
	// asked about before.
	ActiveWithin time.Duration
	// ACR are the values of which acr must be one; see [ACR].
	ACR []string
	// MaxAuthAge is how long ago the user may have authenticated; see
	// [MaxAuthAge].
	MaxAuthAge time.Duration
}

// TierTable says which tier each client is in.
type TierTable struct {
	Tiers   map[string]Tier            // by name
	Clients map[validator.Party]string // the name of a tier, by the Issuer and ClientID of the client
	// Default is the name of the tier of all other clients. It is required, and no
	// limit of it may be weaker than that of another tier, because nothing is known
	// of these clients.
	Default string
}

// Tiers asks of each token what the tier of its client asks. The client is named by
// iss and client_id of the token, and by nothing else. A token that breaks
// MaxLifetime, MaxTokenAge or SenderConstrained is refused as invalid, and one with
// another algorithm is forbidden. The refusal for ACR and MaxAuthAge is a step-up
// challenge. For ActiveWithin, a route asks the issuer again.
func Tiers(table TierTable) Policy {
	if err := table.check(); err != nil {
		return faulty(err)
	}
	byName := make(map[string]*tier, len(table.Tiers))
	made := &tiers{text: table.code(), byName: byName, clients: make(map[validator.Party]*tier, len(table.Clients))}
	for name, limits := range table.Tiers {
		r := limits.policy().rule
		byName[name] = &tier{clause: r.clause, name: name, demands: r.demands}
	}
	for client, name := range table.Clients {
		made.clients[client] = byName[name]
	}
	made.others = byName[table.Default]
	return compiled(&rule{clause: made, limits: true})
}

// policy returns the policy that asks for the limits.
func (t *Tier) policy() Policy {
	parts := []Policy{Authenticated()}
	if algorithms := slices.Clone(t.Algorithms); len(algorithms) > 0 {
		parts = append(parts, forbidding(fmt.Sprintf("Algorithms%v", algorithms), func(_ context.Context, q question) bool {
			return slices.Contains(algorithms, q.token.Algorithm())
		}))
	}
	if t.MaxLifetime > 0 {
		parts = append(parts, MaxLifetime(t.MaxLifetime))
	}
	if t.MaxTokenAge > 0 {
		parts = append(parts, MaxTokenAge(t.MaxTokenAge))
	}
	if t.SenderConstrained {
		parts = append(parts, SenderConstrained())
	}
	if t.ActiveWithin != 0 {
		parts = append(parts, FreshlyActive(max(t.ActiveWithin, 0))) // EachRequest is negative
	}
	if len(t.ACR) > 0 {
		parts = append(parts, ACR(t.ACR...))
	}
	if t.MaxAuthAge > 0 {
		parts = append(parts, MaxAuthAge(t.MaxAuthAge))
	}
	return And(parts...)
}

// tiers is the clause of Tiers.
type tiers struct {
	single

	text    string // as Go code
	byName  map[string]*tier
	clients map[validator.Party]*tier
	others  *tier // of all other clients
}

func (t *tiers) String() string { return t.text }

func (t *tiers) title() string { return "Tiers" }

func (t *tiers) decide(ctx context.Context, q question) *Refusal {
	of := t.clients[validator.Party{Issuer: q.token.Issuer(), ClientID: q.token.ClientID()}]
	if of == nil {
		of = t.others
	}
	if q.record != nil {
		limits := outline(of.clause)
		limits.Clause = "tier " + strconv.Quote(of.name)
		q.record.Parts = []Explanation{limits}
	}
	return q.ask(ctx, of, 0)
}

func (t *tiers) requirement() Requirement { return Requirement{Others: []string{t.text}} }

func (t *tiers) everyWay(property func(*Refusal) bool) bool {
	for _, tier := range t.byName {
		if !tier.everyWay(property) {
			return false
		}
	}
	return true
}

// tier is the clause of one tier, which is decided like a policy of its own.
type tier struct {
	clause // of the limits

	name    string
	demands validator.Demands
}

func (t *tier) decide(ctx context.Context, q question) *Refusal {
	demands := t.demands
	if fresher(q.active, demands.ActiveWithin) == q.active { // validation has checked it
		demands.ActiveWithin = 0
	}
	return decideClause(ctx, q, demands, t.clause)
}
