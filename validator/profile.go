package validator

// Profile says how the access tokens of an issuer are told from its other JWTs, such as
// ID tokens and logout tokens, which are signed with the same keys.
type Profile uint8

const (
	// ProfileRFC9068 is the JWT profile for access tokens. typ must be at+jwt
	// (RFC 9068 §4), and the token must have iss, exp, aud, sub, client_id, iat and jti
	// (§2.2).
	ProfileRFC9068 Profile = iota
	// ProfileLegacy is for issuers that do not send at+jwt yet. typ may also be JWT or
	// absent. The token must have iss, exp, aud and sub, and must match the issuer's
	// Marker. A token that looks like an ID token or a logout token is refused: one with
	// a nonce, at_hash, c_hash, s_hash or events claim, or whose only audience is the
	// client itself.
	ProfileLegacy
)
