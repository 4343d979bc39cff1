package validator

import (
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/introspect"
	"github.com/sallyport-auth/sallyport/jwkscache"
)

// Status is the state of a Validator, for operators and metrics. It may get more
// fields.
type Status struct {
	// Issuers is the state of each issuer's keys: the configured issuers in the order of
	// the configuration, without those whose keys are not used, and then the resolved
	// issuers that are known.
	Issuers []jwkscache.Status
	// Introspection is the state of asking the issuers with Opaque, in the same order.
	Introspection []introspect.Status
	// Counts has an element for each configured issuer, in order, and then, with
	// Config.ResolveIssuer, one for all resolved issuers.
	Counts []Counts
	// ResolvedIssuers is how many resolved issuers are known.
	ResolvedIssuers int
	// UnderWay is how many calls of Validate verify a token or wait for its issuer now.
	// Those that find the token in the cache are not among them.
	UnderWay int
	// CachedTokens is how many tokens are in the cache, and CachedBytes an
	// estimate of their memory.
	CachedTokens, CachedBytes int
	// EvictedTokens is how many tokens were removed from the cache since New because
	// there was no room.
	EvictedTokens uint64
}

// Status returns the state of v now. That of a nil or zero Validator is zero.
func (v *Validator) Status() Status {
	if !v.initialized() {
		return Status{}
	}
	var s Status
	for _, is := range v.issuers {
		s.add(is)
		s.Counts = append(s.Counts, is.counts())
	}
	if v.resolved != nil {
		known := v.resolved.all()
		s.ResolvedIssuers = len(known)
		for _, is := range known {
			s.add(is)
		}
		all := Counts{Issuer: resolvedLabel}
		v.resolved.common.counters.addKeys(&all)
		v.resolved.common.counters.addAsked(&all)
		s.Counts = append(s.Counts, all)
	}
	s.CachedTokens, s.CachedBytes = v.cache.size()
	s.UnderWay = int(v.underWay.Load())
	s.EvictedTokens = v.cache.evicted()
	return s
}

// add adds the state of an issuer.
func (s *Status) add(is *checkedIssuer) {
	if is.needsKeys() {
		s.Issuers = append(s.Issuers, is.keys.Status())
	}
	if is.opaque != nil {
		s.Introspection = append(s.Introspection, is.opaque.asker.Status())
	}
}

// all returns the known issuers, in the order of their URLs.
func (r *resolvedIssuers) all() []*checkedIssuer {
	return slices.SortedFunc(r.known.All(), func(a, b *checkedIssuer) int { return strings.Compare(a.URL, b.URL) })
}
