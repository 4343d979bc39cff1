package validator

import (
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

var (
	errType       = refusal(WrongType, "typ is not at+jwt (RFC 9068 §4)")
	errLegacyType = refusal(WrongType, "typ is neither at+jwt nor JWT nor absent")
	errIDToken    = refusal(WrongType, "a claim that only ID tokens and logout tokens have")
	errOwnClient  = refusal(WrongType, "aud is only the client itself, as in an ID token")
	errMarker     = refusal(WrongType, "the issuer's access token marker does not match")
)

// checkType returns the refusal of a token whose typ is not that of an access
// token. It compares typ as a media type (RFC 7515 §4.1.9) without parameters.
// Case folding maps none of these letters to one outside ASCII.
func (is *checkedIssuer) checkType(h jose.Header) *Error {
	if jwtclaims.IsType(h, "at+jwt") {
		return nil
	}
	if is.Profile != ProfileLegacy {
		return errType
	}
	if !h.HasType() || jwtclaims.IsType(h, "JWT") {
		return nil
	}
	return errLegacyType
}

// checkLegacy tells an access token from the issuer's other tokens by its claims
// (R-AT-03, R-AT-04).
func (is *checkedIssuer) checkLegacy(c *tokenClaims, members []strictjson.Member) *Error {
	if is.Profile != ProfileLegacy {
		return nil
	}
	if c.idTokenOnly {
		return errIDToken
	}
	if sole, ok := c.soleAudience(); ok && (sole == c.clientID || sole == c.authorizedParty || sole == textOf(members, is.ClientClaim)) {
		return errOwnClient
	}
	for i := range is.Marker {
		if !is.Marker[i].holds(members) {
			return errMarker
		}
	}
	return nil
}

var (
	errNoExpiry   = refusal(BadClaims, "exp is missing (RFC 9068 §2.2)")
	errNoSubject  = refusal(BadClaims, "sub is missing (RFC 9068 §2.2)")
	errNoClient   = refusal(BadClaims, "client_id is missing (RFC 9068 §2.2)")
	errNoIssuedAt = refusal(BadClaims, "iat is missing (RFC 9068 §2.2)")
	errNoID       = refusal(BadClaims, "jti is missing (RFC 9068 §2.2)")
)

// checkRequired returns the refusal of a token without a claim that the profile
// requires.
func (c *tokenClaims) checkRequired(profile Profile) *Error {
	strict := profile != ProfileLegacy
	switch {
	case c.expiry.IsZero():
		return errNoExpiry
	case c.subject == "":
		return errNoSubject
	case strict && c.clientID == "":
		return errNoClient
	case strict && c.issuedAt.IsZero():
		return errNoIssuedAt
	case strict && c.id == "":
		return errNoID
	default:
		return nil
	}
}
