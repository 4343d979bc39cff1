package scopes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// Revocation is the mode in which the tokens of a tier are withdrawn before they
// expire.
type Revocation uint8

// ByExpiry is not at all: a token is good until it expires, so that there must be
// a MaxLifetime. There is no other mode yet.
const ByExpiry Revocation = 0

// String is the name of the mode.
func (r Revocation) String() string {
	if r == ByExpiry {
		return "ByExpiry"
	}
	return fmt.Sprintf("Revocation(%d)", uint8(r))
}

// Tier is what is asked of the tokens of some clients. Zero fields ask nothing
// but MaxLifetime, which Revocation needs.
type Tier struct {
	// Algorithms are those that a token may be signed with, of those that its
	// issuer may use. Another token is forbidden. nil: any.
	Algorithms []jose.Algorithm
	// Revocation is how tokens are withdrawn.
	Revocation Revocation
	// MaxLifetime is the longest exp − iat. A token without iat is refused.
	// Required if tokens are withdrawn ByExpiry.
	MaxLifetime time.Duration
	// MaxTokenAge is the longest now − iat. A token without iat is refused.
	MaxTokenAge time.Duration
	// SenderConstrained refuses a token whose binding to its sender was not
	// checked. No binding can be checked yet, so it refuses every token.
	SenderConstrained bool
	// ACR are the values of acr that will do, as of [ACR].
	ACR []string
	// MaxAuthAge is how long ago the user may have authenticated, as of
	// [MaxAuthAge].
	MaxAuthAge time.Duration
}

// ClientName names a client: its client_id means something only at its issuer.
type ClientName struct {
	Issuer string // URL
	ID     string // client_id
}

// TierTable is a registry of clients and their tiers.
type TierTable struct {
	Tiers   map[string]Tier       // by name
	Clients map[ClientName]string // to the name of a tier
	// Default is the name of the tier of all other clients. Required, and in
	// no limit weaker than any other tier: who is not known has no
	// privileges.
	Default string
}

// Tiers asks of each token what the tier of its client asks, by iss and
// client_id of the token and nothing else. A token that was issued for too long,
// too long ago or without a binding is refused as invalid, one with another
// algorithm is forbidden, a weak or old authentication gets a step-up challenge.
func Tiers(table TierTable) Policy {
	if err := table.check(); err != nil {
		return faulty(err)
	}
	byName := make(map[string]*tier, len(table.Tiers))
	made := &tiers{text: table.code(), byName: byName, clients: make(map[ClientName]*tier, len(table.Clients))}
	for name, limits := range table.Tiers {
		byName[name] = &tier{name: name, limits: limits.policy()}
	}
	for client, name := range table.Clients {
		made.clients[client] = byName[name]
	}
	made.others = byName[table.Default]
	return compiled(&rule{clause: made, limits: true})
}

// tiers is the clause of Tiers.
type tiers struct {
	text    string
	byName  map[string]*tier
	clients map[ClientName]*tier
	others  *tier
}

type tier struct {
	name   string
	limits clause
}

func (t *tiers) String() string { return t.text }

func (t *tiers) judge(ctx context.Context, q question) *Refusal {
	of := t.clients[ClientName{q.token.Issuer(), q.token.ClientID()}]
	if of == nil {
		of = t.others
	}
	if q.record != nil {
		limits := outline(of.limits)
		limits.Clause = "tier " + strconv.Quote(of.name)
		q.record.Parts = []Explanation{limits}
	}
	return q.ask(ctx, of.limits, 0)
}

// policy is the clause that asks for the limits.
func (t *Tier) policy() clause {
	parts := []Policy{Authenticated()}
	if algorithms := slices.Clone(t.Algorithms); len(algorithms) > 0 {
		parts = append(parts, forbidding(fmt.Sprintf("Algorithms%v", algorithms), func(_ context.Context, q question) bool {
			return slices.Contains(algorithms, q.token.Algorithm())
		}))
	}
	if t.MaxLifetime > 0 {
		limit := t.MaxLifetime
		parts = append(parts, onToken(fmt.Sprintf("MaxLifetime(%s)", limit), validator.BadClaims, func(_ context.Context, q question) bool {
			at := q.token.IssuedAt()
			return !at.IsZero() && q.token.Expiry().Sub(at) <= limit
		}))
	}
	if t.MaxTokenAge > 0 {
		limit := t.MaxTokenAge
		parts = append(parts, onToken(fmt.Sprintf("MaxTokenAge(%s)", limit), validator.BadClaims, func(ctx context.Context, q question) bool {
			return clock.Now(ctx).Sub(q.token.IssuedAt()) <= limit // without iat it is longer than any limit
		}))
	}
	if t.SenderConstrained {
		parts = append(parts, onToken("SenderConstrained()", validator.BindingMismatch, func(context.Context, question) bool {
			return false // no token whose binding was checked exists yet
		}))
	}
	if len(t.ACR) > 0 {
		parts = append(parts, ACR(t.ACR...))
	}
	if t.MaxAuthAge > 0 {
		parts = append(parts, MaxAuthAge(t.MaxAuthAge))
	}
	return And(parts...).rule.clause
}

// check tells everything that is wrong with the table.
func (t *TierTable) check() error {
	var faults []error
	addf := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("scopes: Tiers: "+format, args...))
	}
	others, found := t.Tiers[t.Default]
	if !found {
		addf("Default %q is not in Tiers; unknown clients need a tier", t.Default)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Tiers)) {
		limits := t.Tiers[name]
		for _, fault := range limits.faults() {
			addf("tier %q: %s", name, fault)
		}
		for _, limit := range others.weaker(&limits) {
			if found {
				addf("the Default tier %q is weaker in %s than tier %q", t.Default, limit, name)
			}
		}
	}
	for _, client := range t.sorted() {
		if client.Issuer == "" || client.ID == "" {
			addf("a client without Issuer or ID: %q", client)
		}
		if _, found := t.Tiers[t.Clients[client]]; !found {
			addf("client %q: tier %q is not in Tiers", client, t.Clients[client])
		}
	}
	return errors.Join(faults...)
}

func (t *Tier) faults() []string {
	var faults []string
	if t.MaxLifetime < 0 || t.MaxTokenAge < 0 {
		faults = append(faults, "a limit is negative")
	}
	switch {
	case t.Revocation != ByExpiry:
		faults = append(faults, fmt.Sprintf("%s does not exist", t.Revocation))
	case t.MaxLifetime == 0:
		faults = append(faults, "MaxLifetime is not set, and tokens are withdrawn ByExpiry only")
	}
	if t.Algorithms != nil && len(t.Algorithms) == 0 {
		faults = append(faults, "Algorithms is empty; leave it nil if all of the issuer's will do")
	}
	for i, algorithm := range t.Algorithms {
		if !algorithm.Valid() {
			faults = append(faults, fmt.Sprintf("Algorithms[%d] does not exist", i))
		} else if slices.Contains(t.Algorithms[:i], algorithm) {
			faults = append(faults, fmt.Sprintf("Algorithms has %s twice", algorithm))
		}
	}
	if t.MaxAuthAge != 0 {
		if err := MaxAuthAge(t.MaxAuthAge).Err(); err != nil {
			faults = append(faults, err.Error())
		}
	}
	if t.ACR != nil {
		if err := ACR(t.ACR...).Err(); err != nil {
			faults = append(faults, err.Error())
		}
	}
	return faults
}

// weaker names the limits in which t is weaker than other: a token could keep to
// t and not to other.
func (t *Tier) weaker(other *Tier) []string {
	var limits []string
	longer := func(name string, mine, others time.Duration) {
		if others > 0 && (mine == 0 || mine > others) {
			limits = append(limits, name)
		}
	}
	longer("MaxLifetime", t.MaxLifetime, other.MaxLifetime)
	longer("MaxTokenAge", t.MaxTokenAge, other.MaxTokenAge)
	longer("MaxAuthAge", t.MaxAuthAge, other.MaxAuthAge)
	if other.SenderConstrained && !t.SenderConstrained {
		limits = append(limits, "SenderConstrained")
	}
	if len(other.Algorithms) > 0 && (len(t.Algorithms) == 0 || slices.ContainsFunc(t.Algorithms, func(a jose.Algorithm) bool {
		return !slices.Contains(other.Algorithms, a)
	})) {
		limits = append(limits, "Algorithms")
	}
	if len(other.ACR) > 0 && (len(t.ACR) == 0 || len(intersection(t.ACR, other.ACR)) < len(t.ACR)) {
		limits = append(limits, "ACR")
	}
	return limits
}

// sorted are the clients in an order that does not change.
func (t *TierTable) sorted() []ClientName {
	return slices.SortedFunc(maps.Keys(t.Clients), func(a, b ClientName) int {
		return strings.Compare(a.Issuer+"\x00"+a.ID, b.Issuer+"\x00"+b.ID)
	})
}

// code writes the policy of the table as Go code would make it.
func (t *TierTable) code() string {
	var b strings.Builder
	b.WriteString("Tiers(TierTable{Tiers: {")
	for i, name := range slices.Sorted(maps.Keys(t.Tiers)) {
		limits := t.Tiers[name]
		fmt.Fprintf(&b, "%s%q: {Algorithms: %v, Revocation: %s, MaxLifetime: %s, MaxTokenAge: %s, SenderConstrained: %t, %s, MaxAuthAge: %s}", comma(i), name,
			limits.Algorithms, limits.Revocation, limits.MaxLifetime, limits.MaxTokenAge, limits.SenderConstrained, call("ACR", limits.ACR...), limits.MaxAuthAge)
	}
	b.WriteString("}, Clients: {")
	for i, client := range t.sorted() {
		fmt.Fprintf(&b, "%s{%q, %q}: %q", comma(i), client.Issuer, client.ID, t.Clients[client])
	}
	fmt.Fprintf(&b, "}, Default: %q})", t.Default)
	return b.String()
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ", "
}
