package validator

import (
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/introspection"
	"github.com/sallyport-auth/sallyport/internal/issuerkeys"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Defaults and bounds of the configuration.
const (
	defaultTokenBytes = 16 << 10
	minTokenBytes     = 1 << 10
	maxTokenBytes     = 1 << 20

	minTokenMembers = 64
	maxTokenMembers = 65_536
	minTokenDepth   = 8
	maxTokenDepth   = 1024

	defaultResolvedIssuers = 1000
	maxResolvedIssuers     = 10_000

	defaultWaiters = 1000    // of one issuer; see jwkscache.Limits
	maxWaiters     = 100_000 // that jwkscache.Limits allows
	sharedWaiters  = 4       // times those of one issuer
)

// checkedTokenBytes returns MaxTokenBytes with its default.
func checkedTokenBytes(n int, f fault.List) int {
	if n == 0 {
		return defaultTokenBytes
	}
	if n < minTokenBytes || n > maxTokenBytes {
		addRange(f, n, minTokenBytes, maxTokenBytes, defaultTokenBytes)
	}
	return n
}

// checkedTokenLimits returns MaxTokenMembers and MaxTokenDepth with their defaults.
func (c *Config) checkedTokenLimits(f fault.List) strictjson.Limits {
	limits := strictjson.TokenLimits
	for _, limit := range [...]struct {
		field             string
		got               int
		smallest, largest int
		limit             *int
	}{
		{"MaxTokenMembers", c.MaxTokenMembers, minTokenMembers, maxTokenMembers, &limits.Members},
		{"MaxTokenDepth", c.MaxTokenDepth, minTokenDepth, maxTokenDepth, &limits.Depth},
	} {
		if limit.got == 0 {
			continue
		}
		if limit.got < limit.smallest || limit.got > limit.largest {
			addRange(f.At(limit.field), limit.got, limit.smallest, limit.largest, *limit.limit)
		}
		*limit.limit = limit.got
	}
	return limits
}

// checkedMaxResolvedIssuers returns MaxResolvedIssuers with its default.
func checkedMaxResolvedIssuers(n int, f fault.List) int {
	if n == 0 {
		return defaultResolvedIssuers
	}
	if n < 1 || n > maxResolvedIssuers {
		addRange(f, n, 1, maxResolvedIssuers, defaultResolvedIssuers)
	}
	return n
}

// checkedShared returns the bounds over all issuers.
func (c *Config) checkedShared(f fault.List) *issuerkeys.Shared {
	limits := c.SharedLimits
	if limits.Waiters == 0 {
		largest := defaultWaiters
		for i := range c.Issuers {
			largest = max(largest, min(c.Issuers[i].KeyLimits.Waiters, maxWaiters)) // more is a fault of the issuer
		}
		limits.Waiters = sharedWaiters * largest
	}
	shared, err := issuerkeys.NewShared(limits)
	f.Merge(err)
	return shared
}

// checkedIntrospections returns the bounds of asking all issuers.
func (c *Config) checkedIntrospections(f fault.List) *introspection.Shared {
	shared, err := introspection.NewShared(c.IntrospectionLimits)
	f.Merge(err)
	return shared
}

// openIssuers checks the configured issuers and opens their keys.
func (c *Config) openIssuers(common opener, f fault.List) []*checkedIssuer {
	if len(c.Issuers) == 0 && c.ResolveIssuer == nil {
		f.Add("is empty", "list the authorization servers whose tokens this API accepts")
	}
	issuers := make([]*checkedIssuer, 0, len(c.Issuers))
	for i := range c.Issuers {
		at := f.Atf("[%d]", i)
		for _, earlier := range issuers {
			if earlier.URL == c.Issuers[i].URL {
				at.At("URL").Addf("merge the two", "%q is the URL of an earlier issuer too", earlier.URL)
			}
		}
		issuers = append(issuers, c.Issuers[i].open(common, at))
	}
	return issuers
}
