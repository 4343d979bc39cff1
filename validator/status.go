package validator

import "github.com/sallyport-auth/sallyport/jwkscache"

// Status is the state of a Validator, for operators and metrics. It may get more
// fields.
type Status struct {
	// Issuers is the state of each issuer's keys: the configured issuers in the
	// order of the configuration, without those whose keys are not used, then the resolved issuers that are known.
	Issuers []jwkscache.Status
	// CachedTokens is how many tokens are in the cache, and CachedBytes an
	// estimate of their memory.
	CachedTokens, CachedBytes int
}

// Status returns the state of v now. That of a nil Validator is zero.
func (v *Validator) Status() Status {
	if v == nil {
		return Status{}
	}
	var s Status
	for _, is := range v.issuers {
		if is.needsKeys() {
			s.Issuers = append(s.Issuers, is.keys.Status())
		}
	}
	if v.resolved != nil {
		s.Issuers = append(s.Issuers, v.resolved.status()...)
	}
	s.CachedTokens, s.CachedBytes = v.cache.size()
	return s
}
