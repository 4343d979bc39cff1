package validator

import (
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
)

// freshness says how old the answers of one issuer may be.
type freshness struct {
	ttl  time.Duration // introspect.Cache.TTL; 0: an answer is for one request
	jwts time.Duration // Issuer.ActiveWithin
}

// within returns how recently the issuer must have said that a token is active: what the
// route demands, and for a JWT also what the issuer's configuration demands. 0 means that
// a JWT need not be asked about, and that for an opaque token the TTL decides.
func (f *freshness) within(demanded time.Duration, isJWT bool) time.Duration {
	if !isJWT || f.jwts == 0 {
		return demanded
	}
	if demanded == 0 {
		return f.jwts
	}
	return min(demanded, f.jwts) // EachRequest is the smallest
}

// isOnce reports whether an answer that is as fresh as within is for one request only.
func (f *freshness) isOnce(within time.Duration) bool { return f.ttl == 0 || within < 0 }

// serves reports whether an answer that was begun at began is as fresh as within for a
// request that arrived at arrived: it is young enough, or was begun since.
func (f *freshness) serves(began, arrived clock.Moment, within time.Duration) bool {
	limit := f.ttl
	if within > 0 {
		limit = min(limit, within)
	}
	age := began.Age(arrived)
	return age <= 0 || !f.isOnce(within) && age < limit
}

// needsAnswer reports whether the issuer must have been asked about the token.
func (f *facts) needsAnswer(demanded time.Duration) bool {
	return !f.signed || f.terms.answers.within(demanded, true) != 0
}

// isFresh reports whether the issuer was asked about the token as recently as the route
// and the configuration demand, for a request that arrived at arrived.
func (f *facts) isFresh(arrived clock.Moment, demanded time.Duration) bool {
	answers := &f.terms.answers
	return f.answer != nil && answers.serves(f.answer.began, arrived, answers.within(demanded, f.signed))
}

// isYounger reports whether the issuer was asked about the token less than within ago. It
// is false for [EachRequest].
func (f *facts) isYounger(within time.Duration) bool {
	return f.answer != nil && f.answer.began.Age(clock.MomentAt(time.Now(), f.terms.start)) < within
}
