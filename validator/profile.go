package validator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/strictjson"
	"github.com/sallyport-auth/sallyport/jose"
)

// Profile is how access tokens of an issuer are told from its other JWTs: ID
// tokens, logout tokens and more are signed with the same keys.
type Profile uint8

const (
	// ProfileRFC9068 is the JWT profile for access tokens: typ must be
	// at+jwt (RFC 9068 §4), and iss, exp, aud, sub, client_id, iat and jti
	// must be there (§2.2).
	ProfileRFC9068 Profile = iota
	// ProfileLegacy is for issuers that do not send at+jwt yet. typ may then
	// also be JWT or absent; iss, exp, aud and sub must be there; the
	// issuer's Marker must match; and what looks like an ID token or a
	// logout token is refused: a nonce, at_hash, c_hash, s_hash or events
	// claim, or an audience that is only the client itself.
	ProfileLegacy
)

// idTokenClaims also occur in ID tokens, by OpenID Connect Core §2 and §5.1 or
// by the habit of a large issuer, so that their mere presence marks nothing.
var idTokenClaims = []string{
	"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "acr", "amr", "azp", "sid",
	"at_hash", "c_hash", "s_hash", "name", "given_name", "family_name", "middle_name", "nickname",
	"preferred_username", "profile", "picture", "website", "email", "email_verified", "gender",
	"birthdate", "zoneinfo", "locale", "phone_number", "phone_number_verified", "address", "updated_at",
	"typ", "token_use", "ver", "tid", "oid", "uti", "rh", "aio", "upn", "unique_name", "idp", "hd", "groups", "roles",
	"session_state", "sub_jwk", "vot", "vtm", "_claim_names", "_claim_sources", "events", "cnf",
}

func (c *Issuer) checkProfile(field string, f *faults) {
	switch c.Profile {
	case ProfileRFC9068:
		if len(c.Marker) > 0 {
			f.addf("%s: Marker is for ProfileLegacy only; declare further claims in Claims", field)
		}
	case ProfileLegacy:
		if len(c.Marker) == 0 {
			f.addf("%s: ProfileLegacy needs a Marker: a claim that access tokens have and ID tokens have not", field)
		}
		for i, rule := range c.Marker {
			if rule.Equals == "" && slices.Contains(idTokenClaims, rule.Name) {
				f.addf("%s: Marker[%d]: the presence of %q marks no access token, ID tokens have it too; "+
					"take another claim or set Equals", field, i, rule.Name)
			}
		}
		checkRules(c.Marker, field+": Marker", f)
	default:
		f.addf("%s: Profile %d does not exist", field, c.Profile)
	}
}

var (
	errType       = refusal(WrongType, "typ is not at+jwt (RFC 9068 §4)")
	errLegacyType = refusal(WrongType, "typ is neither at+jwt nor JWT nor absent")
	errIDToken    = refusal(WrongType, "a claim that only ID tokens and logout tokens have")
	errOwnClient  = refusal(WrongType, "aud is only the client itself, as in an ID token")
	errMarker     = refusal(WrongType, "the issuer's access token marker does not match")
)

// judgeType judges typ, which is compared as a media type (RFC 7515 §4.1.9)
// without parameters. None of the letters in question folds to one outside
// ASCII.
func (is *issuer) judgeType(h jose.Header) *Error {
	typ, presence := h.Type() // typ is empty unless present as a string
	if strings.EqualFold(typ, "at+jwt") || strings.EqualFold(typ, "application/at+jwt") {
		return nil
	}
	if is.profile != ProfileLegacy {
		return errType
	}
	if presence == jose.Absent || strings.EqualFold(typ, "JWT") || strings.EqualFold(typ, "application/jwt") {
		return nil
	}
	return errLegacyType
}

// judgeLegacy tells an access token from the issuer's other tokens by its
// claims (R-AT-03, R-AT-04).
func (is *issuer) judgeLegacy(c *claims, members []strictjson.Member) *Error {
	if is.profile != ProfileLegacy {
		return nil
	}
	if c.idTokenOnly {
		return errIDToken
	}
	if sole, ok := c.soleAudience(); ok && (sole == c.clientID || sole == c.authorizedParty || sole == textOf(members, is.clientClaim)) {
		return errOwnClient
	}
	for i := range is.marker {
		if !is.marker[i].holds(members) {
			return errMarker
		}
	}
	return nil
}

// warnings tells what of the configuration deserves a second look.
func (is *issuer) warnings() []string {
	var all []string
	if is.profile == ProfileLegacy {
		all = append(all, fmt.Sprintf("issuer %q: ProfileLegacy tells access tokens by their claims only; "+
			"prefer at+jwt (RFC 9068) as soon as the issuer can send it", is.url))
	}
	if (is.clientClaim == claimAuthorizedParty || is.clientClaim == claimApplication) && is.clientOnly.Name == "" {
		all = append(all, fmt.Sprintf("issuer %q: ClientClaim is %s and there is no ClientOnly: tokens that a client got for itself "+
			"count as a user's if their subject is not the client; name in ClientOnly what only they have", is.url, is.clientClaim))
	}
	for _, key := range is.keys.Ignored() {
		all = append(all, fmt.Sprintf("issuer %q: keys[%d] (kid %q) is not used: %v", is.url, key.Index, key.KeyID, key.Reason))
	}
	if !is.location.lists() {
		all = append(all, fmt.Sprintf("issuer %q: its metadata lists protected_resources, and none of Audiences is one (RFC 9728 §4); "+
			"the issuer may not know this API", is.url))
	}
	return all
}
