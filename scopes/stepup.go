package scopes

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/internal/clock"
	"github.com/sallyport-auth/sallyport/validator"
)

// ACR permits a token whose acr is one of these values, which are listed in order
// of preference. They are names without an order: none includes another (RFC 9470
// §2). A value counts only if the configuration of the token's issuer has it
// ([validator.Issuer.ACRs]). The refusal is a step-up challenge that names the
// values (§3).
func ACR(values ...string) Policy {
	values = slices.Clone(values)
	return authentication("ACR", values, &Requirement{ACRValues: values}, func(q question) bool {
		return slices.Contains(values, q.token.ACR())
	})
}

// MFA permits a token whose user authenticated by several factors, as its
// issuer's configuration tells by amr ([validator.Issuer.MultiFactor]). The refusal
// is a step-up challenge that names these acr values, since a client cannot ask for
// amr (RFC 9470 §3). They are the values for which the issuers ask the user for
// several factors, in order of preference. MFA does not check whether the token has
// one of them; see [ACR].
func MFA(acrValues ...string) Policy {
	return authentication("MFA", slices.Clone(acrValues), nil, func(q question) bool { return q.token.MultiFactor() })
}

// authentication returns a policy of one condition on how strongly the user
// authenticated. values are the acr values of the challenge.
func authentication(constructor string, values []string, required *Requirement, met func(q question) bool) Policy {
	if err := checkTokens(constructor, "acr values", values); err != nil {
		return faulty(err)
	}
	text := call(constructor, values...)
	refusal := unmet(validator.StepUpRequired, text)
	refusal.ACRValues = values
	return compiled(&rule{acr: values, clause: &condition{
		text: text, refusal: refusal, required: required,
		met: func(_ context.Context, q question) bool { return met(q) },
	}})
}

// MaxAuthAge permits a token whose user authenticated no longer ago than limit, by
// auth_time. iat does not count, since a refresh renews it (RFC 9068 §2.2.1). A
// token without auth_time is refused. limit is in whole seconds, since max_age of
// the challenge is (RFC 9470 §3).
func MaxAuthAge(limit time.Duration) Policy {
	if limit < time.Second || limit%time.Second != 0 {
		return misused("MaxAuthAge", "use at least one second", "is %s, not a number of whole seconds", limit)
	}
	text := fmt.Sprintf("MaxAuthAge(%s)", limit)
	refusal := unmet(validator.StepUpRequired, text)
	refusal.MaxAuthAge = limit
	return compiled(&rule{clause: &condition{
		text: text, refusal: refusal, required: &Requirement{MaxAuthAge: int64(limit / time.Second)},
		met: func(ctx context.Context, q question) bool {
			at := q.token.AuthTime()
			return !at.IsZero() && clock.Now(ctx).Sub(at) <= limit
		},
	}})
}

// futureConsent is how far in the future a consent may be, since clocks differ.
const futureConsent = time.Minute

// ConsentWithin permits a token whose claim of this name is the time of a consent
// no longer ago than limit, as a NumericDate (RFC 7519 §2). There is no consent if
// the claim is missing, is of another type, or is more than a minute in the future.
// The refusal is for scopes, since a new authorization request renews the consent.
func ConsentWithin(claim string, limit time.Duration) Policy {
	faults := faultsOf("ConsentWithin")
	if claim == "" {
		faults.Add("has an empty claim name", "name the claim that holds the time of the consent")
	}
	if limit <= 0 {
		faults.Addf("use a positive limit", "has the limit %s", limit)
	}
	if err := faults.Err(); err != nil {
		return faulty(err)
	}
	text := fmt.Sprintf("ConsentWithin(%q, %s)", claim, limit)
	return conditional(text, validator.InsufficientScope, func(ctx context.Context, q question) bool {
		at, found := q.token.Date(claim)
		age := clock.Now(ctx).Sub(at)
		return found && age <= limit && age >= -futureConsent
	})
}
