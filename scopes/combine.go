package scopes

import (
	"cmp"
	"slices"

	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/validator"
)

// And permits a token that every part permits. If several parts refuse it, the
// refusal is the one that comes first in this list:
//
//   - the token is not meant for this route
//   - the issuer would have to be asked again, or a hook could not decide
//   - nothing that the client could ask for would help
//   - step-up: one refusal for all parts that ask for it, with the scopes that
//     the parts together need if some of those are missing too
//   - scopes: all that the parts together need
//
// Hooks are called last, in their order, and only if everything else permits.
func And(parts ...Policy) Policy {
	made := &conjunction{}
	joined := &rule{clause: made}
	faults := checkParts("And", parts)
	for _, part := range parts {
		if part.Err() != nil {
			continue
		}
		r := part.rule
		made.all = append(made.all, r.clause)
		joined.asks = joined.asks || r.asks
		joined.values = unique(append(joined.values, r.values...))
		joined.limits = joined.limits || r.limits
		joined.privileged = joined.privileged || r.privileged
		joined.sensitive = joined.sensitive || r.sensitive
		joined.needs = append(joined.needs, r.needs...)
		joined.joinDemands(faults, r.demands)
		joined.joinACR(faults, r.acr)
	}
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	joined.needs = unique(joined.needs)
	made.acr = joined.acr
	made.lacking = unmet(validator.InsufficientScope, made.String())
	made.lacking.Scopes = joined.needs
	return compiled(joined)
}

// Or permits a token that at least one part permits. If no part permits it, the
// refusal is that of the first part. If a hook in another part could not decide, the
// refusal is that of the hook, since that part might have permitted the token.
//
// What every token of a route must meet cannot be an alternative: [Audience],
// [MaxLifetime], [MaxTokenAge], [SenderConstrained], [FreshlyActive], [OpaqueIssuer],
// [Tiers] and policies that are [Privileged] or [Sensitive] are faults inside Or.
func Or(parts ...Policy) Policy {
	made := &disjunction{}
	joined := &rule{clause: made}
	faults := checkParts("Or", parts)
	for i, part := range parts {
		if part.Err() != nil {
			continue
		}
		if part.rule.limits {
			faults.Atf("[%d]", i).Addf("move it out of Or, into an And around Or",
				"is %s, and a limit that has an alternative limits nothing", part)
		}
		joined.asks = joined.asks || part.rule.asks
		joined.values = unique(append(joined.values, part.rule.values...))
		made.all = append(made.all, part.rule.clause)
		if i == 0 {
			joined.needs = part.rule.needs
		}
	}
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	return compiled(joined)
}

// checkParts returns the faults of the parts, each below its index.
func checkParts(constructor string, parts []Policy) fault.List {
	faults := faultsOf(constructor)
	if len(parts) == 0 {
		faults.Add("has no parts", "give at least one")
	}
	for i, part := range parts {
		at := faults.Atf("[%d]", i)
		at.Merge(part.Err())
		if part.IsPublic() {
			at.Addf("use Public alone, or remove it", "is Public inside %s, and a route is either open to everyone or not", constructor)
		}
		if part.IsOptional() {
			at.Addf("put Optional around the whole policy",
				"is Optional inside %s, and a request without credentials would pass this part only", constructor)
		}
	}
	return faults
}

// joinDemands adds what another part demands.
func (r *rule) joinDemands(faults fault.List, d validator.Demands) {
	if len(r.demands.Audiences) > 0 && len(d.Audiences) > 0 {
		faults.Add("has two Audience parts", "list the identifiers in one Audience")
		return
	}
	if r.demands.OpaqueIssuer != "" && d.OpaqueIssuer != "" && r.demands.OpaqueIssuer != d.OpaqueIssuer {
		faults.Addf("name one issuer", "has OpaqueIssuer parts for %q and for %q", r.demands.OpaqueIssuer, d.OpaqueIssuer)
		return
	}
	r.demands = joinedDemands(r.demands, d)
}

// joinedDemands returns the demands that a token meets if and only if it meets both
// a and b, of which at most one has Audiences, and which have the same OpaqueIssuer if
// both have one.
func joinedDemands(a, b validator.Demands) validator.Demands {
	return validator.Demands{
		Audiences:         slices.Concat(a.Audiences, b.Audiences),
		SoleAudience:      a.SoleAudience || b.SoleAudience,
		MaxLifetime:       lower(a.MaxLifetime, b.MaxLifetime),
		MaxTokenAge:       lower(a.MaxTokenAge, b.MaxTokenAge),
		SenderConstrained: a.SenderConstrained || b.SenderConstrained,
		ActiveWithin:      fresher(a.ActiveWithin, b.ActiveWithin),
		OpaqueIssuer:      cmp.Or(a.OpaqueIssuer, b.OpaqueIssuer),
	}
}

// joinACR keeps the acr values that another part asks for, too.
func (r *rule) joinACR(faults fault.List, acr []string) {
	if len(r.acr) > 0 && len(acr) > 0 && len(intersection(r.acr, acr)) == 0 {
		faults.Add("has ACR or MFA parts that have no acr value in common", "list a value in all of them")
		return
	}
	r.acr = inCommon(r.acr, acr)
}
