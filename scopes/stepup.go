package scopes

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/validator"
)

// ACR permits a token whose acr is one of these values, which stand in order of
// preference. They are names without an order: none includes another (RFC 9470
// §2). A value counts only if it does for the token's issuer
// ([validator.Issuer.ACRs]). A refusal is a step-up challenge that names them (§3).
func ACR(values ...string) Policy {
	values = slices.Clone(values)
	return authentication("ACR", values, &Requirement{ACRValues: values}, func(q question) bool {
		return slices.Contains(values, q.token.ACR())
	})
}

// MFA permits a token whose user authenticated by several factors, as its
// issuer's configuration tells by amr ([validator.Issuer.MultiFactor]). A refusal
// is a step-up challenge that names these acr values, since amr cannot be asked
// for (RFC 9470 §3): those by which the issuers bring about such an
// authentication, in order of preference. That the token has one of them is not
// checked; see [ACR].
func MFA(acrValues ...string) Policy {
	return authentication("MFA", slices.Clone(acrValues), nil, func(q question) bool { return q.token.MultiFactor() })
}

// authentication is a policy of one condition on how strongly the user
// authenticated, with the acr values of the challenge.
func authentication(constructor string, values []string, demand *Requirement, met func(q question) bool) Policy {
	if err := checkTokens(constructor, "an acr value", values); err != nil {
		return faulty(err)
	}
	text := call(constructor, values...)
	refusal := unmet(validator.StepUpRequired, text)
	refusal.ACRValues = values
	return compiled(&rule{acr: values, clause: &condition{
		text: text, refusal: refusal, demand: demand,
		met: func(_ context.Context, q question) bool { return met(q) },
	}})
}

// MaxAuthAge permits a token whose user authenticated no longer ago than limit,
// by auth_time; iat does not count, since a refresh renews it (RFC 9068 §2.2.1).
// A token without auth_time is refused. limit is in whole seconds, since
// max_age of the challenge is (RFC 9470 §3).
func MaxAuthAge(limit time.Duration) Policy {
	text := fmt.Sprintf("MaxAuthAge(%s)", limit)
	if limit < time.Second || limit%time.Second != 0 {
		return faulty(fmt.Errorf("scopes: %s: not a number of whole seconds, at least one", text))
	}
	refusal := unmet(validator.StepUpRequired, text)
	refusal.MaxAge = limit
	return compiled(&rule{clause: &condition{
		text: text, refusal: refusal, demand: &Requirement{MaxAge: int64(limit / time.Second)},
		met: func(ctx context.Context, q question) bool {
			at := q.token.AuthTime()
			return !at.IsZero() && clock.Now(ctx).Sub(at) <= limit
		},
	}})
}

// futureConsent is how far ahead a consent may lie, since clocks differ.
const futureConsent = time.Minute

// ConsentWithin permits a token whose claim of this name is the time of a consent
// no longer ago than limit, as a NumericDate (RFC 7519 §2). Without the claim, or
// if it is of another type or lies more than a minute ahead, there is no consent.
// A refusal is for scopes: a new authorization request mends it.
func ConsentWithin(claim string, limit time.Duration) Policy {
	text := fmt.Sprintf("ConsentWithin(%q, %s)", claim, limit)
	if claim == "" || limit <= 0 {
		return faulty(fmt.Errorf("scopes: %s: the claim must have a name, and the limit must be positive", text))
	}
	return onToken(text, validator.InsufficientScope, func(ctx context.Context, q question) bool {
		at, found := q.token.Date(claim)
		age := clock.Now(ctx).Sub(at)
		return found && age <= limit && age >= -futureConsent
	})
}
