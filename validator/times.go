package validator

import (
	"math"
	"time"
)

var (
	errExpired   = refusal(Expired, "now is at or after exp and the leeway")
	errNotBefore = refusal(NotYetValid, "nbf lies ahead by more than the leeway")
	errIssuedAt  = refusal(NotYetValid, "iat lies ahead by more than the leeway")
	errAuthTime  = refusal(NotYetValid, "auth_time lies ahead by more than the leeway")
)

// checkTimes returns the refusal of a token that expired before now or is not
// valid yet. A token without exp does not expire: JWTs have one, and an answer about an
// opaque token is used for a bounded time in any case.
func (c *tokenClaims) checkTimes(now time.Time, leeway Leeway) *Error {
	if refused := c.checkExpiry(now, leeway); refused != nil {
		return refused
	}
	return c.checkStart(now, leeway)
}

// checkExpiry returns the refusal of a token that expired before now.
func (c *tokenClaims) checkExpiry(now time.Time, leeway Leeway) *Error {
	if !c.expiry.IsZero() && !now.Before(c.expiry.Add(leeway.Expiry)) {
		return refuseExpiry(now, c.expiry, leeway)
	}
	return nil
}

// checkStart returns the refusal of a token that is not valid yet.
func (c *tokenClaims) checkStart(now time.Time, leeway Leeway) *Error {
	latest := now.Add(leeway.Future)
	if c.notBefore.After(latest) {
		return refuseTime(errNotBefore, now, c.notBefore, "nbf", leeway)
	}
	if c.issuedAt.After(latest) {
		return refuseTime(errIssuedAt, now, c.issuedAt, "iat", leeway)
	}
	if c.authTime.After(latest) {
		return refuseTime(errAuthTime, now, c.authTime, claimAuthTime, leeway)
	}
	return nil
}

// span returns the seconds since 1970 in which checkTimes has nothing to refuse,
// without any leeway: from the first in which no claim lies in the future, until
// before the one of exp, if there is one.
func (c *tokenClaims) span() (from, until int64) {
	for _, instant := range [...]time.Time{c.issuedAt, c.notBefore, c.authTime} {
		if !instant.IsZero() {
			from = max(from, instant.Unix()+1)
		}
	}
	if c.expiry.IsZero() {
		return from, math.MaxInt64
	}
	return from, c.expiry.Unix()
}
