package validator

import (
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	jwtclaims "github.com/sallyport-auth/sallyport/internal/claims"
	"github.com/sallyport-auth/sallyport/internal/misuse"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

var (
	errType       = refusal(WrongType, "typ is not at+jwt (RFC 9068 §4)")
	errLegacyType = refusal(WrongType, "typ is neither at+jwt nor JWT nor absent")
	errIDToken    = misusing(WrongType, misuse.OtherToken, "a claim of ID tokens or logout tokens")
	errOwnClient  = misusing(WrongType, misuse.OtherToken, "aud is only the client itself, as in an ID token")
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
		return is.refuseType(errType, h)
	}
	if !h.HasType() || jwtclaims.IsType(h, "JWT") {
		return nil
	}
	return is.refuseType(errLegacyType, h)
}

// refuseType returns constant with the typ of the token.
func (is *checkedIssuer) refuseType(constant *Error, h jose.Header) *Error {
	copied := new(h) // the closure would put every header on the heap
	return constant.because(func() cause.Details { return is.seenType(*copied) })
}

// otherTokenClaims are the claims of ID tokens and logout tokens that access tokens of
// most issuers do not have.
var otherTokenClaims = []string{"nonce", "at_hash", "c_hash", "s_hash", "events"}

// checkIDTokenClaims returns the refusal of a token that has one of them. outweighed says
// that something else tells that the token is an access token. That does not outweigh
// events, which is of logout tokens and security event tokens (RFC 8417 §2.2).
func checkIDTokenClaims(c *tokenClaims, outweighed bool, members []strictjson.Member) *Error {
	if !c.idTokenOnly || outweighed && !hasClaim(members, "events") {
		return nil
	}
	var found []string
	for _, name := range otherTokenClaims {
		if hasClaim(members, name) {
			found = append(found, name)
		}
	}
	return errIDToken.with(cause.Details{Found: "the claims " + strings.Join(found, ", "), Wanted: "an access token", Mend: "let the client send its access token and not its ID token"})
}

// checkKind tells an access token from the issuer's other tokens by its claims
// (R-AT-03, R-AT-04).
func (is *checkedIssuer) checkKind(h jose.Header, c *tokenClaims, members []strictjson.Member) *Error {
	if refused := is.checkOtherTokens(members); refused != nil || is.Profile != ProfileLegacy {
		return refused
	}
	if refused := checkSaidKind(members); refused != nil {
		return refused
	}
	typed := jwtclaims.IsType(h, "at+jwt")
	marker, unmarked := checkMarker(is.Marker, typed, errMarker, members)
	outweighed := typed || marker == byValue
	if refused := checkIDTokenClaims(c, outweighed, members); refused != nil {
		return refused
	}
	if sole, ok := c.soleAudience(); ok && !outweighed && (sole == c.clientID || sole == c.authorizedParty || sole == textOf(members, is.ClientClaim)) {
		return refuseOwnClient(sole)
	}
	return unmarked
}

// refuseOwnClient returns the refusal of a token whose only audience is its client.
func refuseOwnClient(client string) *Error {
	return errOwnClient.because(func() cause.Details {
		return cause.Details{
			Found: "aud names only the client itself, " + cause.Quote(client), Wanted: "an access token",
			Mend: "let the client send its access token and not its ID token; if this is an access token, take the preset of the provider (package providers), or a Marker with Equals",
		}
	})
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
func (is *checkedIssuer) checkRequired(c *tokenClaims) *Error {
	strict := is.Profile != ProfileLegacy
	switch {
	case c.expiry.IsZero():
		return is.refuseMissing(errNoExpiry, c)
	case c.subject == "" && !is.SubjectOptional:
		return is.refuseMissing(errNoSubject, c)
	case strict && c.clientID == "":
		return is.refuseMissing(errNoClient, c)
	case strict && c.issuedAt.IsZero():
		return is.refuseMissing(errNoIssuedAt, c)
	case strict && c.id == "":
		return is.refuseMissing(errNoID, c)
	default:
		return nil
	}
}
