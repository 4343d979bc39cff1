package validator

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-auth/sallyport/internal/cause"
	"github.com/sallyport-auth/sallyport/internal/fault"
	"github.com/sallyport-auth/sallyport/internal/misuse"
	"github.com/sallyport-auth/sallyport/internal/strictjson"
)

// Values of token_type (RFC 6749 §7.1, RFC 9449 §5), without regard to case.
const (
	typeBearer = "bearer"
	typeDPoP   = "dpop"
)

// otherTokens are values by which servers say that a token is no access token, in
// token_type, token_use (Hydra, Cognito) or typ (Keycloak).
var otherTokens = []string{"refresh_token", "refresh", "offline", "id_token", "id", "logout", "initial_access_token", "registrationaccesstoken", "authorization_code", "code"}

// namedTypes are values of token_type, besides otherTokens, that a cause may show. Others
// are not shown: a server might put the token there.
var namedTypes = []string{
	"access_token", "access", "at+jwt", "jwt", "mac", "n_a", "none", "opaque", "pop", "urn:ietf:params:oauth:token-type:access_token",
	"urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:refresh_token",
}

var errNoEvidence = refusal(WrongType, "nothing in the answer says that the token is an access token, and servers call refresh tokens active, too "+
	"(RFC 7662 §2.1): token_type is absent; Issuer.Answers.Marker names what only access tokens have").
	with(cause.Details{Found: "no token_type", Wanted: "Bearer or DPoP", Mend: "set Issuer.Answers.Marker to what only access tokens of the server have"})

// checkTokenType returns the refusal of an answer about something else than an access
// token.
func (is *checkedIssuer) checkTokenType(c *tokenClaims, members []strictjson.Member) *Error {
	if c.idTokenOnly {
		return refuseIDToken(members)
	}
	if refused := is.checkSaidType(members); refused != nil {
		return refused
	}
	value := textOf(members, "token_type")
	if _, isOfKey := c.confirmation.lookup("jkt"); isOfKey && strings.EqualFold(value, typeBearer) {
		return errBearerWithKey
	}
	if len(is.Answers.Marker) > 0 {
		for i := range is.Answers.Marker {
			if !is.Answers.Marker[i].holds(members) {
				return is.Answers.Marker[i].refuse(errAnswerMarker, members)
			}
		}
		return nil
	}
	if value == "" {
		return errNoEvidence
	}
	return nil
}

var errAnswerMarker = refusal(WrongType, "a rule of Issuer.Answers.Marker does not hold in the answer about the token")

const noTokenType = "token_type in the answer is neither Bearer nor DPoP nor one of Issuer.Answers.TokenTypes" //nolint:gosec // no credential

var (
	errTokenType      = refusal(WrongType, noTokenType)
	errTokenTypeOther = misusing(WrongType, misuse.OtherToken, noTokenType) // it is the type of another token
	errOtherToken     = misusing(WrongType, misuse.OtherToken, "the answer says that the token is no access token")
)

// checkSaidType returns the refusal of an answer that says that the token is of another
// type.
func (is *checkedIssuer) checkSaidType(members []strictjson.Member) *Error {
	if v := textOf(members, "token_type"); hasClaim(members, "token_type") && !is.isAccessTokenType(v) {
		wrong := errTokenType
		if slices.Contains(otherTokens, strings.ToLower(v)) {
			wrong = errTokenTypeOther
		}
		return wrong.with(cause.Details{
			Found: "token_type " + shownType(v), Wanted: "Bearer, DPoP or one of Issuer.Answers.TokenTypes",
			Mend: "let the client send its access token; if the server calls its access tokens so, add the value to Issuer.Answers.TokenTypes",
		})
	}
	for _, name := range [...]string{"token_use", "typ"} {
		if v := textOf(members, name); slices.Contains(otherTokens, strings.ToLower(v)) {
			return errOtherToken.with(cause.Details{Found: fmt.Sprintf("%s %q", name, strings.ToLower(v)), Wanted: "an access token", Mend: "let the client send its access token"})
		}
	}
	return nil
}

// shownType returns value in quotes if it is a known token_type, otherwise its length.
func shownType(value string) string {
	known := strings.ToLower(value)
	switch {
	case value == "":
		return "empty or no string"
	case slices.Contains(otherTokens, known) || slices.Contains(namedTypes, known):
		return fmt.Sprintf("%q", known)
	default:
		return fmt.Sprintf("an unknown value of %d bytes", len(value))
	}
}

// isAccessTokenType reports whether a token_type is that of an access token.
func (is *checkedIssuer) isAccessTokenType(value string) bool {
	return strings.EqualFold(value, typeBearer) || strings.EqualFold(value, typeDPoP) ||
		slices.ContainsFunc(is.Answers.TokenTypes, func(other string) bool { return strings.EqualFold(value, other) })
}

var errBearerWithKey = refusal(BindingMismatch, "token_type in the answer is Bearer, and cnf has jkt, which binds the token to a DPoP key (RFC 9449 §6.2): the server contradicts itself").
	with(cause.Details{Found: "token_type Bearer and cnf with jkt", Wanted: "token_type DPoP"})

// check adds the faults of r.
func (r *AnswerRules) check(f fault.List) {
	checkRules(r.Marker, f.At("Marker"))
	for i, value := range r.TokenTypes {
		at := f.Atf("TokenTypes[%d]", i)
		switch {
		case !isIdentifier(value):
			at.Addf("correct or remove it", "%q is empty or has control characters", value)
		case slices.Contains(otherTokens, strings.ToLower(value)):
			at.Addf("remove it; such tokens are not for APIs", "%q is no access token", value)
		}
	}
}

// isZero reports whether r is the zero value.
func (r *AnswerRules) isZero() bool {
	return len(r.Marker) == 0 && len(r.TokenTypes) == 0 && !r.FiltersAudience && !r.ScopeLists
}
