package scopes

import (
	"slices"
	"time"

	"github.com/sallyport-auth/sallyport/validator"
)

// Audience permits a valid token whose aud names at least one of these
// identifiers, which must be among the issuer's Audiences too. It is for routes
// that belong to another resource than the rest of the API; join it with And.
func Audience(identifiers ...string) Policy {
	if err := checkTexts("Audience", "identifiers", identifiers); err != nil {
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
// iat. When the user authenticated does not matter; see [MaxAuthAge].
func MaxTokenAge(limit time.Duration) Policy {
	return limiting("MaxTokenAge", limit, validator.Demands{MaxTokenAge: limit})
}

// SenderConstrained permits a valid token that is bound to its sender, and whose
// binding was checked (RFC 8705 §3, RFC 9449 §4.3). No binding can be checked
// yet, so it refuses every token.
func SenderConstrained() Policy {
	return demanding("SenderConstrained()", validator.Demands{SenderConstrained: true})
}

// FreshlyActive permits a valid token of which its issuer said within maxAge that it is
// active (RFC 7662). 0 means that the issuer is asked for each request, and that no
// answer serves two. A JWT is validated first. An issuer that cannot be asked because
// it has no [validator.Issuer.Opaque] has its tokens refused.
//
// A route asks the issuer if the last answer is too old. [Policy.Decide] asks nobody:
// it answers Unavailable then, and under FreshlyActive(0) always.
func FreshlyActive(maxAge time.Duration) Policy {
	demands := validator.Demands{ActiveWithin: maxAge}
	switch {
	case maxAge < 0:
		return misused("FreshlyActive", "use a positive age, or 0 to ask for each request", "is %s", maxAge)
	case maxAge == 0:
		demands.ActiveWithin = validator.EachRequest
	}
	return demanding("FreshlyActive("+maxAge.String()+")", demands)
}

// OpaqueIssuer permits every valid token, and says which issuer is asked about the
// opaque tokens of the route: the one with this URL, and no other. It is needed where
// several issuers issue opaque tokens that have no prefix. It makes no difference for
// JWTs; see [Issuers].
func OpaqueIssuer(url string) Policy {
	if url == "" {
		return misused("OpaqueIssuer", "give the URL of the issuer", "has an empty URL")
	}
	return demanding(call("OpaqueIssuer", url), validator.Demands{OpaqueIssuer: url})
}

func limiting(constructor string, limit time.Duration, demands validator.Demands) Policy {
	if limit <= 0 {
		return misused(constructor, "use a positive limit", "is %s", limit)
	}
	return demanding(constructor+"("+limit.String()+")", demands)
}

// demanding returns a policy that validation decides, on every request.
func demanding(text string, demands validator.Demands) Policy {
	return compiled(&rule{demands: demands, limits: true, clause: &demand{text: text, demands: demands}})
}
