package scopes

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/jose"
	"github.com/sallyport-auth/sallyport/validator"
)

// check returns everything that is wrong with the table.
func (t *TierTable) check() error {
	faults := fault.In("scopes")
	others, found := t.Tiers[t.Default]
	if !found {
		faults.At("Default").Addf("name the tier of unknown clients", "is %q, which is not in Tiers", t.Default)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Tiers)) {
		limits := t.Tiers[name]
		limits.check(faults.Atf("Tiers[%q]", name))
		for _, limit := range others.weaker(&limits) {
			if found {
				faults.Atf("Tiers[%q]", t.Default).At(limit).Addf("make the Default tier the strictest, since it is that of unknown clients",
					"is weaker than in tier %q", name)
			}
		}
	}
	for _, client := range t.sorted() {
		at := faults.Atf("Clients[%s]", partyText(client))
		if client.Issuer == "" || client.ClientID == "" || client.Subject != "" {
			at.Add("is not the name of a client", "name it by its Issuer and ClientID alone")
		}
		if _, found := t.Tiers[t.Clients[client]]; !found {
			at.Addf("name one of Tiers", "is %q, which is not in Tiers", t.Clients[client])
		}
	}
	return faults.Err()
}

func (t *Tier) check(faults fault.List) {
	switch {
	case t.MaxLifetime != 0:
		faults.Merge(MaxLifetime(t.MaxLifetime).Err())
	case t.ActiveWithin == 0:
		faults.At("MaxLifetime").Add("is not set, and neither is ActiveWithin",
			"set one of them, because otherwise nobody notices that a token was revoked before it expires")
	}
	if t.ActiveWithin < 0 && t.ActiveWithin != validator.EachRequest {
		faults.At("ActiveWithin").Addf("use a positive age, or validator.EachRequest", "is %s", t.ActiveWithin)
	}
	if t.MaxTokenAge != 0 {
		faults.Merge(MaxTokenAge(t.MaxTokenAge).Err())
	}
	if t.MaxAuthAge != 0 {
		faults.Merge(MaxAuthAge(t.MaxAuthAge).Err())
	}
	if t.ACR != nil {
		faults.Merge(ACR(t.ACR...).Err())
	}
	if t.Algorithms != nil && len(t.Algorithms) == 0 {
		faults.At("Algorithms").Add("is empty", "leave it nil to allow all algorithms of the issuer")
	}
	for i, algorithm := range t.Algorithms {
		at := faults.Atf("Algorithms[%d]", i)
		if !algorithm.Valid() {
			at.Add("does not exist", "use a constant of package jose")
		} else if slices.Contains(t.Algorithms[:i], algorithm) {
			at.Addf("remove one of them", "%s is listed twice", algorithm)
		}
	}
}

// weaker returns the names of the limits that a token could meet in t and break in
// other.
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
	if fresher(t.ActiveWithin, other.ActiveWithin) != t.ActiveWithin {
		limits = append(limits, "ActiveWithin")
	}
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

// sorted returns the clients, sorted.
func (t *TierTable) sorted() []validator.Party {
	return slices.SortedFunc(maps.Keys(t.Clients), func(a, b validator.Party) int {
		return cmp.Or(strings.Compare(a.Issuer, b.Issuer), strings.Compare(a.ClientID, b.ClientID), strings.Compare(a.Subject, b.Subject))
	})
}

// partyText returns the Go code of a client in a map whose keys are Parties.
func partyText(p validator.Party) string {
	return fmt.Sprintf("{Issuer: %q, ClientID: %q}", p.Issuer, p.ClientID)
}

// code returns the Go code of the policy.
func (t *TierTable) code() string {
	var b strings.Builder
	b.WriteString("Tiers(TierTable{Tiers: {")
	for i, name := range slices.Sorted(maps.Keys(t.Tiers)) {
		limits := t.Tiers[name]
		fmt.Fprintf(&b, "%s%q: {Algorithms: %v, MaxLifetime: %s, MaxTokenAge: %s, SenderConstrained: %t, ActiveWithin: %s, %s, MaxAuthAge: %s}", comma(i), name,
			limits.Algorithms, limits.MaxLifetime, limits.MaxTokenAge, limits.SenderConstrained, activeText(limits.ActiveWithin), call("ACR", limits.ACR...), limits.MaxAuthAge)
	}
	b.WriteString("}, Clients: {")
	for i, client := range t.sorted() {
		fmt.Fprintf(&b, "%s%s: %q", comma(i), partyText(client), t.Clients[client])
	}
	fmt.Fprintf(&b, "}, Default: %q})", t.Default)
	return b.String()
}

// activeText returns the Go code of an ActiveWithin.
func activeText(within time.Duration) string {
	if within == validator.EachRequest {
		return "validator.EachRequest"
	}
	return within.String()
}

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ", "
}
