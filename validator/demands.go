package validator

import (
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Demands are what a route asks of a token beyond its issuer's configuration.
// Validate checks them on every call. The zero value demands nothing more.
type Demands struct {
	// Audiences are the identifiers of the resource that the route belongs
	// to. The token's aud must name one of them that is also among the
	// Audiences of its issuer: an issuer has no say about a resource that it
	// is not configured for. Empty: any of the issuer's.
	Audiences []string
	// SoleAudience refuses a token whose aud also names someone outside its
	// issuer's Audiences: another resource server, which could replay the
	// token here. Demanded Audiences do not matter for that.
	SoleAudience bool
	// MaxLifetime is the longest exp − iat allowed. 0: any.
	MaxLifetime time.Duration
	// MaxTokenAge is the longest now − iat allowed: how long ago the token may
	// have been issued, which says nothing of when the user authenticated.
	// There is no leeway. 0: any.
	MaxTokenAge time.Duration
	// SenderConstrained refuses a token that anyone who has it can use: one
	// without a cnf (RFC 7800) whose binding to the sender was checked. No
	// binding can be checked yet, so it refuses every token.
	SenderConstrained bool
	// ActiveWithin refuses a token unless its issuer said within that time that it is
	// active (RFC 7662). [EachRequest], or any other negative value, demands that the
	// issuer is asked for every request. A JWT is validated locally first. An issuer without Issuer.Opaque cannot
	// be asked: its tokens are refused with [Unavailable]. 0 is no demand: answers
	// about opaque tokens are used as long as introspect.Cache says.
	ActiveWithin time.Duration
	// OpaqueIssuer is the URL of the issuer whose opaque tokens the route takes. It is
	// needed where several issuers issue opaque tokens that have no prefix. "": any
	// issuer whose prefix the token has, or the only one.
	OpaqueIssuer string
}

// EachRequest as ActiveWithin means that the issuer is asked for every request, and that
// no answer serves two.
const EachRequest time.Duration = -1

var (
	errRouteAudience = refusal(WrongAudience, "aud names none of the audiences that the route demands and the issuer is configured for")
	errSoleAudience  = refusal(WrongAudience, "aud also names a foreign audience, or there is none, and the route demands a sole one")
	errLifetime      = refusal(BadClaims, "exp − iat is longer than the route allows, or there is no iat or no exp")
	errAge           = refusal(BadClaims, "now − iat is longer than the route allows, or there is no iat")
	errUnbound       = refusal(BindingMismatch, "the token has no cnf, and the route demands one that is bound to its sender").
				with(cause.Details{Found: "no cnf", Wanted: "cnf", Mend: "let the issuer bind the tokens of this client to a key or certificate"})
)

// check returns the refusal of a token that does not meet d at instant. own are
// the Audiences of the token's issuer. ActiveWithin is checked by [checks.hold], and
// OpaqueIssuer is no demand on the token.
func (d *Demands) check(instant time.Time, c *tokenClaims, own []string) *Error {
	if len(d.Audiences) > 0 && !c.namesOneOfBoth(d.Audiences, own) {
		return refuseRouteAudience(c, d.Audiences, own)
	}
	if d.SoleAudience && (c.audience.Kind() == strictjson.Absent || c.namesOther(own)) {
		return refuseSoleAudience(c, own)
	}
	if d.MaxLifetime != 0 && (c.issuedAt.IsZero() || c.expiry.IsZero() || c.expiry.Sub(c.issuedAt) > d.MaxLifetime) {
		return refuseLifetime(c, d.MaxLifetime)
	}
	if d.MaxTokenAge != 0 && (c.issuedAt.IsZero() || instant.Sub(c.issuedAt) > d.MaxTokenAge) {
		return refuseAge(c, instant, d.MaxTokenAge)
	}
	if d.SenderConstrained && !c.isBound { // a bound token got here only if its sender was checked
		return errUnbound
	}
	return nil
}

// isOfDemands reports whether refused is a refusal of [Demands.check]: another
// route may accept the token.
func isOfDemands(refused *Error) bool {
	return slices.ContainsFunc([]*Error{errRouteAudience, errSoleAudience, errLifetime, errAge, errUnbound}, refused.isA)
}

// refuseRouteAudience returns the refusal of a token for none of the audiences that the
// route demands and that the issuer is configured for.
func refuseRouteAudience(c *tokenClaims, demanded, own []string) *Error {
	return errRouteAudience.because(func() cause.Details {
		common := slices.DeleteFunc(slices.Clone(demanded), func(audience string) bool { return !slices.Contains(own, audience) })
		d := seenAudience(c, common)
		d.Mend = "let the client ask for a token for this route"
		if len(common) == 0 {
			d.Wanted = cause.OneOf(demanded)
			d.Mend = "add the audience of the route to Issuer.Audiences, if the issuer may speak for it"
		}
		if c.audience.Kind() == strictjson.Absent {
			d.Mend = mendNoAudience
		}
		return d
	})
}

// mendNoAudience is the mend for a token without aud, which Issuer.ClientIDs or
// Answers.FiltersAudience admitted, on a route that demands an audience.
const mendNoAudience = "a route that demands an audience refuses tokens without aud: let the issuer send aud, or remove the demand"

// refuseSoleAudience returns the refusal of a token that is also for someone else, or has
// no aud.
func refuseSoleAudience(c *tokenClaims, own []string) *Error {
	return errSoleAudience.because(func() cause.Details {
		d := seenAudience(c, own)
		if c.audience.Kind() == strictjson.Absent {
			d.Mend = mendNoAudience
		}
		return d
	})
}

// refuseLifetime returns the refusal of a token that lives longer than the route allows.
func refuseLifetime(c *tokenClaims, limit time.Duration) *Error {
	return errLifetime.because(func() cause.Details {
		found := "exp − iat " + cause.Seconds(c.expiry.Sub(c.issuedAt))
		if c.issuedAt.IsZero() || c.expiry.IsZero() {
			found = "no exp or no iat"
		}
		return cause.Details{Found: found, Wanted: "at most " + cause.Seconds(limit)}
	})
}

// refuseAge returns the refusal of a token that was issued longer ago than the route
// allows.
func refuseAge(c *tokenClaims, instant time.Time, limit time.Duration) *Error {
	return errAge.because(func() cause.Details {
		found := "iat " + cause.Seconds(instant.Sub(c.issuedAt)) + " ago"
		if c.issuedAt.IsZero() {
			found = "no iat"
		}
		return cause.Details{Found: found, Wanted: "at most " + cause.Seconds(limit) + " ago"}
	})
}
