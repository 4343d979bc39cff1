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
	// Marker. A token with the header at+jwt need not match it, but a claim that has
	// another value than a rule of Marker asks for refuses such a token as well.
	//
	// A token that looks like an ID token is refused: one with a nonce, at_hash, c_hash or
	// s_hash claim, or whose only audience is the client itself. These signs do not count
	// against a token with the header at+jwt, nor against one that has the exact value that
	// a rule of Marker asks for. Some servers put a nonce into access tokens, and an API
	// may be its own client. They do count against a Marker that asks for the presence of a
	// claim only, for a member of an object, or for a value of a claim that ID tokens share,
	// such as azp.
	//
	// A token with an events claim is refused in any case, as logout tokens have it. So is a
	// token of which the claim token_use or typ says that it is an ID token, a refresh token
	// or a logout token.
	ProfileLegacy
)
