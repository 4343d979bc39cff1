package scopes

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// Audience permits a valid token whose aud names at least one of these
// identifiers, which must be among the issuer's Audiences too. It is for routes
// that belong to another resource than the rest of the API; join it with And.
func Audience(identifiers ...string) Policy {
	if err := checkTexts("Audience", "an identifier", identifiers); err != nil {
		return faulty(err)
	}
	identifiers = slices.Clone(identifiers)
	return demanding(call("Audience", identifiers...), validator.Demands{Audiences: identifiers})
}

// MaxLifetime permits a valid token that was issued for no longer than limit,
// from iat to exp (RFC 9700 §2.3).
func MaxLifetime(limit time.Duration) Policy {
	return limiting("MaxLifetime", limit, validator.Demands{MaxLifetime: limit})
}

// MaxTokenAge permits a valid token that was issued no longer ago than limit, by
// iat. It says nothing of when the user authenticated; see [MaxAuthAge].
func MaxTokenAge(limit time.Duration) Policy {
	return limiting("MaxTokenAge", limit, validator.Demands{MaxAge: limit})
}

// SenderConstrained permits a valid token that is bound to its sender, and whose
// binding was checked (RFC 8705 §3, RFC 9449 §4.3). No binding can be checked
// yet, so it refuses every token.
func SenderConstrained() Policy {
	return demanding("SenderConstrained()", validator.Demands{SenderConstrained: true})
}

// demanding is a policy that validation judges, on every request.
func demanding(text string, demands validator.Demands) Policy {
	return compiled(&rule{demands: demands, limits: true, clause: &condition{
		text: text, met: always, demands: &demands, demand: demandRequirement(demands),
	}})
}

func limiting(constructor string, limit time.Duration, demands validator.Demands) Policy {
	text := fmt.Sprintf("%s(%s)", constructor, limit)
	if limit <= 0 {
		return faulty(fmt.Errorf("scopes: %s must be positive", text))
	}
	return demanding(text, demands)
}

// demandRequirement returns the Requirement that says the same as demands.
func demandRequirement(d validator.Demands) *Requirement {
	return &Requirement{
		Audiences: d.Audiences, SoleAudience: d.SoleAudience, SenderConstrained: d.SenderConstrained,
		MaxLifetime: d.MaxLifetime.Seconds(), MaxTokenAge: d.MaxAge.Seconds(),
	}
}

var errTwoAudiences = errors.New("scopes: And with two Audience parts; list the identifiers in one")

// joinedDemands returns the demands that a token meets if and only if it meets
// both a and b. Every field of Demands is joined here.
func joinedDemands(a, b validator.Demands) (validator.Demands, error) {
	if len(a.Audiences) > 0 && len(b.Audiences) > 0 {
		return a, errTwoAudiences
	}
	return validator.Demands{
		Audiences:         slices.Concat(a.Audiences, b.Audiences), // one of them is empty
		SoleAudience:      a.SoleAudience || b.SoleAudience,
		MaxLifetime:       lower(a.MaxLifetime, b.MaxLifetime),
		MaxAge:            lower(a.MaxAge, b.MaxAge),
		SenderConstrained: a.SenderConstrained || b.SenderConstrained,
	}, nil
}

// unmetDemand is the refusal of a token that has expired or does not meet the
// demands of a policy, by what [validator.Token.Meets] said.
func unmetDemand(err error) *Refusal {
	return &Refusal{Reason: validator.ReasonOf(err), cause: errors.Unwrap(err)}
}
