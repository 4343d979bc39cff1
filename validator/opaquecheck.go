package validator

import (
	"fmt"
	"time"

	"github.com/sallyport-auth/sallyport/internal/fault"
)

// Bounds of Issuer.ActiveWithin.
const (
	minActiveWithin = time.Second
	maxActiveWithin = 5 * time.Minute
)

// checkOpaque adds the faults of what belongs to introspection. Those of the Client itself
// are found when it is opened.
func (c *Issuer) checkOpaque(f fault.List) {
	c.Answers.check(f.At("Answers"))
	if c.Opaque == nil {
		if !c.Answers.isZero() {
			f.At("Answers").Add("is for answers of introspection, and there is no Opaque", "set Opaque, or remove it")
		}
		if c.ActiveWithin != 0 {
			f.At("ActiveWithin").Add("needs answers of introspection, and there is no Opaque", "set Opaque, or remove it")
		}
		return
	}
	switch {
	case c.ActiveWithin == 0:
	case c.Keys == nil:
		f.At("ActiveWithin").Add("is for JWTs, and without Keys the issuer's tokens are all opaque",
			"give the Keys, such as jwkscache.Discovered(), or remove it; Opaque.Cache.TTL is for opaque tokens")
	case c.ActiveWithin != EachRequest && (c.ActiveWithin < minActiveWithin || c.ActiveWithin > maxActiveWithin):
		f.At("ActiveWithin").Addf(fmt.Sprintf("give EachRequest or %v to %v", minActiveWithin, maxActiveWithin), "is %v", c.ActiveWithin)
	}
}

// checkResolvedOpaque adds the fault of a prefix of a resolved issuer, which would have to
// be known before the issuer is.
func (c *Issuer) checkResolvedOpaque(f fault.List) {
	if c.Opaque != nil && c.Opaque.Prefix != "" {
		f.At("Opaque.Prefix").Add("is set, and the issuer is found by ResolveIssuer only",
			"remove it, and name the issuer in a route or in OpaqueIssuer")
	}
}
