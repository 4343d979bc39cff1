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
// §2). A refusal is a step-up challenge that names them (§3).
func ACR(values ...string) Policy {
	return authentication("ACR", values, func(q question, values []string) bool {
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
	return authentication("MFA", acrValues, func(q question, _ []string) bool { return q.token.MultiFactor() })
}

// stepUp is a policy of one condition on how the user authenticated.
func stepUp(text string, told Refusal, met func(ctx context.Context, q question) bool) Policy {
	refusal := unmet(validator.StepUpRequired, text)
	refusal.ACRValues, refusal.MaxAge = told.ACRValues, told.MaxAge
	return compiled(&rule{clause: &condition{text: text, met: met, refusal: refusal}, acr: told.ACRValues})
}

func authentication(constructor string, values []string, met func(q question, values []string) bool) Policy {
	if err := checkTokens(constructor, "an acr value", values); err != nil {
		return faulty(err)
	}
	values = slices.Clone(values)
	return stepUp(call(constructor, values...), Refusal{ACRValues: values}, func(_ context.Context, q question) bool {
		return met(q, values)
	})
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
	return stepUp(text, Refusal{MaxAge: limit}, func(ctx context.Context, q question) bool {
		at := q.token.AuthTime()
		return !at.IsZero() && clock.Now(ctx).Sub(at) <= limit
	})
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
