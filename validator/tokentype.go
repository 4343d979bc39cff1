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

// namedTypes are values of token_type, besides otherTokenTypes, that a cause may show. Others
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
	if refused := is.checkOtherTokens(members); refused != nil {
		return refused
	}
	if refused := is.checkSaidType(members); refused != nil {
		return refused
	}
	marker, unmarked := checkMarker(is.Answers.Marker, false, errAnswerMarker, members)
	if refused := checkIDTokenClaims(c, marker == byValue, members); refused != nil {
		return refused
	}
	value := textOf(members, "token_type")
	switch _, isOfKey := c.confirmation.lookup("jkt"); {
	case isOfKey && strings.EqualFold(value, typeBearer):
		return errBearerWithKey
	case unmarked != nil:
		return unmarked
	case value == "" && len(is.Answers.Marker) == 0:
		return errNoEvidence
	default:
		return nil
	}
}

var errAnswerMarker = refusal(WrongType, "a rule of Issuer.Answers.Marker does not hold in the answer about the token")

const noTokenType = "token_type in the answer is neither Bearer nor DPoP nor one of Issuer.Answers.TokenTypes" //nolint:gosec // no credential

var (
	errTokenType      = refusal(WrongType, noTokenType)
	errTokenTypeOther = misusing(WrongType, misuse.OtherToken, noTokenType) // it is the type of another token
)

// checkSaidType returns the refusal of an answer that says that the token is of another
// type.
func (is *checkedIssuer) checkSaidType(members []strictjson.Member) *Error {
	if v := textOf(members, "token_type"); hasClaim(members, "token_type") && !is.Answers.isAccessTokenType(v) {
		wrong := errTokenType
		if isOtherType(v) {
			wrong = errTokenTypeOther
		}
		return wrong.with(cause.Details{
			Found: "token_type " + shownType(v), Wanted: "Bearer, DPoP or one of Issuer.Answers.TokenTypes",
			Mend: "let the client send its access token; if the server calls its access tokens so, add the value to Issuer.Answers.TokenTypes",
		})
	}
	return checkSaidKind(members)
}

// shownType returns value in quotes if it is a known token_type, otherwise its length.
func shownType(value string) string {
	known := strings.ToLower(value)
	switch {
	case value == "":
		return "empty or no string"
	case isOtherType(known) || slices.Contains(namedTypes, known):
		return fmt.Sprintf("%q", known)
	default:
		return fmt.Sprintf("an unknown value of %d bytes", len(value))
	}
}

// isAccessTokenType reports whether a token_type is that of an access token.
func (r *AnswerRules) isAccessTokenType(value string) bool {
	return strings.EqualFold(value, typeBearer) || strings.EqualFold(value, typeDPoP) ||
		slices.ContainsFunc(r.TokenTypes, func(other string) bool { return strings.EqualFold(value, other) })
}

var errBearerWithKey = refusal(BindingMismatch, "token_type in the answer is Bearer, and cnf has jkt, which binds the token to a DPoP key (RFC 9449 §6.2): the server contradicts itself").
	with(cause.Details{Found: "token_type Bearer and cnf with jkt", Wanted: "token_type DPoP"})

// check adds the faults of r.
func (r *AnswerRules) check(f fault.List) {
	for i, value := range r.TokenTypes {
		at := f.Atf("TokenTypes[%d]", i)
		switch {
		case !isIdentifier(value):
			at.Addf("correct or remove it", "%q is empty or has control characters", value)
		case isOtherType(value):
			at.Addf("remove it; such tokens are not for APIs", "%q is no access token", value)
		}
	}
}

// isZero reports whether r is the zero value.
func (r *AnswerRules) isZero() bool {
	return len(r.Marker) == 0 && len(r.TokenTypes) == 0 && !r.FiltersAudience && !r.ScopeLists
}
