package validator

import "slices"

// AnswerRules says what the answers of one issuer about opaque tokens must have. The
// zero value is strict: an answer names this API in aud, and says in token_type that the
// token is an access token.
type AnswerRules struct {
	// Marker tells access tokens from the other tokens that the issuer calls active,
	// such as refresh tokens and ID tokens, for answers without token_type. All rules
	// must hold. With a Marker, token_type is not required. A rule with Equals outweighs
	// the signs of an ID token as in Issuer.Marker: see [ProfileLegacy].
	Marker []ClaimRule
	// TokenTypes are further values of token_type that an access token may have,
	// compared without regard to case. Bearer and DPoP always count.
	TokenTypes []string
	// FiltersAudience says that the issuer calls only those tokens active that are
	// meant for the client that asks, and names no aud. It covers answers without aud
	// only. If the issuer does not filter, every token of its other APIs passes here.
	FiltersAudience bool
	// ScopeLists allows scope to be an array of scope tokens, also if Issuer.ScopeLists,
	// which holds for JWTs too, does not.
	ScopeLists bool
}

// clone returns a copy of r that shares nothing with it.
func (r *AnswerRules) clone() AnswerRules {
	clone := *r
	clone.Marker = cloneRules(r.Marker)
	clone.TokenTypes = slices.Clone(r.TokenTypes)
	return clone
}
